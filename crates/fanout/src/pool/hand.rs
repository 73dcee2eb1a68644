//! What a worker has in its hands.

use super::{
    pace::{Chunk, Pace},
    run::Run,
    shared::Shared,
    state::cancelled,
};
use crate::Answer;
use futures_core::Stream;
use plimsoll_core::Tick;
#[cfg(not(plimsoll_loom))]
use plimsoll_core::{Clock, DefaultClock};
use std::{mem, sync::Arc, time::Duration};

/// The clock is read once in so many items, if nobody waits for them.
const GLANCE: usize = 16;

/// Items to be run, and the results of those that were. Each item that goes in
/// comes out as one result, also if the worker is dropped.
pub(crate) struct Hand<S: Stream, U, E> {
    shared: Arc<Shared<S, U, E>>,
    /// Of the results.
    first: u64,
    results: Vec<Answer<U, E>>,
    /// An item was taken out, and its result is not there yet.
    running: bool,
    items: std::vec::IntoIter<S::Item>,
    started: Tick,
    of: Of,
    /// The consumer waited, and was woken.
    told: bool,
}

/// How it went in the end.
pub(crate) struct Finish {
    /// How long it all took.
    pub(super) took: Duration,
    /// The consumer waited, and was woken.
    pub(super) told: bool,
}

/// How it went so far.
#[derive(Clone, Copy, PartialEq)]
enum Of {
    Whole,
    Partial,
    Waited,
}

impl<S: Stream, U, E> Hand<S, U, E> {
    pub(super) fn new(shared: Arc<Shared<S, U, E>>, run: Run<S::Item>, started: Tick) -> Self {
        let results = Vec::with_capacity(run.len());
        let Run { first, items } = run;
        Self { shared, first, results, running: false, items, started, of: Of::Whole, told: false }
    }

    /// The item that [`next`](Self::next) will take out.
    pub(crate) fn peek(&self) -> Option<&S::Item> {
        self.items.as_slice().first()
    }

    /// The next item to run.
    #[inline]
    pub(crate) fn next(&mut self) -> Option<S::Item> {
        let item = self.items.next();
        self.running = item.is_some();
        item
    }

    /// The result of the item that was last taken out.
    #[inline]
    pub(crate) fn put(&mut self, result: Answer<U, E>) {
        self.running = false;
        self.results.push(result);
    }

    /// Whether items are left to run.
    pub(crate) fn is_empty(&self) -> bool {
        self.items.len() == 0
    }

    /// The item that is running waits for something. What is finished is handed
    /// over, and what is not started is given back, so that neither waits too.
    pub(crate) fn wait(&mut self) {
        if self.of != Of::Waited {
            self.of = Of::Waited;
            self.split();
        }
    }

    /// The same, between two items, if the chunk has already taken too long.
    /// The clock is read now and then, or each time if others rest.
    #[inline]
    pub(crate) fn split_if_long(&mut self) {
        if self.results.len() % GLANCE == 0 || self.shared.hints().resting() > 0 {
            self.glance();
        }
    }

    // Not inlined, for the sake of the items between.
    #[inline(never)]
    fn glance(&mut self) {
        if !self.is_empty() && Pace::is_long(now().since(self.started)) {
            self.of = Of::Partial;
            self.split();
        }
    }

    fn split(&mut self) {
        let after_running = self.first + self.results.len() as u64 + u64::from(self.running);
        let results = self.take_results();
        let items = mem::take(&mut self.items);
        let waits = self.of == Of::Waited;
        self.told |= self.shared.step(|state, after| {
            if waits {
                state.waited(after);
            }
            state.deliver(results, Chunk::Partial, after);
            state.give_back(Run { first: after_running, items }, after);
            after.told
        });
    }

    fn take_results(&mut self) -> Run<Answer<U, E>> {
        let results = Run::new(self.first, mem::take(&mut self.results));
        self.first += results.len() as u64;
        results
    }

    /// Hands over the results.
    pub(crate) fn finish(mut self) -> Finish {
        let took = now().since(self.started);
        let of = match self.of {
            Of::Whole => Chunk::Whole(took),
            Of::Partial => Chunk::Partial,
            Of::Waited => Chunk::Waited,
        };
        let results = self.take_results();
        self.told |= self.shared.step(|state, after| {
            state.deliver(results, of, after);
            after.told
        });
        Finish { took, told: self.told }
    }
}

impl<S: Stream, U, E> Drop for Hand<S, U, E> {
    fn drop(&mut self) {
        let lost = usize::from(self.running) + self.items.len();
        if lost == 0 && self.results.is_empty() {
            return;
        }
        let results = self.take_results();
        let cancelled = cancelled(self.first, lost);
        self.shared.step(|state, after| {
            state.deliver(results, Chunk::Partial, after);
            state.deliver(cancelled, Chunk::Partial, after);
        });
    }
}

/// For measuring alone: the real time, also where a runtime's is paused, and no
/// time in models, which must do the same each time.
pub(super) fn now() -> Tick {
    #[cfg(not(plimsoll_loom))]
    return DefaultClock::new().now();
    #[cfg(plimsoll_loom)]
    return Tick::ZERO;
}
