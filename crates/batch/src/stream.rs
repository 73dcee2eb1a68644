//! `.batched()` and its kin on any stream.

mod batched;
mod by_bytes;
mod by_key;
mod gather;
mod group;
mod try_batched;

pub use self::{
    batched::Batched, by_bytes::BatchedByBytes, by_key::BatchedByKey, group::Group,
    try_batched::TryBatched,
};
use futures_core::Stream;
use plimsoll_core::ConfigError;
use std::{hash::Hash, time::Duration};

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
    /// use std::{hash::Hash, time::Duration};
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

    /// Groups of at most `size` items and at most `bytes` bytes, as `bytes_of`
    /// counts them, no older than `linger`. A group leaves before an item that
    /// would be too much for it; an item that is too much by itself goes alone.
    /// If `bytes_of` panics, that item is lost and no other.
    ///
    /// # Panics
    ///
    /// When `size` or `bytes` is 0;
    /// [`checked_batched_by_bytes`](Self::checked_batched_by_bytes) returns the
    /// error.
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
    /// let lines = stream::iter(["a", "bb", "ccccccccc", "d"]);
    /// let groups = lines.batched_by_bytes(100, 4, Duration::from_secs(1), |line| line.len());
    /// let groups = groups.map(|group| (group.why(), group.into_vec())).collect::<Vec<_>>().await;
    /// assert_eq!(groups[0], (Emitted::Heavy, vec!["a", "bb"]));
    /// assert_eq!(groups[1], (Emitted::Heavy, vec!["ccccccccc"]));
    /// assert_eq!(groups[2], (Emitted::Ended, vec!["d"]));
    /// # }
    /// ```
    #[track_caller]
    fn batched_by_bytes<F>(
        self,
        size: usize,
        bytes: usize,
        linger: Duration,
        bytes_of: F,
    ) -> BatchedByBytes<Self, F>
    where
        F: FnMut(&Self::Item) -> usize,
    {
        match self.checked_batched_by_bytes(size, bytes, linger, bytes_of) {
            Ok(batched) => batched,
            Err(error) => error.panic(),
        }
    }

    /// [`batched_by_bytes`](Self::batched_by_bytes), for bounds that come from
    /// configuration.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] when `size` or `bytes` is 0.
    fn checked_batched_by_bytes<F>(
        self,
        size: usize,
        bytes: usize,
        linger: Duration,
        bytes_of: F,
    ) -> Result<BatchedByBytes<Self, F>, ConfigError>
    where
        F: FnMut(&Self::Item) -> usize,
    {
        BatchedByBytes::new(self, size, bytes, linger, bytes_of)
    }

    /// Groups of at most `size` items with equal keys, each with its key, none
    /// older than `linger` from its own first item on. Items of one key keep
    /// their order. A key without a group takes no room; how many groups may be
    /// open at once says [`max_groups`](BatchedByKey::max_groups). If `key_of`
    /// panics, that item is lost and no other.
    ///
    /// The clock is read once for each poll, also while the stream is ready: a
    /// rare key's group leaves in time though other keys' items never cease.
    ///
    /// # Panics
    ///
    /// When `size` is 0;
    /// [`checked_batched_by_key`](Self::checked_batched_by_key) returns the error.
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
    /// let rows = stream::iter([("eu", 1), ("us", 2), ("eu", 3), ("eu", 4)]);
    /// let mut groups = rows.batched_by_key(2, Duration::from_secs(1), |row| row.0);
    /// let (region, group) = groups.next().await.unwrap();
    /// assert_eq!((region, &group[..], group.why()), ("eu", &[("eu", 1), ("eu", 3)][..], Emitted::Full));
    /// assert_eq!(groups.next().await.unwrap().0, "us"); // at the end, the oldest first
    /// assert_eq!(groups.next().await.unwrap().1.into_vec(), [("eu", 4)]);
    /// # }
    /// ```
    #[track_caller]
    fn batched_by_key<K, F>(
        self,
        size: usize,
        linger: Duration,
        key_of: F,
    ) -> BatchedByKey<Self, K, F>
    where
        K: Eq + Hash + Clone,
        F: FnMut(&Self::Item) -> K,
    {
        match self.checked_batched_by_key(size, linger, key_of) {
            Ok(batched) => batched,
            Err(error) => error.panic(),
        }
    }

    /// [`batched_by_key`](Self::batched_by_key), for a size that comes from
    /// configuration.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] when `size` is 0.
    fn checked_batched_by_key<K, F>(
        self,
        size: usize,
        linger: Duration,
        key_of: F,
    ) -> Result<BatchedByKey<Self, K, F>, ConfigError>
    where
        K: Eq + Hash + Clone,
        F: FnMut(&Self::Item) -> K,
    {
        BatchedByKey::new(self, size, linger, key_of)
    }
}

impl<S: Stream> BatchStreamExt for S {}
