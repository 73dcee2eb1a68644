//! Sources that come and go while the stream runs.

use super::{FanIn, SourceId};
use crate::{
    ready::Ready,
    sync::{Mutex, lock},
};
use futures_core::Stream;
use plimsoll_core::Priority;
use std::{error, fmt, mem, pin::Pin, sync::Arc};

/// The member of `Ready` that stands for the inbox.
pub(super) const INBOX: usize = 0;

/// What handles ask for, until the stream is polled.
pub(super) struct Inbox<S> {
    asked: Mutex<Asked<S>>,
    ready: Arc<Ready>,
}

pub(super) struct Asked<S> {
    pub(super) add: Vec<New<S>>,
    pub(super) remove: Vec<SourceId>,
    next: u64,
    pub(super) handles: usize,
    closed: bool,
}

pub(super) struct New<S> {
    pub(super) id: SourceId,
    pub(super) priority: Priority,
    pub(super) stream: Pin<Box<S>>,
}

impl<S> Inbox<S> {
    pub(super) fn new(ready: Arc<Ready>) -> Self {
        let asked =
            Asked { add: Vec::new(), remove: Vec::new(), next: 0, handles: 0, closed: false };
        Self { asked: Mutex::new(asked), ready }
    }

    pub(super) fn add(&self, priority: Priority, stream: S) -> Result<SourceId, Gone<S>> {
        let id = {
            let mut asked = lock(&self.asked);
            if asked.closed {
                return Err(Gone(stream));
            }
            let id = SourceId(asked.next);
            asked.next += 1;
            asked.add.push(New { id, priority, stream: Box::pin(stream) });
            id
        };
        self.ready.wake(INBOX);
        Ok(id)
    }

    /// All that was asked for, and how many handles there are.
    pub(super) fn take(&self) -> (Vec<New<S>>, Vec<SourceId>, usize) {
        let mut asked = lock(&self.asked);
        (mem::take(&mut asked.add), mem::take(&mut asked.remove), asked.handles)
    }

    pub(super) fn handle(self: &Arc<Self>) -> FanInHandle<S> {
        lock(&self.asked).handles += 1;
        self.ready.wake(INBOX); // the stream may think that there is none
        FanInHandle { inbox: Arc::clone(self) }
    }

    pub(super) fn close(&self) {
        let added = {
            let mut asked = lock(&self.asked);
            asked.closed = true;
            mem::take(&mut asked.add)
        };
        drop(added);
    }
}

/// Adds sources to a [`FanIn`] that runs, and removes them. While there is a
/// handle, the stream does not end.
pub struct FanInHandle<S> {
    inbox: Arc<Inbox<S>>,
}

impl<S: Stream> FanInHandle<S> {
    /// Adds a source of normal priority.
    ///
    /// # Errors
    ///
    /// [`Gone`] hands the source back if the [`FanIn`] was dropped.
    pub fn add(&self, source: S) -> Result<SourceId, Gone<S>> {
        self.add_with(Priority::NORMAL, source)
    }

    /// Adds a source.
    ///
    /// # Errors
    ///
    /// [`Gone`] hands the source back if the [`FanIn`] was dropped.
    pub fn add_with(&self, priority: Priority, source: S) -> Result<SourceId, Gone<S>> {
        self.inbox.add(priority, source)
    }

    /// Drops a source the next time the [`FanIn`] is polled, with what it would
    /// still have yielded. One that has ended, or was removed, is no error.
    pub fn remove(&self, source: SourceId) {
        lock(&self.inbox.asked).remove.push(source);
        self.inbox.ready.wake(INBOX);
    }
}

impl<S> Clone for FanInHandle<S> {
    fn clone(&self) -> Self {
        self.inbox.handle()
    }
}

impl<S> Drop for FanInHandle<S> {
    fn drop(&mut self) {
        lock(&self.inbox.asked).handles -= 1;
        self.inbox.ready.wake(INBOX);
    }
}

impl<S> fmt::Debug for FanInHandle<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FanInHandle").finish_non_exhaustive()
    }
}

/// The [`FanIn`] was dropped; here is the source that was to be added.
pub struct Gone<S>(pub S);

impl<S> fmt::Debug for Gone<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gone").finish_non_exhaustive()
    }
}

impl<S> fmt::Display for Gone<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the stream that the source was to be added to is gone")
    }
}

impl<S> error::Error for Gone<S> {}

impl<S: Stream> FanIn<S> {
    /// A handle that adds and removes sources. While there is one, the stream
    /// does not end, also when it has no source.
    #[must_use]
    pub fn handle(&self) -> FanInHandle<S> {
        self.inbox.handle()
    }
}
