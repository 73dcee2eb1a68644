//! The account of a pool: what is pulled, in hand, given back and finished, and
//! who is to be woken. No lock, no clock, nobody else's code.

use super::{
    idle::Idle,
    pace::{Chunk, Pace},
    run::{Finished, Run},
};
use crate::{Answer, Failure, Panicked};
use plimsoll_core::ConfigError;
use std::{
    collections::{BinaryHeap, VecDeque},
    iter, mem,
    task::Waker,
};

/// What is fixed when a pool starts.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// How many pull.
    pub(crate) workers: usize,
    /// How many items may be pulled and not yet yielded; `None` for two chunks
    /// per worker, one that it works on and one that waits to be yielded.
    pub(crate) window: Option<usize>,
    pub(crate) ordered: bool,
    /// The most that is pulled at a time.
    pub(crate) chunk: usize,
}

impl Bounds {
    pub(crate) fn new(workers: usize) -> Result<Self, ConfigError> {
        if !(1..=1 << 20).contains(&workers) {
            return Err(ConfigError::new("workers", workers, "1 to 1048576"));
        }
        Ok(Self { workers, window: None, ordered: false, chunk: usize::MAX })
    }

    /// One that pulls one at a time, for others.
    pub(crate) fn of_one(window: usize) -> Self {
        Self { workers: 1, window: Some(window), ordered: false, chunk: 1 }
    }

    pub(crate) fn set_window(&mut self, items: usize) -> Result<(), ConfigError> {
        if items == 0 {
            return Err(ConfigError::new("window", items, "at least 1"));
        }
        self.window = Some(items);
        Ok(())
    }
}

/// To be done once the lock is released: wakers are others' code, in their drop
/// as well.
#[derive(Default)]
#[must_use]
pub(super) struct After {
    pub(super) wake: Vec<Waker>,
    pub(super) forget: Vec<Waker>,
    /// The consumer is among those that are woken.
    pub(super) told: bool,
}

impl After {
    pub(super) fn run(self) {
        self.wake.into_iter().for_each(Waker::wake);
    }
}

/// What a worker is told when it wants something to do.
pub(super) enum Ask<T> {
    /// This was given back by another.
    Run(Run<T>),
    /// As many as this may be pulled.
    Pull(usize),
    /// Nothing now: it is listed, and will be woken.
    Rest,
    /// Nothing, and never again.
    Leave,
}

/// How a pull ended.
pub(super) enum Pulled {
    /// With as many as were wanted: there may be more.
    Full,
    /// The source has nothing now, and will wake whoever asked.
    Pending,
    Ended,
    /// The source itself panicked, which ends it.
    Panicked(Panicked),
}

pub(super) struct State<T, U, E> {
    bounds: Bounds,
    pace: Pace,
    /// Pulled, and not started by the worker that had it.
    returned: BinaryHeap<Run<T>>,
    finished: Finished<Answer<U, E>>,
    idle: Idle,
    consumer: Option<Waker>,
    /// The place in the source's order of what is pulled next.
    next: u64,
    /// Pulled and not yielded.
    held: usize,
    /// Of those, not finished.
    in_hand: usize,
    /// Workers that have not left.
    live: usize,
    /// The source has no more.
    ended: bool,
    /// The consumer has gone.
    closed: bool,
    /// A worker rests for want of room, not of items.
    starved: bool,
}

impl<T, U, E> State<T, U, E> {
    pub(super) fn new(bounds: Bounds) -> Self {
        let share = bounds.window.map_or(usize::MAX, |window| window / (2 * bounds.workers));
        Self {
            bounds,
            pace: Pace::new(share.min(bounds.chunk)),
            returned: BinaryHeap::new(),
            finished: Finished::new(bounds.ordered),
            idle: Idle::new(bounds.workers),
            consumer: None,
            next: 0,
            held: 0,
            in_hand: 0,
            live: bounds.workers,
            ended: false,
            closed: false,
            starved: false,
        }
    }

    pub(super) fn held(&self) -> usize {
        self.held
    }

    pub(super) fn resting(&self) -> usize {
        self.idle.len()
    }

    pub(super) fn chunk(&self) -> usize {
        self.pace.chunk()
    }

    /// Whether a chunk may be pulled.
    fn has_room(&self) -> bool {
        let chunk = self.pace.chunk();
        let window = self.bounds.window.unwrap_or(2 * self.bounds.workers * chunk);
        window.saturating_sub(self.held) >= chunk
    }

    /// Nothing can come any more, not even from another worker's hands.
    fn is_done(&self) -> bool {
        self.closed || (self.ended && self.in_hand == 0)
    }

    fn rest(&mut self, worker: usize, waker: Waker, after: &mut After) {
        after.forget.extend(self.idle.put(worker, waker));
    }

    /// A worker wants something to do.
    pub(super) fn ask(
        &mut self,
        worker: usize,
        waker: &mut Option<Waker>,
        after: &mut After,
    ) -> Ask<T> {
        after.forget.extend(self.idle.remove(worker));
        if self.is_done() {
            return Ask::Leave;
        }
        if let Some(run) = self.take_returned() {
            self.wake_successor(after);
            return Ask::Run(run);
        }
        if !self.ended && self.has_room() {
            return Ask::Pull(self.pace.chunk());
        }
        self.starved |= !self.ended;
        if let Some(waker) = waker.take() {
            self.rest(worker, waker, after);
        }
        Ask::Rest
    }

