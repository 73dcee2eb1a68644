//! When batches leave: idle traffic, load, and on request; and what is counted.

mod support;

use futures::{future::join_all, poll};
use plimsoll_batch::{Batcher, Emitted};
use plimsoll_core::Reason;
use std::time::Duration;
use support::{Ledger, echo};
use tokio::{
    task::yield_now,
    time::{Instant, sleep},
};

const MS: Duration = Duration::from_millis(1);

async fn settle() {
    for _ in 0..20 {
        yield_now().await;
    }
}

/// A flush that takes 10 ms, whatever is in it.
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

/// One item each `every`: how long they took at most, and how many shared a
/// batch on average.
async fn paced(every: Duration, count: u64) -> (Duration, f64) {
    let batcher = slow(&Ledger::default());
    let callers = (0..count).map(|n| {
        let batcher = batcher.clone();
        async move {
            sleep(every * u32::try_from(n).expect("few")).await;
            let start = Instant::now();
            batcher.submit(n).await.expect("it is written");
            start.elapsed()
        }
    });
    let longest = join_all(callers).await.into_iter().max().expect("some");
    let stats = batcher.stats();
    (longest, stats.items() as f64 / stats.batches() as f64)
}

#[tokio::test(start_paused = true)]
async fn idle_traffic_pays_no_delay_and_load_batches_more() {
    // A flush of 10 ms, and an item each 20 ms: each is flushed alone, at once.
    assert_eq!(paced(20 * MS, 50).await, (10 * MS, 1.0));
    // Five times what single flushes could do: five share one.
    let (longest, together) = paced(2 * MS, 500).await;
    assert!((4.5..=5.5).contains(&together), "{together}");
    assert!(longest <= 20 * MS, "the rest of a flush, and its own: {longest:?}");
    // Fifty times: fifty share one, and none waits longer for it.
    let (longest, together) = paced(MS / 5, 5_000).await;
    assert!((45.0..=55.0).contains(&together), "{together}");
    assert!(longest <= 21 * MS, "{longest:?}");
}

#[tokio::test(start_paused = true)]
async fn while_all_flushes_are_busy_batches_fill_up_and_then_callers_wait() {
    let ledger = Ledger::default();
    let batcher = slow(&ledger).max_size(3).queue(6).max_wait(MS);
    batcher.push(0).await.expect("open");
    sleep(2 * MS).await; // in flight
    for n in 1..=6 {
        batcher.push(n).await.expect("open");
        sleep(MS).await; // their time passes, and there is nobody to flush them
    }
    assert!(batcher.try_push(7).is_err());
    assert_eq!(batcher.drain().await, Ok(()));
    assert_eq!(ledger.batches(), [vec![0], vec![1, 2, 3], vec![4, 5, 6]]);
}

#[tokio::test(start_paused = true)]
async fn no_answer_comes_before_its_flush_has_returned() {
    let batcher = slow(&Ledger::default());
    let mut reply = batcher.try_submit(1).expect("open");
    let start = Instant::now();
    sleep(9 * MS).await;
    assert!(poll!(&mut reply).is_pending());
    assert_eq!(reply.await, Ok(()));
    assert_eq!(start.elapsed(), 10 * MS);
}

#[tokio::test(start_paused = true)]
async fn flush_waits_for_what_was_accepted_before_it_and_for_nothing_else() {
    let ledger = Ledger::default();
    let batcher = slow(&ledger).max_wait(3_600_000 * MS).max_size(3);
    for n in 0..4 {
        batcher.push(n).await.expect("open");
    }
    let start = Instant::now();
    let mut flush = Box::pin(batcher.flush());
    assert!(poll!(&mut flush).is_pending());
    batcher.push(9).await.expect("open"); // a batch of its own, in an hour
    flush.await;
    assert_eq!(start.elapsed(), 20 * MS);
    assert_eq!(ledger.batches(), [vec![0, 1, 2], vec![3]]);
    assert_eq!(batcher.drain().await, Ok(()));
    assert_eq!(ledger.batches().last(), Some(&vec![9]));
}

#[tokio::test(start_paused = true)]
async fn flush_waits_for_a_slower_batch_before_a_quicker_one() {
    let flush = |items: Vec<u64>| async move {
        sleep(Duration::from_millis(items[0])).await;
        Ok::<(), String>(())
    };
    let batcher = Batcher::new(flush).max_size(1).max_in_flight(2);
    batcher.push(50).await.expect("open");
    batcher.push(10).await.expect("open");
    let start = Instant::now();
    batcher.flush().await;
    assert_eq!(start.elapsed(), 50 * MS);
}

