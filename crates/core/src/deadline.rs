//! The moment after which an answer is worth nothing.

use crate::{Clock, DefaultClock, Tick};
#[cfg(feature = "tokio")]
use crate::{Error, Reason, Rejected};
use std::time::Duration;

/// A moment after which an answer is worth nothing.
///
/// Absolute, so that it can be handed from stage to stage without being
/// extended on the way. With the feature `tokio` a task carries its current
/// deadline, which [`run`](Self::run) sets and gates that wait respect.
///
/// The plain methods read [`DefaultClock`]; those ending in `_on` serve another
/// clock, a test's paused one above all.
///
/// # Example
///
/// ```
/// use plimsoll_core::{Deadline, ManualClock};
/// use std::time::Duration;
///
/// let clock = ManualClock::new();
/// let whole = Deadline::after_on(&clock, Duration::from_secs(1));
/// let part = whole.at_most_on(&clock, Duration::from_millis(600));
/// let reserve = whole.minus(Duration::from_millis(100));
/// assert_eq!(part.remaining_on(&clock), Duration::from_millis(600));
/// assert_eq!(reserve.remaining_on(&clock), Duration::from_millis(900));
/// clock.advance(Duration::from_secs(2));
/// assert!(whole.expired_on(&clock));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Deadline(Tick);

#[cfg(feature = "tokio")]
tokio::task_local! {
    static CURRENT: Deadline;
}

impl Deadline {
    /// The deadline at `tick`; [`Tick::MAX`] never comes.
    #[must_use]
    pub const fn at(tick: Tick) -> Self {
        Self(tick)
    }

    /// The deadline `time` from now.
    #[must_use]
    pub fn after(time: Duration) -> Self {
        Self::after_on(&DefaultClock::new(), time)
    }

    /// The deadline `time` from now by `clock`.
    #[must_use]
    pub fn after_on(clock: &impl Clock, time: Duration) -> Self {
        Self(clock.now() + time)
    }

    /// The moment itself.
    #[must_use]
    pub const fn tick(self) -> Tick {
        self.0
    }

    /// The time left, zero once it has passed.
    #[must_use]
    pub fn remaining(self) -> Duration {
        self.remaining_on(&DefaultClock::new())
    }

    /// The time left by `clock`, zero once it has passed.
    #[must_use]
    pub fn remaining_on(self, clock: &impl Clock) -> Duration {
        self.0.since(clock.now())
    }

    /// Whether it has passed. At the very moment, it has.
    #[must_use]
    pub fn expired(self) -> bool {
        self.expired_on(&DefaultClock::new())
    }

    /// Whether it has passed by `clock`. At the very moment, it has.
    #[must_use]
    pub fn expired_on(self, clock: &impl Clock) -> bool {
        clock.now() >= self.0
    }

    /// This deadline, or `time` from now if that is sooner: one step's share.
    #[must_use]
    pub fn at_most(self, time: Duration) -> Self {
        self.at_most_on(&DefaultClock::new(), time)
    }

    /// [`at_most`](Self::at_most) by `clock`.
    #[must_use]
    pub fn at_most_on(self, clock: &impl Clock, time: Duration) -> Self {
        self.min(Self::after_on(clock, time))
    }

    /// This deadline brought forward by `reserve`: what the steps after this
    /// one will need.
    #[must_use]
    pub fn minus(self, reserve: Duration) -> Self {
        Self(self.0 - reserve)
    }
}

#[cfg(feature = "tokio")]
impl Deadline {
    /// The deadline of the current task, if one was set around it.
    ///
    /// It does not follow into tasks spawned from this one: pass it on with
    /// [`scope`](Self::scope).
    #[must_use]
    pub fn current() -> Option<Self> {
        CURRENT.try_with(|deadline| *deadline).ok()
    }

    /// Makes this the current deadline while `work` runs, or keeps the one
    /// around it if that is sooner. Cuts nothing off.
    pub fn scope<F: Future>(self, work: F) -> impl Future<Output = F::Output> {
        let sooner = Self::current().map_or(self, |around| around.min(self));
        CURRENT.scope(sooner, work)
    }

