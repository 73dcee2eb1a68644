//! A ring of buckets: what was counted lately, at the same cost however long
//! the window is.
//!
//! A bucket is one word, `[generation 8 | lap 16 | calls 20 | failures 20]`.
//! Buckets are numbered for ever by an *epoch*; the low bits of the epoch say
//! which slot of the ring it uses, the next sixteen are the lap. A slot whose
//! generation or lap is another is empty for whoever reads, and begins anew with
//! whoever adds. So nothing is ever swept: neither when time passes nor when the
//! breaker changes its state.
//!
//! Adding is one `fetch_add`. Between the look at the label and the addition
//! the slot may begin anew (the thread was interrupted for a whole window, or
//! the breaker changed its state): the label that comes back tells, and the
//! addition is taken out again. Calls stop at the top, so that they never run
//! over into the label. A lap's label comes again after 2^16 laps: a slot that
//! nobody touched for exactly so long (a week, with a window of ten seconds) is
//! misread for one lap.

use crate::sync::{AtomicU64, Ordering};

/// Slots on a cache line, and lines in a ring.
const WIDTH: usize = if cfg!(plimsoll_loom) { 2 } else { 8 };
const LINES: usize = if cfg!(plimsoll_loom) { 1 } else { 2 };
const SLOTS: u64 = (WIDTH * LINES) as u64;
/// Full buckets in a window; the ring also has the one that is being filled.
pub(crate) const BUCKETS: u64 = SLOTS - 1;

const COUNT_BITS: u32 = 20;
const COUNT: u64 = (1 << COUNT_BITS) - 1;
const LABEL_AT: u32 = 2 * COUNT_BITS;
const CALL: u64 = 1 << COUNT_BITS;
/// Where a bucket stops counting: room is left for a thousand threads that have
/// looked and not yet added.
pub(crate) const TOP: u64 = COUNT - 1_023;

/// One cache line of a ring.
#[derive(Debug, Default)]
#[repr(align(64))]
pub(crate) struct Line([AtomicU64; WIDTH]);

pub(crate) type Ring = [Line; LINES];

/// Which bucket: of which generation of the breaker, and which in a row.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bucket {
    pub(crate) generation: u64,
    pub(crate) epoch: u64,
}

impl Bucket {
    #[inline]
    fn label(self) -> u64 {
        let lap = (self.epoch / SLOTS) & 0xffff;
        (self.generation & 0xff) << 16 | lap
    }

