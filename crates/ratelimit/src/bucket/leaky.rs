//! The leaky bucket's API.

use super::{
    gate::gate,
    limiter::Limiter,
    scale::{Kind, Rate},
    state::{BucketState, BucketTicket},
};
use plimsoll_core::{
    Admit, Clock, ConfigError, Deadline, DefaultClock, Gate, Load, Outcome, PerKey, Rejected, Tick,
    Weigh,
};
use std::{fmt, time::Duration};

/// What its refusals are called.
const NAME: &str = "leaky bucket";

/// A constant outflow: what waits in it leaves one by one at the rate, and
/// beyond a bounded line it refuses.
///
/// Idle time earns nothing: however long it was empty, requests leave it
/// `1 / rate` apart, as exactly as timers wake them. Use it in front of what cannot take bursts, a partner's
/// API or a disk; a [`TokenBucket`](crate::TokenBucket) lets a rested client
/// have its burst.
///
/// A request of weight `n` passes when the one before it has flowed out, and
/// takes `n / rate` to flow out itself. With a byte as the unit the outflow is
/// in bytes a second, and a message of any size passes.
///
/// [`acquire`](Self::acquire) paces; [`try_acquire`](Self::try_acquire) passes
/// only if the request could leave at once. The line, its deadlines and its
/// late timers are as those of [`TokenBucket`](crate::TokenBucket#waiting); so
/// are the costs, and the arithmetic that no rounding adds up in. Refusals are
/// called `leaky bucket`.
///
/// # Zero
///
/// A rate of 0 admits one request, ever.
///
/// # Source
///
/// J. Turner, "New directions in communications", IEEE Communications Magazine
/// 24(10), 1986; as a queue: the traffic shaper of ITU-T I.371.
///
/// # Example
///
/// ```
/// use plimsoll_ratelimit::LeakyBucket;
///
/// # #[tokio::main(flavor = "current_thread", start_paused = true)]
/// # async fn main() -> Result<(), plimsoll_core::Rejected> {
/// # use plimsoll_core::TokioClock;
/// let uploads = LeakyBucket::bytes_per_second(1_000_000).queue(100);
/// # let uploads = uploads.clock(TokioClock);
/// # let start = tokio::time::Instant::now();
/// for chunk in [64_000, 64_000, 10_000] {
///     uploads.acquire_many(chunk).await?; // the third leaves 128 ms after the first
/// }
/// # assert_eq!(start.elapsed().as_millis(), 128);
/// # Ok(())
/// # }
/// ```
pub struct LeakyBucket<K: Clock = DefaultClock>(Limiter<K>);

impl LeakyBucket {
    /// `n` a second.
    ///
    /// # Panics
    ///
    /// When `n` is over 10⁹. [`try_new`](Self::try_new) returns the error.
    #[track_caller]
    #[must_use]
    pub fn per_second(n: u32) -> Self {
        Self::new(n, Duration::from_secs(1))
    }

    /// `n` a minute.
    #[must_use]
    pub fn per_minute(n: u32) -> Self {
        Self::new(n, Duration::from_secs(60))
    }

    /// `n` bytes a second: requests weigh what they are long, with
    /// [`acquire_many`](Self::acquire_many) or
    /// [`weighted`](plimsoll_core::GateExt::weighted).
    ///
    /// # Panics
    ///
    /// When `n` is over 10⁹, that is 8 Gbit/s. [`try_new`](Self::try_new)
    /// returns the error.
    #[track_caller]
    #[must_use]
    pub fn bytes_per_second(n: u32) -> Self {
        Self::per_second(n)
    }

    /// `n` a `period`, evenly.
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
    pub fn try_new(n: u32, period: Duration) -> Result<Self, ConfigError> {
        Limiter::new(NAME, n, period, Kind::Paces, DefaultClock::new()).map(Self)
    }
}

impl<K: Clock> LeakyBucket<K> {
    /// Lets at most `queue` wait at once, for each key of a keyed limit, and
    /// refuses those who come then. By default 1,024; 0 lets nobody wait.
    #[must_use]
    pub fn queue(self, queue: usize) -> Self {
        let meter = self.0.meter.with(|settings| settings.hall.set_bound(queue));
        Self(self.0.with_meter(meter))
    }

    /// The same bucket, empty, by another clock.
    ///
    /// Those who wait sleep on the tokio timer, whatever the clock: give
    /// [`TokioClock`](plimsoll_core::TokioClock) where they wait in paused time.
    #[must_use]
    pub fn clock<L: Clock>(self, clock: L) -> LeakyBucket<L> {
        LeakyBucket(self.0.with_clock(clock))
    }

    /// Passes if it can leave at once.
    ///
    /// # Errors
    ///
    /// [`Rejected`] when the one before it has not flowed out, or others wait.
    #[inline]
    pub fn try_acquire(&self) -> Result<(), Rejected> {
        self.try_acquire_many(1)
    }

    /// [`try_acquire`](Self::try_acquire) with weight `n`. Zero always passes.
    ///
    /// # Errors
    ///
    /// As [`try_acquire`](Self::try_acquire).
    #[inline]
    pub fn try_acquire_many(&self, n: u32) -> Result<(), Rejected> {
        self.0.try_take(&self.0.state, self.0.clock.now(), n).map(drop)
    }

    /// Passes when its turn comes, at most at the end of the task's
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
    /// Dropped, it leaves the line, and those behind it move up.
    pub async fn acquire(&self) -> Result<(), Rejected> {
        self.acquire_many(1).await
    }

    /// [`acquire`](Self::acquire) with weight `n`.
    ///
    /// # Errors
    ///
    /// At once: [`Rejected`] for
    /// [`Reason::Rate`](plimsoll_core::Reason::Rate) when the line is full or
    /// its turn would come after the deadline, for
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
    /// Dropped, it leaves the line, and those behind it move up.
    pub async fn acquire_many(&self, n: u32) -> Result<(), Rejected> {
        self.0.take(&self.0.state, n, None).await.map(drop)
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
    /// Dropped, it leaves the line, and those behind it move up.
    pub async fn acquire_many_by(&self, n: u32, deadline: Deadline) -> Result<(), Rejected> {
        self.0.take(&self.0.state, n, Some(deadline)).await.map(drop)
    }

    /// From now on `n` flow out in a `period`. What of the last request has not
    /// flowed out goes on at the new rate, and so does the line.
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
}

gate!(LeakyBucket);

impl<K: Clock> fmt::Debug for LeakyBucket<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LeakyBucket").field("waiting", &self.load()).finish_non_exhaustive()
    }
}
