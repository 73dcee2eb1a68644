//! What the workers and the consumer of a pool share: two locks, and who is
//! woken after them.
//!
//! `source` is held while the source is asked, so it is asked by one worker at a
//! time, and the order in which items come is the order in which they are
//! counted. `state` is only ever held for a few steps, inside `source` or
//! without it, never around it.

use super::{
    hand::{Hand, now},
    run::Run,
    state::{After, Ask, Bounds, Pulled, State},
};
use crate::{
    Answer,
    caught::caught,
    load::Hints,
    sync::{Mutex, lock},
};
use futures_core::Stream;
use std::{
    collections::VecDeque,
    future::poll_fn,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

pub(crate) struct Shared<S: Stream, U, E> {
    /// `None` when it has ended: it is not polled again.
    source: Mutex<Option<Pin<Box<S>>>>,
    state: Mutex<State<S::Item, U, E>>,
    hints: Arc<Hints>,
}

impl<S: Stream, U, E> Shared<S, U, E> {
    pub(crate) fn new(source: Pin<Box<S>>, bounds: Bounds, hints: Arc<Hints>) -> Self {
        Self { source: Mutex::new(Some(source)), state: Mutex::new(State::new(bounds)), hints }
    }

    /// One step of the account, and afterwards, without the lock, what follows.
    pub(super) fn step<R>(
        &self,
        step: impl FnOnce(&mut State<S::Item, U, E>, &mut After) -> R,
    ) -> R {
        let mut after = After::default();
        let result = self.step_within(&mut after, step);
        after.run();
        result
    }

    fn step_within<R>(
        &self,
        after: &mut After,
        step: impl FnOnce(&mut State<S::Item, U, E>, &mut After) -> R,
    ) -> R {
        let mut state = lock(&self.state);
        let result = step(&mut state, after);
        self.hints.set(state.held(), state.chunk(), state.resting());
        result
    }

    pub(super) fn hints(&self) -> &Hints {
        &self.hints
    }

    /// The next chunk for `worker`; `None` when it may leave.
    ///
    /// Cancel safe: nothing is pulled but into the result. A worker that rests
    /// and never asks again must leave ([`leave`](Self::leave)).
    pub(crate) async fn pull(self: &Arc<Self>, worker: usize) -> Option<Hand<S, U, E>> {
        poll_fn(|cx| self.poll_pull(worker, cx)).await
    }

    pub(super) fn poll_pull(
        self: &Arc<Self>,
        worker: usize,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Hand<S, U, E>>> {
        let (mut after, mut waker) = (After::default(), Some(cx.waker().clone()));
        let mut ended = None;
        let mut source = lock(&self.source);
        let mut told =
            self.step_within(&mut after, |state, after| state.ask(worker, &mut waker, after));
        let started = now();
        if let Ask::Pull(want) = told {
            let mut items = Vec::with_capacity(want);
            let end = fill(&mut source, &mut items, want, cx);
            if matches!(end, Pulled::Ended | Pulled::Panicked(_)) {
                ended = source.take();
            }
            // Still with the source: if another asked it before this worker is
            // listed as resting, it would find nobody to take its watch.
            told = self.step_within(&mut after, |state, after| {
                state.pulled(worker, items, end, &mut waker, after)
            });
        }
        drop(source);
        after.run();
        drop(ended);
        match told {
            Ask::Run(run) => Poll::Ready(Some(Hand::new(Arc::clone(self), run, started))),
            Ask::Leave => Poll::Ready(None),
            Ask::Rest | Ask::Pull(_) => Poll::Pending,
        }
    }

    /// To be called once by each worker, at its end, whatever that is.
    pub(crate) fn leave(&self) {
        drop(self.step(|state, after| state.leave(after)));
    }

    /// Moves what is finished into `to`, and takes note of what was `yielded`
    /// since the last time. `false` when nothing will come.
    pub(crate) fn poll_take(
        &self,
        to: &mut VecDeque<Run<Answer<U, E>>>,
        yielded: usize,
        cx: &mut Context<'_>,
    ) -> Poll<bool> {
        let waker = cx.waker().clone();
        let taken = self.step(|state, after| {
            state.release(yielded, after);
            state.take(to, waker, after)
        });
        taken.map_or(Poll::Pending, Poll::Ready)
    }

    pub(crate) fn release(&self, yielded: usize) {
        self.step(|state, after| state.release(yielded, after));
    }

    /// Drops the source, and tells the workers to leave. Does not wait for a
    /// worker that asks the source just now: the last to leave drops it then.
    pub(crate) fn close(&self) {
        drop(self.step(|state, after| state.close(after)));
        let source = self.source.try_lock().ok().and_then(|mut source| source.take());
        drop(source);
    }
}

/// Asks the source for up to `want` items.
fn fill<S: Stream>(
    source: &mut Option<Pin<Box<S>>>,
    items: &mut Vec<S::Item>,
    want: usize,
    cx: &mut Context<'_>,
) -> Pulled {
    let Some(source) = source else { return Pulled::Ended };
    let filled = caught(|| {
        while items.len() < want {
            match source.as_mut().poll_next(cx) {
                Poll::Ready(Some(item)) => items.push(item),
                Poll::Ready(None) => return Pulled::Ended,
                Poll::Pending => return Pulled::Pending,
            }
        }
        Pulled::Full
    });
    filled.unwrap_or_else(Pulled::Panicked)
}
