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
    pub(crate) min_requests: u32,
    pub(crate) window: Length,
    pub(crate) consecutive: Option<u32>,
    pub(crate) slow: Option<(Duration, f64)>,
    pub(crate) trip_when: Option<OwnRule>,
    pub(crate) open_for: Duration,
    pub(crate) backoff: Option<(f64, Duration)>,
    pub(crate) jitter: f64,
    pub(crate) probes: u32,
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
    /// Half the calls of a second failed, and they were ten at least: open for
    /// five seconds, closed by three probes.
    pub(crate) const PRESET: Self = Self {
        failure_ratio: None,
        min_requests: 10,
        window: Length::Time(Duration::from_secs(1)),
        consecutive: None,
        slow: None,
        trip_when: None,
        open_for: Duration::from_secs(5),
        backoff: None,
        jitter: 0.0,
        probes: 3,
        probe_successes: None,
        close_when: None,
        probe_limit: Duration::from_secs(60),
        seed: None,
        ramp: None,
    };

    /// What counts as failing where no rule was named.
    const FAILURE_RATIO: f64 = 0.5;

    pub(crate) fn rules(&self) -> Result<Rules, ConfigError> {
        let named =
            self.failure_ratio.is_some() || self.consecutive.is_some() || self.trip_when.is_some();
        let failure_ratio = if named { self.failure_ratio } else { Some(Self::FAILURE_RATIO) };
        let probe_successes = self.probe_successes.unwrap_or(self.probes);
        let most_probes = u64::from(MOST_PROBES);
        within("probes", self.probes, most_probes, "1 to 127")?;
        within(
            "probe_successes",
            probe_successes,
            self.probes.into(),
            "1 to the number of probes",
        )?;
        if let (Some(successes), Some(_)) = (self.probe_successes, &self.close_when) {
            let allowed = "left out where close_when is set";
            return Err(ConfigError::new("probe_successes", successes, allowed));
        }
        Ok(Rules {
            layout: Layout { window: self.window()?, slow: self.slow.is_some() },
            failure_ratio: failure_ratio.map(|it| ratio("failure_ratio", it)).transpose()?,
            slow: self.slow()?,
            min_requests: within("min_requests", self.min_requests, MOST_CALLS, CALLS)?,
            consecutive: match self.consecutive {
                Some(n) => Some(within("consecutive_failures", n, u32::MAX.into(), "at least 1")?),
                None => None,
            },
            trip_when: self.trip_when.clone(),
            openings: self.openings()?,
            probes: self.probes,
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
                if u64::from(self.min_requests) > calls {
                    let allowed = "at most window_calls";
                    return Err(ConfigError::new("min_requests", self.min_requests, allowed));
                }
                Ok(Window::Calls { span: Span::of(calls) })
            }
        }
    }

    fn slow(&self) -> Result<Option<Slow>, ConfigError> {
        let Some((longer_than, share)) = self.slow else { return Ok(None) };
        let nanos = nanos("slow_calls longer_than", longer_than)?;
        Ok(Some(Slow { nanos, ratio: ratio("slow_calls ratio", share)? }))
    }

    fn openings(&self) -> Result<Openings, ConfigError> {
        let first = nanos("open_for", self.open_for)?;
        if !(0.0..1.0).contains(&self.jitter) {
            return Err(ConfigError::new("jitter", self.jitter, "at least 0 and less than 1"));
        }
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 2^32")]
        let jitter = (self.jitter * f64::from(u32::MAX)) as u64;
        let mut lengths = vec![first];
        if let Some((factor, cap)) = self.backoff {
            if !(factor >= 1.0 && factor.is_finite()) {
                return Err(ConfigError::new("backoff factor", factor, "a number from 1"));
            }
            let cap = nanos("backoff cap", cap)?;
            if cap < first {
                let value = format_args!("{:?}", Duration::from_nanos(cap));
                return Err(ConfigError::new("backoff cap", value, "at least open_for"));
            }
            lengths.extend(grown(first, factor, cap));
        }
        Ok(Openings { nanos: lengths.into(), jitter })
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

/// The openings after the first: each `factor` times as long, up to `cap`.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "a product of positive numbers, at most the cap, in nanoseconds of years"
)]
fn grown(first: u64, factor: f64, cap: u64) -> Vec<u64> {
    let mut lengths = Vec::new();
    let mut length = first as f64;
    // As many as a word can count trips.
    while lengths.len() < 62 && lengths.last() != Some(&cap) && factor > 1.0 {
        length *= factor;
        lengths.push(if length >= cap as f64 { cap } else { length as u64 });
    }
    lengths
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
