//! What is behind the lock, and every decision about it.

mod input;
mod output;

use crate::{
    chunk::Hold,
    side::{Side, Wakes},
    watch::Watch,
};
use std::{collections::VecDeque, mem};

/// The channel. Three things hold between any two calls:
///
/// * What is queued, aside and promised to senders is at most `capacity`, or one
///   item heavier than that is alone.
/// * As many receivers were told as there are items, or all of them.
/// * The first sender that was not told does not fit.
///
/// What the quick paths touch stands together at the end, beside the word of the
/// lock: two threads that take turns hand over as few cache lines as can be.
#[repr(C)]
pub(crate) struct State<T> {
    capacity: usize,
    closed: bool,
    pub(crate) watch: Watch,
    pub(crate) senders: usize,
    pub(crate) receivers: usize,
    pub(crate) sending: Side,
    pub(crate) receiving: Side,
    weights: Option<Weights>,
    /// What takes room beside the queue: reserved by feeders, or taken in a
    /// chunk and not yet yielded.
    aside: usize,
    /// Items taken in chunks, ever.
    taken: u64,
    high_water: usize,
    quick: Quick,
    queue: VecDeque<T>,
}

/// Where items weigh more than 1: what each of the queue weighs, and all.
struct Weights {
    each: VecDeque<usize>,
    sum: usize,
}

/// When an item may pass with nothing to do but to put it in or take it out.
struct Quick {
    /// In: nobody waits on either side who would have to be told or come first,
    /// and the queue is shorter than this.
    below: usize,
    /// Out: no sender waits to be told, and the queue is longer than this.
    above: usize,
}

/// What a sender finds.
pub(crate) enum Room {
    Free,
    Full,
    Closed,
}

/// Anything fits into an empty channel, so that what is too heavy passes alone.
fn fits(taken: usize, weight: usize, capacity: usize) -> bool {
    taken == 0 || taken.checked_add(weight).is_some_and(|sum| sum <= capacity)
}

/// Moves the first `n` items of one deque to the end of another. Two pointers
/// change places where that leaves less to move.
#[inline]
fn move_first<T>(n: usize, from: &mut VecDeque<T>, to: &mut VecDeque<T>) {
    if n < from.len() {
        move_some(n, from, to);
    } else if to.is_empty() {
        mem::swap(from, to);
    } else {
        to.append(from);
    }
}

#[inline(never)]
fn move_some<T>(n: usize, from: &mut VecDeque<T>, to: &mut VecDeque<T>) {
    if to.is_empty() && n >= from.len() / 2 {
        mem::swap(from, to);
        from.extend(to.drain(n..));
    } else {
        to.extend(from.drain(..n));
    }
}

impl<T> State<T> {
    /// An empty channel with one end on each side.
    pub(crate) fn new(capacity: usize, by_weight: bool, watch: Watch) -> Self {
        let mut new = Self {
            capacity,
            closed: false,
            watch,
            senders: 1,
            receivers: 1,
            sending: Side::new(),
            receiving: Side::new(),
            weights: by_weight.then(|| Weights { each: VecDeque::new(), sum: 0 }),
            aside: 0,
            taken: 0,
            high_water: 0,
            quick: Quick { below: 0, above: 0 },
            queue: VecDeque::new(),
        };
        new.settle();
        new
    }

    /// Items in the queue.
    pub(crate) fn len(&self) -> usize {
        self.queue.len()
    }

    /// The room that the queue takes.
    fn queued(&self) -> usize {
        self.weights.as_ref().map_or(self.queue.len(), |weights| weights.sum)
    }

    /// The room that is taken.
    pub(crate) fn used(&self) -> usize {
        self.queued() + self.aside
    }

    pub(crate) fn high_water(&self) -> usize {
        self.high_water
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.closed
    }

    /// Finds anew what may pass quickly: after all that is not itself quick.
    #[inline]
    pub(crate) fn settle(&mut self) {
        let nobody_to_tell = self.sending.all_told() && self.weights.is_none();
        let in_too = nobody_to_tell && self.receiving.all_told() && !self.closed;
        let room = self.capacity.saturating_sub(self.aside + self.sending.promised());
        self.quick = Quick {
            below: if in_too { room } else { 0 },
            above: if nobody_to_tell { self.receiving.promised() } else { usize::MAX },
        };
    }

    /// Puts in an item if that is all there is to do, and returns the room then
    /// taken.
    #[inline]
    pub(crate) fn quick_send(&mut self, item: &mut Option<T>) -> Option<usize> {
        let len = self.queue.len();
        if len >= self.quick.below {
            return None;
        }
        self.queue.push_back(item.take()?);
        if self.high_water <= len {
            self.high_water = len + 1;
        }
        Some(len + 1 + self.aside)
    }

    /// Takes an item out if that is all there is to do, and returns the room
    /// then taken.
    #[inline]
    pub(crate) fn quick_recv(&mut self) -> Option<(T, usize)> {
        if self.queue.len() <= self.quick.above {
            return None;
        }
        let item = self.queue.pop_front()?;
        Some((item, self.queue.len() + self.aside))
    }

    /// Puts in all of a deque if that is all there is to do, and returns the room
    /// then taken.
    #[inline]
    pub(crate) fn quick_send_all(&mut self, items: &mut VecDeque<T>) -> Option<usize> {
        let len = self.queue.len() + items.len();
        if len > self.quick.below {
            return None;
        }
        move_first(items.len(), items, &mut self.queue);
        self.high_water = self.high_water.max(len);
        Some(len + self.aside)
    }

    /// Takes up to `max` items out, whose room stays taken, if that is all there
    /// is to do; and whether it was.
    #[inline]
    pub(crate) fn quick_take(
        &mut self,
        max: usize,
        into: &mut VecDeque<T>,
        hold: &mut Hold,
    ) -> bool {
        let n = self.queue.len().saturating_sub(self.quick.above).min(max);
        if n > 0 {
            self.take(n, into, hold);
            self.settle();
        }
        n > 0
    }

    /// Gives back room that was set aside if nobody waits to be told, and returns
    /// the room then taken.
    #[inline]
    pub(crate) fn quick_release(&mut self, weight: usize) -> Option<usize> {
        if !self.sending.all_told() {
            return None;
        }
        self.aside -= weight;
        self.settle();
        Some(self.used())
    }

    /// Lets nothing more in, and tells everybody.
    pub(crate) fn close(&mut self, wakes: &mut Wakes) {
        if !mem::replace(&mut self.closed, true) {
            self.sending.wake_all(wakes);
            self.receiving.wake_all(wakes);
        }
    }

    /// Closes, and hands out what nobody will ever receive.
    pub(crate) fn abandon(&mut self, wakes: &mut Wakes) -> VecDeque<T> {
        self.close(wakes);
        if let Some(weights) = &mut self.weights {
            weights.each.clear();
            weights.sum = 0;
        }
        mem::take(&mut self.queue)
    }
}
