//! How much is under way, for whoever sheds.

use crate::sync::{AtomicUsize, Ordering::Relaxed};
use plimsoll_core::Load;
use std::{fmt, sync::Arc};

/// Copies of the account's figures, read without its lock. Nothing goes wrong
/// if one is old: it makes somebody early or late.
#[derive(Debug, Default)]
pub struct Hints {
    held: AtomicUsize,
    /// Read for each item.
    chunk: Apart,
    resting: Apart,
}

/// On cache lines of its own: whoever reads it often keeps them until it changes.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Apart(AtomicUsize);

impl Apart {
    fn set(&self, value: usize) {
        if self.0.load(Relaxed) != value {
            self.0.store(value, Relaxed);
        }
    }
}

impl Hints {
    pub(crate) fn set(&self, held: usize, chunk: usize, resting: usize) {
        self.held.store(held, Relaxed);
        self.chunk.set(chunk);
        self.resting.set(resting);
    }

    #[inline]
    pub(crate) fn chunk(&self) -> usize {
        self.chunk.0.load(Relaxed)
    }

    #[inline]
    pub(crate) fn resting(&self) -> usize {
        self.resting.0.load(Relaxed)
    }
}

/// How many items a fan-out has pulled and not yet yielded, of how many it may.
///
/// It keeps nothing running: it can be read before the first poll and after the
/// end. The capacity is `None` where no window was set, since the default
/// follows the cost of the items.
#[derive(Clone)]
pub struct LoadHandle {
    pub(crate) hints: Arc<Hints>,
    pub(crate) window: Option<usize>,
}

impl Load for LoadHandle {
    fn load(&self) -> usize {
        self.hints.held.load(Relaxed)
    }

    fn capacity(&self) -> Option<usize> {
        self.window
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
