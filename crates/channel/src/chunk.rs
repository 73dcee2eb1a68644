//! Items taken together, whose room comes back as they are yielded.

use crate::{Receiver, shared::Shared};
use futures_core::Stream;
use std::{
    collections::VecDeque,
    fmt, mem,
    pin::Pin,
    task::{Context, Poll},
};

/// The room of items that were taken in a chunk.
#[derive(Default)]
pub(crate) struct Hold {
    /// How many items were taken in chunks before.
    first: u64,
    items: usize,
    /// What each weighs; `None` if each weighs 1.
    weights: Option<VecDeque<usize>>,
    /// Room goes back when so few items are left: half of them, then none.
    due: usize,
}

impl Hold {
    #[inline]
    pub(crate) fn set(&mut self, first: u64, items: usize) {
        (self.first, self.items, self.due) = (first, items, items / 2);
    }

    pub(crate) fn set_by_weight(&mut self, first: u64, weights: VecDeque<usize>) {
        self.set(first, weights.len());
        self.weights = Some(weights);
    }

    /// The room that is held.
    pub(crate) fn weight(&self) -> usize {
        self.weights.as_ref().map_or(self.items, |weights| weights.iter().sum())
    }

    /// Forgets the items and hands out what they weigh.
    pub(crate) fn give_up(&mut self) -> Option<VecDeque<usize>> {
        self.items = 0;
        self.weights.take()
    }

    /// Gives back room when it is due, now that `left` items are left. Items that
    /// were in the deque before the chunk go first and count for nothing.
    #[inline]
    fn settle<T>(&mut self, left: usize, shared: &Shared<T>) {
        if left <= self.due {
            self.due = 0;
            self.release(left, shared);
        }
    }

    /// Gives back the room of all but the last `left` items.
    #[inline]
    fn release<T>(&mut self, left: usize, shared: &Shared<T>) {
        let yielded = self.items.saturating_sub(left);
        self.items -= yielded;
        let weight = match &mut self.weights {
            Some(weights) => weights.drain(..yielded).sum(),
            None => yielded,
        };
        if weight > 0 {
            shared.release(weight);
        }
    }
}

/// Items received together by [`Receiver::recv_chunk`]: an iterator over the
/// caller's deque that keeps the channel's bound exact.
///
/// The room of an item in here stays taken. It comes back when the item has been
/// yielded, at the latest when half of the chunk or all of it has: two
/// locks for a chunk instead of one for each item, and none of it late for the
/// chunk of one item that a channel of capacity 1 gives. Before waiting for
/// something else in the middle of a chunk, [`release`](Self::release) gives
/// back what is due.
///
/// Dropped early, it lets go of all its room, and the items that it has not
/// yielded are in the deque, in order: the caller's own, and no longer counted.
pub struct Chunk<'a, T> {
    rx: &'a mut Receiver<T>,
    items: &'a mut VecDeque<T>,
}

impl<'a, T> Chunk<'a, T> {
    #[inline]
    pub(crate) fn new(rx: &'a mut Receiver<T>, items: &'a mut VecDeque<T>) -> Self {
        Self { rx, items }
    }

    /// The number of its first item, counted from 0 over everything that the
    /// channel's receivers have taken in chunks.
    ///
    /// Several receivers that work on chunks side by side can put their results
    /// back into the order of the channel by it: a chunk of three items that
    /// starts at 5 is followed by the one that starts at 8. (A dropped
    /// [`Prefetch`] puts items back, which then count again.)
    #[must_use]
    pub fn first(&self) -> u64 {
        self.rx.hold.first
    }

    /// Gives back now the room of all items that have been yielded.
    pub fn release(&mut self) {
        self.release_all_but(self.items.len());
    }

