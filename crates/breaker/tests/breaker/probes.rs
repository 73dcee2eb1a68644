//! Half open: how many probe, and what follows from their results.

use crate::{MILLI, NANO, OPEN, admit, brittle, builder, call, calls, half_open, passing};
use plimsoll_breaker::{Counts, State};
use plimsoll_core::{GateExt, Outcome};
use std::time::Duration;

#[test]
fn exactly_as_many_probe_as_was_said_at_one_time() {
    for probes in [1, 2, 3, 127] {
        let (breaker, _clock) = half_open(probes);
        assert_eq!(passing(&breaker, 300).len(), usize::try_from(probes).unwrap());
    }
}

#[test]
fn exactly_as_many_probe_as_was_said_from_many_threads() {
    let (breaker, _clock) = half_open(3);
    let passed: usize = std::thread::scope(|scope| {
        let ask = || passing(&breaker, 20).into_iter().map(std::mem::forget).count();
        let threads: Vec<_> = (0..8).map(|_| scope.spawn(ask)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).sum()
    });
    assert_eq!(passed, 3);
}

#[test]
fn probes_that_have_ended_still_count_among_those_of_the_phase() {
    let (builder, clock) = builder();
    let builder = builder.consecutive_failures(1).probes(4).probe_successes(3);
    let breaker = builder.build().unwrap();
    call(&breaker, Outcome::Failure);
    clock.advance(OPEN);
    call(&breaker, Outcome::Success);
    call(&breaker, Outcome::Failure);
    assert_eq!(breaker.state(), State::HalfOpen);
    assert_eq!(passing(&breaker, 9).len(), 2);
}

#[test]
fn a_probe_whose_future_is_dropped_gives_its_place_back() {
    let (breaker, _clock) = half_open(1);
    for _ in 0..1_000 {
        let mut probe = Box::pin(breaker.run(std::future::pending::<Result<(), ()>>()));
        let waker = std::task::Waker::noop();
        let pending = probe.as_mut().poll(&mut std::task::Context::from_waker(waker));
        assert!(pending.is_pending(), "it probes");
        assert!(breaker.try_admit().is_err(), "one at a time");
        drop(probe);
        assert_eq!(breaker.state(), State::HalfOpen, "who went away has said nothing");
    }
    call(&breaker, Outcome::Success);
    assert_eq!(breaker.state(), State::Closed);
}

#[test]
fn a_probe_that_ends_without_a_verdict_gives_its_place_back_and_no_other() {
    for outcome in [Outcome::Ignored, Outcome::Unused] {
        let (breaker, _clock) = half_open(2);
        let (one, other) = (admit(&breaker), admit(&breaker));
        one.finish(outcome);
        assert_eq!(passing(&breaker, 9).len(), 1);
        other.finish(Outcome::Success);
        assert_eq!(breaker.state(), State::HalfOpen);
    }
}

#[test]
fn a_probe_that_panics_has_failed() {
    let (breaker, _clock) = half_open(3);
    let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        let _probe = breaker.try_admit();
        std::panic::resume_unwind(Box::new(()));
    }));
    assert!(panicked.is_err());
    assert_eq!(breaker.state(), State::Open);
}

#[test]
fn by_default_all_probes_must_succeed_and_one_failure_opens_again() {
    let (breaker, _clock) = half_open(3);
    calls(&breaker, 2, Outcome::Success);
    assert_eq!(breaker.state(), State::HalfOpen);
    assert_eq!(breaker.counts().calls, 2);
    call(&breaker, Outcome::Success);
    assert_eq!(breaker.state(), State::Closed);

    let (breaker, clock) = half_open(3);
    calls(&breaker, 2, Outcome::Success);
    clock.advance(MILLI);
    call(&breaker, Outcome::Failure);
    assert_eq!(breaker.state(), State::Open);
    assert_eq!(breaker.retry_after(), Some(OPEN), "open from the failed probe on");
}

