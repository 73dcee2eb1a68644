//! What a run did with its items and its time.

use super::{Ledger, Meter, meter::Spent};
use crate::item::Fate;
use plimsoll_core::Tick;
use std::{sync::Arc, time::Duration};

/// What a pipeline has done with its items and its time, at the end or so far.
///
/// Each source item is counted in exactly one of `written`, `filtered`,
/// `skipped`, `dead_lettered`, `failed`, `dropped` and [`inside`](Self::inside).
/// An item that a stage made several of ends with the last of them, as the one
/// that fared worst; one in a batch ends with its batch.
///
/// `Display` prints a table.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Report {
    /// Items taken from the source.
    pub read: u64,
    /// Taken by the sink.
    pub written: u64,
    /// Left out by a stage that was to decide.
    pub filtered: u64,
    /// Failed, and skipped.
    pub skipped: u64,
    /// Failed, and taken by a dead-letter sink.
    pub dead_lettered: u64,
    /// Failed, and ended the run, by an error or a panic.
    pub failed: u64,
    /// Inside when the run ended. Zero while it runs.
    pub dropped: u64,
    /// From the start to the end, or until now.
    pub elapsed: Duration,
    /// Whether the run is over.
    pub is_over: bool,
    /// Whether a source stopped because it was told to, and may have had more.
    pub was_stopped: bool,
    /// The source, and then each stage.
    pub stages: Vec<StageReport>,
}

/// One row of a [`Report`]: a stage with all its workers.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct StageReport {
    /// Its name. The source's is `source`.
    pub name: Arc<str>,
    /// How many items it works on at once.
    pub workers: usize,
    /// Items taken in.
    pub taken: u64,
    /// Items given out.
    pub given: u64,
    /// Items left out.
    pub filtered: u64,
    /// Items that failed and were skipped.
    pub skipped: u64,
    /// Items that failed and went to a dead-letter sink.
    pub dead_lettered: u64,
    /// Items that failed and ended the run.
    pub failed: u64,
    /// Calls beyond the first for an item.
    pub retries: u64,
    /// Time spent on its own work, which includes waiting for what that awaits,
    /// added up over the workers.
    pub busy: Duration,
    /// Time spent waiting for input, likewise.
    pub starved: Duration,
    /// Time spent waiting for room in its output, or for its turn where the stage
    /// keeps the order, likewise.
    pub blocked: Duration,
    /// Items that wait in front of it, in all its queues.
    pub queued: usize,
    /// The most items that have waited in one of its queues so far.
    pub high_water: u64,
    /// How many may wait in each.
    pub capacity: usize,
    /// The time of all its workers, from the start of the run on.
    whole: Duration,
}

impl StageReport {
    fn of(meter: &Meter, now: Tick, elapsed: Duration) -> Self {
        let count = |of: fn(&super::Slot) -> &super::meter::Count| {
            meter.slots.iter().map(|slot| of(slot).get()).sum()
        };
        let mut spent = Spent::default();
        for slot in &meter.slots {
            let one = slot.spent(now);
            spent.busy = spent.busy.saturating_add(one.busy);
            spent.starved = spent.starved.saturating_add(one.starved);
            spent.blocked = spent.blocked.saturating_add(one.blocked);
        }
        Self {
            name: Arc::clone(&meter.name),
            workers: meter.slots.len(),
            taken: count(|slot| &slot.taken),
            given: count(|slot| &slot.given),
            filtered: count(|slot| &slot.filtered),
            skipped: count(|slot| &slot.skipped),
            dead_lettered: count(|slot| &slot.dead_lettered),
            failed: count(|slot| &slot.failed),
            retries: count(|slot| &slot.retries),
            busy: Duration::from_nanos(spent.busy),
            starved: Duration::from_nanos(spent.starved),
            blocked: Duration::from_nanos(spent.blocked),
            queued: meter.queued(),
            high_water: meter.high_water(),
            capacity: meter.capacity(),
            whole: elapsed.saturating_mul(u32::try_from(meter.slots.len()).unwrap_or(u32::MAX)),
        }
    }

    /// Items that failed, in whichever way that was dealt with.
    #[must_use]
    pub fn errors(&self) -> u64 {
        self.skipped + self.dead_lettered + self.failed
    }

    /// Items taken in per second, from the start of the run on.
    #[must_use]
    pub fn throughput(&self) -> f64 {
        let workers = u32::try_from(self.workers.max(1)).unwrap_or(u32::MAX);
        per_second(self.taken, self.whole / workers)
    }

