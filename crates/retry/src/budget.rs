//! How many retries there may be, whoever makes them.

use crate::{
    error::or_panic,
    sync::{AtomicU64, Ordering},
};
use plimsoll_core::{ConfigError, Tick};
use std::{fmt, sync::Arc};

/// A budget of retries, shared by all who hold a clone of it.
///
/// Each success earns a part of a retry, a fifth unless told otherwise, and
/// each retry costs one; besides, a few a second are free. So retries are at
/// most that part of the load that succeeds, plus the few. When a dependency is
/// down nothing succeeds, and what it sees is the requests that come in and the
/// few, not a multiple of them.
///
/// In any stretch of time `t` in which `s` calls succeed, it grants at most
///
/// ```text
/// ratio × s + saved + at_least × (t + 1 s)
/// ```
///
/// retries, where at most `saving` are saved from before: a good day does not
/// pay for an outage. Retries that were granted earlier and
/// [given back](Self::give_back) in that time come in addition.
///
/// One budget belongs to what may be overloaded: make one for each dependency,
/// and give it to every [`Retry`](crate::Retry) and [`Hedge`](crate::Hedge) that
/// calls it.
///
/// | | cost |
/// |---|---|
/// | a success, budget full | one load |
/// | a success, else | one atomic change |
/// | a retry | one atomic change |
///
/// It decides by what it is told, and reads no clock.
///
/// # Zero
///
/// A ratio of 0 earns nothing, `at_least(0)` grants nothing for free, and
/// `saving(0)` keeps nothing that is earned.
///
/// # Source
///
/// Earning by the rate of success is the retry throttling of gRPC (proposal A6);
/// a share of requests and some a second is the retry budget of Finagle. What is
/// free follows the generic cell rate algorithm, ITU-T recommendation I.371.
///
/// # Example
///
/// ```
/// use plimsoll_core::Tick;
/// use plimsoll_retry::RetryBudget;
///
/// let now = Tick::ZERO;
/// let budget = RetryBudget::new(0.2).at_least(1);
/// assert!(budget.withdraw(now).is_some());    // the one of this second
/// assert!(budget.withdraw(now).is_none());
/// for _ in 0..5 {
///     budget.deposit();                       // five successes earn one
/// }
/// assert!(budget.withdraw(now).is_some());
/// assert!(budget.withdraw(now).is_none());
/// ```
#[derive(Clone)]
pub struct RetryBudget(Arc<Ledger>);

/// A granted retry. Plain data: dropped, it counts as used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "the retry that it stands for is to be made, or given back"]
pub struct Withdrawal(Source);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Source {
    Earned,
    Free,
}

/// What one retry costs: ratios are kept in millionths of it, exactly.
const RETRY: u64 = 1_000_000;
const MOST_PER_SECOND: u32 = 1_000_000;
const SECOND: u64 = 1_000_000_000;

struct Ledger {
    settings: Settings,
    /// What successes earned and nobody used, in millionths of a retry.
    earned: AtomicU64,
    /// The moment from which all that is free is there again, in nanoseconds.
    full_at: AtomicU64,
}

#[derive(Clone, Copy)]
struct Settings {
    /// What a success earns, in millionths of a retry.
    per_success: u64,
    /// The most that is saved, in millionths of a retry.
    most: u64,
    at_least: u32,
    /// How long it takes until one more is free. Rounded up: never too many.
    interval: u64,
}

impl RetryBudget {
    /// Each success earns the part `ratio` of a retry, kept to a millionth.
    ///
    /// Nothing is [free](Self::at_least) yet, and [100](Self::saving) are saved.
    /// It starts with nothing earned. The ratio 0.2 with `at_least(10)` is
    /// [`default`](Self::default).
    ///
    /// # Panics
    ///
    /// When `ratio` is not 0 and not from 0.000001 to 1.
    /// [`try_new`](Self::try_new) returns the error.
    #[track_caller]
    #[must_use]
    pub fn new(ratio: f64) -> Self {
        or_panic(Self::try_new(ratio))
    }

    /// [`new`](Self::new) for values that come from configuration.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] where [`new`](Self::new) panics.
    ///
    /// # Example
    ///
    /// ```
    /// use plimsoll_retry::RetryBudget;
    ///
    /// let error = RetryBudget::try_new(20.0).unwrap_err();
    /// assert_eq!(error.to_string(), "ratio must be 0, or 0.000001 to 1, but is 20");
    /// ```
    pub fn try_new(ratio: f64) -> Result<Self, ConfigError> {
        let part = ratio * RETRY as f64;
        // Written so that NaN is neither.
        if !(ratio == 0.0 || (part >= 1.0 && ratio <= 1.0)) {
            return Err(ConfigError::new("ratio", ratio, "0, or 0.000001 to 1"));
        }
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 10⁶")]
        let per_success = part.round() as u64;
        Ok(Self::of(Settings { per_success, most: 100 * RETRY, at_least: 0, interval: SECOND }))
    }

    fn of(settings: Settings) -> Self {
        let (earned, full_at) = (AtomicU64::new(0), AtomicU64::new(0));
        Self(Arc::new(Ledger { settings, earned, full_at }))
    }

    /// The same settings, and `n` retries a second for free, up to `n` of them
    /// at once: a budget of its own, with nothing earned.
    ///
    /// For services with so little traffic that a share of it is nothing. Sum it
    /// over all processes that share the dependency.
    ///
    /// # Panics
    ///
    /// When `n` is over a million. [`try_at_least`](Self::try_at_least) returns
    /// the error.
    #[track_caller]
    #[must_use]
    pub fn at_least(self, n: u32) -> Self {
        or_panic(self.try_at_least(n))
    }

