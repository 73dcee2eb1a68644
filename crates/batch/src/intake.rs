//! Where accepted items gather, and which of them are due. Knows the time only
//! as it is told, and no runtime.

use crate::{
    slab::Slab,
    sync::{Arc, Mutex, MutexGuard},
};
use std::{
    collections::VecDeque,
    sync::PoisonError,
    task::{Context, Poll, Waker},
    time::Duration,
};
use tokio::time::Instant;

/// The index of an equal item that is in the batch already; else remembers this
/// one under the index given.
pub(crate) type Seen<T> = Box<dyn FnMut(&T, usize) -> Option<usize> + Send>;

/// When a batch is full or old enough.
#[derive(Clone, Copy)]
pub(crate) struct Limits {
    pub(crate) size: usize,
    /// With so many callers waiting no more can come.
    pub(crate) queue: usize,
    pub(crate) bytes: usize,
    /// `None` where a batch is due as soon as somebody can flush it.
    pub(crate) wait: Option<Duration>,
}

/// Items that are flushed together, and those who wait for them.
pub(crate) struct Batch<T, R, E> {
    pub(crate) items: Vec<T>,
    pub(crate) slab: Arc<Slab<R, E>>,
    /// How many were accepted: more than the items where equal ones share.
    pub(crate) callers: usize,
    /// The item of each caller. Empty where it is the caller's own index.
    pub(crate) shares: Vec<usize>,
    /// The callers who pushed, and so do not wait.
    pub(crate) pushed: Vec<usize>,
    bytes: usize,
    due: Option<Instant>,
    seen: Option<Seen<T>>,
}

impl<T, R, E> Batch<T, R, E> {
    fn new(due: Option<Instant>, seen: Option<Seen<T>>) -> Self {
        Self {
            items: Vec::new(),
            slab: Slab::new(),
            callers: 0,
            shares: Vec::new(),
            pushed: Vec::new(),
            bytes: 0,
            due,
            seen,
        }
    }
}

/// What there is to flush.
pub(crate) enum Due<T, R, E> {
    Now(Batch<T, R, E>),
    /// Not before this, unless the batch fills up first.
    At(Instant),
    Nothing,
    /// Nothing, and nothing will come.
    Ended,
}

pub(crate) struct Intake<T, R, E> {
    state: Mutex<State<T, R, E>>,
    limits: Limits,
}

struct State<T, R, E> {
    /// Full batches, oldest first. Never empty ones.
    full: VecDeque<Batch<T, R, E>>,
    open: Option<Batch<T, R, E>>,
    closed: bool,
    /// Who flushes, while it waits for something to do.
    flusher: Option<Waker>,
}

impl<T, R, E> Intake<T, R, E> {
    pub(crate) fn new(limits: Limits) -> Self {
        let state = State { full: VecDeque::new(), open: None, closed: false, flusher: None };
        Self { state: Mutex::new(state), limits }
    }

    /// The only way to change the limits: before anybody shares the intake.
    pub(crate) fn limits_mut(&mut self) -> &mut Limits {
        &mut self.limits
    }

    pub(crate) fn limits(&self) -> Limits {
        self.limits
    }

    /// Takes an item of so many bytes, and says where its answer will be; or
    /// gives it back when closed. `now` and `seen` are asked once per batch.
    pub(crate) fn accept(
        &self,
        item: T,
        bytes: usize,
        pushed: bool,
        now: impl FnOnce() -> Instant,
        seen: impl Fn() -> Option<Seen<T>>,
    ) -> Result<(Arc<Slab<R, E>>, usize), T> {
        let mut state = self.state();
        if state.closed {
            return Err(item);
        }
        let twin = state.open.as_mut().and_then(|open| {
            let next = open.items.len();
            open.seen.as_mut().and_then(|seen| seen(&item, next))
        });
        let overflows =
            |open: &mut Batch<T, R, E>| open.bytes.saturating_add(bytes) > self.limits.bytes;
        if twin.is_none() {
            if let Some(open) = state.open.take_if(overflows) {
                state.full.push_back(open);
            }
        }
        let is_first = state.open.is_none();
        let open = state.open.get_or_insert_with(|| {
            let due = self.limits.wait.map(|wait| later(now(), wait));
            let mut seen = seen();
            if let Some(seen) = &mut seen {
                seen(&item, 0);
            }
            Batch::new(due, seen)
        });
        let caller = open.callers;
        let place = (Arc::clone(&open.slab), caller);
        open.callers += 1;
        if open.seen.is_some() {
            open.shares.push(twin.unwrap_or(open.items.len()));
        }
        if pushed {
            open.pushed.push(caller);
        }
        if twin.is_none() {
            open.items.push(item);
            open.bytes = open.bytes.saturating_add(bytes);
        }
        let Limits { size, queue, bytes, .. } = self.limits;
        let is_full = open.items.len() >= size || open.callers >= queue || open.bytes >= bytes;
        if is_full {
            let open = state.open.take();
            state.full.extend(open);
        }
        let flusher = if is_first || is_full { state.flusher.take() } else { None };
        drop(state);
        wake(flusher);
        Ok(place)
    }

    /// Whether there is a full batch, as soon as there is anything to do.
    pub(crate) fn poll_any(&self, cx: &Context<'_>) -> Poll<bool> {
        let mut state = self.state();
        if state.full.is_empty() && state.open.is_none() && !state.closed {
            state.flusher = Some(cx.waker().clone());
            return Poll::Pending;
        }
        Poll::Ready(!state.full.is_empty())
    }

    /// What is due at `now`. Where nothing is, `cx` is woken when that may have
    /// changed, other than by time.
    pub(crate) fn next(&self, cx: &Context<'_>, now: Option<Instant>) -> Due<T, R, E> {
        let mut state = self.state();
        if let Some(full) = state.full.pop_front() {
            return Due::Now(full);
        }
        let closed = state.closed;
        let is_due = |open: &mut Batch<T, R, E>| closed || open.due <= now;
        if let Some(open) = state.open.take_if(is_due) {
            return Due::Now(open);
        }
        if closed {
            return Due::Ended;
        }
        state.flusher = Some(cx.waker().clone());
        match state.open.as_ref().and_then(|open| open.due) {
            Some(due) => Due::At(due),
            None => Due::Nothing,
        }
    }

    /// Accepts nothing more. What is here is due at once.
    pub(crate) fn close(&self) {
        let mut state = self.state();
        state.closed = true;
        let flusher = state.flusher.take();
        drop(state);
        wake(flusher);
    }

    /// Closes, and hands out all that nobody will flush.
    pub(crate) fn abandon(&self) -> Vec<Batch<T, R, E>> {
        let mut state = self.state();
        state.closed = true;
        let mut rest = Vec::from(std::mem::take(&mut state.full));
        rest.extend(state.open.take());
        rest
    }

    fn state(&self) -> MutexGuard<'_, State<T, R, E>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// After the lock is released.
fn wake(flusher: Option<Waker>) {
    if let Some(flusher) = flusher {
        flusher.wake();
    }
}

/// `now + wait`, or so late that it makes no difference.
pub(crate) fn later(now: Instant, wait: Duration) -> Instant {
    const YEARS: Duration = Duration::from_secs(30 * 365 * 86_400);
    now.checked_add(wait).unwrap_or_else(|| now + YEARS)
}
