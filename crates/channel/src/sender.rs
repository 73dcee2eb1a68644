//! The end that items go in at.

use crate::{
    Closed, Feeder, LoadHandle, SendError, Stats, TrySendError, blocking::block_on, shared::Shared,
    state::Room,
};
use plimsoll_core::Load;
use plimsoll_wait::Spot;
use std::{
    collections::VecDeque,
    fmt,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

/// The end of a channel that items go in at. Clones are further senders of the
/// same channel; when the last is dropped, the channel closes.
pub struct Sender<T> {
    pub(crate) shared: Arc<Shared<T>>,
}

impl<T> Sender<T> {
    pub(crate) fn of(shared: Arc<Shared<T>>) -> Self {
        Self { shared }
    }

    /// Sends one item, waiting for room in line with the other senders.
    ///
    /// When it returns `Ok`, the item is in the channel, and not in some buffer
    /// on the way.
    ///
    /// # Errors
    ///
    /// [`SendError`] with the item when the channel is closed, also when it
    /// closes while this waits, and also when it is full.
    ///
    /// # Cancel safety
    ///
    /// Dropped, it has sent nothing and the item is dropped with it; room that
    /// it was promised in that moment goes to the next. To keep the item, see
    /// [`send_all`](Self::send_all).
    ///
    /// # Example
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), plimsoll_channel::SendError<u32>> {
    /// let (tx, mut rx) = plimsoll_channel::bounded(1);
    /// tx.send(1).await?;
    /// assert_eq!(rx.recv().await, Some(1));
    /// # Ok(())
    /// # }
    /// ```
    pub fn send(&self, item: T) -> impl Future<Output = Result<(), SendError<T>>> {
        let weight = self.shared.weight(&item);
        Sending { shared: &self.shared, item: Some(item), weight, spot: None }
    }

    /// Sends one item if there is room and nobody waits for it.
    ///
    /// # Errors
    ///
    /// With the item: [`TrySendError::Closed`] when the channel is closed,
    /// [`TrySendError::Full`] when there is no room, or others wait for it.
    pub fn try_send(&self, item: T) -> Result<(), TrySendError<T>> {
        let weight = self.shared.weight(&item);
        self.shared.with(|state, wakes| match state.room(None, weight) {
            Room::Closed => Err(TrySendError::Closed(item)),
            Room::Full => Err(TrySendError::Full(item)),
            Room::Free => {
                state.push(item, weight, wakes);
                Ok(())
            }
        })
    }

    /// Sends one item, and blocks the thread while there is no room. Not for
    /// async code, whose other tasks it would hold up.
    ///
    /// # Errors
    ///
    /// [`SendError`] with the item when the channel is closed.
    pub fn blocking_send(&self, item: T) -> Result<(), SendError<T>> {
        match self.try_send(item) {
            Ok(()) => Ok(()),
            Err(TrySendError::Closed(item)) => Err(SendError(item)),
            Err(TrySendError::Full(item)) => block_on(self.send(item)),
        }
    }

    /// Sends all of `items` in their order, as room comes, and leaves the deque
    /// empty.
    ///
    /// Where there is room for all and the channel is empty, the deque is swapped
    /// for the channel's own: the cost does not depend on the number of items.
    /// Keep one deque and fill it again, and nothing is allocated. Items of
    /// several senders may come to stand between each other.
    ///
    /// # Errors
    ///
    /// [`Closed`] when the channel is closed, or closes meanwhile. What was not
    /// sent is in `items`.
    ///
    /// # Cancel safety
    ///
    /// Dropped, what it had not sent is in `items`, in order, and what it had
    /// sent is not.
    ///
    /// # Example
    ///
    /// ```
    /// use std::collections::VecDeque;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), plimsoll_channel::Closed> {
    /// let (tx, mut rx) = plimsoll_channel::bounded(8);
    /// let mut rows = VecDeque::from([1, 2, 3]);
    /// tx.send_all(&mut rows).await?;
    /// assert!(rows.is_empty());
    /// assert_eq!(rx.recv().await, Some(1));
    /// # Ok(())
    /// # }
    /// ```
    #[inline]
    pub fn send_all<'a>(
        &'a self,
        items: &'a mut VecDeque<T>,
    ) -> impl Future<Output = Result<(), Closed>> {
        // Weighed before the lock is taken: what weighs is the user's code.
        let weights = self.shared.weights(items);
        SendingAll { shared: &self.shared, items, weights, spot: None }
    }

    /// Makes this sender a `Sink`, which sends in batches: see [`Feeder`].
    ///
    /// # Panics
    ///
    /// When `batch` is 0.
    #[track_caller]
    pub fn into_feeder(self, batch: usize) -> Feeder<T> {
        Feeder::new(self, batch)
    }

    /// Closes the channel: nothing more goes in, by any sender. What is inside
    /// can still be received.
    pub fn close(&self) {
        self.shared.with(|state, wakes| state.close(wakes));
    }

    /// Whether nothing more goes in: closed, or no receiver is left.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.shared.is_closed()
    }

    /// The channel at this moment, and what it has seen.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.shared.stats()
    }

    /// How full the channel is, for those who shed load.
    #[must_use]
    pub fn load_handle(&self) -> LoadHandle
    where
        T: Send + 'static,
    {
        LoadHandle(Arc::<Shared<T>>::clone(&self.shared))
    }
}

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Self {
        self.shared.with(|state, _| state.senders += 1);
        Self { shared: Arc::clone(&self.shared) }
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        self.shared.with(|state, wakes| {
            state.senders -= 1;
            if state.senders == 0 {
                state.close(wakes);
            }
        });
    }
}

/// The room taken, in items or in weight. Takes no lock.
impl<T: Send> Load for Sender<T> {
    fn load(&self) -> usize {
        self.shared.load()
    }

    fn capacity(&self) -> Option<usize> {
        self.shared.capacity()
    }
}

impl<T> fmt::Debug for Sender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sender").field("stats", &self.stats()).finish()
    }
}

/// The future of `send`.
struct Sending<'a, T> {
    shared: &'a Shared<T>,
    item: Option<T>,
    weight: usize,
    spot: Option<Spot>,
}

/// The item is never pinned.
impl<T> Unpin for Sending<'_, T> {}

impl<T> Future for Sending<'_, T> {
    type Output = Result<(), SendError<T>>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Self { shared, item, weight, spot } = &mut *self;
        let sent = shared.poll_send(item, *weight, spot, cx.waker());
        sent.map(|sent| match (sent, item.take()) {
            (Err(Closed), Some(item)) => Err(SendError(item)),
            _ => Ok(()),
        })
    }
}

impl<T> Drop for Sending<'_, T> {
    fn drop(&mut self) {
        if self.spot.is_some() {
            self.shared.with(|state, wakes| state.stop_sending(&mut self.spot, wakes));
        }
    }
}

/// The future of `send_all`.
struct SendingAll<'a, T> {
    shared: &'a Shared<T>,
    items: &'a mut VecDeque<T>,
    /// Theirs, where the channel is bounded by weight.
    weights: VecDeque<usize>,
    spot: Option<Spot>,
}

impl<T> Future for SendingAll<'_, T> {
    type Output = Result<(), Closed>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Self { shared, items, weights, spot } = &mut *self;
        shared.poll_send_all(items, weights, spot, cx.waker())
    }
}

impl<T> Drop for SendingAll<'_, T> {
    fn drop(&mut self) {
        if self.spot.is_some() {
            self.shared.with(|state, wakes| state.stop_sending(&mut self.spot, wakes));
        }
    }
}
