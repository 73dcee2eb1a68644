//! Closed, open, half open, and what people force.

use crate::{NANO, OPEN, admit, brittle, call, calls, half_open};
use plimsoll_breaker::State;
use plimsoll_core::{Clock, GateExt, Outcome, Reason, Tick};
use std::time::Duration;

#[test]
fn closed_conducts_and_open_refuses() {
    let (breaker, _clock) = brittle(1);
    calls(&breaker, 100, Outcome::Success);
    assert_eq!(breaker.state(), State::Closed);
    call(&breaker, Outcome::Failure);
    let refusal = breaker.try_admit().unwrap_err();
    assert_eq!((refusal.gate(), refusal.reason()), ("breaker", Reason::Open));
    assert_eq!(breaker.state(), State::Open);
}

#[test]
fn the_first_probe_goes_at_the_moment_that_the_refusal_named_and_not_before() {
    let (breaker, clock) = brittle(1);
    call(&breaker, Outcome::Failure);
    clock.advance(OPEN / 2);
    let refusal = breaker.try_admit().unwrap_err();
    assert_eq!(refusal.retry_after(), Some(OPEN / 2));
    assert_eq!(breaker.retry_after(), Some(OPEN / 2));
    clock.advance(OPEN / 2 - NANO);
    assert_eq!(breaker.try_admit().unwrap_err().retry_after(), Some(NANO));
    clock.advance(NANO);
    assert_eq!(breaker.retry_after(), None);
    assert!(breaker.try_admit().is_ok());
}

#[test]
fn the_state_is_half_open_as_soon_as_a_probe_may_go_whether_or_not_one_came() {
    let (breaker, clock) = brittle(1);
    call(&breaker, Outcome::Failure);
    clock.advance(OPEN - NANO);
    assert_eq!(breaker.state(), State::Open);
    clock.advance(NANO);
    assert_eq!(breaker.state(), State::HalfOpen);
}

#[test]
fn a_result_from_before_the_trip_neither_closes_it_nor_keeps_it_open() {
    let (breaker, clock) = brittle(1);
    let (success, failure, later) = (admit(&breaker), admit(&breaker), admit(&breaker));
    call(&breaker, Outcome::Failure);
    clock.advance(OPEN / 2);
    failure.finish(Outcome::Failure);
    assert_eq!(breaker.retry_after(), Some(OPEN / 2), "a late failure prolonged the opening");
    clock.advance(OPEN / 2);
    let probe = admit(&breaker);
    success.finish(Outcome::Success);
    assert_eq!(breaker.state(), State::HalfOpen, "a late success passed for the probe's");
    later.finish(Outcome::Failure);
    assert_eq!(breaker.state(), State::HalfOpen, "a late failure passed for the probe's");
    probe.finish(Outcome::Success);
    assert_eq!(breaker.state(), State::Closed);
}

#[test]
fn a_result_from_before_the_outage_is_not_counted_after_it() {
    for outcome in [Outcome::Success, Outcome::Failure] {
        let (breaker, clock) = brittle(1);
        let late = admit(&breaker);
        call(&breaker, Outcome::Failure);
        clock.advance(OPEN);
        call(&breaker, Outcome::Success);
        late.finish(outcome);
        assert_eq!(breaker.state(), State::Closed);
        assert_eq!((breaker.counts().calls, breaker.counts().failures), (0, 0));
    }
}

#[test]
fn what_was_counted_before_the_outage_is_forgotten_when_it_closes() {
    let (builder, clock) = crate::builder();
    let breaker = builder.window_calls(10).build().unwrap();
    calls(&breaker, 10, Outcome::Failure);
    clock.advance(OPEN);
    calls(&breaker, 3, Outcome::Success);
    assert_eq!(breaker.state(), State::Closed);
    call(&breaker, Outcome::Failure);
    assert_eq!((breaker.counts().calls, breaker.counts().failures), (1, 1));
}

/// Counts tell generations apart by labels; no number of changes brings one back.
#[test]
fn what_was_counted_stays_forgotten_however_often_the_state_changes() {
    for by_calls in [true, false] {
        let (builder, _clock) = crate::builder();
        let builder = if by_calls { builder.window_calls(10) } else { builder };
        let breaker = builder.build().unwrap();
        calls(&breaker, 9, Outcome::Failure);
        for change in 1..=70_000 {
            breaker.reset();
            assert_eq!(breaker.counts().calls, 0, "after {change}, by calls: {by_calls}");
        }
    }
}

