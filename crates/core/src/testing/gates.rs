//! The plainest gates that keep every promise: for examples and tests.

use crate::{Admit, Gate, Outcome, Priority, Reason, Rejected, Weigh, sync::Mutex};
use std::{
    collections::VecDeque, fmt, future::poll_fn, sync::PoisonError, task::Poll, task::Waker,
};

/// A counting gate under a mutex: at most `limit` at once.
///
/// For examples and tests. A service wants `plimsoll-backpressure`.
pub struct Places {
    limit: u64,
    waits: bool,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    used: u64,
    line: VecDeque<Waiter>,
    last_id: u64,
}

struct Waiter {
    id: u64,
    weight: u64,
    waker: Waker,
}

/// The name in refusals of [`Places`].
const PLACES: &str = "places";

impl Places {
    /// A gate with `limit` places that refuses when they are taken; 0 admits
    /// nothing.
    #[must_use]
    pub fn new(limit: u64) -> Self {
        Self { limit, waits: false, state: Mutex::new(State::default()) }
    }

    /// Lets work wait in line for a place.
    #[must_use]
    pub fn waiting(self) -> Self {
        Self { waits: true, ..self }
    }

    /// How many places are taken.
    pub fn used(&self) -> u64 {
        self.locked(|state| state.used)
    }

    fn locked<R>(&self, f: impl FnOnce(&mut State) -> R) -> R {
        f(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn fits(&self, state: &State, weight: u64) -> bool {
        state.used.checked_add(weight).is_some_and(|used| used <= self.limit)
    }

    /// Wakes the first in line if there is room for it.
    fn pass_on(&self, state: &State) {
        if let Some(first) = state.line.front().filter(|first| self.fits(state, first.weight)) {
            first.waker.wake_by_ref();
        }
    }
}

impl Gate for Places {
    type Ticket = u64;

    fn leave(&self, weight: u64, _: Outcome) {
        self.locked(|state| {
            state.used -= weight;
            self.pass_on(state);
        });
    }
}

impl Weigh for Places {
    fn try_enter_n(&self, weight: u64) -> Result<u64, Rejected> {
        self.locked(|state| {
            if !state.line.is_empty() || !self.fits(state, weight) {
                return Err(Rejected::new(Reason::Concurrency, PLACES));
            }
            state.used += weight;
            Ok(weight)
        })
    }

    async fn enter_n(&self, weight: u64) -> Result<u64, Rejected> {
        if !self.waits || weight > self.limit {
            return self.try_enter_n(weight);
        }
        let mut place = InLine { gate: self, id: None };
        poll_fn(|cx| {
            self.locked(|state| {
                let first = state.line.front().is_none_or(|first| Some(first.id) == place.id);
                if first && self.fits(state, weight) {
                    if place.id.take().is_some() {
                        state.line.pop_front();
                    }
                    state.used += weight;
                    self.pass_on(state);
                    return Poll::Ready(Ok(weight));
                }
                let id = *place.id.get_or_insert_with(|| {
                    state.last_id += 1;
                    state.last_id
                });
                match state.line.iter_mut().find(|waiter| waiter.id == id) {
                    Some(waiter) => waiter.waker.clone_from(cx.waker()),
                    None => {
                        let waker = cx.waker().clone();
                        state.line.push_back(Waiter { id, weight, waker });
                    }
                }
                Poll::Pending
            })
        })
        .await
    }
}

/// Leaves the line when its future is dropped.
struct InLine<'a> {
    gate: &'a Places,
    id: Option<u64>,
}

impl Drop for InLine<'_> {
    fn drop(&mut self) {
        if let Some(id) = self.id {
            self.gate.locked(|state| {
                state.line.retain(|waiter| waiter.id != id);
                self.gate.pass_on(state);
            });
        }
    }
}

impl<C: ?Sized> Admit<C> for Places {
    fn try_enter(&self, _: &C) -> Result<u64, Rejected> {
        self.try_enter_n(1)
    }

    fn enter<'a>(&'a self, _: &'a C) -> impl Future<Output = Result<u64, Rejected>> + Send + 'a
    where
        C: Sync,
    {
        self.enter_n(1)
    }
}

impl fmt::Debug for Places {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Places").field("limit", &self.limit).finish_non_exhaustive()
    }
}

/// Admits work of at least this priority, and any number of it.
#[derive(Clone, Copy, Debug)]
pub struct AtLeast(pub Priority);

impl Gate for AtLeast {
    type Ticket = ();

    fn leave(&self, (): (), _: Outcome) {}
}

impl Admit<Priority> for AtLeast {
    fn try_enter(&self, priority: &Priority) -> Result<(), Rejected> {
        if *priority < self.0 {
            return Err(Rejected::new(Reason::Overload, "at least"));
        }
        Ok(())
    }
}

/// Admits everything.
pub(super) struct Open;

impl Gate for Open {
    type Ticket = ();

    fn leave(&self, (): (), _: Outcome) {}
}

impl<C: ?Sized> Admit<C> for Open {
    fn try_enter(&self, _: &C) -> Result<(), Rejected> {
        Ok(())
    }
}

pub(super) const SHUT: &str = "shut";

/// Admits nothing.
pub(super) struct Shut;

impl Gate for Shut {
    type Ticket = ();

    fn leave(&self, (): (), _: Outcome) {}
}

impl<C: ?Sized> Admit<C> for Shut {
    fn try_enter(&self, _: &C) -> Result<(), Rejected> {
        Err(Rejected::new(Reason::Closed, SHUT))
    }
}
