//! A moving percentile of latencies in one atomic word.

use crate::sync::{AtomicU64, Ordering};
use plimsoll_core::ConfigError;
use std::time::Duration;

/// Where the percentile stands, moved a little by each sample.
///
/// A sample over the estimate moves it up by `p` of a step, one under it moves it
/// down by `1 − p` of a step, so it comes to rest where the share `p` of the
/// samples lies under it. Steps are ratios, so that microseconds and minutes are
/// followed alike; one that suddenly is far too low doubles in some 25 samples.
///
/// Only *over or under* counts. So a call that is still under way when it is
/// hedged is a full sample: it is over. An estimate from finished calls only
/// would not see the slow ones that hedges overtake, sink, and hedge ever more.
///
/// Source: frugal streaming, Ma, Muthukrishnan and Sandler, 2014; here with steps
/// on a logarithmic scale, and longer ones at the start.
#[derive(Debug)]
pub(crate) struct Quantile {
    up: u64,
    down: u64,
    /// `[samples, stops at the top 16 | log2 of nanoseconds, times 2^40 48]`.
    word: AtomicU64,
}

const LEVEL_BITS: u32 = 48;
const LEVEL: u64 = (1 << LEVEL_BITS) - 1;
/// A factor of two.
const OCTAVE: u64 = 1 << 40;
/// 64 octaves are more than there are nanoseconds.
const TOP: u64 = 64 * OCTAVE;
/// A step, in octaves: 3 %.
const STEP: f64 = 0.043;
/// The first step is so many steps, the second half of that, the third a third.
const FIRST_STEP: u64 = 64;
/// So many samples until the estimate is used.
const WARM: u64 = 100;

impl Quantile {
    pub(crate) fn new(p: f64) -> Result<Self, ConfigError> {
        if !(p > 0.0 && p < 1.0) {
            return Err(ConfigError::new("percentile", p, "over 0 and under 1"));
        }
        let part = |p: f64| round(p * STEP * OCTAVE as f64).max(1);
        Ok(Self { up: part(p), down: part(1.0 - p), word: AtomicU64::new(0) })
    }

    /// The percentile, once there are enough samples.
    pub(crate) fn get(&self) -> Option<Duration> {
        let word = self.word.load(Ordering::Relaxed);
        let nanos = ((word & LEVEL) as f64 / OCTAVE as f64).exp2();
        (word >> LEVEL_BITS >= WARM).then(|| Duration::from_nanos(round(nanos)))
    }

    #[cfg(test)]
    pub(crate) fn word(&self) -> u64 {
        self.word.load(Ordering::Relaxed)
    }

    /// A call took `time`.
    pub(crate) fn record(&self, time: Duration) {
        let sample = level(time);
        self.change(|samples, at| {
            if samples == 0 {
                return sample;
            }
            self.moved(samples, at, sample > at)
        });
    }

    /// A call takes longer than `time`, and was not waited for.
    pub(crate) fn record_over(&self, time: Duration) {
        let least = level(time);
        self.change(|samples, at| {
            match samples {
                0 => least,
                // The estimate has doubled since this call was given its delay. If
                // all that began before a jump still counted, it would jump too far.
                _ if least + OCTAVE < at => at,
                _ => self.moved(samples, at, true),
            }
        });
    }

    fn moved(&self, samples: u64, at: u64, up: bool) -> u64 {
        let longer = (FIRST_STEP / samples).max(1);
        if up { (at + self.up * longer).min(TOP) } else { at.saturating_sub(self.down * longer) }
    }

    fn change(&self, to: impl Fn(u64, u64) -> u64) {
        let count = |word: u64| {
            let (samples, at) = (word >> LEVEL_BITS, word & LEVEL);
            let at = to(samples, at);
            Some((samples + 1).min(u64::from(u16::MAX)) << LEVEL_BITS | at)
        };
        // Never an error, as it always changes.
        let _ = self.word.fetch_update(Ordering::Relaxed, Ordering::Relaxed, count);
    }
}

/// The place of a time on the scale, a nanosecond at least.
fn level(time: Duration) -> u64 {
    round((time.as_nanos().max(1) as f64).log2() * OCTAVE as f64).min(TOP)
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "saturates")]
fn round(value: f64) -> u64 {
    value.round() as u64
}

#[cfg(all(test, not(plimsoll_loom)))]
mod tests {
    use super::*;
    use crate::draws::Draws;
    use proptest::prelude::*;

    const US: Duration = Duration::from_micros(1);

