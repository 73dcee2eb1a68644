//! The ramp after an outage, and openings that grow.

use crate::{Breaker, MILLI, NANO, OPEN, SECOND, admit, builder, call, passing};
use plimsoll_breaker::State;
use plimsoll_core::{ManualClock, Outcome};
use std::time::Duration;

/// Back from an outage, and at the beginning of a ramp of 10, 25 and 50 %.
fn ramping() -> (Breaker, ManualClock) {
    let (builder, clock) = builder();
    let builder = builder.consecutive_failures(1).open_for(OPEN).probes(1);
    let breaker = builder.ramp(&[10, 25, 50], SECOND).backoff(2.0, OPEN * 100).build().unwrap();
    call(&breaker, Outcome::Failure);
    clock.advance(OPEN);
    call(&breaker, Outcome::Success);
    assert_eq!(breaker.state(), State::Recovering);
    (breaker, clock)
}

#[test]
fn the_load_returns_in_shares() {
    let (breaker, clock) = ramping();
    let mut shares = Vec::new();
    for _ in 0..4 {
        shares.push(passing(&breaker, 1_000).len());
        clock.advance(SECOND);
    }
    assert_eq!(shares, [100, 250, 500, 1_000]);
    assert_eq!(breaker.state(), State::Closed);
}

#[test]
fn the_first_to_come_passes_and_the_others_are_spread() {
    let (breaker, clock) = ramping();
    clock.advance(SECOND);
    let pattern: Vec<_> = (0..12).map(|_| passing(&breaker, 1).len()).collect();
    assert_eq!(pattern, [1, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0]);
}

#[test]
fn the_ramp_ends_with_its_last_step_and_not_before() {
    let (breaker, clock) = ramping();
    clock.advance(SECOND * 3 - NANO);
    assert_eq!(breaker.state(), State::Recovering);
    clock.advance(NANO);
    assert_eq!(breaker.state(), State::Closed);
    assert_eq!(passing(&breaker, 10).len(), 10);
}

#[test]
fn a_failure_on_the_ramp_opens_again_for_longer() {
    let (breaker, _clock) = ramping();
    call(&breaker, Outcome::Failure);
    assert_eq!(breaker.state(), State::Open);
    assert_eq!(breaker.retry_after(), Some(OPEN * 2));
}

#[test]
fn a_failure_after_the_ramp_opens_as_if_for_the_first_time_though_nobody_came_since() {
    let (breaker, clock) = ramping();
    let from_the_ramp = admit(&breaker);
    clock.advance(SECOND * 3);
    assert_eq!(breaker.state(), State::Closed);
    from_the_ramp.finish(Outcome::Failure);
    assert_eq!(breaker.state(), State::Open);
    assert_eq!(breaker.retry_after(), Some(OPEN));
}

#[test]
fn a_failure_within_the_last_step_of_the_ramp_opens_for_longer() {
    let (breaker, clock) = ramping();
    let from_the_ramp = admit(&breaker);
    clock.advance(SECOND * 3 - NANO);
    from_the_ramp.finish(Outcome::Failure);
    assert_eq!(breaker.retry_after(), Some(OPEN * 2));
}

#[test]
fn what_was_counted_on_the_ramp_counts_after_it() {
    let (builder, clock) = builder();
    let builder = builder.window_calls(10).probes(1).ramp(&[99], MILLI);
    let breaker = builder.build().unwrap();
    crate::calls(&breaker, 10, Outcome::Failure);
    clock.advance(OPEN);
    call(&breaker, Outcome::Success);
    let passed = passing(&breaker, 10);
    assert_eq!(passed.len(), 9);
    passed.into_iter().for_each(|permit| permit.finish(Outcome::Failure));
    let under_way = admit(&breaker);
    clock.advance(MILLI);
    assert_eq!(breaker.state(), State::Closed);
    admit(&breaker).cancel();
    assert_eq!(breaker.counts().failures, 9);
    under_way.finish(Outcome::Failure);
    assert_eq!(breaker.state(), State::Open, "begun on the ramp, ended after it");
}

#[test]
fn openings_grow_while_probes_fail_up_to_the_cap_and_begin_anew_once_it_is_closed() {
    let (builder, clock) = builder();
    let builder = builder.consecutive_failures(1).open_for(SECOND).probes(1);
    let breaker = builder.backoff(3.0, SECOND * 20).build().unwrap();
    call(&breaker, Outcome::Failure);
    let mut openings = Vec::new();
    for _ in 0..100 {
        let open = breaker.retry_after().unwrap();
        openings.push(open.as_secs());
        clock.advance(open);
        call(&breaker, Outcome::Failure);
    }
    assert_eq!(openings[..5], [1, 3, 9, 20, 20]);
    assert_eq!(openings[99], 20);
    clock.advance(SECOND * 20);
    call(&breaker, Outcome::Success);
    call(&breaker, Outcome::Failure);
    assert_eq!(breaker.retry_after(), Some(SECOND));
}

#[test]
fn a_reset_begins_the_openings_anew_too() {
    let (breaker, _clock) = ramping();
    call(&breaker, Outcome::Failure);
    assert_eq!(breaker.retry_after(), Some(OPEN * 2));
    breaker.reset();
    call(&breaker, Outcome::Failure);
    assert_eq!(breaker.retry_after(), Some(OPEN));
}

#[test]
fn jitter_shortens_openings_by_its_part_at_most_and_not_all_alike() {
    let mut openings = Vec::new();
    for _ in 0..200 {
        let (builder, _clock) = builder();
        let builder = builder.consecutive_failures(1).open_for(SECOND).jitter(0.2);
        let breaker = builder.build().unwrap();
        call(&breaker, Outcome::Failure);
        openings.push(breaker.retry_after().unwrap());
    }
    let bounds = Duration::from_millis(800)..=SECOND;
    assert!(openings.iter().all(|open| bounds.contains(open)), "{openings:?}");
    openings.sort();
    openings.dedup();
    assert!(openings.len() > 100, "{} different ones", openings.len());
}

#[test]
fn a_seed_draws_the_same_openings_again_and_each_its_own() {
    let openings = |seed| {
        let (builder, clock) = builder();
        let builder = builder.consecutive_failures(1).open_for(SECOND).probes(1);
        let breaker = builder.jitter(0.5).seed(seed).build().unwrap();
        let open = |_| {
            call(&breaker, Outcome::Failure);
            let open = breaker.retry_after().unwrap();
            clock.advance(open);
            open
        };
        (0..50).map(open).collect::<Vec<_>>()
    };
    assert_eq!(openings(7), openings(7));
    assert_ne!(openings(7), openings(8));
    let mut openings = openings(7);
    openings.sort();
    openings.dedup();
    assert_eq!(openings.len(), 50);
}
