//! A sender that reserves its room.

use crate::{Closed, Sender, receiver::some};
use futures_sink::Sink;
use plimsoll_wait::Spot;
use std::{
    collections::VecDeque,
    fmt,
    pin::Pin,
    task::{Context, Poll},
};

/// A sender as a [`Sink`], for `forward` and other combinators, made by
/// [`Sender::into_feeder`].
///
/// It reserves room for up to `batch` items at once, gathers that many, and puts
/// them into the channel together: when the batch is full, on `flush` and
/// `close`, and when it is dropped. Room that was reserved for an item has been
/// found, so a dropped feeder loses nothing. `forward` flushes whenever its
/// source has nothing ready, so that no item is held back.
///
/// Reserved room is nobody else's, and what has been gathered cannot be received
/// before it is flushed: whoever feeds by hand flushes before waiting for
/// something else. Closing the sink drops its sender.
///
/// In a channel bounded by weight, the room an item needs is not known before
/// the item is. There the feeder goes one by one: it is ready when its last item
/// is in the channel, and an item still in its hand when it is dropped is sent
/// if there is room, and otherwise dropped, like that of a cancelled `send`.
///
/// # Errors
///
/// [`Closed`] when the channel is closed. [`unsent`](Self::unsent) hands back
/// what was gathered and not sent.
///
/// # Cancel safety
///
/// A feeder waiting for room keeps its place, and the room that it may be
/// promised there, until it is polled ready or dropped.
///
/// # Example
///
/// ```
/// use futures::{StreamExt, stream};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), plimsoll_channel::Closed> {
/// let (tx, mut rx) = plimsoll_channel::bounded(100);
/// stream::iter(0..50).map(Ok).forward(tx.into_feeder(64)).await?;
/// assert_eq!((rx.len(), rx.recv().await), (50, Some(0)));
/// # Ok(())
/// # }
/// ```
#[must_use = "a sink does nothing unless it is polled"]
pub struct Feeder<T> {
    /// `None` once closed.
    tx: Option<Sender<T>>,
    batch: usize,
    /// Gathered, and as much room reserved.
    items: VecDeque<T>,
    /// Room reserved beyond that.
    room: usize,
    /// By weight: the one item that may have to wait, and what it weighs.
    hand: Option<T>,
    weight: usize,
    spot: Option<Spot>,
}

impl<T> Feeder<T> {
    #[track_caller]
    pub(crate) fn new(tx: Sender<T>, batch: usize) -> Self {
        some(batch, "batch");
        let (items, tx) = (VecDeque::new(), Some(tx));
        Self { tx, batch, items, room: 0, hand: None, weight: 0, spot: None }
    }

    /// Takes back what was gathered and not sent, in order.
    pub fn unsent(&mut self) -> VecDeque<T> {
        if self.tx.is_some() {
            self.room += self.items.len();
        }
        let mut unsent = std::mem::take(&mut self.items);
        if let Some(item) = self.hand.take() {
            unsent.push_back(item);
            // It waited for the room of this item; the next may be heavier.
            if let Some(tx) = &self.tx {
                tx.shared.with(|state, wakes| state.stop_sending(&mut self.spot, wakes));
            }
        }
        unsent
    }

    /// Puts in what was gathered, and reserves room for the next batch. By
    /// weight, sends what is in hand.
    #[inline(never)]
    fn poll_room(&mut self, cx: &Context<'_>) -> Poll<Result<(), Closed>> {
        if self.hand.is_some() {
            return self.poll_hand(cx);
        }
        let Self { tx: Some(tx), batch, items, room, spot, .. } = self else {
            return Poll::Ready(Err(Closed));
        };
        if tx.shared.is_by_weight() {
            return Poll::Ready(Ok(()));
        }
        let reserved = tx.shared.with(|state, wakes| {
            if !state.is_closed() {
                state.fill(items, wakes);
            }
            state.poll_reserve(*batch, spot, cx.waker(), wakes)
        });
        reserved.map_ok(|reserved| *room = reserved)
    }

    /// By weight: takes the item that was asked for.
    #[inline(never)]
    fn take_in_hand(&mut self, item: T) -> Result<(), Closed> {
        let Some(tx) = &self.tx else { return Err(Closed) };
        let ready = tx.shared.is_by_weight() && self.hand.is_none();
        assert!(ready, "start_send before poll_ready");
        self.weight = tx.shared.weight(&item);
        self.hand = Some(item);
        Ok(())
    }

    /// Sends what is in hand, by weight.
    fn poll_hand(&mut self, cx: &Context<'_>) -> Poll<Result<(), Closed>> {
        let Self { tx: Some(tx), hand, weight, spot, .. } = self else {
            return Poll::Ready(Err(Closed));
        };
        tx.shared.with(|state, wakes| state.poll_send(hand, *weight, spot, cx.waker(), wakes))
    }

    /// Puts in what was gathered and gives back the rest of the room.
    fn flush(&mut self) -> Result<(), Closed> {
        let Self { tx: Some(tx), items, room, .. } = self else { return Err(Closed) };
        if items.is_empty() && *room == 0 {
            return Ok(());
        }
        tx.shared.with(|state, wakes| {
            state.release(std::mem::take(room), wakes);
            if !items.is_empty() && state.is_closed() {
                return Err(Closed);
            }
            state.fill(items, wakes);
            Ok(())
        })
    }

    fn poll_all(&mut self, cx: &Context<'_>) -> Poll<Result<(), Closed>> {
        if self.hand.is_some() { self.poll_hand(cx) } else { Poll::Ready(self.flush()) }
    }

    /// Gives everything back, and sends what can be sent.
    fn finish(&mut self) {
        let Some(tx) = self.tx.take() else { return };
        let Self { items, room, hand, weight, spot, .. } = self;
        tx.shared.with(|state, wakes| {
            if hand.is_some() {
                state.send_now(hand, *weight, spot, wakes);
            }
            if !state.is_closed() {
                state.fill(items, wakes);
            }
            state.release(std::mem::take(room) + items.len(), wakes);
            state.stop_sending(spot, wakes);
        });
    }
}

/// No item is ever pinned.
impl<T> Unpin for Feeder<T> {}

impl<T> Sink<T> for Feeder<T> {
    type Error = Closed;

    #[inline]
    fn poll_ready(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Closed>> {
        if self.room > 0 { Poll::Ready(Ok(())) } else { self.poll_room(cx) }
    }

    /// # Panics
    ///
    /// When the feeder was not polled ready for this item.
    #[inline]
    fn start_send(mut self: Pin<&mut Self>, item: T) -> Result<(), Closed> {
        if self.room > 0 {
            self.room -= 1;
            self.items.push_back(item);
            Ok(())
        } else {
            self.take_in_hand(item)
        }
    }

    /// Keeps a place that `poll_ready` may have taken in line: a combinator that
    /// polls both would otherwise wait for a wake-up that nobody sends.
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Closed>> {
        self.poll_all(cx)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Closed>> {
        if self.tx.is_none() {
            return Poll::Ready(Ok(()));
        }
        let flushed = self.poll_all(cx);
        if flushed.is_ready() {
            self.finish();
        }
        flushed
    }
}

impl<T> Drop for Feeder<T> {
    fn drop(&mut self) {
        self.finish();
    }
}

impl<T> fmt::Debug for Feeder<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Feeder")
            .field("unsent", &(self.items.len() + usize::from(self.hand.is_some())))
            .field("room", &self.room)
            .finish_non_exhaustive()
    }
}
