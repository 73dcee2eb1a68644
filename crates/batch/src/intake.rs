//! Where accepted items gather, and which of them are due. Knows the time only
//! as it is told, and no runtime.

use crate::{
    Emitted, Stats,
    slab::Slab,
    sync::{Arc, Mutex, MutexGuard},
    wakers::WakeLater,
};
use std::{
    collections::VecDeque,
    mem,
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
    /// Batches are numbered as they are opened, from 0.
    pub(crate) number: u64,
    pub(crate) items: Vec<T>,
    pub(crate) slab: Arc<Slab<R, E>>,
    /// How many were accepted: more than the items where equal ones share.
    pub(crate) callers: usize,
    /// The item of each caller. Empty where it is the caller's own index.
    pub(crate) shares: Vec<usize>,
    /// The callers who pushed, and so do not wait.
    pub(crate) pushed: Vec<usize>,
    /// Why it takes no more; `Free` while it does.
    pub(crate) why: Emitted,
    bytes: usize,
    due: Option<Instant>,
    seen: Option<Seen<T>>,
}

impl<T, R, E> Batch<T, R, E> {
    fn new(number: u64, due: Option<Instant>, seen: Option<Seen<T>>) -> Self {
        Self {
            number,
            items: Vec::new(),
            slab: Slab::new(),
            callers: 0,
            shares: Vec::new(),
            pushed: Vec::new(),
            why: Emitted::Free,
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
    /// Batches that take no more, oldest first. Never empty ones.
    full: VecDeque<Batch<T, R, E>>,
    open: Option<Batch<T, R, E>>,
    /// Batches opened so far.
    opened: u64,
    /// The numbers of those that were handed out and have not ended.
    in_flight: Vec<u64>,
    closed: bool,
    /// Who flushes, while it waits for something to do.
    flusher: Option<Waker>,
    stats: Stats,
}

impl<T, R, E> Intake<T, R, E> {
    pub(crate) fn new(limits: Limits) -> Self {
        let state = State {
            full: VecDeque::new(),
            open: None,
            opened: 0,
            in_flight: Vec::new(),
            closed: false,
            flusher: None,
            stats: Stats::new(limits.size),
        };
        Self { state: Mutex::new(state), limits }
    }

    /// With other limits: before anybody shares the intake.
    pub(crate) fn limit(&mut self, change: impl FnOnce(&mut Limits)) {
        change(&mut self.limits);
        *self = Self::new(self.limits);
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
        // `seen` is the user's, and may panic: whatever was done until then
        // holds, and the flusher hears of it.
        let mut woken = WakeLater::default();
        let state = &mut *self.state();
        if state.closed {
            return Err(item);
        }
        let twin = state.open.as_mut().and_then(|open| {
            let next = open.items.len();
            open.seen.as_mut().and_then(|seen| seen(&item, next))
        });
        if twin.is_none() {
            let overflows = |open: &Batch<T, R, E>| {
                open.bytes.checked_add(bytes).is_none_or(|sum| sum > self.limits.bytes)
            };
            if state.open.as_ref().is_some_and(overflows) {
                state.seal(Emitted::Heavy);
                woken.0 = state.flusher.take();
            }
        }
        let open = match &mut state.open {
            Some(open) => open,
            None => {
                let due = self.limits.wait.map(|wait| later(now(), wait));
                let mut seen = seen();
                if let Some(seen) = &mut seen {
                    seen(&item, 0);
                }
                woken.0 = woken.0.take().or_else(|| state.flusher.take());
                let number = state.opened;
                state.opened += 1;
                state.open.insert(Batch::new(number, due, seen))
            }
        };
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
        let why = if open.items.len() >= size || open.callers >= queue {
            Emitted::Full
        } else if open.bytes >= bytes {
            Emitted::Heavy
        } else {
            return Ok(place);
        };
        state.seal(why);
        woken.0 = woken.0.take().or_else(|| state.flusher.take());
        Ok(place)
    }

    /// Whether there is a full batch, as soon as there is anything to do.
    pub(crate) fn poll_any(&self, cx: &Context<'_>) -> Poll<bool> {
        let mut state = self.state();
        if state.full.is_empty() && state.open.is_none() && !state.closed {
            state.wake_up(cx.waker());
            return Poll::Pending;
        }
        Poll::Ready(!state.full.is_empty())
    }

    /// What is due at `now`. Where nothing is, `cx` is woken when that may have
    /// changed, other than by time.
    pub(crate) fn next(&self, cx: &Context<'_>, now: Option<Instant>) -> Due<T, R, E> {
        let mut state = self.state();
        if let Some(batch) = state.full.pop_front() {
            return Due::Now(state.hand_out(batch));
        }
        let closed = state.closed;
        let is_due = |open: &mut Batch<T, R, E>| closed || open.due <= now;
        if let Some(mut open) = state.open.take_if(is_due) {
            open.why = match open.due {
                _ if closed => Emitted::Ended,
                Some(_) => Emitted::Waited,
                None => Emitted::Free,
            };
            return Due::Now(state.hand_out(open));
        }
        if closed {
            return Due::Ended;
        }
        state.wake_up(cx.waker());
        match state.open.as_ref().and_then(|open| open.due) {
            Some(due) => Due::At(due),
            None => Due::Nothing,
        }
    }

    /// A batch that was handed out has ended: its callers have been told.
    pub(crate) fn finished(&self, number: u64) {
        self.state().in_flight.retain(|known| *known != number);
    }

    /// What was accepted until now is due at once; the number of batches that
    /// this is.
    pub(crate) fn seal(&self) -> u64 {
        let mut woken = WakeLater::default();
        let mut state = self.state();
        state.seal(Emitted::Asked);
        woken.0 = state.flusher.take();
        state.opened
    }

    /// Whether the first `batches` that were opened have all ended.
    pub(crate) fn have_ended(&self, batches: u64) -> bool {
        let state = self.state();
        let waiting = state.full.iter().map(|batch| batch.number);
        let mut numbers = waiting.chain(state.in_flight.iter().copied());
        numbers.all(|number| number >= batches)
    }

    pub(crate) fn stats(&self) -> Stats {
        self.state().stats
    }

    /// Accepts nothing more. What is here is due at once.
    pub(crate) fn close(&self) {
        let mut woken = WakeLater::default();
        let mut state = self.state();
        state.closed = true;
        woken.0 = state.flusher.take();
    }

    /// Closes, and hands out all that nobody will flush.
    pub(crate) fn abandon(&self) -> Vec<Batch<T, R, E>> {
        let mut state = self.state();
        state.closed = true;
        state.seal(Emitted::Ended);
        let rest = Vec::from(mem::take(&mut state.full));
        state.in_flight.extend(rest.iter().map(|batch| batch.number));
        rest
    }

    /// Everything under the lock is whole whenever something may panic, so a
    /// poisoned one is as good as any.
    fn state(&self) -> MutexGuard<'_, State<T, R, E>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T, R, E> State<T, R, E> {
    /// The open batch takes no more.
    fn seal(&mut self, why: Emitted) {
        let open = self.open.take();
        self.full.extend(open.map(|open| Batch { why, ..open }));
    }

    fn hand_out(&mut self, batch: Batch<T, R, E>) -> Batch<T, R, E> {
        self.stats.count(batch.why, batch.items.len(), batch.callers);
        self.in_flight.push(batch.number);
        batch
    }

    fn wake_up(&mut self, flusher: &Waker) {
        if !self.flusher.as_ref().is_some_and(|known| known.will_wake(flusher)) {
            self.flusher = Some(flusher.clone());
        }
    }
}

/// `now + wait`, or so late that it makes no difference.
pub(crate) fn later(now: Instant, wait: Duration) -> Instant {
    const YEARS: Duration = Duration::from_secs(30 * 365 * 86_400);
    now.checked_add(wait).unwrap_or_else(|| now + YEARS)
}
