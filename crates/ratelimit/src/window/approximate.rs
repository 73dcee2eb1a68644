//! The approximate window: two counters in one word, and its API.

use super::{
    WindowTicket, checked_limit, checked_window,
    counters::{Counters, Word},
};
use plimsoll_core::{
    Admit, Clock, ConfigError, DefaultClock, Gate, Outcome, PerKey, PerKeyQuota, Quota, QuotaState,
    Reason, Rejected, Tick, Weigh,
};
use std::{fmt, time::Duration};

/// What its refusals are called.
const NAME: &str = "approximate window";

/// About `limit` in any stretch of time as long as `window`: one atomic word.
///
/// Made by [`SlidingWindow::approximate`](crate::SlidingWindow::approximate).
///
/// Time is cut into windows that follow each other from the clock's epoch on.
/// The state counts admissions in the current window and in the one before, and
/// takes those of the one before as spread evenly over it:
///
/// ```text
/// estimate = current + previous × (share of the previous window still in reach)
/// ```
///
/// A request of weight `n` passes when `estimate + n` is at most `limit`. The
/// comparison is in integers and rounds nothing.
///
/// # How far it is off
///
/// * No aligned window, `[k × window, (k + 1) × window)`, ever holds more than
///   `limit` admissions.
/// * Any other stretch of that length holds fewer than twice `limit`, whatever
///   the arrivals. One that ends a share x into an aligned window holds at most
///   `limit × (1 + x)`; it takes a burst at the very end of one window and
///   steady pressure through the next. A fixed window, which forgets the
///   previous count, allows twice the limit within a moment.
/// * Evenly spread arrivals it judges to within one request in a window. Limit
///   100, arrivals at up to 98 % of it: all pass. At 99 to 5,000 %: 99 pass in
///   each window (98 now and then at 99 %), by the exact log 100.
/// * Of random (Poisson) arrivals at 50 to 1,000 % of a limit of 100, as many
///   pass in a thousand windows as by the exact log, give or take 1.5 %, and
///   the fullest stretch of one window holds at most 120.
/// * It also errs the other way: after a burst it refuses for up to two windows
///   what an exact log would admit after one.
///
/// Take [`SlidingWindow`](crate::SlidingWindow) where the bound must be exact.
///
/// | | cost |
/// |---|---|
/// | memory | 8 bytes, also per key |
/// | an admission | the clock and one compare-and-swap |
/// | a refusal | the clock and one atomic read |
/// | [`Outcome::Unused`] | one compare-and-swap |
///
/// Source: the "sliding window" of J. Desgats, "How we built rate limiting
/// capable of scaling to millions of domains", Cloudflare, 2017
/// (<https://blog.cloudflare.com/counting-things-a-lot-of-different-things/>).
///
/// # Refusals
///
/// They are called `approximate window` and give [`Reason::Rate`]. Their
/// [`retry_after`](Rejected::retry_after) is exact by the estimate's own rule:
/// the first nanosecond at which the same request would pass if nobody else
/// came. It is absent where the weight is over the limit. Nothing waits here:
/// [`enter`](Admit::enter) refuses where [`try_enter`](Admit::try_enter) does.
///
/// # When time misbehaves
///
/// Within a window, time that goes back makes the previous count weigh more. A
/// moment before the newest window in which anything was admitted counts as the
/// beginning of that window. Both only refuse more.
///
/// The word keeps 24 bits of the window's number. One that is left alone for
/// exactly 2^24 windows (194 days for a window of a second), or for one window
/// more, is taken for a recent one: its old counts refuse for up to two windows
/// what they should not. They never admit more.
///
/// # Example
///
/// ```
/// use plimsoll_core::{Clock, ManualClock, Tick};
/// use plimsoll_ratelimit::SlidingWindow;
/// use std::time::Duration;
///
/// let clock = ManualClock::at(Tick::ZERO);
/// let window = SlidingWindow::approximate(100, Duration::from_secs(60)).clock(clock.clone());
/// window.try_acquire_many(100)?;
///
/// clock.set(Tick::ZERO + Duration::from_secs(75)); // a quarter into the next window,
/// assert_eq!(window.available(), 25); //              75 of the 100 still count
/// let refusal = window.try_acquire_many(40).unwrap_err();
/// assert_eq!(refusal.retry_after(), Some(Duration::from_secs(9)));
/// # Ok::<(), plimsoll_core::Rejected>(())
/// ```
pub struct ApproximateWindow<K: Clock = DefaultClock> {
    counters: Counters,
    state: ApproximateState,
    window: Duration,
    clock: K,
}

/// What an [`ApproximateWindow`] keeps per key: one word.
#[derive(Debug)]
pub struct ApproximateState(Word);

impl ApproximateState {
    pub(super) fn fresh() -> Self {
        Self(Word::new(0))
    }
}

impl ApproximateWindow {
    pub(super) fn try_new(limit: u32, window: Duration) -> Result<Self, ConfigError> {
        let counters = Counters::new(checked_limit(limit)?, checked_window(window)?);
        let (state, clock) = (ApproximateState::fresh(), DefaultClock::new());
        Ok(Self { counters, state, window, clock })
    }
}

