//! Who is told of changes.

use crate::{Breaker, OPEN, SECOND, admit, builder, call, calls};
use plimsoll_breaker::{CircuitBreaker, State, StateChange};
use plimsoll_core::{GateExt, ManualClock, Outcome};
use std::sync::{Arc, Mutex, OnceLock};

type Heard = Arc<Mutex<Vec<StateChange>>>;

fn heard() -> (Heard, impl Fn(&StateChange) + Send + Sync + 'static) {
    let heard = Heard::default();
    let to = Arc::clone(&heard);
    (heard, move |change: &StateChange| to.lock().unwrap().push(*change))
}

#[test]
fn every_change_is_told_once_in_order_with_what_led_to_it() {
    let (heard, observer) = heard();
    let (builder, clock) = builder();
    let breaker = builder.probes(2).on_change(observer).build().unwrap();
    calls(&breaker, 10, Outcome::Failure);
    clock.advance(OPEN);
    calls(&breaker, 2, Outcome::Success);
    breaker.force_open();
    breaker.reset();
    let heard: Vec<_> = heard.lock().unwrap().clone();
    let changes: Vec<_> = heard.iter().map(|change| (change.from, change.to)).collect();
    use State::{Closed, ForcedOpen, HalfOpen, Open};
    let expected = [
        (Closed, Open),
        (Open, HalfOpen),
        (HalfOpen, Closed),
        (Closed, ForcedOpen),
        (ForcedOpen, Closed),
    ];
    assert_eq!(changes, expected);
    assert!(heard.windows(2).all(|pair| pair[0].generation < pair[1].generation));
    let counts: Vec<_> =
        heard.iter().map(|change| (change.counts.calls, change.counts.failures)).collect();
    assert_eq!(counts[..3], [(10, 10), (0, 0), (2, 0)]);
}

#[test]
fn an_observer_may_ask_and_change_the_breaker_that_tells_it() {
    let cell: Arc<OnceLock<Arc<CircuitBreaker<ManualClock>>>> = Arc::default();
    let seen: Arc<Mutex<Vec<State>>> = Arc::default();
    let (builder, _clock) = builder();
    let breaker = builder.consecutive_failures(1).on_change({
        let (cell, seen) = (Arc::clone(&cell), Arc::clone(&seen));
        move |change| {
            let breaker = cell.get().expect("set before the first call");
            seen.lock().unwrap().push(breaker.state());
            let _ = (breaker.counts(), breaker.retry_after(), breaker.try_admit());
            if change.to == State::Open {
                breaker.reset();
            }
        }
    });
    let breaker = cell.get_or_init(|| Arc::new(breaker.build().unwrap()));
    call(breaker, Outcome::Failure);
    assert_eq!(*seen.lock().unwrap(), [State::Open, State::Closed], "told after the change");
    assert_eq!(breaker.state(), State::Closed);
}

#[test]
fn an_observer_that_panics_harms_neither_the_caller_nor_the_others() {
    let (heard, observer) = heard();
    let (builder, _clock) = builder();
    let breaker = builder
        .consecutive_failures(1)
        .on_change(|_| std::panic::resume_unwind(Box::new("an observer")))
        .on_change(observer)
        .build()
        .unwrap();
    call(&breaker, Outcome::Failure);
    assert_eq!(breaker.state(), State::Open);
    assert_eq!(heard.lock().unwrap().len(), 1);
}

#[test]
fn however_many_fail_at_once_the_trip_is_told_once() {
    for _ in 0..50 {
        let (heard, observer) = heard();
        let (builder, _clock) = builder();
        let breaker = builder.consecutive_failures(1).on_change(observer).build().unwrap();
        let permits: Vec<_> = (0..8).map(|_| admit(&breaker)).collect();
        std::thread::scope(|scope| {
            for permit in permits {
                scope.spawn(|| permit.finish(Outcome::Failure));
            }
        });
        assert_eq!(heard.lock().unwrap().len(), 1);
    }
}

