//! A ring of slots: what was counted lately, at the same cost however long the
//! window is.
//!
//! A slot is one word, `[label 24 | calls 20 | failures 20]`. Buckets of time, or
//! of calls, are numbered for ever by an *epoch*; its low bits say which slot of
//! the ring a bucket uses, and the rest, the *lap*, makes the label, together
//! with the generation of the breaker. A slot with another label is empty for
//! whoever reads, and begins anew with whoever adds. So nothing is ever swept:
//! neither when time passes nor when the breaker changes its state.
//!
//! Adding is one `fetch_add`. Between the look at the label and the addition
//! the slot may begin anew (the thread was interrupted for a whole window, or
//! the breaker changed its state): the label that comes back tells, and the
//! addition is taken out again. A slot that is full to the top is halved, so that
//! it never runs over into the label and goes on to count. In a window of time a
//! lap's label comes again after 2^24 laps: a slot that nobody touched for exactly
//! so long (half a year, with a window of a second) is misread for one lap.

#[cfg(all(test, plimsoll_loom))]
mod models;

use crate::sync::{AtomicU64, Ordering};

const LENGTH: usize = if cfg!(plimsoll_loom) { 2 } else { 16 };
const SLOTS: u64 = LENGTH as u64;
/// Full buckets in a window; the ring also has the one that is being filled.
pub(crate) const BUCKETS: u64 = SLOTS - 1;

const COUNT_BITS: u32 = 20;
const COUNT: u64 = (1 << COUNT_BITS) - 1;
const LABEL_AT: u32 = 2 * COUNT_BITS;
const LABEL: u64 = (1 << (64 - LABEL_AT)) - 1;
/// One in the field of calls, and one in that of failures.
pub(crate) const CALL: u64 = 1 << COUNT_BITS;
pub(crate) const FAILURE: u64 = 1;
/// Where a bucket is halved: room is left for a thousand threads that have looked
/// and not yet added.
pub(crate) const TOP: u64 = if cfg!(plimsoll_loom) { 4 } else { COUNT - 1_023 };

pub(crate) type Ring = [AtomicU64; LENGTH];

/// Which bucket: of which generation of the breaker, and which in a row.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bucket {
    pub(crate) generation: u64,
    pub(crate) epoch: u64,
}

/// 2^24 divided by the golden ratio, made odd. So multiplied, generations that
/// follow each other lie as far apart as can be: one and its laps are not
/// mistaken for a later one and its laps before millions have passed.
const APART: u64 = 0x9e_3779;
/// So many laps behind, what comes late is still known to be late.
const LATE: u64 = if cfg!(plimsoll_loom) { 1 } else { 64 };

impl Bucket {
    #[inline]
    fn label(self) -> u64 {
        self.generation.wrapping_mul(APART).wrapping_add(self.epoch / SLOTS) & LABEL
    }

    /// Whether `label` is one that this bucket's slot gets some laps later.
    fn is_before(self, label: u64) -> bool {
        (1..=LATE).contains(&(label.wrapping_sub(self.label()) & LABEL))
    }
}

#[inline]
fn label_of(word: u64) -> u64 {
    word >> LABEL_AT
}

#[inline]
fn calls_of(word: u64) -> u64 {
    word >> COUNT_BITS & COUNT
}

#[inline]
fn failures_of(word: u64) -> u64 {
    word & COUNT
}

#[inline]
fn slot(ring: &Ring, epoch: u64) -> &AtomicU64 {
    &ring[(epoch % SLOTS) as usize]
}

/// Adds `one`, a [`CALL`], a [`FAILURE`] or both. False if it is not counted,
/// because it came a whole window or a change of state too late.
///
/// `current` says whether the bucket is still of the breaker's generation, and
/// not long gone.
///
/// What `beside` counts is a part of the same calls: halved, they are halved there
/// too.
pub(crate) fn add(
    ring: &Ring,
    beside: Option<&Ring>,
    bucket: Bucket,
    one: u64,
    current: impl Fn() -> bool,
) -> bool {
    let slot = slot(ring, bucket.epoch);
    let seen = slot.load(Ordering::SeqCst);
    if label_of(seen) == bucket.label() {
        return add_to_own(slot, beside, seen, bucket, one);
    }
    begin(slot, beside, seen, bucket, one, current)
}

/// Counts a call that did not fail, in a bucket that has begun. False, and
/// nothing done, in any other, and where `in_time` says no.
#[inline]
pub(crate) fn add_to_begun(
    ring: &Ring,
    beside: Option<&Ring>,
    bucket: Bucket,
    in_time: impl FnOnce() -> bool,
) -> bool {
    let slot = slot(ring, bucket.epoch);
    let seen = slot.load(Ordering::SeqCst);
    let begun = label_of(seen) == bucket.label() && in_time();
    begun && add_to_own(slot, beside, seen, bucket, CALL)
}

