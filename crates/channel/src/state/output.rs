//! What receivers do.

use super::{State, move_first};
use crate::{chunk::Hold, side::Wakes};
use plimsoll_wait::Spot;
use std::{
    collections::VecDeque,
    mem,
    task::{Poll, Waker},
};

impl<T> State<T> {
    /// How many items the one at `spot` may take, or somebody who comes anew:
    /// those that nobody else was promised.
    #[inline]
    pub(crate) fn available(&self, spot: Option<Spot>) -> usize {
        let others = self.receiving.promised() - usize::from(self.receiving.is_told(spot));
        self.queue.len() - others
    }

    /// Takes what is there with `take`, ends the receiver's wait, or lets it
    /// wait. `take` is told how many items it may take, one at least.
    #[inline]
    pub(crate) fn poll_recv<R>(
        &mut self,
        spot: &mut Option<Spot>,
        waker: &Waker,
        wakes: &mut Wakes,
        take: impl FnOnce(&mut Self, usize, &mut Wakes) -> Option<R>,
    ) -> Poll<Option<R>> {
        let available = self.available(*spot);
        if available > 0 {
            self.receiving.leave(spot, &self.watch, wakes);
            Poll::Ready(take(self, available, wakes))
        } else if self.closed {
            self.receiving.leave(spot, &self.watch, wakes);
            Poll::Ready(None)
        } else {
            self.receiving.wait(spot, 1, waker, &self.watch, wakes);
            Poll::Pending
        }
    }

    /// Takes the first item out, and its room with it.
    #[inline]
    pub(crate) fn pop(&mut self, wakes: &mut Wakes) -> Option<T> {
        let item = self.queue.pop_front()?;
        if let Some(weights) = &mut self.weights {
            weights.sum -= weights.each.pop_front().unwrap_or(0);
        }
        self.tell_senders(wakes);
        Some(item)
    }

    /// Takes the first `n` items out. Their room stays taken.
    #[inline]
    pub(crate) fn take(&mut self, n: usize, into: &mut VecDeque<T>, hold: &mut Hold) {
        move_first(n, &mut self.queue, into);
        let first = self.taken;
        self.taken += n as u64;
        let Some(queued) = &mut self.weights else {
            hold.set(first, n);
            self.aside += n;
            return;
        };
        hold.set_by_weight(first, queued.each.drain(..n).collect());
        queued.sum -= hold.weight();
        self.aside += hold.weight();
    }

    /// Puts items of a chunk that were not yielded back to where they were.
    pub(crate) fn put_back(&mut self, items: &mut VecDeque<T>, hold: &mut Hold, wakes: &mut Wakes) {
        let weight = hold.weight();
        items.append(&mut self.queue);
        mem::swap(&mut self.queue, items);
        if let (Some(queued), Some(mut weights)) = (&mut self.weights, hold.give_up()) {
            weights.append(&mut queued.each);
            queued.each = weights;
            queued.sum += weight;
        }
        self.aside -= weight;
        self.added(wakes);
    }

    /// A receiver gives up: what it was promised goes to the next.
    pub(crate) fn stop_receiving(&mut self, spot: &mut Option<Spot>, wakes: &mut Wakes) {
        self.receiving.leave(spot, &self.watch, wakes);
        self.tell_receivers(wakes);
    }

    #[inline]
    pub(super) fn tell_receivers(&mut self, wakes: &mut Wakes) {
        let len = self.queue.len();
        self.receiving.tell(wakes, |promised, _| promised < len);
    }
}