#[tokio::test(start_paused = true)]
async fn a_flush_of_nothing_returns_at_once_and_is_no_batch() {
    let ledger = Ledger::default();
    let batcher = echo(&ledger);
    batcher.flush().await; // never used
    assert_eq!(batcher.submit(1).await, Ok(1));
    batcher.flush().await;
    assert_eq!(batcher.drain().await, Ok(()));
    batcher.flush().await; // drained
    assert_eq!(ledger.batches(), [[1]]);
}

#[tokio::test(start_paused = true)]
async fn a_flush_given_up_goes_on() {
    let ledger = Ledger::default();
    let batcher = echo(&ledger).max_wait(3_600_000 * MS);
    batcher.push(1).await.expect("open");
    assert!(poll!(Box::pin(batcher.flush())).is_pending());
    settle().await;
    assert_eq!(ledger.batches(), [[1]]);
}

#[test]
fn a_flush_returns_when_the_runtime_of_the_batcher_has_ended() {
    let runtime = || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
        runtime.expect("a runtime")
    };
    let batcher = Batcher::new(|_: Vec<u64>| std::future::pending::<Result<(), String>>());
    runtime().block_on(async {
        batcher.push(1).await.expect("open");
        settle().await; // in flight for ever
        batcher.push(2).await.expect("open");
    });
    runtime().block_on(batcher.flush());
}

#[tokio::test(start_paused = true)]
async fn why_batches_left_is_counted() {
    let size = |n: &u64| usize::try_from(*n).unwrap_or(usize::MAX);
    let batcher = echo(&Ledger::default()).max_size(2).max_bytes(100, size).max_wait(MS);
    join_all([1, 2].map(|n| batcher.submit(n))).await;
    batcher.submit(3).await.expect("after a millisecond");
    join_all([60, 61].map(|n| batcher.submit(n))).await; // the second overflows
    batcher.submit(100).await.expect("at once");
    batcher.push(5).await.expect("open");
    batcher.flush().await;
    batcher.push(6).await.expect("open");
    assert_eq!(batcher.drain().await, Ok(()));
    let stats = batcher.stats();
    let counts = [Emitted::Full, Emitted::Waited, Emitted::Heavy, Emitted::Asked, Emitted::Ended];
    assert_eq!(counts.map(|why| stats.emitted(why)), [1, 2, 2, 1, 1]);
    assert_eq!((stats.batches(), stats.items(), stats.largest()), (7, 8, 2));
    assert_eq!(stats.fill(), Some(8.0 / 14.0));
}

#[tokio::test(start_paused = true)]
async fn equal_keys_are_counted_as_callers_and_not_as_items() {
    let batcher = echo(&Ledger::default()).dedup_by(|n| *n);
    assert_eq!(batcher.stats().fill(), None);
    join_all([1, 1, 2].map(|n| batcher.submit(n))).await;
    assert_eq!((batcher.stats().items(), batcher.stats().callers()), (2, 3));
}

#[tokio::test(start_paused = true)]
async fn those_who_wait_for_a_place_are_served_in_the_order_of_arrival() {
    let ledger = Ledger::default();
    let batcher = slow(&ledger).queue(1);
    let callers: Vec<_> = (0..20)
        .map(|n| {
            let batcher = batcher.clone();
            tokio::spawn(async move { batcher.submit(n).await })
        })
        .collect();
    settle().await;
    // A place that comes free is theirs, not that of whoever tries just then.
    sleep(10 * MS).await;
    assert!(batcher.try_push(99).is_err());
    for caller in callers {
        assert_eq!(caller.await.expect("no panic"), Ok(()));
    }
    assert_eq!(ledger.batches().concat(), (0..20).collect::<Vec<_>>());
}

#[tokio::test(start_paused = true)]
async fn a_batcher_that_is_full_and_closed_says_that_it_is_closed() {
    let batcher = slow(&Ledger::default()).queue(1);
    batcher.push(0).await.expect("open");
    settle().await;
    batcher.push(1).await.expect("open");
    assert!(poll!(Box::pin(batcher.drain())).is_pending());
    let refused = batcher.try_push(2).expect_err("both");
    assert_eq!(refused.why.reason(), Reason::Closed);
}
