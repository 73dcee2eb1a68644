//! How channels are made.

use crate::{
    Receiver, Sender,
    shared::{Shared, Weigh},
    watch::Watch,
};
use plimsoll_core::{Clock, ConfigError, DefaultClock};
use std::{fmt, sync::Arc};

/// A channel that holds at most `capacity` items.
///
/// Memory grows with what is in the channel, not with `capacity`.
///
/// # Panics
///
/// When `capacity` is 0. [`try_bounded`] returns the error.
///
/// # Example
///
/// ```
/// use plimsoll_channel::{TrySendError, bounded};
///
/// let (tx, mut rx) = bounded(2);
/// tx.try_send('a')?;
/// tx.try_send('b')?;
/// assert_eq!(tx.try_send('c'), Err(TrySendError::Full('c')));
/// assert_eq!(rx.try_recv(), Ok('a'));
/// # Ok::<(), TrySendError<char>>(())
/// ```
#[track_caller]
#[must_use]
pub fn bounded<T>(capacity: usize) -> (Sender<T>, Receiver<T>) {
    match try_bounded(capacity) {
        Ok(ends) => ends,
        Err(error) => error.panic(),
    }
}

/// A channel that holds at most `capacity` items.
///
/// # Errors
///
/// [`ConfigError`] when `capacity` is 0.
pub fn try_bounded<T>(capacity: usize) -> Result<(Sender<T>, Receiver<T>), ConfigError> {
    Builder::new(capacity).build()
}

/// A channel that holds items of at most `capacity` in all, each as much as
/// `weigh` says when it is sent: bytes, rows, cost.
///
/// An item that says 0 counts as 1. An item heavier than `capacity` waits until
/// the channel is empty, and passes alone.
///
/// # Panics
///
/// When `capacity` is 0. [`try_bounded_by`] returns the error.
///
/// # Example
///
/// ```
/// use plimsoll_channel::{TrySendError, bounded_by};
///
/// let (tx, mut rx) = bounded_by(1024, |page: &Vec<u8>| page.len());
/// tx.try_send(vec![0; 1000])?;
/// assert!(matches!(tx.try_send(vec![0; 25]), Err(TrySendError::Full(_))));
/// tx.try_send(vec![0; 24])?;
/// # Ok::<(), TrySendError<Vec<u8>>>(())
/// ```
#[track_caller]
#[must_use]
pub fn bounded_by<T>(
    capacity: usize,
    weigh: impl Fn(&T) -> usize + Send + Sync + 'static,
) -> (Sender<T>, Receiver<T>) {
    match try_bounded_by(capacity, weigh) {
        Ok(ends) => ends,
        Err(error) => error.panic(),
    }
}

/// A channel bounded by weight, as [`bounded_by`] makes it.
///
/// # Errors
///
/// [`ConfigError`] when `capacity` is 0.
pub fn try_bounded_by<T>(
    capacity: usize,
    weigh: impl Fn(&T) -> usize + Send + Sync + 'static,
) -> Result<(Sender<T>, Receiver<T>), ConfigError> {
    Builder::new(capacity).weigh(weigh).build()
}

/// Makes a channel with another clock than the default one, or none.
///
/// # Example
///
/// ```
/// use plimsoll_channel::Builder;
/// use plimsoll_core::ManualClock;
///
/// let (tx, rx) = Builder::new(64).clock(ManualClock::new()).build()?;
/// tx.try_send(1).unwrap();
/// assert_eq!(rx.stats().send_blocked, std::time::Duration::ZERO);
/// # Ok::<(), plimsoll_core::ConfigError>(())
/// ```
#[must_use]
pub struct Builder<T> {
    capacity: usize,
    weigh: Option<Weigh<T>>,
    watch: Watch,
}

impl<T> Builder<T> {
    /// A channel that holds at most `capacity` items.
    pub fn new(capacity: usize) -> Self {
        Self { capacity, weigh: None, watch: Watch::Default(DefaultClock::new()) }
    }

    /// Bounds it by weight, as [`bounded_by`] does. By default each item weighs
    /// 1.
    pub fn weigh(mut self, weigh: impl Fn(&T) -> usize + Send + Sync + 'static) -> Self {
        self.weigh = Some(Box::new(weigh));
        self
    }

    /// What measures the time that calls wait. Read only when one does. By
    /// default a [`DefaultClock`].
    pub fn clock(mut self, clock: impl Clock + 'static) -> Self {
        self.watch = Watch::Own(Box::new(clock));
        self
    }

    /// Measures no time: [`Stats`](crate::Stats) says that nobody ever waited. It
    /// saves two readings of the clock for each call that waits, a tenth of what
    /// a lone item costs on its way.
    pub fn untimed(mut self) -> Self {
        self.watch = Watch::Still;
        self
    }

    /// The channel.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] when the capacity is 0.
    pub fn build(self) -> Result<(Sender<T>, Receiver<T>), ConfigError> {
        if self.capacity == 0 {
            return Err(ConfigError::new("capacity", self.capacity, "at least 1"));
        }
        let shared = Arc::new(Shared::new(self.capacity, self.weigh, self.watch));
        Ok((Sender::of(Arc::clone(&shared)), Receiver::of(shared)))
    }
}

impl<T> fmt::Debug for Builder<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder")
            .field("capacity", &self.capacity)
            .field("by_weight", &self.weigh.is_some())
            .finish_non_exhaustive()
    }
}
