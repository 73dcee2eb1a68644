//! What a breaker counts: calls, failures and slow calls in its window, and
//! failures in a row.

use crate::{
    change::Counts,
    ring::{self, BUCKETS, Bucket, Ring},
    rules::Window,
    sync::{AtomicU64, Ordering, thread_number},
};
use plimsoll_core::Tick;

/// The counts of one breaker. Nothing here is ever cleared: what belongs to an
/// earlier generation is told by its label, and not read.
#[derive(Debug)]
pub(crate) struct Tally {
    /// A ring for each stripe, and behind it one of slow calls if they count.
    rings: Box<[Ring]>,
    /// The number of the bucket that is being filled, in a window of calls.
    cursor: AtomicU64,
    /// Failures in a row: `[generation 32 | failures 32]`.
    run: AtomicU64,
}

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
    /// A window of calls has one stripe: its buckets are filled in turn.
    pub(crate) fn new(layout: Layout, stripes: usize) -> Self {
        let stripes = if let Window::Calls { .. } = layout.window { 1 } else { stripes };
        Self {
            rings: (0..stripes * layout.banks()).map(|_| Ring::default()).collect(),
            cursor: AtomicU64::new(0),
            run: AtomicU64::new(0),
        }
    }

    /// Where the calling thread counts.
    #[inline]
    fn first_ring(&self, layout: Layout) -> usize {
        let banks = layout.banks();
        // Both are powers of two.
        if self.rings.len() == banks {
            0
        } else {
            (thread_number() * banks) & (self.rings.len() - 1)
        }
    }

    fn bucket(&self, window: Window, generation: u64, now: Tick) -> Bucket {
        let epoch = match window {
            Window::Time { scale } => scale.epoch(now),
            Window::Calls { .. } => self.cursor.load(Ordering::SeqCst),
        };
        Bucket { generation, epoch }
    }

    /// Counts a success where that is a single addition. False, and nothing done,
    /// where the bucket must begin, is full, or a run of failures ends.
    #[inline]
    pub(crate) fn succeed(
        &self,
        layout: Layout,
        generation: u64,
        now: impl FnOnce() -> Tick,
    ) -> bool {
        if self.run.load(Ordering::SeqCst) & RUN != 0 {
            return false;
        }
        match layout.window {
            Window::Time { scale } => {
                let bucket = Bucket { generation, epoch: scale.epoch(now()) };
                ring::add_to_begun(&self.rings[self.first_ring(layout)], bucket).is_some()
            }
            Window::Calls { block, .. } => {
                let epoch = self.cursor.load(Ordering::SeqCst);
                let counted = ring::add_to_begun(&self.rings[0], Bucket { generation, epoch });
                if counted.is_some_and(|calls| calls >= block) {
                    self.turn(epoch);
                }
                counted.is_some()
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
        let bucket = self.bucket(layout.window, generation, now);
        let first = self.first_ring(layout);
        let counted = ring::add(&self.rings[first], bucket, result.failed, &current);
        if let (Window::Calls { block, .. }, Some(calls)) = (layout.window, counted) {
            if calls >= block {
                self.turn(bucket.epoch);
            }
        }
        if result.slow && counted.is_some() {
            ring::add(&self.rings[first + 1], bucket, true, &current);
        }
        if result.failed || self.run.load(Ordering::SeqCst) & RUN != 0 {
            self.change_run(generation, result.failed, current)
        } else {
            0
        }
    }

    /// The bucket of a window of calls is full: the next one is filled.
    #[cold]
    fn turn(&self, epoch: u64) {
        // Whoever fails here was overtaken by another who found it full.
        let next = epoch.wrapping_add(1);
        let _ = self.cursor.compare_exchange(epoch, next, Ordering::SeqCst, Ordering::SeqCst);
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
        let bucket = self.bucket(layout.window, generation, now);
        let full = match layout.window {
            Window::Time { .. } => BUCKETS,
            Window::Calls { full, .. } => full,
        };
        let run = run_of(self.run.load(Ordering::SeqCst), generation);
        let mut counts = Counts { consecutive_failures: run, ..Counts::default() };
        for stripe in self.rings.chunks_exact(layout.banks()) {
            let (calls, failures) = ring::sum(&stripe[0], bucket, full);
            counts.calls += calls;
            counts.failures += failures;
            counts.slow += stripe.get(1).map_or(0, |slow| ring::sum(slow, bucket, full).0);
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
