//! The concurrency limit's API.

use crate::entrance::{Entrance, Patience, QUEUE};
use plimsoll_core::{
    Admit, Clock, ConfigError, DefaultClock, Gate, Load, Outcome, Rejected, Weigh,
};
use plimsoll_wait::Places;
use std::{fmt, marker::PhantomData, time::Duration};

/// What its refusals are called.
const NAME: &str = "concurrency limit";

/// Who waits is served first come first served. What a [`ConcurrencyLimit`] does
/// unless it is told otherwise.
#[derive(Clone, Copy, Debug, Default)]
pub struct Fifo;

/// What a permit of a [`ConcurrencyLimit`] holds: so many places. Plain data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LimitTicket(u32);

/// Keeps one more than there are places in it, so that a permit is two words and
/// its result three: handing those out of a future takes a third of the time.
impl LimitTicket {
    #[inline]
    fn of(n: u32) -> Self {
        Self(n)
    }

    #[inline]
    fn places(self) -> u32 {
        self.0
    }
}

/// At most so much work at once; what finds no place waits in a bounded, fair
/// line, or is refused.
///
/// A semaphore made for servers. It differs from a general one in what a server
/// needs under load: those who wait are bounded in number and in time, a refusal
/// says why, the limit changes while work is under way, and a free place costs
/// one compare-and-swap to take and one subtraction to give back.
///
/// # How much
///
/// By Little's law work under way is arrivals per second times seconds each
/// takes: 2,000 a second at 50 ms are 100 places. A limit well above what the
/// service can do at once protects nothing; measure where latency begins to
/// rise, or let an [`AdaptiveLimit`](crate::AdaptiveLimit) find it.
///
/// Source: J. D. C. Little, "A Proof for the Queuing Formula: L = λW",
/// Operations Research 9(3), 1961.
///
/// # Waiting
///
/// | | |
/// |---|---|
/// | [`try_admit`](plimsoll_core::GateExt::try_admit) | never waits, and refuses while others do |
/// | [`admit`](plimsoll_core::GateExt::admit) | waits in line, until [`wait_at_most`](Self::wait_at_most) or the task's [`Deadline`](plimsoll_core::Deadline) |
/// | more than [`queue`](Self::queue) waiting | refused at once |
/// | a deadline that passes meanwhile, or [cannot be met](Self::work_takes) | refused, not run |
///
/// Nobody overtakes: a small request behind a large one waits its turn. A timer
/// is armed only by a request that waits and has an end to its patience.
///
/// # Refusals
///
/// They are called `concurrency limit`. The reason is
/// [`Concurrency`](plimsoll_core::Reason::Concurrency), or
/// [`Deadline`](plimsoll_core::Reason::Deadline) where that was what ended the
/// wait, or [`Closed`](plimsoll_core::Reason::Closed) while the limit is 0. There
/// is no [`retry_after`](Rejected::retry_after): a place is free when somebody's
/// work ends, and the limit does not know when.
///
/// # Example
///
/// ```
/// use plimsoll_backpressure::ConcurrencyLimit;
/// use plimsoll_core::GateExt;
/// use std::time::Duration;
///
/// # #[tokio::main(flavor = "current_thread", start_paused = true)]
/// # async fn main() -> Result<(), plimsoll_core::Rejected> {
/// let limit = ConcurrencyLimit::new(1).wait_at_most(Duration::from_millis(100));
/// let permit = limit.admit().await?;
///
/// let refusal = limit.admit().await.unwrap_err(); // after 100 ms
/// assert_eq!(refusal.to_string(), "concurrency limit: concurrency limit reached");
///
/// drop(permit);
/// assert!(limit.try_admit().is_ok());
/// # Ok(())
/// # }
/// ```
pub struct ConcurrencyLimit<D = Fifo, K: Clock = DefaultClock> {
    entrance: Entrance<K>,
    discipline: PhantomData<D>,
}

impl ConcurrencyLimit {
    /// At most this many places: 2³¹ − 1.
    pub const MAX: u32 = Places::MAX;

    /// At most `limit` at once, and a line of at most 1,024 who wait as long as
    /// their deadline allows. A limit of 0 refuses everything.
    ///
    /// # Panics
    ///
    /// When `limit` is over [`MAX`](Self::MAX). [`try_new`](Self::try_new)
    /// returns the error.
    #[track_caller]
    #[must_use]
    pub fn new(limit: u32) -> Self {
        match Self::try_new(limit) {
            Ok(limit) => limit,
            Err(error) => error.panic(),
        }
    }

    /// [`new`](Self::new) for a limit that comes from configuration.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] when `limit` is over [`MAX`](Self::MAX).
    pub fn try_new(limit: u32) -> Result<Self, ConfigError> {
        let entrance = Entrance {
            places: Places::new(checked(limit)?, QUEUE),
            queue: QUEUE,
            patience: Patience::UntilDeadline,
            work_takes: None,
            clock: DefaultClock::new(),
            name: NAME,
        };
        Ok(Self { entrance, discipline: PhantomData })
    }
}

