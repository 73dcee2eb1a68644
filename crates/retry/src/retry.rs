//! What people type: a `Retry` and its settings.

use crate::{
    EveryError, Jitter, Refusals, RetryBudget, Unobserved, backoff::Backoff, draws::Draws,
    error::or_panic, plan::Plan,
};
use plimsoll_core::{Clock, ConfigError, DefaultClock};
use std::{fmt, time::Duration};

/// Calls again what failed, with pauses that grow, as long as it may help and no
/// longer than anybody waits for the answer.
///
/// | | by default |
/// |---|---|
/// | attempts, the first included | 3 |
/// | pauses | [`Jitter::Full`], steps that double, 30 s at most |
/// | budget | [`RetryBudget::default`]: a fifth of the successes, and 10 a second |
/// | what is retried | every error but an open breaker's or a closed gate's refusal |
/// | a server's *retry after* | kept to, up to a minute; over that, given up |
/// | time for all attempts | no bound but the current [`Deadline`](plimsoll_core::Deadline) |
///
/// Make one for each dependency, share it by reference or clone, and keep it:
/// clones share the budget, and a `Retry` made anew for each call has a new
/// budget each time.
///
/// A success at the first attempt costs a look at the budget; clock, random
/// numbers and timer are for those who fail. (With [`within`](Self::within), the
/// clock is read at the start.)
///
/// # Example
///
/// ```
/// use plimsoll_core::{Error, Reason, Rejected};
/// use plimsoll_retry::{Retry, Stop};
/// use std::{cell::Cell, io, time::Duration};
///
/// # #[tokio::main(flavor = "current_thread", start_paused = true)]
/// # async fn main() {
/// let retry = Retry::exponential(Duration::from_millis(100)).cap(Duration::from_secs(30)).attempts(5);
/// # let retry = retry.clock(plimsoll_core::TokioClock);
///
/// let calls = Cell::new(0);
/// let get = || async {
///     calls.set(calls.get() + 1);
///     if calls.get() < 3 { Err(Error::Inner(io::Error::other("down"))) } else { Ok(42) }
/// };
/// assert_eq!(retry.run(get).await.unwrap(), 42);
///
/// let refused = || async { Err::<(), _>(Rejected::new(Reason::Open, "breaker")) };
/// let error = retry.run(refused).await.unwrap_err();
/// assert_eq!((error.attempts(), error.why()), (1, Stop::Permanent));
/// # }
/// ```
#[derive(Clone)]
pub struct Retry<J = Refusals, O = Unobserved, K = DefaultClock> {
    pub(crate) plan: Plan,
    pub(crate) budget: Option<RetryBudget>,
    pub(crate) judge: J,
    pub(crate) observer: O,
    pub(crate) draws: Draws,
    pub(crate) clock: K,
}

impl Retry {
    /// Pauses that double from `base` on: up to `base` before the second attempt,
    /// up to twice that before the third.
    ///
    /// # Panics
    ///
    /// When `base` is zero. [`try_exponential`](Self::try_exponential) returns
    /// the error.
    #[track_caller]
    #[must_use]
    pub fn exponential(base: Duration) -> Self {
        or_panic(Self::try_exponential(base))
    }

    /// [`exponential`](Self::exponential) for values that come from
    /// configuration.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] when `base` is zero.
    pub fn try_exponential(base: Duration) -> Result<Self, ConfigError> {
        Backoff::exponential(base).map(Self::by)
    }

    /// Pauses of up to `pause`; exactly `pause` with [`Jitter::None`], and anything
    /// from it to the cap with [`Jitter::Decorrelated`]. Zero tries again at once.
    #[must_use]
    pub fn constant(pause: Duration) -> Self {
        Self::by(Backoff::constant(pause))
    }

    fn by(backoff: Backoff) -> Self {
        let plan = Plan {
            backoff,
            attempts: 3,
            within: None,
            needs: Duration::ZERO,
            longest_wait: Duration::from_secs(60),
        };
        Self {
            plan,
            budget: Some(RetryBudget::default()),
            judge: Refusals::default(),
            observer: Unobserved,
            draws: Draws::new(),
            clock: DefaultClock::new(),
        }
    }
}

/// Pauses.
impl<J, O, K> Retry<J, O, K> {
    /// No step of the pauses is over `cap`. By default 30 s, or the base if that
    /// is longer.
    ///
    /// # Panics
    ///
    /// When `cap` is under the base. [`try_cap`](Self::try_cap) returns the
    /// error.
    #[track_caller]
    #[must_use]
    pub fn cap(self, cap: Duration) -> Self {
        or_panic(self.try_cap(cap))
    }

    /// [`cap`](Self::cap) for values that come from configuration.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] when `cap` is under the base.
    pub fn try_cap(self, cap: Duration) -> Result<Self, ConfigError> {
        let backoff = self.plan.backoff.with_cap(cap)?;
        Ok(self.planned(|plan| plan.backoff = backoff))
    }

    /// Each step is `factor` times the one before. By default 2, and 1 for
    /// [`constant`](Retry::constant).
    ///
    /// # Panics
    ///
    /// When `factor` is under 1 or no number. [`try_factor`](Self::try_factor)
    /// returns the error.
    #[track_caller]
    #[must_use]
    pub fn factor(self, factor: f64) -> Self {
        or_panic(self.try_factor(factor))
    }

