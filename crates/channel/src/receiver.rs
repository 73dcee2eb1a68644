//! The end that items come out at.

use crate::{
    LoadHandle, Prefetch, Stats, TryRecvError,
    blocking::block_on,
    chunk::{Chunk, Hold},
    shared::Shared,
};
use futures_core::Stream;
use plimsoll_core::{ConfigError, Load};
use plimsoll_wait::Spot;
use std::{
    collections::VecDeque,
    fmt,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

/// The end of a channel that items come out at, one by one, in chunks, or as a
/// [`Stream`]. Clones are further receivers of the same channel: each item goes
/// to one of them, and when the last is dropped, the channel closes and what is
/// inside is dropped.
///
/// # As a stream
///
/// It takes one item at a time and ends when the channel is closed and empty.
/// Polled without success it stands in line, and keeps its place, with the item
/// that it may be promised there, until it is polled again (a `recv` goes on
/// from the same place) or dropped. Where other receivers of the channel wait,
/// poll it again or drop it.
pub struct Receiver<T> {
    pub(crate) shared: Arc<Shared<T>>,
    spot: Option<Spot>,
    /// The room of its last chunk. Here and not in the chunk, which is handed on
    /// from function to function: copied along, it took as long as two locks.
    pub(crate) hold: Hold,
}

impl<T> Receiver<T> {
    pub(crate) fn of(shared: Arc<Shared<T>>) -> Self {
        Self { shared, spot: None, hold: Hold::default() }
    }

    /// Receives one item, waiting in line with the other receivers. `None` when
    /// the channel is closed and empty: nothing will come.
    ///
    /// # Cancel safety
    ///
    /// Dropped, it has received nothing; an item that it was promised in that
    /// moment goes to the next.
    ///
    /// # Example
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// let (tx, mut rx) = plimsoll_channel::bounded(4);
    /// tokio::spawn(async move {
    ///     for n in 0..10 {
    ///         let _ = tx.send(n).await;
    ///     }
    /// });
    /// let mut sum = 0;
    /// while let Some(n) = rx.recv().await {
    ///     sum += n;
    /// }
    /// assert_eq!(sum, 45);
    /// # }
    /// ```
    pub fn recv(&mut self) -> impl Future<Output = Option<T>> {
        Receiving(self)
    }

    /// Receives one item if one is there that no other receiver waits for.
    ///
    /// # Errors
    ///
    /// [`TryRecvError::Empty`] when there is none, [`TryRecvError::Closed`] when
    /// there will be none either.
    pub fn try_recv(&mut self) -> Result<T, TryRecvError> {
        self.shared.with(|state, wakes| {
            if state.available(self.spot) > 0 {
                state.stop_receiving(&mut self.spot, wakes);
                if let Some(item) = state.pop(wakes) {
                    return Ok(item);
                }
            }
            Err(if state.is_closed() { TryRecvError::Closed } else { TryRecvError::Empty })
        })
    }

    /// Receives one item, and blocks the thread while there is none. `None` when
    /// nothing will come. Not for async code, whose other tasks it would hold up.
    pub fn blocking_recv(&mut self) -> Option<T> {
        match self.try_recv() {
            Ok(item) => Some(item),
            Err(TryRecvError::Closed) => None,
            Err(TryRecvError::Empty) => block_on(self.recv()),
        }
    }

    /// Receives up to `max` items at once, at the end of `into`, as soon as there
    /// is one. `None` when nothing will come.
    ///
    /// Where it takes all that is there and `into` is empty, the two deques are
    /// swapped: the cost does not depend on the number of items. So ask for as
    /// many as the channel holds, unless others should get a share. Keep one deque
    /// for all calls, and nothing is allocated.
    ///
    /// The room of these items stays taken until the [`Chunk`] yields them or is
    /// dropped; for good, if it is forgotten ([`mem::forget`](std::mem::forget)).
    ///
    /// # Panics
    ///
    /// When `max` is 0.
    ///
    /// # Cancel safety
    ///
    /// Dropped, it has received nothing and `into` is as it was.
    ///
    /// # Example
    ///
    /// ```
    /// use std::collections::VecDeque;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), plimsoll_channel::Closed> {
    /// let (tx, mut rx) = plimsoll_channel::bounded(8);
    /// tx.send_all(&mut (0..5).collect()).await?;
    /// drop(tx);
    ///
    /// let (mut items, mut sum) = (VecDeque::new(), 0);
    /// while let Some(chunk) = rx.recv_chunk(&mut items, 64).await {
    ///     for item in chunk {
    ///         sum += item;
    ///     }
    /// }
    /// assert_eq!(sum, 10);
    /// # Ok(())
    /// # }
    /// ```
    #[track_caller]
    pub fn recv_chunk<'a>(
        &'a mut self,
        into: &'a mut VecDeque<T>,
        max: usize,
    ) -> impl Future<Output = Option<Chunk<'a, T>>> {
        some(max, "max");
        ReceivingChunk { ends: Some((self, into)), max }
    }

    /// Makes this receiver a `Stream` that takes up to `max` items from the
    /// channel at once: see [`Prefetch`].
    ///
    /// # Panics
    ///
    /// When `max` is 0.
    #[track_caller]
    pub fn into_prefetch(self, max: usize) -> Prefetch<T> {
        some(max, "max");
        Prefetch::new(self, max)
    }

    /// Closes the channel: nothing more goes in. What is inside can still be
    /// received.
    pub fn close(&self) {
        self.shared.with(|state, wakes| state.close(wakes));
    }

    /// Whether nothing more comes in. There may still be something inside.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.shared.is_closed()
    }

    /// How many items wait to be received.
    #[must_use]
    pub fn len(&self) -> usize {
        self.shared.len()
    }

    /// Whether no item waits to be received.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The channel at this moment, and what it has seen.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.shared.stats()
    }

    /// How full the channel is, for those who shed load or only look.
    #[must_use]
    pub fn load_handle(&self) -> LoadHandle
    where
        T: Send + 'static,
    {
        LoadHandle(Arc::<Shared<T>>::clone(&self.shared))
    }

    #[inline]
    fn poll_recv(&mut self, cx: &Context<'_>) -> Poll<Option<T>> {
        self.shared.poll_recv(&mut self.spot, cx.waker())
    }

    #[inline]
    pub(crate) fn poll_chunk(
        &mut self,
        cx: &Context<'_>,
        into: &mut VecDeque<T>,
        max: usize,
    ) -> Poll<bool> {
        let Self { shared, spot, hold } = self;
        shared.poll_take(max, into, hold, spot, cx.waker())
    }

    fn leave(&mut self) {
        if self.spot.is_some() {
            self.shared.with(|state, wakes| state.stop_receiving(&mut self.spot, wakes));
        }
    }
}

