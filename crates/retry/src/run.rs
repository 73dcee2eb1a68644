//! The waiting: attempts and pauses.

use crate::{Judge, Observe, Retry, RetryError, Stop, budget::Reserved, plan::Course};
use plimsoll_core::{Clock, Deadline, Tick};
use std::time::Duration;

/// When the first attempt began, where that matters.
#[doc(hidden)]
#[derive(Clone, Copy, Debug)]
pub struct Begun(Option<Tick>);

impl<J, O, K: Clock> Retry<J, O, K> {
    /// Calls `attempt` until it succeeds or another try makes no sense.
    ///
    /// The first attempt is always made. No pause ends at or after the current
    /// [`Deadline`] of the task: where it would, the error of the last attempt is
    /// returned at once. An attempt under way is not cut off.
    ///
    /// # Errors
    ///
    /// [`RetryError`] with the error of the last attempt, and why there was no
    /// further one.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime with timers, if it has to pause.
    ///
    /// # Cancel safety
    ///
    /// Dropped during an attempt, it drops that; dropped during a pause, it gives
    /// the retry back to the budget. What earlier attempts did is done.
    ///
    /// # Example
    ///
    /// ```
    /// use plimsoll_core::{GateExt, testing::Places};
    /// use plimsoll_retry::Retry;
    /// use std::{io, time::Duration};
    ///
    /// # async fn get() -> io::Result<u8> { Ok(7) }
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// let (retry, limit) = (Retry::exponential(Duration::from_millis(100)), Places::new(10));
    /// let answer = retry.run(|| limit.run(get())).await;
    /// assert_eq!(answer.unwrap(), 7);
    /// # }
    /// ```
    #[inline]
    pub fn run<T, E, F, A>(&self, mut attempt: F) -> impl Future<Output = Result<T, RetryError<E>>>
    where
        F: FnMut() -> A,
        A: Future<Output = Result<T, E>>,
        J: Judge<E>,
        O: Observe<E>,
    {
        self.drive(Tick::MAX, move |_| attempt())
    }

    /// [`run`](Self::run), telling each attempt its number, 1 for the first: for
    /// a header that tells the server, or another address each time.
    ///
    /// # Errors
    ///
    /// As [`run`](Self::run).
    ///
    /// # Panics
    ///
    /// As [`run`](Self::run).
    ///
    /// # Cancel safety
    ///
    /// As [`run`](Self::run).
    #[inline]
    pub fn run_numbered<T, E, F, A>(
        &self,
        attempt: F,
    ) -> impl Future<Output = Result<T, RetryError<E>>>
    where
        F: FnMut(u32) -> A,
        A: Future<Output = Result<T, E>>,
        J: Judge<E>,
        O: Observe<E>,
    {
        self.drive(Tick::MAX, attempt)
    }

    /// [`run`](Self::run) to `deadline` at most, or to the task's current one if
    /// that is sooner.
    ///
    /// # Errors
    ///
    /// As [`run`](Self::run).
    ///
    /// # Panics
    ///
    /// As [`run`](Self::run).
    ///
    /// # Cancel safety
    ///
    /// As [`run`](Self::run).
    #[inline]
    pub fn run_by<T, E, F, A>(
        &self,
        deadline: Deadline,
        mut attempt: F,
    ) -> impl Future<Output = Result<T, RetryError<E>>>
    where
        F: FnMut() -> A,
        A: Future<Output = Result<T, E>>,
        J: Judge<E>,
        O: Observe<E>,
    {
        self.drive(deadline.tick(), move |_| attempt())
    }

