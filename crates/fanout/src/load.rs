//! How much is under way, for whoever sheds.

use crate::sync::{AtomicUsize, Ordering::Relaxed};
use plimsoll_core::Load;
use std::{fmt, sync::Arc};

/// Copies of the account's figures, read without its lock. Nothing goes wrong
/// if one is old: it makes somebody early or late.
#[derive(Debug, Default)]
pub struct Hints {
    held: AtomicUsize,
    chunk: AtomicUsize,
    resting: AtomicUsize,
}

impl Hints {
    pub(crate) fn set(&self, held: usize, chunk: usize, resting: usize) {
        self.held.store(held, Relaxed);
        self.chunk.store(chunk, Relaxed);
        self.resting.store(resting, Relaxed);
    }

    #[inline]
    pub(crate) fn chunk(&self) -> usize {
        self.chunk.load(Relaxed)
    }

    #[inline]
    pub(crate) fn resting(&self) -> usize {
        self.resting.load(Relaxed)
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
