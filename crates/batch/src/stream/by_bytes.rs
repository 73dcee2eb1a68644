//! Groups bounded by bytes as well.

use super::{Group, gather::Gather};
use crate::Emitted;
use futures_core::Stream;
use plimsoll_core::ConfigError;
use std::{
    fmt,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};
use tokio::time::Instant;

/// A stream of the groups of another: see
/// [`batched_by_bytes`](super::BatchStreamExt::batched_by_bytes).
#[must_use = "streams do nothing unless they are polled"]
pub struct BatchedByBytes<S: Stream, F> {
    /// `None` when it has ended: it is not polled again.
    stream: Option<Pin<Box<S>>>,
    group: Gather<S::Item>,
    max: usize,
    bytes_of: F,
    /// How many the group has.
    bytes: usize,
    /// Was too much for the group that was yielded last, and begins the next;
    /// its bytes, and when it came.
    next: Option<(S::Item, usize, Instant)>,
}

impl<S: Stream, F> BatchedByBytes<S, F> {
    pub(crate) fn new(
        stream: S,
        size: usize,
        max: usize,
        linger: Duration,
        bytes_of: F,
    ) -> Result<Self, ConfigError> {
        if max == 0 {
            return Err(ConfigError::new("bytes", max, "at least 1"));
        }
        let (stream, group) = (Some(Box::pin(stream)), Gather::new(size, linger)?);
        Ok(Self { stream, group, max, bytes_of, bytes: 0, next: None })
    }

    /// The stream, unless it has ended, and the items that were taken from it
    /// and not yielded, in its order.
    #[must_use]
    pub fn into_parts(self) -> (Option<Pin<Box<S>>>, Vec<S::Item>) {
        let mut items = self.group.items;
        items.extend(self.next.map(|(item, ..)| item));
        (self.stream, items)
    }

    /// Adds the item; the group, if that makes it full.
    fn push(&mut self, item: S::Item, bytes: usize) -> Option<Group<S::Item>> {
        self.bytes = self.bytes.saturating_add(bytes);
        if self.group.push(item) {
            Some(self.take(Emitted::Full))
        } else if self.bytes >= self.max {
            Some(self.take(Emitted::Heavy))
        } else {
            None
        }
    }

    fn take(&mut self, why: Emitted) -> Group<S::Item> {
        self.bytes = 0;
        self.group.take(why)
    }
}

// The items are moved, never pinned.
impl<S: Stream, F> Unpin for BatchedByBytes<S, F> {}

impl<S, F> Stream for BatchedByBytes<S, F>
where
    S: Stream,
    F: FnMut(&S::Item) -> usize,
{
    type Item = Group<S::Item>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if let Some((item, bytes, came)) = self.next.take() {
            self.group.began(came);
            if let Some(group) = self.push(item, bytes) {
                return Poll::Ready(Some(group));
            }
        }
        loop {
            let Some(inner) = &mut self.stream else { return Poll::Ready(None) };
            match inner.as_mut().poll_next(cx) {
                Poll::Ready(Some(item)) => {
                    let bytes = (self.bytes_of)(&item);
                    let fits = self.bytes.checked_add(bytes).is_some_and(|sum| sum <= self.max);
                    if !fits && !self.group.items.is_empty() {
                        self.next = Some((item, bytes, Instant::now()));
                        return Poll::Ready(Some(self.take(Emitted::Heavy)));
                    }
                    if let Some(group) = self.push(item, bytes) {
                        return Poll::Ready(Some(group));
                    }
                }
                Poll::Ready(None) => {
                    self.stream = None;
                    return Poll::Ready(self.group.rest(Emitted::Ended));
                }
                Poll::Pending => {
                    let old = self.group.poll_old(cx).map(Some);
                    if old.is_ready() {
                        self.bytes = 0;
                    }
                    return old;
                }
            }
        }
    }
}

impl<S: Stream, F> fmt::Debug for BatchedByBytes<S, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let held = self.group.items.len() + usize::from(self.next.is_some());
        f.debug_struct("BatchedByBytes").field("held", &held).finish_non_exhaustive()
    }
}
