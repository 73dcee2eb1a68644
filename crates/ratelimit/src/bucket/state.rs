//! The one word of a bucket.

use super::{dial::Version, scale::Wait};
use crate::sync::{AtomicU64, Ordering};
use std::fmt;

/// What a bucket keeps per key: one word.
///
/// `[somebody waits 1 | empty mark 63]`. The mark is a reading of the clock in
/// units, see the module `scale`. While somebody waits, the word changes only
/// under the lock of the line.
///
/// Reads and changes are sequentially consistent, as a table of keys needs it
/// (see [`PerKey`](plimsoll_core::PerKey)). On x86 that costs nothing more.
pub struct BucketState(AtomicU64);

/// Somebody waits: decide under the lock.
const WAITING: u64 = 1 << 63;

/// A reading of the word.
#[derive(Clone, Copy)]
pub(super) struct Word(u64);

impl Word {
    #[inline]
    pub(super) fn somebody_waits(self) -> bool {
        self.0 & WAITING != 0
    }

    #[inline]
    pub(super) fn empty_mark(self) -> u64 {
        self.0 & !WAITING
    }
}

impl BucketState {
    /// Full, whatever the scale.
    pub(super) fn fresh() -> Self {
        Self(AtomicU64::new(0))
    }

    /// Which line is this state's: it does not move while anybody waits.
    pub(super) fn address(&self) -> usize {
        std::ptr::from_ref(self).addr()
    }

    #[inline]
    pub(super) fn load(&self) -> Word {
        Word(self.0.load(Ordering::SeqCst))
    }

    /// Moves the mark of a word that was read, whoever waits.
    #[inline]
    pub(super) fn replace_mark(&self, word: Word, empty: u64) -> Result<(), Word> {
        self.replace(word, word.0 & WAITING | empty)
    }

    /// From now on somebody waits. Only under the lock.
    pub(super) fn close(&self, word: Word) -> Result<(), Word> {
        self.replace(word, word.0 | WAITING)
    }

    /// From now on nobody waits. Only under the lock.
    pub(super) fn open(&self) {
        self.0.fetch_and(!WAITING, Ordering::SeqCst);
    }

    #[inline]
    fn replace(&self, word: Word, new: u64) -> Result<(), Word> {
        match self.0.compare_exchange(word.0, new, Ordering::SeqCst, Ordering::SeqCst) {
            Ok(_) => Ok(()),
            Err(seen) => Err(Word(seen)),
        }
    }
}

impl fmt::Debug for BucketState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BucketState").finish_non_exhaustive()
    }
}

/// What an admission leaves with its permit. Plain data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BucketTicket {
    pub(super) n: u32,
    /// The setting of the dial it was taken under, shortened.
    version: u32,
    /// The empty mark it left.
    pub(super) empty: u64,
}

#[expect(clippy::cast_possible_truncation, reason = "no ticket lives for 2^31 changes")]
fn short(version: Version) -> u32 {
    version as u32
}

impl BucketTicket {
    /// Nothing was taken, nothing is to be given back.
    pub(super) const NOTHING: Self = Self { n: 0, version: 0, empty: 0 };

    #[inline]
    pub(super) fn new(n: u32, version: Version, empty: u64) -> Self {
        Self { n, version: short(version), empty }
    }

    /// `n` of these tokens, which were all taken together.
    #[inline]
    pub(super) fn part(self, n: u32) -> Self {
        Self { n, ..self }
    }

    /// Whether its mark still means what it meant.
    pub(super) fn is_of(&self, version: Version) -> bool {
        self.version == short(version)
    }
}

/// A ticket, or one for no tokens with a [`Wait`] instead of a mark.
///
/// Not a `Result`, though it becomes one: the way without the lock is inlined, and
/// its result would be built in the same memory that this comes back in.
pub(super) struct Taken(BucketTicket);

impl Taken {
    pub(super) fn ticket(ticket: BucketTicket) -> Self {
        debug_assert!(ticket.n > 0);
        Self(ticket)
    }

    pub(super) fn not_before(Wait(nanos): Wait) -> Self {
        Self(BucketTicket { empty: nanos, ..BucketTicket::NOTHING })
    }

    #[inline]
    pub(super) fn into_result(self) -> Result<BucketTicket, Wait> {
        if self.0.n == 0 { Err(Wait(self.0.empty)) } else { Ok(self.0) }
    }
}