    /// A worker has pulled `items`. What it runs now: them, or, if there are
    /// none, what was given back meanwhile.
    pub(super) fn pulled(
        &mut self,
        worker: usize,
        items: Vec<T>,
        end: Pulled,
        waker: &mut Option<Waker>,
        after: &mut After,
    ) -> Ask<T> {
        let (first, len) = (self.next, items.len());
        self.next += len as u64;
        self.held += len;
        self.in_hand += len;
        match end {
            Pulled::Full => {}
            Pulled::Pending => self.pace.found(len),
            Pulled::Ended => self.ended = true,
            Pulled::Panicked(panic) => {
                self.ended = true;
                self.add(Failure::Panicked(panic), after);
            }
        }
        if len > 0 {
            self.wake_successor(after);
            return Ask::Run(Run::new(first, items));
        }
        if self.is_done() {
            self.wake_all(after);
        }
        match self.ask(worker, waker, after) {
            // The source has nothing, and its waker is this worker's.
            Ask::Pull(_) => {
                if let Some(waker) = waker.take() {
                    self.rest(worker, waker, after);
                }
                Ask::Rest
            }
            told => told,
        }
    }

    /// Whoever goes off with work wakes another if there may be more. That is
    /// also what keeps the source watched: its waker may be that of a worker
    /// which is busy now, so that the next one has to ask the source again.
    fn wake_successor(&mut self, after: &mut After) {
        if self.returned.is_empty() {
            if self.ended {
                return;
            }
            if !self.has_room() {
                self.starved = true;
                return;
            }
        }
        after.wake.extend(self.idle.pop());
    }

    fn wake_all(&mut self, after: &mut After) {
        after.wake.extend(iter::from_fn(|| self.idle.pop()));
        after.wake.extend(self.consumer.take());
    }

    /// Room was made, or less of it is needed.
    fn wake_starved(&mut self, after: &mut After) {
        if self.starved && self.has_room() {
            self.starved = false;
            after.wake.extend(self.idle.pop());
        }
    }

    /// Takes the earliest of what was given back, a chunk at most.
    fn take_returned(&mut self) -> Option<Run<T>> {
        let mut run = self.returned.pop()?;
        let chunk = self.pace.chunk();
        if run.len() <= chunk {
            return Some(run);
        }
        let head = Run::new(run.first, run.items.by_ref().take(chunk).collect());
        run.first += head.len() as u64;
        self.returned.push(run);
        Some(head)
    }

    /// Work was not started, and somebody else may have it.
    pub(super) fn give_back(&mut self, run: Run<T>, after: &mut After) {
        if run.len() > 0 {
            self.returned.push(run);
            after.wake.extend(self.idle.pop());
        }
    }

    /// Results, one for each item from the `first`-th on.
    pub(super) fn deliver(&mut self, results: Run<Answer<U, E>>, of: Chunk, after: &mut After) {
        let len = results.len();
        if len == 0 {
            return;
        }
        self.pace.learn(of, len);
        self.in_hand -= len;
        self.put(results, after);
        if self.is_done() {
            self.wake_all(after);
        }
        self.wake_starved(after);
    }

    /// The work waits: what follows goes one by one.
    pub(super) fn waited(&mut self, after: &mut After) {
        self.pace.learn(Chunk::Waited, 0);
        self.wake_starved(after);
    }

    fn put(&mut self, results: Run<Answer<U, E>>, after: &mut After) {
        self.finished.put(results);
        if self.finished.is_ready() {
            after.told |= self.consumer.is_some();
            after.wake.extend(self.consumer.take());
        }
    }

    /// An item that the source did not have.
    fn add(&mut self, failure: Failure<E>, after: &mut After) {
        let result = Run::new(self.next, vec![Err(failure)]);
        self.next += 1;
        self.held += 1;
        self.put(result, after);
    }

    /// `count` results were yielded.
    pub(super) fn release(&mut self, count: usize, after: &mut After) {
        self.held -= count;
        self.wake_starved(after);
    }

    /// Moves what is finished into `to`. `Some(false)` when nothing will come,
    /// `None` when nothing has come yet: then the consumer will be woken.
    pub(super) fn take(
        &mut self,
        to: &mut VecDeque<Run<Answer<U, E>>>,
        waker: Waker,
        after: &mut After,
    ) -> Option<bool> {
        self.finished.take(to);
        if !to.is_empty() || self.is_done() {
            after.forget.push(waker);
            return Some(!to.is_empty());
        }
        after.forget.extend(self.consumer.replace(waker));
        None
    }

    /// A worker leaves. If it was the last, nobody will run what is left: it is
    /// returned, to be dropped, and its results say so.
    pub(super) fn leave(&mut self, after: &mut After) -> Vec<Run<T>> {
        self.live -= 1;
        if self.live > 0 || self.is_done() {
            return Vec::new();
        }
        let left = mem::take(&mut self.returned).into_vec();
        for run in &left {
            self.deliver(cancelled(run.first, run.len()), Chunk::Partial, after);
        }
        if !self.ended {
            self.ended = true;
            self.add(Failure::Cancelled, after);
        }
        if self.is_done() {
            self.wake_all(after);
        }
        left
    }

    /// The consumer goes. Returns what is to be dropped.
    pub(super) fn close(
        &mut self,
        after: &mut After,
    ) -> (BinaryHeap<Run<T>>, Finished<Answer<U, E>>) {
        self.closed = true;
        self.wake_all(after);
        (mem::take(&mut self.returned), mem::replace(&mut self.finished, Finished::new(false)))
    }
}

/// The results of `len` items that nobody will run.
pub(super) fn cancelled<U, E>(first: u64, len: usize) -> Run<Answer<U, E>> {
    Run::new(first, iter::repeat_with(|| Err(Failure::Cancelled)).take(len).collect())
}
