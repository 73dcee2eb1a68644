//! The handle: how items come in.

use crate::{
    FlushOutput, Refused, Reply, Stats, SubmitError, driver,
    handle::{Handle, Start},
    settings::Settings,
    thread,
};
use plimsoll_core::{Drain, DrainError, Load, Reason, Rejected};
use std::{fmt, io, sync::Arc};
use tokio::sync::SemaphorePermit;

/// Collects single items and flushes many at once; each caller gets its own
/// result.
///
/// `T` is the item, `R` and `E` are what a caller gets for it. Cloning is cheap,
/// and all clones feed the same batches.
///
/// A batch is flushed as soon as one of these holds and fewer than
/// [`max_in_flight`](Self::max_in_flight) flushes are under way: it is full by
/// [`max_size`](Self::max_size) or [`max_bytes`](Self::max_bytes), it is as old
/// as [`linger`](Self::linger) allows, or the batcher is drained or dropped.
/// Items are flushed in the order in which they were accepted.
///
/// # Who flushes
///
/// The first use of a batcher starts a task on the current tokio runtime; with
/// [`blocking`](Self::blocking) it is a thread, which needs no runtime. When the
/// last handle is dropped, what was accepted is flushed, and the task or thread
/// ends; [`drain`](Self::drain) waits for the end. If the task's runtime is shut
/// down before, callers get [`SubmitError::Abandoned`] and the batcher is closed.
///
/// # Example
///
/// ```
/// use plimsoll_batch::Batcher;
/// use std::time::Duration;
///
/// # #[tokio::main(flavor = "current_thread", start_paused = true)]
/// # async fn main() {
/// let double = |items: Vec<u32>| async move {
///     items.into_iter().map(|n| n.checked_mul(2).ok_or("too large")).collect::<Vec<_>>()
/// };
/// let batcher = Batcher::new(double).max_size(100).max_wait(Duration::from_millis(5));
/// let (one, two) = tokio::join!(batcher.submit(1), batcher.submit(u32::MAX));
/// assert_eq!(one.unwrap(), 2);
/// assert_eq!(two.unwrap_err().to_string(), "the flush failed");
/// # }
/// ```
pub struct Batcher<T, R, E>
where
    T: Send + 'static,
    R: Send + 'static,
    E: Send + 'static,
{
    pub(crate) handle: Arc<Handle<T, R, E>>,
}