/// Panics if `n`, called `what`, is zero.
#[track_caller]
pub(crate) fn some(n: usize, what: &'static str) {
    if n == 0 {
        ConfigError::new(what, n, "at least 1").panic();
    }
}

impl<T> Stream for Receiver<T> {
    type Item = T;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<T>> {
        self.poll_recv(cx)
    }
}

impl<T> Clone for Receiver<T> {
    fn clone(&self) -> Self {
        self.shared.with(|state, _| state.receivers += 1);
        Self::of(Arc::clone(&self.shared))
    }
}

impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        let unread = self.shared.with(|state, wakes| {
            state.stop_receiving(&mut self.spot, wakes);
            state.receivers -= 1;
            (state.receivers == 0).then(|| state.abandon(wakes))
        });
        // After the lock: an item may hold an end of this channel.
        drop(unread);
    }
}

/// The room taken, in items or in weight. Takes no lock.
impl<T: Send> Load for Receiver<T> {
    fn load(&self) -> usize {
        self.shared.load()
    }

    fn capacity(&self) -> Option<usize> {
        self.shared.capacity()
    }
}

impl<T> fmt::Debug for Receiver<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receiver").field("stats", &self.stats()).finish()
    }
}

/// The future of `recv`.
struct Receiving<'a, T>(&'a mut Receiver<T>);

impl<T> Future for Receiving<'_, T> {
    type Output = Option<T>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<T>> {
        self.0.poll_recv(cx)
    }
}

impl<T> Drop for Receiving<'_, T> {
    fn drop(&mut self) {
        self.0.leave();
    }
}

/// The future of `recv_chunk`.
struct ReceivingChunk<'a, T> {
    /// `None` once done.
    ends: Option<(&'a mut Receiver<T>, &'a mut VecDeque<T>)>,
    max: usize,
}

impl<'a, T> Future for ReceivingChunk<'a, T> {
    type Output = Option<Chunk<'a, T>>;

    #[inline]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let max = self.max;
        let (rx, into) = self.ends.take().expect("not polled again once it was ready");
        match rx.poll_chunk(cx, into, max) {
            Poll::Pending => {
                self.ends = Some((rx, into));
                Poll::Pending
            }
            Poll::Ready(taken) => Poll::Ready(taken.then(|| Chunk::new(rx, into))),
        }
    }
}

impl<T> Drop for ReceivingChunk<'_, T> {
    fn drop(&mut self) {
        if let Some((rx, _)) = &mut self.ends {
            rx.leave();
        }
    }
}