#[test]
fn forced_open_stays_open_whatever_the_time() {
    let (breaker, clock) = brittle(1);
    breaker.force_open();
    clock.set(Tick::MAX);
    let refusal = breaker.try_admit().unwrap_err();
    assert_eq!((refusal.reason(), refusal.retry_after()), (Reason::Open, None));
    assert_eq!(breaker.state(), State::ForcedOpen);
    breaker.reset();
    assert_eq!(breaker.state(), State::Closed);
    call(&breaker, Outcome::Success);
}

/// Elsewhere a timer that was set at the trip fired though it was forced open since.
#[test]
fn an_opening_that_runs_out_does_not_undo_what_somebody_forced() {
    for wait in [OPEN / 2, OPEN] {
        let (breaker, clock) = brittle(1);
        call(&breaker, Outcome::Failure);
        clock.advance(wait);
        breaker.force_open();
        assert_eq!(breaker.retry_after(), None);
        clock.advance(OPEN * 10);
        assert_eq!(breaker.state(), State::ForcedOpen);
        assert!(breaker.try_admit().is_err());
        breaker.force_closed();
        clock.advance(OPEN * 10);
        assert_eq!(breaker.state(), State::ForcedClosed);
        assert_eq!(crate::passing(&breaker, 9).len(), 9);
    }
}

#[test]
fn forced_closed_conducts_whatever_the_results_and_counts_them() {
    let (breaker, _clock) = brittle(1);
    breaker.force_closed();
    calls(&breaker, 20, Outcome::Failure);
    assert_eq!(breaker.state(), State::ForcedClosed);
    assert_eq!(breaker.counts().failures, 20);
    breaker.reset();
    assert_eq!(breaker.counts().failures, 0);
    call(&breaker, Outcome::Failure);
    assert_eq!(breaker.state(), State::Open);
}

#[test]
fn a_probe_under_way_does_not_undo_what_somebody_forced() {
    for outcome in [Outcome::Success, Outcome::Failure, Outcome::Unused] {
        let (breaker, _clock) = half_open(1);
        let probe = admit(&breaker);
        breaker.force_open();
        probe.finish(outcome);
        assert_eq!(breaker.state(), State::ForcedOpen);
    }
}

#[test]
fn a_reset_forgets_the_calls_under_way() {
    for outcome in [Outcome::Success, Outcome::Failure] {
        let (breaker, _clock) = brittle(1);
        call(&breaker, Outcome::Success);
        let under_way = admit(&breaker);
        breaker.reset();
        call(&breaker, Outcome::Success);
        under_way.finish(outcome);
        assert_eq!(breaker.state(), State::Closed);
        assert_eq!((breaker.counts().calls, breaker.counts().failures), (1, 0));
    }
}

#[test]
fn a_clock_that_steps_back_opens_nothing_and_one_that_stands_is_waited_for() {
    let (breaker, clock) = brittle(1);
    call(&breaker, Outcome::Failure);
    let opened = clock.now();
    for back in [NANO, OPEN, OPEN * 600] {
        clock.set(opened - back);
        let ago = Duration::from_nanos(opened.as_nanos() - clock.now().as_nanos());
        assert_eq!(breaker.try_admit().unwrap_err().retry_after(), Some(ago + OPEN));
    }
    clock.set(opened + OPEN);
    assert!(breaker.try_admit().is_ok());
}

#[test]
fn the_end_of_time_opens_nothing() {
    let (breaker, clock) = brittle(1);
    clock.set(Tick::MAX);
    call(&breaker, Outcome::Failure);
    assert_eq!(breaker.state(), State::Open);
    assert!(breaker.try_admit().is_err());
    breaker.reset();
    call(&breaker, Outcome::Success);
}

#[test]
fn a_ticket_of_another_breaker_breaks_nothing() {
    use plimsoll_core::{Admit, Gate};
    let ((one, _), (other, _)) = (half_open(2), half_open(2));
    let (first, second) = (one.try_enter(&()).unwrap(), one.try_enter(&()).unwrap());
    let mine = admit(&other);
    other.leave(first, Outcome::Unused);
    other.leave(second, Outcome::Unused);
    mine.cancel();
    assert_eq!(crate::passing(&other, 9).len(), 2);
}

#[test]
fn it_may_be_shown_at_any_time() {
    let (breaker, _clock) = half_open(1);
    let shown = format!("{breaker:?}");
    assert!(shown.contains("HalfOpen"), "{shown}");
}