impl<K: Clock> ApproximateWindow<K> {
    /// The same window, empty, by another clock.
    #[must_use]
    pub fn clock<L: Clock>(self, clock: L) -> ApproximateWindow<L> {
        let (counters, state) = (self.counters.emptied(), ApproximateState::fresh());
        ApproximateWindow { counters, state, window: self.window, clock }
    }

    /// Counts one, or refuses.
    ///
    /// # Errors
    ///
    /// [`Rejected`] when the estimate is at the limit. A refusal counts
    /// nothing.
    #[inline]
    pub fn try_acquire(&self) -> Result<(), Rejected> {
        self.decide(&self.state, 1, self.clock.now()).map(drop)
    }

    /// Counts `n`, all or none. Zero always passes.
    ///
    /// # Errors
    ///
    /// [`Rejected`] when that would take the estimate over the limit; without a
    /// [`retry_after`](Rejected::retry_after) when `n` is over the limit, which
    /// can never fit.
    #[inline]
    pub fn try_acquire_many(&self, n: u32) -> Result<(), Rejected> {
        self.decide(&self.state, n, self.clock.now()).map(drop)
    }

    /// How many could be admitted now. Counts nothing; others may have come
    /// before it is used.
    pub fn available(&self) -> u32 {
        let available = self.counters.available(&self.state.0, self.clock.now());
        u32::try_from(available).unwrap_or(u32::MAX)
    }

    /// How many are admitted in a window, about.
    pub fn limit(&self) -> u32 {
        self.counters.limit()
    }

    /// The length of the window.
    #[must_use]
    pub fn window(&self) -> Duration {
        self.window
    }

    /// Changes the limit and keeps what is counted: a higher one admits the
    /// difference at once, one below the estimate refuses until that has fallen.
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
        self.counters.set_limit(checked_limit(limit)?);
        Ok(())
    }

    #[inline]
    fn decide(
        &self,
        state: &ApproximateState,
        n: u32,
        now: Tick,
    ) -> Result<WindowTicket, Rejected> {
        if n == 0 {
            return Ok(WindowTicket::NOTHING);
        }
        match self.counters.admit(&state.0, n, now) {
            Ok(number) => Ok(WindowTicket { at: number, n }),
            Err(free_at) => {
                let refusal = Rejected::new(Reason::Rate, NAME);
                Err(free_at.map_or(refusal, |free_at| refusal.retry_in(free_at.since(now))))
            }
        }
    }
}

impl<K: Clock> Gate for ApproximateWindow<K> {
    type Ticket = WindowTicket;

    fn leave(&self, ticket: WindowTicket, outcome: Outcome) {
        self.leave_in(&self.state, ticket, outcome);
    }
}

impl<C: ?Sized, K: Clock> Admit<C> for ApproximateWindow<K> {
    #[inline]
    fn try_enter(&self, _: &C) -> Result<WindowTicket, Rejected> {
        self.decide(&self.state, 1, self.clock.now())
    }
}

impl<K: Clock> Weigh for ApproximateWindow<K> {
    #[inline]
    fn try_enter_n(&self, n: u64) -> Result<WindowTicket, Rejected> {
        match u32::try_from(n) {
            Ok(n) => self.decide(&self.state, n, self.clock.now()),
            // No limit is that high.
            Err(_) => Err(Rejected::new(Reason::Rate, NAME)),
        }
    }
}

/// One word per key. All keys share the limit and the clock; what one key uses
/// is nothing to another.
impl<K: Clock> PerKey for ApproximateWindow<K> {
    type State = ApproximateState;

    #[inline]
    fn now(&self) -> Tick {
        self.clock.now()
    }

    fn fresh(&self) -> ApproximateState {
        ApproximateState::fresh()
    }

    #[inline]
    fn is_fresh(&self, state: &ApproximateState, now: Tick) -> bool {
        self.counters.is_empty(&state.0, now)
    }

    #[inline]
    fn try_enter_in(&self, state: &ApproximateState, now: Tick) -> Result<WindowTicket, Rejected> {
        self.decide(state, 1, now)
    }

    fn leave_in(&self, state: &ApproximateState, ticket: WindowTicket, outcome: Outcome) {
        if outcome == Outcome::Unused && ticket.n > 0 {
            self.counters.give_back(&state.0, ticket.n, ticket.at);
        }
    }
}

impl<K: Clock> PerKeyQuota for ApproximateWindow<K> {
    fn quota_in(&self, state: &ApproximateState, now: Tick) -> QuotaState {
        QuotaState {
            limit: self.counters.limit().into(),
            remaining: self.counters.available(&state.0, now),
            reset: self.counters.empty_at(&state.0, now).unwrap_or(Tick::MAX).since(now),
            window: self.window,
        }
    }
}

/// `reset` is when nothing that was admitted counts any more: the end of the
/// next window, if something was admitted in this one.
impl<C: ?Sized, K: Clock> Quota<C> for ApproximateWindow<K> {
    fn quota(&self, _: &C) -> QuotaState {
        self.quota_in(&self.state, self.clock.now())
    }
}

impl<K: Clock> fmt::Debug for ApproximateWindow<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ApproximateWindow")
            .field("limit", &self.limit())
            .field("window", &self.window)
            .finish_non_exhaustive()
    }
}
