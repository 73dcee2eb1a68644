//! What opens a breaker, and what does not.

use crate::{MILLI, NANO, OPEN, SECOND, admit, builder, call, calls};
use plimsoll_breaker::State;
use plimsoll_core::{GateExt, Outcome, testing::Places, verdict};
use plimsoll_keyed::PerKeyExt;
use std::{
    pin::pin,
    task::{Context, Poll, Waker},
};

#[test]
fn it_opens_at_the_ratio_and_not_a_call_below() {
    let (builder, _clock) = builder();
    let breaker = builder.failure_ratio(0.55).min_requests(100).build().unwrap();
    calls(&breaker, 45, Outcome::Success);
    calls(&breaker, 54, Outcome::Failure);
    assert_eq!(breaker.state(), State::Closed);
    call(&breaker, Outcome::Failure);
    assert_eq!(breaker.state(), State::Open, "55 of 100 are 0.55");
}

#[test]
fn a_success_never_opens() {
    let (builder, _clock) = builder();
    let breaker = builder.min_requests(10).build().unwrap();
    calls(&breaker, 9, Outcome::Failure);
    call(&breaker, Outcome::Success);
    assert_eq!(breaker.state(), State::Closed);
    assert_eq!(breaker.counts().calls, 10);
    call(&breaker, Outcome::Failure);
    assert_eq!(breaker.state(), State::Open);
}

#[test]
fn what_is_ignored_or_never_started_stays_out_of_both_numbers() {
    let (builder, _clock) = builder();
    let breaker = builder.min_requests(4).build().unwrap();
    calls(&breaker, 2, Outcome::Success);
    for _ in 0..100 {
        call(&breaker, Outcome::Ignored);
        call(&breaker, Outcome::Unused);
        drop(admit(&breaker));
    }
    assert_eq!((breaker.counts().calls, breaker.counts().failures), (2, 0));
    calls(&breaker, 2, Outcome::Failure);
    assert_eq!(breaker.state(), State::Open, "2 of 4");
}

#[test]
fn who_went_away_is_not_a_failure_of_the_dependency() {
    let (builder, _clock) = builder();
    let breaker = builder.consecutive_failures(1).build().unwrap();
    for _ in 0..100 {
        let mut call = Box::pin(breaker.run(std::future::pending::<Result<(), ()>>()));
        let waker = std::task::Waker::noop();
        assert!(call.as_mut().poll(&mut std::task::Context::from_waker(waker)).is_pending());
    }
    assert_eq!(breaker.state(), State::Closed);
}

#[test]
fn failures_in_a_row_open_it_and_a_success_between_them_begins_anew() {
    let (builder, _clock) = builder();
    let breaker = builder.consecutive_failures(3).build().unwrap();
    for _ in 0..100 {
        calls(&breaker, 2, Outcome::Failure);
        call(&breaker, Outcome::Success);
    }
    assert_eq!(breaker.counts().consecutive_failures, 0);
    calls(&breaker, 2, Outcome::Failure);
    call(&breaker, Outcome::Ignored);
    assert_eq!(breaker.state(), State::Closed);
    call(&breaker, Outcome::Failure);
    assert_eq!(breaker.state(), State::Open);
}

#[test]
fn slow_calls_open_it_though_they_succeed() {
    let (builder, clock) = builder();
    let breaker = builder.slow_calls(MILLI * 100, 0.5).min_requests(4).build().unwrap();
    let run = |time| {
        let permit = admit(&breaker);
        clock.advance(time);
        permit.finish(Outcome::Success);
    };
    run(MILLI);
    run(MILLI * 100);
    run(MILLI * 100 + NANO);
    assert_eq!((breaker.counts().calls, breaker.counts().slow), (3, 1));
    assert_eq!(breaker.state(), State::Closed);
    run(MILLI * 101);
    assert_eq!(breaker.state(), State::Open);
}

