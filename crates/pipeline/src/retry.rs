//! Calling again for an item that failed.

use crate::{function::Function, stats::Place};
use std::time::Duration;
use tokio::time::sleep;

/// Calls a stage's function for an item as often as it takes.
pub trait Attempts<T, E>: Send + Sync + 'static {
    /// What it gave, if that takes no awaiting, and else the item.
    #[inline]
    fn run_now<F: Function<T, Error = E>>(&self, _: &F, item: T) -> Result<Result<F::Given, E>, T> {
        Err(item)
    }

    /// What it gave, or its last error and how often it was called.
    fn run<F: Function<T, Error = E>>(
        &self,
        function: &F,
        item: T,
        place: &Place<'_>,
    ) -> impl Future<Output = Result<F::Given, (E, u32)>> + Send;
}

/// Once.
#[derive(Debug)]
pub struct Once;

impl<T: Send, E: Send> Attempts<T, E> for Once {
    #[inline]
    fn run_now<F: Function<T, Error = E>>(
        &self,
        function: &F,
        item: T,
    ) -> Result<Result<F::Given, E>, T> {
        function.call_now(item)
    }

    #[inline]
    async fn run<F: Function<T, Error = E>>(
        &self,
        function: &F,
        item: T,
        _: &Place<'_>,
    ) -> Result<F::Given, (E, u32)> {
        function.call(item).await.map_err(|error| (error, 1))
    }
}

/// As often as a policy says: see [`Pipeline::retry`](crate::Pipeline::retry).
#[derive(Debug)]
pub struct Retry<P>(pub(crate) P);

impl<T, E, P> Attempts<T, E> for Retry<P>
where
    T: Clone + Send,
    E: Send,
    P: Fn(u32, &E) -> Option<Duration> + Send + Sync + 'static,
{
    async fn run<F: Function<T, Error = E>>(
        &self,
        function: &F,
        item: T,
        place: &Place<'_>,
    ) -> Result<F::Given, (E, u32)> {
        let mut item = item;
        let mut attempt = 1;
        loop {
            let again = item.clone();
            let error = match function.call(item).await {
                Ok(given) => return Ok(given),
                Err(error) => error,
            };
            match (self.0)(attempt, &error) {
                Some(pause) => sleep(pause).await,
                None => return Err((error, attempt)),
            }
            place.slot.retries.add(1);
            item = again;
            attempt = attempt.saturating_add(1);
        }
    }
}
