//! What is done with an item.

use crate::{Answer, Failure, Panicked};
use std::{convert::Infallible, sync::Arc};
use tokio::task::spawn_blocking;

/// What turns an item into a result: the last parameter of [`FanOut`]. It is
/// made by the methods of [`FanOutExt`] and not by users.
///
/// [`FanOut`]: crate::FanOut
/// [`FanOutExt`]: crate::FanOutExt
pub trait Work<T>: Send + Sync + 'static {
    /// What the work yields when it goes well.
    type Output: Send + 'static;
    /// What it says when it does not.
    type Error: Send + 'static;

    #[doc(hidden)]
    fn run(&self, item: T) -> impl Future<Output = Answer<Self::Output, Self::Error>> + Send;
}

/// An async function of any item: see [`fan_out`](crate::FanOutExt::fan_out).
#[derive(Clone, Copy, Debug)]
pub struct Plain<F>(pub(crate) F);

impl<T, F, Fut> Work<T> for Plain<F>
where
    T: Send,
    F: Fn(T) -> Fut + Send + Sync + 'static,
    Fut: Future + Send,
    Fut::Output: Send + 'static,
{
    type Output = Fut::Output;
    type Error = Infallible;

    async fn run(&self, item: T) -> Answer<Fut::Output, Infallible> {
        Ok((self.0)(item).await)
    }
}

/// An async function of what is `Ok`: see
/// [`try_fan_out`](crate::FanOutExt::try_fan_out).
#[derive(Clone, Copy, Debug)]
pub struct Fallible<F>(pub(crate) F);

impl<T, U, E, F, Fut> Work<Result<T, E>> for Fallible<F>
where
    T: Send,
    U: Send + 'static,
    E: Send + 'static,
    F: Fn(T) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<U, E>> + Send,
{
    type Output = U;
    type Error = E;

    async fn run(&self, item: Result<T, E>) -> Answer<U, E> {
        match item {
            Ok(item) => (self.0)(item).await.map_err(Failure::Failed),
            Err(error) => Err(Failure::Failed(error)),
        }
    }
}

/// A function that blocks: see
/// [`fan_out_blocking`](crate::FanOutExt::fan_out_blocking).
#[derive(Debug)]
pub struct Blocking<F>(pub(crate) Arc<F>);

impl<T, U, F> Work<T> for Blocking<F>
where
    T: Send + 'static,
    U: Send + 'static,
    F: Fn(T) -> U + Send + Sync + 'static,
{
    type Output = U;
    type Error = Infallible;

    async fn run(&self, item: T) -> Answer<U, Infallible> {
        let work = Arc::clone(&self.0);
        spawn_blocking(move || work(item)).await.map_err(|ended| match ended.try_into_panic() {
            Ok(panic) => Failure::Panicked(Panicked::new(panic)),
            Err(_) => Failure::Cancelled,
        })
    }
}
