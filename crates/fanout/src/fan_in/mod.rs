//! Many streams as one.
//!
//! `turns` decides, `handle` is what comes from outside, and here they are
//! polled, in the task of whoever polls.

mod handle;
#[cfg(all(test, plimsoll_loom))]
mod models;
mod turns;

pub use self::handle::{FanInHandle, Gone};
use self::{
    handle::{INBOX, Inbox, New},
    turns::Turns,
};
use crate::ready::Ready;
use futures_core::Stream;
use plimsoll_core::{ConfigError, Priority};
use std::{
    fmt,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Waker},
};

/// Merges any number of streams, fairly: those that have something take turns,
/// one item each, so that none starves another, however many there are.
///
/// Only streams that were woken are polled. Streams of different types are boxed
/// first (`Box::pin(stream) as Pin<Box<dyn Stream<Item = T> + Send>>`). The
/// merged stream ends when all have, and at once if there is none.
///
/// # Example
///
/// ```
/// use futures::{StreamExt, stream};
/// use plimsoll_fanout::fan_in;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let (a, b) = (stream::iter(vec![1, 2, 3]), stream::iter(vec![10, 20]));
/// let merged: Vec<_> = fan_in([a, b]).collect().await;
/// assert_eq!(merged, [1, 10, 2, 20, 3]);
/// # }
/// ```
pub fn fan_in<I>(sources: I) -> FanIn<I::Item>
where
    I: IntoIterator<Item: Stream>,
{
    // Equals pass nobody.
    FanIn::of(usize::MAX, sources.into_iter().map(|source| (Priority::NORMAL, source)))
}

/// Merges streams by priority: while a higher one has something, lower ones
/// wait; but not for ever. After `age` items of higher ones, a priority that has
/// something has a turn (or right after others that have waited as long).
/// Streams of one priority take turns.
///
/// # Panics
///
/// When `age` is 0; [`checked_fan_in_by_priority`] returns the error.
///
/// # Example
///
/// ```
/// use futures::{StreamExt, stream};
/// use plimsoll_core::Priority;
/// use plimsoll_fanout::fan_in_by_priority;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let alarms = stream::iter(["fire", "flood", "frost", "fog"]);
/// let logs = stream::iter(["a", "b", "c", "d"]);
/// let sources = [(Priority::LOWEST, logs), (Priority::HIGHEST, alarms)];
/// let merged: Vec<_> = fan_in_by_priority(3, sources).collect().await;
/// assert_eq!(merged, ["fire", "flood", "frost", "a", "fog", "b", "c", "d"]);
/// # }
/// ```
#[track_caller]
pub fn fan_in_by_priority<S, I>(age: usize, sources: I) -> FanIn<S>
where
    S: Stream,
    I: IntoIterator<Item = (Priority, S)>,
{
    match checked_fan_in_by_priority(age, sources) {
        Ok(fan_in) => fan_in,
        Err(error) => error.panic(),
    }
}

/// [`fan_in_by_priority`], for an age that comes from configuration.
///
/// # Errors
///
/// [`ConfigError`] when `age` is 0: then no priority would mean anything.
pub fn checked_fan_in_by_priority<S, I>(age: usize, sources: I) -> Result<FanIn<S>, ConfigError>
where
    S: Stream,
    I: IntoIterator<Item = (Priority, S)>,
{
    if age == 0 {
        return Err(ConfigError::new("age", age, "at least 1"));
    }
    Ok(FanIn::of(age, sources))
}

/// Names a source of a [`FanIn`]. Those that it was made of are numbered from 0,
/// in their order, and those added later go on from there; a number is never
/// used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SourceId(u64);

impl SourceId {
    /// Its number.
    #[must_use]
    pub fn number(self) -> u64 {
        self.0
    }
}

/// Many streams as one: see [`fan_in`](fan_in()) and [`fan_in_by_priority`].
///
/// # Cancel safety
///
/// Dropping the future of `next()` loses nothing. Dropping this drops the
/// sources.
///
/// # Panics
///
/// A panic of a source comes out of the poll in which it happens. That source is
/// gone; the others go on if the stream is polled again.
#[must_use = "streams do nothing unless they are polled"]
pub struct FanIn<S: Stream> {
    sources: Vec<Option<Source<S>>>,
    free: Vec<usize>,
    turns: Turns,
    ready: Arc<Ready>,
    inbox: Arc<Inbox<S>>,
    handles: usize,
}

