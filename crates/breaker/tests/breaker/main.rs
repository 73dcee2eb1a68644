//! What a breaker does, by a clock that stands still until it is told to move.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod conformance;
mod day;
mod keyed;
mod model;
mod observers;
mod probes;
mod recovery;
mod rules;
mod settings;
mod states;
mod windows;

use plimsoll_breaker::{Builder, CircuitBreaker, State};
use plimsoll_core::{GateExt, ManualClock, Outcome, Permit};
use std::time::Duration;

pub(crate) const MILLI: Duration = Duration::from_millis(1);
pub(crate) const NANO: Duration = Duration::from_nanos(1);
pub(crate) const SECOND: Duration = Duration::from_secs(1);
/// How long the breakers of these tests stay open unless they say otherwise.
pub(crate) const OPEN: Duration = Duration::from_secs(5);

pub(crate) type Breaker = CircuitBreaker<ManualClock>;

/// The defaults, by a clock of its own.
pub(crate) fn builder() -> (Builder<ManualClock>, ManualClock) {
    let clock = ManualClock::new();
    (CircuitBreaker::builder().clock(clock.clone()), clock)
}

/// Opens at the first failure, for [`OPEN`], and wants `probes` successes.
pub(crate) fn brittle(probes: u32) -> (Breaker, ManualClock) {
    let (builder, clock) = builder();
    let builder = builder.consecutive_failures(1).open_for(OPEN).probes(probes);
    (builder.build().unwrap(), clock)
}

/// As [`brittle`], and half open by now.
pub(crate) fn half_open(probes: u32) -> (Breaker, ManualClock) {
    let (breaker, clock) = brittle(probes);
    call(&breaker, Outcome::Failure);
    clock.advance(OPEN);
    assert_eq!(breaker.state(), State::HalfOpen);
    (breaker, clock)
}

pub(crate) fn admit(breaker: &Breaker) -> Permit<&Breaker> {
    breaker.try_admit().expect("it conducts")
}

/// One call that passes and ends so.
pub(crate) fn call(breaker: &Breaker, outcome: Outcome) {
    admit(breaker).finish(outcome);
}

pub(crate) fn calls(breaker: &Breaker, n: u32, outcome: Outcome) {
    (0..n).for_each(|_| call(breaker, outcome));
}

/// How many of `n` that ask at one time pass; they stay under way.
pub(crate) fn passing(breaker: &Breaker, n: usize) -> Vec<Permit<&Breaker>> {
    (0..n).filter_map(|_| breaker.try_admit().ok()).collect()
}
