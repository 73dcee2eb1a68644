//! The exact window: a log of moments behind a short lock, and its API.

use super::{WindowTicket, checked_limit, checked_window, log::Log};
use crate::{
    ApproximateWindow,
    sync::{AtomicU64, Mutex, Ordering},
};
use plimsoll_core::{
    Admit, Clock, ConfigError, DefaultClock, Gate, Outcome, Quota, QuotaState, Reason, Rejected,
    Tick, Weigh,
};
use std::{fmt, sync::PoisonError, time::Duration};

/// What its refusals are called.
const NAME: &str = "sliding window";

/// At most `limit` in any stretch of time as long as `window`: exact.
///
/// It keeps the moments of the last `limit` admissions. A request passes when
/// fewer than `limit` were admitted within the last `window`; an admission
/// stops counting exactly one `window` later, at that nanosecond. In other
/// words, no interval `[t, t + window)`, wherever it starts, holds more than
/// `limit` admissions.
///
/// Take it where the promise is about a stretch of time and somebody checks:
/// five attempts to log in per minute, a partner's "1,000 calls in any hour".
/// For steady traffic a token bucket costs less: one word instead of `limit`
/// moments, no lock, and the same average. For a high limit or many keys there
/// is [`approximate`](SlidingWindow::approximate).
///
/// | | cost |
/// |---|---|
/// | memory | 8 bytes × `limit`, allocated when it is built |
/// | an admission | the clock and one short lock, whatever the limit is |
/// | a refusal while it is full | the clock and one atomic read, no lock |
/// | weight `n` | `n` moments are written under the lock |
/// | [`Outcome::Unused`] | a search, and the moments logged since move up |
///
/// Refusals are called `sliding window` and give [`Reason::Rate`]. Their
/// [`retry_after`](Rejected::retry_after) is exact: the first nanosecond at
/// which the same request would pass if nobody else came. It is absent where
/// there is none, because the weight is over the limit.
///
/// Nothing waits here: [`enter`](Admit::enter) refuses where
/// [`try_enter`](Admit::try_enter) does. For a limit for each of a few keys,
/// make a window for each with `KeyedGates` of the crate `plimsoll-keyed`.
///
/// # When time goes back
///
/// A moment before the newest one logged counts as that one. So a clock that
/// steps back lets nothing more through than one that stands still.
///
/// # Example
///
/// ```
/// use plimsoll_core::ManualClock;
/// use plimsoll_ratelimit::SlidingWindow;
/// use std::time::Duration;
///
/// let minute = Duration::from_secs(60);
/// let clock = ManualClock::new();
/// let window = SlidingWindow::new(2, minute).clock(clock.clone());
///
/// window.try_acquire()?;
/// clock.advance(Duration::from_secs(59));
/// window.try_acquire()?;
/// let refusal = window.try_acquire().unwrap_err();
/// assert_eq!(refusal.retry_after(), Some(Duration::from_secs(1)));
///
/// clock.advance(Duration::from_secs(1)); // the first is a minute old: one place, not two
/// window.try_acquire()?;
/// assert!(window.try_acquire().is_err());
/// # Ok::<(), plimsoll_core::Rejected>(())
/// ```
pub struct SlidingWindow<K: Clock = DefaultClock> {
    log: Mutex<Log>,
    /// Written under the lock, read without: before this moment the window is
    /// full. What a reader sees was true when it was written, and a reader that
    /// knows of a later change sees that one, so it may be relaxed.
    shut_until: AtomicU64,
    window: Duration,
    clock: K,
}

