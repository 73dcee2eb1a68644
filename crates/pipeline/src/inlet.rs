//! Where a worker's items come from.

use crate::{item::Item, stats::Meter};
use plimsoll_channel::{Chunk, Receiver};
use plimsoll_core::Load;
use std::{collections::VecDeque, sync::Arc};

/// The way into a worker.
pub(crate) struct Inlet<T, M> {
    rx: Receiver<Item<T, M>>,
    items: VecDeque<Item<T, M>>,
    meter: Arc<Meter>,
}

impl<T: Send, M: Send> Inlet<T, M> {
    pub(crate) fn new(rx: Receiver<Item<T, M>>, meter: Arc<Meter>) -> Self {
        Self { rx, items: VecDeque::new(), meter }
    }

    /// Up to `max` items, as soon as there is one; `None` when none will come.
    #[inline]
    pub(crate) async fn take(&mut self, max: usize) -> Option<Chunk<'_, Item<T, M>>> {
        self.rx.recv_chunk(&mut self.items, max).await
    }

    /// How many wait, or a little less or more.
    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.rx.load()
    }
}

impl<T, M> Drop for Inlet<T, M> {
    fn drop(&mut self) {
        self.meter.saw_high_water(self.rx.stats().high_water);
    }
}
