//! What the stages of a random pipeline do, and what they see.

use super::{Call, Plan, Time};
use plimsoll_pipeline::Ack;
use std::{
    collections::{BTreeMap, BTreeSet},
    convert::Infallible,
    future::pending,
    ops::Range,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
};
use tokio::{
    sync::{Notify, mpsc},
    task::yield_now,
};

/// What really became of the items, told by those who saw them.
#[derive(Default)]
pub(crate) struct Seen {
    /// How many children of each were written.
    pub(crate) written: BTreeMap<usize, usize>,
    /// Which child of which, in order.
    pub(crate) order: Vec<(usize, usize)>,
    pub(crate) dead: BTreeSet<usize>,
    pub(crate) acked: BTreeSet<usize>,
    pub(crate) unacked: BTreeSet<usize>,
    /// Calls of the third stage for each first child.
    pub(crate) attempts: BTreeMap<usize, u32>,
}

/// What all stages of a run know of. When the last copy is gone, so is the last
/// stage.
#[derive(Clone)]
pub(crate) struct World {
    pub(crate) plan: Arc<Plan>,
    pub(crate) time: Time,
    pub(crate) seen: Arc<Mutex<Seen>>,
    pub(crate) calls: Arc<AtomicUsize>,
    /// Told with the call at which the run is to end.
    pub(crate) cue: Arc<Notify>,
    pub(crate) _here: mpsc::Sender<Infallible>,
}

impl World {
    /// Also after a panic: some are planned.
    pub(crate) fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn children(&self) -> Range<usize> {
        0..self.plan.children
    }

    /// The call of an item in a stage.
    pub(crate) async fn make(
        &self,
        item: usize,
        stage: usize,
        attempt: u32,
    ) -> Result<bool, String> {
        let before = self.calls.fetch_add(1, SeqCst) as u64;
        if self.plan.end.at().is_some_and(|at| before == at) {
            self.cue.notify_one();
        }
        match self.plan.items[item][stage] {
            Call::Good => {}
            Call::FailsFirst(_) if stage < 2 => {}
            Call::Yields => yield_now().await,
            Call::Sleeps(ms) => self.time.pass(ms).await,
            Call::Leaves => return Ok(false),
            Call::FailsFirst(times) if attempt > times => {}
            Call::Fails | Call::FailsFirst(_) => return Err(format!("{item} failed")),
            Call::Panics => panic!("{item} panicked"),
            Call::Hangs => {
                self.cue.notify_one();
                pending::<()>().await;
            }
        }
        Ok(true)
    }

    pub(crate) fn write(&self, batch: Vec<(usize, usize)>) {
        let mut seen = self.seen();
        for (item, child) in batch {
            *seen.written.entry(item).or_default() += 1;
            seen.order.push((item, child));
        }
    }

    /// When the run is to end early.
    pub(crate) async fn until_cue(&self, at: u64) {
        match self.time {
            Time::Paused => self.time.pass(at).await,
            Time::None => self.cue.notified().await,
        }
    }
}

pub(crate) struct Receipt(pub(crate) usize, pub(crate) World);

impl Ack for Receipt {
    fn ack(self) {
        assert!(self.1.seen().acked.insert(self.0), "acknowledged twice");
    }
}

impl Drop for Receipt {
    fn drop(&mut self) {
        let mut seen = self.1.seen();
        if !seen.acked.contains(&self.0) {
            seen.unacked.insert(self.0);
        }
    }
}

/// Counts a call that runs.
pub(crate) struct Running(Arc<AtomicUsize>);

impl Running {
    pub(crate) fn one_of(running: &Arc<AtomicUsize>, most: usize) -> Self {
        assert!(running.fetch_add(1, SeqCst) < most, "more than its workers");
        Self(Arc::clone(running))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.fetch_sub(1, SeqCst);
    }
}
