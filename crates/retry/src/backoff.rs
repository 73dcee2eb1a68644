//! How long to pause: told how many pauses there were, and a random number.

use plimsoll_core::ConfigError;
use std::time::Duration;

/// How pauses are spread, so that callers who failed together do not come back
/// together.
///
/// With `step` the pause that grows from one to the next, `base` the first, and
/// `cap` the longest:
///
/// | | a pause is | suits |
/// |---|---|---|
/// | `Full` | anything from 0 to `step` | nearly everything: the least load for the same progress |
/// | `Equal` | half of `step`, and anything up to the other half | where a pause must not be near zero |
/// | `Decorrelated` | anything from `base` to three times the last one, `cap` at most | long outages: pauses forget the number of attempts |
/// | `None` | `step` | a single caller, or tests |
///
/// Source: M. Brooker, *Exponential Backoff and Jitter*, AWS Architecture Blog,
/// 2015.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Jitter {
    /// Anything from zero to the step.
    #[default]
    Full,
    /// Half of the step, and anything up to the other half.
    Equal,
    /// Anything from the base to three times the last pause, within the cap.
    Decorrelated,
    /// The step itself.
    None,
}

/// The default bound on a step.
const CAP: Duration = Duration::from_secs(30);

/// Steps of pauses, in nanoseconds: whatever is over 584 years is 584 years.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Backoff {
    base: u64,
    cap: u64,
    /// What a step is of the one before it; none where all are alike.
    factor: Option<f64>,
    jitter: Jitter,
}

impl Backoff {
    pub(crate) fn exponential(base: Duration) -> Result<Self, ConfigError> {
        if base.is_zero() {
            return Err(ConfigError::new("base", "0", "over zero: no pause grows from nothing"));
        }
        Ok(Self { factor: Some(2.0), ..Self::constant(base) })
    }

    pub(crate) fn constant(pause: Duration) -> Self {
        let cap = nanos(CAP.max(pause));
        Self { base: nanos(pause), cap, factor: None, jitter: Jitter::default() }
    }

    pub(crate) fn with_cap(self, cap: Duration) -> Result<Self, ConfigError> {
        if nanos(cap) < self.base {
            let given = format!("{cap:?} with a base of {:?}", Duration::from_nanos(self.base));
            return Err(ConfigError::new("cap", given, "at least the base"));
        }
        Ok(Self { cap: nanos(cap), ..self })
    }

    pub(crate) fn with_factor(self, factor: f64) -> Result<Self, ConfigError> {
        if !(factor.is_finite() && factor >= 1.0) {
            return Err(ConfigError::new("factor", factor, "a number from 1"));
        }
        Ok(Self { factor: Some(factor), ..self })
    }

    pub(crate) fn with_jitter(self, jitter: Jitter) -> Self {
        Self { jitter, ..self }
    }

    pub(crate) fn is_spread(&self) -> bool {
        self.jitter != Jitter::None
    }

    /// The pause after the attempt `failed`, 1 for the first. `last` is the
    /// pause before this one, zero if there was none.
    pub(crate) fn pause(&self, failed: u32, last: Duration, random: u64) -> Duration {
        let nanos = match self.jitter {
            Jitter::Full => up_to(self.step(failed), random),
            Jitter::Equal => {
                let step = self.step(failed);
                let half = step / 2;
                step - half + up_to(half, random)
            }
            Jitter::Decorrelated => {
                let most = nanos(last).max(self.base).saturating_mul(3);
                (self.base + up_to(most - self.base, random)).min(self.cap)
            }
            Jitter::None => self.step(failed),
        };
        Duration::from_nanos(nanos)
    }

    /// The pause without jitter.
    fn step(&self, failed: u32) -> u64 {
        let Some(factor) = self.factor else { return self.base };
        let before = i32::try_from(failed.saturating_sub(1)).unwrap_or(i32::MAX);
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "saturates")]
        let grown = (self.base as f64 * factor.powi(before)) as u64;
        grown.clamp(self.base, self.cap)
    }
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

/// A uniform number from 0 to `most`, both included.
fn up_to(most: u64, random: u64) -> u64 {
    let scaled = ((u128::from(most) + 1) * u128::from(random)) >> 64;
    // Below `most + 1`, as the factor is below one.
    u64::try_from(scaled).unwrap_or(most)
}

