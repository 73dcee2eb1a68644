//! A permit first, then the task.

use crate::{
    Answer, Failure,
    caught::caught_async,
    load::Hints,
    outlet::Outlet,
    pool::{Bounds, Hand, Leave},
    work::Work,
};
use futures_core::Stream;
use plimsoll_core::{Admit, Gate, Outcome, Permit, Rejected};
use std::{
    error, fmt,
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll, Waker},
};
use tokio::task::JoinSet;

/// How many items may be pulled and not yet yielded, by default.
pub(crate) const WINDOW: usize = 1024;

/// Why an item that asked a gate has no result.
///
/// # Example
///
/// ```
/// use futures::{StreamExt, stream};
/// use plimsoll_core::testing::Places;
/// use plimsoll_fanout::{BoundedError, Failure, FanOutExt};
/// use std::sync::Arc;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let gate = Arc::new(Places::new(2)); // lets two in, and nobody wait
/// let mut results = stream::iter(["a", "b", "c"])
///     .bounded_fan_out(gate, |name| async move { Ok::<_, std::io::Error>(name) })
///     .ordered();
/// assert_eq!(results.next().await.unwrap().unwrap(), "a");
/// assert_eq!(results.next().await.unwrap().unwrap(), "b");
/// let refused = results.next().await.unwrap().unwrap_err();
/// let Failure::Failed(BoundedError::Refused { item, why }) = refused else { panic!() };
/// assert_eq!((item, why.gate()), ("c", "places"));
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BoundedError<T, E> {
    /// The gate refused it: the work did not run, and here the item is.
    Refused {
        /// The item, as it came.
        item: T,
        /// Which gate refused it, why, and when to come back.
        why: Rejected,
    },
    /// The work ran and failed.
    Failed(E),
}

impl<T, E> fmt::Display for BoundedError<T, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Refused { .. } => "not admitted",
            Self::Failed(_) => "admitted, and failed",
        })
    }
}

impl<T: fmt::Debug, E: error::Error + 'static> error::Error for BoundedError<T, E> {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        match self {
            Self::Refused { why, .. } => Some(why),
            Self::Failed(error) => Some(error),
        }
    }
}

/// An async function behind a gate: see
/// [`bounded_fan_out`](crate::FanOutExt::bounded_fan_out).
#[derive(Clone, Copy, Debug)]
pub struct Bounded<G, F, J> {
    pub(crate) gate: G,
    pub(crate) work: F,
    pub(crate) judge: J,
}

impl<T, U, E, G, F, J, Fut> Work<T> for Bounded<G, F, J>
where
    T: Send + Sync + 'static,
    U: Send + 'static,
    E: Send + 'static,
    G: Admit<T> + Clone + 'static,
    F: Fn(T) -> Fut + Send + Sync + 'static,
    J: Fn(&Result<U, E>) -> Outcome + Send + Sync + 'static,
    Fut: Future<Output = Result<U, E>> + Send + 'static,
{
    type Output = U;
    type Error = BoundedError<T, E>;

    async fn run(&self, item: T) -> Answer<U, BoundedError<T, E>> {
        let permit = match self.gate.enter(&item).await {
            Ok(ticket) => Permit::new(self.gate.clone(), ticket),
            Err(why) => return Err(Failure::Failed(BoundedError::Refused { item, why })),
        };
        self.run_admitted(item, permit).await
    }

    /// One task pulls and asks, and starts another for each item that is let in.
    fn start<S>(
        self,
        source: Pin<Box<S>>,
        bounds: Bounds,
        hints: &Arc<Hints>,
    ) -> Outlet<S, U, Self::Error>
    where
        S: Stream<Item = T> + Send + 'static,
    {
        let work = Arc::new(self);
        Outlet::start(source, bounds, hints, |tasks, leave, _| {
            tasks.spawn(admit(leave, Arc::clone(&work)));
        })
    }
}

