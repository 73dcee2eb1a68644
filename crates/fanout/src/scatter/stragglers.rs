//! Branches that nobody waited for, and that run on.

use super::LAST;
use crate::{Answer, Failure};
use std::{fmt, time::Duration};
use tokio::{
    task::JoinSet,
    time::{Instant, timeout, timeout_at},
};

/// Branches that run after the verdict. Dropped, it aborts them.
pub struct Stragglers<T, E> {
    pub(super) running: JoinSet<(usize, Answer<T, E>)>,
    /// By the branch's number, of those that were not handed out.
    pub(super) names: Vec<Option<String>>,
}

impl<T: Send + 'static, E: Send + 'static> Stragglers<T, E> {
    /// How many [`next`](Self::next) has not handed out: those that run, and those
    /// that have ended since the verdict.
    #[must_use]
    pub fn len(&self) -> usize {
        self.names.iter().flatten().count()
    }

    /// Whether all have been handed out.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The next that ends, and its name; `None` when all have. Those that were cut
    /// off because their runtime was shut down come last, with
    /// [`Failure::Cancelled`].
    ///
    /// # Cancel safety
    ///
    /// Dropped, it loses nothing.
    pub async fn next(&mut self) -> Option<(String, Result<T, Failure<E>>)> {
        while let Some(ended) = self.running.join_next().await {
            // One that was cut off does not say which it was: it is one of those
            // that are left in the end.
            if let Ok((number, result)) = ended {
                return Some((self.names[number].take()?, result));
            }
        }
        let name = self.names.iter_mut().find_map(Option::take)?;
        Some((name, Err(Failure::Cancelled)))
    }

    /// Waits for all, but no longer than `within`, and aborts the rest. Returns
    /// how many that were. They have ended then, but for those that block their
    /// threads, which nothing can cut off: they are given 100 ms.
    ///
    /// # Cancel safety
    ///
    /// Dropped, it aborts all.
    pub async fn finish(mut self, within: Duration) -> usize {
        match Instant::now().checked_add(within) {
            Some(until) => {
                let all = async { while self.running.join_next().await.is_some() {} };
                let _ = timeout_at(until, all).await; // the rest is counted below
            }
            None => while self.running.join_next().await.is_some() {},
        }
        let left = self.running.len();
        let _ = timeout(LAST, self.running.shutdown()).await; // some may block their threads
        left
    }
}

impl<T, E> fmt::Debug for Stragglers<T, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = self.names.iter().flatten();
        f.debug_struct("Stragglers").field("names", &names.collect::<Vec<_>>()).finish()
    }
}