impl SlidingWindow {
    /// At most `limit` in any `window`. A limit of 0 refuses everything.
    ///
    /// # Panics
    ///
    /// When `limit` is over 1,048,575, `window` is zero, or longer than 584
    /// years. [`try_new`](Self::try_new) returns the error.
    #[track_caller]
    #[must_use]
    pub fn new(limit: u32, window: Duration) -> Self {
        match Self::try_new(limit, window) {
            Ok(window) => window,
            Err(error) => error.panic(),
        }
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
    /// use plimsoll_ratelimit::SlidingWindow;
    /// use std::time::Duration;
    ///
    /// let error = SlidingWindow::try_new(10, Duration::ZERO).unwrap_err();
    /// assert_eq!(error.to_string(), "window must be 1 ns to 584 years, but is 0ns");
    /// ```
    pub fn try_new(limit: u32, window: Duration) -> Result<Self, ConfigError> {
        let log = Log::new(checked_limit(limit)?, checked_window(window)?);
        Ok(Self::with(log, window, DefaultClock::new()))
    }

    /// About `limit` in any `window`, by two counters in one atomic word: see
    /// [`ApproximateWindow`].
    ///
    /// # Panics
    ///
    /// When `limit` is over 1,048,575, `window` is zero, or longer than 584
    /// years. [`try_approximate`](Self::try_approximate) returns the error.
    #[track_caller]
    #[must_use]
    pub fn approximate(limit: u32, window: Duration) -> ApproximateWindow {
        match Self::try_approximate(limit, window) {
            Ok(window) => window,
            Err(error) => error.panic(),
        }
    }

    /// [`approximate`](Self::approximate) for values that come from
    /// configuration.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] where [`approximate`](Self::approximate) panics.
    ///
    /// # Example
    ///
    /// ```
    /// use plimsoll_ratelimit::SlidingWindow;
    /// use std::time::Duration;
    ///
    /// let error = SlidingWindow::try_approximate(2_000_000, Duration::from_secs(1)).unwrap_err();
    /// assert_eq!(
    ///     error.to_string(),
    ///     "limit must be 0 to 1048575 (a token bucket has no such bound), but is 2000000",
    /// );
    /// ```
    pub fn try_approximate(limit: u32, window: Duration) -> Result<ApproximateWindow, ConfigError> {
        ApproximateWindow::try_new(limit, window)
    }
}

impl<K: Clock> SlidingWindow<K> {
    fn with(log: Log, window: Duration, clock: K) -> Self {
        Self { log: Mutex::new(log), shut_until: AtomicU64::new(0), window, clock }
    }

    /// The same window, empty, by another clock.
    ///
    /// # Example
    ///
    /// ```
    /// use plimsoll_core::TokioClock;
    /// use plimsoll_ratelimit::SlidingWindow;
    /// use std::time::Duration;
    ///
    /// let follows_paused_time = SlidingWindow::new(5, Duration::from_secs(60)).clock(TokioClock);
    /// assert_eq!(follows_paused_time.available(), 5);
    /// ```
    #[must_use]
    pub fn clock<L: Clock>(self, clock: L) -> SlidingWindow<L> {
        let log = self.log.into_inner().unwrap_or_else(PoisonError::into_inner);
        SlidingWindow::with(log.emptied(), self.window, clock)
    }

    /// Counts one, or refuses.
    ///
    /// # Errors
    ///
    /// [`Rejected`] when `limit` were admitted within the last window. A
    /// refusal counts nothing.
    #[inline]
    pub fn try_acquire(&self) -> Result<(), Rejected> {
        self.decide(1).map(drop)
    }

    /// Counts `n`, all or none. Zero always passes.
    ///
    /// # Errors
    ///
    /// [`Rejected`] when that would be more than `limit` within the last
    /// window; without a [`retry_after`](Rejected::retry_after) when `n` is
    /// over the limit, which can never fit.
    ///
    /// # Example
    ///
    /// ```
    /// use plimsoll_ratelimit::SlidingWindow;
    /// use std::time::Duration;
    ///
    /// let window = SlidingWindow::new(10, Duration::from_secs(60));
    /// window.try_acquire_many(8)?;
    /// assert!(window.try_acquire_many(3).unwrap_err().retry_after().is_some());
    /// assert!(window.try_acquire_many(11).unwrap_err().retry_after().is_none());
    /// assert_eq!(window.available(), 2);
    /// # Ok::<(), plimsoll_core::Rejected>(())
    /// ```
    #[inline]
    pub fn try_acquire_many(&self, n: u32) -> Result<(), Rejected> {
        self.decide(n).map(drop)
    }

    /// How many could be admitted now. Counts nothing; others may have come
    /// before it is used.
    pub fn available(&self) -> u32 {
        let now = self.clock.now();
        self.locked(|log| log.available(now))
    }

