//! What a breaker is set to do: when it opens, for how long, and how it closes.

use crate::{calls::Span, change::Counts, tally::Layout, word::PAYLOAD_BITS};
use plimsoll_core::Tick;
use std::{
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};

/// The time or the number of calls that results count for.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Window {
    Time { scale: Scale },
    Calls { span: Span },
}

/// Division of a tick by the length of a bucket, as one multiplication.
///
/// Exact up to 2^63 ns, by Granlund and Montgomery, "Division by invariant
/// integers using multiplication", PLDI 1994.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scale {
    multiplier: u64,
    shift: u32,
}

impl Scale {
    /// Buckets of `nanos`, from 2 to 2^63.
    pub(crate) fn of_bucket(nanos: u64) -> Self {
        let shift = 63 - (nanos - 1).leading_zeros();
        let multiplier = (1_u128 << (64 + shift)).div_ceil(u128::from(nanos));
        Self { multiplier: u64::try_from(multiplier).expect("at most 2^64 - 1"), shift }
    }

    #[inline]
    pub(crate) fn epoch(self, now: Tick) -> u64 {
        ((u128::from(now.as_nanos()) * u128::from(self.multiplier)) >> 64) as u64 >> self.shift
    }
}

/// The time it stays open.
#[derive(Clone, Debug)]
pub(crate) struct Openings {
    /// For the first opening in a row, for the second, and so on; the last one
    /// for all that follow. Never empty.
    pub(crate) nanos: Box<[u64]>,
    /// The part of it that chance may take away, in 2^-32.
    pub(crate) jitter: u64,
}

impl Openings {
    /// How long the opening is after `trips` in a row, where `chance` was drawn.
    #[inline]
    pub(crate) fn length(&self, trips: u64, chance: u64) -> u64 {
        let last = self.nanos.len() - 1;
        let index = usize::try_from(trips.saturating_sub(1)).map_or(last, |trip| trip.min(last));
        let full = self.nanos[index];
        if self.jitter == 0 {
            return full;
        }
        let cut = (u128::from(full) * u128::from(self.jitter) * u128::from(chance))
            >> (32 + PAYLOAD_BITS);
        // The cut is a part of the whole.
        full - u64::try_from(cut).unwrap_or(full)
    }
}

/// The load after an outage: percentages, each for one step.
#[derive(Clone, Debug)]
pub(crate) struct Ramp {
    pub(crate) percents: Box<[u8]>,
    pub(crate) step: u64,
}

impl Ramp {
    /// The share `elapsed` nanoseconds after its begin, `None` once all may come.
    pub(crate) fn percent(&self, elapsed: u64) -> Option<u64> {
        let step = usize::try_from(elapsed / self.step).ok()?;
        self.percents.get(step).map(|&percent| percent.into())
    }
}

/// A rule of the user's own.
pub(crate) type OwnRule = Arc<dyn Fn(&Counts) -> bool + Send + Sync>;

/// On cache lines of their own: every call reads them.
#[derive(Clone)]
#[repr(align(64))]
pub(crate) struct Rules {
    pub(crate) layout: Layout,
    pub(crate) failure_ratio: Option<f64>,
    pub(crate) slow: Option<Slow>,
    pub(crate) min_requests: u64,
    pub(crate) consecutive: Option<u64>,
    pub(crate) trip_when: Option<OwnRule>,
    pub(crate) openings: Openings,
    pub(crate) probes: u32,
    pub(crate) probe_successes: u32,
    pub(crate) close_when: Option<OwnRule>,
    pub(crate) probe_limit: u64,
    pub(crate) seed: Option<u64>,
    pub(crate) ramp: Option<Ramp>,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Slow {
    /// A call that took longer than so many nanoseconds is slow.
    pub(crate) nanos: u64,
    pub(crate) ratio: f64,
}

impl Rules {
    /// Whether what was counted opens the breaker.
    pub(crate) fn trips(&self, counts: &Counts) -> bool {
        let in_a_row = self.consecutive.is_some_and(|most| counts.consecutive_failures >= most);
        let enough = counts.calls >= self.min_requests;
        let failing = self.failure_ratio.is_some_and(|ratio| counts.failure_ratio() >= ratio);
        let slow = self.slow.is_some_and(|slow| counts.slow_ratio() >= slow.ratio);
        in_a_row || enough && (failing || slow) || says(self.trip_when.as_ref(), counts)
    }

    /// Whether the probes that have ended close the breaker, and whether they open it.
    pub(crate) fn probes_say(&self, counts: &Counts) -> (bool, bool) {
        let (probes, successes) = (u64::from(self.probes), u64::from(self.probe_successes));
        if self.close_when.is_some() {
            return (says(self.close_when.as_ref(), counts), counts.calls >= probes);
        }
        (counts.calls - counts.failures >= successes, counts.failures > probes - successes)
    }
}

/// Asked while a permit is dropped, where a panic would end the process: it is a no.
fn says(rule: Option<&OwnRule>, counts: &Counts) -> bool {
    let ask = |rule: &OwnRule| catch_unwind(AssertUnwindSafe(|| rule(counts)));
    rule.is_some_and(|rule| ask(rule).unwrap_or(false))
}

impl fmt::Debug for Rules {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rules")
            .field("layout", &self.layout)
            .field("failure_ratio", &self.failure_ratio)
            .field("slow", &self.slow)
            .field("min_requests", &self.min_requests)
            .field("consecutive", &self.consecutive)
            .field("trip_when", &self.trip_when.is_some())
            .field("openings", &self.openings)
            .field("probes", &self.probes)
            .field("probe_successes", &self.probe_successes)
            .field("close_when", &self.close_when.is_some())
            .field("probe_limit", &self.probe_limit)
            .field("seed", &self.seed)
            .field("ramp", &self.ramp)
            .finish()
    }
}

#[cfg(all(test, not(plimsoll_loom)))]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn an_opening_grows_with_each_trip_to_the_last_length() {
        let openings = Openings { nanos: [5, 10, 20].into(), jitter: 0 };
        let lengths = [0, 1, 2, 3, 4, 63].map(|trips| openings.length(trips, u64::MAX >> 43));
        assert_eq!(lengths, [5, 5, 10, 20, 20, 20]);
    }

    #[test]
    fn chance_shortens_an_opening_by_the_jitter_at_most() {
        let openings = Openings { nanos: [1_000_000].into(), jitter: 1 << 31 };
        let most = (1 << PAYLOAD_BITS) - 1;
        assert_eq!(openings.length(1, 0), 1_000_000);
        assert_eq!(openings.length(1, most / 2), 750_001);
        assert_eq!(openings.length(1, most), 500_001);
        let for_ever = Openings { nanos: [u64::MAX].into(), jitter: u64::from(u32::MAX) };
        assert!(for_ever.length(1, most) > 0);
    }

    proptest! {
        #[test]
        fn the_epoch_is_the_exact_quotient(bits in 0_u32..63, low: u64, now: u64) {
            let bucket = (1_u64 << bits | low & ((1 << bits) - 1)).max(2);
            let now = now >> 1;
            let epoch = Scale::of_bucket(bucket).epoch(Tick::from_nanos(now));
            prop_assert_eq!(epoch, now / bucket);
            let edge = now / bucket * bucket;
            prop_assert_eq!(Scale::of_bucket(bucket).epoch(Tick::from_nanos(edge)), edge / bucket);
        }
    }
}
