//! What each stage and each of its workers is doing.

use crate::sync::{AtomicU64, Ordering::Relaxed};
use plimsoll_channel::LoadHandle;
use plimsoll_core::{Clock, Load, Tick};
use std::{
    mem,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

/// What a worker does with its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum What {
    /// Not started, or ended.
    Off,
    /// The stage's own work.
    Busy,
    /// Waits for input.
    Starved,
    /// Waits for room in its output.
    Blocked,
}

/// One stage.
#[derive(Debug)]
pub(crate) struct Meter {
    pub(crate) name: Arc<str>,
    pub(crate) slots: Box<[Slot]>,
    /// The queues in front of it.
    queues: Box<[LoadHandle]>,
}

impl Meter {
    pub(crate) fn new(name: Arc<str>, workers: usize, queues: Vec<LoadHandle>) -> Self {
        let slots = (0..workers).map(|_| Slot::default()).collect();
        Self { name, slots, queues: queues.into() }
    }

    /// How many items wait in front of the stage.
    pub(crate) fn queued(&self) -> usize {
        self.queues.iter().map(Load::load).sum()
    }

    /// The most that one of the queues has held.
    pub(crate) fn high_water(&self) -> u64 {
        let most = self.queues.iter().map(|queue| queue.stats().high_water).max();
        most.unwrap_or(0) as u64
    }

    /// What one queue may hold.
    pub(crate) fn capacity(&self) -> usize {
        self.queues.first().and_then(Load::capacity).unwrap_or(0)
    }
}

/// One worker. It alone writes here, so that nothing has to be read-modify-write;
/// and what it writes often shares no cache line with another's.
#[derive(Debug, Default)]
#[repr(align(128))]
pub(crate) struct Slot {
    what: AtomicU64,
    since: AtomicU64,
    busy: AtomicU64,
    starved: AtomicU64,
    blocked: AtomicU64,
    pub(crate) taken: Count,
    pub(crate) given: Count,
    pub(crate) filtered: Count,
    pub(crate) skipped: Count,
    pub(crate) dead_lettered: Count,
    pub(crate) failed: Count,
    pub(crate) retries: Count,
}

/// A number that one thread counts and others look at.
#[derive(Debug, Default)]
pub(crate) struct Count(AtomicU64);

impl Count {
    #[inline]
    pub(crate) fn add(&self, n: u64) {
        self.0.store(self.0.load(Relaxed) + n, Relaxed);
    }

    pub(crate) fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

/// Nanoseconds that a worker has spent in each way.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Spent {
    pub(crate) busy: u64,
    pub(crate) starved: u64,
    pub(crate) blocked: u64,
}

impl Slot {
    fn enter(&self, what: What, now: Tick) {
        self.since.store(now.as_nanos(), Relaxed);
        self.what.store(what as u64, Relaxed);
    }

    fn total(&self, what: What) -> Option<&AtomicU64> {
        match what {
            What::Off => None,
            What::Busy => Some(&self.busy),
            What::Starved => Some(&self.starved),
            What::Blocked => Some(&self.blocked),
        }
    }

    /// What the worker does, and since when.
    pub(crate) fn doing(&self) -> (What, Tick) {
        let what = match self.what.load(Relaxed) {
            1 => What::Busy,
            2 => What::Starved,
            3 => What::Blocked,
            _ => What::Off,
        };
        (what, Tick::from_nanos(self.since.load(Relaxed)))
    }

    /// What has been spent until `now`, with what is under way.
    pub(crate) fn spent(&self, now: Tick) -> Spent {
        let mut spent = Spent {
            busy: self.busy.load(Relaxed),
            starved: self.starved.load(Relaxed),
            blocked: self.blocked.load(Relaxed),
        };
        let (what, since) = self.doing();
        let under_way = now.as_nanos().saturating_sub(since.as_nanos());
        match what {
            What::Off => {}
            What::Busy => spent.busy += under_way,
            What::Starved => spent.starved += under_way,
            What::Blocked => spent.blocked += under_way,
        }
        spent
    }
}

/// Divides one worker's time. Starts busy; ends when dropped.
pub(crate) struct Stopwatch<'a> {
    slot: &'a Slot,
    clock: &'a dyn Clock,
    at: Tick,
    /// When it last waited for something, or let others run.
    pub(crate) rested: Tick,
    /// The bytes that it has handed over since.
    pub(crate) carried: usize,
}

impl<'a> Stopwatch<'a> {
    pub(crate) fn start(slot: &'a Slot, clock: &'a dyn Clock) -> Self {
        let at = clock.now();
        slot.enter(What::Busy, at);
        Self { slot, clock, at, rested: at, carried: 0 }
    }

    pub(crate) fn at(&self) -> Tick {
        self.at
    }

    /// Others have run.
    pub(crate) fn rest(&mut self) {
        (self.rested, self.carried) = (self.at, 0);
    }

    /// What has been going on since the last reading was this.
    #[inline]
    pub(crate) fn lap(&mut self, was: What) -> Tick {
        let now = self.clock.now();
        if let Some(total) = self.slot.total(was) {
            let nanos = now.as_nanos().saturating_sub(self.at.as_nanos());
            total.store(total.load(Relaxed) + nanos, Relaxed);
        }
        // A clock that steps back counts nothing twice.
        self.at = self.at.max(now);
        self.slot.enter(What::Busy, self.at);
        self.at
    }

    /// Awaits, and counts the time as `what` if it takes any.
    #[inline]
    pub(crate) fn wait<'s, F: Future>(
        &'s mut self,
        what: What,
        future: Pin<&'s mut F>,
    ) -> Waiting<'s, 'a, F> {
        Waiting { watch: self, what, waited: false, future }
    }
}

/// The future of [`Stopwatch::wait`]. By hand, and around one that is pinned
/// already: to move what has just been written costs more than to look at a clock.
pub(crate) struct Waiting<'s, 'a, F> {
    watch: &'s mut Stopwatch<'a>,
    what: What,
    waited: bool,
    future: Pin<&'s mut F>,
}

impl<F: Future> Future for Waiting<'_, '_, F> {
    type Output = F::Output;

    #[inline]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let poll = self.future.as_mut().poll(cx);
        let Self { watch, what, waited, .. } = &mut *self;
        if poll.is_pending() {
            if !mem::replace(waited, true) {
                watch.slot.enter(*what, watch.at);
            }
        } else if *waited {
            watch.lap(*what);
            watch.rest();
        }
        poll
    }
}

impl Drop for Stopwatch<'_> {
    fn drop(&mut self) {
        let (what, _) = self.slot.doing();
        self.lap(what);
        self.slot.enter(What::Off, self.at);
    }
}