    /// [`factor`](Self::factor) for values that come from configuration.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] when `factor` is under 1 or no number.
    pub fn try_factor(self, factor: f64) -> Result<Self, ConfigError> {
        let backoff = self.plan.backoff.with_factor(factor)?;
        Ok(self.planned(|plan| plan.backoff = backoff))
    }

    /// How pauses are spread. By default [`Jitter::Full`].
    #[must_use]
    pub fn jitter(self, jitter: Jitter) -> Self {
        self.planned(|plan| plan.backoff = plan.backoff.with_jitter(jitter))
    }

    /// Draws the jitter from a series that is the same for each `seed`, for tests
    /// and simulations. Clones draw from the same series.
    #[must_use]
    pub fn seed(self, seed: u64) -> Self {
        Self { draws: Draws::seeded(seed), ..self }
    }
}

/// Bounds.
impl<J, O, K> Retry<J, O, K> {
    /// At most so many attempts, the first included: 1 never tries again. By
    /// default 3.
    ///
    /// # Panics
    ///
    /// When `attempts` is 0. [`try_attempts`](Self::try_attempts) returns the
    /// error.
    #[track_caller]
    #[must_use]
    pub fn attempts(self, attempts: u32) -> Self {
        or_panic(self.try_attempts(attempts))
    }

    /// [`attempts`](Self::attempts) for values that come from configuration.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] when `attempts` is 0.
    pub fn try_attempts(self, attempts: u32) -> Result<Self, ConfigError> {
        if attempts == 0 {
            return Err(ConfigError::new("attempts", 0, "at least 1: the first is one"));
        }
        Ok(self.planned(|plan| plan.attempts = attempts))
    }

    /// No attempt starts later than `time` after the first one. By default there
    /// is no such bound.
    ///
    /// It cuts no attempt off: give each one its own timeout, further in.
    #[must_use]
    pub fn within(self, time: Duration) -> Self {
        self.planned(|plan| plan.within = Some(time))
    }

    /// Makes a retry only if so much is left, when it starts, of the deadline and
    /// of the [time for all attempts](Self::within). By default zero.
    ///
    /// What an attempt usually takes is a good choice: one that is cut off
    /// half-way only adds to the load.
    #[must_use]
    pub fn leaving(self, time: Duration) -> Self {
        self.planned(|plan| plan.needs = time)
    }

    /// Gives up where a refusal or a server asks for more than `time` before the
    /// next attempt. By default a minute.
    ///
    /// It is never cut down to the bound: whoever comes back earlier than the
    /// server said is refused again.
    #[must_use]
    pub fn wait_at_most(self, time: Duration) -> Self {
        self.planned(|plan| plan.longest_wait = time)
    }

    /// Pays for retries from a budget that others may share: all that call the
    /// same dependency.
    #[must_use]
    pub fn budget(self, budget: &RetryBudget) -> Self {
        Self { budget: Some(budget.clone()), ..self }
    }

    /// Retries with no budget, for a job that runs once: in an outage, load is
    /// multiplied by the number of attempts.
    #[must_use]
    pub fn without_budget(self) -> Self {
        Self { budget: None, ..self }
    }

    fn planned(mut self, change: impl FnOnce(&mut Plan)) -> Self {
        change(&mut self.plan);
        self
    }
}

/// Clocks.
impl<J, O, K> Retry<J, O, K> {
    /// The same by another clock, by which deadlines, the time for all attempts
    /// and the budget are measured.
    ///
    /// Pauses are slept on the tokio timer, whatever the clock: give
    /// [`TokioClock`](plimsoll_core::TokioClock) in paused time.
    #[must_use]
    pub fn clock<L: Clock>(self, clock: L) -> Retry<J, O, L> {
        let Self { plan, budget, judge, observer, draws, .. } = self;
        Retry { plan, budget, judge, observer, draws, clock }
    }

    pub(crate) fn observed<P>(self, new: impl FnOnce(O) -> P) -> Retry<J, P, K> {
        let Self { plan, budget, judge, observer, draws, clock } = self;
        Retry { plan, budget, judge, observer: new(observer), draws, clock }
    }

    /// For layers, which judge results and not errors: the judge, the observer,
    /// and all else.
    #[doc(hidden)]
    pub fn into_parts(self) -> (J, O, Retry<EveryError, Unobserved, K>) {
        let Self { plan, budget, judge, observer, draws, clock } = self;
        let rest = Retry { plan, budget, judge: EveryError, observer: Unobserved, draws, clock };
        (judge, observer, rest)
    }

    /// For layers: whom it tells.
    #[doc(hidden)]
    pub fn observed_by(&self) -> &O {
        &self.observer
    }

    /// For layers: tells `observer` and nobody else.
    #[doc(hidden)]
    #[must_use]
    pub fn observer<P>(self, observer: P) -> Retry<J, P, K> {
        self.observed(|_| observer)
    }
}

impl<J, O, K> fmt::Debug for Retry<J, O, K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Retry")
            .field("plan", &self.plan)
            .field("budget", &self.budget)
            .finish_non_exhaustive()
    }
}
