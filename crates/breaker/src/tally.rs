//! What a breaker counts: calls, failures and slow calls in its window, and
//! failures in a row.

use crate::{
    calls::{Calls, Span},
    change::Counts,
    ring::{self, Bucket, CALL, FAILURE, Ring},
    rules::Window,
    sync::{AtomicU64, Ordering, thread_number},
};
use plimsoll_core::Tick;

/// The counts of one breaker. Nothing here is ever cleared: what belongs to an
/// earlier generation is told by its label, and not read.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct Tally {
    /// Failures in a row: `[generation 32 | failures 32]`.
    run: AtomicU64,
    /// The bucket that was last found to be the present one, in a window of time.
    present: AtomicU64,
    /// The rings but for the first: a ring for each stripe, and behind each one of
    /// slow calls if they count.
    more: Box<[Apart]>,
    /// The next position, in a window of calls. All that calls write in the usual
    /// case is from here on, and all that they only read is before.
    pub(crate) head: AtomicU64,
    first: Ring,
}

/// On cache lines that no other stripe writes.
#[derive(Debug, Default)]
#[repr(align(64))]
struct Apart(Ring);

const RUN_BITS: u32 = 32;
const RUN: u64 = (1 << RUN_BITS) - 1;

fn run_of(run: u64, generation: u64) -> u64 {
    if run >> RUN_BITS == generation & RUN { run & RUN } else { 0 }
}

/// How a window of some length is laid out.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Layout {
    pub(crate) window: Window,
    pub(crate) slow: bool,
}

impl Layout {
    /// Rings of one stripe.
    fn banks(self) -> usize {
        if self.slow { 2 } else { 1 }
    }
}

impl Tally {
    /// Counts that up to `stripes` threads add to without touching each other's.
    /// A window of calls has one stripe: its calls are in one row.
    pub(crate) fn new(layout: Layout, stripes: usize) -> Self {
        let stripes = if let Window::Calls { .. } = layout.window { 1 } else { stripes };
        Self {
            run: AtomicU64::new(0),
            present: AtomicU64::new(0),
            more: (1..stripes * layout.banks()).map(|_| Apart::default()).collect(),
            head: AtomicU64::new(0),
            first: Ring::default(),
        }
    }

    #[inline]
    fn ring(&self, index: usize) -> &Ring {
        match index.checked_sub(1) {
            None => &self.first,
            Some(index) => &self.more[index].0,
        }
    }

    /// Where the calling thread counts.
    #[inline]
    fn first_ring(&self, layout: Layout) -> usize {
        // Rings and banks are powers of two.
        (thread_number() * layout.banks()) & self.more.len()
    }

    /// The ring of slow calls behind the first of a stripe, if they count.
    #[inline]
    fn slow_ring(&self, layout: Layout, first: usize) -> Option<&Ring> {
        layout.slow.then(|| self.ring(first + 1))
    }

