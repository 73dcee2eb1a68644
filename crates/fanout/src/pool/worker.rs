//! The task of one worker.

use super::{Hand, Shared};
use crate::{
    Failure,
    caught::{caught_async, poll_once},
    work::Work,
};
use futures_core::Stream;
use std::{pin::pin, sync::Arc, task::Poll, time::Duration};
use tokio::task::yield_now;

/// So long a worker goes on without giving way to other tasks of its thread.
const SLICE: Duration = Duration::from_micros(200);

/// Leaves the pool when it is dropped: to be made first, and dropped last.
pub(crate) struct Leave<S: Stream, U, E>(pub(crate) Arc<Shared<S, U, E>>);

impl<S: Stream, U, E> Drop for Leave<S, U, E> {
    fn drop(&mut self) {
        self.0.leave();
    }
}

/// Pulls and runs until nothing is left.
pub(crate) async fn work<S, W>(leave: Leave<S, W::Output, W::Error>, work: Arc<W>, worker: usize)
where
    S: Stream,
    W: Work<S::Item>,
{
    let mut busy = Duration::ZERO;
    while let Some(hand) = leave.0.pull(worker).await {
        busy += run_all(hand, &*work).await;
        if busy > SLICE {
            busy = Duration::ZERO;
            yield_now().await;
        }
    }
}

/// Runs what is in hand, whatever panics, and says how long it took.
pub(crate) async fn run_all<S, W>(mut hand: Hand<S, W::Output, W::Error>, work: &W) -> Duration
where
    S: Stream,
    W: Work<S::Item>,
{
    while !hand.is_empty() {
        // One frame for the panics of a whole chunk. Whatever it was, it was the
        // item that was taken out last.
        if let Err(panic) = caught_async(run(&mut hand, work)).await {
            hand.put(Err(Failure::Panicked(panic)));
        }
    }
    hand.finish()
}

/// Runs what is in hand, or until something waits.
async fn run<S, W>(hand: &mut Hand<S, W::Output, W::Error>, work: &W)
where
    S: Stream,
    W: Work<S::Item>,
{
    while let Some(item) = hand.next() {
        let mut future = pin!(work.run(item));
        let result = match poll_once(future.as_mut()).await {
            Poll::Ready(result) => result,
            Poll::Pending => {
                hand.wait();
                future.await
            }
        };
        hand.put(result);
        hand.split_if_long();
    }
}
