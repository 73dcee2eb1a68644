//! The flat table of states: who may change what, and in which order.
//!
//! A slot is a tag (the key's hash) and a state, side by side. A key has two
//! candidate lines of slots, and may stand in any slot of either.
//!
//! * **Only whoever holds the locks of both lines of a key writes its tag.** So
//!   a key stands in one slot at most, though two threads may meet it at once.
//! * **Hits take no lock**: find the tag, enter the state, and look at the tag
//!   again. If it changed, the slot was given to another key meanwhile: undo the
//!   entry and start over.
//! * **Giving a slot to another key** sets the tag to [`ASIDE`] first, then looks
//!   whether the state is fresh, and puts the old tag back if it is not. Whoever
//!   enters changes the state and then reads the tag; whoever gives away changes
//!   the tag and then reads the state. One of them sees the other, so no
//!   admission is forgotten. (This is Dekker's argument; it needs the state's
//!   changes and the reads of `is_fresh` to be in one order, see [`Keyed`].)
//! * **A late `leave`** that takes something back says so in the stripe's count
//!   before it looks at the tag, and no slot of the stripe is given away while
//!   the count is not zero. It cannot reach a stranger's state.
//!
//! [`Keyed`]: crate::Keyed

use crate::sync::{AtomicU64, Mutex, MutexGuard, Ordering};
use plimsoll_core::{PerKey, Tick};
use std::sync::PoisonError;

/// Slots in a line. Two lines of eight, the less loaded one taking a new key,
/// leave 2 keys in 10,000 without a slot when the table is 0.8 full.
const WAYS: usize = if cfg!(plimsoll_loom) { 1 } else { 8 };
/// Locks for the lines. Only new keys take them.
const STRIPES: usize = if cfg!(plimsoll_loom) { 2 } else { 256 };

/// The tag of a slot that was never used.
const EMPTY: u64 = 0;
/// The tag of a slot about which it is being decided whether it may go to
/// another key. Seen only while the lock of its line is held.
const ASIDE: u64 = 1;

/// What stands for a key: its hash, but neither [`EMPTY`] nor [`ASIDE`].
#[derive(Clone, Copy)]
pub(crate) struct Tag(u64);

impl Tag {
    #[inline]
    pub(crate) fn of(hash: u64) -> Self {
        Self(if hash > ASIDE { hash } else { hash + 2 })
    }
}

/// Where a slot is: its line and its place in it, in one number.
#[derive(Clone, Copy)]
pub(crate) struct Index(u32);

impl Index {
    #[inline]
    fn new(line: usize, way: usize) -> Self {
        #[expect(clippy::cast_possible_truncation, reason = "at most 2^31 slots")]
        Self((line * WAYS + way) as u32)
    }
}

/// The places in a line, from the one where the key's search begins. The keys
/// that came first, often the busiest, are found there.
#[inline]
fn ways(Tag(tag): Tag) -> impl Iterator<Item = usize> {
    #[expect(clippy::cast_possible_truncation, reason = "only the low bits count")]
    let home = tag as usize;
    (0..WAYS).map(move |step| home.wrapping_add(step) % WAYS)
}

pub(crate) struct Slot<S> {
    tag: AtomicU64,
    pub(crate) state: S,
}

impl<S> Slot<S> {
    /// Whether this slot is the key's. After entering the state: whether it
    /// still was the key's when the state was entered.
    #[inline]
    pub(crate) fn is_of(&self, tag: Tag) -> bool {
        self.tag.load(Ordering::SeqCst) == tag.0
    }

    fn is_free<G: PerKey<State = S>>(&self, gate: &G, now: Tick) -> bool {
        self.tag.load(Ordering::Relaxed) == EMPTY || gate.is_fresh(&self.state, now)
    }
}

#[repr(align(64))]
struct Line<S> {
    slots: [Slot<S>; WAYS],
}

/// The lock of some lines, on a cache line of its own.
#[repr(align(64))]
struct Stripe {
    lock: Mutex<()>,
    /// How many are leaving a slot of these lines right now.
    leaving: AtomicU64,
}

impl Stripe {
    fn lock(&self) -> MutexGuard<'_, ()> {
        // Only a gate could panic under the lock, and leave a slot aside. The
        // next new key takes it for one whose key is not known any more.
        self.lock.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A slot for a key, which nobody can take away while this is held.
pub(crate) struct Place<'a> {
    /// `None` when both lines are full of states that are not fresh.
    pub(crate) index: Option<Index>,
    _locks: (MutexGuard<'a, ()>, Option<MutexGuard<'a, ()>>),
}

