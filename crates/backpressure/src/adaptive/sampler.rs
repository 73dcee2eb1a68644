//! What work leaves behind when it ends, without a lock.

use super::histogram::Histogram;
use crate::sync::{AtomicU64, Ordering};

/// Latencies are added up in units of 16 ns. One of 69 seconds or more counts as
/// that.
pub(super) const UNIT_SHIFT: u32 = 4;
const LONGEST: u64 = (1 << 32) - 1;

const COUNT_SHIFT: u32 = 48;
/// So many samples are collected before the window ends, to make room.
pub(super) const FULL: u64 = 1 << 15;
/// More than so many come only while whoever collects is interrupted. The word
/// has no room for them.
const OVERFULL: u64 = 3 << 14;

/// The part of a window that has not been collected.
#[derive(Debug)]
pub(super) struct Sampler {
    /// `[samples 16 | sum of their latencies 48]`, in one word so that no sum is
    /// ever divided by the number of another.
    word: Apart<AtomicU64>,
    failures: AtomicU64,
    peak: AtomicU64,
    histogram: Option<Histogram>,
}

/// On cache lines of its own: every result writes it, and reads what else there is.
#[derive(Debug)]
#[repr(align(128))]
struct Apart<T>(T);

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
            word: Apart(AtomicU64::new(0)),
            failures: AtomicU64::new(0),
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

    /// It succeeded after `nanos`. Returns how many have not been collected.
    #[inline]
    pub(super) fn succeeded(&self, nanos: u64) -> u64 {
        let units = (nanos >> UNIT_SHIFT).min(LONGEST);
        let sample = (1 << COUNT_SHIFT) | units;
        let before = self.word.0.fetch_add(sample, Ordering::Relaxed) >> COUNT_SHIFT;
        if before >= OVERFULL {
            self.word.0.fetch_sub(sample, Ordering::Relaxed);
        } else if let Some(histogram) = &self.histogram {
            histogram.add(units);
        }
        before + 1
    }

    pub(super) fn failed(&self) {
        self.failures.fetch_add(1, Ordering::Relaxed);
    }

    /// Moves what there is to `totals`. Each sample is moved once, whoever else
    /// adds to it meanwhile.
    pub(super) fn collect(&self, totals: &mut Totals) {
        let word = self.word.0.swap(0, Ordering::Relaxed);
        totals.samples += word >> COUNT_SHIFT;
        totals.sum = totals.sum.saturating_add(word & ((1 << COUNT_SHIFT) - 1));
        totals.failures += self.failures.swap(0, Ordering::Relaxed);
        let peak = self.peak.swap(0, Ordering::Relaxed);
        totals.peak = totals.peak.max(u32::try_from(peak).unwrap_or(u32::MAX));
    }

    /// The latency that the share `q` of the window stayed below, in nanoseconds,
    /// and an empty histogram afterwards. `None` without percentiles or samples.
    pub(super) fn percentile(&self, q: f64) -> Option<f64> {
        self.histogram.as_ref()?.take(q)
    }
}
