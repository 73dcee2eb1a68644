//! Where a worker's items come from.

use plimsoll_channel::{Chunk, Receiver};
use plimsoll_core::Load;
use std::{collections::VecDeque, vec::Drain};

/// The way into a worker.
pub(crate) struct Inlet<I> {
    rx: Receiver<I>,
    chunk: VecDeque<I>,
    items: Vec<I>,
}

impl<I: Send> Inlet<I> {
    pub(crate) fn new(rx: Receiver<I>) -> Self {
        Self { rx, chunk: VecDeque::new(), items: Vec::new() }
    }

    /// Up to `max` items, as soon as there is one; `None` when none will come. And
    /// where they go: see [`Portion::of`].
    #[inline]
    pub(crate) fn take(
        &mut self,
        max: usize,
    ) -> (impl Future<Output = Option<Chunk<'_, I>>>, &mut Vec<I>) {
        (self.rx.recv_chunk(&mut self.chunk, max), &mut self.items)
    }

    /// How many wait, or a little less or more.
    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.rx.load()
    }
}

/// Items taken together, and their room, which comes back at the end.
pub(crate) struct Portion<'a, T> {
    pub(crate) items: Drain<'a, T>,
    chunk: Chunk<'a, T>,
}

impl<'a, T> Portion<'a, T> {
    /// All of a chunk, by way of an empty vector.
    #[inline]
    pub(crate) fn of(mut chunk: Chunk<'a, T>, items: &'a mut Vec<T>) -> Self {
        chunk.take_all(items);
        Self { items: items.drain(..), chunk }
    }

    pub(crate) fn first(&self) -> u64 {
        self.chunk.first()
    }

    /// The room of what has been yielded comes back now.
    pub(crate) fn release(&mut self) {
        self.chunk.release_all_but(self.items.len());
    }
}
