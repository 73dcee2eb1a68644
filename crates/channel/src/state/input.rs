//! What senders do.

use super::{Room, State, fits, move_first};
use crate::{Closed, side::Wakes};
use plimsoll_wait::Spot;
use std::{
    collections::VecDeque,
    task::{Poll, Waker},
};

impl<T> State<T> {
    /// Whether a sender may put in `weight`: it was told at `spot`, or comes
    /// anew, nobody waits, and it fits.
    #[inline]
    pub(crate) fn room(&self, spot: Option<Spot>, weight: usize) -> Room {
        let comes_anew = || spot.is_none() && self.sending.all_told() && self.fits(weight);
        if self.closed {
            Room::Closed
        } else if comes_anew() || self.sending.is_told(spot) {
            Room::Free
        } else {
            Room::Full
        }
    }

    #[inline]
    fn fits(&self, weight: usize) -> bool {
        fits(self.used() + self.sending.promised(), weight, self.capacity)
    }

    /// Puts in one item that has room.
    #[inline]
    pub(crate) fn push(&mut self, item: T, weight: usize, wakes: &mut Wakes) {
        self.queue.push_back(item);
        if let Some(weights) = &mut self.weights {
            weights.each.push_back(weight);
            weights.sum += weight;
        }
        self.added(wakes);
    }

    #[inline]
    pub(super) fn added(&mut self, wakes: &mut Wakes) {
        self.high_water = self.high_water.max(self.queued());
        self.tell_receivers(wakes);
    }

    /// Puts in `item` if it has room. Ends the sender's wait, unless it finds
    /// none.
    #[inline]
    pub(crate) fn send_now(
        &mut self,
        item: &mut Option<T>,
        weight: usize,
        spot: &mut Option<Spot>,
        wakes: &mut Wakes,
    ) -> Room {
        let room = self.room(*spot, weight);
        if !matches!(room, Room::Full) {
            self.sending.leave(spot, &self.watch, wakes);
        }
        if let Room::Free = room {
            if let Some(item) = item.take() {
                self.push(item, weight, wakes);
            }
        }
        room
    }

    /// Puts in `item` if it has room, and otherwise lets the sender wait.
    #[inline]
    pub(crate) fn poll_send(
        &mut self,
        item: &mut Option<T>,
        weight: usize,
        spot: &mut Option<Spot>,
        waker: &Waker,
        wakes: &mut Wakes,
    ) -> Poll<Result<(), Closed>> {
        match self.send_now(item, weight, spot, wakes) {
            Room::Free => Poll::Ready(Ok(())),
            Room::Closed => Poll::Ready(Err(Closed)),
            Room::Full => {
                self.sending.wait(spot, weight, waker, &self.watch, wakes);
                Poll::Pending
            }
        }
    }

    /// Takes in as many of `items`, of which there are some, as fit, and lets the sender wait for the rest.
    /// `weights` belong to `items` in a channel by weight.
    #[inline]
    pub(crate) fn poll_send_all(
        &mut self,
        items: &mut VecDeque<T>,
        weights: &mut VecDeque<usize>,
        spot: &mut Option<Spot>,
        waker: &Waker,
        wakes: &mut Wakes,
    ) -> Poll<Result<(), Closed>> {
        let first = weights.front().copied().unwrap_or(1);
        match self.room(*spot, first) {
            Room::Closed => {
                self.sending.leave(spot, &self.watch, wakes);
                return Poll::Ready(Err(Closed));
            }
            Room::Free => {
                self.sending.leave(spot, &self.watch, wakes);
                self.push_some(items, weights, wakes);
                if items.is_empty() {
                    return Poll::Ready(Ok(()));
                }
            }
            Room::Full => {}
        }
        let next = weights.front().copied().unwrap_or(1);
        self.sending.wait(spot, next, waker, &self.watch, wakes);
        Poll::Pending
    }

    /// Puts in the first item, which has room, and those after it that fit.
    #[inline]
    fn push_some(
        &mut self,
        items: &mut VecDeque<T>,
        weights: &mut VecDeque<usize>,
        wakes: &mut Wakes,
    ) {
        let taken = self.used() + self.sending.promised();
        let n = if let Some(queued) = &mut self.weights {
            let (mut n, mut weight) = (1, weights.front().copied().unwrap_or(1));
            // Those who wait do not fit; a lighter item does not overtake them.
            while let Some(next) = weights.get(n).filter(|_| self.sending.all_told()) {
                if !fits(taken + weight, *next, self.capacity) {
                    break;
                }
                (n, weight) = (n + 1, weight + next);
            }
            queued.each.extend(weights.drain(..n));
            queued.sum += weight;
            n
        } else {
            items.len().min(self.capacity - taken)
        };
        move_first(n, items, &mut self.queue);
        self.added(wakes);
    }

    /// Sets room for up to `most` items aside, one at least. Not by weight.
    pub(crate) fn poll_reserve(
        &mut self,
        most: usize,
        spot: &mut Option<Spot>,
        waker: &Waker,
        wakes: &mut Wakes,
    ) -> Poll<Result<usize, Closed>> {
        match self.room(*spot, 1) {
            Room::Full => {
                self.sending.wait(spot, 1, waker, &self.watch, wakes);
                return Poll::Pending;
            }
            Room::Closed => {
                self.sending.leave(spot, &self.watch, wakes);
                return Poll::Ready(Err(Closed));
            }
            Room::Free => self.sending.leave(spot, &self.watch, wakes),
        }
        let n = most.min(self.capacity - self.used() - self.sending.promised());
        self.aside += n;
        Poll::Ready(Ok(n))
    }

    /// Puts `items` into the room that was reserved for them.
    pub(crate) fn fill(&mut self, items: &mut VecDeque<T>, wakes: &mut Wakes) {
        let n = items.len();
        self.aside -= n;
        move_first(n, items, &mut self.queue);
        self.added(wakes);
    }

    /// Gives back room that was set aside.
    #[inline]
    pub(crate) fn release(&mut self, weight: usize, wakes: &mut Wakes) {
        self.aside -= weight;
        self.tell_senders(wakes);
    }

    /// A sender gives up: what it was promised goes to the next, and one that
    /// did not fit stands in nobody's way any more.
    pub(crate) fn stop_sending(&mut self, spot: &mut Option<Spot>, wakes: &mut Wakes) {
        self.sending.leave(spot, &self.watch, wakes);
        self.tell_senders(wakes);
    }

    #[inline]
    pub(super) fn tell_senders(&mut self, wakes: &mut Wakes) {
        let (used, capacity) = (self.used(), self.capacity);
        self.sending.tell(wakes, |promised, weight| fits(used + promised, weight, capacity));
    }
}
