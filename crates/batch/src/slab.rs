//! The replies of one batch: its callers share a slab and hold an index each.

use crate::{
    SubmitError,
    sync::{Arc, Mutex, MutexGuard},
};
use std::{
    mem,
    pin::Pin,
    sync::PoisonError,
    task::{Context, Poll, Waker},
};

pub(crate) type Answer<R, E> = Result<R, SubmitError<E>>;

enum Cell<R, E> {
    /// Nobody has asked for this reply yet.
    Empty,
    Waits(Waker),
    Answered(Answer<R, E>),
    Taken,
}

/// One allocation for a batch, where a channel per caller would be one for each.
pub(crate) struct Slab<R, E> {
    /// Grows to the index of whoever looks first; the answer fills it up.
    cells: Mutex<Vec<Cell<R, E>>>,
}

impl<R, E> Slab<R, E> {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self { cells: Mutex::new(Vec::new()) })
    }

    /// Gives each caller, in the order of their indices, its answer. Called once.
    pub(crate) fn answer(&self, answers: impl ExactSizeIterator<Item = Answer<R, E>>) {
        let mut wakers = Vec::with_capacity(answers.len());
        let mut cells = self.cells();
        cells.resize_with(answers.len(), || Cell::Empty);
        for (cell, answer) in cells.iter_mut().zip(answers) {
            if let Cell::Waits(waker) = mem::replace(cell, Cell::Answered(answer)) {
                wakers.push(waker);
            }
        }
        drop(cells);
        wakers.into_iter().for_each(Waker::wake);
    }

    fn poll(&self, index: usize, waker: &Waker) -> Poll<Answer<R, E>> {
        let mut cells = self.cells();
        if cells.len() <= index {
            cells.resize_with(index + 1, || Cell::Empty);
        }
        match mem::replace(&mut cells[index], Cell::Taken) {
            Cell::Answered(answer) => Poll::Ready(answer),
            Cell::Waits(known) if known.will_wake(waker) => {
                cells[index] = Cell::Waits(known);
                Poll::Pending
            }
            Cell::Empty | Cell::Waits(_) => {
                cells[index] = Cell::Waits(waker.clone());
                Poll::Pending
            }
            Cell::Taken => {
                drop(cells);
                panic!("a reply was polled after it was given")
            }
        }
    }

    fn cells(&self) -> MutexGuard<'_, Vec<Cell<R, E>>> {
        self.cells.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The result of an item that was accepted: a future.
///
/// # Cancel safety
///
/// Dropped, the item is flushed all the same and its result is discarded.
///
/// # Panics
///
/// When it is polled after it has given its result.
#[must_use = "the item is flushed anyway, but its result is lost"]
pub struct Reply<R, E> {
    slab: Arc<Slab<R, E>>,
    index: usize,
}

impl<R, E> Reply<R, E> {
    pub(crate) fn new(slab: Arc<Slab<R, E>>, index: usize) -> Self {
        Self { slab, index }
    }
}

impl<R, E> Future for Reply<R, E> {
    type Output = Result<R, SubmitError<E>>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.slab.poll(self.index, cx.waker())
    }
}
