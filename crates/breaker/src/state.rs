//! What is kept for one dependency.

use crate::{
    sync::{AtomicU64, Ordering},
    tally::{Layout, Tally},
    word::Word,
};
use plimsoll_core::Tick;
use std::fmt;

/// What a breaker keeps per key: its state and its counts, 192 bytes, and 128 more
/// where slow calls count.
///
/// Reads and changes are sequentially consistent, as a table of keys needs it
/// (see [`PerKey`](plimsoll_core::PerKey)).
#[repr(C)]
pub struct BreakerState {
    word: AtomicU64,
    /// When it last opened. Only grows, and is raised *before* the word says
    /// that it is open: whoever sees the word sees a moment that is not too early.
    opened_at: AtomicU64,
    /// When the last probe was let through, or the ramp began. Likewise.
    stepped_at: AtomicU64,
    pub(crate) tally: Tally,
}

impl BreakerState {
    pub(crate) fn new(layout: Layout, stripes: usize) -> Self {
        Self {
            word: AtomicU64::new(Word::FRESH.0),
            opened_at: AtomicU64::new(0),
            stepped_at: AtomicU64::new(0),
            tally: Tally::new(layout, stripes),
        }
    }

    #[inline]
    pub(crate) fn load(&self) -> Word {
        Word(self.word.load(Ordering::SeqCst))
    }

    /// Commits a change, if nothing has changed since `seen` was read.
    pub(crate) fn replace(&self, seen: Word, next: Word) -> bool {
        self.word.compare_exchange(seen.0, next.0, Ordering::SeqCst, Ordering::SeqCst).is_ok()
    }

    #[inline]
    pub(crate) fn opened_at(&self) -> Tick {
        Tick::from_nanos(self.opened_at.load(Ordering::SeqCst))
    }

    pub(crate) fn open_from(&self, now: Tick) {
        self.opened_at.fetch_max(now.as_nanos(), Ordering::SeqCst);
    }

    pub(crate) fn stepped_at(&self) -> Tick {
        Tick::from_nanos(self.stepped_at.load(Ordering::SeqCst))
    }

    pub(crate) fn step_from(&self, now: Tick) {
        self.stepped_at.fetch_max(now.as_nanos(), Ordering::SeqCst);
    }
}

/// As the documentation says.
#[cfg(all(target_pointer_width = "64", not(plimsoll_loom)))]
const _: () = assert!(std::mem::size_of::<BreakerState>() == 192);

impl fmt::Debug for BreakerState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BreakerState").field("phase", &self.load().phase()).finish_non_exhaustive()
    }
}

/// What a call under way holds: the generation that it left in, and when.
#[derive(Debug)]
pub struct BreakerTicket {
    pub(crate) generation: u64,
    /// Told only where slow calls count.
    pub(crate) started: Tick,
}
