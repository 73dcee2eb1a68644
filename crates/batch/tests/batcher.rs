//! When batches are flushed, and what becomes of every item.

mod support;

use futures::future::join_all;
use plimsoll_batch::{Batcher, Linger, SubmitError};
use plimsoll_core::{Load, Reason};
use std::{sync::Arc, time::Duration};
use support::{Ledger, echo};
use tokio::{
    sync::Semaphore,
    task::yield_now,
    time::{Instant, advance, sleep},
};

const MS: Duration = Duration::from_millis(1);

/// Lets all other tasks do what they can without time passing.
async fn settle() {
    for _ in 0..20 {
        yield_now().await;
    }
}

#[tokio::test(start_paused = true)]
async fn each_caller_gets_its_own_result() {
    let ledger = Ledger::default();
    let batcher = echo(&ledger).max_size(10).max_wait(5 * MS);
    let answers = join_all((0..30).map(|n| batcher.submit(n))).await;
    assert_eq!(answers, (0..30).map(Ok).collect::<Vec<_>>());
    assert_eq!(ledger.batches().len(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_full_batch_does_not_wait() {
    let ledger = Ledger::default();
    let batcher = echo(&ledger).max_size(2).max_wait(5 * MS);
    let start = Instant::now();
    assert_eq!(tokio::join!(batcher.submit(1), batcher.submit(2)), (Ok(1), Ok(2)));
    assert_eq!(start.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn the_timer_starts_with_the_first_item_and_not_before() {
    let ledger = Ledger::default();
    let batcher = echo(&ledger).max_wait(10 * MS);
    batcher.push(1).await.expect("open");
    sleep(10 * MS + MS).await;
    assert_eq!(ledger.batches(), [[1]]);
    sleep(7 * MS).await; // nothing waits: nothing runs
    let start = Instant::now();
    let second = async {
        sleep(6 * MS).await;
        batcher.submit(3).await
    };
    assert_eq!(tokio::join!(batcher.submit(2), second), (Ok(2), Ok(3)));
    assert_eq!(start.elapsed(), 10 * MS);
    assert_eq!(ledger.batches().last(), Some(&vec![2, 3]));
}

#[tokio::test(start_paused = true)]
async fn a_batch_is_flushed_at_its_time_and_not_a_tick_before() {
    let ledger = Ledger::default();
    let batcher = echo(&ledger).max_wait(10 * MS);
    batcher.push(1).await.expect("open");
    settle().await;
    advance(9 * MS).await;
    settle().await;
    assert!(ledger.batches().is_empty());
    advance(MS).await;
    settle().await;
    assert_eq!(ledger.batches(), [[1]]);
}

#[tokio::test(start_paused = true)]
async fn an_adaptive_batcher_flushes_a_lone_item_at_once() {
    let ledger = Ledger::default();
    let batcher = echo(&ledger).linger(Linger::Adaptive);
    let start = Instant::now();
    for n in 0..3 {
        assert_eq!(batcher.submit(n).await, Ok(n));
    }
    assert_eq!(start.elapsed(), Duration::ZERO);
    assert_eq!(ledger.batches(), [[0], [1], [2]]);
}

/// A flush that takes 10 ms.
fn slow(ledger: &Ledger) -> Batcher<u64, (), String> {
    let ledger = ledger.clone();
    Batcher::new(move |items: Vec<u64>| {
        ledger.write(&items);
        async {
            sleep(10 * MS).await;
            Ok::<(), String>(())
        }
    })
}

#[tokio::test(start_paused = true)]
async fn an_adaptive_batch_is_what_came_while_the_last_one_was_flushed() {
    let ledger = Ledger::default();
    let batcher = slow(&ledger);
    batcher.push(0).await.expect("open");
    settle().await;
    for n in 1..=5 {
        batcher.push(n).await.expect("open");
    }
    batcher.drain().await.expect("all is flushed");
    assert_eq!(ledger.batches(), [vec![0], vec![1, 2, 3, 4, 5]]);
}

#[tokio::test(start_paused = true)]
async fn callers_of_one_turn_share_a_batch() {
    let ledger = Ledger::default();
    let batcher = echo(&ledger);
    let tasks: Vec<_> = (0..50)
        .map(|n| {
            let batcher = batcher.clone();
            tokio::spawn(async move { batcher.submit(n).await })
        })
        .collect();
    for (n, task) in (0..).zip(tasks) {
        assert_eq!(task.await.expect("no panic"), Ok(n));
    }
    assert_eq!(ledger.batches().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn no_more_flushes_run_than_are_allowed() {
    for allowed in [1, 3] {
        let running = Arc::new(Semaphore::new(allowed));
        let flush = {
            let running = Arc::clone(&running);
            move |_: Vec<u64>| {
                let running = Arc::clone(&running);
                async move {
                    let _one = running.try_acquire().map_err(|_| "one too many")?;
                    sleep(10 * MS).await;
                    Ok::<(), &str>(())
                }
            }
        };
        let batcher = Batcher::new(flush).max_size(2).max_in_flight(allowed);
        let start = Instant::now();
        let answers = join_all((0..12).map(|n| batcher.submit(n))).await;
        assert!(answers.iter().all(Result::is_ok), "{answers:?}");
        let rounds = if allowed == 1 { 6 } else { 2 };
        assert_eq!(start.elapsed(), rounds * 10 * MS);
    }
}

#[tokio::test(start_paused = true)]
async fn a_full_queue_makes_submit_wait_and_try_submit_refuse() {
    let ledger = Ledger::default();
    let batcher = slow(&ledger).queue(2);
    batcher.push(0).await.expect("open"); // in flight for 10 ms
    settle().await;
    batcher.push(1).await.expect("open");
    batcher.push(2).await.expect("open");
    assert_eq!((batcher.load(), batcher.capacity()), (2, Some(2)));

    let refused = batcher.try_push(3).expect_err("the queue is full");
    assert_eq!((refused.item, refused.why.reason()), (3, Reason::Overload));
    assert_eq!(refused.to_string(), "batcher: overloaded");
    assert!(batcher.try_submit(3).is_err());

    let start = Instant::now();
    assert_eq!(batcher.submit(4).await, Ok(()));
    assert_eq!(start.elapsed(), 30 * MS); // waits, then two flushes: not its own alone
    assert_eq!(ledger.batches(), [vec![0], vec![1, 2], vec![4]]);
}

#[tokio::test(start_paused = true)]
async fn a_queue_smaller_than_a_batch_is_a_full_batch() {
    let ledger = Ledger::default();
    let batcher = echo(&ledger).max_size(100).queue(2).max_wait(1000 * MS);
    let start = Instant::now();
    join_all((0..4).map(|n| batcher.submit(n))).await;
    assert_eq!(start.elapsed(), Duration::ZERO);
    assert_eq!(ledger.batches(), [[0, 1], [2, 3]]);
}

#[tokio::test(start_paused = true)]
async fn whoever_gives_up_before_it_has_a_place_has_submitted_nothing() {
    let ledger = Ledger::default();
    let batcher = slow(&ledger).queue(1);
    batcher.push(0).await.expect("open");
    settle().await;
    batcher.push(1).await.expect("open");
    tokio::select! {
        biased;
        _ = batcher.submit(2) => unreachable!("there is no place"),
        () = settle() => {}
    }
    batcher.drain().await.expect("all is flushed");
    assert_eq!(ledger.items(), [0, 1]);
}

#[tokio::test(start_paused = true)]
async fn an_accepted_item_is_flushed_though_its_caller_has_gone() {
    let ledger = Ledger::default();
    let batcher = echo(&ledger).max_wait(10 * MS);
    tokio::select! {
        biased;
        _ = batcher.submit(1) => unreachable!("it waits for company"),
        () = settle() => {}
    }
    drop(batcher.try_submit(2).expect("there is a place"));
    assert_eq!(batcher.submit(3).await, Ok(3));
    assert_eq!(ledger.batches(), [[1, 2, 3]]);
}

#[tokio::test(start_paused = true)]
async fn drain_flushes_at_once_and_refuses_from_then_on() {
    let ledger = Ledger::default();
    let batcher = echo(&ledger).max_wait(1000 * MS);
    batcher.push(1).await.expect("open");
    let start = Instant::now();
    let (drained, again) = tokio::join!(batcher.drain(), batcher.drain());
    assert_eq!((drained, again), (Ok(()), Ok(())));
    assert_eq!(start.elapsed(), Duration::ZERO);
    assert_eq!(ledger.batches(), [[1]]);

    let refused = batcher.push(2).await.expect_err("drained");
    assert_eq!((refused.item, refused.why.reason()), (2, Reason::Closed));
    let error = batcher.submit(3).await.expect_err("drained");
    assert_eq!(error.to_string(), "the batcher did not accept the item");
    assert!(matches!(error, SubmitError::Rejected(why) if why.reason() == Reason::Closed));
}

#[tokio::test(start_paused = true)]
async fn drain_waits_for_what_is_in_flight_and_refuses_those_who_wait_for_a_place() {
    let ledger = Ledger::default();
    let batcher = slow(&ledger).queue(1);
    batcher.push(0).await.expect("open");
    settle().await;
    batcher.push(1).await.expect("open");
    let start = Instant::now();
    let late = async {
        let refused = batcher.push(2).await.expect_err("closed while it waits");
        assert_eq!(refused.item, 2);
    };
    let drain = async {
        settle().await;
        batcher.drain().await
    };
    let (drained, ()) = tokio::join!(drain, late);
    assert_eq!(drained, Ok(()));
    assert_eq!(start.elapsed(), 20 * MS);
    assert_eq!(ledger.items(), [0, 1]);
}

#[tokio::test(start_paused = true)]
async fn a_batcher_that_took_nothing_drains_at_once() {
    assert_eq!(echo(&Ledger::default()).drain().await, Ok(()));
}

#[tokio::test(start_paused = true)]
async fn a_drain_given_up_goes_on() {
    let ledger = Ledger::default();
    let batcher = slow(&ledger);
    batcher.push(1).await.expect("open");
    tokio::select! {
        biased;
        _ = batcher.drain() => unreachable!("a flush takes 10 ms"),
        () = settle() => {}
    }
    assert!(batcher.try_push(2).is_err());
    assert_eq!(batcher.drain().await, Ok(()));
    assert_eq!(ledger.items(), [1]);
}

#[tokio::test(start_paused = true)]
async fn the_last_handle_takes_the_last_batch_with_it_and_no_earlier_one_does() {
    let ledger = Ledger::default();
    let batcher = echo(&ledger).max_wait(1000 * MS);
    let clone = batcher.clone();
    batcher.push(1).await.expect("open");
    drop(batcher);
    settle().await;
    assert!(ledger.batches().is_empty());
    let reply = clone.try_submit(2).expect("open");
    drop(clone);
    assert_eq!(reply.await, Ok(2));
    assert_eq!(ledger.batches(), [[1, 2]]);
}

#[test]
fn the_end_of_the_runtime_is_told_to_callers_and_closes_the_batcher() {
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_time().build();
    let batcher = Batcher::new(|_: Vec<u64>| std::future::pending::<Result<(), String>>());
    let (first, second) = {
        let runtime = runtime().expect("a runtime");
        runtime.block_on(async {
            let first = batcher.try_submit(1).expect("open");
            settle().await; // the first is in flight for ever, the second queued
            (first, batcher.try_submit(2).expect("open"))
        })
    };
    let runtime = runtime().expect("a runtime");
    runtime.block_on(async {
        assert_eq!(first.await, Err(SubmitError::Abandoned));
        assert_eq!(second.await, Err(SubmitError::Abandoned));
        let refused = batcher.push(3).await.expect_err("its task has ended");
        assert_eq!(refused.why.reason(), Reason::Closed);
        let error = batcher.drain().await.expect_err("two were cut off");
        assert_eq!(error.unfinished(), 2);
    });
}

#[tokio::test]
#[should_panic(expected = "settings must come before its first use")]
async fn settings_after_a_clone_are_refused_at_the_call() {
    let batcher = echo(&Ledger::default());
    let _clone = batcher.clone();
    let _ = batcher.max_size(5);
}

#[test]
fn zero_is_refused_in_configuration_and_names_its_field() {
    let error = |result: Result<Batcher<u64, u64, String>, plimsoll_core::ConfigError>| {
        result.err().map(|error| error.to_string())
    };
    let new = || echo(&Ledger::default());
    let sentence = |field| Some(format!("{field} must be at least 1, but is 0"));
    assert_eq!(error(new().try_max_size(0)), sentence("max_size"));
    assert_eq!(error(new().try_max_in_flight(0)), sentence("max_in_flight"));
    assert_eq!(error(new().try_queue(0)), sentence("queue"));
    let few = error(new().try_bisect_within(1));
    assert_eq!(few.as_deref(), Some("bisect_within must be at least 2, but is 1"));
    assert_eq!(error(new().try_max_bytes(0, |_| 1)), sentence("max_bytes"));
}

#[test]
#[should_panic(expected = "max_size must be at least 1, but is 0")]
fn zero_as_a_literal_panics_where_it_is_written() {
    let _ = echo(&Ledger::default()).max_size(0);
}
