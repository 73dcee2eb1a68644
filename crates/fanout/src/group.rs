//! Futures that run in the task that polls them.

use crate::{Panicked, caught::caught, ready::Ready};
use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Waker},
};

/// Some futures, of which those are polled that were woken. Places are boxed
/// once and used again.
pub(crate) struct Group<Fut> {
    places: Vec<(Pin<Box<Option<Fut>>>, Waker)>,
    free: Vec<usize>,
    ready: Arc<Ready>,
}

impl<Fut: Future> Group<Fut> {
    pub(crate) fn new() -> Self {
        Self { places: Vec::new(), free: Vec::new(), ready: Arc::default() }
    }

    /// How many have not ended.
    pub(crate) fn len(&self) -> usize {
        self.places.len() - self.free.len()
    }

    /// Takes a future in. Returns its place, which is free again once it ended.
    pub(crate) fn add(&mut self, future: Fut) -> usize {
        let place = match self.free.pop() {
            Some(place) => {
                self.places[place].0.set(Some(future));
                place
            }
            None => {
                let place = self.places.len();
                self.places.push((Box::pin(Some(future)), self.ready.waker(place)));
                place
            }
        };
        self.ready.wake(place);
        place
    }

    /// The next that ends: its place, and its output or its panic. Pending also
    /// when there is none.
    pub(crate) fn poll_next(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<(usize, Result<Fut::Output, Panicked>)> {
        self.ready.watch(cx.waker());
        // Each once: a future that wakes itself has woken this task as well,
        // which other tasks may precede.
        for _ in 0..self.ready.len() {
            let Some(place) = self.ready.next() else { break };
            let (slot, waker) = &mut self.places[place];
            // Woken after its end.
            let Some(future) = slot.as_mut().as_pin_mut() else { continue };
            let mut cx = Context::from_waker(waker);
            let ended = match caught(|| future.poll(&mut cx)) {
                Ok(Poll::Pending) => continue,
                Ok(Poll::Ready(output)) => Ok(output),
                Err(panic) => Err(panic),
            };
            // A panic of its drop would be another one; its result stands.
            let _ = caught(|| slot.set(None));
            self.free.push(place);
            return Poll::Ready((place, ended));
        }
        Poll::Pending
    }
}