    /// Moves what is left to the end of `into`: a vector is faster to go through
    /// than a deque, and where `into` is empty, memory changes hands and nothing
    /// is moved.
    ///
    /// The room of these items stays taken until the chunk is dropped, or the
    /// caller says how far it is: see [`release_all_but`](Self::release_all_but).
    ///
    /// # Example
    ///
    /// ```
    /// use std::collections::VecDeque;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), plimsoll_channel::Closed> {
    /// let (tx, mut rx) = plimsoll_channel::bounded(8);
    /// tx.send_all(&mut (1..=8).collect()).await?;
    ///
    /// let (mut items, mut rows) = (VecDeque::new(), Vec::new());
    /// if let Some(mut chunk) = rx.recv_chunk(&mut items, 8).await {
    ///     chunk.take_all(&mut rows);
    ///     assert_eq!(rows.drain(..4).sum::<u32>(), 10);
    ///     chunk.release_all_but(rows.len());
    ///     tx.send_all(&mut (9..=12).collect()).await?;
    /// }
    /// assert_eq!(rows, [5, 6, 7, 8]);
    /// # Ok(())
    /// # }
    /// ```
    #[inline]
    pub fn take_all(&mut self, into: &mut Vec<T>) {
        if into.is_empty() {
            let items = mem::take(self.items).into();
            *self.items = mem::replace(into, items).into();
        } else {
            into.extend(self.items.drain(..));
        }
    }

    /// Gives back now the room of all items but the last `left`.
    #[inline]
    pub fn release_all_but(&mut self, left: usize) {
        self.rx.hold.release(left, &self.rx.shared);
    }
}

impl<T> Iterator for Chunk<'_, T> {
    type Item = T;

    #[inline]
    fn next(&mut self) -> Option<T> {
        let item = self.items.pop_front()?;
        self.rx.hold.settle(self.items.len(), &self.rx.shared);
        Some(item)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.items.len(), Some(self.items.len()))
    }
}

impl<T> ExactSizeIterator for Chunk<'_, T> {}

impl<T> Drop for Chunk<'_, T> {
    #[inline]
    fn drop(&mut self) {
        self.rx.hold.release(0, &self.rx.shared);
    }
}

impl<T> fmt::Debug for Chunk<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Chunk").field("len", &self.items.len()).finish_non_exhaustive()
    }
}

/// A [`Stream`] that takes up to `max` items from the channel at once, made by
/// [`Receiver::into_prefetch`]: several times as fast as the receiver itself.
///
/// The bound stays exact: as in a [`Chunk`], the room of an item stays taken
/// until it is yielded, and comes back by halves. Dropped, it puts what it has
/// not yielded back at the front of the channel.
///
/// For a sole receiver. Of several, the others would wait while items lie in
/// here, or go home from a closed channel to which items come back.
///
/// # Example
///
/// ```
/// use futures::StreamExt;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), plimsoll_channel::Closed> {
/// let (tx, rx) = plimsoll_channel::bounded(100);
/// tx.send_all(&mut (1..=4).collect()).await?;
/// drop(tx);
/// let squares: Vec<u32> = rx.into_prefetch(64).map(|n| n * n).collect().await;
/// assert_eq!(squares, [1, 4, 9, 16]);
/// # Ok(())
/// # }
/// ```
#[must_use = "a stream does nothing unless it is polled"]
pub struct Prefetch<T> {
    rx: Receiver<T>,
    items: VecDeque<T>,
    max: usize,
}

impl<T> Prefetch<T> {
    pub(crate) fn new(rx: Receiver<T>, max: usize) -> Self {
        Self { rx, items: VecDeque::new(), max }
    }
}

/// No item is ever pinned.
impl<T> Unpin for Prefetch<T> {}

impl<T> Stream for Prefetch<T> {
    type Item = T;

    #[inline]
    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<T>> {
        let Self { rx, items, max } = &mut *self;
        if items.is_empty() {
            match rx.poll_chunk(cx, items, *max) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(false) => return Poll::Ready(None),
                Poll::Ready(true) => {}
            }
        }
        let item = items.pop_front();
        rx.hold.settle(items.len(), &rx.shared);
        Poll::Ready(item)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.items.len(), None)
    }
}

impl<T> Drop for Prefetch<T> {
    fn drop(&mut self) {
        let Self { rx: Receiver { shared, hold, .. }, items, .. } = self;
        hold.release(items.len(), shared);
        if !items.is_empty() {
            shared.with(|state, wakes| state.put_back(items, hold, wakes));
        }
    }
}

impl<T> fmt::Debug for Prefetch<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Prefetch").field("prefetched", &self.items.len()).finish_non_exhaustive()
    }
}