#[test]
fn fewer_successes_may_do_and_it_opens_once_they_cannot_be_reached() {
    let with = |outcomes: &[Outcome]| {
        let (builder, clock) = builder();
        let builder = builder.consecutive_failures(1).probes(5).probe_successes(3);
        let breaker = builder.build().unwrap();
        call(&breaker, Outcome::Failure);
        clock.advance(OPEN);
        outcomes.iter().for_each(|&outcome| call(&breaker, outcome));
        breaker.state()
    };
    use Outcome::{Failure as F, Success as S};
    assert_eq!(with(&[F, F, S, S]), State::HalfOpen);
    assert_eq!(with(&[F, F, S, S, S]), State::Closed);
    assert_eq!(with(&[S, S, F, F]), State::HalfOpen);
    assert_eq!(with(&[S, S, F, F, F]), State::Open);
    assert_eq!(with(&[S, S, S]), State::Closed);
}

#[test]
fn a_rule_of_ones_own_closes_it_and_it_opens_once_all_probes_have_ended_without() {
    let with = |outcomes: &[Outcome]| {
        let (builder, clock) = builder();
        let rule = |probes: &Counts| probes.calls >= 2 && probes.failure_ratio() <= 0.5;
        let builder = builder.consecutive_failures(1).probes(4).close_when(rule);
        let breaker = builder.build().unwrap();
        call(&breaker, Outcome::Failure);
        clock.advance(OPEN);
        outcomes.iter().for_each(|&outcome| call(&breaker, outcome));
        breaker.state()
    };
    use Outcome::{Failure as F, Ignored as I, Success as S};
    assert_eq!(with(&[S]), State::HalfOpen);
    assert_eq!(with(&[S, I, I]), State::HalfOpen, "no verdict");
    assert_eq!(with(&[S, S]), State::Closed);
    assert_eq!(with(&[F, S]), State::Closed);
    assert_eq!(with(&[F, F, F]), State::HalfOpen);
    assert_eq!(with(&[F, F, F, S]), State::Open);
}

#[test]
fn a_rule_for_closing_is_not_asked_about_a_probe_that_told_nothing() {
    let (builder, clock) = builder();
    let rule = |probes: &Counts| probes.failures == 0;
    let builder = builder.consecutive_failures(1).close_when(rule);
    let breaker = builder.build().unwrap();
    call(&breaker, Outcome::Failure);
    clock.advance(OPEN);
    call(&breaker, Outcome::Ignored);
    call(&breaker, Outcome::Unused);
    assert_eq!(breaker.state(), State::HalfOpen);
    call(&breaker, Outcome::Success);
    assert_eq!(breaker.state(), State::Closed);
}

/// No failure came before the probes: the short way of a success must not take theirs.
#[test]
fn probes_close_what_slow_calls_opened() {
    for by_calls in [true, false] {
        let (builder, clock) = builder();
        let builder = builder.slow_calls(MILLI, 0.5).min_requests(1).probes(2);
        let builder = if by_calls { builder.window_calls(10) } else { builder };
        let breaker = builder.build().unwrap();
        let slow = admit(&breaker);
        clock.advance(MILLI * 2);
        slow.finish(Outcome::Success);
        assert_eq!(breaker.state(), State::Open);
        clock.advance(OPEN);
        calls(&breaker, 2, Outcome::Success);
        assert_eq!(breaker.state(), State::Closed, "by calls: {by_calls}");
    }
}

#[test]
fn a_rule_for_closing_that_panics_says_no_and_harms_nobody() {
    let (builder, clock) = builder();
    let rule = |_: &Counts| std::panic::resume_unwind(Box::new("a rule"));
    let builder = builder.consecutive_failures(1).probes(2).close_when(rule);
    let breaker = builder.build().unwrap();
    call(&breaker, Outcome::Failure);
    clock.advance(OPEN);
    call(&breaker, Outcome::Success);
    assert_eq!(breaker.state(), State::HalfOpen);
    call(&breaker, Outcome::Success);
    assert_eq!(breaker.state(), State::Open);
}