    /// The first attempt. What follows a failure is in a box: most calls need no
    /// room for it, and future and caller stay small and quick.
    #[inline]
    async fn drive<T, E, F, A>(&self, deadline: Tick, mut attempt: F) -> Result<T, RetryError<E>>
    where
        F: FnMut(u32) -> A,
        A: Future<Output = Result<T, E>>,
        J: Judge<E>,
        O: Observe<E>,
    {
        let begun = self.begin();
        match attempt(1).await {
            Ok(answer) => {
                self.succeeded();
                Ok(answer)
            }
            Err(error) => {
                let paid = move |number, reserved: Reserved<'_>| {
                    reserved.spend();
                    attempt(number)
                };
                Box::pin(self.again(error, self.course(begun, deadline), paid)).await
            }
        }
    }

    /// For layers, which make the first attempt themselves: it begins.
    #[doc(hidden)]
    #[inline]
    pub fn begin(&self) -> Begun {
        Begun(self.plan.within.map(|_| self.clock.now()))
    }

    /// For layers: all attempts but the first, which failed with `error`. Each
    /// says when it really begins, and so is paid for.
    #[doc(hidden)]
    pub async fn resume<'a, T, E, F, A>(
        &'a self,
        begun: Begun,
        error: E,
        attempt: F,
    ) -> Result<T, RetryError<E>>
    where
        F: FnMut(u32, Reserved<'a>) -> A,
        A: Future<Output = Result<T, E>>,
        J: Judge<E>,
        O: Observe<E>,
    {
        self.again(error, self.course(begun, Tick::MAX), attempt).await
    }

    async fn again<'a, T, E, F, A>(
        &'a self,
        mut error: E,
        mut course: Course,
        mut attempt: F,
    ) -> Result<T, RetryError<E>>
    where
        F: FnMut(u32, Reserved<'a>) -> A,
        A: Future<Output = Result<T, E>>,
        J: Judge<E>,
        O: Observe<E>,
    {
        loop {
            let (pause, reserved) = match self.after(&mut course, &error) {
                Ok(next) => next,
                Err(why) => return Err(self.gave_up(error, course.made, why)),
            };
            tokio::time::sleep(pause).await;
            // A busy runtime wakes late.
            if let Some(why) = course.forbids(self.clock.now(), self.plan.needs) {
                return Err(self.gave_up(error, course.made, why));
            }
            course.made = course.made.saturating_add(1);
            match attempt(course.made, reserved).await {
                Ok(answer) => {
                    self.succeeded();
                    return Ok(answer);
                }
                Err(last) => error = last,
            }
        }
    }

    fn gave_up<E>(&self, error: E, attempts: u32, why: Stop) -> RetryError<E>
    where
        O: Observe<E>,
    {
        self.observer.gave_up(attempts, &error, why);
        RetryError::new(error, attempts, why)
    }

    /// For layers: whether another attempt may come after so many.
    #[doc(hidden)]
    pub fn may_follow(&self, attempts: u32) -> bool {
        attempts < self.plan.attempts
    }

    /// For layers, too: the call succeeded, at whichever attempt.
    #[doc(hidden)]
    #[inline]
    pub fn succeeded(&self) {
        if let Some(budget) = &self.budget {
            budget.deposit();
        }
    }

    /// One attempt was made, of all that began then.
    fn course(&self, Begun(started): Begun, deadline: Tick) -> Course {
        let time_up = started.zip(self.plan.within).map(|(start, time)| start + time);
        // Asked once: a task's deadline does not change while it polls this.
        let around = Deadline::current().map_or(Tick::MAX, Deadline::tick);
        Course::new(time_up.unwrap_or(Tick::MAX), deadline.min(around))
    }

    /// What follows the attempt that failed with `error`.
    fn after<E>(&self, course: &mut Course, error: &E) -> Result<(Duration, Reserved<'_>), Stop>
    where
        J: Judge<E>,
        O: Observe<E>,
    {
        let (verdict, budget) = (self.judge.judge(error), self.budget.as_ref());
        let (now, random) = (self.clock.now(), self.draws.draw());
        let next = self.plan.next(course, verdict, now, random, budget)?;
        self.observer.retrying(course.made, error, next.0);
        Ok(next)
    }
}
