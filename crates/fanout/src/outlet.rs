//! The consumer's end of a pool, and its owner.

use crate::{
    Answer, Placed,
    load::Hints,
    pool::{Bounds, Leave, Run, Shared},
};
use futures_core::Stream;
use std::{
    collections::VecDeque,
    mem,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    vec,
};
use tokio::task::JoinSet;

/// Yields what the pool has finished. Dropped, it closes the pool and aborts
/// its tasks.
pub struct Outlet<S: Stream, U, E> {
    shared: Arc<Shared<S, U, E>>,
    hints: Arc<Hints>,
    /// Taken from the pool and not yielded.
    runs: VecDeque<Run<Answer<U, E>>>,
    current: vec::IntoIter<Answer<U, E>>,
    /// The place of the next result of `current`.
    place: u64,
    /// Yielded, and the pool does not know yet.
    yielded: usize,
    over: bool,
    /// Aborted when it is dropped.
    tasks: JoinSet<()>,
}

impl<S: Stream, U, E> Outlet<S, U, E> {
    /// A pool over `source`; `spawn` starts its workers, each with a `Leave` of
    /// its own.
    pub(crate) fn start(
        source: Pin<Box<S>>,
        bounds: Bounds,
        hints: &Arc<Hints>,
        mut spawn: impl FnMut(&mut JoinSet<()>, Leave<S, U, E>, usize),
    ) -> Self {
        let shared = Arc::new(Shared::new(source, bounds, Arc::clone(hints)));
        let mut tasks = JoinSet::new();
        for worker in 0..bounds.workers {
            spawn(&mut tasks, Leave(Arc::clone(&shared)), worker);
        }
        Self {
            shared,
            hints: Arc::clone(hints),
            runs: VecDeque::new(),
            current: Vec::new().into_iter(),
            place: 0,
            yielded: 0,
            over: false,
            tasks,
        }
    }

    /// The next result and the place of its item in the source.
    #[inline]
    pub(crate) fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Placed<U, E>>> {
        loop {
            if let Some(result) = self.current.next() {
                self.yielded += 1;
                // The workers pull in chunks, so that room is given back alike.
                if self.yielded >= self.hints.chunk() {
                    self.release();
                }
                let place = self.place;
                self.place += 1;
                return Poll::Ready(Some((place, result)));
            }
            if !ready!(self.poll_more(cx)) {
                return Poll::Ready(None);
            }
        }
    }

    #[inline(never)]
    fn release(&mut self) {
        self.shared.release(mem::take(&mut self.yielded));
    }

    /// Goes on to what was finished next; `false` when nothing will be.
    #[inline(never)]
    fn poll_more(&mut self, cx: &mut Context<'_>) -> Poll<bool> {
        loop {
            if let Some(run) = self.runs.pop_front() {
                (self.place, self.current) = (run.first, run.items);
                return Poll::Ready(true);
            }
            if self.over {
                return Poll::Ready(false);
            }
            let yielded = mem::take(&mut self.yielded);
            self.over = !ready!(self.shared.poll_take(&mut self.runs, yielded, cx));
        }
    }

    /// Closes the pool and waits until its tasks have ended.
    pub(crate) async fn shut(mut self) {
        self.shared.close();
        self.tasks.shutdown().await;
    }
}

impl<S: Stream, U, E> Drop for Outlet<S, U, E> {
    fn drop(&mut self) {
        self.shared.close();
    }
}
