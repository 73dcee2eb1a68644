//! A pipeline as a stream.

use crate::{
    error::RunError,
    flow::Flow,
    item::{Fate, Item, Mark},
    supervisor::Supervisor,
};
use futures_core::Stream;
use plimsoll_channel::{Prefetch, Receiver};
use std::{
    fmt,
    pin::Pin,
    task::{Context, Poll, ready},
};

/// After so many items that were there at once, the run is looked at.
const LOOK_EVERY: u32 = 64;

/// What comes out of a pipeline: made by
/// [`Pipeline::into_stream`](crate::Pipeline::into_stream).
///
/// # Cancel safety
///
/// Dropping the future of `next()` loses nothing. Dropping the stream cuts the
/// pipeline off.
#[must_use = "a stream does nothing unless it is polled"]
pub struct Results<L: Flow> {
    /// `None` when everything has come.
    rx: Option<Prefetch<Item<L::Item, L::Mark>>>,
    supervisor: Supervisor,
    /// Items since the run was looked at.
    unseen: u32,
    /// How the run ended, once it has: with an error that is still to be told.
    end: Option<Option<RunError>>,
}

impl<L: Flow> Results<L> {
    pub(crate) fn new(
        supervisor: Supervisor,
        receivers: Vec<Receiver<Item<L::Item, L::Mark>>>,
    ) -> Self {
        let rx = receivers.into_iter().next().map(|rx| rx.into_prefetch(crate::pace::CHUNK));
        Self { rx, supervisor, unseen: 0, end: None }
    }
}

/// No item is ever pinned.
impl<L: Flow> Unpin for Results<L> {}

impl<L: Flow> Stream for Results<L> {
    type Item = Result<L::Item, RunError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let Self { rx, supervisor, unseen, end } = &mut *self;
        // Where there is always another item, a deadline passes all the same.
        *unseen += 1;
        if end.is_none() && (*unseen >= LOOK_EVERY || supervisor.is_stopping()) {
            *unseen = 0;
            if let Poll::Ready(report) = supervisor.poll_end(cx) {
                *end = Some(report.err());
            }
        }
        loop {
            if let Some(results) = rx {
                match Pin::new(results).poll_next(cx) {
                    Poll::Ready(Some(Item { value, mark })) => {
                        mark.end(Fate::Written, &mut supervisor.ledger().tally());
                        return Poll::Ready(Some(Ok(value)));
                    }
                    Poll::Ready(None) => *rx = None,
                    // Everything has ended, but a task that cannot be cut off.
                    Poll::Pending if end.is_some() => *rx = None,
                    Poll::Pending => {}
                }
            }
            match end {
                Some(_) if rx.is_some() => {}
                Some(told) => return Poll::Ready(told.take().map(Err)),
                None => {
                    let report = ready!(supervisor.poll_end(cx));
                    *end = Some(report.err());
                }
            }
        }
    }
}

impl<L: Flow> fmt::Debug for Results<L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Results").field("ended", &self.end.is_some()).finish()
    }
}