struct Source<S> {
    id: SourceId,
    priority: Priority,
    stream: Pin<Box<S>>,
    waker: Waker,
    /// It waits for a turn.
    listed: bool,
}

impl<S: Stream> FanIn<S> {
    fn of(age: usize, sources: impl IntoIterator<Item = (Priority, S)>) -> Self {
        let ready = Arc::<Ready>::default();
        let inbox = Arc::new(Inbox::new(Arc::clone(&ready)));
        ready.wake(INBOX);
        for (priority, source) in sources {
            // Only a dropped one refuses.
            let _ = inbox.add(priority, source);
        }
        let (sources, free, turns) = (Vec::new(), Vec::new(), Turns::new(age));
        Self { sources, free, turns, ready, inbox, handles: 0 }
    }

    /// The same with each item's source beside it.
    pub fn with_source(self) -> WithSource<S> {
        WithSource(self)
    }

    fn take_inbox(&mut self) {
        let (add, remove, handles) = self.inbox.take();
        self.handles = handles;
        for New { id, priority, stream } in add {
            let place = self.free.pop().unwrap_or(self.sources.len());
            let waker = self.ready.waker(place + INBOX + 1);
            let source = Source { id, priority, stream, waker, listed: true };
            self.turns.add(priority, place);
            if place == self.sources.len() {
                self.sources.push(Some(source));
            } else {
                self.sources[place] = Some(source);
            }
        }
        for id in remove {
            let is_it = |source: &Option<Source<S>>| source.as_ref().is_some_and(|s| s.id == id);
            if let Some(place) = self.sources.iter().position(is_it) {
                self.turns.remove(place);
                self.free.push(place);
                drop(self.sources[place].take());
            }
        }
    }

    /// Everybody who was woken waits for a turn. Looked at once for each poll: a
    /// source that wakes itself each time it is polled has woken this task as
    /// well, which other tasks may precede.
    fn hear(&mut self, cx: &Context<'_>) {
        self.ready.watch(cx.waker());
        while let Some(number) = self.ready.next() {
            let Some(place) = number.checked_sub(INBOX + 1) else {
                self.take_inbox();
                continue;
            };
            // Perhaps for the one that had this place before: a poll in vain.
            if let Some(Some(source)) = self.sources.get_mut(place) {
                if !source.listed {
                    source.listed = true;
                    self.turns.add(source.priority, place);
                }
            }
        }
    }

    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<(SourceId, S::Item)>> {
        self.hear(cx);
        while let Some(place) = self.turns.next() {
            // Out of its place while it is polled: if it panics, it is gone.
            let Some(mut source) = self.sources[place].take() else { continue };
            source.listed = false;
            self.free.push(place);
            let poll = source.stream.as_mut().poll_next(&mut Context::from_waker(&source.waker));
            if matches!(poll, Poll::Ready(None)) {
                continue;
            }
            self.free.pop();
            let (id, priority) = (source.id, source.priority);
            source.listed = poll.is_ready();
            self.sources[place] = Some(source);
            if let Poll::Ready(Some(item)) = poll {
                self.turns.add(priority, place);
                self.turns.used(priority);
                return Poll::Ready(Some((id, item)));
            }
        }
        let over = self.handles == 0 && self.free.len() == self.sources.len();
        if over { Poll::Ready(None) } else { Poll::Pending }
    }
}

// Streams are pinned in boxes of their own.
impl<S: Stream> Unpin for FanIn<S> {}

impl<S: Stream> Stream for FanIn<S> {
    type Item = S::Item;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<S::Item>> {
        self.get_mut().poll_next(cx).map(|next| next.map(|(_, item)| item))
    }
}

impl<S: Stream> Drop for FanIn<S> {
    fn drop(&mut self) {
        self.inbox.close();
    }
}

impl<S: Stream> fmt::Debug for FanIn<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sources = self.sources.len() - self.free.len();
        f.debug_struct("FanIn").field("sources", &sources).finish_non_exhaustive()
    }
}

/// A [`FanIn`] that yields each item with its source: see
/// [`with_source`](FanIn::with_source).
#[derive(Debug)]
#[must_use = "streams do nothing unless they are polled"]
pub struct WithSource<S: Stream>(FanIn<S>);

impl<S: Stream> WithSource<S> {
    /// As [`FanIn::handle`].
    #[must_use]
    pub fn handle(&self) -> FanInHandle<S> {
        self.0.handle()
    }
}

impl<S: Stream> Stream for WithSource<S> {
    type Item = (SourceId, S::Item);

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.get_mut().0.poll_next(cx)
    }
}
