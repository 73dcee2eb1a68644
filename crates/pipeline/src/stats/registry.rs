//! What all parts of a pipeline share, and the handles to it.

use super::{Ledger, Meter, Report, Slot, Tally};
use crate::{
    item::{Fate, Mark},
    sync::{AtomicBool, AtomicU64, Mutex, Ordering::Relaxed},
};
use plimsoll_channel::LoadHandle;
use plimsoll_core::{Clock, DefaultClock, Drain, DrainError, Load, Tick};
use std::{
    fmt,
    sync::{Arc, OnceLock, PoisonError},
    thread,
};
use tokio_util::sync::CancellationToken;

const UNKNOWN: u64 = u64::MAX;

/// The stages, the account, the clock, and the two signals.
pub(crate) struct Registry {
    pub(crate) ledger: Arc<Ledger>,
    stages: Mutex<Vec<Arc<Meter>>>,
    clock: OnceLock<Arc<dyn Clock>>,
    /// When, in nanoseconds, [`UNKNOWN`] before that.
    started: AtomicU64,
    ended: AtomicU64,
    /// How many items the sources will give, [`UNKNOWN`] where one does not know.
    expected: AtomicU64,
    /// Sources stop: a flag for those who are busy, and then a signal for those
    /// who wait.
    stopping: AtomicBool,
    pub(crate) stopped: CancellationToken,
    /// A source has stopped that had more.
    was_stopped: AtomicBool,
    /// The run is over, or will never be.
    pub(crate) done: CancellationToken,
}

impl Registry {
    /// For a source that will give so many items, if it knows.
    pub(crate) fn new(expected: Option<u64>) -> Self {
        Self {
            ledger: Arc::default(),
            stages: Mutex::new(Vec::new()),
            clock: OnceLock::new(),
            started: AtomicU64::new(UNKNOWN),
            ended: AtomicU64::new(UNKNOWN),
            expected: AtomicU64::new(expected.unwrap_or(UNKNOWN)),
            stopping: AtomicBool::new(false),
            stopped: CancellationToken::new(),
            was_stopped: AtomicBool::new(false),
            done: CancellationToken::new(),
        }
    }

    pub(crate) fn clock(&self) -> &Arc<dyn Clock> {
        self.clock.get_or_init(|| Arc::new(DefaultClock::new()))
    }

    pub(crate) fn expected(&self) -> Option<u64> {
        Some(self.expected.load(Relaxed)).filter(|items| *items != UNKNOWN)
    }

    /// There is another source.
    pub(crate) fn expect_also(&self, other: Option<u64>) {
        let both = self.expected().zip(other).map(|(a, b)| a.saturating_add(b));
        self.expected.store(both.unwrap_or(UNKNOWN), Relaxed);
    }

    /// Tells sources to stop.
    pub(crate) fn stop(&self) {
        self.stopping.store(true, Relaxed);
        self.stopped.cancel();
    }

    #[inline]
    pub(crate) fn is_stopping(&self) -> bool {
        self.stopping.load(Relaxed)
    }

    pub(crate) fn note_stopped(&self) {
        self.was_stopped.store(true, Relaxed);
    }

    /// The run begins, by this clock or the default one.
    pub(crate) fn start(&self, clock: Option<Arc<dyn Clock>>) {
        if let Some(clock) = clock {
            let _ = self.clock.set(clock); // nobody has read it before
        }
        self.started.store(self.clock().now().as_nanos(), Relaxed);
    }

    pub(crate) fn end(&self) {
        let now = self.clock().now().as_nanos();
        let _ = self.ended.compare_exchange(UNKNOWN, now, Relaxed, Relaxed); // the first counts
        self.done.cancel();
    }

    /// Adds a stage behind those that there are, and says which it is.
    pub(crate) fn stage(
        &self,
        name: Arc<str>,
        workers: usize,
        queues: Vec<LoadHandle>,
    ) -> (usize, Arc<Meter>) {
        let meter = Arc::new(Meter::new(name, workers, queues));
        let mut stages = self.stages.lock().unwrap_or_else(PoisonError::into_inner);
        stages.push(Arc::clone(&meter));
        (stages.len() - 1, meter)
    }

