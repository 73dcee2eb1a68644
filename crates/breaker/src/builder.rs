//! The settings of a breaker, as they are called.

use crate::{
    CircuitBreaker,
    change::{Counts, StateChange},
    settings::{Length, Settings},
};
use plimsoll_core::{Clock, ConfigError, DefaultClock};
use std::{fmt, sync::Arc, time::Duration};

/// Who is told of changes.
pub(crate) type Observer = Arc<dyn Fn(&StateChange) + Send + Sync>;

/// The settings of a [`CircuitBreaker`].
///
/// Nothing is checked before [`build`](Self::build), which says what is wrong. The
/// order of calls does not matter, and of two for one setting the last one counts.
/// All times are from 1 ns to 292 years.
///
/// The rules that open it ([`failure_ratio`](Self::failure_ratio),
/// [`consecutive_failures`](Self::consecutive_failures),
/// [`slow_calls`](Self::slow_calls), [`trip_when`](Self::trip_when)) work side by
/// side; whichever holds opens it. They are asked when a call has failed or was
/// slow: a success never opens a breaker.
///
/// # Example
///
/// ```
/// use plimsoll_breaker::CircuitBreaker;
/// use std::time::Duration;
///
/// let breaker = CircuitBreaker::builder()
///     .failure_ratio(0.5)
///     .slow_calls(Duration::from_millis(800), 0.9)
///     .min_requests(20)
///     .window(Duration::from_secs(10))
///     .open_for(Duration::from_secs(5))
///     .backoff(2.0, Duration::from_secs(60))
///     .jitter(0.2)
///     .ramp(&[10, 25, 50], Duration::from_secs(2))
///     .on_change(|change| println!("{} -> {}", change.from, change.to))
///     .build()?;
/// # let _ = breaker;
/// # Ok::<(), plimsoll_core::ConfigError>(())
/// ```
#[must_use = "nothing is built before `build`"]
#[derive(Clone)]
pub struct Builder<K = DefaultClock> {
    settings: Settings,
    observers: Vec<Observer>,
    clock: K,
}

impl Builder {
    pub(crate) fn new() -> Self {
        Self { settings: Settings::PRESET, observers: Vec::new(), clock: DefaultClock::new() }
    }
}

impl<K: Clock> Builder<K> {
    fn set(mut self, change: impl FnOnce(&mut Settings)) -> Self {
        change(&mut self.settings);
        self
    }

    /// Opens when at least this part of the calls in the window failed, more
    /// than 0 and at most 1. By default 0.5, unless
    /// [`consecutive_failures`](Self::consecutive_failures) or
    /// [`trip_when`](Self::trip_when) is set: then by default not at all.
    pub fn failure_ratio(self, ratio: f64) -> Self {
        self.set(|settings| settings.failure_ratio = Some(ratio))
    }

    /// Opens when at least `ratio` of the calls in the window, more than 0 and
    /// at most 1, took longer than `longer_than`, failed or not. A probe that is
    /// slow counts as failed. By default time does not matter.
    ///
    /// A call begins when all gates of a tuple have admitted it: its wait for a place in a
    /// limit behind the breaker is not the dependency's time. Where a limit stands
    /// within the call itself, `breaker.run(limit.run(call))`, it is.
    ///
    /// Costs a second reading of the clock for each call.
    pub fn slow_calls(self, longer_than: Duration, ratio: f64) -> Self {
        self.set(|settings| settings.slow = Some((longer_than, ratio)))
    }

    /// Ratios say nothing before the window holds this many calls, 1 to
    /// 10,000,000, and not more than [`window_calls`](Self::window_calls). By default
    /// 10, or all that a window of fewer calls holds. Probes, failures in a row and
    /// rules of your own do not ask for it.
    pub fn min_requests(self, calls: u32) -> Self {
        self.set(|settings| settings.min_requests = Some(calls))
    }

