//! The settings as they were called, and what they come to.

use crate::{
    calls::Span,
    ring::BUCKETS,
    rules::{Openings, OwnRule, Ramp, Rules, Scale, Slow, Window},
    tally::Layout,
    word::{MOST_PROBES, PAYLOAD_BITS},
};
use plimsoll_core::ConfigError;
use std::time::Duration;

/// A ratio that opens a breaker at once is a mistake for 0 failures in a row.
const RATIO: &str = "more than 0 and at most 1";
const MOST_CALLS: u64 = 10_000_000;
const CALLS: &str = "1 to 10000000";
/// Half of what a tick can hold: sums stay ticks, and quotients exact.
const MOST_NANOS: u128 = 1 << 63;
const TIME: &str = "1 ns to 292 years";

#[derive(Clone)]
pub(crate) struct Settings {
    pub(crate) failure_ratio: Option<f64>,
    pub(crate) min_requests: Option<u32>,
    pub(crate) window: Length,
    pub(crate) consecutive: Option<u32>,
    pub(crate) slow: Option<(Duration, f64)>,
    pub(crate) trip_when: Option<OwnRule>,
    pub(crate) open_for: Option<Duration>,
    pub(crate) backoff: Option<(f64, Duration)>,
    pub(crate) jitter: f64,
    pub(crate) probes: Option<u32>,
    pub(crate) probe_successes: Option<u32>,
    pub(crate) close_when: Option<OwnRule>,
    pub(crate) probe_limit: Duration,
    pub(crate) seed: Option<u64>,
    pub(crate) ramp: Option<(Vec<u8>, Duration)>,
}

#[derive(Clone, Copy)]
pub(crate) enum Length {
    Time(Duration),
    Calls(u32),
}

impl Settings {
    /// Nothing said but the window. What is not said is one of the constants below,
    /// or follows what is: a default never makes a setting fail.
    pub(crate) const PRESET: Self = Self {
        failure_ratio: None,
        min_requests: None,
        window: Length::Time(Duration::from_secs(1)),
        consecutive: None,
        slow: None,
        trip_when: None,
        open_for: None,
        backoff: None,
        jitter: 0.0,
        probes: None,
        probe_successes: None,
        close_when: None,
        probe_limit: Duration::from_secs(60),
        seed: None,
        ramp: None,
    };

    /// What counts as failing where no rule was named.
    const FAILURE_RATIO: f64 = 0.5;
    const MIN_REQUESTS: u64 = 10;
    const OPEN_FOR: Duration = Duration::from_secs(5);
    const PROBES: u32 = 3;

    pub(crate) fn rules(&self) -> Result<Rules, ConfigError> {
        let named =
            self.failure_ratio.is_some() || self.consecutive.is_some() || self.trip_when.is_some();
        let failure_ratio = if named { self.failure_ratio } else { Some(Self::FAILURE_RATIO) };
        let (probes, probe_successes) = self.probes()?;
        Ok(Rules {
            layout: Layout { window: self.window()?, slow: self.slow.is_some() },
            failure_ratio: failure_ratio.map(|it| ratio("failure_ratio", it)).transpose()?,
            slow: self.slow()?,
            min_requests: self.min_requests()?,
            consecutive: match self.consecutive {
                Some(n) => Some(within("consecutive_failures", n, u32::MAX.into(), "at least 1")?),
                None => None,
            },
            trip_when: self.trip_when.clone(),
            openings: self.openings()?,
            probes,
            probe_successes,
            close_when: self.close_when.clone(),
            probe_limit: nanos("probe_limit", self.probe_limit)?,
            seed: self.seed,
            ramp: self.ramp()?,
        })
    }

    fn window(&self) -> Result<Window, ConfigError> {
        match self.window {
            Length::Time(length) => {
                let bucket = nanos("window", length)?.div_ceil(BUCKETS).max(2);
                Ok(Window::Time { scale: Scale::of_bucket(bucket) })
            }
            Length::Calls(calls) => {
                let calls = within("window_calls", calls, MOST_CALLS, CALLS)?;
                Ok(Window::Calls { span: Span::of(calls) })
            }
        }
    }

    /// A window must be able to hold as many.
    fn min_requests(&self) -> Result<u64, ConfigError> {
        let held = match self.window {
            Length::Time(_) => MOST_CALLS,
            Length::Calls(calls) => calls.into(),
        };
        let Some(least) = self.min_requests else { return Ok(Self::MIN_REQUESTS.min(held)) };
        let least = within("min_requests", least, MOST_CALLS, CALLS)?;
        if least > held {
            let value = format_args!("{least} where window_calls is {held}");
            return Err(ConfigError::new("min_requests", value, "at most window_calls"));
        }
        Ok(least)
    }

