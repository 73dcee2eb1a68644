//! What became of each branch.

use crate::{Failure, Panicked};
use std::{error, fmt, time::Duration};

/// How a branch ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ended<T, E> {
    /// It has an answer.
    Ok(T),
    /// It says that it failed.
    Failed(E),
    /// It panicked.
    Panicked(Panicked),
    /// It was running at the deadline, and was cut off.
    TimedOut,
    /// It was running when its answer was no longer needed, or no longer enough,
    /// and was cut off.
    Cancelled,
    /// It was running when its answer was no longer needed, and still is: the
    /// report's [`Stragglers`](super::Stragglers) have it.
    Straggling,
    /// It was cut off, and had not ended 100 ms later: it blocks its thread. Its
    /// task ends when it next awaits something, and its answer is dropped.
    StillRunning,
    /// Its turn had not come.
    NotStarted,
}

impl<T, E> Ended<T, E> {
    /// Whether it has an answer.
    pub fn is_ok(&self) -> bool {
        matches!(self, Self::Ok(_))
    }

    /// One word.
    fn word(&self) -> &'static str {
        match self {
            Self::Ok(_) => "ok",
            Self::Failed(_) => "failed",
            Self::Panicked(_) => "panicked",
            Self::TimedOut => "timed out",
            Self::Cancelled => "cancelled",
            Self::Straggling => "straggling",
            Self::StillRunning => "still running",
            Self::NotStarted => "not started",
        }
    }
}

/// A branch and what became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Branch<T, E> {
    /// Its name.
    pub name: String,
    /// Whether nothing is met without it.
    pub required: bool,
    /// How it ended.
    pub ended: Ended<T, E>,
    /// From its own start to its end, or to that of the whole. Zero if it was
    /// not started.
    pub elapsed: Duration,
}

/// Whether enough branches have answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// All required ones have, and as many as the quorum asks for.
    Met,
    /// Too many failed: not all that were left could have made it enough.
    OutOfReach,
    /// The deadline came first.
    TimedOut,
}

/// What became of a [`ScatterGather`](super::ScatterGather): every branch, in
/// the order in which they were named.
///
/// `Display` prints a line for each.
#[derive(Clone, Debug)]
pub struct Report<T, E> {
    pub(super) branches: Vec<Branch<T, E>>,
    pub(super) verdict: Verdict,
    pub(super) elapsed: Duration,
}

impl<T, E> Report<T, E> {
    /// Whether enough branches have answered.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        self.verdict
    }

    /// Whether enough branches have answered.
    #[must_use]
    pub fn is_met(&self) -> bool {
        self.verdict == Verdict::Met
    }

    /// From the start to the verdict, and the grace after it.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        self.elapsed
    }

    /// Every branch, in the order in which they were named.
    #[must_use]
    pub fn branches(&self) -> &[Branch<T, E>] {
        &self.branches
    }

    /// Every branch, in the order in which they were named.
    #[must_use]
    pub fn into_branches(self) -> Vec<Branch<T, E>> {
        self.branches
    }

    /// The first branch of that name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Branch<T, E>> {
        self.branches.iter().find(|branch| branch.name == name)
    }

    /// Takes the answer of the first branch of that name, if it has one: it is
    /// [`Cancelled`](Ended::Cancelled) afterwards.
    pub fn take(&mut self, name: &str) -> Option<T> {
        let branch = self.branches.iter_mut().find(|branch| branch.name == name)?;
        if !branch.ended.is_ok() {
            return None;
        }
        match std::mem::replace(&mut branch.ended, Ended::Cancelled) {
            Ended::Ok(answer) => Some(answer),
            _ => None,
        }
    }

    /// The answers and the names of their branches.
    pub fn answers(&self) -> impl Iterator<Item = (&str, &T)> {
        self.branches.iter().filter_map(|branch| match &branch.ended {
            Ended::Ok(answer) => Some((branch.name.as_str(), answer)),
            _ => None,
        })
    }

    /// The branch that took longest, of those that ended by themselves.
    #[must_use]
    pub fn slowest(&self) -> Option<&Branch<T, E>> {
        let ended = |branch: &&Branch<T, E>| {
            matches!(branch.ended, Ended::Ok(_) | Ended::Failed(_) | Ended::Panicked(_))
        };
        self.branches.iter().filter(ended).max_by_key(|branch| branch.elapsed)
    }

    /// The report, if enough branches have answered.
    ///
    /// # Errors
    ///
    /// [`NotMet`] with the report, if not.
    pub fn met(self) -> Result<Self, NotMet<T, E>> {
        if self.is_met() { Ok(self) } else { Err(NotMet(self)) }
    }
}

impl<T, E> fmt::Display for Report<T, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verdict = match self.verdict {
            Verdict::Met => "met",
            Verdict::OutOfReach => "out of reach",
            Verdict::TimedOut => "timed out",
        };
        write!(f, "{verdict} after {:?}", self.elapsed)?;
        for Branch { name, required, ended, elapsed } in &self.branches {
            let required = if *required { ", required" } else { "" };
            write!(f, "\n  {name}: {} after {elapsed:?}{required}", ended.word())?;
        }
        Ok(())
    }
}

/// Not enough branches have answered; here is the report.
#[derive(Clone, Debug)]
pub struct NotMet<T, E>(pub Report<T, E>);

impl<T, E> fmt::Display for NotMet<T, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Report { branches, verdict, .. } = &self.0;
        let answers = branches.iter().filter(|branch| branch.ended.is_ok()).count();
        let why = if *verdict == Verdict::TimedOut { "in time" } else { "that could be enough" };
        write!(f, "{answers} of {} branches answered, and not those {why}", branches.len())
    }
}

impl<T: fmt::Debug, E: error::Error + 'static> error::Error for NotMet<T, E> {
    /// What the first branch says that failed.
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        self.0.branches.iter().find_map(|branch| match &branch.ended {
            Ended::Failed(error) => Some(error as _),
            Ended::Panicked(panic) => Some(panic as _),
            _ => None,
        })
    }
}

impl<T, E> From<Result<T, Failure<E>>> for Ended<T, E> {
    fn from(result: Result<T, Failure<E>>) -> Self {
        match result {
            Ok(answer) => Self::Ok(answer),
            Err(Failure::Failed(error)) => Self::Failed(error),
            Err(Failure::Panicked(panic)) => Self::Panicked(panic),
            Err(Failure::Cancelled) => Self::Cancelled,
        }
    }
}