    /// Results count for this long, and leave the window a fifteenth at a time:
    /// the last is gone after 16/15 of it. A fifteenth is rounded up to whole
    /// nanoseconds, two at least. By default 1 s. Replaces
    /// [`window_calls`](Self::window_calls).
    pub fn window(self, window: Duration) -> Self {
        self.set(|settings| settings.window = Length::Time(window))
    }

    /// Results count until this many more have come in, 1 to 10,000,000, in
    /// place of a time. Up to 241 that is exact; of more, they leave the window a
    /// fifteenth at a time, the last after 16/15 of it and one.
    ///
    /// Such a breaker reads no clock while it is closed. It suits steady load:
    /// what a quiet dependency did an hour ago still counts.
    pub fn window_calls(self, calls: u32) -> Self {
        self.set(|settings| settings.window = Length::Calls(calls))
    }

    /// Opens after this many failures without a success between them, from 1,
    /// however far apart they are. By default they do not matter.
    pub fn consecutive_failures(self, failures: u32) -> Self {
        self.set(|settings| settings.consecutive = Some(failures))
    }

    /// Opens when `rule` says so, which is asked after each failure or slow call.
    ///
    /// It is called under no lock, from whatever thread ends the call; it must
    /// be quick. If it panics, the answer is no.
    ///
    /// # Example
    ///
    /// ```
    /// use plimsoll_breaker::CircuitBreaker;
    ///
    /// let breaker = CircuitBreaker::builder()
    ///     .trip_when(|counts| counts.failures >= 3 && counts.failure_ratio() > 0.05)
    ///     .build()?;
    /// # let _ = breaker;
    /// # Ok::<(), plimsoll_core::ConfigError>(())
    /// ```
    pub fn trip_when(self, rule: impl Fn(&Counts) -> bool + Send + Sync + 'static) -> Self {
        self.set(|settings| settings.trip_when = Some(Arc::new(rule)))
    }

    /// Refuses for so long, then lets probes through. By default 5 s, or the cap of a
    /// [`backoff`](Self::backoff) that is less.
    pub fn open_for(self, time: Duration) -> Self {
        self.set(|settings| settings.open_for = Some(time))
    }

    /// Opened again before it was closed for good, it stays open `factor` times
    /// as long as before, `cap` at most. `factor` is finite and 1 or more, `cap` not
    /// below [`open_for`](Self::open_for). By default each opening is as long.
    pub fn backoff(self, factor: f64, cap: Duration) -> Self {
        self.set(|settings| settings.backoff = Some((factor, cap)))
    }

    /// Each opening is shorter by a random part of itself, `part` at most, from 0
    /// to less than 1, so that many processes do not probe at once. By default 0.
    pub fn jitter(self, part: f64) -> Self {
        self.set(|settings| settings.jitter = part)
    }

    /// Draws the jitter from `seed` and from how often the state has changed, for
    /// tests and simulations: the same calls then meet the same openings. By default
    /// no two processes draw alike.
    pub fn seed(self, seed: u64) -> Self {
        self.set(|settings| settings.seed = Some(seed))
    }

    /// While half open, this many calls are let through, 1 to 127. By default 3, or
    /// as many as [`probe_successes`](Self::probe_successes) wants if that is more.
    /// It bounds those at one time and those of the whole phase; one that ends
    /// without a verdict gives its place back.
    pub fn probes(self, probes: u32) -> Self {
        self.set(|settings| settings.probes = Some(probes))
    }

    /// This many successful probes close it, and it opens again as soon as they
    /// cannot be reached any more: 1 to the number of probes. By default all, so
    /// that a single failure opens it.
    pub fn probe_successes(self, successes: u32) -> Self {
        self.set(|settings| settings.probe_successes = Some(successes))
    }

