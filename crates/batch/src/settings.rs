//! What can be set, and what it is unless set.

use crate::{
    Batcher, SubmitError,
    intake::{Limits, Seen},
    shared::Shared,
    slab::Answer,
};
use plimsoll_core::ConfigError;
use std::{collections::HashMap, hash::Hash, sync::Arc, time::Duration};
use tokio::sync::Semaphore;

/// How long a batch that is not full waits for company.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Linger {
    /// Until a flush can start, and no longer: a batch is what gathered while
    /// the last flush ran. Alone, an item is flushed at once; under load batches
    /// grow by themselves. Uses no timer.
    #[default]
    Adaptive,
    /// So long from the first item on; with zero, not at all. Costs a lone item
    /// all of it. Tokio's timers keep a millisecond.
    Fixed(Duration),
}

pub(crate) const MAX_SIZE: usize = 100;
/// The queue holds so many batches unless set otherwise.
const BATCHES: usize = 10;

type BytesOf<T> = Box<dyn Fn(&T) -> usize + Send + Sync>;
type OnPushError<E> = Box<dyn Fn(SubmitError<E>) + Send + Sync>;
/// `Clone`, kept from the setting that demanded it.
type Copied<A, B> = fn(&A) -> B;

pub(crate) struct Settings<T, R, E> {
    pub(crate) max_in_flight: usize,
    max_size: usize,
    queue: Option<usize>,
    bytes_of: Option<BytesOf<T>>,
    pub(crate) copy_items: Option<Copied<[T], Vec<T>>>,
    pub(crate) copy_answer: Option<Copied<Answer<R, E>, Answer<R, E>>>,
    pub(crate) seen: Option<Box<dyn Fn() -> Seen<T> + Send + Sync>>,
    pub(crate) on_push_error: Option<OnPushError<E>>,
}

impl<T, R, E> Default for Settings<T, R, E> {
    fn default() -> Self {
        Self {
            max_in_flight: 1,
            max_size: MAX_SIZE,
            queue: None,
            bytes_of: None,
            copy_items: None,
            copy_answer: None,
            seen: None,
            on_push_error: None,
        }
    }
}

impl<T, R, E> Settings<T, R, E> {
    pub(crate) fn queue(&self) -> usize {
        let queue = self.queue.unwrap_or(self.max_size.saturating_mul(BATCHES));
        queue.min(Semaphore::MAX_PERMITS)
    }

    /// The limits of a batcher on which none were set.
    pub(crate) fn limits(&self) -> Limits {
        Limits { size: self.max_size, queue: self.queue(), bytes: usize::MAX, wait: None }
    }

    pub(crate) fn bytes_of(&self, item: &T) -> usize {
        self.bytes_of.as_ref().map_or(0, |bytes_of| bytes_of(item))
    }
}

