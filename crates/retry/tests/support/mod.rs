//! What the tests of this crate share.
#![allow(dead_code, reason = "each test file uses its part")]

use plimsoll_core::{Clock, Deadline, Tick, TokioClock};
use plimsoll_retry::{Jitter, Retry, RetryIf, Unobserved};
use std::{
    cell::{Cell, RefCell},
    time::Duration,
};

pub(crate) const MS: Duration = Duration::from_millis(1);
pub(crate) const SECOND: Duration = Duration::from_secs(1);

/// Pauses of 100, 200, 400 ms …, with neither jitter nor budget.
pub(crate) fn plain() -> Retry<plimsoll_retry::Refusals, Unobserved, TokioClock> {
    Retry::exponential(100 * MS).jitter(Jitter::None).without_budget().clock(TokioClock)
}

type All<E> = RetryIf<fn(&E) -> bool>;

/// The same for errors of any type, all of which are retried.
pub(crate) fn any_error<E>() -> Retry<All<E>, Unobserved, TokioClock> {
    plain().retry_if(|_| true)
}

pub(crate) fn in_time(time: Duration) -> Deadline {
    Deadline::after_on(&TokioClock, time)
}

/// A dependency that answers from a list, and then for ever as the last of it.
pub(crate) struct Server<T, E> {
    answers: Vec<Result<T, E>>,
    born: Tick,
    calls: RefCell<Vec<u128>>,
}

impl<T: Clone, E: Clone> Server<T, E> {
    pub(crate) fn answering(answers: impl IntoIterator<Item = Result<T, E>>) -> Self {
        let answers = answers.into_iter().collect();
        Self { answers, born: TokioClock.now(), calls: RefCell::default() }
    }

    pub(crate) async fn get(&self) -> Result<T, E> {
        let mut calls = self.calls.borrow_mut();
        calls.push(TokioClock.now().since(self.born).as_millis());
        self.answers[(calls.len() - 1).min(self.answers.len() - 1)].clone()
    }

    /// When it was called, in milliseconds.
    pub(crate) fn calls(&self) -> Vec<u128> {
        self.calls.borrow().clone()
    }
}

/// Counts how many of its guards live.
#[derive(Default)]
pub(crate) struct InFlight {
    pub(crate) now: Cell<u32>,
    pub(crate) peak: Cell<u32>,
}

pub(crate) struct Guard<'a>(&'a InFlight);

impl InFlight {
    pub(crate) fn enter(&self) -> Guard<'_> {
        self.now.set(self.now.get() + 1);
        self.peak.set(self.peak.get().max(self.now.get()));
        Guard(self)
    }
}

impl Drop for Guard<'_> {
    fn drop(&mut self) {
        self.0.now.set(self.0.now.get() - 1);
    }
}