#[inline]
fn add_to_own(
    slot: &AtomicU64,
    beside: Option<&Ring>,
    seen: u64,
    bucket: Bucket,
    one: u64,
) -> bool {
    if calls_of(seen) >= TOP {
        halve(slot, beside, seen, bucket);
    }
    let before = slot.fetch_add(one, Ordering::SeqCst);
    if label_of(before) != bucket.label() {
        take_out(slot, label_of(before), one);
        return false;
    }
    true
}

/// Gives all that the slot has counted half its weight: the share of failures stays,
/// and what comes is heard.
#[cold]
fn halve(slot: &AtomicU64, beside: Option<&Ring>, seen: u64, bucket: Bucket) {
    let half = |seen| {
        let counts = calls_of(seen) / 2 * CALL + failures_of(seen) / 2 * FAILURE;
        label_of(seen) << LABEL_AT | counts
    };
    // If it fails, it is tried again by whoever adds next.
    let halved = slot.compare_exchange(seen, half(seen), Ordering::SeqCst, Ordering::SeqCst);
    if let (Ok(_), Some(beside)) = (halved, beside) {
        let slot = self::slot(beside, bucket.epoch);
        let mut seen = slot.load(Ordering::SeqCst);
        while label_of(seen) == bucket.label() {
            match slot.compare_exchange(seen, half(seen), Ordering::SeqCst, Ordering::SeqCst) {
                Ok(_) => return,
                Err(now) => seen = now,
            }
        }
    }
}

/// The slot holds something else: make it this bucket's, if it is not newer.
#[cold]
fn begin(
    slot: &AtomicU64,
    beside: Option<&Ring>,
    mut seen: u64,
    bucket: Bucket,
    one: u64,
    current: impl Fn() -> bool,
) -> bool {
    loop {
        if label_of(seen) == bucket.label() {
            return add_to_own(slot, beside, seen, bucket, one);
        }
        // Asked after the look at the slot: if that was of a later generation,
        // whoever wrote it has seen that generation, and so do we.
        if bucket.is_before(label_of(seen)) || !current() {
            return false;
        }
        let first = bucket.label() << LABEL_AT | one;
        match slot.compare_exchange(seen, first, Ordering::SeqCst, Ordering::SeqCst) {
            Ok(_) => return true,
            Err(now) => seen = now,
        }
    }
}

/// Takes out what was added to a stranger, unless that has gone meanwhile.
#[cold]
fn take_out(slot: &AtomicU64, label: u64, one: u64) {
    let mut seen = slot.load(Ordering::SeqCst);
    // Less than that is there if it was halved meanwhile.
    let there = |seen| calls_of(seen) >= calls_of(one) && failures_of(seen) >= failures_of(one);
    while label_of(seen) == label && there(seen) {
        match slot.compare_exchange(seen, seen - one, Ordering::SeqCst, Ordering::SeqCst) {
            Ok(_) => return,
            Err(now) => seen = now,
        }
    }
}

/// Empties the bucket's slot if it still holds an earlier one, so that no label
/// grows old enough to come again. For buckets that not every call adds to.
pub(crate) fn tend(ring: &Ring, bucket: Bucket, current: impl Fn() -> bool) {
    let slot = slot(ring, bucket.epoch);
    let seen = slot.load(Ordering::SeqCst);
    let empty = calls_of(seen) + failures_of(seen) == 0;
    if !empty && label_of(seen) != bucket.label() && current() {
        // Whoever is faster has begun it.
        let _ = slot.compare_exchange(seen, 0, Ordering::SeqCst, Ordering::SeqCst);
    }
}

/// Calls and failures in `bucket`.
pub(crate) fn read(ring: &Ring, bucket: Bucket) -> (u64, u64) {
    let word = slot(ring, bucket.epoch).load(Ordering::SeqCst);
    let ours = label_of(word) == bucket.label();
    if ours { (calls_of(word), failures_of(word)) } else { (0, 0) }
}

/// Calls and failures in `bucket` and all before it that the ring holds.
pub(crate) fn sum(ring: &Ring, bucket: Bucket) -> (u64, u64) {
    let epochs = bucket.epoch.saturating_sub(BUCKETS)..=bucket.epoch;
    epochs.fold((0, 0), |(calls, failures), epoch| {
        let more = read(ring, Bucket { epoch, ..bucket });
        (calls + more.0, failures + more.1)
    })
}

