//! The concurrency limit's API.

use crate::{
    discipline::{ByDeadline, ByPriority, CoDel, Discipline, Fifo, Lifo},
    entrance::{Entrance, Patience, QUEUE},
};
use plimsoll_core::{Clock, ConfigError, DefaultClock};
use plimsoll_wait::Places;
use std::{fmt, time::Duration};

/// What its refusals are called.
const NAME: &str = "concurrency limit";

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
/// An admission that is dropped while it waits leaves the line, and takes no place
/// with it.
///
/// Nobody overtakes: a small request behind a large one waits its turn. Other
/// orders than that of arrival are [`lifo`](Self::lifo), [`codel`](Self::codel),
/// [`by_priority`](Self::by_priority) and [`by_deadline`](Self::by_deadline). A
/// timer is armed only by a request that waits and has an end to its patience, and
/// needs a tokio runtime that keeps time: outside of one, such a request panics. A
/// free place, a refusal, and a wait without an end need no runtime.
///
/// # Refusals
///
/// They are called `concurrency limit`. The reason is
/// [`Concurrency`](plimsoll_core::Reason::Concurrency), or
/// [`Deadline`](plimsoll_core::Reason::Deadline) where that was what ended the
/// wait, [`Overload`](plimsoll_core::Reason::Overload) where the order gave it up
/// for others, or [`Closed`](plimsoll_core::Reason::Closed) while the limit is 0. There
/// is no [`retry_after`](plimsoll_core::Rejected::retry_after): a place is free when somebody's
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
pub struct ConcurrencyLimit<D: Discipline = Fifo, K: Clock = DefaultClock> {
    pub(crate) entrance: Entrance<K, D::Order<K>>,
    discipline: D,
}

impl ConcurrencyLimit {
    /// At most this many places: 2³¹ − 1.
    pub const MAX: u32 = Places::MAX;

    /// At most `limit` at once, and a line of at most 1,024 who wait as long as
    /// their deadline allows. A limit of 0 refuses everything, but a weight of 0.
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
        Ok(Self { entrance, discipline: Fifo })
    }
}

/// A limit as the places count it.
fn checked(limit: u32) -> Result<u32, ConfigError> {
    if limit > Places::MAX {
        return Err(ConfigError::new("limit", limit, "at most 2147483647"));
    }
    Ok(limit)
}

/// How those who wait are served. Set it before anybody waits.
impl<K: Clock + Clone> ConcurrencyLimit<Fifo, K> {
    /// Once the line has not been empty for `after`, the last to come is served
    /// first: see [`Lifo`]. 100 ms is what its source takes; zero is as soon as
    /// anybody waits.
    ///
    /// # Example
    ///
    /// ```
    /// use plimsoll_backpressure::ConcurrencyLimit;
    /// use std::time::Duration;
    ///
    /// let limit = ConcurrencyLimit::new(100)
    ///     .lifo(Duration::from_millis(100))
    ///     .wait_at_most(Duration::from_secs(1));
    /// # let _ = limit;
    /// ```
    #[must_use]
    pub fn lifo(self, after: Duration) -> ConcurrencyLimit<Lifo, K> {
        self.anew(Lifo { after })
    }

    /// When all have waited longer than `target` for an `interval`, some are
    /// refused until that is over: see [`CoDel`]. 5 ms and 100 ms are what its
    /// source takes.
    ///
    /// # Panics
    ///
    /// When the interval is zero, over 584 years, or shorter than the target.
    /// [`try_codel`](Self::try_codel) returns the error.
    #[track_caller]
    #[must_use]
    pub fn codel(self, target: Duration, interval: Duration) -> ConcurrencyLimit<CoDel, K> {
        match self.try_codel(target, interval) {
            Ok(limit) => limit,
            Err(error) => error.panic(),
        }
    }

    /// [`codel`](Self::codel) from configuration.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] where `codel` panics.
    pub fn try_codel(
        self,
        target: Duration,
        interval: Duration,
    ) -> Result<ConcurrencyLimit<CoDel, K>, ConfigError> {
        let countable = u64::try_from(interval.as_nanos()).is_ok();
        if interval.is_zero() || interval < target || !countable {
            let allowed = "1 ns to 584 years, and no shorter than the target";
            return Err(ConfigError::new("interval", format!("{interval:?}"), allowed));
        }
        Ok(self.anew(CoDel { target, interval }))
    }

