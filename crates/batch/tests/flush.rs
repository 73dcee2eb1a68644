//! What a flush may do wrong, and who hears of it.

mod support;

use futures::future::join_all;
use plimsoll_batch::{Batcher, SubmitError};
use plimsoll_core::Load;
use std::{
    future::pending,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};
use support::{Ledger, echo};
use tokio::time::{Instant, timeout};

const MS: Duration = Duration::from_millis(1);

#[tokio::test(start_paused = true)]
async fn one_failed_item_fails_its_own_caller_only() {
    let odd_only = |items: Vec<u64>| async move {
        items.into_iter().map(|n| if n % 2 == 1 { Ok(n) } else { Err("even") }).collect::<Vec<_>>()
    };
    let batcher = Batcher::new(odd_only);
    let answers = join_all((1..4).map(|n| batcher.submit(n))).await;
    assert_eq!(answers, [Ok(1), Err(SubmitError::Failed("even")), Ok(3)]);
}

#[tokio::test(start_paused = true)]
async fn one_error_for_all_reaches_all_callers_of_its_batch_and_no_others() {
    let ledger = Ledger::default();
    let flush = {
        let ledger = ledger.clone();
        move |items: Vec<u64>| {
            ledger.write(&items);
            async move { if items.contains(&0) { Err("gone") } else { Ok(items) } }
        }
    };
    let batcher = Batcher::new(flush).max_size(2);
    let answers = join_all((0..4).map(|n| batcher.submit(n))).await;
    let gone = Err(SubmitError::Failed("gone"));
    assert_eq!(answers, [gone.clone(), gone, Ok(2), Ok(3)]);
}

#[tokio::test(start_paused = true)]
async fn a_wrong_number_of_results_is_told_to_all_its_callers() {
    for got in [0, 1, 3] {
        let flush = move |items: Vec<u64>| async move {
            let right = items.len() == 1;
            let n = if right { 1 } else { got };
            vec![Ok::<u64, String>(7); n]
        };
        let batcher = Batcher::new(flush);
        let answers = join_all((0..2).map(|n| batcher.submit(n))).await;
        let wrong = Err(SubmitError::WrongCount { sent: 2, got });
        assert_eq!(answers, [wrong.clone(), wrong]);
        assert_eq!(batcher.submit(0).await, Ok(7), "the batcher lives");
    }
}

#[tokio::test(start_paused = true)]
async fn a_panicking_flush_is_named_to_its_callers_and_the_batcher_lives() {
    let flush = |items: Vec<u64>| {
        assert!(!items.contains(&1), "before the future");
        async move {
            assert!(!items.contains(&2), "in the future: {}", 2);
            Ok::<(), String>(())
        }
    };
    let batcher = Batcher::new(flush);
    let panicked = |message: &str| Err(SubmitError::Panicked(message.into()));
    assert_eq!(batcher.submit(1).await, panicked("before the future"));
    assert_eq!(batcher.submit(2).await, panicked("in the future: 2"));
    assert_eq!(batcher.submit(3).await, Ok(()));
    let error = batcher.submit(1).await.expect_err("it panics");
    assert_eq!(error.to_string(), "the flush panicked: before the future");
}

#[tokio::test(start_paused = true)]
async fn a_pushed_item_that_fails_is_told_to_the_handler_once() {
    let heard = Arc::new(Mutex::new(Vec::new()));
    let flush = |items: Vec<u64>| async move {
        items.into_iter().map(|n| if n < 2 { Err(n) } else { Ok(n) }).collect::<Vec<_>>()
    };
    let batcher = Batcher::new(flush).on_push_error({
        let heard = Arc::clone(&heard);
        move |error| heard.lock().expect("no panic").push(error)
    });
    for n in 0..3 {
        batcher.push(n).await.expect("open");
    }
    assert_eq!(batcher.submit(1).await, Err(SubmitError::Failed(1)));
    assert_eq!(batcher.drain().await, Ok(()));
    let heard = heard.lock().expect("no panic");
    assert_eq!(*heard, [SubmitError::Failed(0), SubmitError::Failed(1)]);
}

