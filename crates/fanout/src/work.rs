//! What is done with an item.

use crate::{
    Answer, Failure, Panicked,
    load::Hints,
    outlet::Outlet,
    pool::{self, Bounds},
};
use futures_core::Stream;
use std::{convert::Infallible, pin::Pin, sync::Arc};
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

    /// Starts the tasks: workers that pull, unless the kind of work wants others.
    #[doc(hidden)]
    fn start<S>(
        self,
        source: Pin<Box<S>>,
        mut bounds: Bounds,
        hints: &Arc<Hints>,
    ) -> Outlet<S, Self::Output, Self::Error>
    where
        Self: Sized,
        S: Stream<Item = T> + Send + 'static,
        T: Send + 'static,
    {
        // A source that knows its length needs no more workers than that.
        let most = source.size_hint().1.unwrap_or(usize::MAX).max(1);
        bounds.workers = bounds.workers.min(most);
        let work = Arc::new(self);
        Outlet::start(source, bounds, hints, |tasks, leave, worker| {
            tasks.spawn(pool::work(leave, Arc::clone(&work), worker));
        })
    }
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
///
/// # Example
///
/// ```
/// use futures::{StreamExt, stream};
/// use plimsoll_fanout::FanOutExt;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let manifests = stream::iter(["Cargo.toml", "no such file"]);
/// let read = manifests.fan_out_blocking(2, |path| std::fs::read(path)).ordered();
/// let read: Vec<_> = read.map(|result| result.unwrap().is_ok()).collect().await;
/// assert_eq!(read, [true, false]);
/// # }
/// ```
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