    /// How many probes there are, and how many of them must succeed.
    fn probes(&self) -> Result<(u32, u32), ConfigError> {
        let bounded = |field, n| within(field, n, MOST_PROBES.into(), "1 to 127");
        let (probes, successes) = match (self.probes, self.probe_successes) {
            (None, None) => (Self::PROBES, Self::PROBES),
            (None, Some(successes)) => (successes.max(Self::PROBES), successes),
            (Some(probes), successes) => (probes, successes.unwrap_or(probes)),
        };
        if self.probe_successes.is_some() {
            bounded("probe_successes", successes)?;
            if self.close_when.is_some() {
                let allowed = "left out where close_when is set";
                return Err(ConfigError::new("probe_successes", successes, allowed));
            }
        }
        bounded("probes", probes)?;
        if successes > probes {
            let value = format_args!("{successes} where probes is {probes}");
            return Err(ConfigError::new("probe_successes", value, "at most probes"));
        }
        Ok((probes, successes))
    }

    fn slow(&self) -> Result<Option<Slow>, ConfigError> {
        let Some((longer_than, share)) = self.slow else { return Ok(None) };
        let nanos = nanos("slow_calls longer_than", longer_than)?;
        Ok(Some(Slow { nanos, ratio: ratio("slow_calls ratio", share)? }))
    }

    fn openings(&self) -> Result<Openings, ConfigError> {
        if !(0.0..1.0).contains(&self.jitter) {
            return Err(ConfigError::new("jitter", self.jitter, "at least 0 and less than 1"));
        }
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 2^32")]
        let jitter = (self.jitter * f64::from(u32::MAX)) as u64;
        let Some((factor, longest)) = self.backoff else {
            let first = nanos("open_for", self.open_for.unwrap_or(Self::OPEN_FOR))?;
            return Ok(Openings { nanos: [first].into(), jitter });
        };
        if !(factor >= 1.0 && factor.is_finite()) {
            return Err(ConfigError::new("backoff factor", factor, "a number from 1"));
        }
        let cap = nanos("backoff cap", longest)?;
        let open_for = self.open_for.unwrap_or(Self::OPEN_FOR.min(longest));
        let first = nanos("open_for", open_for)?;
        if first > cap {
            let value = format_args!("{longest:?} where open_for is {open_for:?}");
            return Err(ConfigError::new("backoff cap", value, "at least open_for"));
        }
        Ok(Openings { nanos: lengths(first, factor, cap), jitter })
    }

    fn ramp(&self) -> Result<Option<Ramp>, ConfigError> {
        let Some((percents, step)) = &self.ramp else { return Ok(None) };
        let inside = percents.iter().all(|percent| (1..=99).contains(percent));
        let rising = percents.windows(2).all(|pair| pair[0] < pair[1]);
        if percents.is_empty() || !inside || !rising {
            let value = format_args!("{percents:?}");
            return Err(ConfigError::new("ramp", value, "rising percentages from 1 to 99"));
        }
        let step = nanos("ramp step", *step)?;
        Ok(Some(Ramp { percents: percents.as_slice().into(), step }))
    }
}

/// The openings: each `factor` times as long as the one before, up to `cap`.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "a product of positive numbers, at most the cap, in nanoseconds of years"
)]
fn lengths(first: u64, factor: f64, cap: u64) -> Box<[u64]> {
    let mut lengths = vec![first];
    let mut length = first as f64;
    // As many as a word can count trips.
    while lengths.len() < 63 && lengths.last() != Some(&cap) && factor > 1.0 {
        length *= factor;
        lengths.push(if length >= cap as f64 { cap } else { length as u64 });
    }
    lengths.into()
}

/// A chance as long as the state's word has room for.
pub(crate) fn chance(drawn: u64) -> u64 {
    drawn >> (u64::BITS - PAYLOAD_BITS)
}

/// The number that `seed` draws for a generation.
///
/// One step of SplitMix64: Steele, Lea and Flood, "Fast Splittable Pseudorandom
/// Number Generators", OOPSLA 2014.
pub(crate) fn drawn(seed: u64, generation: u64) -> u64 {
    let mut mixed = generation.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    mixed = mixed.wrapping_add(seed);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

fn ratio(field: &'static str, value: f64) -> Result<f64, ConfigError> {
    if value > 0.0 && value <= 1.0 { Ok(value) } else { Err(ConfigError::new(field, value, RATIO)) }
}

fn within(
    field: &'static str,
    value: u32,
    most: u64,
    allowed: &'static str,
) -> Result<u64, ConfigError> {
    let wide = u64::from(value);
    if (1..=most).contains(&wide) { Ok(wide) } else { Err(ConfigError::new(field, value, allowed)) }
}

fn nanos(field: &'static str, value: Duration) -> Result<u64, ConfigError> {
    match u64::try_from(value.as_nanos()) {
        Ok(nanos) if (1..=MOST_NANOS).contains(&nanos.into()) => Ok(nanos),
        _ => Err(ConfigError::new(field, format_args!("{value:?}"), TIME)),
    }
}