pub(crate) struct Table<S> {
    lines: Box<[Line<S>]>,
    stripes: Box<[Stripe]>,
}

impl<S> Table<S> {
    /// A table in which `keys` keys fill eight slots in ten.
    pub(crate) fn for_keys(keys: usize, fresh: impl FnMut() -> S) -> Self {
        let slots = keys.saturating_mul(5).div_ceil(4);
        Self::with_lines(slots.div_ceil(WAYS), fresh)
    }

    pub(crate) fn with_lines(lines: usize, mut fresh: impl FnMut() -> S) -> Self {
        let mut slot = || Slot { tag: AtomicU64::new(EMPTY), state: fresh() };
        let line = |_| Line { slots: std::array::from_fn(|_| slot()) };
        let stripe = |_| Stripe { lock: Mutex::new(()), leaving: AtomicU64::new(0) };
        let stripes = lines.next_power_of_two().min(STRIPES);
        Self { lines: (0..lines).map(line).collect(), stripes: (0..stripes).map(stripe).collect() }
    }

    pub(crate) fn slots(&self) -> usize {
        self.lines.len() * WAYS
    }

    #[inline]
    pub(crate) fn slot(&self, Index(index): Index) -> &Slot<S> {
        let index = index as usize;
        &self.lines[index / WAYS].slots[index % WAYS]
    }

    /// The two lines in which the key may stand: different ones if there are two.
    #[inline]
    fn lines_of(&self, Tag(tag): Tag) -> [usize; 2] {
        // A half of the tag, scaled to `0..n`: Lemire, "Fast random integer
        // generation in an interval", ACM TOMACS 29(1), 2019.
        let scale = |half: u64, n: u64| (half * n) >> 32;
        let n = self.lines.len() as u64;
        let first = scale(tag >> 32, n);
        let second = first + 1 + scale(tag & 0xffff_ffff, n.saturating_sub(1));
        let second = if second >= n { second - n } else { second };
        #[expect(clippy::cast_possible_truncation, reason = "both are below a usize, `n`")]
        [first as usize, second as usize]
    }

    /// The slots of a line, in the order in which the key's search goes.
    fn around(line: usize, tag: Tag) -> impl Iterator<Item = Index> {
        ways(tag).map(move |way| Index::new(line, way))
    }

    /// The key's slot, by a look that takes no lock. May miss a key that is
    /// being put in; [`place`](Self::place) does not.
    #[inline]
    pub(crate) fn find(&self, tag: Tag) -> Option<Index> {
        if self.lines.is_empty() {
            return None;
        }
        for line in self.lines_of(tag) {
            let slots = &self.lines[line].slots;
            for way in ways(tag) {
                if slots[way].is_of(tag) {
                    return Some(Index::new(line, way));
                }
            }
        }
        None
    }

