//! Named branches, of which some are enough.
//!
//! `tally` decides, `report` is what comes of it, `stragglers` are those that run
//! on, and here it runs.

mod report;
mod stragglers;
mod tally;

use self::tally::Tally;
pub use self::{
    report::{Branch, Ended, NotMet, Report, Verdict},
    stragglers::Stragglers,
};
use crate::{Answer, Failure, caught::caught_async};
use plimsoll_core::ConfigError;
use std::{fmt, pin::Pin, time::Duration};
use tokio::{
    task::{AbortHandle, JoinSet},
    time::{Instant, timeout, timeout_at},
};

/// What was cut off ends when it next awaits something. What does not in this
/// time blocks its thread, and is left behind.
const LAST: Duration = Duration::from_millis(100);

/// Starts a [`ScatterGather`] without branches.
///
/// # Example
///
/// Two of three replicas are enough, within 50 ms:
///
/// ```
/// use plimsoll_fanout::{Ended, scatter_gather};
/// use std::time::Duration;
///
/// # #[tokio::main(flavor = "current_thread", start_paused = true)]
/// # async fn main() {
/// # async fn read(replica: u64) -> Result<&'static str, std::io::Error> {
/// #     tokio::time::sleep(Duration::from_millis(10 * replica)).await;
/// #     Ok("a row")
/// # }
/// let report = scatter_gather()
///     .optional("a", read(1))
///     .optional("b", read(2))
///     .optional("c", read(300))
///     .quorum(2)
///     .deadline(Duration::from_millis(50))
///     .run()
///     .await;
/// assert!(report.is_met());
/// assert_eq!(report.elapsed(), Duration::from_millis(20));
/// assert!(matches!(report.get("c").unwrap().ended, Ended::Cancelled));
/// # }
/// ```
pub fn scatter_gather<T, E>() -> ScatterGather<T, E> {
    ScatterGather {
        branches: Vec::new(),
        quorum: None,
        deadline: None,
        grace: Duration::ZERO,
        at_once: usize::MAX,
    }
}

/// Branches that run together, and how many of them are enough: see
/// [`scatter_gather`].
///
/// Each runs in a task of its own. By default all are waited for, and it is
/// enough if the required ones have answered.
#[must_use = "nothing runs before `run`"]
pub struct ScatterGather<T, E> {
    branches: Vec<Planned<T, E>>,
    quorum: Option<usize>,
    deadline: Option<Duration>,
    grace: Duration,
    at_once: usize,
}

struct Planned<T, E> {
    name: String,
    required: bool,
    work: Pin<Box<dyn Future<Output = Result<T, E>> + Send>>,
}

impl<T: Send + 'static, E: Send + 'static> ScatterGather<T, E> {
    /// A branch without which nothing is met: if it fails, the rest is cut off.
    pub fn required<F>(self, name: impl Into<String>, work: F) -> Self
    where
        F: Future<Output = Result<T, E>> + Send + 'static,
    {
        self.branch(name.into(), true, Box::pin(work))
    }

    /// A branch that may fail.
    pub fn optional<F>(self, name: impl Into<String>, work: F) -> Self
    where
        F: Future<Output = Result<T, E>> + Send + 'static,
    {
        self.branch(name.into(), false, Box::pin(work))
    }

    fn branch(
        mut self,
        name: String,
        required: bool,
        work: Pin<Box<dyn Future<Output = Result<T, E>> + Send>>,
    ) -> Self {
        self.branches.push(Planned { name, required, work });
        self
    }

    /// So many answers are enough, the required ones among them; then the rest is
    /// cut off. When so many can no longer come, everything is.
    ///
    /// 0 asks for the required ones alone, and waits for no other.
    pub fn quorum(mut self, answers: usize) -> Self {
        self.quorum = Some(answers);
        self
    }

    /// For all of it. What runs then is cut off, and is
    /// [`TimedOut`](Ended::TimedOut). By default there is none.
    pub fn deadline(mut self, within: Duration) -> Self {
        self.deadline = Some(within);
        self
    }