    /// Whether `label` is the one that this bucket's slot gets a lap later.
    fn is_before(self, label: u64) -> bool {
        let later = Self { epoch: self.epoch.wrapping_add(SLOTS), ..self };
        later.label() == label
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
    let index = (epoch % SLOTS) as usize;
    &ring[index / WIDTH].0[index % WIDTH]
}

/// Counts a call, and says how many its bucket has now; `None` if it is not
/// counted, because it came a whole window or a change of state too late, or
/// because the bucket is full to the top.
///
/// `current` says whether the bucket's generation is still the breaker's.
pub(crate) fn add(
    ring: &Ring,
    bucket: Bucket,
    failed: bool,
    current: impl Fn() -> bool,
) -> Option<u64> {
    let slot = slot(ring, bucket.epoch);
    let one = CALL + u64::from(failed);
    let seen = slot.load(Ordering::SeqCst);
    if label_of(seen) == bucket.label() {
        return add_to_own(slot, seen, bucket, one);
    }
    begin(slot, seen, bucket, one, current)
}

/// Counts a call that did not fail, in a bucket that has begun, and says how many
/// it has now, the top at most; `None`, and nothing done, in any other.
#[inline]
pub(crate) fn add_to_begun(ring: &Ring, bucket: Bucket) -> Option<u64> {
    let slot = slot(ring, bucket.epoch);
    let seen = slot.load(Ordering::SeqCst);
    if label_of(seen) != bucket.label() {
        return None;
    }
    if calls_of(seen) >= TOP { Some(TOP) } else { add_to_own(slot, seen, bucket, CALL) }
}

#[inline]
fn add_to_own(slot: &AtomicU64, seen: u64, bucket: Bucket, one: u64) -> Option<u64> {
    if calls_of(seen) >= TOP {
        return None;
    }
    let before = slot.fetch_add(one, Ordering::SeqCst);
    if label_of(before) == bucket.label() {
        return Some(calls_of(before) + 1);
    }
    take_out(slot, label_of(before), one);
    None
}

/// The slot holds something else: make it this bucket's, if it is not newer.
#[cold]
fn begin(
    slot: &AtomicU64,
    mut seen: u64,
    bucket: Bucket,
    one: u64,
    current: impl Fn() -> bool,
) -> Option<u64> {
    loop {
        if label_of(seen) == bucket.label() {
            return add_to_own(slot, seen, bucket, one);
        }
        // Asked after the look at the slot: if that was of a later generation,
        // whoever wrote it has seen that generation, and so do we.
        if bucket.is_before(label_of(seen)) || !current() {
            return None;
        }
        let first = bucket.label() << LABEL_AT | one;
        match slot.compare_exchange(seen, first, Ordering::SeqCst, Ordering::SeqCst) {
            Ok(_) => return Some(1),
            Err(now) => seen = now,
        }
    }
}

/// Takes out what was added to a stranger, unless that has gone meanwhile.
#[cold]
fn take_out(slot: &AtomicU64, label: u64, one: u64) {
    let mut seen = slot.load(Ordering::SeqCst);
    while label_of(seen) == label {
        match slot.compare_exchange(seen, seen - one, Ordering::SeqCst, Ordering::SeqCst) {
            Ok(_) => return,
            Err(now) => seen = now,
        }
    }
}

/// Calls and failures in `bucket` and the `full` buckets before it.
pub(crate) fn sum(ring: &Ring, bucket: Bucket, full: u64) -> (u64, u64) {
    let (mut calls, mut failures) = (0, 0);
    for back in 0..=full {
        let Some(epoch) = bucket.epoch.checked_sub(back) else { break };
        let word = slot(ring, epoch).load(Ordering::SeqCst);
        if label_of(word) == (Bucket { epoch, ..bucket }).label() {
            calls += calls_of(word);
            failures += failures_of(word);
        }
    }
    (calls, failures)
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

    fn count(ring: &Ring, bucket: Bucket, failed: bool) -> Option<u64> {
        add(ring, bucket, failed, || true)
    }

    #[test]
    fn a_call_is_counted_for_the_window_and_not_a_bucket_longer() {
        let ring = ring();
        assert_eq!(count(&ring, at(0, 100), true), Some(1));
        assert_eq!(count(&ring, at(0, 100), false), Some(2));
        assert_eq!(sum(&ring, at(0, 100 + BUCKETS), BUCKETS), (2, 1));
        assert_eq!(sum(&ring, at(0, 101 + BUCKETS), BUCKETS), (0, 0));
    }

    #[test]
    fn buckets_leave_the_window_one_by_one() {
        let ring = ring();
        for epoch in 0..SLOTS {
            count(&ring, at(0, epoch), true);
        }
        for gone in 0..SLOTS {
            let left = sum(&ring, at(0, SLOTS - 1 + gone), BUCKETS).1;
            assert_eq!(left, SLOTS - gone);
        }
    }

    #[test]
    fn what_another_generation_counted_is_not_seen() {
        let ring = ring();
        count(&ring, at(1, 5), true);
        assert_eq!(sum(&ring, at(2, 5), BUCKETS), (0, 0));
        assert_eq!(count(&ring, at(2, 5), false), Some(1));
        assert_eq!(sum(&ring, at(2, 5), BUCKETS), (1, 0));
    }

    #[test]
    fn a_late_addition_neither_counts_nor_wipes_what_is_newer() {
        let ring = ring();
        count(&ring, at(7, 5 + SLOTS), true);
        assert_eq!(count(&ring, at(7, 5), true), None, "a lap late");
        assert_eq!(add(&ring, at(6, 5 + SLOTS), true, || false), None, "a generation late");
        assert_eq!(sum(&ring, at(7, 5 + SLOTS), BUCKETS), (1, 1));
    }

    #[test]
    fn after_a_night_without_calls_the_ring_still_counts() {
        for idle in [1, 2, 100, 0x7fff, 0x8000, 0x8001, 0xfffe, 0x1_0003_u64] {
            let ring = ring();
            count(&ring, at(0, 3), true);
            let morning = at(0, 3 + idle * SLOTS);
            assert_eq!(count(&ring, morning, true), Some(1), "{idle} laps");
        }
    }

    #[test]
    fn a_bucket_stops_at_the_top_and_keeps_its_label() {
        let ring = ring();
        let bucket = at(3, 9);
        slot(&ring, 9).store(bucket.label() << LABEL_AT | TOP << COUNT_BITS, Ordering::SeqCst);
        assert_eq!(count(&ring, bucket, true), None);
        assert_eq!(sum(&ring, bucket, BUCKETS), (TOP, 0));
    }

    #[test]
    fn what_was_added_to_a_stranger_is_taken_out() {
        let ring = ring();
        let (mine, stranger) = (at(0, 4), at(1, 4));
        count(&ring, stranger, false);
        let (slot, one) = (slot(&ring, 4), CALL + 1);
        let as_if_mine = mine.label() << LABEL_AT | CALL;
        assert_eq!(add_to_own(slot, as_if_mine, mine, one), None);
        assert_eq!(sum(&ring, stranger, BUCKETS), (1, 0));
    }
}
