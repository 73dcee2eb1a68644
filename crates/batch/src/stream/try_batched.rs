//! Groups of a stream of results.

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

/// A stream of the groups of another, and of its errors: see
/// [`try_batched`](super::BatchStreamExt::try_batched).
#[must_use = "streams do nothing unless they are polled"]
pub struct TryBatched<S, T, E> {
    /// `None` when it has ended: it is not polled again.
    stream: Option<Pin<Box<S>>>,
    group: Gather<T>,
    /// Came after the group that was yielded last, and is next.
    error: Option<E>,
}

impl<S, T, E> TryBatched<S, T, E> {
    pub(crate) fn new(stream: S, size: usize, linger: Duration) -> Result<Self, ConfigError> {
        let group = Gather::new(size, linger)?;
        Ok(Self { stream: Some(Box::pin(stream)), group, error: None })
    }

    /// The stream, unless it has ended, and what was taken from it and not
    /// yielded: the items of a group under way, or an error.
    #[must_use]
    pub fn into_parts(self) -> (Option<Pin<Box<S>>>, Vec<T>, Option<E>) {
        (self.stream, self.group.items, self.error)
    }
}

// The items are moved, never pinned.
impl<S, T, E> Unpin for TryBatched<S, T, E> {}

impl<S: Stream<Item = Result<T, E>>, T, E> Stream for TryBatched<S, T, E> {
    type Item = Result<Group<T>, E>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let Self { stream, group, error } = &mut *self;
        if let Some(error) = error.take() {
            return Poll::Ready(Some(Err(error)));
        }
        let Some(inner) = stream else { return Poll::Ready(None) };
        loop {
            match inner.as_mut().poll_next(cx) {
                Poll::Ready(Some(Ok(item))) => {
                    if group.push(item) {
                        return Poll::Ready(Some(Ok(group.take(Emitted::Full))));
                    }
                }
                Poll::Ready(Some(Err(failed))) => {
                    return Poll::Ready(Some(match group.rest(Emitted::Failed) {
                        Some(group) => {
                            *error = Some(failed);
                            Ok(group)
                        }
                        None => Err(failed),
                    }));
                }
                Poll::Ready(None) => {
                    *stream = None;
                    return Poll::Ready(group.rest(Emitted::Ended).map(Ok));
                }
                Poll::Pending => return group.poll_old(cx).map(|group| Some(Ok(group))),
            }
        }
    }
}

impl<S, T, E> fmt::Debug for TryBatched<S, T, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TryBatched").field("held", &self.group.items.len()).finish_non_exhaustive()
    }
}