    /// How many are admitted in any window.
    pub fn limit(&self) -> u32 {
        self.locked(|log| log.limit())
    }

    /// The length of the window.
    #[must_use]
    pub fn window(&self) -> Duration {
        self.window
    }

    /// Changes the limit and keeps what is logged: a higher one admits the
    /// difference at once, one below what was admitted within the last window
    /// refuses until enough of that has aged.
    ///
    /// A higher limit than ever before allocates, under the lock.
    ///
    /// # Panics
    ///
    /// When `limit` is over 1,048,575. [`try_set_limit`](Self::try_set_limit)
    /// returns the error.
    #[track_caller]
    pub fn set_limit(&self, limit: u32) {
        if let Err(error) = self.try_set_limit(limit) {
            error.panic();
        }
    }

    /// [`set_limit`](Self::set_limit) for values that come from configuration.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] when `limit` is over 1,048,575; nothing changes then.
    pub fn try_set_limit(&self, limit: u32) -> Result<(), ConfigError> {
        let limit = checked_limit(limit)?;
        self.change(|log| log.set_limit(limit));
        Ok(())
    }

    #[inline]
    fn decide(&self, n: u32) -> Result<WindowTicket, Rejected> {
        if n == 0 {
            return Ok(WindowTicket::NOTHING);
        }
        let now = self.clock.now();
        if n == 1 {
            let shut_until = Tick::from_nanos(self.shut_until.load(Ordering::Relaxed));
            if now < shut_until {
                return Err(refusal(Some(shut_until), now));
            }
        }
        match self.change(|log| log.admit(n, now)) {
            Ok(at) => Ok(WindowTicket { at: at.as_nanos(), n }),
            Err(free_at) => Err(refusal(free_at, now)),
        }
    }

    #[inline]
    fn locked<R>(&self, read: impl FnOnce(&mut Log) -> R) -> R {
        read(&mut self.log.lock().unwrap_or_else(PoisonError::into_inner))
    }

    #[inline]
    fn change<R>(&self, change: impl FnOnce(&mut Log) -> R) -> R {
        self.locked(|log| {
            let result = change(log);
            // Still under the lock: of two changes the later one must be seen.
            self.shut_until.store(log.shut_until().as_nanos(), Ordering::Relaxed);
            result
        })
    }
}

#[inline]
fn refusal(free_at: Option<Tick>, now: Tick) -> Rejected {
    let refusal = Rejected::new(Reason::Rate, NAME);
    match free_at {
        Some(free_at) => refusal.retry_in(free_at.since(now)),
        None => refusal,
    }
}

impl<K: Clock> Gate for SlidingWindow<K> {
    type Ticket = WindowTicket;

    fn leave(&self, ticket: WindowTicket, outcome: Outcome) {
        if outcome == Outcome::Unused && ticket.n > 0 {
            self.change(|log| log.give_back(ticket.n, Tick::from_nanos(ticket.at)));
        }
    }
}

impl<C: ?Sized, K: Clock> Admit<C> for SlidingWindow<K> {
    #[inline]
    fn try_enter(&self, _: &C) -> Result<WindowTicket, Rejected> {
        self.decide(1)
    }
}

impl<K: Clock> Weigh for SlidingWindow<K> {
    #[inline]
    fn try_enter_n(&self, n: u64) -> Result<WindowTicket, Rejected> {
        match u32::try_from(n) {
            Ok(n) => self.decide(n),
            // No limit is that high.
            Err(_) => Err(Rejected::new(Reason::Rate, NAME)),
        }
    }
}

/// `reset` is when the newest admission leaves the window.
impl<C: ?Sized, K: Clock> Quota<C> for SlidingWindow<K> {
    fn quota(&self, _: &C) -> QuotaState {
        let now = self.clock.now();
        self.locked(|log| QuotaState {
            limit: log.limit().into(),
            remaining: log.available(now).into(),
            reset: log.empty_at(now).unwrap_or(Tick::MAX).since(now),
            window: self.window,
        })
    }
}

impl<K: Clock> fmt::Debug for SlidingWindow<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SlidingWindow")
            .field("limit", &self.limit())
            .field("window", &self.window)
            .finish_non_exhaustive()
    }
}
