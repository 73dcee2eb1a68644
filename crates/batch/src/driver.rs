//! The task of a batcher: takes what is due, and flushes it.

use crate::{
    FlushOutput, SubmitError,
    callers::Callers,
    intake::{Batch, Due},
    output::{Results, sealed::Sealed},
    shared::{Flush, Shared},
    slab::Answer,
};
use std::{
    any::Any,
    future::poll_fn,
    iter,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    sync::Arc,
    task::{Poll, ready},
};
use tokio::{
    task::{JoinSet, yield_now},
    time::{Instant, Sleep, sleep_until},
};

/// `flush` without its type: one box per batch.
pub(crate) fn erase<T, R, E, F, Fut>(flush: F) -> Flush<T, R, E>
where
    T: 'static,
    F: Fn(Vec<T>) -> Fut + Send + Sync + 'static,
    Fut: Future<Output: FlushOutput<Reply = R, Error = E>> + Send + 'static,
{
    Box::new(move |items| {
        let sent = items.len();
        let flight = flush(items);
        Box::pin(async move { flight.await.into_results(sent) })
    })
}

/// Starts the task on the current runtime.
pub(crate) fn spawn<T, R, E>(shared: Arc<Shared<T, R, E>>)
where
    T: Send + 'static,
    R: Send + 'static,
    E: Send + 'static,
{
    // Made here: a runtime that shuts down may drop the task before it runs.
    let life = Life { shared };
    tokio::spawn(async move { drive(&life.shared).await });
}

/// The task is alive. Dropped, nothing is accepted and nobody waits any more.
struct Life<T, R, E> {
    shared: Arc<Shared<T, R, E>>,
}

impl<T, R, E> Drop for Life<T, R, E> {
    fn drop(&mut self) {
        self.shared.close();
        for batch in self.shared.intake.abandon() {
            drop(Callers::of(batch, &self.shared));
        }
        self.shared.end();
    }
}

async fn drive<T, R, E>(shared: &Arc<Shared<T, R, E>>)
where
    T: Send + 'static,
    R: Send + 'static,
    E: Send + 'static,
{
    let mut flights = JoinSet::new();
    let mut timer = None;
    loop {
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
        let shared = Arc::clone(shared);
        flights.spawn(async move { callers.answer(flush(&shared, items).await) });
    }
    while flights.join_next().await.is_some() {}
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

/// An answer for each item.
async fn flush<T, R, E>(shared: &Shared<T, R, E>, items: Vec<T>) -> Vec<Answer<R, E>> {
    let mut answers = Vec::with_capacity(items.len());
    let mut todo = vec![items];
    while let Some(items) = todo.pop() {
        let sent = items.len();
        let copy = match shared.settings.copy_items {
            Some(copy) if sent > 1 => Some(copy(&items)),
            _ => None,
        };
        let whole: &dyn Fn() -> Answer<R, E> = match caught(|| (shared.flush)(items)).await {
            Ok(Results::Each(results)) if results.len() == sent => {
                answers.extend(results.into_iter().map(|r| r.map_err(SubmitError::Failed)));
                continue;
            }
            // What was done and what was not is unknown: not to be done again.
            Ok(Results::Each(results)) => {
                let got = results.len();
                answers.extend(
                    iter::repeat_with(|| Err(SubmitError::WrongCount { sent, got })).take(sent),
                );
                continue;
            }
            Ok(Results::Whole(error, copy)) => &move || Err(SubmitError::Failed(copy(&error))),
            Err(message) => &move || Err(SubmitError::Panicked(Arc::clone(&message))),
        };
        match copy {
            Some(mut left) => {
                let right = left.split_off(sent / 2);
                todo.extend([right, left]); // the left one is next
            }
            None => answers.extend(iter::repeat_with(whole).take(sent)),
        }
    }
    answers
}

/// The output of a future, or the message of its panic. Making the future may
/// panic as well.
async fn caught<F: Future + Unpin>(make: impl FnOnce() -> F) -> Result<F::Output, Arc<str>> {
    let mut future = catch_unwind(AssertUnwindSafe(make)).map_err(message)?;
    poll_fn(|cx| match catch_unwind(AssertUnwindSafe(|| Pin::new(&mut future).poll(cx))) {
        Ok(poll) => poll.map(Ok),
        Err(panic) => Poll::Ready(Err(message(panic))),
    })
    .await
}

fn message(panic: Box<dyn Any + Send>) -> Arc<str> {
    match panic.downcast::<String>() {
        Ok(text) => text.as_str().into(),
        Err(panic) => (*panic.downcast::<&str>().unwrap_or(Box::new("no message"))).into(),
    }
}