    /// Closes when `rule` says so, which is asked with the account of the probes
    /// when one has succeeded or failed, in place of
    /// [`probe_successes`](Self::probe_successes). When all have ended and it has
    /// not said so, it opens again. Called as a rule of
    /// [`trip_when`](Self::trip_when) is; it may be asked twice about one probe.
    ///
    /// # Example
    ///
    /// ```
    /// use plimsoll_breaker::CircuitBreaker;
    ///
    /// let breaker = CircuitBreaker::builder()
    ///     .probes(20)
    ///     .close_when(|probes| probes.calls >= 5 && probes.failure_ratio() <= 0.2)
    ///     .build()?;
    /// # let _ = breaker;
    /// # Ok::<(), plimsoll_core::ConfigError>(())
    /// ```
    pub fn close_when(self, rule: impl Fn(&Counts) -> bool + Send + Sync + 'static) -> Self {
        self.set(|settings| settings.close_when = Some(Arc::new(rule)))
    }

    /// Probes that have not come back for so long, counted from the last that
    /// was let through, are given up and others go, so that a call that hangs
    /// does not keep the breaker half open for ever. By default 60 s.
    pub fn probe_limit(self, time: Duration) -> Self {
        self.set(|settings| settings.probe_limit = time)
    }

    /// After the probes have succeeded, lets only these percentages of the calls
    /// through, one at least, rising, from 1 to 99, each for `step`, before all may
    /// pass. The rules apply meanwhile. By default all may pass at once.
    ///
    /// The calls that pass are spread evenly over those that come, the first is one
    /// of them, and no chance is in it. Source: J. E. Bresenham, "Algorithm for
    /// computer control of a digital plotter", IBM Systems Journal 4(1), 1965.
    ///
    /// # Example
    ///
    /// ```
    /// use plimsoll_breaker::{CircuitBreaker, State};
    /// use plimsoll_core::{GateExt, ManualClock, Outcome};
    /// use std::time::Duration;
    ///
    /// let clock = ManualClock::new();
    /// let breaker = CircuitBreaker::builder()
    ///     .consecutive_failures(1)
    ///     .probes(1)
    ///     .ramp(&[10, 50], Duration::from_secs(2))
    ///     .clock(clock.clone())
    ///     .build()?;
    /// breaker.try_admit()?.finish(Outcome::Failure);
    /// clock.advance(Duration::from_secs(5));
    /// breaker.try_admit()?.finish(Outcome::Success);
    ///
    /// let passing = || (0..100).filter(|_| breaker.try_admit().is_ok()).count();
    /// for share in [10, 50, 100] {
    ///     assert_eq!(passing(), share);
    ///     clock.advance(Duration::from_secs(2));
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn ramp(self, percents: &[u8], step: Duration) -> Self {
        self.set(|settings| settings.ramp = Some((percents.to_vec(), step)))
    }

    /// Tells `observer` of each change of state, and of each reset. May be called
    /// several times.
    ///
    /// It is called after the change is complete, by the thread that brought it
    /// about, under no lock: it may ask the breaker, and change it. When changes
    /// follow each other quickly on several threads, it may hear of them out of
    /// order: see [`StateChange::generation`]. A panic in it is swallowed after
    /// the panic hook has run. With one state per key, it hears of the changes of
    /// all keys, and not of which.
    pub fn on_change(mut self, observer: impl Fn(&StateChange) + Send + Sync + 'static) -> Self {
        self.observers.push(Arc::new(observer));
        self
    }

    /// Reads the time from `clock`, at any place among the settings. By default from a
    /// [`DefaultClock`].
    pub fn clock<L: Clock>(self, clock: L) -> Builder<L> {
        Builder { settings: self.settings, observers: self.observers, clock }
    }

    /// The breaker, closed.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] names the first setting that is out of its bounds, or that
    /// contradicts another. What is left out never contradicts what is set.
    pub fn build(self) -> Result<CircuitBreaker<K>, ConfigError> {
        Ok(CircuitBreaker::with(self.settings.rules()?, self.observers, self.clock))
    }
}

impl<K: fmt::Debug> fmt::Debug for Builder<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder")
            .field("rules", &self.settings.rules())
            .field("observers", &self.observers.len())
            .field("clock", &self.clock)
            .finish()
    }
}
