//! Wakes the callers of a thread's batches, on their runtime.
//!
//! A thread that wakes a hundred tasks of a runtime pays for each: a lock, and
//! often a system call, while the next batch waits. It wakes one task instead,
//! which wakes the others where that is cheap. The thread looks after it: whom
//! the task has not woken by the time the thread has nothing else to do, the
//! thread wakes itself, so that nobody depends on a runtime that may stand still.

use crate::{
    slab::Slab,
    sync::{Arc, Mutex, MutexGuard},
    wakers::WakeLater,
};
use std::{
    future::poll_fn,
    mem,
    sync::PoisonError,
    task::{Context, Poll, Waker},
};

/// So few are woken right away: it is sooner done than said.
const FEW: usize = 3;

/// Batches that are answered, and whose callers are to be woken.
type Slabs<R, E> = Vec<Arc<Slab<R, E>>>;

pub(crate) struct Teller<R, E> {
    state: Mutex<State<R, E>>,
}

struct State<R, E> {
    slabs: Slabs<R, E>,
    /// How many callers they have.
    callers: usize,
    /// The task, while it waits.
    task: Option<Waker>,
    /// There is a task, and the thread has not ended.
    lives: bool,
}

impl<R, E> Teller<R, E> {
    pub(crate) fn new() -> Self {
        let state = State { slabs: Vec::new(), callers: 0, task: None, lives: false };
        Self { state: Mutex::new(state) }
    }

    /// Wakes the callers of a batch that is answered; where there is a task, it
    /// does so after the next [`ring`](Self::ring).
    pub(crate) fn tell(&self, slab: &Arc<Slab<R, E>>, callers: usize) {
        let mut state = self.state();
        if state.lives {
            state.slabs.push(Arc::clone(slab));
            state.callers += callers;
        } else {
            drop(state);
            slab.wake();
        }
    }

    /// Wakes the task, unless there is so little to do that it is done here.
    /// Whether everybody has been woken.
    pub(crate) fn ring(&self) -> bool {
        let mut task = WakeLater::default();
        let mut state = self.state();
        if state.callers > FEW {
            task.0 = state.task.take();
            return false;
        }
        drop(state);
        self.help();
        true
    }

    /// Wakes whoever was not woken.
    pub(crate) fn help(&self) {
        let slabs = self.state().take();
        slabs.iter().for_each(|slab| slab.wake());
    }

    /// There is no task any more, or nobody else to wake.
    pub(crate) fn end(&self) {
        let mut task = WakeLater::default();
        let mut state = self.state();
        state.lives = false;
        task.0 = state.task.take();
        drop(state);
        self.help();
    }

    /// Whom to wake now; `None` when there will be nobody.
    pub(crate) fn poll(&self, cx: &Context<'_>) -> Poll<Option<Slabs<R, E>>> {
        let mut state = self.state();
        if !state.lives {
            return Poll::Ready(None);
        }
        if state.slabs.is_empty() {
            state.task = Some(cx.waker().clone());
            return Poll::Pending;
        }
        Poll::Ready(Some(state.take()))
    }

    /// There is a task from now on.
    pub(crate) fn begin(&self) {
        self.state().lives = true;
    }

    fn state(&self) -> MutexGuard<'_, State<R, E>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<R, E> State<R, E> {
    fn take(&mut self) -> Slabs<R, E> {
        self.callers = 0;
        mem::take(&mut self.slabs)
    }
}

/// Starts the task, if there is a runtime to run it.
pub(crate) fn spawn<R, E>(teller: &std::sync::Arc<Teller<R, E>>)
where
    R: Send + 'static,
    E: Send + 'static,
{
    if let Ok(runtime) = tokio::runtime::Handle::try_current() {
        teller.begin();
        let life = Life(std::sync::Arc::clone(teller));
        runtime.spawn(async move {
            while let Some(slabs) = poll_fn(|cx| life.0.poll(cx)).await {
                slabs.iter().for_each(|slab| slab.wake());
            }
        });
    }
}

/// The task is alive. Dropped, the thread does it all itself.
struct Life<R, E>(std::sync::Arc<Teller<R, E>>);

impl<R, E> Drop for Life<R, E> {
    fn drop(&mut self) {
        self.0.end();
    }
}
