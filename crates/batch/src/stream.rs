//! `.batched()` and `.try_batched()` on any stream.

mod batched;
mod gather;
mod group;
mod try_batched;

pub use self::{
    batched::Batched,
    group::{Emitted, Group},
    try_batched::TryBatched,
};
use futures_core::Stream;
use plimsoll_core::ConfigError;
use std::time::Duration;

/// Groups the items of any stream by size and time.
///
/// A group is emitted when it is full, when its first item is `linger` old and
/// the stream has nothing ready, or when the stream ends; never empty. While the
/// stream is ready the clock is not read, so a stream whose items each take long
/// to make *without pending* fills its groups, whatever the time.
///
/// # Cancel safety
///
/// Items wait inside the adapter and not in the future of `next()`: dropping that
/// loses nothing. Dropping the adapter drops the group under way; `into_parts`
/// gives it back instead.
///
/// # Panics
///
/// Polled outside of a tokio runtime with timers, once the stream pends with a
/// group under way.
pub trait BatchStreamExt: Stream + Sized {
    /// Groups of at most `size` items, no older than `linger`. The stream is
    /// boxed once.
    ///
    /// # Panics
    ///
    /// When `size` is 0; [`checked_batched`](Self::checked_batched) returns the
    /// error.
    #[track_caller]
    fn batched(self, size: usize, linger: Duration) -> Batched<Self> {
        match self.checked_batched(size, linger) {
            Ok(batched) => batched,
            Err(error) => error.panic(),
        }
    }

    /// [`batched`](Self::batched), for a size that comes from configuration.
    /// Not called `try_batched`: that is for streams of results.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] when `size` is 0.
    fn checked_batched(self, size: usize, linger: Duration) -> Result<Batched<Self>, ConfigError> {
        Batched::new(self, size, linger)
    }

    /// [`batched`](Self::batched) for a stream of `Result`s: groups of what is
    /// `Ok`. An error ends the group before it, comes right after that, and the
    /// stream goes on.
    ///
    /// # Panics
    ///
    /// When `size` is 0; [`checked_try_batched`](Self::checked_try_batched)
    /// returns the error.
    ///
    /// # Example
    ///
    /// ```
    /// use futures::{StreamExt, stream};
    /// use plimsoll_batch::{BatchStreamExt, Emitted};
    /// use std::time::Duration;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// let rows = stream::iter([Ok(1), Ok(2), Err("torn page"), Ok(3)]);
    /// let mut groups = rows.try_batched(10, Duration::from_secs(1));
    /// assert_eq!(groups.next().await.unwrap().unwrap().why(), Emitted::Failed);
    /// assert_eq!(groups.next().await.unwrap().unwrap_err(), "torn page");
    /// assert_eq!(groups.next().await.unwrap().unwrap().into_vec(), [3]);
    /// assert!(groups.next().await.is_none());
    /// # }
    /// ```
    #[track_caller]
    fn try_batched<T, E>(self, size: usize, linger: Duration) -> TryBatched<Self, T, E>
    where
        Self: Stream<Item = Result<T, E>>,
    {
        match self.checked_try_batched(size, linger) {
            Ok(batched) => batched,
            Err(error) => error.panic(),
        }
    }

    /// [`try_batched`](Self::try_batched), for a size that comes from
    /// configuration.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] when `size` is 0.
    fn checked_try_batched<T, E>(
        self,
        size: usize,
        linger: Duration,
    ) -> Result<TryBatched<Self, T, E>, ConfigError>
    where
        Self: Stream<Item = Result<T, E>>,
    {
        TryBatched::new(self, size, linger)
    }
}

impl<S: Stream> BatchStreamExt for S {}
