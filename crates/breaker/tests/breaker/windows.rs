//! How long results count.

use crate::{Breaker, MILLI, NANO, SECOND, builder, call, calls};
use plimsoll_breaker::State;
use plimsoll_core::{ManualClock, Outcome};
use std::time::Duration;

fn timed(window: Duration) -> (Breaker, ManualClock) {
    let (builder, clock) = builder();
    (builder.window(window).build().unwrap(), clock)
}

#[test]
fn a_failure_counts_for_the_whole_window_and_a_fifteenth_more_at_most() {
    for window in [NANO * 15, MILLI, SECOND, SECOND * 3_600] {
        for start in [0, 1, 7] {
            let (breaker, clock) = timed(window);
            clock.advance(window * start / 13);
            call(&breaker, Outcome::Failure);
            clock.advance(window);
            assert_eq!(breaker.counts().failures, 1, "{window:?}");
            clock.advance(window / 15 + NANO * 16);
            assert_eq!(breaker.counts().failures, 0, "{window:?}");
        }
    }
}

/// A window that starts again at fixed moments forgets there all at once; half
/// an outage before the moment and half after it are then never seen together.
#[test]
fn an_outage_is_seen_wherever_in_time_it_falls() {
    for start in 0..60 {
        let (breaker, clock) = timed(SECOND);
        clock.advance(MILLI * 17 * start);
        calls(&breaker, 5, Outcome::Failure);
        clock.advance(MILLI * 900);
        calls(&breaker, 5, Outcome::Failure);
        assert_eq!(breaker.state(), State::Open, "begun at {start}");
    }
}

/// A bucket holds a million calls; once it did not look at those beyond.
#[test]
fn an_outage_is_seen_however_many_calls_came_before_it() {
    let (builder, _clock) = builder();
    let breaker = builder.window(SECOND * 3_600).failure_ratio(0.01).build().unwrap();
    calls(&breaker, 1_200_000, Outcome::Success);
    assert!(breaker.counts().calls > 500_000);
    let more = (0..100_000).take_while(|_| {
        call(&breaker, Outcome::Failure);
        breaker.state() == State::Closed
    });
    assert!((5_000..13_000).contains(&more.count()), "a hundredth of the calls failed");
}

#[test]
fn failures_far_apart_do_not_add_up() {
    let (breaker, clock) = timed(SECOND);
    for _ in 0..1_000 {
        calls(&breaker, 2, Outcome::Failure);
        clock.advance(SECOND);
    }
    assert_eq!(breaker.state(), State::Closed);
}

#[test]
fn after_days_without_a_call_nothing_old_counts_and_everything_new_does() {
    for days in [1, 2, 7, 30, 365] {
        let (breaker, clock) = timed(SECOND);
        calls(&breaker, 9, Outcome::Failure);
        clock.advance(SECOND * 86_400 * days);
        assert_eq!(breaker.counts().calls, 0);
        calls(&breaker, 9, Outcome::Failure);
        assert_eq!(breaker.state(), State::Closed);
        call(&breaker, Outcome::Failure);
        assert_eq!(breaker.state(), State::Open);
    }
}

#[test]
fn a_clock_that_steps_back_does_not_blind_it() {
    let (breaker, clock) = timed(SECOND);
    calls(&breaker, 5, Outcome::Failure);
    clock.set(plimsoll_core::Tick::from_nanos(1_000));
    calls(&breaker, 10, Outcome::Failure);
    assert_eq!(breaker.state(), State::Open);
}

#[test]
fn a_window_of_up_to_241_calls_holds_exactly_the_last_ones() {
    for window in 1..=241 {
        let (builder, _clock) = builder();
        let builder = builder.window_calls(window).min_requests(1).failure_ratio(1.0);
        let breaker = builder.build().unwrap();
        call(&breaker, Outcome::Success);
        for others in 1..window {
            assert_eq!(breaker.counts().calls, u64::from(others));
            call(&breaker, Outcome::Failure);
        }
        assert_eq!(breaker.state(), State::Closed, "the success is among the last {window}");
        call(&breaker, Outcome::Failure);
        assert_eq!(breaker.state(), State::Open, "the success has left");
    }
}

#[test]
fn a_window_of_many_calls_holds_them_and_less_than_a_fifteenth_more() {
    for window in [242, 243, 1_000, 12_345] {
        let (builder, _clock) = builder();
        let breaker = builder.window_calls(window).build().unwrap();
        let (least, most) = (u64::from(window), u64::from(window) * 16 / 15 + 1);
        calls(&breaker, window, Outcome::Success);
        for _ in 0..window {
            call(&breaker, Outcome::Success);
            let held = breaker.counts().calls;
            assert!((least..=most).contains(&held), "{held} held of {window}");
        }
    }
}

/// Which call failed is known in a short window, wherever it lies.
#[test]
fn each_failure_leaves_a_short_window_with_its_own_call() {
    let (builder, _clock) = builder();
    let breaker = builder.window_calls(100).failure_ratio(1.0).build().unwrap();
    let fails = |call: u32| call % 7 == 3 || call % 11 == 5;
    for n in 0..5_000_u32 {
        call(&breaker, if fails(n) { Outcome::Failure } else { Outcome::Success });
        let expected = (n.saturating_sub(99)..=n).filter(|&n| fails(n)).count() as u64;
        assert_eq!(breaker.counts().failures, expected, "after call {n}");
    }
}

#[test]
fn a_window_of_calls_slides_for_ever() {
    let (builder, _clock) = builder();
    let breaker = builder.window_calls(20).build().unwrap();
    for _ in 0..100_000 {
        calls(&breaker, 2, Outcome::Success);
        call(&breaker, Outcome::Failure);
    }
    assert_eq!(breaker.state(), State::Closed);
    let more = (0..100).take_while(|_| {
        call(&breaker, Outcome::Failure);
        breaker.state() == State::Closed
    });
    assert!(more.count() < 12, "what succeeded long ago still counts");
}

#[test]
fn what_many_threads_report_is_all_counted() {
    for (name, breaker) in [
        ("time", builder().0.window(SECOND).failure_ratio(1.0).build().unwrap()),
        ("calls", builder().0.window_calls(1_000_000).failure_ratio(1.0).build().unwrap()),
    ] {
        call(&breaker, Outcome::Success);
        std::thread::scope(|scope| {
            for _ in 0..7 {
                scope.spawn(|| calls(&breaker, 1_000, Outcome::Failure));
            }
        });
        let counts = breaker.counts();
        assert_eq!((counts.calls, counts.failures), (7_001, 7_000), "{name}");
    }
}

#[test]
fn the_share_of_slow_calls_stays_when_a_bucket_is_full() {
    let (builder, clock) = builder();
    let breaker = builder.window(SECOND * 3_600).slow_calls(NANO, 0.9).build().unwrap();
    for n in 0..1_100_000 {
        let permit = crate::admit(&breaker);
        if n % 2 == 0 {
            clock.advance(NANO * 2);
        }
        permit.finish(Outcome::Success);
    }
    let counts = breaker.counts();
    assert!((0.49..0.51).contains(&counts.slow_ratio()), "{counts:?}");
}
