//! Other breakers, each as its documentation shows it, opening at half of a window
//! where that can be set.

use crate::{
    calls::{Inner, ask, ended, every_tenth, inner, served},
    rounds::{Subject, admitted},
};
use failsafe::{CircuitBreaker as _, Config, StateMachine, backoff, failure_policy};
use recloser::{AsyncRecloser, Recloser};
use std::{future::ready, time::Duration};
use tower::Layer;
use tower_resilience_circuitbreaker::{
    CircuitBreaker, CircuitBreakerConfigBuilder, CircuitBreakerLayer, DefaultClassifier,
    SlidingWindowType,
};

use super::HOUR;

const WORKED: Result<(), ()> = Ok(());
const FAILED: Result<(), ()> = Err(());

/// A ring with a flag for each call, behind a spin lock. No window of time, no
/// bound on probes; a refusal says nothing of when to come back.
pub(super) fn recloser_of(window: usize) -> Recloser {
    Recloser::custom().closed_len(window).open_wait(HOUR).build()
}

pub(super) fn recloser(name: &str, window: usize) -> Subject {
    let make = move || recloser_of(window);
    Subject::shared(name, make, |breaker| admitted(breaker.call(|| WORKED)))
}

/// Its own way to call a future.
pub(super) fn recloser_async() -> Subject {
    let make = || AsyncRecloser::from(recloser_of(100));
    Subject::shared("recloser, 100 calls", make, |breaker| {
        ended(breaker.call(ready(WORKED))).is_some_and(admitted)
    })
}

pub(super) fn recloser_failing() -> Subject {
    every_tenth(
        "recloser, 100 calls",
        || recloser_of(100),
        |breaker, fails| {
            let result = breaker.call(|| if fails { FAILED } else { WORKED });
            !matches!(result, Err(recloser::Error::Rejected))
        },
    )
}

/// The first call fills its window, the second opens it.
pub(super) fn recloser_open() -> Subject {
    let open = || {
        let breaker = recloser_of(1);
        assert!((0..2).all(|_| !admitted(breaker.call(|| FAILED))));
        breaker
    };
    Subject::shared("recloser", open, |breaker| admitted(breaker.call(|| WORKED)))
}

/// The least that it can be asked for: five failures in a row.
type Consecutive = StateMachine<failure_policy::ConsecutiveFailures<backoff::Constant>, ()>;

/// A mutex around state and policy, taken twice for each call.
fn consecutive(failures: u32) -> Consecutive {
    let policy = failure_policy::consecutive_failures(failures, backoff::constant(HOUR));
    Config::new().failure_policy(policy).build()
}

pub(super) fn failsafe_consecutive() -> Subject {
    let name = "failsafe, 5 failures in a row";
    Subject::shared(name, || consecutive(5), |breaker| admitted(breaker.call(|| WORKED)))
}

/// What its documentation begins with: an average over 30 s, and 5 in a row. No
/// window of calls; half open, it lets every call through.
pub(super) fn failsafe() -> Subject {
    let make = || Config::new().build();
    Subject::shared("failsafe, 30 s", make, |breaker| admitted(breaker.call(|| WORKED)))
}

pub(super) fn failsafe_async() -> Subject {
    use failsafe::futures::CircuitBreaker as Futures;
    Subject::shared(
        "failsafe, 30 s",
        || Config::new().build(),
        |breaker| ended(Futures::call(breaker, ready(WORKED))).is_some_and(admitted),
    )
}

pub(super) fn failsafe_failing() -> Subject {
    every_tenth(
        "failsafe, 30 s",
        || Config::new().build(),
        |breaker, fails| {
            let result = breaker.call(|| if fails { FAILED } else { WORKED });
            !matches!(result, Err(failsafe::Error::Rejected))
        },
    )
}

pub(super) fn failsafe_open() -> Subject {
    let open = || {
        let breaker = consecutive(1);
        admitted(breaker.call(|| FAILED));
        breaker
    };
    Subject::shared("failsafe", open, |breaker| admitted(breaker.call(|| WORKED)))
}

type Resilient = CircuitBreaker<Inner, DefaultClassifier>;

/// Lean: it copies its name for each event, of which each call has two. An empty
/// one at least allocates nothing.
fn resilience() -> CircuitBreakerConfigBuilder<DefaultClassifier> {
    CircuitBreakerLayer::builder().name("").minimum_number_of_calls(10)
}

fn resilience_over(window: Duration) -> Resilient {
    let layer = resilience()
        .sliding_window_type(SlidingWindowType::TimeBased)
        .sliding_window_duration(window)
        .build();
    layer.expect("a window of time").layer(inner())
}

/// Its window of calls never slides: it counts all calls since the state changed.
pub(super) fn resilience_calls() -> Subject {
    let layer = resilience().sliding_window_size(100).build().expect("a window of calls");
    served("tower-resilience, 100 calls (service)", || layer.layer(inner()))
}

/// Its window of time keeps each call and goes through all of them at each: this
/// one is so short that it holds a thousand at full speed.
pub(super) fn resilience_time() -> Subject {
    let window = Duration::from_millis(1);
    served("tower-resilience, 1 ms (service)", || resilience_over(window))
}

/// So many calls are in the window when the first round begins.
pub(super) fn resilience_full(name: &str, calls: u32, window: Duration) -> Subject {
    served(name, || {
        let service = resilience_over(window);
        let mut first = service.clone();
        assert!((0..calls).all(|_| ask(&mut first)));
        service
    })
}

/// To see that it is open, readiness takes a lock without waiting; where another
/// thread has it, the caller sleeps for a millisecond.
pub(super) fn resilience_open() -> Subject {
    served("tower-resilience (service)", || {
        let built = resilience().wait_duration_in_open(HOUR).build_with_handle();
        let (layer, handle) = built.expect("a window of calls");
        ended(handle.force_open());
        layer.layer(inner())
    })
}
