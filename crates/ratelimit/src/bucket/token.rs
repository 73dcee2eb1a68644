//! The token bucket's API.

use super::{
    gate::gate,
    leased::Leased,
    limiter::{Limiter, Place},
    line::Joined,
    reservation::Reservation,
    scale::{Kind, Rate},
    state::{BucketState, BucketTicket},
};
use plimsoll_core::{
    Admit, Clock, ConfigError, Deadline, DefaultClock, Gate, Load, Outcome, PerKey, Rejected, Tick,
    Weigh,
};
use std::{fmt, time::Duration};

/// What its refusals are called.
const NAME: &str = "token bucket";

/// A steady rate with bursts: tokens come in at the rate, up to `burst` of them
/// are kept, and each request takes one.
///
/// In any stretch of time `t` it admits at most `burst + rate × t`, and over a
/// long time exactly `rate × t` if there is demand for it: the arithmetic is in
/// whole numbers of which no rounding error adds up, in a century and at any
/// rate from one in 584 years to 10⁹ a second. A token comes to within two
/// nanoseconds of its time (or to within a 2⁶¹th of the time in which the
/// bucket fills, if that is over 70 years).
///
/// | | cost |
/// |---|---|
/// | memory | 8 bytes of state; the settings are shared by all keys of a keyed limit |
/// | admitted, or refused | the clock, and one atomic word |
/// | waiting | a short lock, an entry in a line, a timer for the first in it |
///
/// Refusals are called `token bucket` and give
/// [`Reason::Rate`](plimsoll_core::Reason::Rate). Their
/// [`retry_after`](Rejected::retry_after) is the first moment at which the same
/// request would pass if nobody else came: never early, and late by a
/// nanosecond at most. It is absent where there is none.
///
/// # Waiting
///
/// [`acquire`](Self::acquire), [`reserve`](Self::reserve) and
/// [`enter`](Admit::enter) stand in one line, first come first served: a small
/// request behind a large one does not overtake it, and while anybody waits
/// [`try_acquire`](Self::try_acquire) refuses. Nobody takes tokens ahead of
/// time, so whoever leaves the line moves those behind it up. What can never
/// pass, what would pass after its [`Deadline`], and what finds the line
/// [full](Self::queue) is refused at once and takes nothing.
///
/// Runtimes keep time to a millisecond, and a busy one is later. Those whom a
/// late timer holds up pass together as soon as it fires, so that the average
/// holds; up to 10 ms are caught up in this way.
///
/// As with any fair lock, a future that was polled and is then neither polled
/// again nor dropped holds up those behind it.
///
/// # Zero
///
/// A burst of 0 admits nothing. A rate of 0 admits the burst, once.
///
/// # Source
///
/// The generic cell rate algorithm, ITU-T recommendation I.371, annex A; the
/// state is its theoretical arrival time, measured in parts of a token.
///
/// # Example
///
/// ```
/// use plimsoll_core::ManualClock;
/// use plimsoll_ratelimit::TokenBucket;
/// use std::time::Duration;
///
/// let clock = ManualClock::new();
/// let limiter = TokenBucket::per_second(100).burst(2).clock(clock.clone());
///
/// limiter.try_acquire()?;
/// limiter.try_acquire()?;
/// let refusal = limiter.try_acquire().unwrap_err();
/// assert_eq!(refusal.retry_after(), Some(Duration::from_millis(10)));
///
/// clock.advance(Duration::from_millis(10));
/// limiter.try_acquire()?;
/// # Ok::<(), plimsoll_core::Rejected>(())
/// ```
pub struct TokenBucket<K: Clock = DefaultClock>(pub(super) Limiter<K>);

impl TokenBucket {
    /// `n` tokens a second, in bursts of up to `n` unless [`burst`](Self::burst)
    /// says otherwise.
    ///
    /// # Panics
    ///
    /// When `n` is over 10⁹. [`try_new`](Self::try_new) returns the error.
    #[track_caller]
    #[must_use]
    pub fn per_second(n: u32) -> Self {
        Self::new(n, Duration::from_secs(1))
    }

    /// `n` tokens a minute, in bursts of up to `n`.
    #[must_use]
    pub fn per_minute(n: u32) -> Self {
        Self::new(n, Duration::from_secs(60))
    }

    /// `n` tokens an hour, in bursts of up to `n`.
    #[must_use]
    pub fn per_hour(n: u32) -> Self {
        Self::new(n, Duration::from_secs(60 * 60))
    }

    /// `n` tokens a day, in bursts of up to `n`.
    #[must_use]
    pub fn per_day(n: u32) -> Self {
        Self::new(n, Duration::from_secs(24 * 60 * 60))
    }