    #[inline]
    fn calls(&self, span: Span) -> Calls<'_> {
        let slow = self.more.first().map(|ring| &ring.0);
        Calls { span, head: &self.head, failed: &self.first, slow }
    }

    /// Counts a success where that is a single addition. False, and nothing done,
    /// where the bucket must begin, or a run of failures ends.
    #[inline]
    pub(crate) fn succeed(
        &self,
        layout: Layout,
        generation: u64,
        now: impl FnOnce() -> Tick,
        current: impl Fn() -> bool,
    ) -> bool {
        if self.run.load(Ordering::SeqCst) & RUN != 0 {
            return false;
        }
        match layout.window {
            Window::Time { scale } => {
                // Which slot it is does not wait for the clock, so that the processor
                // adds to it while it reads the time of the next call.
                let bucket = Bucket { generation, epoch: self.present.load(Ordering::SeqCst) };
                let first = self.first_ring(layout);
                let (ring, slow) = (self.ring(first), self.slow_ring(layout, first));
                ring::add_to_begun(ring, slow, bucket, || scale.epoch(now()) == bucket.epoch)
            }
            Window::Calls { span } => {
                self.calls(span).claim(generation, current);
                true
            }
        }
    }

    /// Counts the result of one call, and says how many failures in a row it
    /// makes: a success that comes right behind it does not undo that.
    ///
    /// `now` matters to a window of time only; `current` says whether `generation`
    /// is still the breaker's.
    pub(crate) fn record(
        &self,
        layout: Layout,
        generation: u64,
        now: Tick,
        result: Result,
        current: impl Fn() -> bool,
    ) -> u64 {
        let Result { failed, slow } = result;
        match layout.window {
            Window::Time { scale } => {
                let bucket = Bucket { generation, epoch: scale.epoch(now) };
                self.move_on_to(bucket.epoch);
                let first = self.first_ring(layout);
                let one = CALL + if failed { FAILURE } else { 0 };
                let (ring, slow_ring) = (self.ring(first), self.slow_ring(layout, first));
                let counted = ring::add(ring, slow_ring, bucket, one, &current);
                if let Some(ring) = slow_ring.filter(|_| counted && slow) {
                    ring::add(ring, None, bucket, CALL, &current);
                }
            }
            Window::Calls { span } => {
                let calls = self.calls(span);
                if let Some(position) = calls.claim(generation, &current) {
                    calls.note_ended(generation, position, failed, slow);
                }
            }
        }
        if failed || self.run.load(Ordering::SeqCst) & RUN != 0 {
            self.change_run(generation, failed, current)
        } else {
            0
        }
    }

    #[inline]
    fn move_on_to(&self, epoch: u64) {
        let seen = self.present.load(Ordering::SeqCst);
        if seen != epoch {
            // Whoever is faster knows it as well.
            let _ = self.present.compare_exchange(seen, epoch, Ordering::SeqCst, Ordering::SeqCst);
        }
    }

    #[cold]
    fn change_run(&self, generation: u64, failed: bool, current: impl Fn() -> bool) -> u64 {
        let mut seen = self.run.load(Ordering::SeqCst);
        loop {
            let run = if failed { (run_of(seen, generation) + 1).min(RUN) } else { 0 };
            let next = (generation & RUN) << RUN_BITS | run;
            // Asked after the look at the word, as in the ring.
            if !current() {
                return 0;
            }
            match self.run.compare_exchange(seen, next, Ordering::SeqCst, Ordering::SeqCst) {
                Ok(_) => return run,
                Err(now) => seen = now,
            }
        }
    }

    /// What was counted in the window that ends now.
    pub(crate) fn counts(&self, layout: Layout, generation: u64, now: Tick) -> Counts {
        let run = run_of(self.run.load(Ordering::SeqCst), generation);
        let mut counts = Counts { consecutive_failures: run, ..Counts::default() };
        match layout.window {
            Window::Time { scale } => {
                let bucket = Bucket { generation, epoch: scale.epoch(now) };
                for ring in (0..=self.more.len()).step_by(layout.banks()) {
                    // First these: each was counted as a call before.
                    if layout.slow {
                        counts.slow += ring::sum(self.ring(ring + 1), bucket).0;
                    }
                    let (calls, failures) = ring::sum(self.ring(ring), bucket);
                    counts.calls += calls;
                    counts.failures += failures;
                }
                // More only while a full bucket has been halved, and not yet beside.
                counts.slow = counts.slow.min(counts.calls);
            }
            Window::Calls { span } => {
                (counts.calls, counts.failures, counts.slow) = self.calls(span).sum(generation);
            }
        }
        counts
    }
}

/// How a call ended, as far as it is counted.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Result {
    pub(crate) failed: bool,
    pub(crate) slow: bool,
}

#[cfg(all(test, not(plimsoll_loom)))]
mod tests {
    use super::*;
    use crate::rules::Scale;

    const NOW: Tick = Tick::from_nanos(1_000);
    const BAD: Result = Result { failed: true, slow: false };

    fn layout() -> (Layout, Scale) {
        let scale = Scale::of_bucket(100);
        (Layout { window: Window::Time { scale }, slow: true }, scale)
    }

    #[test]
    fn more_failures_in_a_row_than_can_be_counted_are_as_many_as_can() {
        let (layout, _) = layout();
        for generation in [0, 1, RUN, RUN + 1] {
            let tally = Tally::new(layout, 1);
            tally.run.store((generation & RUN) << RUN_BITS | (RUN - 1), Ordering::SeqCst);
            for _ in 0..2 {
                assert_eq!(tally.record(layout, generation, NOW, BAD, || true), RUN);
                assert_eq!(tally.counts(layout, generation, NOW).consecutive_failures, RUN);
            }
        }
    }

    /// Between the two steps in which a full bucket is halved.
    #[test]
    fn no_more_calls_are_slow_than_there_are() {
        let (layout, scale) = layout();
        let tally = Tally::new(layout, 4);
        tally.record(layout, 0, NOW, BAD, || true);
        let slow = tally.slow_ring(layout, tally.first_ring(layout)).expect("slow calls count");
        let bucket = Bucket { generation: 0, epoch: scale.epoch(NOW) };
        (0..3).for_each(|_| assert!(ring::add(slow, None, bucket, CALL, || true)));
        let counts = tally.counts(layout, 0, NOW);
        assert_eq!((counts.calls, counts.slow), (1, 1));
    }
}