#[test]
fn waiting_for_a_place_behind_the_breaker_makes_no_call_slow() {
    let (builder, clock) = builder();
    let builder = builder.slow_calls(MILLI * 100, 0.5).min_requests(1);
    let one = builder.clone().build().unwrap();
    let per_key = builder.build().unwrap().keyed(|(): &()| 7);
    let gates = (one, per_key, Places::new(1).waiting());
    let mut cx = Context::from_waker(Waker::noop());

    let held = gates.2.try_admit().unwrap();
    let mut admitting = pin!(gates.admit());
    assert!(admitting.as_mut().poll(&mut cx).is_pending());
    clock.advance(MILLI * 500);
    drop(held);
    let Poll::Ready(Ok(permit)) = admitting.as_mut().poll(&mut cx) else {
        panic!("the place is free");
    };
    clock.advance(MILLI * 100);
    permit.finish(Outcome::Success);
    assert_eq!(gates.0.counts().slow, 0);
    assert!(gates.try_admit().is_ok(), "neither of them is open");
}

#[test]
fn failures_count_beside_slow_calls() {
    let (builder, _clock) = builder();
    let breaker = builder.slow_calls(MILLI * 100, 0.9).min_requests(4).build().unwrap();
    calls(&breaker, 4, Outcome::Failure);
    assert_eq!(breaker.state(), State::Open);
}

#[test]
fn a_rule_of_ones_own_opens_it() {
    let (builder, _clock) = builder();
    let breaker = builder.trip_when(|counts| counts.failures == 2).build().unwrap();
    calls(&breaker, 50, Outcome::Success);
    call(&breaker, Outcome::Failure);
    assert_eq!(breaker.state(), State::Closed);
    call(&breaker, Outcome::Failure);
    assert_eq!(breaker.state(), State::Open);
}

/// Elsewhere totals were never cleared while it was closed, and a failure a day opened.
#[test]
fn a_rule_of_ones_own_hears_of_what_the_window_holds_and_of_nothing_older() {
    let rule = |counts: &plimsoll_breaker::Counts| counts.failures >= 3 || counts.calls > 100;
    let (by_time, clock) = builder();
    let by_time = by_time.trip_when(rule).build().unwrap();
    let by_calls = builder().0.trip_when(rule).window_calls(20).build().unwrap();
    for _ in 0..1_000 {
        calls(&by_time, 2, Outcome::Failure);
        clock.advance(SECOND * 2);
        calls(&by_calls, 2, Outcome::Failure);
        calls(&by_calls, 20, Outcome::Success);
    }
    assert_eq!((by_time.state(), by_calls.state()), (State::Closed, State::Closed));
    calls(&by_time, 3, Outcome::Failure);
    calls(&by_calls, 3, Outcome::Failure);
    assert_eq!((by_time.state(), by_calls.state()), (State::Open, State::Open));
}

#[test]
fn a_rule_that_panics_says_no_and_harms_nobody() {
    let (builder, _clock) = builder();
    let breaker = builder
        .trip_when(|counts| {
            if counts.failures == 1 {
                std::panic::resume_unwind(Box::new("a rule"));
            }
            true
        })
        .build()
        .unwrap();
    call(&breaker, Outcome::Failure);
    assert_eq!(breaker.state(), State::Closed);
    call(&breaker, Outcome::Failure);
    assert_eq!(breaker.state(), State::Open);
}

/// `breaker.run(limit.run(…))`: the limit's refusal is no failure of what is
/// behind both.
#[tokio::test]
async fn a_refusal_further_in_is_not_a_failure_where_verdict_of_judges() {
    let (builder, _clock) = builder();
    let breaker = builder.consecutive_failures(1).build().unwrap();
    let full = plimsoll_core::testing::Places::new(0);
    let work = || full.run(async { Ok::<(), std::io::Error>(()) });
    let nested = breaker.run_with(work(), verdict::of).await;
    assert!(nested.is_err());
    assert_eq!(breaker.state(), State::Closed);
    // And so it is without: this is why.
    let nested = breaker.run(work()).await;
    assert!(nested.is_err());
    assert_eq!(breaker.state(), State::Open);
}

#[test]
fn in_a_tuple_a_refusal_further_in_gives_the_probe_back() {
    let (breaker, clock) = crate::half_open(1);
    let gates = (&breaker, plimsoll_core::testing::Places::new(0));
    for _ in 0..10 {
        assert_eq!(gates.try_admit().unwrap_err().gate(), "places");
    }
    assert_eq!(breaker.state(), State::HalfOpen);
    clock.advance(OPEN);
    call(&breaker, Outcome::Success);
    assert_eq!(breaker.state(), State::Closed);
}
