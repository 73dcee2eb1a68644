//! What happens to an item that failed.

use crate::{
    error::BoxError,
    sync::{AtomicU64, Ordering::Relaxed},
};
use plimsoll_channel::Sender;
use std::{error::Error, fmt, sync::Arc};

/// What a stage does with an item whose function returned an error:
/// [`stop`], [`skip`], [`dead_letter`], [`dead_letter_returned`], or one of your
/// own, given to [`Pipeline::on_error`](crate::Pipeline::on_error).
///
/// `T` is what the function was called with, `E` its error.
pub trait OnError<T, E>: Send + Sync + 'static {
    /// What must be kept of an item until it is known how its call ends.
    type Kept: Send;

    /// Called with each item before the function is.
    fn keep(&self, item: &T) -> Self::Kept;

    /// Called when the function has failed for the last time.
    ///
    /// # Errors
    ///
    /// An error stops the run, which fails with it.
    fn failed(
        &self,
        failure: Failure<Self::Kept, E>,
    ) -> impl Future<Output = Result<Handled, BoxError>> + Send;
}

/// A call that failed.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Failure<K, E> {
    /// The stage.
    pub stage: Arc<str>,
    /// What was kept of the item.
    pub kept: K,
    /// The last error.
    pub error: E,
    /// How often the function was called for it.
    pub attempts: u32,
}

/// How a failed item was dealt with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Handled {
    /// It is left out.
    Skipped,
    /// Somebody has it who keeps it.
    DeadLettered,
}

/// The first error ends the run: what every stage does unless it is told
/// otherwise. Stages before it are cut off, stages behind it finish what has
/// reached them.
#[must_use]
pub fn stop() -> Stop {
    Stop
}

/// See [`stop`].
#[derive(Clone, Copy, Debug, Default)]
pub struct Stop;

impl<T, E: Into<BoxError> + Send> OnError<T, E> for Stop {
    type Kept = ();

    #[inline]
    fn keep(&self, _: &T) {}

    async fn failed(&self, failure: Failure<(), E>) -> Result<Handled, BoxError> {
        Err(failure.error.into())
    }
}

/// Leaves out items that fail, and counts them.
#[must_use]
pub fn skip() -> Skip<()> {
    Skip { seen: AtomicU64::new(0), every: 0, tell: () }
}

/// See [`skip`].
#[derive(Debug)]
pub struct Skip<F> {
    seen: AtomicU64,
    every: u64,
    tell: F,
}

impl Skip<()> {
    /// Calls `tell` with the first error and with each `every`th after it: the
    /// log stays readable when everything fails.
    ///
    /// With `every` 1 it is called with each, with 0 with the first alone.
    #[must_use]
    pub fn sampled<E, F>(self, every: u64, tell: F) -> Skip<F>
    where
        F: Fn(&Failure<(), E>) + Send + Sync + 'static,
    {
        Skip { seen: self.seen, every, tell }
    }
}

impl<T, E: Send> OnError<T, E> for Skip<()> {
    type Kept = ();

    #[inline]
    fn keep(&self, _: &T) {}

    async fn failed(&self, _: Failure<(), E>) -> Result<Handled, BoxError> {
        Ok(Handled::Skipped)
    }
}

impl<T, E, F> OnError<T, E> for Skip<F>
where
    E: Send,
    F: Fn(&Failure<(), E>) + Send + Sync + 'static,
{
    type Kept = ();

    #[inline]
    fn keep(&self, _: &T) {}

    async fn failed(&self, failure: Failure<(), E>) -> Result<Handled, BoxError> {
        let before = self.seen.fetch_add(1, Relaxed);
        if before == 0 || (self.every > 0 && before % self.every == 0) {
            (self.tell)(&failure);
        }
        Ok(Handled::Skipped)
    }
}

/// An item that failed, with everything that is known about it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct DeadLetter<T, E> {
    /// What the function was called with.
    pub item: T,
    /// The stage.
    pub stage: Arc<str>,
    /// The last error.
    pub error: E,
    /// How often the function was called for it.
    pub attempts: u32,
}

