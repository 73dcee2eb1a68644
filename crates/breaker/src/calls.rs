//! A window of the last calls.
//!
//! Each result takes the next *position*, by one `fetch_add` on the head, and a
//! success does no more: how many calls the window holds follows from the head.
//! What is unlike a success is noted at its position, in a slot of the ring. So a
//! bucket that is full costs nothing, and a short window as little as a long one.
//!
//! The head is `[generation 22 | position 42]`. It begins anew with the first
//! result of a generation, as slots do. Whoever finds afterwards that it took a
//! position in a generation that is not its own makes it *void*, which is noted
//! likewise: in the field of calls, as those need no other count here. After 2^42
//! calls without a change of state the position runs over into the generation,
//! and the window begins anew.
//!
//! A slot holds the positions of one block: in a short window a bit for each of
//! sixteen, and the window is exact; in a longer one numbers.

use crate::{
    ring::{self, BUCKETS, Bucket, CALL, FAILURE, Ring},
    sync::{AtomicU64, Ordering},
};

const POSITION_BITS: u32 = 42;
const POSITION: u64 = (1 << POSITION_BITS) - 1;
/// Positions in a slot that has a bit for each.
const BITS: u64 = if cfg!(plimsoll_loom) { 2 } else { 16 };
/// The longest window with a bit for each call. It may begin inside one slot and
/// end inside another.
pub(crate) const EXACT: u64 = BUCKETS * BITS + 1;

fn generation_of(head: u64) -> u64 {
    head >> POSITION_BITS
}

/// As the head has it.
fn short(generation: u64) -> u64 {
    generation << POSITION_BITS >> POSITION_BITS
}

/// How a window of some number of calls is laid out.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Span {
    calls: u64,
    block: u64,
    /// Positions at which their slot is tended are multiples of a power of two, the
    /// greatest that every block has one of. This is less by one.
    tended: u64,
}

impl Span {
    pub(crate) fn of(calls: u64) -> Self {
        let block = if calls <= EXACT { BITS } else { calls.div_ceil(BUCKETS) };
        let tended = (1 << block.ilog2()) - 1;
        Self { calls, block, tended }
    }

    fn exact(self) -> bool {
        self.calls <= EXACT
    }

    /// One failure at `position`, as its slot counts it.
    fn unit(self, position: u64) -> u64 {
        if self.exact() { FAILURE << (position % BITS) } else { FAILURE }
    }

    fn bucket(self, generation: u64, position: u64) -> Bucket {
        Bucket { generation: short(generation), epoch: position / self.block }
    }
}

/// The head, and the rings in which what is not a success is noted.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Calls<'a> {
    pub(crate) span: Span,
    pub(crate) head: &'a AtomicU64,
    pub(crate) failed: &'a Ring,
    pub(crate) slow: Option<&'a Ring>,
}

impl Calls<'_> {
    /// Takes a position for a result of `generation`; `None` if that is over.
    /// `current` says whether it is still the breaker's.
    #[inline]
    pub(crate) fn claim(&self, generation: u64, current: impl Fn() -> bool) -> Option<u64> {
        let before = self.head.fetch_add(1, Ordering::SeqCst);
        if generation_of(before) != short(generation) {
            return self.claim_anew(before, generation, current);
        }
        let position = before & POSITION;
        if position & self.span.tended == 0 {
            self.tend(generation, position);
        }
        Some(position)
    }

    /// The head was of another generation: it has not begun, or is over.
    #[cold]
    fn claim_anew(&self, taken: u64, generation: u64, current: impl Fn() -> bool) -> Option<u64> {
        loop {
            let seen = self.head.load(Ordering::SeqCst);
            // Asked after the look at the head: whoever began a later generation
            // has seen it, and so do we.
            if !current() {
                // Nothing may count here, in whatever generation it was taken.
                self.note(self.failed, generation_of(taken), taken & POSITION, CALL);
                return None;
            }
            let (next, position) = if generation_of(seen) == short(generation) {
                (seen + 1, seen & POSITION)
            } else {
                (short(generation) << POSITION_BITS | 1, 0)
            };
            if self.head.compare_exchange(seen, next, Ordering::SeqCst, Ordering::SeqCst).is_ok() {
                return Some(position);
            }
        }
    }

    /// Notes that the call at `position` failed, or was slow.
    pub(crate) fn note_ended(&self, generation: u64, position: u64, failed: bool, slow: bool) {
        if failed {
            self.note(self.failed, generation, position, FAILURE);
        }
        if let (true, Some(ring)) = (slow, self.slow) {
            self.note(ring, generation, position, FAILURE);
        }
    }

    fn note(&self, ring: &Ring, generation: u64, position: u64, what: u64) {
        let bucket = self.span.bucket(generation, position);
        let one = what * self.span.unit(position);
        ring::add(ring, None, bucket, one, || self.holds(generation, position));
    }

    /// Whether the window still holds `position`, and nobody can have begun its
    /// slot for a later block.
    fn holds(&self, generation: u64, position: u64) -> bool {
        let head = self.head.load(Ordering::SeqCst);
        let since = (head & POSITION).wrapping_sub(position);
        generation_of(head) == short(generation) && since <= self.span.calls
    }

    #[cold]
    fn tend(&self, generation: u64, position: u64) {
        let bucket = self.span.bucket(generation, position);
        for ring in [Some(self.failed), self.slow].into_iter().flatten() {
            ring::tend(ring, bucket, || self.holds(generation, position));
        }
    }

    /// Calls, failures and slow calls in the window.
    pub(crate) fn sum(&self, generation: u64) -> (u64, u64, u64) {
        let head = self.head.load(Ordering::SeqCst);
        let end = head & POSITION;
        if generation_of(head) != short(generation) || end == 0 {
            return (0, 0, 0);
        }
        let Span { calls, block, .. } = self.span;
        let oldest = end.saturating_sub(calls);
        let first = oldest / block;
        let (begin, inside) =
            if self.span.exact() { (oldest, oldest % BITS) } else { (first * block, 0) };
        let (mut void, mut failures, mut slow) = (0, 0, 0);
        for epoch in first..=(end - 1) / block {
            let bucket = Bucket { generation: short(generation), epoch };
            let before = if epoch == first { inside } else { 0 };
            let (voids, failed) = ring::read(self.failed, bucket);
            void += self.count(voids, before);
            failures += self.count(failed, before);
            let (_, slowed) = self.slow.map_or((0, 0), |ring| ring::read(ring, bucket));
            slow += self.count(slowed, before);
        }
        // Read again: what was noted meanwhile is not more than what was called.
        let last = self.head.load(Ordering::SeqCst);
        if generation_of(last) != short(generation) {
            return (0, 0, 0);
        }
        (((last & POSITION) - begin).saturating_sub(void), failures, slow)
    }

    /// What a field of a slot counts, without its positions up to `before`.
    fn count(&self, field: u64, before: u64) -> u64 {
        if self.span.exact() { (field >> before).count_ones().into() } else { field }
    }
}