    /// The key's slot, given to it now if it had none.
    #[cold]
    pub(crate) fn place<G: PerKey<State = S>>(
        &self,
        gate: &G,
        tag: Tag,
        now: Tick,
    ) -> Option<Place<'_>> {
        if self.lines.is_empty() {
            return None;
        }
        let lines = self.lines_of(tag);
        let [a, b] = lines.map(|line| self.stripe_of(line));
        // Always the lower one first, so that no two callers wait for each other.
        let first = self.stripes[a.min(b)].lock();
        let second = (a != b).then(|| self.stripes[a.max(b)].lock());
        let index = self.find(tag).or_else(|| self.give(gate, lines, tag, now));
        Some(Place { index, _locks: (first, second) })
    }

    /// Whether a new key would get a slot.
    pub(crate) fn has_room<G: PerKey<State = S>>(&self, gate: &G, tag: Tag, now: Tick) -> bool {
        !self.lines.is_empty()
            && self.lines_of(tag).into_iter().any(|line| self.free(gate, line, now) > 0)
    }

    fn free<G: PerKey<State = S>>(&self, gate: &G, line: usize, now: Tick) -> usize {
        self.lines[line].slots.iter().filter(|slot| slot.is_free(gate, now)).count()
    }

    /// Gives a free slot to a key that has none. Needs both locks.
    fn give<G: PerKey<State = S>>(
        &self,
        gate: &G,
        [a, b]: [usize; 2],
        tag: Tag,
        now: Tick,
    ) -> Option<Index> {
        // The emptier line first: the power of two choices. Azar, Broder,
        // Karlin, Upfal, "Balanced Allocations", SIAM J. Comput. 29(1), 1999.
        let lines = if self.free(gate, b, now) > self.free(gate, a, now) { [b, a] } else { [a, b] };
        for line in lines {
            // An unused slot, before one whose key would have to come back.
            let unused = |index: &Index| self.slot(*index).tag.load(Ordering::Relaxed) == EMPTY;
            if let Some(index) = Self::around(line, tag).find(unused) {
                self.slot(index).tag.store(tag.0, Ordering::SeqCst);
                return Some(index);
            }
            let taken = Self::around(line, tag).find(|index| self.take(gate, *index, tag, now));
            if taken.is_some() {
                return taken;
            }
        }
        None
    }

    /// Takes a slot from its key, if its state is fresh and nobody is leaving.
    fn take<G: PerKey<State = S>>(&self, gate: &G, index: Index, tag: Tag, now: Tick) -> bool {
        let slot = self.slot(index);
        if !gate.is_fresh(&slot.state, now) {
            return false;
        }
        let old = slot.tag.load(Ordering::Relaxed);
        slot.tag.store(ASIDE, Ordering::SeqCst);
        // From here on whoever enters or leaves sees that the slot is aside. An
        // addition of nothing, not a load: it stands in one order with theirs.
        let leaving = self.stripe(index).leaving.fetch_add(0, Ordering::SeqCst);
        let taken = leaving == 0 && gate.is_fresh(&slot.state, now);
        slot.tag.store(if taken { tag.0 } else { old }, Ordering::SeqCst);
        taken
    }

    /// Runs `leave` on the key's state, unless the slot is another key's by now.
    ///
    /// `exact` keeps the slot from changing hands meanwhile. Otherwise that is
    /// left to the state, which is not fresh while `leave` has an effect.
    #[inline]
    pub(crate) fn leave(&self, index: Index, tag: Tag, exact: bool, leave: impl FnOnce(&S)) {
        let leaving = exact.then(|| &self.stripe(index).leaving);
        if let Some(leaving) = leaving {
            leaving.fetch_add(1, Ordering::SeqCst);
        }
        if self.is_still_of(index, tag) {
            leave(&self.slot(index).state);
        }
        if let Some(leaving) = leaving {
            leaving.fetch_sub(1, Ordering::SeqCst);
        }
    }

    #[inline]
    fn is_still_of(&self, index: Index, tag: Tag) -> bool {
        let slot = self.slot(index);
        let seen = slot.tag.load(Ordering::SeqCst);
        // A slot that is aside may go back to its key: wait for the decision.
        seen == tag.0 || (seen == ASIDE && self.is_of_once_decided(index, tag))
    }

    #[cold]
    fn is_of_once_decided(&self, index: Index, tag: Tag) -> bool {
        let _decided = self.stripe(index).lock();
        self.slot(index).is_of(tag)
    }

    /// There is a power of two of stripes.
    fn stripe_of(&self, line: usize) -> usize {
        line & (self.stripes.len() - 1)
    }

    fn stripe(&self, Index(index): Index) -> &Stripe {
        &self.stripes[self.stripe_of(index as usize / WAYS)]
    }
}

#[cfg(all(test, not(plimsoll_loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_key_costs_20_bytes_when_its_state_is_a_word() {
        let table = Table::for_keys(1_000_000, || AtomicU64::new(0));
        assert_eq!(size_of_val(&*table.lines), 20_000_000);
    }

    #[test]
    fn a_key_has_two_different_lines_wherever_there_are_two() {
        for lines in [2, 3, 5, 1_000] {
            let table = Table::with_lines(lines, || ());
            for hash in (0..10_000_u64).map(|n| n.wrapping_mul(0x9e37_79b9_7f4a_7c15)) {
                let [a, b] = table.lines_of(Tag::of(hash));
                assert!(a < lines && b < lines && a != b, "{a} and {b} of {lines}");
            }
            let ends = [0, 1, u64::MAX, u64::MAX << 32, u64::MAX >> 32];
            for [a, b] in ends.map(|hash| table.lines_of(Tag::of(hash))) {
                assert!(a < lines && b < lines && a != b, "{a} and {b} of {lines}");
            }
        }
        assert_eq!(Table::with_lines(1, || ()).lines_of(Tag::of(7)), [0, 0]);
    }

    #[test]
    fn no_hash_is_taken_for_a_slot_without_a_key() {
        assert!([0, 1, 2, u64::MAX].iter().all(|hash| Tag::of(*hash).0 > ASIDE));
    }
}
