//! The preset, and settings that cannot mean anything.

use crate::{NANO, SECOND, call, calls, passing};
use plimsoll_breaker::{Builder, CircuitBreaker, State};
use plimsoll_core::{ManualClock, Outcome};
use std::time::Duration;

#[test]
fn the_preset_is_3_probes_1_s_of_window_5_s_open_10_requests_and_50_percent() {
    let (builder, clock) = crate::builder();
    let breaker = builder.build().unwrap();
    // 10 requests, 50 %.
    calls(&breaker, 5, Outcome::Success);
    calls(&breaker, 4, Outcome::Failure);
    assert_eq!(breaker.state(), State::Closed);
    // A window of 1 s.
    clock.advance(SECOND + SECOND / 15 + NANO);
    assert_eq!(breaker.counts().calls, 0);
    calls(&breaker, 5, Outcome::Success);
    calls(&breaker, 5, Outcome::Failure);
    assert_eq!(breaker.state(), State::Open);
    // Open for 5 s.
    assert_eq!(breaker.retry_after(), Some(Duration::from_secs(5)));
    clock.advance(Duration::from_secs(5));
    // 3 probes.
    let probes = passing(&breaker, 10);
    assert_eq!(probes.len(), 3);
    probes.into_iter().for_each(|probe| probe.finish(Outcome::Success));
    assert_eq!(breaker.state(), State::Closed);
    assert_eq!(CircuitBreaker::default().state(), State::Closed);
}

#[test]
fn short_forms_do_what_they_say() {
    use plimsoll_core::GateExt;
    let breaker = CircuitBreaker::after_failures(2, SECOND);
    for _ in 0..2 {
        assert_eq!(breaker.state(), State::Closed);
        breaker.try_admit().unwrap().finish(Outcome::Failure);
    }
    assert_eq!(breaker.state(), State::Open);
    let breaker = CircuitBreaker::at_ratio(0.9, SECOND * 3_600, SECOND);
    for _ in 0..10 {
        breaker.try_admit().unwrap().finish(Outcome::Failure);
    }
    assert_eq!(breaker.state(), State::Open);
}

fn error_of(set: impl FnOnce(Builder<ManualClock>) -> Builder<ManualClock>) -> String {
    set(crate::builder().0).build().expect_err("it means nothing").to_string()
}

#[test]
fn ratios_outside_their_bounds_are_errors() {
    for ratio in [0.0, -0.1, 1.000_001, f64::NAN, f64::INFINITY, -0.0] {
        let error = error_of(|builder| builder.failure_ratio(ratio));
        let expected = format!("failure_ratio must be more than 0 and at most 1, but is {ratio}");
        assert_eq!(error, expected);
        let error = error_of(|builder| builder.slow_calls(SECOND, ratio));
        assert!(error.starts_with("slow_calls ratio must be"), "{error}");
    }
    for jitter in [-0.1, 1.0, f64::NAN] {
        let error = error_of(|builder| builder.jitter(jitter));
        let expected = format!("jitter must be at least 0 and less than 1, but is {jitter}");
        assert_eq!(error, expected);
    }
}

#[test]
fn times_of_nothing_or_of_centuries_are_errors() {
    for (time, shown) in
        [(Duration::ZERO, "0ns"), (Duration::MAX, "18446744073709551615.999999999s")]
    {
        let sentence = |field| format!("{field} must be 1 ns to 292 years, but is {shown}");
        assert_eq!(error_of(|builder| builder.window(time)), sentence("window"));
        assert_eq!(error_of(|builder| builder.open_for(time)), sentence("open_for"));
        assert_eq!(error_of(|builder| builder.probe_limit(time)), sentence("probe_limit"));
        assert_eq!(error_of(|builder| builder.ramp(&[50], time)), sentence("ramp step"));
        let error = error_of(|builder| builder.slow_calls(time, 0.5));
        assert_eq!(error, sentence("slow_calls longer_than"));
    }
}

#[test]
fn numbers_out_of_bounds_are_errors() {
    let calls = "must be 1 to 10000000, but is";
    for n in [0, 10_000_001] {
        let error = error_of(|builder| builder.min_requests(n));
        assert_eq!(error, format!("min_requests {calls} {n}"));
        let error = error_of(|builder| builder.window_calls(n));
        assert_eq!(error, format!("window_calls {calls} {n}"));
    }
    for n in [0, 128] {
        let error = error_of(|builder| builder.probes(n));
        assert_eq!(error, format!("probes must be 1 to 127, but is {n}"));
    }
    for n in [0, 128] {
        let error = error_of(|builder| builder.probe_successes(n));
        assert_eq!(error, format!("probe_successes must be 1 to 127, but is {n}"));
    }
    let error = error_of(|builder| builder.consecutive_failures(0));
    assert_eq!(error, "consecutive_failures must be at least 1, but is 0");
}

