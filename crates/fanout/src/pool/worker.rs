//! The task of one worker.

use super::{Hand, Shared, hand::Finish};
use crate::{Answer, Failure, caught::caught, work::Work};
use futures_core::Stream;
use std::{
    future::poll_fn,
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};
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
        let Finish { took, told } = run_all(hand, &*work).await;
        busy += took;
        // The consumer was put into the line of this thread. If it came only when
        // the window is full, the other workers would rest meanwhile, and the
        // threads of a runtime that find nothing to do are slow to wake.
        if told || busy > SLICE {
            busy = Duration::ZERO;
            yield_now().await;
        }
    }
}

/// Runs what is in hand, whatever panics.
pub(crate) async fn run_all<S, W>(mut hand: Hand<S, W::Output, W::Error>, work: &W) -> Finish
where
    S: Stream,
    W: Work<S::Item>,
{
    run_each(&mut hand, |item| work.run(item)).await;
    hand.finish()
}

/// Runs one item after the other. They share a place for their futures, so that
/// an item that is ready at once costs no state but its own.
async fn run_each<S, U, E, Fut>(hand: &mut Hand<S, U, E>, work: impl Fn(S::Item) -> Fut)
where
    S: Stream,
    Fut: Future<Output = Answer<U, E>>,
{
    let mut place = pin!(None);
    poll_fn(|cx| {
        loop {
            // One frame for the panics of a whole chunk. Whatever it was, it was
            // the item that was taken out last.
            match caught(|| poll_each(hand, place.as_mut(), &work, cx)) {
                Ok(polled) => return polled,
                Err(panic) => {
                    let also = caught(|| place.set(None)).err();
                    hand.put(Err(Failure::Panicked(also.unwrap_or(panic))));
                }
            }
        }
    })
    .await;
}

/// Runs what is in hand until something waits. `place` has the item that did.
#[inline]
fn poll_each<S, U, E, Fut>(
    hand: &mut Hand<S, U, E>,
    mut place: Pin<&mut Option<Fut>>,
    work: &impl Fn(S::Item) -> Fut,
    cx: &mut Context<'_>,
) -> Poll<()>
where
    S: Stream,
    Fut: Future<Output = Answer<U, E>>,
{
    loop {
        if let Some(future) = place.as_mut().as_pin_mut() {
            let Poll::Ready(result) = future.poll(cx) else {
                hand.wait();
                return Poll::Pending;
            };
            place.set(None);
            hand.put(result);
            hand.split_if_long();
        }
        let Some(item) = hand.next() else { return Poll::Ready(()) };
        place.set(Some(work(item)));
    }
}
