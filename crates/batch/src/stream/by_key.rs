//! A group for each key.

use super::Group;
use crate::{Emitted, intake::later};
use futures_core::Stream;
use plimsoll_core::ConfigError;
use std::{
    collections::{BTreeMap, HashMap},
    fmt,
    hash::Hash,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};
use tokio::time::{Instant, Sleep, sleep_until};

/// So many groups are open at once unless set otherwise.
const MAX_GROUPS: usize = 1_024;

/// A stream of the groups of another, by key: see
/// [`batched_by_key`](super::BatchStreamExt::batched_by_key).
#[must_use = "streams do nothing unless they are polled"]
pub struct BatchedByKey<S: Stream, K, F> {
    /// `None` when it has ended: it is not polled again.
    stream: Option<Pin<Box<S>>>,
    size: usize,
    linger: Duration,
    max_groups: usize,
    key_of: F,
    /// Never empty ones. Numbered as they are opened: as all may be equally old,
    /// the first is the next that is due.
    groups: BTreeMap<u64, Open<K, S::Item>>,
    numbers: HashMap<K, u64>,
    opened: u64,
    /// Made once, and set anew for each group that has to wait.
    timer: Option<Pin<Box<Sleep>>>,
}

struct Open<K, T> {
    key: K,
    items: Vec<T>,
    due: Instant,
}

impl<S: Stream, K: Eq + Hash + Clone, F> BatchedByKey<S, K, F> {
    pub(crate) fn new(
        stream: S,
        size: usize,
        linger: Duration,
        key_of: F,
    ) -> Result<Self, ConfigError> {
        if size == 0 {
            return Err(ConfigError::new("size", size, "at least 1"));
        }
        Ok(Self {
            stream: Some(Box::pin(stream)),
            size,
            linger,
            max_groups: MAX_GROUPS,
            key_of,
            groups: BTreeMap::new(),
            numbers: HashMap::new(),
            opened: 0,
            timer: None,
        })
    }

    /// At most `n` groups are open at once, from 1; with that, at most `n` times
    /// `size` items are held. The default is 1,024. An item of one key more makes
    /// the oldest group come early, as [`Emitted::Crowded`].
    ///
    /// # Panics
    ///
    /// When `n` is 0; [`checked_max_groups`](Self::checked_max_groups) returns
    /// the error.
    #[track_caller]
    pub fn max_groups(self, n: usize) -> Self {
        match self.checked_max_groups(n) {
            Ok(batched) => batched,
            Err(error) => error.panic(),
        }
    }

    /// [`max_groups`](Self::max_groups), for a number that comes from
    /// configuration.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] when `n` is 0.
    pub fn checked_max_groups(mut self, n: usize) -> Result<Self, ConfigError> {
        if n == 0 {
            return Err(ConfigError::new("max_groups", n, "at least 1"));
        }
        self.max_groups = n;
        Ok(self)
    }

    /// The stream, unless it has ended, and the groups under way with their
    /// keys, the oldest first.
    #[must_use]
    #[expect(clippy::type_complexity, reason = "a name for it would say less")]
    pub fn into_parts(self) -> (Option<Pin<Box<S>>>, Vec<(K, Vec<S::Item>)>) {
        let groups = self.groups.into_values().map(|open| (open.key, open.items));
        (self.stream, groups.collect())
    }

    /// Adds the item to the group of its key; a group, if one has to go.
    fn push(&mut self, key: K, item: S::Item, now: Instant) -> Option<(K, Group<S::Item>)> {
        if let Some(number) = self.numbers.get(&key).copied() {
            let open = self.groups.get_mut(&number)?;
            open.items.push(item);
            return (open.items.len() >= self.size).then(|| self.take(number, Emitted::Full))?;
        }
        if self.size == 1 {
            return Some((key, Group::new(vec![item], Emitted::Full)));
        }
        let crowded = if self.groups.len() >= self.max_groups {
            self.take_oldest(Emitted::Crowded)
        } else {
            None
        };
        let due = later(now, self.linger);
        self.groups.insert(self.opened, Open { key: key.clone(), items: vec![item], due });
        self.numbers.insert(key, self.opened);
        self.opened += 1;
        crowded
    }

    fn take(&mut self, number: u64, why: Emitted) -> Option<(K, Group<S::Item>)> {
        let Open { key, items, .. } = self.groups.remove(&number)?;
        self.numbers.remove(&key);
        Some((key, Group::new(items, why)))
    }

    fn take_oldest(&mut self, why: Emitted) -> Option<(K, Group<S::Item>)> {
        let (number, _) = self.groups.first_key_value()?;
        self.take(*number, why)
    }

    /// The oldest group when it is old enough.
    fn poll_old(&mut self, cx: &mut Context<'_>) -> Poll<Option<(K, Group<S::Item>)>> {
        let Some((_, oldest)) = self.groups.first_key_value() else { return Poll::Pending };
        let due = oldest.due;
        let timer = self.timer.get_or_insert_with(|| Box::pin(sleep_until(due)));
        if timer.deadline() != due {
            timer.as_mut().reset(due);
        }
        ready!(timer.as_mut().poll(cx));
        Poll::Ready(self.take_oldest(Emitted::Waited))
    }
}

// The items are moved, never pinned.
impl<S: Stream, K, F> Unpin for BatchedByKey<S, K, F> {}

impl<S, K, F> Stream for BatchedByKey<S, K, F>
where
    S: Stream,
    K: Eq + Hash + Clone,
    F: FnMut(&S::Item) -> K,
{
    type Item = (K, Group<S::Item>);

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        // Once per poll, and not per item: a group opened in this poll is as old
        // as the poll. Asked first, or a stream that is always ready with other
        // keys would hold a rare one's group for ever.
        let now = Instant::now();
        if this.groups.first_key_value().is_some_and(|(_, oldest)| oldest.due <= now) {
            return Poll::Ready(this.take_oldest(Emitted::Waited));
        }
        loop {
            let Some(inner) = &mut this.stream else {
                return Poll::Ready(this.take_oldest(Emitted::Ended));
            };
            match inner.as_mut().poll_next(cx) {
                Poll::Ready(Some(item)) => {
                    let key = (this.key_of)(&item);
                    if let Some(group) = this.push(key, item, now) {
                        return Poll::Ready(Some(group));
                    }
                }
                Poll::Ready(None) => this.stream = None,
                Poll::Pending => return this.poll_old(cx),
            }
        }
    }
}

impl<S: Stream, K, F> fmt::Debug for BatchedByKey<S, K, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BatchedByKey").field("groups", &self.groups.len()).finish_non_exhaustive()
    }
}