#[test]
fn settings_that_contradict_each_other_are_errors() {
    let error = error_of(|builder| builder.probe_successes(2).close_when(|_| true));
    let expected = "probe_successes must be left out where close_when is set, but is 2";
    assert_eq!(error, expected);
    let error = error_of(|builder| builder.window_calls(9).min_requests(10));
    let expected = "min_requests must be at most window_calls, but is 10 where window_calls is 9";
    assert_eq!(error, expected);
    let error = error_of(|builder| builder.probes(3).probe_successes(4));
    assert_eq!(error, "probe_successes must be at most probes, but is 4 where probes is 3");
    let error = error_of(|builder| builder.open_for(SECOND).backoff(2.0, SECOND - NANO));
    let expected =
        "backoff cap must be at least open_for, but is 999.999999ms where open_for is 1s";
    assert_eq!(error, expected);
    for factor in [0.99, -1.0, f64::NAN, f64::INFINITY] {
        let error = error_of(|builder| builder.backoff(factor, SECOND * 60));
        assert_eq!(error, format!("backoff factor must be a number from 1, but is {factor}"));
    }
    for percents in [&[][..], &[0], &[100], &[50, 25], &[10, 10]] {
        let error = error_of(|builder| builder.ramp(percents, SECOND));
        let expected = format!("ramp must be rising percentages from 1 to 99, but is {percents:?}");
        assert_eq!(error, expected);
    }
}

#[test]
fn a_window_of_fewer_calls_than_ratios_want_by_default_wants_all_of_them() {
    for window in [1, 5, 9, 10, 11] {
        let breaker = crate::builder().0.window_calls(window).failure_ratio(0.1).build().unwrap();
        calls(&breaker, window.min(10) - 1, Outcome::Failure);
        assert_eq!(breaker.state(), State::Closed, "a window of {window}");
        call(&breaker, Outcome::Failure);
        assert_eq!(breaker.state(), State::Open, "a window of {window}");
    }
    let breaker = crate::builder().0.consecutive_failures(3).window_calls(5).build().unwrap();
    calls(&breaker, 3, Outcome::Failure);
    assert_eq!(breaker.state(), State::Open);
}

#[test]
fn as_many_probes_go_as_must_succeed_where_no_number_is_set() {
    for (successes, probes) in [(1, 3), (3, 3), (4, 4), (127, 127)] {
        let (builder, clock) = crate::builder();
        let breaker = builder.consecutive_failures(1).probe_successes(successes).build().unwrap();
        call(&breaker, Outcome::Failure);
        clock.advance(crate::OPEN);
        assert_eq!(passing(&breaker, 200).len(), probes);
    }
}

#[test]
fn openings_are_no_longer_than_their_cap_where_no_time_is_set() {
    for (cap, first) in [(SECOND, SECOND), (SECOND * 60, crate::OPEN)] {
        let (builder, _clock) = crate::builder();
        let breaker = builder.consecutive_failures(1).backoff(2.0, cap).build().unwrap();
        call(&breaker, Outcome::Failure);
        assert_eq!(breaker.retry_after(), Some(first));
    }
}

#[test]
fn the_extremes_that_are_allowed_work() {
    let years = Duration::from_nanos(1 << 63);
    let (builder, clock) = crate::builder();
    let breaker = builder
        .window(years)
        .open_for(years)
        .backoff(f64::MAX, years)
        .jitter(0.999_999)
        .probe_limit(years)
        .probes(127)
        .ramp(&[1, 99], years)
        .consecutive_failures(u32::MAX)
        .min_requests(1)
        .failure_ratio(f64::MIN_POSITIVE)
        .build()
        .unwrap();
    call(&breaker, Outcome::Failure);
    assert_eq!(breaker.state(), State::Open);
    clock.set(plimsoll_core::Tick::from_nanos(u64::MAX - 1));
    assert_eq!(breaker.state(), State::HalfOpen);
    calls(&breaker, 127, Outcome::Success);
    assert_eq!(breaker.state(), State::Recovering);
}

#[test]
#[should_panic(expected = "consecutive_failures must be at least 1, but is 0")]
fn no_failures_in_a_row_panic_where_they_are_written() {
    let _ = CircuitBreaker::after_failures(0, SECOND);
}

#[test]
#[should_panic(expected = "failure_ratio must be more than 0 and at most 1, but is 50")]
fn a_ratio_in_percent_panics_where_it_is_written() {
    let _ = CircuitBreaker::at_ratio(50.0, SECOND, SECOND);
}

#[test]
fn the_twins_return_what_the_literals_panic_with() {
    assert!(CircuitBreaker::try_after_failures(1, Duration::ZERO).is_err());
    assert!(CircuitBreaker::try_at_ratio(f64::NAN, SECOND, SECOND).is_err());
    assert!(CircuitBreaker::try_at_ratio(0.5, SECOND, SECOND).is_ok());
}
