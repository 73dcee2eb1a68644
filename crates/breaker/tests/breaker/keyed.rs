//! One breaker for each endpoint.

use crate::{OPEN, SECOND, builder};
use plimsoll_breaker::StateChange;
use plimsoll_core::{Clock, GateExt, Outcome, PerKey};
use plimsoll_keyed::PerKeyExt;

struct Request {
    endpoint: String,
}

impl Request {
    fn to(endpoint: impl Into<String>) -> Self {
        Self { endpoint: endpoint.into() }
    }

    fn endpoint(&self) -> &str {
        &self.endpoint
    }
}

#[test]
fn an_endpoint_that_fails_opens_its_own_breaker_and_no_other() {
    let (builder, clock) = builder();
    let breaker = builder.consecutive_failures(1).probes(1).build().unwrap();
    let per_endpoint = breaker.keyed_ref(|r: &Request| r.endpoint());
    let (down, up) = (Request::to("down"), Request::to("up"));
    per_endpoint.try_admit_for(&down).unwrap().finish(Outcome::Failure);
    assert_eq!(per_endpoint.try_admit_for(&down).unwrap_err().retry_after(), Some(OPEN));
    assert!(per_endpoint.try_admit_for(&up).is_ok());
    clock.advance(OPEN);
    per_endpoint.try_admit_for(&down).unwrap().finish(Outcome::Success);
    assert!(per_endpoint.try_admit_for(&down).is_ok());
}

#[test]
fn an_open_breaker_is_never_evicted_whoever_else_comes() {
    let (builder, _clock) = builder();
    let breaker = builder.consecutive_failures(1).build().unwrap();
    let per_endpoint = breaker.keyed_ref(|r: &Request| r.endpoint()).max_keys(8);
    let down = Request::to("down");
    per_endpoint.try_admit_for(&down).unwrap().finish(Outcome::Failure);
    for other in 0..10_000 {
        let other = Request::to(other.to_string());
        if let Ok(permit) = per_endpoint.try_admit_for(&other) {
            permit.finish(Outcome::Success);
        }
    }
    assert!(per_endpoint.try_admit_for(&down).is_err());
}

#[test]
fn a_state_is_fresh_exactly_while_it_is_closed_and_no_failure_counts() {
    let (builder, clock) = builder();
    let breaker = builder.window(SECOND).min_requests(2).failure_ratio(1.0).probes(1);
    let breaker = breaker.ramp(&[50], SECOND).build().unwrap();
    let state = breaker.fresh();
    let end = |outcome| {
        let ticket = breaker.try_enter_in(&state, clock.now()).unwrap();
        breaker.leave_in(&state, ticket, outcome);
    };
    let fresh = || breaker.is_fresh(&state, clock.now());
    assert!(fresh());
    end(Outcome::Success);
    assert!(fresh(), "a success may be forgotten");
    end(Outcome::Failure);
    assert!(!fresh(), "a recent failure may not");
    clock.advance(SECOND * 2);
    assert!(fresh(), "an old one may");
    end(Outcome::Failure);
    end(Outcome::Failure);
    assert!(!fresh(), "open");
    clock.advance(OPEN * 1_000);
    assert!(!fresh(), "still waiting for a probe");
    let probe = breaker.try_enter_in(&state, clock.now()).unwrap();
    assert!(!fresh(), "half open");
    breaker.leave_in(&state, probe, Outcome::Success);
    assert!(!fresh(), "recovering");
    clock.advance(SECOND);
    assert!(fresh(), "closed again");
}

#[test]
fn a_run_of_failures_is_not_forgotten_where_a_rule_may_count_it() {
    for by_own_rule in [true, false] {
        let (builder, clock) = builder();
        let builder = builder.window(SECOND);
        let builder = if by_own_rule {
            builder.trip_when(|counts| counts.consecutive_failures == 3)
        } else {
            builder.consecutive_failures(3)
        };
        let breaker = builder.build().unwrap();
        let state = breaker.fresh();
        let ticket = breaker.try_enter_in(&state, clock.now()).unwrap();
        breaker.leave_in(&state, ticket, Outcome::Failure);
        clock.advance(SECOND * 100);
        assert!(!breaker.is_fresh(&state, clock.now()));
    }
}

#[test]
fn a_slow_call_is_not_forgotten_while_the_window_holds_it() {
    let (builder, clock) = builder();
    let breaker = builder.slow_calls(SECOND / 2, 0.5).window(SECOND).build().unwrap();
    let state = breaker.fresh();
    let ticket = breaker.try_enter_in(&state, clock.now()).unwrap();
    clock.advance(SECOND);
    breaker.leave_in(&state, ticket, Outcome::Success);
    assert!(!breaker.is_fresh(&state, clock.now()));
    clock.advance(SECOND * 2);
    assert!(breaker.is_fresh(&state, clock.now()));
}

/// All keys of one breaker share its observers; where each has a breaker of its own,
/// an observer knows which it hears of.
#[test]
fn a_breaker_for_each_key_may_tell_whose_it_is() {
    use plimsoll_keyed::KeyedGates;
    use std::sync::{Arc, Mutex};
    let heard = Arc::new(Mutex::new(Vec::new()));
    let told = Arc::clone(&heard);
    let gates = KeyedGates::new(
        |r: &Request| r.endpoint.clone(),
        move |endpoint: &String| {
            let (told, endpoint) = (Arc::clone(&told), endpoint.clone());
            let builder = builder().0.consecutive_failures(1);
            let tell = move |change: &StateChange| {
                told.lock().unwrap().push(format!("{endpoint} {}", change.to));
            };
            builder.on_change(tell).build().unwrap()
        },
    );
    gates.try_admit_for(&Request::to("up")).unwrap().finish(Outcome::Success);
    gates.try_admit_for(&Request::to("down")).unwrap().finish(Outcome::Failure);
    assert_eq!(*heard.lock().unwrap(), ["down open"]);
}