    /// So long, once it is met, more answers are welcome, but not past the
    /// deadline. By default no time.
    pub fn grace(mut self, time: Duration) -> Self {
        self.grace = time;
        self
    }

    /// Starts no more than so many at a time, in the order in which they were
    /// named. By default all.
    ///
    /// # Panics
    ///
    /// When `branches` is 0; [`checked_at_once`](Self::checked_at_once) returns
    /// the error.
    #[track_caller]
    pub fn at_once(self, branches: usize) -> Self {
        match self.checked_at_once(branches) {
            Ok(scatter) => scatter,
            Err(error) => error.panic(),
        }
    }

    /// [`at_once`](Self::at_once), for a number that comes from configuration.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] when `branches` is 0.
    pub fn checked_at_once(mut self, branches: usize) -> Result<Self, ConfigError> {
        if branches == 0 {
            return Err(ConfigError::new("at once", branches, "at least 1"));
        }
        self.at_once = branches;
        Ok(self)
    }

    /// Runs the branches until the verdict, and cuts off what runs then. That has
    /// ended when this returns, but for a branch that blocks its thread instead of
    /// awaiting, which nothing can cut off: it is given 100 ms, and reported as
    /// [`StillRunning`](Ended::StillRunning). Blocking work belongs in
    /// [`spawn_blocking`](tokio::task::spawn_blocking), awaited in its branch: the
    /// branch can be cut off, and the call itself runs to its end in the
    /// background.
    ///
    /// On a runtime of one thread, a branch that blocks it holds up everything.
    ///
    /// # Cancel safety
    ///
    /// Dropped, it aborts all branches.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime with timers.
    pub async fn run(self) -> Report<T, E> {
        let mut run = Run::new(self);
        run.until_verdict().await;
        run.cut_off().await;
        run.report
    }

    /// Runs the branches until the verdict, and hands out those that still run
    /// once it is met: replicas that should get the write as well, say.
    ///
    /// If it is not met, they are cut off, as [`run`](Self::run) does.
    ///
    /// # Cancel safety
    ///
    /// Dropped, it aborts all branches.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime with timers.
    pub async fn run_keeping_stragglers(self) -> (Report<T, E>, Stragglers<T, E>) {
        let mut run = Run::new(self);
        run.until_verdict().await;
        if !run.report.is_met() {
            run.cut_off().await;
        }
        run.into_stragglers()
    }
}

impl<T, E> fmt::Debug for ScatterGather<T, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ScatterGather")
            .field("branches", &self.branches.len())
            .field("quorum", &self.quorum)
            .field("deadline", &self.deadline)
            .finish_non_exhaustive()
    }
}

/// A branch that runs.
struct Started {
    at: Instant,
    task: AbortHandle,
}

/// A scatter under way.
struct Run<T, E> {
    planned: std::vec::IntoIter<Planned<T, E>>,
    running: JoinSet<(usize, Answer<T, E>)>,
    /// By the branch's number, until it has ended.
    started: Vec<Option<Started>>,
    tally: Tally,
    report: Report<T, E>,
    begun: Instant,
    deadline: Option<Instant>,
    grace: Duration,
    at_once: usize,
}

impl<T: Send + 'static, E: Send + 'static> Run<T, E> {
    fn new(scatter: ScatterGather<T, E>) -> Self {
        let ScatterGather { branches, quorum, deadline, grace, at_once } = scatter;
        let begun = Instant::now();
        let required = branches.iter().filter(|branch| branch.required).count();
        let tally = Tally::new(quorum, branches.len(), required);
        let not_started = branches.iter().map(|Planned { name, required, .. }| Branch {
            name: name.clone(),
            required: *required,
            ended: Ended::NotStarted,
            elapsed: Duration::ZERO,
        });
        let started = branches.iter().map(|_| None).collect();
        let report = Report {
            branches: not_started.collect(),
            verdict: Verdict::TimedOut,
            elapsed: Duration::ZERO,
        };
        Self {
            planned: branches.into_iter(),
            running: JoinSet::new(),
            started,
            tally,
            report,
            begun,
            // One that is too far off to be told never comes.
            deadline: deadline.and_then(|within| begun.checked_add(within)),
            grace,
            at_once,
        }
    }