#[cfg(all(test, not(plimsoll_loom)))]
mod tests {
    use super::*;

    fn fails(calls: &Calls<'_>, generation: u64) {
        let position = calls.claim(generation, || true).expect("current");
        calls.note_ended(generation, position, true, false);
    }

    #[test]
    fn a_failure_that_is_noted_late_counts_while_the_window_holds_its_call_and_no_longer() {
        for length in [1, 2, 16, 17, 100, EXACT] {
            for later in [length - 1, length] {
                let (head, failed) = (AtomicU64::new(0), Ring::default());
                let calls =
                    Calls { span: Span::of(length), head: &head, failed: &failed, slow: None };
                // In the second lap, so that its slot is to begin with it.
                (0..BITS * (BUCKETS + 1)).for_each(|_| _ = calls.claim(0, || true));
                let late = calls.claim(0, || true).expect("current");
                (0..later).for_each(|_| _ = calls.claim(0, || true));
                calls.note_ended(0, late, true, false);
                assert_eq!(calls.sum(0).1, u64::from(later < length), "{later} after it");
            }
        }
    }

    #[test]
    fn a_failure_that_is_noted_in_a_later_generation_wipes_nothing_there() {
        let (head, failed) = (AtomicU64::new(0), Ring::default());
        let calls = Calls { span: Span::of(10), head: &head, failed: &failed, slow: None };
        let late = calls.claim(0, || true).expect("current");
        fails(&calls, 1);
        calls.note_ended(0, late, true, false);
        assert_eq!((calls.sum(0), calls.sum(1)), ((0, 0, 0), (1, 1, 0)));
    }

    /// A label comes again after 2^24 laps. Successes leave no mark in a slot, so it is
    /// tended: else a failure of four billion calls ago would count once more.
    #[test]
    fn what_failed_billions_of_calls_ago_does_not_come_back() {
        let (head, failed) = (AtomicU64::new(0), Ring::default());
        let span = Span::of(10);
        let calls = Calls { span, head: &head, failed: &failed, slow: Some(&Ring::default()) };
        let lap = span.block * (BUCKETS + 1);
        for first in [0, 3, span.block - 1] {
            head.store(first, Ordering::SeqCst);
            let position = calls.claim(0, || true).expect("current");
            calls.note_ended(0, position, true, true);
            assert_eq!(calls.sum(0), (u64::min(first + 1, 10), 1, 1));
            for _ in 0..lap {
                calls.claim(0, || true);
            }
            head.store((lap << 24) + first + 1, Ordering::SeqCst);
            assert_eq!(calls.sum(0), (10, 0, 0));
        }
    }

    #[test]
    fn a_slot_is_tended_in_each_block_however_long_it_is() {
        for calls in 1..3_000 {
            let Span { block, tended, .. } = Span::of(calls);
            for epoch in 0..40 {
                let mut block = epoch * block..(epoch + 1) * block;
                assert!(block.any(|position| position & tended == 0), "{calls}, {epoch}");
            }
        }
    }
}
