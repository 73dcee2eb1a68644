//! Whatever of the user's panics: nobody else pays, and the batcher lives.

mod support;

use futures::{future::join_all, task::noop_waker};
use plimsoll_batch::{Batcher, Reply, SubmitError};
use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll, Wake, Waker},
    time::Duration,
};
use support::{Ledger, echo};

const MS: Duration = Duration::from_millis(1);

fn poll<F: Future + Unpin>(future: &mut F, waker: &Waker) -> Poll<F::Output> {
    Pin::new(future).poll(&mut Context::from_waker(waker))
}

#[tokio::test(start_paused = true)]
async fn a_panicking_size_or_key_takes_no_place_and_leaves_no_item() {
    let ledger = Ledger::default();
    let batcher = echo(&ledger)
        .queue(2)
        .max_wait(MS)
        .max_bytes(10, |n| if *n == 66 { panic!("the size") } else { 5 })
        .dedup_by(|n| if *n == 77 { panic!("the key") } else { *n });
    for n in [66, 77, 66, 77] {
        assert!(catch_unwind(AssertUnwindSafe(|| batcher.try_submit(n))).is_err());
    }
    assert_eq!(tokio::join!(batcher.submit(1), batcher.submit(2)), (Ok(1), Ok(2)));
    // With a batch open, and one that the item overflows.
    batcher.push(3).await.expect("open");
    assert!(catch_unwind(AssertUnwindSafe(|| batcher.try_submit(77))).is_err());
    assert_eq!(batcher.submit(4).await, Ok(4));
    assert_eq!(batcher.drain().await, Ok(()));
    assert_eq!(ledger.items(), [1, 2, 3, 4]);
}

/// Counts what it is told, and panics.
struct Bomb;

impl Wake for Bomb {
    fn wake(self: Arc<Self>) {
        panic!("a waker");
    }
}

#[tokio::test(start_paused = true)]
async fn a_panicking_waker_takes_no_answer_from_those_behind_it() {
    let batcher = echo(&Ledger::default()).max_wait(MS);
    let mut first = batcher.try_submit(1).expect("open");
    assert!(poll(&mut first, &Waker::from(Arc::new(Bomb))).is_pending());
    assert_eq!(batcher.submit(2).await, Ok(2));
    assert_eq!(first.await, Ok(1));
    assert_eq!(batcher.submit(3).await, Ok(3), "the batcher lives");
}

/// Polls another reply of the same batch when it is dropped.
struct PollsOnDrop(Mutex<Option<Reply<u64, String>>>);

impl Wake for PollsOnDrop {
    fn wake(self: Arc<Self>) {}
}

impl Drop for PollsOnDrop {
    fn drop(&mut self) {
        let other = self.0.get_mut().unwrap_or_else(PoisonError::into_inner);
        let mut other = other.take().expect("dropped once");
        assert!(poll(&mut other, &noop_waker()).is_pending());
    }
}

#[tokio::test(start_paused = true)]
async fn no_lock_is_held_while_a_waker_is_dropped() {
    let batcher = echo(&Ledger::default()).max_wait(MS);
    let mut one = batcher.try_submit(1).expect("open");
    let other = batcher.try_submit(2).expect("open");
    let waker = Waker::from(Arc::new(PollsOnDrop(Mutex::new(Some(other)))));
    assert!(poll(&mut one, &waker).is_pending());
    drop(waker); // the reply holds the last one
    assert!(poll(&mut one, &noop_waker()).is_pending());
    assert_eq!(one.await, Ok(1));
}

/// An item, or a result, that cannot be copied.
#[derive(Debug, PartialEq)]
struct Fragile(u64);

impl Clone for Fragile {
    fn clone(&self) -> Self {
        assert!(self.0 != 13, "unlucky");
        Self(self.0)
    }
}

#[tokio::test(start_paused = true)]
async fn a_panicking_clone_is_told_to_the_callers_of_its_batch_and_no_others() {
    let told = |answer: Result<u64, SubmitError<String>>| match answer {
        Err(SubmitError::Panicked(why)) => why.contains("cloned"),
        _ => false,
    };
    let numbers = |items: Vec<Fragile>| {
        let numbers: Vec<_> = items.iter().map(|it| it.0).collect();
        Ok::<_, String>(numbers)
    };
    for batcher in [
        Batcher::new(move |items| std::future::ready(numbers(items))).bisect(),
        Batcher::blocking(numbers).bisect(),
    ] {
        // Two are a batch, whatever the time; the thread's is real.
        let batcher = batcher.max_size(2).max_wait(Duration::from_secs(3600));
        let answers = join_all([1, 13].map(|n| batcher.submit(Fragile(n)))).await;
        assert!(answers.into_iter().all(told));
        let alone = batcher.try_submit(Fragile(13)).expect("open");
        batcher.flush().await;
        assert_eq!(alone.await, Ok(13), "alone, it is not copied");
        assert_eq!(batcher.drain().await.expect_err("two have no answer").unfinished(), 2);
    }
    // A result that two share.
    let batcher = Batcher::new(|items: Vec<u64>| async {
        Ok::<_, String>(items.into_iter().map(Fragile).collect::<Vec<_>>())
    });
    let batcher = batcher.dedup_by(|n| *n);
    let answers = join_all([13, 13].map(|n| batcher.submit(n))).await;
    assert!(answers.iter().all(|answer| matches!(answer, Err(SubmitError::Panicked(_)))));
    assert_eq!(batcher.submit(1).await, Ok(Fragile(1)));
}

#[test]
fn a_first_use_outside_of_a_runtime_panics_and_leaves_the_batcher_as_it_was() {
    let batcher = echo(&Ledger::default());
    assert!(catch_unwind(AssertUnwindSafe(|| batcher.try_submit(1))).is_err());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
    runtime.expect("a runtime").block_on(async {
        assert_eq!(batcher.submit(2).await, Ok(2));
    });
}