#[cfg(all(test, not(plimsoll_loom)))]
mod tests {
    use super::*;

    fn ring() -> Ring {
        Ring::default()
    }

    fn at(generation: u64, epoch: u64) -> Bucket {
        Bucket { generation, epoch }
    }

    fn count(ring: &Ring, bucket: Bucket, failed: bool) -> bool {
        add(ring, None, bucket, CALL + u64::from(failed), || true)
    }

    #[test]
    fn a_call_is_counted_for_the_window_and_not_a_bucket_longer() {
        let ring = ring();
        assert!(count(&ring, at(0, 100), true));
        assert!(count(&ring, at(0, 100), false));
        assert_eq!(sum(&ring, at(0, 100 + BUCKETS)), (2, 1));
        assert_eq!(sum(&ring, at(0, 101 + BUCKETS)), (0, 0));
    }

    #[test]
    fn buckets_leave_the_window_one_by_one() {
        let ring = ring();
        for epoch in 0..SLOTS {
            count(&ring, at(0, epoch), true);
        }
        for gone in 0..SLOTS {
            let left = sum(&ring, at(0, SLOTS - 1 + gone)).1;
            assert_eq!(left, SLOTS - gone);
        }
    }

    #[test]
    fn what_another_generation_counted_is_not_seen() {
        let ring = ring();
        count(&ring, at(1, 5), true);
        assert_eq!(sum(&ring, at(2, 5)), (0, 0));
        assert!(count(&ring, at(2, 5), false));
        assert_eq!(sum(&ring, at(2, 5)), (1, 0));
    }

    #[test]
    fn a_late_addition_neither_counts_nor_wipes_what_is_newer() {
        let ring = ring();
        let newer = at(7, 5 + SLOTS * LATE);
        count(&ring, newer, true);
        for laps in 1..=LATE {
            assert!(!count(&ring, at(7, newer.epoch - SLOTS * laps), true), "{laps} laps late");
        }
        let late = Bucket { generation: 6, ..newer };
        assert!(!add(&ring, None, late, CALL, || false), "a generation late");
        assert_eq!(sum(&ring, newer), (1, 1));
    }

    #[test]
    fn after_a_night_without_calls_the_ring_still_counts() {
        for idle in
            [1, 2, 100, 0x7fff, 0x8000, 0xffff, 0x1_0000, 0x1_0001, 0x80_0000, 0xff_ff00_u64]
        {
            let ring = ring();
            count(&ring, at(0, 3), true);
            let morning = at(0, 3 + idle * SLOTS);
            assert!(count(&ring, morning, true), "{idle} laps");
        }
    }

    #[test]
    fn a_full_bucket_keeps_its_label_and_its_share_of_failures_and_goes_on() {
        let ring = ring();
        let bucket = at(3, 9);
        let full = (bucket.label() << LABEL_AT) + TOP * CALL + TOP / 4;
        slot(&ring, 9).store(full, Ordering::SeqCst);
        assert!(count(&ring, bucket, true));
        assert_eq!(read(&ring, bucket), (TOP / 2 + 1, TOP / 8 + 1));
        assert!(add_to_begun(&ring, None, bucket, || true));
        assert_eq!(read(&ring, bucket), (TOP / 2 + 2, TOP / 8 + 1));
    }

    #[test]
    fn what_was_added_to_a_stranger_is_taken_out() {
        let ring = ring();
        let (mine, stranger) = (at(0, 4), at(1, 4));
        count(&ring, stranger, false);
        let (slot, one) = (slot(&ring, 4), CALL + 1);
        let as_if_mine = mine.label() << LABEL_AT | CALL;
        assert!(!add_to_own(slot, None, as_if_mine, mine, one));
        assert_eq!(sum(&ring, stranger), (1, 0));
    }

    /// With eight bits of the generation in a label, as there once were, an outage
    /// of 85 openings brought back what had opened the breaker.
    #[test]
    fn no_generation_is_mistaken_for_another_before_millions_have_passed() {
        let ring = ring();
        count(&ring, at(5, 3), true);
        let mistaken = (6..1_000_000).find(|&generation| sum(&ring, at(generation, 3)).0 > 0);
        assert_eq!(mistaken, None);
    }

    #[test]
    fn tending_empties_what_is_old_and_nothing_else() {
        let ring = ring();
        count(&ring, at(0, 3), true);
        tend(&ring, at(0, 3), || true);
        tend(&ring, at(0, 3 + SLOTS), || false);
        assert_eq!(read(&ring, at(0, 3)), (1, 1));
        tend(&ring, at(0, 3 + SLOTS), || true);
        assert_eq!(read(&ring, at(0, 3)), (0, 0));
    }
}
