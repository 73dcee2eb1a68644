//! The breaker as people hold it.

use crate::{
    builder::{Builder, Observer},
    change::{Counts, State, StateChange},
    rules::Rules,
    state::BreakerState,
    word::{Phase, Word},
};
use plimsoll_core::{Clock, ConfigError, DefaultClock};
use std::{
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
    time::Duration,
};

/// Threads that count without touching each other's lines, in a window of time.
/// More of them share.
const STRIPES: usize = if cfg!(plimsoll_loom) { 1 } else { 4 };

/// A circuit breaker: a gate that refuses calls to what fails, and finds out when
/// it is back.
///
/// Ask it through [`GateExt`](plimsoll_core::GateExt): `run`, `run_with`,
/// `try_admit`. Share it by an `Arc` or a reference. For one breaker per
/// endpoint use `keyed` and `keyed_ref` of the crate plimsoll-keyed.
///
/// It decides at once and nobody waits in it. A call whose future is dropped, or
/// whose permit is, tells nothing: it does not count, and a probe's place is free
/// again. One that panics has failed.
///
/// Source: M. T. Nygard, "Release It!", Pragmatic Bookshelf 2007, for the three
/// states. What is different here, and why, is said at the
/// [beginning of the crate](crate).
///
/// # Example
///
/// ```
/// use plimsoll_breaker::{CircuitBreaker, State};
/// use plimsoll_core::{GateExt, ManualClock};
/// use std::time::Duration;
///
/// let clock = ManualClock::new();
/// let breaker = CircuitBreaker::builder()
///     .consecutive_failures(3)
///     .open_for(Duration::from_secs(5))
///     .probes(1)
///     .clock(clock.clone())
///     .build()?;
///
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// for _ in 0..3 {
///     let answer = breaker.run(async { Err::<(), _>("down") }).await;
///     assert!(answer.is_err());
/// }
/// assert_eq!(breaker.state(), State::Open);
///
/// // Nothing is sent now, and the refusal says when to come back.
/// let refusal = breaker.try_admit().unwrap_err();
/// assert_eq!(refusal.to_string(), "breaker: circuit open, retry after 5s");
///
/// clock.advance(Duration::from_secs(5));
/// assert_eq!(breaker.state(), State::HalfOpen);
/// breaker.run(async { Ok::<_, &str>("back") }).await.unwrap();
/// assert_eq!(breaker.state(), State::Closed);
/// # });
/// # Ok::<(), plimsoll_core::ConfigError>(())
/// ```
#[repr(C, align(64))]
pub struct CircuitBreaker<K = DefaultClock> {
    /// So that a line ends where it should: see below.
    _before: u64,
    pub(crate) state: BreakerState,
    pub(crate) rules: Rules,
    pub(crate) clock: K,
    observers: Box<[Observer]>,
}

/// What every call writes begins a cache line: the word, which every call reads,
/// is not on it. Only speed depends on this.
#[cfg(all(target_pointer_width = "64", not(plimsoll_loom)))]
const _: () = assert!(std::mem::offset_of!(CircuitBreaker, state.tally.head) == 64);

impl CircuitBreaker {
    /// The settings, to begin with those of [`default`](Self::default). Nothing is
    /// checked before [`build`](Builder::build).
    pub fn builder() -> Builder {
        Builder::new()
    }

    /// Opens after `failures` in a row for `open_for`, and has the defaults of
    /// the [`Builder`] for the rest: three probes must succeed to close it.
    ///
    /// # Panics
    ///
    /// When `failures` is 0, or `open_for` is zero or more than 292 years.
    /// [`try_after_failures`](Self::try_after_failures) returns the error.
    ///
    /// # Example
    ///
    /// ```
    /// use plimsoll_breaker::{CircuitBreaker, State};
    /// use plimsoll_core::{GateExt, Outcome};
    /// use std::time::Duration;
    ///
    /// let breaker = CircuitBreaker::after_failures(2, Duration::from_secs(30));
    /// for _ in 0..2 {
    ///     breaker.try_admit()?.finish(Outcome::Failure);
    /// }
    /// assert_eq!(breaker.state(), State::Open);
    /// # Ok::<(), plimsoll_core::Rejected>(())
    /// ```
    #[track_caller]
    #[must_use]
    pub fn after_failures(failures: u32, open_for: Duration) -> Self {
        match Self::try_after_failures(failures, open_for) {
            Ok(breaker) => breaker,
            Err(error) => error.panic(),
        }
    }

    /// [`after_failures`](Self::after_failures), for values from configuration.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] when `failures` is 0, or `open_for` is zero or more than
    /// 292 years.
    pub fn try_after_failures(failures: u32, open_for: Duration) -> Result<Self, ConfigError> {
        Self::builder().consecutive_failures(failures).open_for(open_for).build()
    }

