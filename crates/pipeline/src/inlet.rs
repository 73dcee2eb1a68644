//! Where a worker's items come from.

use crate::{item::Item, stats::Meter};
use plimsoll_channel::{Chunk, Receiver};
use plimsoll_core::Load;
use std::{collections::VecDeque, sync::Arc, vec::Drain};

/// The way into a worker.
pub(crate) struct Inlet<T, M> {
    rx: Receiver<Item<T, M>>,
    chunk: VecDeque<Item<T, M>>,
    items: Vec<Item<T, M>>,
    meter: Arc<Meter>,
}

impl<T: Send, M: Send> Inlet<T, M> {
    pub(crate) fn new(rx: Receiver<Item<T, M>>, meter: Arc<Meter>) -> Self {
        Self { rx, chunk: VecDeque::new(), items: Vec::new(), meter }
    }

    /// Up to `max` items, as soon as there is one; `None` when none will come.
    #[inline]
    pub(crate) async fn take(&mut self, max: usize) -> Option<Portion<'_, Item<T, M>>> {
        let mut chunk = self.rx.recv_chunk(&mut self.chunk, max).await?;
        chunk.take_all(&mut self.items);
        Some(Portion { items: self.items.drain(..), chunk })
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

impl<T> Portion<'_, T> {
    pub(crate) fn first(&self) -> u64 {
        self.chunk.first()
    }

    /// The room of what has been yielded comes back now.
    pub(crate) fn release(&mut self) {
        self.chunk.release_all_but(self.items.len());
    }
}

impl<T, M> Drop for Inlet<T, M> {
    fn drop(&mut self) {
        self.meter.saw_high_water(self.rx.stats().high_water);
    }
}