    /// Runs `work` with this as its current deadline and cuts it off there.
    ///
    /// # Errors
    ///
    /// [`Error::Rejected`] with [`Reason::Deadline`] when the deadline comes
    /// first; work whose deadline has already passed is not started.
    /// [`Error::Inner`] when the work fails.
    ///
    /// # Cancel safety
    ///
    /// Dropped, it drops the work.
    ///
    /// # Example
    ///
    /// ```
    /// use plimsoll_core::Deadline;
    /// use std::{io, time::Duration};
    ///
    /// # async fn service() -> Result<u8, io::Error> { Ok(7) }
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// let deadline = Deadline::after(Duration::from_secs(1));
    /// let one = deadline.at_most(Duration::from_millis(600)).run(service()).await;
    /// assert_eq!(one.unwrap(), 7);
    /// # }
    /// ```
    pub fn run<T, E, F>(self, work: F) -> impl Future<Output = Result<T, Error<E>>>
    where
        F: Future<Output = Result<T, E>>,
    {
        run_until(self, DefaultClock::new(), work)
    }

    /// [`run`](Self::run) by another clock.
    ///
    /// # Errors
    ///
    /// As [`run`](Self::run).
    ///
    /// # Cancel safety
    ///
    /// As [`run`](Self::run).
    pub fn run_on<T, E, F>(
        self,
        clock: &impl Clock,
        work: F,
    ) -> impl Future<Output = Result<T, Error<E>>>
    where
        F: Future<Output = Result<T, E>>,
    {
        run_until(self, clock, work)
    }
}

#[cfg(feature = "tokio")]
async fn run_until<T, E>(
    deadline: Deadline,
    clock: impl Clock,
    work: impl Future<Output = Result<T, E>>,
) -> Result<T, Error<E>> {
    let cut_off = Error::Rejected(Rejected::new(Reason::Deadline, "deadline"));
    let remaining = deadline.remaining_on(&clock);
    if remaining.is_zero() {
        return Err(cut_off);
    }
    match tokio::time::timeout(remaining, deadline.scope(work)).await {
        Ok(result) => result.map_err(Error::Inner),
        Err(_) => Err(cut_off),
    }
}

#[cfg(all(test, feature = "tokio", not(plimsoll_loom)))]
mod tests {
    use super::*;
    use crate::TokioClock;
    use tokio::time::sleep;

    const SECOND: Duration = Duration::from_secs(1);

    async fn takes(time: Duration) -> Result<(), std::io::Error> {
        sleep(time).await;
        Ok(())
    }

    #[tokio::test(start_paused = true)]
    async fn work_is_cut_off_at_the_deadline_and_not_before() {
        let deadline = Deadline::after_on(&TokioClock, SECOND);
        let in_time = takes(SECOND - Duration::from_millis(1));
        assert!(deadline.run_on(&TokioClock, in_time).await.is_ok());

        let deadline = Deadline::after_on(&TokioClock, SECOND);
        let late = takes(SECOND + Duration::from_millis(1));
        let error = deadline.run_on(&TokioClock, late).await.unwrap_err();
        assert_eq!(error.rejected().map(Rejected::reason), Some(Reason::Deadline));
    }

    #[tokio::test(start_paused = true)]
    async fn work_past_its_deadline_is_not_started() {
        let deadline = Deadline::after_on(&TokioClock, SECOND);
        tokio::time::advance(SECOND).await;
        let work = async { unreachable!("polled after its deadline") };
        let result: Result<(), Error<std::io::Error>> = deadline.run_on(&TokioClock, work).await;
        assert!(result.is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn an_inner_deadline_cannot_extend_the_outer_one() {
        let outer = Deadline::after_on(&TokioClock, SECOND);
        let inner = Deadline::after_on(&TokioClock, SECOND * 10);
        assert_eq!(Deadline::current(), None);
        outer
            .scope(async {
                assert_eq!(Deadline::current(), Some(outer));
                inner.scope(async { assert_eq!(Deadline::current(), Some(outer)) }).await;
            })
            .await;
        assert_eq!(Deadline::current(), None);
    }
}
