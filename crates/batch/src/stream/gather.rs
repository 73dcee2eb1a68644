//! One group under way: its items and its time.

use super::Group;
use crate::{Emitted, intake::later};
use plimsoll_core::ConfigError;
use std::{
    mem,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};
use tokio::time::{Instant, Sleep, sleep_until};

/// Memory is set aside for so many items at most before they come.
const AHEAD: usize = 1024;

pub(crate) struct Gather<T> {
    pub(crate) items: Vec<T>,
    size: usize,
    linger: Duration,
    /// Made once, and set anew for each group that has to wait.
    timer: Option<Pin<Box<Sleep>>>,
    /// The timer is set for this group.
    armed: bool,
    /// When its first item came, if that was in an earlier poll.
    since: Option<Instant>,
}

impl<T> Gather<T> {
    pub(crate) fn new(size: usize, linger: Duration) -> Result<Self, ConfigError> {
        if size == 0 {
            return Err(ConfigError::new("size", size, "at least 1"));
        }
        Ok(Self { items: Vec::new(), size, linger, timer: None, armed: false, since: None })
    }

    /// Whether the item fills the group.
    #[inline]
    pub(crate) fn push(&mut self, item: T) -> bool {
        if self.items.capacity() == 0 {
            self.items.reserve(self.size.min(AHEAD));
        }
        self.items.push(item);
        self.items.len() >= self.size
    }

    /// The first item of the group to come was taken from the stream then.
    pub(crate) fn began(&mut self, then: Instant) {
        self.since = Some(then);
    }

    pub(crate) fn take(&mut self, why: Emitted) -> Group<T> {
        (self.armed, self.since) = (false, None);
        Group::new(mem::take(&mut self.items), why)
    }

    /// The group, if there is one.
    pub(crate) fn rest(&mut self, why: Emitted) -> Option<Group<T>> {
        if self.items.is_empty() { None } else { Some(self.take(why)) }
    }

    /// The group when it is old enough; asked when the stream has nothing.
    ///
    /// Only here is the clock read. If the timer is not set yet, the first item
    /// came in this very poll, unless it was said to be older.
    pub(crate) fn poll_old(&mut self, cx: &mut Context<'_>) -> Poll<Group<T>> {
        if self.items.is_empty() {
            return Poll::Pending;
        }
        if !self.armed {
            let due = later(self.since.unwrap_or_else(Instant::now), self.linger);
            match &mut self.timer {
                Some(timer) => timer.as_mut().reset(due),
                None => self.timer = Some(Box::pin(sleep_until(due))),
            }
            self.armed = true;
        }
        if let Some(timer) = &mut self.timer {
            ready!(timer.as_mut().poll(cx));
        }
        Poll::Ready(self.take(Emitted::Waited))
    }
}
