//! Workers that found nothing to do.

use std::{mem, task::Waker};

/// One place per worker, and the order in which they came to rest. The last is
/// woken first: its memory is warm, and the others sleep on.
pub(super) struct Idle {
    places: Vec<Place>,
    order: Vec<usize>,
}

#[derive(Default)]
struct Place {
    /// `None` while the worker is awake.
    waker: Option<Waker>,
    /// Whether `order` has it: a worker that woke by itself is still listed.
    listed: bool,
}

impl Idle {
    pub(super) fn new(workers: usize) -> Self {
        Self { places: (0..workers).map(|_| Place::default()).collect(), order: Vec::new() }
    }

    /// How many rest, at most: those who woke by themselves may be counted.
    pub(super) fn len(&self) -> usize {
        self.order.len()
    }

    /// The worker rests. Returns the waker that it had left before.
    pub(super) fn put(&mut self, worker: usize, waker: Waker) -> Option<Waker> {
        let place = &mut self.places[worker];
        if !mem::replace(&mut place.listed, true) {
            self.order.push(worker);
        }
        place.waker.replace(waker)
    }

    /// The worker woke. Returns the waker that it had left.
    pub(super) fn remove(&mut self, worker: usize) -> Option<Waker> {
        self.places[worker].waker.take()
    }

    /// One to wake.
    pub(super) fn pop(&mut self) -> Option<Waker> {
        while let Some(worker) = self.order.pop() {
            let place = &mut self.places[worker];
            place.listed = false;
            if let Some(waker) = place.waker.take() {
                return Some(waker);
            }
        }
        None
    }
}
