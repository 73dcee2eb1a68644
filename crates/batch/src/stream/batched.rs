//! Groups of any stream.

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

/// A stream of the groups of another: see
/// [`batched`](super::BatchStreamExt::batched).
#[must_use = "streams do nothing unless they are polled"]
pub struct Batched<S: Stream> {
    /// `None` when it has ended: it is not polled again.
    stream: Option<Pin<Box<S>>>,
    group: Gather<S::Item>,
}

impl<S: Stream> Batched<S> {
    pub(crate) fn new(stream: S, size: usize, linger: Duration) -> Result<Self, ConfigError> {
        Ok(Self { stream: Some(Box::pin(stream)), group: Gather::new(size, linger)? })
    }

    /// The stream, unless it has ended, and the items that were taken from it
    /// and not yielded.
    #[must_use]
    pub fn into_parts(self) -> (Option<Pin<Box<S>>>, Vec<S::Item>) {
        (self.stream, self.group.items)
    }
}

// The items are moved, never pinned.
impl<S: Stream> Unpin for Batched<S> {}

impl<S: Stream> Stream for Batched<S> {
    type Item = Group<S::Item>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let Self { stream, group } = &mut *self;
        let Some(inner) = stream else { return Poll::Ready(None) };
        loop {
            match inner.as_mut().poll_next(cx) {
                Poll::Ready(Some(item)) => {
                    if group.push(item) {
                        return Poll::Ready(Some(group.take(Emitted::Full)));
                    }
                }
                Poll::Ready(None) => {
                    *stream = None;
                    return Poll::Ready(group.rest(Emitted::Ended));
                }
                Poll::Pending => return group.poll_old(cx).map(Some),
            }
        }
    }
}

impl<S: Stream> fmt::Debug for Batched<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Batched").field("held", &self.group.items.len()).finish_non_exhaustive()
    }
}
