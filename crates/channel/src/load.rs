//! What can be read about a channel from outside.

use crate::shared::Shared;
use plimsoll_core::Load;
use std::{fmt, sync::Arc, time::Duration};

/// A channel at one moment, and what it has seen: [`Sender::stats`] and
/// [`Receiver::stats`].
///
/// Room is counted in items, or in weight where the channel is bounded by
/// weight.
///
/// [`Sender::stats`]: crate::Sender::stats
/// [`Receiver::stats`]: crate::Receiver::stats
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Items that wait to be received.
    pub len: usize,
    /// The room taken: by those items, by items of chunks not yet yielded, and
    /// by what feeders have reserved.
    pub load: usize,
    /// The room there is.
    pub capacity: usize,
    /// The most room that items in the channel have taken at once.
    pub high_water: usize,
    /// Calls that wait to send.
    pub sends_waiting: usize,
    /// Calls that wait to receive.
    pub recvs_waiting: usize,
    /// How long calls have waited to send, all added up: the sum grows by two
    /// seconds a second while two wait. A call waits from the poll that finds
    /// no room to the poll that goes on.
    pub send_blocked: Duration,
    /// How long calls have waited to receive, likewise.
    pub recv_blocked: Duration,
}

/// How full a channel is, for those who shed load: it sends nothing, receives
/// nothing and keeps no end open. Made by [`Sender::load_handle`] and
/// [`Receiver::load_handle`].
///
/// Reading the load and the capacity takes no lock.
///
/// [`Sender::load_handle`]: crate::Sender::load_handle
/// [`Receiver::load_handle`]: crate::Receiver::load_handle
///
/// # Example
///
/// ```
/// use plimsoll_core::Load;
///
/// let (tx, rx) = plimsoll_channel::bounded(10);
/// let handle = tx.load_handle();
/// tx.try_send("job")?;
/// assert_eq!((handle.load(), handle.capacity()), (1, Some(10)));
/// drop((tx, rx));
/// assert_eq!(handle.stats().high_water, 1);
/// # Ok::<(), plimsoll_channel::TrySendError<&str>>(())
/// ```
#[derive(Clone)]
pub struct LoadHandle(pub(crate) Arc<dyn Seen>);

impl LoadHandle {
    /// The channel at this moment, and what it has seen, also when both its ends
    /// are gone. Takes the channel's lock.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.0.stats()
    }
}

/// A channel of whatever items.
pub(crate) trait Seen: Load {
    fn stats(&self) -> Stats;
}

impl<T: Send> Seen for Shared<T> {
    fn stats(&self) -> Stats {
        self.stats()
    }
}

impl Load for LoadHandle {
    #[inline]
    fn load(&self) -> usize {
        self.0.load()
    }

    #[inline]
    fn capacity(&self) -> Option<usize> {
        self.0.capacity()
    }
}

impl fmt::Debug for LoadHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LoadHandle")
            .field("load", &self.load())
            .field("capacity", &self.capacity())
            .finish()
    }
}