#[test]
fn probes_that_are_given_up_are_told() {
    let (heard, observer) = heard();
    let (builder, clock) = builder();
    let builder = builder.consecutive_failures(1).probes(2).on_change(observer);
    let breaker = builder.build().unwrap();
    call(&breaker, Outcome::Failure);
    clock.advance(OPEN);
    call(&breaker, Outcome::Success);
    std::mem::forget(admit(&breaker));
    clock.advance(OPEN * 12);
    calls(&breaker, 2, Outcome::Success);
    let told =
        heard.lock().unwrap().iter().map(|change| (change.to, change.counts.calls)).collect();
    let expected =
        vec![(State::Open, 1), (State::HalfOpen, 0), (State::HalfOpen, 1), (State::Closed, 2)];
    assert_eq!((expected, breaker.state()), (told, State::Closed));
}

type Changes = Vec<(State, State)>;

fn changes(heard: &Heard) -> Changes {
    heard.lock().unwrap().iter().map(|change| (change.from, change.to)).collect()
}

/// What is told when `end` comes to a breaker that has recovered, and nobody has
/// called since; and how many of the generations are new.
fn told_after_a_ramp(end: impl FnOnce(&Breaker)) -> (Changes, u64) {
    let (heard, observer) = heard();
    let (builder, clock) = builder();
    let builder = builder.consecutive_failures(1).probes(1).ramp(&[50], SECOND);
    let breaker = builder.on_change(observer).build().unwrap();
    call(&breaker, Outcome::Failure);
    clock.advance(OPEN);
    call(&breaker, Outcome::Success);
    let from_the_ramp = admit(&breaker);
    clock.advance(SECOND);
    assert_eq!(breaker.state(), State::Closed);
    let ramp = heard.lock().unwrap().last().unwrap().generation;
    heard.lock().unwrap().clear();
    end(&breaker);
    from_the_ramp.finish(Outcome::Failure);
    let last = heard.lock().unwrap().last().unwrap().generation;
    (changes(&heard), last - ramp)
}

#[test]
fn that_a_recovery_has_ended_is_told_before_what_follows_it() {
    use State::{Closed, ForcedClosed, ForcedOpen, Open, Recovering};
    let ended = (Recovering, Closed);
    let told = told_after_a_ramp(|_| ());
    assert_eq!(told, (vec![ended, (Closed, Open)], 1));
    let told = told_after_a_ramp(|breaker| call(breaker, Outcome::Success));
    assert_eq!(told, (vec![ended, (Closed, Open)], 1));
    let told = told_after_a_ramp(CircuitBreaker::force_open);
    assert_eq!(told, (vec![ended, (Closed, ForcedOpen)], 1));
    let told = told_after_a_ramp(CircuitBreaker::force_closed);
    assert_eq!(told, (vec![ended, (Closed, ForcedClosed)], 1));
    let told = told_after_a_ramp(CircuitBreaker::reset);
    assert_eq!(told, (vec![ended, (Closed, Closed)], 1));
}

#[test]
fn forcing_what_is_forced_already_tells_nobody_and_forgets_nothing() {
    let (heard, observer) = heard();
    let breaker = builder().0.on_change(observer).build().unwrap();
    breaker.force_closed();
    call(&breaker, Outcome::Failure);
    let under_way = admit(&breaker);
    breaker.force_closed();
    under_way.finish(Outcome::Failure);
    assert_eq!(breaker.counts().failures, 2);
    breaker.force_open();
    breaker.force_open();
    let told = [(State::Closed, State::ForcedClosed), (State::ForcedClosed, State::ForcedOpen)];
    assert_eq!(changes(&heard), told);
}

#[test]
fn a_reset_is_told_with_what_it_forgets_even_if_it_was_closed() {
    let (heard, observer) = heard();
    let breaker = builder().0.on_change(observer).build().unwrap();
    call(&breaker, Outcome::Failure);
    breaker.reset();
    breaker.reset();
    assert_eq!(changes(&heard), [(State::Closed, State::Closed); 2]);
    let forgotten = heard.lock().unwrap().iter().map(|change| change.counts.failures).collect();
    assert_eq!((breaker.counts().failures, forgotten), (0, vec![1, 0]));
}