#[tokio::test(start_paused = true)]
async fn a_pushed_item_that_fails_unheard_is_counted_by_drain() {
    let batcher = Batcher::new(|_: Vec<u64>| async { Err::<(), _>("down") });
    batcher.push(1).await.expect("open");
    batcher.push(2).await.expect("open");
    let error = batcher.drain().await.expect_err("two were not written");
    assert_eq!(error.unfinished(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_panicking_handler_harms_nobody_else() {
    let batcher = Batcher::new(|_: Vec<u64>| async { Err::<(), _>("down") })
        .on_push_error(|_| panic!("the handler"));
    batcher.push(1).await.expect("open");
    assert_eq!(batcher.submit(2).await, Err(SubmitError::Failed("down")));
    assert_eq!(batcher.drain().await, Ok(()));
}

#[tokio::test(start_paused = true)]
async fn bisection_fails_the_poisoned_items_and_no_others() {
    let calls = Arc::new(AtomicUsize::new(0));
    let flush = {
        let calls = Arc::clone(&calls);
        move |items: Vec<u64>| {
            calls.fetch_add(1, Ordering::Relaxed);
            async move {
                assert!(!items.contains(&9), "nine");
                if items.contains(&4) { Err("four") } else { Ok(items) }
            }
        }
    };
    let batcher = Batcher::new(flush).max_size(16).bisect();
    let answers = join_all((0..16).map(|n| batcher.submit(n))).await;
    for (n, answer) in (0..).zip(answers) {
        match n {
            4 => assert_eq!(answer, Err(SubmitError::Failed("four"))),
            9 => assert_eq!(answer, Err(SubmitError::Panicked("nine".into()))),
            _ => assert_eq!(answer, Ok(n)),
        }
    }
    // 1 for all, 2 for each of the 7 batches that had one of them.
    assert_eq!(calls.load(Ordering::Relaxed), 15);
}

#[tokio::test(start_paused = true)]
async fn equal_keys_share_one_item_and_its_result() {
    let ledger = Ledger::default();
    let batcher = echo(&ledger).dedup_by(|n| n % 10).max_wait(MS);
    let answers = join_all([1, 2, 11, 2, 3].map(|n| batcher.submit(n))).await;
    assert_eq!(answers, [1, 2, 1, 2, 3].map(Ok));
    assert_eq!(batcher.submit(11).await, Ok(11), "another batch");
    assert_eq!(ledger.batches(), [vec![1, 2, 3], vec![11]]);
}

#[tokio::test(start_paused = true)]
async fn duplicates_alone_fill_the_queue_and_not_the_batch() {
    let ledger = Ledger::default();
    let batcher = echo(&ledger).dedup_by(|n| *n).max_size(2).queue(4).max_wait(1000 * MS);
    let answers = join_all([1, 1, 1, 1].map(|n| batcher.submit(n))).await;
    assert_eq!(answers, [1; 4].map(Ok));
    assert_eq!(ledger.batches(), [[1]]);
}

#[tokio::test(start_paused = true)]
async fn bytes_bound_a_batch_and_a_larger_item_goes_alone() {
    let ledger = Ledger::default();
    let size = |n: &u64| usize::try_from(*n).unwrap_or(usize::MAX);
    let batcher = echo(&ledger).max_bytes(10, size).max_wait(1000 * MS);
    let answers = join_all([4, 4, 4, 50, 10, 1, 9].map(|n| batcher.submit(n))).await;
    assert!(answers.iter().all(Result::is_ok));
    let batches: [&[u64]; 5] = [&[4, 4], &[4], &[50], &[10], &[1, 9]];
    assert_eq!(ledger.batches(), batches);
}

#[tokio::test(start_paused = true)]
async fn bisection_costs_no_more_calls_than_it_may() {
    for (allowed, made) in [(2, 3), (3, 3), (4, 5), (29, 29), (1_000, 31)] {
        let calls = Arc::new(AtomicUsize::new(0));
        let flush = {
            let calls = Arc::clone(&calls);
            move |_: Vec<u64>| {
                calls.fetch_add(1, Ordering::Relaxed);
                async { Err::<(), _>("down") }
            }
        };
        let batcher = Batcher::new(flush).max_size(16).bisect_within(allowed);
        let answers = join_all((0..16).map(|n| batcher.submit(n))).await;
        assert_eq!(answers, vec![Err(SubmitError::Failed("down")); 16]);
        assert_eq!(calls.load(Ordering::Relaxed), made, "{allowed}");
    }
}

#[tokio::test(start_paused = true)]
async fn one_bad_item_is_found_within_two_calls_for_each_halving() {
    for (size, further) in [(2, 2), (3, 4), (16, 8), (100, 14)] {
        for bad in [0, size / 2, size - 1] {
            let flush = move |items: Vec<u64>| async move {
                if items.contains(&bad) { Err("bad") } else { Ok(()) }
            };
            let batcher = Batcher::new(flush).max_size(100).bisect_within(further);
            let answers = join_all((0..size).map(|n| batcher.submit(n))).await;
            let failed = answers.iter().filter(|answer| answer.is_err()).count();
            assert_eq!(failed, 1, "{size} {bad}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_threads_lose_nothing_and_mix_nothing_up() {
    let ledger = Ledger::default();
    let batcher = echo(&ledger).max_size(7).max_in_flight(2).queue(20);
    let tasks: Vec<_> = (0..8)
        .map(|task| {
            let batcher = batcher.clone();
            tokio::spawn(async move {
                for n in 0..200 {
                    assert_eq!(batcher.submit(task * 200 + n).await, Ok(task * 200 + n));
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.expect("each gets its own");
    }
    assert_eq!(ledger.items(), (0..1600).collect::<Vec<_>>());
}

/// The batch of a 0 never ends.
async fn hangs_at_0(items: Vec<u64>) -> Result<Vec<u64>, &'static str> {
    if items.contains(&0) {
        pending::<()>().await;
    }
    Ok(items)
}

#[tokio::test(start_paused = true)]
async fn a_flush_that_hangs_holds_its_own_place_alone_and_its_drain_can_be_given_up() {
    let batcher = Batcher::new(hangs_at_0).max_size(1).max_in_flight(2);
    let hung = batcher.try_submit(0).unwrap();
    for n in 1..100 {
        assert_eq!(batcher.submit(n).await, Ok(n));
    }
    batcher.push(100).await.unwrap();
    for _ in 0..2 {
        assert!(timeout(MS, batcher.drain()).await.is_err(), "its flush has not ended");
    }
    assert_eq!(batcher.load(), 0, "nothing waits behind it");
    assert!(timeout(MS, hung).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn a_flush_that_gives_up_in_time_holds_up_a_drain_no_longer_than_that() {
    let flush = |items: Vec<u64>| async move {
        timeout(50 * MS, hangs_at_0(items)).await.unwrap_or(Err("no answer in time"))
    };
    let batcher = Batcher::new(flush).max_size(1);
    let (hung, next) = (batcher.try_submit(0).unwrap(), batcher.try_submit(1).unwrap());
    let start = Instant::now();
    assert_eq!(batcher.drain().await, Ok(()));
    assert_eq!(start.elapsed(), 50 * MS);
    assert_eq!((hung.await, next.await), (Err(SubmitError::Failed("no answer in time")), Ok(1)));
}
