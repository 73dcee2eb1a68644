//! Ours, through the calls that users make.

use super::TEN;
use crate::{
    calls::{ended, every_tenth, finished},
    rounds::{Subject, admitted},
};
use plimsoll_breaker::{Builder, CircuitBreaker, State};
use plimsoll_core::{GateExt, Outcome};
use std::{convert::Infallible, future::ready, time::Duration};

/// Opens when half of its window failed, as the peers do. Whatever else can be
/// set is as in a new breaker.
fn built(builder: Builder) -> CircuitBreaker {
    builder.build().expect("a window within the bounds")
}

pub(super) fn calls(window: u32) -> impl Fn() -> CircuitBreaker {
    move || built(CircuitBreaker::builder().window_calls(window))
}

pub(super) fn time(window: Duration) -> impl Fn() -> CircuitBreaker {
    move || built(CircuitBreaker::builder().window(window))
}

/// A permit, and a success.
pub(super) fn closed(name: &str, make: impl Fn() -> CircuitBreaker) -> Subject {
    Subject::shared(name, make, |breaker| finished(breaker, &()))
}

/// One that takes the time of each call too.
pub(super) fn slow(name: &str) -> Subject {
    let slow = || CircuitBreaker::builder().window(TEN).slow_calls(Duration::from_secs(1), 0.9);
    closed(name, move || built(slow()))
}

pub(super) fn run(name: &str, make: impl Fn() -> CircuitBreaker) -> Subject {
    Subject::shared(name, make, |breaker| {
        ended(breaker.run(ready(Ok::<_, Infallible>(())))).is_some_and(admitted)
    })
}

pub(super) fn failing(name: &str, make: impl Fn() -> CircuitBreaker) -> Subject {
    every_tenth(name, make, |breaker, fails| {
        let outcome = if fails { Outcome::Failure } else { Outcome::Success };
        admitted(breaker.try_admit().map(|permit| permit.finish(outcome)))
    })
}

/// So many calls are in the window when the first round begins.
pub(super) fn full(name: &str, calls: u32, window: Duration) -> Subject {
    let make = move || {
        let breaker = time(window)();
        assert!((0..calls).all(|_| finished(&breaker, &())));
        breaker
    };
    closed(name, make)
}

/// It says when a probe may go.
pub(super) fn open() -> Subject {
    let open = || {
        let builder = CircuitBreaker::builder().consecutive_failures(1).open_for(super::HOUR);
        let breaker = built(builder);
        admitted(breaker.try_admit().map(|permit| permit.finish(Outcome::Failure)));
        assert_eq!(breaker.state(), State::Open);
        breaker
    };
    closed("breaker open", open)
}
