//! Latencies by size.

use super::sampler::UNIT_SHIFT;
use crate::sync::{AtomicU64, Ordering};

/// Sixteen buckets to each doubling: a percentile is off by 3 % at most.
///
/// Source: the log-linear layout of HdrHistogram (G. Tene).
#[derive(Debug)]
pub(super) struct Histogram(Box<[AtomicU64]>);

const SUB_BITS: u32 = 4;
const SUB: u64 = 1 << SUB_BITS;
/// Of 32 bits of units.
#[cfg(not(plimsoll_loom))]
const BUCKETS: usize = (32 - SUB_BITS as usize + 1) << SUB_BITS;
#[cfg(plimsoll_loom)]
const BUCKETS: usize = 1;

#[expect(clippy::cast_possible_truncation, reason = "below the number of buckets")]
fn index(units: u64) -> usize {
    let index = if units < SUB {
        units
    } else {
        let doubling = u64::from(units.ilog2() - SUB_BITS);
        (doubling + 1) * SUB + (units >> doubling) - SUB
    };
    (index as usize).min(BUCKETS - 1)
}

/// The middle of a bucket, in units.
fn middle(index: usize) -> f64 {
    let (doubling, sub) = (index >> SUB_BITS, index & ((1 << SUB_BITS) - 1));
    if doubling == 0 {
        return sub as f64 + 0.5;
    }
    (SUB as f64 + sub as f64 + 0.5) * f64::from(1_u32 << (doubling - 1))
}

impl Histogram {
    pub(super) fn new() -> Self {
        Self((0..BUCKETS).map(|_| AtomicU64::new(0)).collect())
    }

    #[inline]
    pub(super) fn add(&self, units: u64) {
        self.0[index(units)].fetch_add(1, Ordering::Relaxed);
    }

    /// The latency that the share `q` of all stayed below, in nanoseconds; `None`
    /// if there are none. It is empty afterwards.
    pub(super) fn take(&self, q: f64) -> Option<f64> {
        let counts: Vec<u64> = self.0.iter().map(|n| n.swap(0, Ordering::Relaxed)).collect();
        let all: u64 = counts.iter().sum();
        let rank = (all as f64 * q).ceil().max(1.0);
        let mut below = 0.0;
        let found = counts.iter().position(|&n| {
            below += n as f64;
            below >= rank
        })?;
        Some(middle(found) * f64::from(1_u32 << UNIT_SHIFT))
    }
}

#[cfg(all(test, not(plimsoll_loom)))]
mod tests {
    use super::*;

    #[test]
    fn every_latency_falls_into_a_bucket_whose_middle_is_within_3_percent() {
        for nanos in (0..36).flat_map(|bits| [0, 1, 7].map(|more| (1_u64 << bits) * (8 + more) / 8))
        {
            let units = nanos >> UNIT_SHIFT;
            let middle = middle(index(units)) * 16.0;
            let off = (middle - nanos as f64).abs();
            assert!(off <= 16.0_f64.max(nanos as f64 * 0.033), "{nanos}: {middle}");
        }
    }

    #[test]
    fn a_percentile_of_nothing_is_nothing_and_not_a_giant() {
        let histogram = Histogram::new();
        assert_eq!(histogram.take(0.5), None);
        histogram.add(1_000);
        assert!(histogram.take(0.5).is_some());
        assert_eq!(histogram.take(0.5), None, "it was taken");
    }

    #[test]
    fn a_percentile_is_the_latency_of_that_rank() {
        let histogram = Histogram::new();
        (1..=100).for_each(|milli| histogram.add((milli * 1_000_000) >> UNIT_SHIFT));
        let p90 = histogram.take(0.9).unwrap();
        assert!((p90 / 90e6 - 1.0).abs() < 0.033, "{p90}");
    }
}
