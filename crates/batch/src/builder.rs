//! The settings as they are called.

use crate::{Batcher, Linger, SubmitError, shared::Shared, slab::Answer};
use plimsoll_core::ConfigError;
use std::{collections::HashMap, hash::Hash, sync::Arc, time::Duration};
use tokio::sync::Semaphore;

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
        self.shared_mut().intake.limit(|limits| {
            limits.wait = match linger {
                Linger::Adaptive => None,
                Linger::Fixed(wait) => Some(wait),
            };
        });
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
        let n = at_least_one("max_bytes", n)?;
        let shared = self.shared_mut();
        shared.intake.limit(|limits| limits.bytes = n);
        shared.settings.bytes_of = Some(Box::new(bytes_of));
        Ok(self)
    }

    /// At most `n` flushes at a time, from 1. The default is 1, which keeps the
    /// order from batch to batch. A [`blocking`](Self::blocking) batcher has one
    /// thread, and so one flush at a time.
    ///
    /// # Panics
    ///
    /// When `n` is 0, or more than 1 with a thread;
    /// [`try_max_in_flight`](Self::try_max_in_flight) returns the error. When the
    /// batcher was used or cloned.
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
    /// [`ConfigError`] when `n` is 0, or more than 1 with a thread.
    ///
    /// # Panics
    ///
    /// When the batcher was used or cloned.
    #[track_caller]
    pub fn try_max_in_flight(mut self, n: usize) -> Result<Self, ConfigError> {
        let n = at_least_one("max_in_flight", n)?;
        let settings = &mut self.shared_mut().settings;
        if settings.has_thread && n > 1 {
            return Err(ConfigError::new("max_in_flight", n, "1 where one thread flushes"));
        }
        settings.max_in_flight = n;
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
    /// `2·⌈log₂ n⌉` further calls, `n` bad ones `2n - 2`: where a call that fails
    /// is slow, or fails for reasons of its own, bound them with
    /// [`bisect_within`](Self::bisect_within). Copies every batch.
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
        self.shared_mut().settings.halve = Some((usize::MAX, <[T]>::to_vec));
        self
    }

    /// [`bisect`](Self::bisect) with at most `calls` further calls of the flush
    /// function for a batch, from 2. When they are used up, whoever shares a call
    /// with a bad item gets its error too. `2·⌈log₂ max_size⌉` finds any one bad
    /// item; a database that is down costs no more than that either.
    ///
    /// # Panics
    ///
    /// When `calls` is below 2; [`try_bisect_within`](Self::try_bisect_within)
    /// returns the error. When the batcher was used or cloned.
    #[track_caller]
    #[must_use]
    pub fn bisect_within(self, calls: usize) -> Self
    where
        T: Clone,
    {
        match self.try_bisect_within(calls) {
            Ok(batcher) => batcher,
            Err(error) => error.panic(),
        }
    }

    /// [`bisect_within`](Self::bisect_within), for values that come from
    /// configuration.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] when `calls` is below 2.
    ///
    /// # Panics
    ///
    /// When the batcher was used or cloned.
    #[track_caller]
    pub fn try_bisect_within(mut self, calls: usize) -> Result<Self, ConfigError>
    where
        T: Clone,
    {
        if calls < 2 {
            return Err(ConfigError::new("bisect_within", calls, "at least 2"));
        }
        self.shared_mut().settings.halve = Some((calls, <[T]>::to_vec));
        Ok(self)
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
        shared.intake.limit(|limits| (limits.size, limits.queue) = (wanted.size, wanted.queue));
        shared.places = Semaphore::new(wanted.queue);
        self
    }
}

fn at_least_one(field: &'static str, n: usize) -> Result<usize, ConfigError> {
    if n == 0 { Err(ConfigError::new(field, n, "at least 1")) } else { Ok(n) }
}