    /// The highest priority is served first: see [`ByPriority`]. The gate must be
    /// told the [`Priority`](plimsoll_core::Priority) of the work.
    ///
    /// # Example
    ///
    /// ```
    /// use plimsoll_backpressure::ConcurrencyLimit;
    /// use plimsoll_core::{GateExt, Priority};
    ///
    /// struct Request { priority: Priority }
    ///
    /// let limit = ConcurrencyLimit::new(100).by_priority().by(|r: &Request| r.priority);
    /// assert!(limit.try_admit_for(&Request { priority: Priority::LOWEST }).is_ok());
    /// ```
    #[must_use]
    pub fn by_priority(self) -> ConcurrencyLimit<ByPriority, K> {
        self.anew(ByPriority)
    }

    /// The earliest deadline is served first, and none that has passed: see
    /// [`ByDeadline`]. The gate must be told the [`Deadline`](plimsoll_core::Deadline) of the work.
    ///
    /// [`work_takes`](Self::work_takes) is zero afterwards unless it was set
    /// before: then work that has no more than that left is refused.
    ///
    /// # Example
    ///
    /// ```
    /// use plimsoll_backpressure::ConcurrencyLimit;
    /// use plimsoll_core::{Clock, Deadline, DefaultClock, GateExt, Reason};
    /// use std::time::Duration;
    ///
    /// let limit = ConcurrencyLimit::new(100).work_takes(Duration::from_millis(20)).by_deadline();
    /// let soon = Deadline::after(Duration::from_secs(1));
    /// assert!(limit.try_admit_for(&soon).is_ok());
    ///
    /// let passed = Deadline::at(DefaultClock::new().now());
    /// assert_eq!(limit.try_admit_for(&passed).unwrap_err().reason(), Reason::Deadline);
    /// ```
    #[must_use]
    pub fn by_deadline(mut self) -> ConcurrencyLimit<ByDeadline, K> {
        let work_takes = *self.entrance.work_takes.get_or_insert(Duration::ZERO);
        self.anew(ByDeadline { work_takes })
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
}

impl<D: Discipline, K: Clock + Clone> ConcurrencyLimit<D, K> {
    fn anew<E: Discipline>(self, discipline: E) -> ConcurrencyLimit<E, K> {
        let clock = self.entrance.clock.clone();
        let order = discipline.order(clock.clone());
        ConcurrencyLimit { entrance: self.entrance.with_order(clock, order), discipline }
    }

    /// At most `n` wait; whoever comes then is refused at once. By default
    /// 1,024. Zero lets nobody wait.
    ///
    /// A line that takes longer to pass than its callers' patience only makes
    /// work for nobody: `limit × patience ÷ time per request` is enough.
    #[must_use]
    pub fn queue(self, n: usize) -> Self {
        let entrance = Entrance { queue: n, ..self.entrance };
        let discipline = self.discipline.clone();
        Self { entrance, ..self }.anew(discipline)
    }
}

impl<D: Discipline, K: Clock> ConcurrencyLimit<D, K> {
    /// Whoever has waited for `time` is refused. Zero lets nobody wait. By
    /// default work waits as long as its deadline allows, for ever without one.
    ///
    /// The runtime's timers keep a millisecond.
    ///
    /// # Panics
    ///
    /// Not here: work that has to wait does, outside a tokio runtime that keeps
    /// time. It leaves the line.
    #[must_use]
    pub fn wait_at_most(self, time: Duration) -> Self {
        let patience = Patience::at_most(time);
        Self { entrance: Entrance { patience, ..self.entrance }, ..self }
    }

    /// Measures deadlines by `clock`, and in disciplines that go by them waits;
    /// sleeping, and with it patience, is the runtime's. By default
    /// [`DefaultClock`].
    #[must_use]
    pub fn clock<L: Clock + Clone>(self, clock: L) -> ConcurrencyLimit<D, L> {
        let order = self.discipline.order(clock.clone());
        let entrance = self.entrance.with_order(clock, order);
        ConcurrencyLimit { entrance, discipline: self.discipline }
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
}

impl<D: Discipline, K: Clock> fmt::Debug for ConcurrencyLimit<D, K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConcurrencyLimit")
            .field("limit", &self.limit())
            .field("in_flight", &self.in_flight())
            .field("waiting", &self.waiting())
            .finish_non_exhaustive()
    }
}