    pub(crate) fn stages(&self) -> Vec<Arc<Meter>> {
        self.stages.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn report(&self) -> Report {
        let known = |at: &AtomicU64| Some(at.load(Relaxed)).filter(|at| *at != UNKNOWN);
        let (started, ended) = (known(&self.started), known(&self.ended));
        let now = match (started, ended) {
            (None, _) => Tick::ZERO,
            (Some(_), Some(ended)) => Tick::from_nanos(ended),
            (Some(_), None) => self.clock().now(),
        };
        let elapsed = now.since(Tick::from_nanos(started.unwrap_or(0)));
        let mut report = Report::of(&self.ledger, &self.stages(), now, elapsed, ended.is_some());
        report.was_stopped = self.was_stopped.load(Relaxed);
        report
    }
}

/// Where an item is worked on: who counts it.
pub struct Place<'a> {
    pub(crate) slot: &'a Slot,
    pub(crate) ledger: &'a Arc<Ledger>,
}

impl Place<'_> {
    #[inline]
    pub(crate) fn tally(&self) -> Tally<'_> {
        Tally::of(self.ledger, self.slot)
    }

    /// Holds the mark of an item while the user's code has the value.
    #[inline]
    pub(crate) fn in_hand<M: Mark>(&self, mark: M) -> InHand<'_, M> {
        InHand { mark: Some(mark), place: self }
    }
}

/// The mark of an item that somebody works on. If that panics, the item failed.
pub(crate) struct InHand<'a, M: Mark> {
    mark: Option<M>,
    place: &'a Place<'a>,
}

impl<M: Mark> InHand<'_, M> {
    #[inline]
    pub(crate) fn back(mut self) -> M {
        self.mark.take().expect("taken here alone, and this is the end of it")
    }
}

impl<M: Mark> Drop for InHand<'_, M> {
    fn drop(&mut self) {
        if let Some(mark) = self.mark.take() {
            let fate = if thread::panicking() { Fate::Failed } else { Fate::Dropped };
            if fate == Fate::Failed {
                self.place.slot.failed.add(1);
            }
            mark.end(fate, &mut self.place.tally());
        }
    }
}

/// A pipeline seen from outside, while it runs and after: made by
/// [`Pipeline::stats`](crate::Pipeline::stats).
///
/// It outlives the run. Of a run that was dropped it still tells how many items
/// were inside and went with it.
///
/// As a [`Load`] it says how many source items are inside.
#[derive(Clone)]
pub struct Stats(pub(crate) Arc<Registry>);

impl Stats {
    /// The account and the stages at this moment.
    #[must_use]
    pub fn report(&self) -> Report {
        self.0.report()
    }
}

impl Load for Stats {
    fn load(&self) -> usize {
        usize::try_from(self.report().inside()).unwrap_or(usize::MAX)
    }

    fn capacity(&self) -> Option<usize> {
        None
    }
}

impl fmt::Debug for Stats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stats").field("report", &self.report()).finish()
    }
}

/// Drains a pipeline from outside: made by
/// [`Pipeline::drainer`](crate::Pipeline::drainer), for shutdown.
#[derive(Clone)]
pub struct Drainer(pub(crate) Arc<Registry>);

impl Drain for Drainer {
    /// Stops the source, and waits until what is inside has been finished, or
    /// the run has failed, was cut off, or was dropped.
    async fn drain(&self) -> Result<(), DrainError> {
        self.0.stop();
        self.0.done.cancelled().await;
        let report = self.0.report();
        match report.dropped + report.failed {
            0 => Ok(()),
            n => Err(DrainError::new(n, "the pipeline ended before they did")),
        }
    }
}

impl fmt::Debug for Drainer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Drainer").field("done", &self.0.done.is_cancelled()).finish()
    }
}
