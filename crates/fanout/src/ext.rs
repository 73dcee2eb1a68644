//! The methods that any stream has.

use crate::{Blocking, Fallible, FanOut, Plain};
use futures_core::Stream;
use plimsoll_core::ConfigError;
use std::sync::Arc;

/// `.fan_out()` and its kin, on any stream.
///
/// | | workers | items |
/// |---|---|---|
/// | [`fan_out`](Self::fan_out) | tasks | any |
/// | [`try_fan_out`](Self::try_fan_out) | tasks | `Result`s |
/// | [`fan_out_blocking`](Self::fan_out_blocking) | threads that may block | any |
///
/// Every item comes out as one result. What the work returns is `Ok`, and what
/// became of the rest says [`Failure`](crate::Failure).
///
/// # Cancel safety
///
/// Results wait inside the stream and not in the future of `next()`: dropping
/// that loses nothing. Dropping the stream aborts the workers, and with them
/// what they were doing.
///
/// # Panics
///
/// The streams panic when they are first polled outside of a tokio runtime.
pub trait FanOutExt: Stream + Sized {
    /// Runs `work` on each item, on `n` workers, and yields the results as they
    /// come, or in the order of the items with [`ordered`](FanOut::ordered).
    ///
    /// The workers are tasks: they use all cores of the runtime, and they go on
    /// while the consumer is busy, as far as the [`window`](FanOut::window)
    /// lets them. The stream is boxed once.
    ///
    /// # Panics
    ///
    /// When `n` is 0; [`checked_fan_out`](Self::checked_fan_out) returns the
    /// error.
    ///
    /// # Example
    ///
    /// ```
    /// use futures::{StreamExt, stream};
    /// use plimsoll_fanout::FanOutExt;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// async fn length(url: &'static str) -> usize { url.len() }
    ///
    /// let urls = stream::iter(["https://a.example", "https://bc.example"]);
    /// let mut lengths = urls.fan_out(8, |url| length(url)).ordered();
    /// assert_eq!(lengths.next().await, Some(Ok(17)));
    /// assert_eq!(lengths.next().await, Some(Ok(18)));
    /// assert_eq!(lengths.next().await, None);
    /// # }
    /// ```
    #[track_caller]
    fn fan_out<F, Fut>(self, n: usize, work: F) -> FanOut<Self, Plain<F>>
    where
        Self: Send + 'static,
        Self::Item: Send + 'static,
        F: Fn(Self::Item) -> Fut + Send + Sync + 'static,
        Fut: Future + Send,
        Fut::Output: Send + 'static,
    {
        match self.checked_fan_out(n, work) {
            Ok(fan_out) => fan_out,
            Err(error) => error.panic(),
        }
    }

    /// [`fan_out`](Self::fan_out), for a number that comes from configuration.
    /// Not called `try_fan_out`: that is for streams of results.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] when `n` is 0.
    fn checked_fan_out<F, Fut>(
        self,
        n: usize,
        work: F,
    ) -> Result<FanOut<Self, Plain<F>>, ConfigError>
    where
        Self: Send + 'static,
        Self::Item: Send + 'static,
        F: Fn(Self::Item) -> Fut + Send + Sync + 'static,
        Fut: Future + Send,
        Fut::Output: Send + 'static,
    {
        FanOut::new(self, n, Plain(work))
    }

    /// [`fan_out`](Self::fan_out) for a stream of `Result`s and work that
    /// returns one: `work` gets what is `Ok`. An error in the stream comes out
    /// as [`Failure::Failed`](crate::Failure::Failed), as does one of the work;
    /// neither ends the stream.
    ///
    /// # Panics
    ///
    /// When `n` is 0; [`checked_try_fan_out`](Self::checked_try_fan_out) returns
    /// the error.
    ///
    /// # Example
    ///
    /// ```
    /// use futures::{StreamExt, stream};
    /// use plimsoll_fanout::{Failure, FanOutExt};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// let lines = stream::iter([Ok("7"), Err("torn line"), Ok("x")]);
    /// let numbers = lines
    ///     .try_fan_out(4, |line| async move { line.parse::<u8>().map_err(|_| "no number") })
    ///     .ordered();
    /// assert_eq!(
    ///     numbers.collect::<Vec<_>>().await,
    ///     [Ok(7), Err(Failure::Failed("torn line")), Err(Failure::Failed("no number"))]
    /// );
    /// # }
    /// ```
    #[track_caller]
    fn try_fan_out<T, U, E, F, Fut>(self, n: usize, work: F) -> FanOut<Self, Fallible<F>>
    where
        Self: Stream<Item = Result<T, E>> + Send + 'static,
        T: Send + 'static,
        U: Send + 'static,
        E: Send + 'static,
        F: Fn(T) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<U, E>> + Send,
    {
        match self.checked_try_fan_out(n, work) {
            Ok(fan_out) => fan_out,
            Err(error) => error.panic(),
        }
    }

    /// [`try_fan_out`](Self::try_fan_out), for a number that comes from
    /// configuration.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] when `n` is 0.
    fn checked_try_fan_out<T, U, E, F, Fut>(
        self,
        n: usize,
        work: F,
    ) -> Result<FanOut<Self, Fallible<F>>, ConfigError>
    where
        Self: Stream<Item = Result<T, E>> + Send + 'static,
        T: Send + 'static,
        U: Send + 'static,
        E: Send + 'static,
        F: Fn(T) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<U, E>> + Send,
    {
        FanOut::new(self, n, Fallible(work))
    }

    /// [`fan_out`](Self::fan_out) for work that blocks its thread, or computes
    /// for long: each item goes to the runtime's pool of blocking threads, never
    /// more than `n` at a time.
    ///
    /// A call that has begun cannot be aborted: if the stream is dropped, up to
    /// `n` of them run to their end, and a runtime waits for them when it is
    /// dropped.
    ///
    /// # Panics
    ///
    /// When `n` is 0; [`checked_fan_out_blocking`](Self::checked_fan_out_blocking)
    /// returns the error.
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
    #[track_caller]
    fn fan_out_blocking<U, F>(self, n: usize, work: F) -> FanOut<Self, Blocking<F>>
    where
        Self: Send + 'static,
        Self::Item: Send + 'static,
        U: Send + 'static,
        F: Fn(Self::Item) -> U + Send + Sync + 'static,
    {
        match self.checked_fan_out_blocking(n, work) {
            Ok(fan_out) => fan_out,
            Err(error) => error.panic(),
        }
    }

    /// [`fan_out_blocking`](Self::fan_out_blocking), for a number that comes
    /// from configuration.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] when `n` is 0.
    fn checked_fan_out_blocking<U, F>(
        self,
        n: usize,
        work: F,
    ) -> Result<FanOut<Self, Blocking<F>>, ConfigError>
    where
        Self: Send + 'static,
        Self::Item: Send + 'static,
        U: Send + 'static,
        F: Fn(Self::Item) -> U + Send + Sync + 'static,
    {
        FanOut::new(self, n, Blocking(Arc::new(work)))
    }
}

impl<S: Stream> FanOutExt for S {}
