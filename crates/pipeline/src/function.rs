//! The user's function in a stage, whatever kind it is.

use std::{
    convert::Infallible,
    future::{pending, ready},
    panic::resume_unwind,
    sync::Arc,
};
use tokio::task::{AbortHandle, spawn_blocking};

/// Makes something of one item: an async function, a plain one, or one that
/// blocks.
pub trait Function<T>: Send + Sync + 'static {
    /// What it makes.
    type Given: Send;
    /// How it fails.
    type Error: Send;
    /// Calls it at once, or gives the item back if it has to be awaited.
    #[inline]
    fn call_now(&self, item: T) -> Result<Result<Self::Given, Self::Error>, T> {
        Err(item)
    }

    /// Calls it.
    fn call(&self, item: T) -> impl Future<Output = Result<Self::Given, Self::Error>> + Send;
}

/// An async function.
#[derive(Debug)]
pub struct Async<F>(pub(crate) F);

impl<T, F, Fut, U, E> Function<T> for Async<F>
where
    F: Fn(T) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<U, E>> + Send,
    U: Send,
    E: Send,
{
    type Given = U;
    type Error = E;

    #[inline]
    fn call(&self, item: T) -> impl Future<Output = Result<U, E>> + Send {
        self.0(item)
    }
}

/// A plain function, called in the stage's task.
#[derive(Debug)]
pub struct Plain<F>(pub(crate) F);

impl<T, F, U, E> Function<T> for Plain<F>
where
    F: Fn(T) -> Result<U, E> + Send + Sync + 'static,
    U: Send,
    E: Send,
{
    type Given = U;
    type Error = E;

    #[inline]
    fn call_now(&self, item: T) -> Result<Result<U, E>, T> {
        Ok(self.0(item))
    }

    #[inline]
    fn call(&self, item: T) -> impl Future<Output = Result<U, E>> + Send {
        ready(self.0(item))
    }
}

/// A plain function that cannot fail.
#[derive(Debug)]
pub struct Sure<F>(pub(crate) F);

impl<T: Send, U: Send, F: Fn(T) -> U + Send + Sync + 'static> Function<T> for Sure<F> {
    type Given = U;
    type Error = Infallible;

    #[inline]
    fn call_now(&self, item: T) -> Result<Result<U, Infallible>, T> {
        Ok(Ok(self.0(item)))
    }

    fn call(&self, item: T) -> impl Future<Output = Result<U, Infallible>> + Send {
        ready(Ok(self.0(item)))
    }
}

/// A function that says which items stay.
#[derive(Debug)]
pub struct Keep<F>(pub(crate) F);

impl<T: Send, F: Fn(&T) -> bool + Send + Sync + 'static> Function<T> for Keep<F> {
    type Given = Option<T>;
    type Error = Infallible;

    #[inline]
    fn call_now(&self, item: T) -> Result<Result<Option<T>, Infallible>, T> {
        Ok(Ok(self.0(&item).then_some(item)))
    }

    fn call(&self, item: T) -> impl Future<Output = Result<Option<T>, Infallible>> + Send {
        ready(Ok(self.0(&item).then_some(item)))
    }
}

/// A function that only looks.
#[derive(Debug)]
pub struct Look<F>(pub(crate) F);

impl<T: Send, F: Fn(&T) + Send + Sync + 'static> Function<T> for Look<F> {
    type Given = T;
    type Error = Infallible;

    #[inline]
    fn call_now(&self, item: T) -> Result<Result<T, Infallible>, T> {
        self.0(&item);
        Ok(Ok(item))
    }

    fn call(&self, item: T) -> impl Future<Output = Result<T, Infallible>> + Send {
        self.0(&item);
        ready(Ok(item))
    }
}

/// A plain function that computes long or waits in the operating system, called
/// on tokio's threads for blocking work.
#[derive(Debug)]
pub struct Blocking<F>(pub(crate) Arc<F>);

impl<T, F, U, E> Function<T> for Blocking<F>
where
    T: Send + 'static,
    F: Fn(T) -> Result<U, E> + Send + Sync + 'static,
    U: Send + 'static,
    E: Send + 'static,
{
    type Given = U;
    type Error = E;

    async fn call(&self, item: T) -> Result<U, E> {
        let function = Arc::clone(&self.0);
        let call = spawn_blocking(move || function(item));
        let _cut_off = AbortOnDrop(call.abort_handle());
        match call.await {
            Ok(result) => result,
            Err(error) => match error.try_into_panic() {
                Ok(panic) => resume_unwind(panic),
                // The runtime shuts down, and this task with it.
                Err(_) => pending().await,
            },
        }
    }
}

/// A call that still waits for a thread must not begin when nobody waits for it.
struct AbortOnDrop(AbortHandle);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}