    /// The share of its workers' time that the stage was busy, 0 to 1. What is
    /// left when it was neither busy, nor starved, nor blocked is before it
    /// started or after it had ended.
    #[must_use]
    pub fn occupancy(&self) -> f64 {
        self.share(self.busy)
    }

    /// A part of its workers' time, 0 to 1.
    pub(super) fn share(&self, part: Duration) -> f64 {
        let whole = self.whole.max(self.busy + self.starved + self.blocked);
        if whole.is_zero() { 0.0 } else { part.as_secs_f64() / whole.as_secs_f64() }
    }

    /// The shortest time in which the workers could have done what they did.
    fn need(&self) -> Duration {
        self.busy / u32::try_from(self.workers.max(1)).unwrap_or(u32::MAX)
    }
}

/// Zero in no time.
pub(super) fn per_second(items: u64, time: Duration) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "a rate to be read")]
    let items = items as f64;
    if time.is_zero() { 0.0 } else { items / time.as_secs_f64() }
}

/// The stage that everything else waits for.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Bottleneck {
    /// Its name.
    pub stage: Arc<str>,
    /// The share of its workers' time that it was busy, 0 to 1.
    pub occupancy: f64,
    /// How many times as fast the pipeline would be with twice as many workers
    /// here, from 1 to 2, provided that there are processors for them or that its
    /// work is waiting.
    /// 1 for the source, which has no workers.
    pub doubled: f64,
    /// What would be the bottleneck then.
    pub then: Arc<str>,
    /// A stage may be called as the source is.
    pub(super) is_source: bool,
}

impl Report {
    pub(super) fn of(
        ledger: &Ledger,
        meters: &[Arc<Meter>],
        now: Tick,
        elapsed: Duration,
        is_over: bool,
    ) -> Self {
        // Ends before reads: an item that ends in between is not counted twice.
        let ended = |fate| ledger.ended(fate);
        let (written, filtered) = (ended(Fate::Written), ended(Fate::Filtered));
        let (skipped, dead_lettered) = (ended(Fate::Skipped), ended(Fate::DeadLettered));
        let failed = ended(Fate::Failed);
        let read = ledger.read_so_far();
        let mut report = Self {
            read,
            written,
            filtered,
            skipped,
            dead_lettered,
            failed,
            dropped: 0,
            elapsed,
            is_over,
            was_stopped: false,
            stages: meters.iter().map(|meter| StageReport::of(meter, now, elapsed)).collect(),
        };
        if is_over {
            report.dropped = report.not_ended();
        }
        report
    }

    fn not_ended(&self) -> u64 {
        let ended = self.written + self.filtered + self.skipped + self.dead_lettered + self.failed;
        self.read.saturating_sub(ended)
    }

    /// Source items that have been read and have not ended. Zero when the run is
    /// over.
    #[must_use]
    pub fn inside(&self) -> u64 {
        if self.is_over { 0 } else { self.not_ended() }
    }

    /// The stage of that name. Where several have it, the first.
    #[must_use]
    pub fn stage(&self, name: &str) -> Option<&StageReport> {
        self.stages.iter().find(|stage| &*stage.name == name)
    }

    /// The stage that takes the longest for its share of the work, all workers
    /// together. `None` before anything was done.
    ///
    /// Every other stage waits for it, so its time is the pipeline's. Twice its
    /// workers halve that, until the next slowest stage is the slowest.
    #[must_use]
    pub fn bottleneck(&self) -> Option<Bottleneck> {
        let slowest = self.stages.iter().enumerate().max_by_key(|(_, stage)| stage.need())?;
        let (at, slowest) = slowest;
        let need = slowest.need();
        if need.is_zero() {
            return None;
        }
        let others = self.stages.iter().enumerate().filter(|(other, _)| *other != at);
        let next = others.map(|(_, stage)| stage).max_by_key(|stage| stage.need());
        let next_need = next.map_or(Duration::ZERO, StageReport::need);
        let is_source = at == 0;
        let doubled = if is_source { need } else { (need / 2).max(next_need) };
        let then = next.filter(|_| next_need > need / 2 && !is_source).unwrap_or(slowest);
        Some(Bottleneck {
            stage: Arc::clone(&slowest.name),
            occupancy: slowest.occupancy(),
            doubled: need.as_secs_f64() / doubled.as_secs_f64(),
            then: Arc::clone(&then.name),
            is_source,
        })
    }
}