    /// Latencies with an exponential distribution and this mean.
    fn latencies(draws: &Draws, mean: Duration) -> impl Iterator<Item = Duration> + '_ {
        std::iter::repeat_with(move || {
            let uniform = (draws.draw() >> 11) as f64 / (1_u64 << 53) as f64;
            mean.mul_f64(-(1.0 - uniform).ln())
        })
    }

    fn off(estimate: &Quantile, right: Duration) -> f64 {
        let estimate = estimate.get().map_or(f64::NAN, |time| time.as_secs_f64());
        (estimate / right.as_secs_f64() - 1.0).abs()
    }

    #[test]
    fn it_finds_the_percentile_and_follows_it() {
        let draws = Draws::seeded(3);
        for (p, factor) in [(0.5, 0.693), (0.9, 2.303), (0.95, 2.996), (0.99, 4.605)] {
            let estimate = Quantile::new(p).unwrap();
            for mean in [10_000 * US, 100_000 * US, 1_000 * US] {
                let samples = if p > 0.98 { 40_000 } else { 8_000 };
                for time in latencies(&draws, mean).take(samples) {
                    estimate.record(time);
                }
                let off = off(&estimate, mean.mul_f64(factor));
                assert!(off < 0.25, "p {p} of a mean of {mean:?} is off by {off}");
            }
        }
    }

    #[test]
    fn calls_that_were_overtaken_count_as_slow() {
        let draws = Draws::seeded(4);
        let (all, waited_for) = (Quantile::new(0.9).unwrap(), Quantile::new(0.9).unwrap());
        for time in latencies(&draws, 10_000 * US).take(20_000) {
            match all.get() {
                Some(delay) if time > delay => all.record_over(delay),
                _ => all.record(time),
            }
            if waited_for.get().is_none_or(|delay| time <= delay) {
                waited_for.record(time);
            }
        }
        assert!(off(&all, 23_030 * US) < 0.2, "{:?}", all.get());
        assert!(waited_for.get().unwrap() < 1_000 * US, "it sank: {:?}", waited_for.get());
    }

    #[test]
    fn a_thousand_calls_that_began_before_a_jump_do_not_overshoot_it() {
        let estimate = Quantile::new(0.9).unwrap();
        for _ in 0..WARM {
            estimate.record(1_000 * US);
        }
        let delay = estimate.get().unwrap();
        for _ in 0..1_000 {
            estimate.record_over(delay);
        }
        assert!((2 * delay..=delay * 21 / 10).contains(&estimate.get().unwrap()));
    }

    #[test]
    fn it_says_nothing_before_it_has_a_hundred_samples() {
        let estimate = Quantile::new(0.95).unwrap();
        for _ in 1..WARM {
            estimate.record(US);
            assert_eq!(estimate.get(), None);
        }
        estimate.record(US);
        assert!(estimate.get().is_some());
    }

    #[test]
    fn it_begins_where_the_first_call_was_whether_that_was_waited_for_or_not() {
        let (waited_for, overtaken) = (Quantile::new(0.9).unwrap(), Quantile::new(0.9).unwrap());
        waited_for.record(700 * US);
        overtaken.record_over(700 * US);
        for estimate in [waited_for, overtaken] {
            assert_eq!(estimate.word() & LEVEL, level(700 * US));
        }
    }

    #[test]
    fn a_first_call_that_says_nothing_of_the_rest_is_forgotten_before_anything_is_hedged() {
        let estimate = Quantile::new(0.9).unwrap();
        estimate.record(US);
        for _ in 1..WARM {
            estimate.record(1_000 * US);
        }
        let off = off(&estimate, 1_000 * US);
        assert!(off < 0.25, "off by {off}");
    }

    #[test]
    fn it_goes_on_after_more_calls_than_it_counts() {
        let estimate = Quantile::new(0.9).unwrap();
        for _ in 0..u64::from(u16::MAX) + WARM / 2 {
            estimate.record(1_000 * US);
        }
        assert!(estimate.get().is_some());
    }

    proptest! {
        #[test]
        fn no_latency_makes_it_wrap(
            times in prop::collection::vec(any::<(u64, u32, bool)>(), 0..500), p in 0.001..0.999,
        ) {
            let estimate = Quantile::new(p).unwrap();
            for (secs, nanos, over) in times {
                let time = Duration::new(secs, nanos % 1_000_000_000);
                if over { estimate.record_over(time) } else { estimate.record(time) }
                prop_assert!(estimate.word() & LEVEL <= TOP);
            }
        }
    }
}
