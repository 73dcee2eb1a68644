//! The replies of one batch: its callers share a slab and hold an index each.

use crate::{
    SubmitError,
    sync::{Arc, Mutex, MutexGuard},
    wakers::wake_all,
};
use std::{
    mem,
    pin::Pin,
    sync::PoisonError,
    task::{Context, Poll, Waker},
};

pub(crate) type Answer<R, E> = Result<R, SubmitError<E>>;

/// One allocation for a batch, where a channel per caller would be one for each.
pub(crate) struct Slab<R, E> {
    state: Mutex<State<R, E>>,
}

struct State<R, E> {
    /// Who waits, by the index of the caller. Grows to whoever looks first.
    wakers: Vec<Option<Waker>>,
    /// Comes all at once; a caller takes its own.
    answers: Option<Vec<Option<Answer<R, E>>>>,
}

impl<R, E> Slab<R, E> {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self { state: Mutex::new(State { wakers: Vec::new(), answers: None }) })
    }

    /// Has an answer for each caller, in the order of their indices. Called once,
    /// and followed by [`wake`](Self::wake).
    pub(crate) fn answer(&self, answers: Vec<Answer<R, E>>) {
        let answers = answers.into_iter().map(Some).collect();
        self.state().answers = Some(answers);
    }

    /// Wakes everybody who waits.
    pub(crate) fn wake(&self) {
        let wakers = mem::take(&mut self.state().wakers);
        wake_all(wakers.into_iter().flatten());
    }

    /// The answer, if it is there; else the waker that is not needed, if it is
    /// another than that which waits now.
    fn poll(&self, index: usize, waker: Waker) -> Result<Answer<R, E>, Option<Waker>> {
        let mut state = self.state();
        if let Some(answer) = state.take(index) {
            return Ok(answer);
        }
        if state.wakers.len() <= index {
            state.wakers.resize_with(index + 1, || None);
        }
        match &mut state.wakers[index] {
            Some(known) if known.will_wake(&waker) => Err(Some(waker)),
            known => Err(known.replace(waker)),
        }
    }

    fn state(&self) -> MutexGuard<'_, State<R, E>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<R, E> State<R, E> {
    /// The answer, if it is there.
    fn take(&mut self, index: usize) -> Option<Answer<R, E>> {
        let answer = self.answers.as_mut()?.get_mut(index).and_then(Option::take);
        if answer.is_none() {
            panic!("a reply was polled after it was given");
        }
        answer
    }
}

/// The result of an item that was accepted: a future.
///
/// # Cancel safety
///
/// Dropped, the item is flushed all the same and its result is discarded.
///
/// # Panics
///
/// When it is polled after it has given its result.
#[must_use = "the item is flushed anyway, but its result is lost"]
pub struct Reply<R, E> {
    slab: Arc<Slab<R, E>>,
    index: usize,
    /// A waker waits in the slab already.
    waits: bool,
}

impl<R, E> Reply<R, E> {
    pub(crate) fn new(slab: Arc<Slab<R, E>>, index: usize) -> Self {
        Self { slab, index, waits: false }
    }
}

impl<R, E> Future for Reply<R, E> {
    type Output = Result<R, SubmitError<E>>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        if self.waits {
            let answer = self.slab.state().take(self.index);
            if let Some(answer) = answer {
                return Poll::Ready(answer);
            }
        }
        // Cloned and dropped outside of the lock: a waker is others' code.
        match self.slab.poll(self.index, cx.waker().clone()) {
            Ok(answer) => Poll::Ready(answer),
            Err(_unneeded) => {
                self.waits = true;
                Poll::Pending
            }
        }
    }
}