    /// Opens for `open_for` when `ratio` of the calls in `window` failed, and has
    /// the defaults of the [`Builder`] for the rest: ten calls at least, and three
    /// probes must succeed to close it.
    ///
    /// # Panics
    ///
    /// When `ratio` is not more than 0 and at most 1, or a time is zero or more than
    /// 292 years. [`try_at_ratio`](Self::try_at_ratio) returns the error.
    ///
    /// # Example
    ///
    /// ```
    /// use plimsoll_breaker::{CircuitBreaker, State};
    /// use plimsoll_core::{GateExt, Outcome};
    /// use std::time::Duration;
    ///
    /// let (window, open_for) = (Duration::from_secs(10), Duration::from_secs(5));
    /// let breaker = CircuitBreaker::at_ratio(0.2, window, open_for);
    /// for call in 1..=10 {
    ///     let outcome = if call > 8 { Outcome::Failure } else { Outcome::Success };
    ///     assert_eq!(breaker.state(), State::Closed);
    ///     breaker.try_admit()?.finish(outcome);
    /// }
    /// assert_eq!(breaker.state(), State::Open);
    /// # Ok::<(), plimsoll_core::Rejected>(())
    /// ```
    #[track_caller]
    #[must_use]
    pub fn at_ratio(ratio: f64, window: Duration, open_for: Duration) -> Self {
        match Self::try_at_ratio(ratio, window, open_for) {
            Ok(breaker) => breaker,
            Err(error) => error.panic(),
        }
    }

    /// [`at_ratio`](Self::at_ratio), for values from configuration.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] when `ratio` is not more than 0 and at most 1, or a time
    /// is zero or more than 292 years.
    pub fn try_at_ratio(
        ratio: f64,
        window: Duration,
        open_for: Duration,
    ) -> Result<Self, ConfigError> {
        Self::builder().failure_ratio(ratio).window(window).open_for(open_for).build()
    }
}

/// Opens when ten calls or more came within a second and half of them failed, for
/// five seconds; closes when three probes have succeeded.
impl Default for CircuitBreaker {
    fn default() -> Self {
        Self::builder().build().expect("the defaults are within their bounds")
    }
}

impl<K: Clock> CircuitBreaker<K> {
    pub(crate) fn with(rules: Rules, observers: Vec<Observer>, clock: K) -> Self {
        let state = BreakerState::new(rules.layout, STRIPES);
        Self { _before: 0, state, rules, clock, observers: observers.into() }
    }

    /// Where it stands now: half open as soon as a probe may go, and closed as soon
    /// as a recovery has run its time, whether or not anybody has asked.
    #[must_use]
    pub fn state(&self) -> State {
        self.rules.state_at(&self.state, self.clock.now())
    }

    /// What was counted since the state last changed, in the window that ends
    /// now. While half open, what the probes have told; from the end of a recovery
    /// on, what was counted in it too. Nothing while it is open.
    ///
    /// Costs a look at each part of the window, some 130 words at most.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.rules.counts_at(&self.state, self.clock.now())
    }

    /// How long until a probe may go, to the nanosecond, while the breaker is open;
    /// `None` where it lets calls through, and where it is not known when it will.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        self.rules.retry_after(&self.state, self.clock.now()).map(Duration::from_nanos)
    }

    /// Refuses every call from now on, until [`reset`](Self::reset) or
    /// [`force_closed`](Self::force_closed). No time closes it and no result.
    ///
    /// Does nothing, and tells no observer, where it is forced open already.
    ///
    /// # Example
    ///
    /// ```
    /// use plimsoll_breaker::{CircuitBreaker, State};
    /// use plimsoll_core::GateExt;
    ///
    /// let breaker = CircuitBreaker::default();
    /// breaker.force_open(); // it is to be left alone while it is maintained
    /// assert!(breaker.try_admit().is_err());
    /// breaker.reset();
    /// assert!(breaker.try_admit().is_ok());
    /// ```
    pub fn force_open(&self) {
        self.force(|word| word.forced(Phase::ForcedOpen));
    }

    /// Lets every call pass from now on, whatever their results, until
    /// [`reset`](Self::reset) or [`force_open`](Self::force_open). Results are
    /// still counted, so that [`counts`](Self::counts) shows what goes on.
    ///
    /// Does nothing, and tells no observer, where it is forced closed already: what
    /// was counted stays.
    pub fn force_closed(&self) {
        self.force(|word| word.forced(Phase::ForcedClosed));
    }

    /// Closes it and forgets what was counted, from whatever state; results of
    /// calls under way do not count. The next opening is as long as the first.
    ///
    /// Observers are told, also where it was closed: it begins anew. So one of them
    /// that resets it at each change to closed would never end.
    pub fn reset(&self) {
        self.force(Word::closed);
    }

    fn force(&self, next: impl Fn(Word) -> Word) {
        let tell = |change: &StateChange| self.tell(change);
        self.rules.force(&self.state, self.clock.now(), next, tell);
    }

    /// Tells the observers of a change, which is complete by now.
    #[cold]
    pub(crate) fn tell(&self, change: &StateChange) {
        for observer in &self.observers {
            // We may be in the drop of a permit, where a panic would end the
            // process; and the other observers are to hear of it too.
            let _ = catch_unwind(AssertUnwindSafe(|| observer(change)));
        }
    }
}

impl<K: Clock + fmt::Debug> fmt::Debug for CircuitBreaker<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CircuitBreaker")
            .field("state", &self.state())
            .field("counts", &self.counts())
            .field("rules", &self.rules)
            .field("clock", &self.clock)
            .field("observers", &self.observers.len())
            .finish()
    }
}
