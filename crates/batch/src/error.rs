//! Why an item was not taken, and why a taken one has no result.

use plimsoll_core::{AsRejected, Rejected};
use std::{error, fmt, sync::Arc};

/// Why a submitted item has no result.
///
/// Only [`Rejected`](Self::Rejected) says that the item was not flushed. After
/// any other error a flush was, or may have been, called with it.
///
/// # Example
///
/// ```
/// use plimsoll_batch::SubmitError;
///
/// let error: SubmitError<std::io::Error> = SubmitError::WrongCount { sent: 3, got: 2 };
/// assert_eq!(error.to_string(), "the flush returned 2 results for 3 items");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SubmitError<E> {
    /// The item was not accepted: the queue is full, or the batcher is closed.
    Rejected(Rejected),
    /// The flush says that this item, or its whole batch, failed.
    Failed(E),
    /// The flush panicked with this message. The batcher goes on.
    Panicked(Arc<str>),
    /// The flush returned a number of results that is not that of the items, so
    /// that nobody knows which result is whose.
    WrongCount {
        /// How many items the flush was given.
        sent: usize,
        /// How many results it returned.
        got: usize,
    },
    /// The runtime on which the batcher ran was shut down before the flush
    /// ended.
    Abandoned,
}

impl<E> fmt::Display for SubmitError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rejected(_) => f.write_str("the batcher did not accept the item"),
            Self::Failed(_) => f.write_str("the flush failed"),
            Self::Panicked(message) => write!(f, "the flush panicked: {message}"),
            Self::WrongCount { sent, got } => {
                write!(f, "the flush returned {got} results for {sent} items")
            }
            Self::Abandoned => f.write_str("the runtime ended before the flush did"),
        }
    }
}

impl<E: error::Error + 'static> error::Error for SubmitError<E> {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        match self {
            Self::Rejected(refusal) => Some(refusal),
            Self::Failed(error) => Some(error),
            Self::Panicked(_) | Self::WrongCount { .. } | Self::Abandoned => None,
        }
    }
}

impl<E: error::Error + 'static> AsRejected for SubmitError<E> {
    fn as_rejected(&self) -> Option<Rejected> {
        match self {
            Self::Rejected(refusal) => Some(*refusal),
            Self::Failed(error) => Rejected::find(error),
            Self::Panicked(_) | Self::WrongCount { .. } | Self::Abandoned => None,
        }
    }
}

impl<T, E> From<Refused<T>> for SubmitError<E> {
    fn from(refused: Refused<T>) -> Self {
        Self::Rejected(refused.why)
    }
}

/// An item that was not accepted, and why: nothing is lost by a refusal.
///
/// The reason is `Overload` when the queue is full and `Closed` when the batcher
/// drains or has ended.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Refused<T> {
    /// The item, as it was given.
    pub item: T,
    /// Why.
    pub why: Rejected,
}

impl<T> fmt::Debug for Refused<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Refused").field("why", &self.why).finish_non_exhaustive()
    }
}

impl<T> fmt::Display for Refused<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.why, f)
    }
}

impl<T> error::Error for Refused<T> {}

impl<T> AsRejected for Refused<T> {
    fn as_rejected(&self) -> Option<Rejected> {
        Some(self.why)
    }
}