impl<G, F, J> Bounded<G, F, J> {
    /// Ends the permit before the result is handed on.
    async fn run_admitted<T, U, E, Fut>(
        &self,
        item: T,
        permit: Permit<G>,
    ) -> Answer<U, BoundedError<T, E>>
    where
        G: Admit<T>,
        F: Fn(T) -> Fut,
        J: Fn(&Result<U, E>) -> Outcome,
        Fut: Future<Output = Result<U, E>>,
    {
        let judged = caught_async(async {
            let result = (self.work)(item).await;
            ((self.judge)(&result), result)
        });
        match judged.await {
            Ok((outcome, result)) => {
                permit.finish(outcome);
                result.map_err(|error| Failure::Failed(BoundedError::Failed(error)))
            }
            Err(panic) => {
                permit.finish(Outcome::Failure);
                Err(Failure::Panicked(panic))
            }
        }
    }
}

async fn admit<S, T, U, E, G, F, J, Fut>(
    leave: Leave<S, U, BoundedError<T, E>>,
    work: Arc<Bounded<G, F, J>>,
) where
    S: Stream<Item = T> + Send + 'static,
    T: Send + Sync + 'static,
    U: Send + 'static,
    E: Send + 'static,
    G: Admit<T> + Clone + 'static,
    F: Fn(T) -> Fut + Send + Sync + 'static,
    J: Fn(&Result<U, E>) -> Outcome + Send + Sync + 'static,
    Fut: Future<Output = Result<U, E>> + Send + 'static,
{
    // Aborted with this task. The pool lets it go only when all have ended.
    let mut tasks = Tasks::default();
    while let Some(mut hand) = leave.0.pull(0).await {
        let Some(item) = hand.next() else { continue };
        match caught_async(work.gate.enter(&item)).await {
            Ok(Ok(ticket)) => {
                let permit = NotStarted(Some(Permit::new(work.gate.clone(), ticket)));
                tasks.spawn(run(hand, item, permit, Arc::clone(&work)));
            }
            Ok(Err(why)) => {
                hand.put(Err(Failure::Failed(BoundedError::Refused { item, why })));
                hand.finish();
            }
            Err(panic) => {
                hand.put(Err(Failure::Panicked(panic)));
                hand.finish();
            }
        }
    }
}

/// The tasks that run. Those that have ended are forgotten when another starts,
/// so that what they take does not grow with the number of items.
#[derive(Default)]
struct Tasks(JoinSet<()>);

impl Tasks {
    fn spawn(&mut self, task: impl Future<Output = ()> + Send + 'static) {
        let mut cx = Context::from_waker(Waker::noop());
        while let Poll::Ready(Some(_)) = pin!(self.0.join_next()).poll(&mut cx) {}
        self.0.spawn(task);
    }
}

async fn run<S, T, U, E, G, F, J, Fut>(
    mut hand: Hand<S, U, BoundedError<T, E>>,
    item: T,
    permit: NotStarted<G>,
    work: Arc<Bounded<G, F, J>>,
) where
    S: Stream<Item = T>,
    G: Admit<T>,
    F: Fn(T) -> Fut,
    J: Fn(&Result<U, E>) -> Outcome,
    Fut: Future<Output = Result<U, E>>,
{
    let Some(permit) = permit.start() else { return };
    hand.put(work.run_admitted(item, permit).await);
    hand.finish();
}

/// A permit of work that was not polled yet: dropped, it gives all back.
struct NotStarted<G: Gate>(Option<Permit<G>>);

impl<G: Gate> NotStarted<G> {
    fn start(mut self) -> Option<Permit<G>> {
        self.0.take()
    }
}

impl<G: Gate> Drop for NotStarted<G> {
    fn drop(&mut self) {
        if let Some(permit) = self.0.take() {
            permit.cancel();
        }
    }
}

#[cfg(all(test, not(plimsoll_loom)))]
mod tests {
    use super::*;
    use std::future::pending;
    use tokio::task::yield_now;

    #[tokio::test]
    async fn tasks_that_have_ended_are_forgotten_while_others_start() {
        let mut tasks = Tasks::default();
        tasks.spawn(pending());
        for _ in 0..1_000 {
            tasks.spawn(async {});
            yield_now().await; // it runs, and ends
            assert!(tasks.0.len() <= 3, "{} are held", tasks.0.len());
        }
    }
}
