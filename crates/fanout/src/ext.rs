//! The methods that any stream has.

use crate::{
    Blocking, Bounded, ByKey, Fallible, FanOut, FanOutLocal, Plain, bounded, by_key, pool::Bounds,
};
use futures_core::Stream;
use plimsoll_core::{Admit, ConfigError, Outcome};
use std::{hash::Hash, sync::Arc};

/// `.fan_out()` and its kin, on any stream.
///
/// | | workers | items |
/// |---|---|---|
/// | [`fan_out`](Self::fan_out) | tasks | any |
/// | [`try_fan_out`](Self::try_fan_out) | tasks | `Result`s |
/// | [`fan_out_blocking`](Self::fan_out_blocking) | threads that may block | any |
/// | [`fan_out_by_key`](Self::fan_out_by_key) | tasks, each for some keys | any |
/// | [`bounded_fan_out`](Self::bounded_fan_out) | a task for each item, behind a gate | any |
/// | [`fan_out_local`](Self::fan_out_local) | none: the task that polls | any |
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
    /// When `n` is 0 or over 1,048,576; [`checked_fan_out`](Self::checked_fan_out) returns the
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
    /// [`ConfigError`] when `n` is 0 or over 1,048,576.
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
    /// When `n` is 0 or over 1,048,576; [`checked_try_fan_out`](Self::checked_try_fan_out) returns
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
    /// [`ConfigError`] when `n` is 0 or over 1,048,576.
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
    /// When `n` is 0 or over 1,048,576; [`checked_fan_out_blocking`](Self::checked_fan_out_blocking)
    /// returns the error.
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
    /// [`ConfigError`] when `n` is 0 or over 1,048,576.
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

    /// [`fan_out`](Self::fan_out) in the task that polls the stream: nothing is
    /// spawned, nothing need be `Send` or `'static`, and no runtime is needed.
    ///
    /// For what cannot leave its thread or its scope. Work goes on only while
    /// the stream is polled: a consumer that does something else between two
    /// items stops all of it, timeouts inside it run out, and a consumer that
    /// waits for what the work does waits for ever. Only the futures that were
    /// woken are polled.
    ///
    /// # Panics
    ///
    /// When `n` is 0; [`checked_fan_out_local`](Self::checked_fan_out_local)
    /// returns the error.
    ///
    /// # Example
    ///
    /// ```
    /// use futures::{StreamExt, stream};
    /// use plimsoll_fanout::FanOutExt;
    /// use std::{cell::Cell, rc::Rc};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// let total = Rc::new(Cell::new(0)); // of this thread alone
    /// let add = |n| {
    ///     let total = Rc::clone(&total);
    ///     async move { total.set(total.get() + n) }
    /// };
    /// assert_eq!(stream::iter([1, 2, 3]).fan_out_local(2, add).count().await, 3);
    /// assert_eq!(total.get(), 6);
    /// # }
    /// ```
    #[track_caller]
    fn fan_out_local<F, Fut>(self, n: usize, work: F) -> FanOutLocal<Self, F, Fut>
    where
        F: Fn(Self::Item) -> Fut,
        Fut: Future,
    {
        match self.checked_fan_out_local(n, work) {
            Ok(fan_out) => fan_out,
            Err(error) => error.panic(),
        }
    }

    /// [`fan_out_local`](Self::fan_out_local), for a number that comes from
    /// configuration.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] when `n` is 0.
    fn checked_fan_out_local<F, Fut>(
        self,
        n: usize,
        work: F,
    ) -> Result<FanOutLocal<Self, F, Fut>, ConfigError>
    where
        F: Fn(Self::Item) -> Fut,
        Fut: Future,
    {
        FanOutLocal::new(self, n, work)
    }

    /// [`fan_out`](Self::fan_out) with all items of one key on one worker, so
    /// that they run one after the other, in their order, and their results come
    /// in that order.
    ///
    /// A key's hash chooses among the `n` workers; nothing is kept per key, so
    /// there may be any number of keys. Keys that meet on one worker wait for
    /// each other. The [`window`](FanOut::window) is by default 32 items for each
    /// worker; half of it is shared out among the lines before the workers. A
    /// slow key stops its own worker, and the others only when that worker's
    /// line is full and one more item for it has come.
    ///
    /// # Panics
    ///
    /// When `n` is 0 or over 1,048,576; [`checked_fan_out_by_key`](Self::checked_fan_out_by_key)
    /// returns the error.
    #[track_caller]
    fn fan_out_by_key<Q, K, F, Fut>(self, n: usize, key: K, work: F) -> FanOut<Self, ByKey<K, F>>
    where
        Self: Send + 'static,
        Self::Item: Send + 'static,
        Q: Hash + 'static,
        K: Fn(&Self::Item) -> Q + Send + Sync + 'static,
        F: Fn(Self::Item) -> Fut + Send + Sync + 'static,
        Fut: Future + Send,
        Fut::Output: Send + 'static,
    {
        match self.checked_fan_out_by_key(n, key, work) {
            Ok(fan_out) => fan_out,
            Err(error) => error.panic(),
        }
    }

    /// [`fan_out_by_key`](Self::fan_out_by_key), for a number that comes from
    /// configuration.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] when `n` is 0 or over 1,048,576.
    fn checked_fan_out_by_key<Q, K, F, Fut>(
        self,
        n: usize,
        key: K,
        work: F,
    ) -> Result<FanOut<Self, ByKey<K, F>>, ConfigError>
    where
        Self: Send + 'static,
        Self::Item: Send + 'static,
        Q: Hash + 'static,
        K: Fn(&Self::Item) -> Q + Send + Sync + 'static,
        F: Fn(Self::Item) -> Fut + Send + Sync + 'static,
        Fut: Future + Send,
        Fut::Output: Send + 'static,
    {
        let mut bounds = Bounds::new(n)?;
        bounds.set_window(by_key::default_window(n))?;
        Ok(FanOut::within(self, bounds, ByKey::new(key, work)))
    }

    /// Asks `gate` for each item, and starts a task for those that it lets in:
    /// as many run as the gate allows at the time, however many inputs there
    /// are.
    ///
    /// The gate is any [`Admit`], by a handle that clones cheaply, mostly an
    /// `Arc`; it is told the item. Items ask in order: where the gate lets work
    /// wait, one waits, and those behind it are not pulled. What the gate hears
    /// of an item is a success for `Ok`, a failure for `Err` and for a panic;
    /// [`bounded_fan_out_with`](Self::bounded_fan_out_with) decides otherwise.
    /// Work that cannot fail returns `Ok`. A refused item comes out as
    /// [`BoundedError::Refused`](crate::BoundedError::Refused), and nothing of
    /// it is lost.
    ///
    /// The [`window`](FanOut::window) is 1,024 unless it is set.
    #[expect(clippy::type_complexity, reason = "spelt out, so that it can be named")]
    fn bounded_fan_out<U, E, G, F, Fut>(
        self,
        gate: G,
        work: F,
    ) -> FanOut<Self, Bounded<G, F, fn(&Result<U, E>) -> Outcome>>
    where
        Self: Send + 'static,
        Self::Item: Send + Sync + 'static,
        U: Send + 'static,
        E: Send + 'static,
        G: Admit<Self::Item> + Clone + 'static,
        F: Fn(Self::Item) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<U, E>> + Send + 'static,
    {
        self.bounded_fan_out_with(gate, work, |result| match result {
            Ok(_) => Outcome::Success,
            Err(_) => Outcome::Failure,
        })
    }

    /// [`bounded_fan_out`](Self::bounded_fan_out); `judge` says what a result
    /// means to the gate.
    fn bounded_fan_out_with<U, E, G, F, Fut, J>(
        self,
        gate: G,
        work: F,
        judge: J,
    ) -> FanOut<Self, Bounded<G, F, J>>
    where
        Self: Send + 'static,
        Self::Item: Send + Sync + 'static,
        U: Send + 'static,
        E: Send + 'static,
        G: Admit<Self::Item> + Clone + 'static,
        F: Fn(Self::Item) -> Fut + Send + Sync + 'static,
        J: Fn(&Result<U, E>) -> Outcome + Send + Sync + 'static,
        Fut: Future<Output = Result<U, E>> + Send + 'static,
    {
        FanOut::within(self, Bounds::of_one(bounded::WINDOW), Bounded { gate, work, judge })
    }
}

impl<S: Stream> FanOutExt for S {}