/// Elsewhere a result from before the outage gave a place to a probe more.
#[test]
fn a_late_result_while_half_open_gives_no_place() {
    let (breaker, clock) = brittle(2);
    let late: Vec<_> = (0..3).map(|_| admit(&breaker)).collect();
    call(&breaker, Outcome::Failure);
    clock.advance(OPEN);
    let probes = passing(&breaker, 9);
    let outcomes = [Outcome::Success, Outcome::Failure, Outcome::Unused];
    late.into_iter().zip(outcomes).for_each(|(late, outcome)| late.finish(outcome));
    assert_eq!(probes.len() + passing(&breaker, 9).len(), 2);
}

#[test]
fn a_probe_of_an_earlier_opening_says_nothing_in_a_later_one() {
    for outcome in [Outcome::Success, Outcome::Failure, Outcome::Unused] {
        let (breaker, clock) = half_open(2);
        let late = admit(&breaker);
        call(&breaker, Outcome::Failure);
        clock.advance(OPEN);
        let probes = passing(&breaker, 9);
        late.finish(outcome);
        assert_eq!((breaker.state(), breaker.counts().calls), (State::HalfOpen, 0));
        assert_eq!(probes.len() + passing(&breaker, 9).len(), 2);
    }
}

/// The number of calls that ratios ask for says nothing about probes.
#[test]
fn one_failed_probe_opens_again_however_many_calls_a_ratio_wants() {
    let (builder, clock) = builder();
    let breaker = builder.min_requests(100).probes(1).build().unwrap();
    calls(&breaker, 100, Outcome::Failure);
    clock.advance(OPEN);
    call(&breaker, Outcome::Failure);
    assert_eq!(breaker.state(), State::Open);
}

#[test]
fn a_success_does_not_close_while_probes_that_must_succeed_are_under_way() {
    let (breaker, _clock) = half_open(2);
    let (first, second) = (admit(&breaker), admit(&breaker));
    first.finish(Outcome::Success);
    assert_eq!(breaker.state(), State::HalfOpen);
    assert!(breaker.try_admit().is_err());
    second.finish(Outcome::Failure);
    assert_eq!(breaker.state(), State::Open);
}

#[test]
fn probes_that_never_come_back_are_given_up_and_others_go() {
    let (builder, clock) = builder();
    let builder = builder.consecutive_failures(1).open_for(OPEN).probes(2);
    let breaker = builder.probe_limit(Duration::from_secs(30)).build().unwrap();
    call(&breaker, Outcome::Failure);
    clock.advance(OPEN);
    let lost = admit(&breaker);
    clock.advance(Duration::from_secs(20));
    std::mem::forget(admit(&breaker));

    // Counted from the last one that went.
    clock.advance(Duration::from_secs(30) - NANO);
    assert!(breaker.try_admit().is_err());
    clock.advance(NANO);
    let (first, second) = (admit(&breaker), admit(&breaker));
    assert!(breaker.try_admit().is_err());

    lost.finish(Outcome::Failure);
    assert_eq!(breaker.state(), State::HalfOpen, "it was given up");
    first.finish(Outcome::Success);
    second.finish(Outcome::Success);
    assert_eq!(breaker.state(), State::Closed);
}

#[test]
fn a_slow_probe_has_failed_where_slow_calls_count() {
    let (builder, clock) = builder();
    let builder = builder.consecutive_failures(1).probes(1).slow_calls(MILLI * 100, 0.5);
    let breaker = builder.build().unwrap();
    call(&breaker, Outcome::Failure);
    clock.advance(OPEN);
    let probe = admit(&breaker);
    clock.advance(MILLI * 100 + NANO);
    probe.finish(Outcome::Success);
    assert_eq!(breaker.state(), State::Open);
}

#[test]
fn a_breaker_that_opens_twice_at_once_opens_once() {
    let (breaker, clock) = brittle(1);
    let (one, other) = (admit(&breaker), admit(&breaker));
    one.finish(Outcome::Failure);
    clock.advance(OPEN / 2);
    other.finish(Outcome::Failure);
    assert_eq!(breaker.retry_after(), Some(OPEN / 2));
}