    /// Starts what may run.
    fn fill(&mut self) {
        while self.running.len() < self.at_once {
            let number = self.report.branches.len() - self.planned.len();
            let Some(Planned { work, .. }) = self.planned.next() else { return };
            let work = async move {
                match caught_async(work).await {
                    Ok(result) => (number, result.map_err(Failure::Failed)),
                    Err(panic) => (number, Err(Failure::Panicked(panic))),
                }
            };
            let task = self.running.spawn(work);
            self.started[number] = Some(Started { at: Instant::now(), task });
        }
    }

    /// Waits for the end of one, and writes it down. `false` if none runs.
    async fn join_next(&mut self) -> bool {
        match self.running.join_next().await {
            None => return false,
            Some(Err(_)) => {} // cut off: what is written down stays
            Some(Ok((number, result))) => {
                let branch = &mut self.report.branches[number];
                let started = self.started[number].take();
                branch.elapsed = started.map_or(Duration::ZERO, |it| it.at.elapsed());
                branch.ended = result.into();
                self.tally.ended(branch.required, branch.ended.is_ok());
            }
        }
        true
    }

    /// Aborts what runs, and waits until it has ended, if it can.
    async fn cut_off(&mut self) {
        self.running.abort_all();
        let all = async { while self.join_next().await {} };
        if timeout(LAST, all).await.is_ok() {
            return;
        }
        for (branch, started) in self.report.branches.iter_mut().zip(&self.started) {
            if started.as_ref().is_some_and(|it| !it.task.is_finished()) {
                branch.ended = Ended::StillRunning;
            }
        }
    }

    /// Writes down how long those that run have, and what becomes of them.
    fn write_down(&mut self, ended: fn() -> Ended<T, E>) {
        for (branch, started) in self.report.branches.iter_mut().zip(&self.started) {
            if let Some(started) = started {
                branch.elapsed = started.at.elapsed();
                branch.ended = ended();
            }
        }
    }

    async fn until_verdict(&mut self) {
        let mut timed_out = false;
        let verdict = loop {
            if let Some(verdict) = self.tally.verdict() {
                break verdict;
            }
            self.fill();
            if !self.join_until(self.deadline).await {
                timed_out = true;
                break self.tally.at_deadline();
            }
        };
        self.report.verdict = verdict;
        if verdict == Verdict::Met && !self.grace.is_zero() {
            let until = Instant::now().checked_add(self.grace);
            let until = [until, self.deadline].into_iter().flatten().min();
            loop {
                self.fill();
                if self.running.is_empty() || !self.join_until(until).await {
                    break;
                }
            }
        }
        self.report.elapsed = self.begun.elapsed();
        self.write_down(if timed_out { || Ended::TimedOut } else { || Ended::Cancelled });
    }

    /// Waits for the end of one, `false` if that does not come in time.
    async fn join_until(&mut self, until: Option<Instant>) -> bool {
        match until {
            Some(until) => timeout_at(until, self.join_next()).await.is_ok(),
            None => self.join_next().await,
        }
    }

    fn into_stragglers(mut self) -> (Report<T, E>, Stragglers<T, E>) {
        if self.report.is_met() {
            self.write_down(|| Ended::Straggling);
        }
        let straggling = |branch: &Branch<T, E>| {
            matches!(branch.ended, Ended::Straggling).then(|| branch.name.clone())
        };
        let names = self.report.branches.iter().map(straggling).collect();
        (self.report, Stragglers { running: self.running, names })
    }
}
