//! What an adaptive limit is told, and how it is made of that.

use super::{
    limit::AdaptiveLimit,
    tuner::{Law, Rules, Tuner},
    windows::Windows,
};
use crate::entrance::{Entrance, Patience};
use plimsoll_core::{Clock, ConfigError};
use plimsoll_wait::Places;
use std::{ops::RangeInclusive, time::Duration};

/// What its refusals are called.
const NAME: &str = "adaptive limit";

/// Where a limit starts unless it is told otherwise or its range is elsewhere.
const START: u32 = 20;

#[derive(Clone, Debug)]
pub(super) struct Settings {
    pub(super) law: Law,
    low: u32,
    high: u32,
    start: Option<u32>,
    window: Duration,
    min_samples: u32,
    percentile: Option<f64>,
    tolerated: f64,
    healthy: Option<Duration>,
    patience: Patience,
    queue: usize,
}

impl Settings {
    pub(super) fn new(law: Law) -> Self {
        Self {
            law,
            low: 1,
            high: 1_000,
            start: None,
            window: Duration::from_secs(1),
            min_samples: 10,
            percentile: None,
            tolerated: 0.1,
            healthy: None,
            patience: Patience::Never,
            queue: crate::entrance::QUEUE,
        }
    }

    fn check(&self) -> Result<(), ConfigError> {
        let range = || format!("{}..={}", self.low, self.high);
        if self.low == 0 || self.low > self.high || self.high > Places::MAX {
            let allowed = "a range within 1..=2147483647";
            return Err(ConfigError::new("range", range(), allowed));
        }
        if let Some(start) = self.start.filter(|start| !(self.low..=self.high).contains(start)) {
            let value = format!("{start} with range {}", range());
            return Err(ConfigError::new("start", value, "within the range"));
        }
        if self.min_samples == 0 {
            return Err(ConfigError::new("min_samples", 0, "at least 1"));
        }
        if let Some(q) = self.percentile.filter(|q| !(*q > 0.0 && *q < 1.0)) {
            return Err(ConfigError::new("percentile", q, "between 0 and 1, both excluded"));
        }
        if !(0.0..1.0).contains(&self.tolerated) {
            return Err(ConfigError::new("tolerated failures", self.tolerated, "0 to below 1"));
        }
        time("window", self.window)?;
        self.healthy.map_or(Ok(()), |healthy| time("healthy latency", healthy))
    }

    pub(super) fn build<K: Clock>(self, clock: K) -> Result<AdaptiveLimit<K>, ConfigError> {
        self.check()?;
        let rules = Rules {
            low: self.low,
            high: self.high,
            tolerated: self.tolerated,
            healthy: self.healthy.map_or(f64::INFINITY, nanos),
        };
        let start = self.start.unwrap_or(START.clamp(self.low, self.high));
        let tuner = Tuner::new(rules, self.law.clone(), start);
        let entrance = Entrance {
            places: Places::new(tuner.limit(), self.queue),
            queue: self.queue,
            patience: self.patience,
            work_takes: None,
            name: NAME,
            clock,
        };
        let now = entrance.clock.now();
        let windows = Windows::new(tuner, self.window, self.min_samples, self.percentile, now);
        Ok(AdaptiveLimit { settings: self, entrance, windows })
    }
}

/// A time that is longer than nothing, and that a clock can count.
pub(super) fn time(field: &'static str, time: Duration) -> Result<(), ConfigError> {
    if time.is_zero() || u64::try_from(time.as_nanos()).is_err() {
        return Err(ConfigError::new(field, format!("{time:?}"), "1 ns to 584 years"));
    }
    Ok(())
}

pub(super) fn nanos(time: Duration) -> f64 {
    time.as_nanos() as f64
}

/// Panics where it is called from, with the rule that was broken.
#[track_caller]
pub(super) fn literal<T>(made: Result<T, ConfigError>) -> T {
    match made {
        Ok(made) => made,
        Err(error) => error.panic(),
    }
}

impl<K: Clock> AdaptiveLimit<K> {
    /// The limit anew, with one setting changed.
    fn with(self, change: impl FnOnce(&mut Settings)) -> Result<Self, ConfigError> {
        let mut settings = self.settings;
        change(&mut settings);
        settings.build(self.entrance.clock)
    }

    /// The limit stays within `range`. By default `1..=1_000`.
    ///
    /// # Panics
    ///
    /// When the range is empty, begins at 0, ends above
    /// [`ConcurrencyLimit::MAX`](crate::ConcurrencyLimit::MAX), or leaves out
    /// [`start_at`](Self::start_at). A limit of 0 would never see a result again.
    /// [`try_range`](Self::try_range) returns the error.
    #[track_caller]
    #[must_use]
    pub fn range(self, range: RangeInclusive<u32>) -> Self {
        literal(self.try_range(range))
    }

    /// [`range`](Self::range) from configuration.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] where `range` panics.
    pub fn try_range(self, range: RangeInclusive<u32>) -> Result<Self, ConfigError> {
        self.with(|settings| (settings.low, settings.high) = range.into_inner())
    }