/// Takes items that failed.
///
/// An async closure of one [`DeadLetter`] is one, and so is the
/// [`Sender`] of a channel of them.
pub trait DeadLetters<T, E>: Send + Sync + 'static {
    /// Keeps it.
    ///
    /// # Errors
    ///
    /// When it cannot: the run is stopped rather than that the item is lost.
    fn take(&self, letter: DeadLetter<T, E>) -> impl Future<Output = Result<(), BoxError>> + Send;
}

impl<T, E, F, Fut, E2> DeadLetters<T, E> for F
where
    T: Send,
    E: Send,
    F: Fn(DeadLetter<T, E>) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<(), E2>> + Send,
    E2: Into<BoxError>,
{
    async fn take(&self, letter: DeadLetter<T, E>) -> Result<(), BoxError> {
        self(letter).await.map_err(Into::into)
    }
}

impl<T: Send + 'static, E: Send + 'static> DeadLetters<T, E> for Sender<DeadLetter<T, E>> {
    async fn take(&self, letter: DeadLetter<T, E>) -> Result<(), BoxError> {
        self.send(letter).await.map_err(|error| {
            let DeadLetter { stage, .. } = error.into_inner();
            format!("nobody takes the dead letters of stage `{stage}`: their channel is closed")
                .into()
        })
    }
}

/// Hands items that fail to `letters`: the item itself, its stage, its error and
/// how often it was tried. Each item is cloned before its call, since the call
/// takes it away; [`dead_letter_returned`] needs no clone.
#[must_use]
pub fn dead_letter<L>(letters: L) -> ToDeadLetters<L> {
    ToDeadLetters(letters)
}

/// See [`dead_letter`].
#[derive(Clone, Debug)]
pub struct ToDeadLetters<L>(L);

impl<T, E, L> OnError<T, E> for ToDeadLetters<L>
where
    T: Clone + Send,
    E: Send,
    L: DeadLetters<T, E>,
{
    type Kept = T;

    #[inline]
    fn keep(&self, item: &T) -> T {
        item.clone()
    }

    async fn failed(&self, failure: Failure<T, E>) -> Result<Handled, BoxError> {
        let Failure { stage, kept, error, attempts } = failure;
        self.0.take(DeadLetter { item: kept, stage, error, attempts }).await?;
        Ok(Handled::DeadLettered)
    }
}

/// An error that gives back the item that it befell, or what is to be kept of
/// it, for [`dead_letter_returned`].
///
/// # Example
///
/// ```
/// use plimsoll_pipeline::Returned;
///
/// let parse = |line: String| line.parse::<u32>().map_err(|error| Returned { item: line, error });
/// assert_eq!(parse("x".to_owned()).unwrap_err().item, "x");
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Returned<T, E> {
    /// The item.
    pub item: T,
    /// What is wrong with it.
    pub error: E,
}

/// Without the item, which may be large or secret.
impl<T, E: fmt::Debug> fmt::Debug for Returned<T, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Returned").field("error", &self.error).finish_non_exhaustive()
    }
}

impl<T, E: fmt::Display> fmt::Display for Returned<T, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(f)
    }
}

/// Stands for the error itself: its source is that one's.
impl<T, E: Error> Error for Returned<T, E> {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.error.source()
    }
}

/// Hands items that fail to `letters`, for a function that returns them, or what
/// is to be kept of them, with its error, as [`Returned`]: nothing is cloned.
#[must_use]
pub fn dead_letter_returned<L>(letters: L) -> ReturnedToDeadLetters<L> {
    ReturnedToDeadLetters(letters)
}

/// See [`dead_letter_returned`].
#[derive(Clone, Debug)]
pub struct ReturnedToDeadLetters<L>(L);

impl<I, T, E, L> OnError<I, Returned<T, E>> for ReturnedToDeadLetters<L>
where
    T: Send,
    E: Send,
    L: DeadLetters<T, E>,
{
    type Kept = ();

    #[inline]
    fn keep(&self, _: &I) {}

    async fn failed(&self, failure: Failure<(), Returned<T, E>>) -> Result<Handled, BoxError> {
        let Failure { stage, error: Returned { item, error }, attempts, .. } = failure;
        self.0.take(DeadLetter { item, stage, error, attempts }).await?;
        Ok(Handled::DeadLettered)
    }
}
