//! The task of a batcher: takes what is due, and flushes it.

use crate::{
    FlushOutput,
    callers::Callers,
    flight::{Flight, Panicked, message},
    intake::{Batch, Due},
    output::{Results, sealed::Sealed},
    shared::Shared,
};
use std::{
    future::poll_fn,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll, Waker, ready},
};
use tokio::{
    runtime::Handle,
    task::{JoinSet, yield_now},
    time::{Instant, Sleep, sleep_until},
};

/// A flush function without its type: one box per batch.
pub(crate) type Flush<T, R, E> = Box<dyn Fn(Vec<T>) -> Flushing<R, E> + Send + Sync>;
type Flushing<R, E> = Pin<Box<dyn Future<Output = Results<R, E>> + Send>>;

pub(crate) fn erase<T, R, E, F, Fut>(flush: F) -> Flush<T, R, E>
where
    T: 'static,
    F: Fn(Vec<T>) -> Fut + Send + Sync + 'static,
    Fut: Future<Output: FlushOutput<Reply = R, Error = E>> + Send + 'static,
{
    Box::new(move |items| {
        let sent = items.len();
        let flushing = flush(items);
        Box::pin(async move { flushing.await.into_results(sent) })
    })
}

/// Starts the task.
pub(crate) fn spawn<T, R, E>(runtime: &Handle, flush: Flush<T, R, E>, shared: Arc<Shared<T, R, E>>)
where
    T: Send + 'static,
    R: Send + 'static,
    E: Send + 'static,
{
    // Made here: a runtime that shuts down may drop the task before it runs.
    let life = Life { shared };
    runtime.spawn(async move {
        let flush = Arc::new(flush);
        drive(&flush, &life.shared).await;
        drop(flush); // before the end is told
        drop(life);
    });
}

/// The flusher is alive. Dropped, nothing is accepted and nobody waits any more.
pub(crate) struct Life<T, R, E> {
    pub(crate) shared: Arc<Shared<T, R, E>>,
}

impl<T, R, E> Drop for Life<T, R, E> {
    fn drop(&mut self) {
        self.shared.close();
        for batch in self.shared.intake.abandon() {
            drop(Callers::of(batch, &self.shared));
        }
        self.shared.teller.end();
        self.shared.end();
    }
}

async fn drive<T, R, E>(flush: &Arc<Flush<T, R, E>>, shared: &Arc<Shared<T, R, E>>)
where
    T: Send + 'static,
    R: Send + 'static,
    E: Send + 'static,
{
    let mut flights = JoinSet::new();
    let mut timer = None;
    loop {
        // Those that have ended are forgotten now, and not when all places are
        // taken: there may be a million.
        forget_ended(&mut flights);
        while flights.len() >= shared.settings.max_in_flight {
            flights.join_next().await;
        }
        if shared.intake.limits().wait.is_none() {
            let is_full = poll_fn(|cx| shared.intake.poll_any(cx)).await;
            if !is_full {
                // Whoever is about to submit in this very turn comes along.
                yield_now().await;
            }
        }
        let Some(batch) = next(shared, &mut timer).await else { break };
        let (callers, items) = Callers::of(batch, shared);
        let (flush, shared) = (Arc::clone(flush), Arc::clone(shared));
        flights.spawn(async move {
            let mut flight = Flight::new(items, &shared.settings);
            while let Some(items) = flight.next() {
                flight.done(caught(|| flush(items)).await);
            }
            callers.answer(flight.answers());
        });
    }
    while flights.join_next().await.is_some() {}
}

/// A look at them, for which nobody need be woken.
fn forget_ended(flights: &mut JoinSet<()>) {
    let mut look = Context::from_waker(Waker::noop());
    while let Poll::Ready(Some(_)) = pin!(flights.join_next()).poll(&mut look) {}
}

/// The next batch that is due; `None` when there will be none.
async fn next<T, R, E>(
    shared: &Shared<T, R, E>,
    timer: &mut Option<Pin<Box<Sleep>>>,
) -> Option<Batch<T, R, E>> {
    let mut now = shared.intake.limits().wait.map(|_| Instant::now());
    poll_fn(|cx| {
        loop {
            match shared.next(cx, now) {
                Due::Now(batch) => return Poll::Ready(Some(batch)),
                Due::Ended => return Poll::Ready(None),
                Due::Nothing => return Poll::Pending,
                Due::At(due) => {
                    let timer = timer.get_or_insert_with(|| Box::pin(sleep_until(due)));
                    if timer.deadline() != due {
                        timer.as_mut().reset(due);
                    }
                    ready!(timer.as_mut().poll(cx));
                    now = Some(due);
                }
            }
        }
    })
    .await
}

/// The output of a future, or the message of its panic. Making the future may
/// panic as well.
async fn caught<F: Future + Unpin>(make: impl FnOnce() -> F) -> Result<F::Output, Panicked> {
    let mut future = catch_unwind(AssertUnwindSafe(make)).map_err(message)?;
    poll_fn(|cx| match catch_unwind(AssertUnwindSafe(|| Pin::new(&mut future).poll(cx))) {
        Ok(poll) => poll.map(Ok),
        Err(panic) => Poll::Ready(Err(message(panic))),
    })
    .await
}