impl<T, R, E> Batcher<T, R, E>
where
    T: Send + 'static,
    R: Send + 'static,
    E: Send + 'static,
{
    /// A batcher that hands its batches to `flush`, an async function. It is
    /// never called with no items.
    ///
    /// Batches of at most 100, a queue of ten batches, one flush at a time, and
    /// the [`Adaptive`](crate::Linger::Adaptive) linger, unless set otherwise.
    /// [`FlushOutput`] says what `flush` may return. When it panics, or returns
    /// a wrong number of results, the callers of that batch get an error that
    /// says so, and the batcher goes on.
    pub fn new<F, Fut>(flush: F) -> Self
    where
        F: Fn(Vec<T>) -> Fut + Send + Sync + 'static,
        Fut: Future<Output: FlushOutput<Reply = R, Error = E>> + Send + 'static,
    {
        Self::of(Start::Task(driver::erase(flush)), Settings::new(false))
    }

    /// A batcher whose `flush` is a plain function that may block: it runs on
    /// one thread of its own from the first batch to the last. That suits a
    /// database connection, which `flush` can own.
    ///
    /// The thread takes its batches itself, so that none waits for a runtime,
    /// and goes on when a runtime ends: all that was accepted is flushed as long
    /// as the process lives. After the last batch it drops `flush`; only then
    /// does [`drain`](Self::drain) return. A fixed linger is real time, also
    /// where a test's clock is paused. For the rest, see [`new`](Self::new).
    ///
    /// # Panics
    ///
    /// When the operating system cannot start a thread;
    /// [`try_blocking`](Self::try_blocking) returns the error.
    ///
    /// # Example
    ///
    /// ```
    /// use plimsoll_batch::Batcher;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// let mut rows = Vec::new(); // a connection, in earnest
    /// let writes = Batcher::blocking(move |batch: Vec<&'static str>| {
    ///     rows.extend(batch);
    ///     Ok::<(), std::fmt::Error>(())
    /// });
    /// assert!(writes.submit("a row").await.is_ok());
    /// # }
    /// ```
    #[track_caller]
    pub fn blocking<F, O>(flush: F) -> Self
    where
        F: FnMut(Vec<T>) -> O + Send + 'static,
        O: FlushOutput<Reply = R, Error = E>,
    {
        match Self::try_blocking(flush) {
            Ok(batcher) => batcher,
            Err(error) => panic!("the batcher's thread could not be started: {error}"),
        }
    }

    /// [`blocking`](Self::blocking), for those who can do without.
    ///
    /// # Errors
    ///
    /// When the operating system cannot start a thread.
    pub fn try_blocking<F, O>(flush: F) -> io::Result<Self>
    where
        F: FnMut(Vec<T>) -> O + Send + 'static,
        O: FlushOutput<Reply = R, Error = E>,
    {
        let start = Start::Thread(thread::start(flush)?);
        Ok(Self::of(start, Settings::new(true)))
    }

    fn of(start: Start<T, R, E>, settings: Settings<T, R, E>) -> Self {
        Self { handle: Arc::new(Handle::new(start, settings)) }
    }

    /// Submits `item`, and waits for its own result. While the queue is full it
    /// waits for a place first, in the order of arrival.
    ///
    /// # Errors
    ///
    /// [`SubmitError`] says whether the item was refused or its flush failed.
    ///
    /// # Panics
    ///
    /// When the first use of a batcher without a thread is outside of a tokio
    /// runtime. Nothing has happened then.
    ///
    /// # Cancel safety
    ///
    /// Dropped while it waits for a place, nothing has happened. Dropped after
    /// that, the item is flushed all the same and its result discarded.
    /// To know which it was, use [`try_submit`](Self::try_submit).
    pub async fn submit(&self, item: T) -> Result<R, SubmitError<E>> {
        self.start();
        let Some(place) = self.place().await else {
            return Err(SubmitError::Rejected(CLOSED));
        };
        self.accept(item, place, false)?.await
    }

    /// Submits `item` if there is a place for it now, and returns its result as
    /// a future.
    ///
    /// # Errors
    ///
    /// [`Refused`] gives the item back when the queue is full, when others wait
    /// for a place in it, or when the batcher is closed.
    ///
    /// # Panics
    ///
    /// When the first use of a batcher without a thread is outside of a tokio
    /// runtime. Nothing has happened then.
    ///
    /// # Example
    ///
    /// ```
    /// use plimsoll_batch::Batcher;
    /// use plimsoll_core::Reason;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// let flush = |_: Vec<u8>| async { Ok::<(), std::fmt::Error>(()) };
    /// let batcher = Batcher::new(flush).queue(1);
    /// let accepted = batcher.try_submit(1).unwrap();
    /// let refused = batcher.try_submit(2).err().unwrap();
    /// assert_eq!((refused.item, refused.why.reason()), (2, Reason::Overload));
    /// assert!(accepted.await.is_ok());
    /// # }
    /// ```
    pub fn try_submit(&self, item: T) -> Result<Reply<R, E>, Refused<T>> {
        self.start();
        match self.try_place() {
            Ok(place) => self.accept(item, place, false),
            Err(why) => Err(Refused { item, why }),
        }
    }

    /// Hands `item` over and does not wait for its flush. While the queue is
    /// full it waits for a place, in the order of arrival. If the flush fails,
    /// [`on_push_error`](Self::on_push_error) says so.
    ///
    /// # Errors
    ///
    /// [`Refused`] gives the item back when the batcher is closed.
    ///
    /// # Panics
    ///
    /// When the first use of a batcher without a thread is outside of a tokio
    /// runtime. Nothing has happened then.
    ///
    /// # Cancel safety
    ///
    /// Dropped before it returns, the item was not accepted.
    pub async fn push(&self, item: T) -> Result<(), Refused<T>> {
        self.start();
        match self.place().await {
            Some(place) => self.accept(item, place, true).map(drop),
            None => Err(Refused { item, why: CLOSED }),
        }
    }

    /// [`push`](Self::push) if there is a place for `item` now.
    ///
    /// # Errors
    ///
    /// As [`try_submit`](Self::try_submit).
    ///
    /// # Panics
    ///
    /// When the first use of a batcher without a thread is outside of a tokio
    /// runtime. Nothing has happened then.
    pub fn try_push(&self, item: T) -> Result<(), Refused<T>> {
        self.start();
        match self.try_place() {
            Ok(place) => self.accept(item, place, true).map(drop),
            Err(why) => Err(Refused { item, why }),
        }
    }

    /// Flushes what was accepted before this call without waiting for company,
    /// and returns when all of that has ended: each caller has been told, also
    /// through [`on_push_error`](Self::on_push_error). The batcher goes on, and
    /// this does not wait for what it accepts meanwhile.
    ///
    /// # Cancel safety
    ///
    /// Dropped, the flushes go on.
    ///
    /// # Example
    ///
    /// ```
    /// use plimsoll_batch::{Batcher, Emitted};
    /// use std::time::Duration;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// let flush = |_: Vec<u8>| async { Ok::<(), std::fmt::Error>(()) };
    /// let batcher = Batcher::new(flush).max_wait(Duration::from_secs(3600));
    /// batcher.push(1).await.unwrap();
    /// batcher.flush().await; // and not in an hour
    /// assert_eq!(batcher.stats().emitted(Emitted::Asked), 1);
    /// # }
    /// ```
    pub async fn flush(&self) {
        self.handle.shared.flushed().await;
    }

    /// Accepts nothing more, flushes what was accepted without waiting for
    /// company, and returns when all flushes have ended and the flush function
    /// was dropped; for ever, if one never returns: put a timeout inside it. Those
    /// who wait for a place are refused. A second call waits for the same end.
    ///
    /// # Errors
    ///
    /// [`DrainError`] counts the items that nobody can answer for: their flush
    /// was cut off by the end of a runtime, or they were pushed, failed, and no
    /// [`on_push_error`](Self::on_push_error) was set.
    ///
    /// # Panics
    ///
    /// When the first use of a batcher without a thread is outside of a tokio
    /// runtime. Nothing has happened then.
    ///
    /// # Cancel safety
    ///
    /// Dropped, the drain goes on; another call waits for its end.
    pub async fn drain(&self) -> Result<(), DrainError> {
        self.start();
        let shared = &self.handle.shared;
        shared.close();
        shared.ended().await;
        match shared.unheard() {
            0 => Ok(()),
            n => Err(DrainError::new(n, "their flush was cut off, or failed and nobody was told")),
        }
    }

    /// How batches came out so far.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.handle.shared.intake.stats()
    }

    /// Before anything is accepted: where there is no runtime, nothing has
    /// happened.
    fn start(&self) {
        self.handle.start();
    }

    async fn place(&self) -> Option<SemaphorePermit<'_>> {
        let places = &self.handle.shared.places;
        match places.try_acquire() {
            Ok(place) => Some(place),
            Err(_) => places.acquire().await.ok(),
        }
    }

    fn try_place(&self) -> Result<SemaphorePermit<'_>, Rejected> {
        use tokio::sync::TryAcquireError::{Closed, NoPermits};
        self.handle.shared.places.try_acquire().map_err(|error| match error {
            Closed => CLOSED,
            NoPermits => Rejected::new(Reason::Overload, "batcher"),
        })
    }

    fn accept(
        &self,
        item: T,
        place: SemaphorePermit<'_>,
        pushed: bool,
    ) -> Result<Reply<R, E>, Refused<T>> {
        // Before the lock, and before the place is spent: it may panic.
        let bytes = self.handle.shared.settings.bytes_of(&item);
        match self.handle.shared.accept(item, bytes, pushed) {
            Ok((slab, index)) => {
                place.forget(); // comes back when the batch is taken
                Ok(Reply::new(slab, index))
            }
            Err(item) => Err(Refused { item, why: CLOSED }),
        }
    }
}