    /// [`at_least`](Self::at_least) for values that come from configuration.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] when `n` is over a million.
    pub fn try_at_least(self, n: u32) -> Result<Self, ConfigError> {
        if n > MOST_PER_SECOND {
            return Err(ConfigError::new("at_least", n, "at most 1000000 a second"));
        }
        let interval = SECOND.div_ceil(u64::from(n.max(1)));
        Ok(Self::of(Settings { at_least: n, interval, ..self.0.settings }))
    }

    /// The same settings, and up to `n` earned retries kept for later: a budget
    /// of its own, with nothing earned.
    ///
    /// What a service earns in one to ten seconds is a good choice: more pays
    /// for retries in an outage out of the time before it, less cannot cover a
    /// short failure of many calls at once.
    #[must_use]
    pub fn saving(self, n: u32) -> Self {
        Self::of(Settings { most: u64::from(n) * RETRY, ..self.0.settings })
    }

    /// A call succeeded.
    #[inline]
    pub fn deposit(&self) {
        let Settings { per_success, .. } = self.0.settings;
        self.earn(per_success);
    }

    /// Asks for a retry, at the time `now`: one of those that are free, or else
    /// one that was earned.
    ///
    /// Ask when the retry is scheduled, not when it starts: those who wait
    /// together would all start together.
    #[must_use]
    pub fn withdraw(&self, now: Tick) -> Option<Withdrawal> {
        let Ledger { settings, earned, full_at } = &*self.0;
        let free = |full_at| settings.next_full_at(full_at, now.as_nanos());
        if full_at.fetch_update(Ordering::Relaxed, Ordering::Relaxed, free).is_ok() {
            return Some(Withdrawal(Source::Free));
        }
        let paid = |earned: u64| earned.checked_sub(RETRY);
        let granted = earned.fetch_update(Ordering::Relaxed, Ordering::Relaxed, paid);
        granted.is_ok().then_some(Withdrawal(Source::Earned))
    }

    /// Gives back a retry that was not made.
    ///
    /// One that was free is not kept: as many as there may be are free again
    /// within a second, and they must not be more.
    pub fn give_back(&self, unused: Withdrawal) {
        if unused.0 == Source::Earned {
            self.earn(RETRY);
        }
    }

    /// How many retries it would grant at `now`.
    #[must_use]
    pub fn available(&self, now: Tick) -> u64 {
        let Ledger { settings, earned, full_at } = &*self.0;
        let owed = full_at.load(Ordering::Relaxed).saturating_sub(now.as_nanos());
        let free = settings.span().saturating_sub(owed) / settings.interval;
        earned.load(Ordering::Relaxed) / RETRY + free
    }

    /// Full, it is only read: the usual state, in which callers share the line.
    #[inline]
    fn earn(&self, part: u64) {
        let Ledger { settings: Settings { most, .. }, earned, .. } = &*self.0;
        let add = |earned: u64| {
            let sum = (earned + part).min(*most);
            (sum != earned).then_some(sum)
        };
        // An error says that there was nothing to change.
        let _ = earned.fetch_update(Ordering::Relaxed, Ordering::Relaxed, add);
    }
}

impl Settings {
    /// How long it takes until all are free again.
    fn span(&self) -> u64 {
        self.interval * u64::from(self.at_least)
    }

    /// From when all are free again if one is taken now, if it may be.
    fn next_full_at(&self, full_at: u64, now: u64) -> Option<u64> {
        let next = full_at.max(now).checked_add(self.interval)?;
        (next - now <= self.span()).then_some(next)
    }
}

/// A fifth of the successes, and at least 10 a second.
impl Default for RetryBudget {
    fn default() -> Self {
        Self::new(0.2).at_least(10)
    }
}

impl fmt::Debug for RetryBudget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Ledger { settings, earned, .. } = &*self.0;
        f.debug_struct("RetryBudget")
            .field("ratio", &(settings.per_success as f64 / RETRY as f64))
            .field("at_least", &settings.at_least)
            .field("saving", &(settings.most / RETRY))
            .field("earned", &(earned.load(Ordering::Relaxed) as f64 / RETRY as f64))
            .finish()
    }
}

/// For layers, too: a retry that is paid for. Dropped, it is given back, unless it
/// was made.
#[doc(hidden)]
#[must_use = "dropped, it is given back"]
pub struct Reserved<'a>(Option<(&'a RetryBudget, Withdrawal)>);

impl<'a> Reserved<'a> {
    /// What costs nothing.
    pub(crate) const FREE: Self = Self(None);

    /// Asks the budget, if there is one, as it is at `now`.
    pub(crate) fn from(budget: Option<&'a RetryBudget>, now: Tick) -> Option<Self> {
        let Some(budget) = budget else { return Some(Self::FREE) };
        Some(Self(Some((budget, budget.withdraw(now)?))))
    }

    /// The retry is made.
    pub fn spend(mut self) {
        self.0 = None;
    }
}

impl Drop for Reserved<'_> {
    fn drop(&mut self) {
        if let Some((budget, unused)) = self.0.take() {
            budget.give_back(unused);
        }
    }
}

#[cfg(all(test, not(plimsoll_loom)))]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn the_end_of_time_grants_nothing_and_does_not_wrap() {
        let budget = RetryBudget::new(0.0).at_least(1_000);
        assert_eq!(budget.withdraw(Tick::MAX), None);
        let second = Duration::from_secs(1);
        assert!(budget.withdraw(Tick::MAX - second).is_some());
    }

    #[test]
    fn an_allowance_that_does_not_divide_a_second_is_rounded_down() {
        let budget = RetryBudget::new(0.0).at_least(700_000);
        assert_eq!(budget.0.settings.interval, 1_429); // 1,428.57
    }
}