/// A limit as the places count it.
fn checked(limit: u32) -> Result<u32, ConfigError> {
    if limit > Places::MAX {
        return Err(ConfigError::new("limit", limit, "at most 2147483647"));
    }
    Ok(limit)
}

impl<D, K: Clock> ConcurrencyLimit<D, K> {
    /// Whoever has waited for `time` is refused. Zero lets nobody wait. By
    /// default work waits as long as its deadline allows, for ever without one.
    ///
    /// The runtime's timers keep a millisecond.
    #[must_use]
    pub fn wait_at_most(self, time: Duration) -> Self {
        let patience = if time.is_zero() { Patience::Never } else { Patience::AtMost(time) };
        Self { entrance: Entrance { patience, ..self.entrance }, ..self }
    }

    /// At most `n` wait; whoever comes then is refused at once. By default
    /// 1,024. Zero lets nobody wait.
    ///
    /// A line that takes longer to pass than its callers' patience only makes
    /// work for nobody: `limit × patience ÷ time per request` is enough.
    #[must_use]
    pub fn queue(self, n: usize) -> Self {
        let limit = self.limit();
        Self { entrance: self.entrance.with_places(limit, n), ..self }
    }

    /// Work takes `time`: it is refused where no more than that is left of its
    /// [`Deadline`](plimsoll_core::Deadline), when it comes or while it waits.
    ///
    /// Unless this is set, only those who wait are asked for their deadline, and
    /// refused when it has passed; work that finds a place free is not, because
    /// to look a task's deadline up costs more than the place.
    #[must_use]
    pub fn work_takes(self, time: Duration) -> Self {
        let work_takes = Some(time);
        Self { entrance: Entrance { work_takes, ..self.entrance }, ..self }
    }

    /// Measures deadlines and waits by `clock`; sleeping is the runtime's. By
    /// default [`DefaultClock`].
    #[must_use]
    pub fn clock<L: Clock>(self, clock: L) -> ConcurrencyLimit<D, L> {
        ConcurrencyLimit { entrance: self.entrance.with_clock(clock), discipline: self.discipline }
    }

    /// From now on `limit` places. More go to those who wait at once; fewer take
    /// effect as work ends, and nobody loses a place. Those who wait for more
    /// places than there are now are refused.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] when `limit` is over [`MAX`](ConcurrencyLimit::MAX);
    /// nothing changes then.
    pub fn resize(&self, limit: u32) -> Result<(), ConfigError> {
        self.entrance.places.resize(checked(limit)?);
        Ok(())
    }

    /// How many places there are.
    #[must_use]
    pub fn limit(&self) -> u32 {
        self.entrance.places.limit()
    }

    /// How many places are taken: more than there are for a while after a
    /// [`resize`](Self::resize) to fewer.
    #[must_use]
    pub fn in_flight(&self) -> u32 {
        self.entrance.places.used()
    }

    /// How many wait.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.entrance.places.waiting()
    }

    fn refused(&self) -> Rejected {
        Rejected::new(plimsoll_core::Reason::Concurrency, self.entrance.name)
    }

    /// A weight as places count; what does not fit a `u32` never passes.
    #[inline]
    fn weight(&self, n: u64) -> Result<u32, Rejected> {
        u32::try_from(n).map_err(|_| self.refused())
    }
}

impl<D: Send + Sync, K: Clock> Gate for ConcurrencyLimit<D, K> {
    type Ticket = LimitTicket;

    #[inline]
    fn leave(&self, ticket: LimitTicket, _: Outcome) {
        self.entrance.places.give_back(ticket.places());
    }
}

impl<C: ?Sized, K: Clock> Admit<C> for ConcurrencyLimit<Fifo, K> {
    #[inline]
    fn try_enter(&self, _: &C) -> Result<LimitTicket, Rejected> {
        self.entrance.try_take(1).map(|()| LimitTicket::of(1))
    }

    async fn enter<'a>(&'a self, _: &'a C) -> Result<LimitTicket, Rejected>
    where
        C: Sync,
    {
        self.entrance.take(1).await.map(|()| LimitTicket::of(1))
    }
}

/// In places. A weight of 0 always passes.
impl<K: Clock> Weigh for ConcurrencyLimit<Fifo, K> {
    #[inline]
    fn try_enter_n(&self, n: u64) -> Result<LimitTicket, Rejected> {
        let n = self.weight(n)?;
        self.entrance.try_take(n).map(|()| LimitTicket::of(n))
    }

    async fn enter_n(&self, n: u64) -> Result<LimitTicket, Rejected> {
        let n = self.weight(n)?;
        self.entrance.take(n).await.map(|()| LimitTicket::of(n))
    }
}

/// The places taken, and how many there are: the first may be the larger.
impl<D: Send + Sync, K: Clock> Load for ConcurrencyLimit<D, K> {
    fn load(&self) -> usize {
        self.in_flight() as usize
    }

    fn capacity(&self) -> Option<usize> {
        Some(self.limit() as usize)
    }
}

impl<D, K: Clock> fmt::Debug for ConcurrencyLimit<D, K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConcurrencyLimit")
            .field("limit", &self.limit())
            .field("in_flight", &self.in_flight())
            .field("waiting", &self.waiting())
            .finish_non_exhaustive()
    }
}