const CLOSED: Rejected = Rejected::new(Reason::Closed, "batcher");

impl<T, R, E> Clone for Batcher<T, R, E>
where
    T: Send + 'static,
    R: Send + 'static,
    E: Send + 'static,
{
    fn clone(&self) -> Self {
        Self { handle: Arc::clone(&self.handle) }
    }
}

impl<T, R, E> Drain for Batcher<T, R, E>
where
    T: Send + 'static,
    R: Send + 'static,
    E: Send + 'static,
{
    async fn drain(&self) -> Result<(), DrainError> {
        Self::drain(self).await
    }
}

/// The queue: what was accepted and is not in a flush yet.
impl<T, R, E> Load for Batcher<T, R, E>
where
    T: Send + 'static,
    R: Send + 'static,
    E: Send + 'static,
{
    fn load(&self) -> usize {
        let shared = &self.handle.shared;
        shared.queue().saturating_sub(shared.places.available_permits())
    }

    fn capacity(&self) -> Option<usize> {
        Some(self.handle.shared.queue())
    }
}

impl<T, R, E> fmt::Debug for Batcher<T, R, E>
where
    T: Send + 'static,
    R: Send + 'static,
    E: Send + 'static,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Batcher").field("queued", &self.load()).finish_non_exhaustive()
    }
}