    /// `n` tokens a `period`, in bursts of up to `n`.
    ///
    /// They come in evenly, not all at the end of the period.
    ///
    /// # Panics
    ///
    /// When the period is zero or over 584 years, or the rate is over 10⁹ a
    /// second. [`try_new`](Self::try_new) returns the error.
    #[track_caller]
    #[must_use]
    pub fn new(n: u32, period: Duration) -> Self {
        match Self::try_new(n, period) {
            Ok(bucket) => bucket,
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
    /// use plimsoll_ratelimit::TokenBucket;
    /// use std::time::Duration;
    ///
    /// let error = TokenBucket::try_new(2, Duration::from_nanos(1)).unwrap_err();
    /// let text = "rate must be at most 1000000000 per second, but is 2 per 1ns";
    /// assert_eq!(error.to_string(), text);
    /// ```
    pub fn try_new(n: u32, period: Duration) -> Result<Self, ConfigError> {
        let kind = Kind::Saves { burst: n };
        Limiter::new(NAME, n, period, kind, DefaultClock::new()).map(Self)
    }
}

impl<K: Clock> TokenBucket<K> {
    /// Keeps up to `burst` tokens, and is full. Also the largest request that
    /// can pass.
    #[must_use]
    pub fn burst(self, burst: u32) -> Self {
        let meter = self.0.meter.with(|settings| settings.kind = Kind::Saves { burst });
        Self(self.0.with_meter(meter))
    }

    /// Lets at most `queue` wait at once, for each key of a keyed limit, and
    /// refuses those who come then. By default 1,024; 0 lets nobody wait.
    #[must_use]
    pub fn queue(self, queue: usize) -> Self {
        let meter = self.0.meter.with(|settings| settings.hall.set_bound(queue));
        Self(self.0.with_meter(meter))
    }

    /// The same bucket, full, by another clock.
    ///
    /// Those who wait sleep on the tokio timer, whatever the clock: give
    /// [`TokioClock`](plimsoll_core::TokioClock) where they wait in paused time.
    #[must_use]
    pub fn clock<L: Clock>(self, clock: L) -> TokenBucket<L> {
        TokenBucket(self.0.with_clock(clock))
    }

    /// Lets each thread take up to `lease` tokens at once and spend them with
    /// neither clock nor shared write. See [`Leased`].
    ///
    /// # Panics
    ///
    /// When `lease` is 0. [`try_leased`](Self::try_leased) returns the error.
    #[track_caller]
    #[must_use]
    pub fn leased(self, lease: u32) -> Leased<K>
    where
        K: 'static,
    {
        match self.try_leased(lease) {
            Ok(leased) => leased,
            Err(error) => error.panic(),
        }
    }

    /// [`leased`](Self::leased) for values that come from configuration.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] when `lease` is 0.
    pub fn try_leased(self, lease: u32) -> Result<Leased<K>, ConfigError>
    where
        K: 'static,
    {
        Leased::new(self, lease)
    }

    /// Takes a token, or refuses.
    ///
    /// # Errors
    ///
    /// [`Rejected`] when there is none, or others wait for it. A refusal takes
    /// nothing.
    #[inline(always)]
    pub fn try_acquire(&self) -> Result<(), Rejected> {
        self.try_acquire_many(1)
    }

    /// Takes `n` tokens, all or none. Zero always passes.
    ///
    /// # Errors
    ///
    /// [`Rejected`] when there are too few, or others wait for them; without a
    /// [`retry_after`](Rejected::retry_after) when `n` is over the burst, which
    /// can never pass.
    #[inline(always)]
    pub fn try_acquire_many(&self, n: u32) -> Result<(), Rejected> {
        self.0.try_take(&self.0.state, self.0.clock.now(), n).map(drop)
    }

    /// Takes a token, waiting for it in line, at most to the end of the task's
    /// [`Deadline`] if it has one.
    ///
    /// # Errors
    ///
    /// As [`acquire_many`](Self::acquire_many).
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime with timers, if it has to wait.
    ///
    /// # Cancel safety
    ///
    /// Dropped, it leaves the line and takes nothing.
    pub async fn acquire(&self) -> Result<(), Rejected> {
        self.acquire_many(1).await
    }

    /// Takes `n` tokens, all or none, waiting for them in line, at most to the
    /// end of the task's [`Deadline`] if it has one.
    ///
    /// # Errors
    ///
    /// At once, with nothing taken: [`Rejected`] for
    /// [`Reason::Rate`](plimsoll_core::Reason::Rate) when `n` is over the burst,
    /// when the line is full, or when its turn would come after the deadline; for
    /// [`Reason::Deadline`](plimsoll_core::Reason::Deadline) when it has to wait
    /// and the deadline has passed. Later, when a change of the rate puts its
    /// turn behind the deadline.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime with timers, if it has to wait.
    ///
    /// # Cancel safety
    ///
    /// Dropped, it leaves the line and takes nothing.
    pub async fn acquire_many(&self, n: u32) -> Result<(), Rejected> {
        self.0.take(&self.0.state, n, None).await.map(drop)
    }

    /// [`acquire`](Self::acquire) by `deadline` instead of the task's own.
    ///
    /// # Errors
    ///
    /// As [`acquire_many`](Self::acquire_many).
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime with timers, if it has to wait.
    ///
    /// # Cancel safety
    ///
    /// Dropped, it leaves the line and takes nothing.
    pub async fn acquire_by(&self, deadline: Deadline) -> Result<(), Rejected> {
        self.acquire_many_by(1, deadline).await
    }

    /// [`acquire_many`](Self::acquire_many) by `deadline` instead of the task's
    /// own.
    ///
    /// # Errors
    ///
    /// As [`acquire_many`](Self::acquire_many).
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime with timers, if it has to wait.
    ///
    /// # Cancel safety
    ///
    /// Dropped, it leaves the line and takes nothing.
    pub async fn acquire_many_by(&self, n: u32, deadline: Deadline) -> Result<(), Rejected> {
        self.0.take(&self.0.state, n, Some(deadline)).await.map(drop)
    }

    /// Takes a place in the line for a token without waiting in it.
    ///
    /// # Errors
    ///
    /// [`Rejected`] when it could never pass, or the line is full.
    ///
    /// # Example
    ///
    /// ```
    /// use plimsoll_ratelimit::TokenBucket;
    /// use std::time::Duration;
    ///
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)]
    /// # async fn main() -> Result<(), plimsoll_core::Rejected> {
    /// # use plimsoll_core::TokioClock;
    /// let limiter = TokenBucket::per_second(10).burst(1);
    /// # let limiter = limiter.clock(TokioClock);
    /// limiter.try_acquire()?;
    ///
    /// let place = limiter.reserve()?;
    /// if place.delay() > Duration::from_secs(1) { place.cancel() } else { place.ready().await }
    /// # Ok(())
    /// # }
    /// ```
    pub fn reserve(&self) -> Result<Reservation<'_, K>, Rejected> {
        self.reserve_many(1)
    }

    /// [`reserve`](Self::reserve) for `n` tokens.
    ///
    /// # Errors
    ///
    /// As [`reserve`](Self::reserve).
    pub fn reserve_many(&self, n: u32) -> Result<Reservation<'_, K>, Rejected> {
        Ok(match self.0.reserve(n)? {
            Joined::Granted(ticket) => Reservation::of_tokens(&self.0, ticket),
            Joined::InLine(spot) => {
                Reservation::in_line(&self.0, Place::new(&self.0, &self.0.state, spot))
            }
        })
    }

    /// How many tokens could be taken now: none while anybody waits. Takes
    /// nothing; others may have come before it is used.
    pub fn available(&self) -> u32 {
        self.0.meter.available(&self.0.state, self.0.clock.now())
    }

    /// From now on `n` tokens come in a `period`. What is in the bucket stays
    /// (but for the part of a token that comes in a nanosecond), and those in
    /// line are due earlier or later than they were; one whose turn now comes
    /// after its deadline is refused. States that are kept elsewhere, per key,
    /// are not converted.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] when the period is zero or over 584 years, or the rate is
    /// over 10⁹ a second; nothing changes then.
    pub fn set_rate(&self, n: u32, period: Duration) -> Result<(), ConfigError> {
        let rate = Rate::new(n, period)?;
        let now = self.0.clock.now();
        self.0.meter.set(&self.0.state, now, |settings| settings.rate = rate);
        Ok(())
    }

    /// From now on up to `burst` tokens are kept. What is in the bucket stays as
    /// far as it fits; a larger bucket fills at the rate. Those already in line
    /// pass, even those who ask for more than the new burst.
    pub fn set_burst(&self, burst: u32) {
        let now = self.0.clock.now();
        let kind = Kind::Saves { burst };
        self.0.meter.set(&self.0.state, now, |settings| settings.kind = kind);
    }
}

gate!(TokenBucket);

impl<K: Clock> fmt::Debug for TokenBucket<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenBucket")
            .field("available", &self.available())
            .field("waiting", &self.load())
            .finish_non_exhaustive()
    }
}