    /// The limit before anything is known. By default 20, or the end of the
    /// range that is nearer to it.
    ///
    /// # Panics
    ///
    /// When it is outside the [`range`](Self::range).
    /// [`try_start_at`](Self::try_start_at) returns the error.
    #[track_caller]
    #[must_use]
    pub fn start_at(self, limit: u32) -> Self {
        literal(self.try_start_at(limit))
    }

    /// [`start_at`](Self::start_at) from configuration.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] where `start_at` panics.
    pub fn try_start_at(self, limit: u32) -> Result<Self, ConfigError> {
        self.with(|settings| settings.start = Some(limit))
    }

    /// The limit is decided on once in `time`. By default a second.
    ///
    /// Some times as long as work takes, or what it did about the last limit is
    /// not yet in the results.
    ///
    /// # Panics
    ///
    /// When it is zero or over 584 years. [`try_window`](Self::try_window)
    /// returns the error.
    #[track_caller]
    #[must_use]
    pub fn window(self, time: Duration) -> Self {
        literal(self.try_window(time))
    }

    /// [`window`](Self::window) from configuration.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] where `window` panics.
    pub fn try_window(self, time: Duration) -> Result<Self, ConfigError> {
        self.with(|settings| settings.window = time)
    }

    /// A window goes on until it has `n` results. By default 10.
    ///
    /// # Panics
    ///
    /// When it is 0. [`try_min_samples`](Self::try_min_samples) returns the
    /// error.
    #[track_caller]
    #[must_use]
    pub fn min_samples(self, n: u32) -> Self {
        literal(self.try_min_samples(n))
    }

    /// [`min_samples`](Self::min_samples) from configuration.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] where `min_samples` panics.
    pub fn try_min_samples(self, n: u32) -> Result<Self, ConfigError> {
        self.with(|settings| settings.min_samples = n)
    }

    /// The latency of a window is that which the share `q` of it stays below, to
    /// within 3 %. By default it is the mean.
    ///
    /// It costs one more atomic for each result, and 4 KiB.
    ///
    /// # Panics
    ///
    /// Unless it is between 0 and 1. [`try_percentile`](Self::try_percentile)
    /// returns the error.
    #[track_caller]
    #[must_use]
    pub fn percentile(self, q: f64) -> Self {
        literal(self.try_percentile(q))
    }

    /// [`percentile`](Self::percentile) from configuration.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] where `percentile` panics.
    pub fn try_percentile(self, q: f64) -> Result<Self, ConfigError> {
        self.with(|settings| settings.percentile = Some(q))
    }

    /// A window is congested when more than this `share` of its results are
    /// failures. By default 0.1; 0 means any.
    ///
    /// # Panics
    ///
    /// Unless it is from 0 to below 1.
    /// [`try_tolerate_failures`](Self::try_tolerate_failures) returns the error.
    #[track_caller]
    #[must_use]
    pub fn tolerate_failures(self, share: f64) -> Self {
        literal(self.try_tolerate_failures(share))
    }

    /// [`tolerate_failures`](Self::tolerate_failures) from configuration.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] where `tolerate_failures` panics.
    pub fn try_tolerate_failures(self, share: f64) -> Result<Self, ConfigError> {
        self.with(|settings| settings.tolerated = share)
    }

    /// A window whose latency is over `time` is congested, and what is taken for
    /// normal learns nothing from it. By default there is no such time.
    ///
    /// The algorithms that compare latency with that of the past take a bad state
    /// that lasts for normal after a while. Set this to what your callers would
    /// never call normal, and they won't.
    ///
    /// # Panics
    ///
    /// When it is zero or over 584 years.
    /// [`try_healthy_below`](Self::try_healthy_below) returns the error.
    #[track_caller]
    #[must_use]
    pub fn healthy_below(self, time: Duration) -> Self {
        literal(self.try_healthy_below(time))
    }

    /// [`healthy_below`](Self::healthy_below) from configuration.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] where `healthy_below` panics.
    pub fn try_healthy_below(self, time: Duration) -> Result<Self, ConfigError> {
        self.with(|settings| settings.healthy = Some(time))
    }

    /// Lets work wait for a place, in a fair line, for `time`. By default nothing
    /// waits: what finds no place is refused.
    ///
    /// The wait is no part of the latency. Zero lets nothing wait. The runtime's
    /// timers keep a millisecond.
    ///
    /// # Panics
    ///
    /// Not here: work that has to wait does, outside a tokio runtime that keeps
    /// time. It leaves the line.
    #[must_use]
    pub fn wait_at_most(mut self, time: Duration) -> Self {
        self.settings.patience = Patience::at_most(time);
        self.entrance.patience = self.settings.patience;
        self
    }

    /// Where work may [wait](Self::wait_at_most), at most `n` do; whoever comes
    /// then is refused at once. By default 1,024.
    #[must_use]
    pub fn queue(mut self, n: usize) -> Self {
        self.settings.queue = n;
        let limit = self.entrance.places.limit();
        Self { entrance: self.entrance.with_places(limit, n), ..self }
    }

    /// Measures time by `clock`. By default
    /// [`DefaultClock`](plimsoll_core::DefaultClock).
    #[must_use]
    pub fn clock<L: Clock>(self, clock: L) -> AdaptiveLimit<L> {
        // They were checked when this one was made of them.
        literal(self.settings.build(clock))
    }
}