/// # Settings
///
/// They come before the first use and the first clone, and panic after it.
impl<T, R, E> Batcher<T, R, E>
where
    T: Send + 'static,
    R: Send + 'static,
    E: Send + 'static,
{
    /// At most `n` items in a batch, from 1. The default is 100.
    ///
    /// # Panics
    ///
    /// When `n` is 0; [`try_max_size`](Self::try_max_size) returns the error.
    /// When the batcher was used or cloned.
    #[track_caller]
    #[must_use]
    pub fn max_size(self, n: usize) -> Self {
        match self.try_max_size(n) {
            Ok(batcher) => batcher,
            Err(error) => error.panic(),
        }
    }

    /// [`max_size`](Self::max_size), for values that come from configuration.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] when `n` is 0.
    ///
    /// # Panics
    ///
    /// When the batcher was used or cloned.
    #[track_caller]
    pub fn try_max_size(mut self, n: usize) -> Result<Self, ConfigError> {
        let n = at_least_one("max_size", n)?;
        self.shared_mut().settings.max_size = n;
        Ok(self.resized())
    }

    /// A batch that is not full is flushed after `d`, counted from its first
    /// item: [`linger`](Self::linger) with [`Linger::Fixed`].
    ///
    /// # Panics
    ///
    /// When the batcher was used or cloned.
    #[track_caller]
    #[must_use]
    pub fn max_wait(self, d: Duration) -> Self {
        self.linger(Linger::Fixed(d))
    }

    /// How long a batch that is not full waits. The default is
    /// [`Linger::Adaptive`].
    ///
    /// # Panics
    ///
    /// When the batcher was used or cloned.
    #[track_caller]
    #[must_use]
    pub fn linger(mut self, linger: Linger) -> Self {
        self.shared_mut().intake.limits_mut().wait = match linger {
            Linger::Adaptive => None,
            Linger::Fixed(wait) => Some(wait),
        };
        self
    }

    /// At most `n` bytes in a batch, from 1, as `bytes_of` counts them. An item
    /// with more is flushed alone. The default is no such bound.
    ///
    /// `bytes_of` is called once per item, by who submits it; if it panics, that
    /// caller panics and the item was not accepted.
    ///
    /// # Panics
    ///
    /// When `n` is 0; [`try_max_bytes`](Self::try_max_bytes) returns the error.
    /// When the batcher was used or cloned.
    #[track_caller]
    #[must_use]
    pub fn max_bytes(
        self,
        n: usize,
        bytes_of: impl Fn(&T) -> usize + Send + Sync + 'static,
    ) -> Self {
        match self.try_max_bytes(n, bytes_of) {
            Ok(batcher) => batcher,
            Err(error) => error.panic(),
        }
    }

    /// [`max_bytes`](Self::max_bytes), for values that come from configuration.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] when `n` is 0.
    ///
    /// # Panics
    ///
    /// When the batcher was used or cloned.
    #[track_caller]
    pub fn try_max_bytes(
        mut self,
        n: usize,
        bytes_of: impl Fn(&T) -> usize + Send + Sync + 'static,
    ) -> Result<Self, ConfigError> {
        let shared = self.shared_mut();
        shared.intake.limits_mut().bytes = at_least_one("max_bytes", n)?;
        shared.settings.bytes_of = Some(Box::new(bytes_of));
        Ok(self)
    }

    /// At most `n` flushes at a time, from 1. The default is 1, which keeps the
    /// order from batch to batch.
    ///
    /// # Panics
    ///
    /// When `n` is 0; [`try_max_in_flight`](Self::try_max_in_flight) returns the
    /// error. When the batcher was used or cloned.
    #[track_caller]
    #[must_use]
    pub fn max_in_flight(self, n: usize) -> Self {
        match self.try_max_in_flight(n) {
            Ok(batcher) => batcher,
            Err(error) => error.panic(),
        }
    }

    /// [`max_in_flight`](Self::max_in_flight), for values that come from
    /// configuration.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] when `n` is 0.
    ///
    /// # Panics
    ///
    /// When the batcher was used or cloned.
    #[track_caller]
    pub fn try_max_in_flight(mut self, n: usize) -> Result<Self, ConfigError> {
        self.shared_mut().settings.max_in_flight = at_least_one("max_in_flight", n)?;
        Ok(self)
    }

    /// At most `n` items accepted and not yet in a flush, from 1. Further
    /// callers wait for a place, or are refused. The default is ten times
    /// [`max_size`](Self::max_size). A batch with `n` callers is full, whatever
    /// its size.
    ///
    /// # Panics
    ///
    /// When `n` is 0; [`try_queue`](Self::try_queue) returns the error. When the
    /// batcher was used or cloned.
    #[track_caller]
    #[must_use]
    pub fn queue(self, n: usize) -> Self {
        match self.try_queue(n) {
            Ok(batcher) => batcher,
            Err(error) => error.panic(),
        }
    }

    /// [`queue`](Self::queue), for values that come from configuration.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] when `n` is 0.
    ///
    /// # Panics
    ///
    /// When the batcher was used or cloned.
    #[track_caller]
    pub fn try_queue(mut self, n: usize) -> Result<Self, ConfigError> {
        self.shared_mut().settings.queue = Some(at_least_one("queue", n)?);
        Ok(self.resized())
    }

    /// When a batch fails as a whole, or its flush panics, flushes its halves
    /// instead, and theirs, down to single items: only those that make a flush
    /// fail get the error.
    ///
    /// For a flush that does all or nothing, such as a transaction: it is called
    /// again with items that it has seen. One bad item among `n` costs at most
    /// `2·log₂ n` further calls, `n` bad ones `2n - 2`. Copies every batch.
    ///
    /// # Panics
    ///
    /// When the batcher was used or cloned.
    #[track_caller]
    #[must_use]
    pub fn bisect(mut self) -> Self
    where
        T: Clone,
    {
        self.shared_mut().settings.copy_items = Some(<[T]>::to_vec);
        self
    }

    /// Items with equal keys in one batch are flushed once, as the first of them
    /// came, and all their callers get its result. The others are dropped.
    ///
    /// `key_of` runs under the batcher's lock: it must be short, and may not use
    /// the batcher. If it panics, that caller panics and the item was not
    /// accepted.
    ///
    /// # Panics
    ///
    /// When the batcher was used or cloned.
    ///
    /// # Example
    ///
    /// ```
    /// use plimsoll_batch::Batcher;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// let load = |ids: Vec<u32>| async move {
    ///     assert_eq!(ids, [7, 8]); // asked for three times, loaded twice
    ///     Ok::<_, std::fmt::Error>(ids.iter().map(|id| format!("user {id}")).collect::<Vec<_>>())
    /// };
    /// let users = Batcher::new(load).dedup_by(|id| *id);
    /// let (a, b, c) = tokio::join!(users.submit(7), users.submit(8), users.submit(7));
    /// assert_eq!((a.unwrap(), b.unwrap(), c.unwrap()), ("user 7".into(), "user 8".into(), "user 7".into()));
    /// # }
    /// ```
    #[track_caller]
    #[must_use]
    pub fn dedup_by<K>(mut self, key_of: impl Fn(&T) -> K + Send + Sync + 'static) -> Self
    where
        K: Eq + Hash + Send + 'static,
        R: Clone,
        E: Clone,
    {
        let key_of = Arc::new(key_of);
        let settings = &mut self.shared_mut().settings;
        settings.copy_answer = Some(Answer::<R, E>::clone);
        settings.seen = Some(Box::new(move || {
            let key_of = Arc::clone(&key_of);
            let mut places = HashMap::new();
            Box::new(move |item, next| {
                let place = *places.entry(key_of(item)).or_insert(next);
                (place != next).then_some(place)
            })
        }));
        self
    }

    /// Who is told of pushed items whose flush failed, once for each. The
    /// default is nobody, and [`drain`](Self::drain) counts them.
    ///
    /// # Panics
    ///
    /// When the batcher was used or cloned. A panic of `handler` ends the
    /// telling for its batch, and goes to the panic hook only.
    #[track_caller]
    #[must_use]
    pub fn on_push_error(
        mut self,
        handler: impl Fn(SubmitError<E>) + Send + Sync + 'static,
    ) -> Self {
        self.shared_mut().settings.on_push_error = Some(Box::new(handler));
        self
    }

    #[track_caller]
    fn shared_mut(&mut self) -> &mut Shared<T, R, E> {
        let shared =
            Arc::get_mut(&mut self.handle).and_then(|handle| Arc::get_mut(&mut handle.shared));
        match shared {
            Some(shared) => shared,
            None => panic!("a batcher's settings must come before its first use and first clone"),
        }
    }

    /// Brings the queue in line with the settings.
    #[track_caller]
    fn resized(mut self) -> Self {
        let shared = self.shared_mut();
        let wanted = shared.settings.limits();
        let limits = shared.intake.limits_mut();
        (limits.size, limits.queue) = (wanted.size, wanted.queue);
        shared.places = Semaphore::new(wanted.queue);
        self
    }
}

fn at_least_one(field: &'static str, n: usize) -> Result<usize, ConfigError> {
    if n == 0 { Err(ConfigError::new(field, n, "at least 1")) } else { Ok(n) }
}
