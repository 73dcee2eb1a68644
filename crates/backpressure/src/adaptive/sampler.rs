//! What work leaves behind when it ends, without a lock.

use super::histogram::Histogram;
use crate::sync::{AtomicU64, Ordering};

/// Latencies are added up in units of 16 ns. One of 69 seconds or more counts as
/// that.
pub(super) const UNIT_SHIFT: u32 = 4;
const LONGEST: u64 = (1 << 32) - 1;

const COUNT_SHIFT: u32 = 48;
/// So many samples of a stripe are collected before the window ends, to make room.
pub(super) const FULL: u64 = 1 << 15;
/// So many there are only while whoever collects is interrupted: no more are added.
///
/// A thread looks before it adds, and what it has added it sees when it looks
/// again. So one more may come from each thread, and there is room for 16,384.
const OVERFULL: u64 = if cfg!(plimsoll_loom) { 2 } else { 3 << 14 };

/// Threads count in so many places. In models all in one, where they can meet.
const STRIPES: usize = if cfg!(plimsoll_loom) { 1 } else { 8 };

/// The part of a window that has not been collected.
#[derive(Debug)]
pub(super) struct Sampler {
    stripes: [Stripe; STRIPES],
    peak: AtomicU64,
    histogram: Option<Histogram>,
}

/// What some threads have counted, on cache lines of its own: every result writes
/// it, and nobody else does but whoever collects.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Stripe {
    /// `[samples 16 | sum of their latencies 48]`, in one word so that no sum is
    /// ever divided by the number of another.
    samples: AtomicU64,
    failures: AtomicU64,
}

/// What was collected.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Totals {
    pub(super) samples: u64,
    /// In units.
    pub(super) sum: u64,
    pub(super) failures: u64,
    pub(super) peak: u32,
}

impl Sampler {
    pub(super) fn new(percentiles: bool) -> Self {
        Self {
            stripes: Default::default(),
            peak: AtomicU64::new(0),
            histogram: percentiles.then(Histogram::new),
        }
    }

    /// Work has ended while `in_flight` were under way, itself included.
    #[inline]
    pub(super) fn under_way(&self, in_flight: u32) {
        // Almost always only read, so that threads can share the line.
        let in_flight = u64::from(in_flight);
        if in_flight > self.peak.load(Ordering::Relaxed) {
            self.peak.fetch_max(in_flight, Ordering::Relaxed);
        }
    }

    /// The stripe of a thread with this number.
    #[inline]
    fn stripe(&self, thread: usize) -> &Stripe {
        &self.stripes[thread % STRIPES]
    }

    /// Work succeeded after `nanos` on this thread. Returns how many of its stripe
    /// have not been collected.
    #[inline]
    pub(super) fn succeeded(&self, thread: usize, nanos: u64) -> u64 {
        let units = (nanos >> UNIT_SHIFT).min(LONGEST);
        let samples = &self.stripe(thread).samples;
        let seen = samples.load(Ordering::Relaxed) >> COUNT_SHIFT;
        if seen >= OVERFULL {
            return seen;
        }
        let before = samples.fetch_add((1 << COUNT_SHIFT) | units, Ordering::Relaxed);
        if let Some(histogram) = &self.histogram {
            histogram.add(units);
        }
        (before >> COUNT_SHIFT) + 1
    }

    pub(super) fn failed(&self, thread: usize) {
        self.stripe(thread).failures.fetch_add(1, Ordering::Relaxed);
    }

    /// Moves what there is to `totals`. Each sample is moved once, whoever else
    /// adds to it meanwhile.
    pub(super) fn collect(&self, totals: &mut Totals) {
        for stripe in &self.stripes {
            let samples = stripe.samples.swap(0, Ordering::Relaxed);
            totals.samples += samples >> COUNT_SHIFT;
            totals.sum = totals.sum.saturating_add(samples & ((1 << COUNT_SHIFT) - 1));
            totals.failures += stripe.failures.swap(0, Ordering::Relaxed);
        }
        let peak = self.peak.swap(0, Ordering::Relaxed);
        totals.peak = totals.peak.max(u32::try_from(peak).unwrap_or(u32::MAX));
    }

    /// The latency that the share `q` of the window stayed below, in nanoseconds,
    /// and an empty histogram afterwards. `None` without percentiles or samples.
    pub(super) fn percentile(&self, q: f64) -> Option<f64> {
        self.histogram.as_ref()?.take(q)
    }
}

#[cfg(all(test, not(plimsoll_loom)))]
mod tests {
    use super::*;

    #[test]
    fn what_threads_have_counted_apart_is_collected_together_and_once() {
        let sampler = Sampler::new(false);
        for thread in 0..100 {
            sampler.succeeded(thread, 16 * (1 + thread as u64));
            sampler.failed(thread);
        }
        let mut totals = Totals::default();
        sampler.collect(&mut totals);
        assert_eq!(totals, Totals { samples: 100, sum: 5_050, failures: 100, peak: 0 });
        sampler.collect(&mut totals);
        assert_eq!(totals.samples, 100);
    }

    /// Whoever should have collected may be held up: what has no room is left out
    /// with its latency, and no count runs over into the next.
    #[test]
    fn a_stripe_that_nobody_collects_keeps_its_average() {
        let sampler = Sampler::new(false);
        (0..100_000).for_each(|_| _ = sampler.succeeded(3, u64::MAX));
        let mut totals = Totals::default();
        sampler.collect(&mut totals);
        assert_eq!((totals.samples, totals.sum), (OVERFULL, OVERFULL * LONGEST));
    }
}