#[cfg(all(test, not(plimsoll_loom)))]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const MS: Duration = Duration::from_millis(1);

    fn any_backoff() -> impl Strategy<Value = Backoff> {
        let jitter = prop_oneof![
            Just(Jitter::Full),
            Just(Jitter::Equal),
            Just(Jitter::Decorrelated),
            Just(Jitter::None)
        ];
        let times = (1..=u64::MAX, any::<u64>());
        (times, prop::option::of(1.0..1e300_f64), jitter).prop_map(
            |((base, more), factor, jitter)| Backoff {
                base,
                cap: base.saturating_add(more),
                factor,
                jitter,
            },
        )
    }

    proptest! {
        #[test]
        fn no_pause_is_over_the_cap_whatever_is_drawn(
            backoff in any_backoff(), failed: u32, last: u64, random: u64,
        ) {
            let pause = backoff.pause(failed, Duration::from_nanos(last), random);
            prop_assert!(pause <= Duration::from_nanos(backoff.cap));
        }

        #[test]
        fn equal_and_decorrelated_pauses_keep_their_lower_bound(
            backoff in any_backoff(), failed: u32, last: u64, random: u64,
        ) {
            let last = Duration::from_nanos(last);
            let equal = backoff.with_jitter(Jitter::Equal).pause(failed, last, random);
            prop_assert!(nanos(equal) >= backoff.step(failed) / 2);
            let decorrelated = backoff.with_jitter(Jitter::Decorrelated).pause(failed, last, random);
            prop_assert!(nanos(decorrelated) >= backoff.base);
        }

        #[test]
        fn steps_never_shrink(backoff in any_backoff(), failed in 1..u32::MAX) {
            prop_assert!(backoff.step(failed) <= backoff.step(failed + 1));
        }

        #[test]
        fn a_draw_reaches_both_ends_and_nothing_beyond(most: u64, random: u64) {
            prop_assert!(up_to(most, random) <= most);
            prop_assert_eq!(up_to(most, 0), 0);
            prop_assert_eq!(up_to(most, u64::MAX), most);
        }
    }

    #[test]
    fn steps_double_up_to_the_cap_for_any_number_of_attempts() {
        let backoff = Backoff::exponential(100 * MS).unwrap().with_jitter(Jitter::None);
        let steps: Vec<_> =
            (1..=5).map(|failed| backoff.pause(failed, Duration::ZERO, 7).as_millis()).collect();
        assert_eq!(steps, [100, 200, 400, 800, 1_600]);
        assert_eq!(backoff.pause(u32::MAX, Duration::ZERO, 7), CAP);
    }

    #[test]
    fn equal_pauses_reach_from_half_the_step_to_all_of_it() {
        for (step, half) in [(100, 50), (3, 2), (1, 1)] {
            let [step, half] = [step, half].map(Duration::from_nanos);
            let backoff = Backoff::constant(step).with_jitter(Jitter::Equal);
            let reach = [0, u64::MAX].map(|random| backoff.pause(1, Duration::ZERO, random));
            assert_eq!(reach, [half, step]);
        }
    }

    #[test]
    fn decorrelated_pauses_reach_from_the_base_to_three_times_the_last() {
        let backoff = Backoff::exponential(100 * MS).unwrap().with_jitter(Jitter::Decorrelated);
        for (last, longest) in [(0, 300), (100, 300), (250, 750), (20_000, 30_000)] {
            let reach = [0, u64::MAX].map(|random| backoff.pause(9, MS * last, random));
            assert_eq!(reach, [100 * MS, MS * longest], "after {last} ms");
        }
    }

    #[test]
    fn a_base_over_the_default_cap_raises_it() {
        let backoff = Backoff::exponential(2 * CAP).unwrap().with_jitter(Jitter::None);
        assert_eq!(backoff.pause(9, Duration::ZERO, 0), 2 * CAP);
    }

    #[test]
    fn the_mean_of_full_jitter_is_half_the_step() {
        let backoff = Backoff::constant(100 * MS);
        let draws = crate::draws::Draws::seeded(4);
        let all = (0..10_000).map(|_| backoff.pause(1, Duration::ZERO, draws.draw()));
        let mean = all.sum::<Duration>() / 10_000;
        assert!(mean.abs_diff(50 * MS) < MS, "{mean:?}");
    }
}
