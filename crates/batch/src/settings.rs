//! What can be set, and what it is unless set.

use crate::{
    SubmitError,
    intake::{Limits, Seen},
    slab::Answer,
};
use std::time::Duration;
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

const MAX_SIZE: usize = 100;
/// The queue holds so many batches unless set otherwise.
const BATCHES: usize = 10;

type BytesOf<T> = Box<dyn Fn(&T) -> usize + Send + Sync>;
type OnPushError<E> = Box<dyn Fn(SubmitError<E>) + Send + Sync>;
/// How many further calls halving a batch may cost, and how a batch is copied.
pub(crate) type Halve<T> = (usize, fn(&[T]) -> Vec<T>);
/// `Clone`, kept from the setting that demanded it.
type Copied<A> = fn(&A) -> A;

pub(crate) struct Settings<T, R, E> {
    /// It flushes on a thread of its own.
    pub(crate) has_thread: bool,
    pub(crate) max_in_flight: usize,
    pub(crate) max_size: usize,
    pub(crate) queue: Option<usize>,
    pub(crate) bytes_of: Option<BytesOf<T>>,
    pub(crate) halve: Option<Halve<T>>,
    pub(crate) copy_answer: Option<Copied<Answer<R, E>>>,
    pub(crate) seen: Option<Box<dyn Fn() -> Seen<T> + Send + Sync>>,
    pub(crate) on_push_error: Option<OnPushError<E>>,
}

impl<T, R, E> Settings<T, R, E> {
    pub(crate) fn new(has_thread: bool) -> Self {
        Self {
            has_thread,
            max_in_flight: 1,
            max_size: MAX_SIZE,
            queue: None,
            bytes_of: None,
            halve: None,
            copy_answer: None,
            seen: None,
            on_push_error: None,
        }
    }

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
