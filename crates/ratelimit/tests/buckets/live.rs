use super::{MILLI, NANO, SECOND, bucket, drain};
use plimsoll_core::{Clock, ManualClock};
use plimsoll_ratelimit::TokenBucket;
use proptest::prelude::*;
use std::time::Duration;

#[test]
fn a_new_rate_keeps_what_was_earned() {
    let (bucket, clock) = bucket(10, SECOND, 100);
    bucket.try_acquire_many(90).unwrap();
    bucket.set_rate(1_000_000, SECOND).unwrap();
    assert_eq!(bucket.available(), 10);
    clock.advance(NANO * 5_000);
    assert_eq!(bucket.available(), 15);
    bucket.set_rate(1, SECOND * 60).unwrap();
    assert_eq!(bucket.available(), 15);
    clock.advance(SECOND * 60);
    assert_eq!(bucket.available(), 16);
    bucket.set_rate(0, SECOND).unwrap();
    clock.advance(SECOND * 1_000_000);
    assert_eq!(drain(&bucket), 16);
    bucket.set_rate(1, SECOND).unwrap();
    assert_eq!(bucket.try_acquire().unwrap_err().retry_after(), Some(SECOND));
}

#[test]
fn a_larger_burst_is_not_given_but_earned() {
    let (bucket, clock) = bucket(10, SECOND, 5);
    clock.advance(SECOND * 1_000);
    bucket.set_burst(50);
    assert_eq!(bucket.available(), 5);
    clock.advance(SECOND);
    assert_eq!(bucket.available(), 15);
}

#[test]
fn a_smaller_burst_keeps_what_fits() {
    let (bucket, _) = bucket(10, SECOND, 50);
    bucket.try_acquire_many(10).unwrap();
    bucket.set_burst(20);
    assert_eq!(bucket.available(), 20);
    bucket.set_burst(0);
    bucket.set_burst(50);
    assert_eq!(bucket.available(), 0);
}

#[test]
fn a_change_that_read_the_clock_before_the_last_token_came_mints_none() {
    let (bucket, clock) = bucket(1, SECOND, 1_000);
    let start = clock.now();
    clock.advance(SECOND);
    assert_eq!(drain(&bucket), 1_000);
    clock.set(start + MILLI * 990);
    bucket.set_rate(1_000_000, SECOND).unwrap();
    clock.set(start + SECOND);
    assert_eq!(bucket.available(), 0);
}

#[test]
fn part_of_a_token_is_kept_as_well() {
    let (bucket, clock) = bucket(1, SECOND, 1);
    bucket.try_acquire().unwrap();
    clock.advance(MILLI * 750);
    bucket.set_rate(10, SECOND).unwrap();
    assert_eq!(bucket.try_acquire().unwrap_err().retry_after(), Some(MILLI * 25));
}

#[derive(Clone, Debug)]
enum Step {
    Wait(u64),
    Take(u32),
    Rate(u32, u64),
    Burst(u32),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        (0..10_000_000_000_u64).prop_map(Step::Wait),
        (1..50_u32).prop_map(Step::Take),
        (0..1_000_u32, 1_000..100_000_000_000_u64).prop_map(|(n, period)| Step::Rate(n, period)),
        (0..100_u32).prop_map(Step::Burst),
    ];
    prop::collection::vec(step, 1..60)
}

proptest! {
    /// Against a bucket kept in floating point, which does not mind what is
    /// changed when.
    #[test]
    fn changes_at_any_moment_leave_the_level_as_it_was(steps in steps()) {
        let clock = ManualClock::new();
        let bucket = TokenBucket::per_second(10).burst(20).clock(clock.clone());
        let (mut rate, mut burst, mut level) = (10.0 / 1e9, 20.0_f64, 20.0_f64);
        let close = |level: f64, available: u32| {
            let available = f64::from(available);
            // The floor of either, with an error in the sixth place.
            available <= level + 1e-6 && available > level - 1.0 - 1e-6
        };
        for step in steps {
            match step {
                Step::Wait(nanos) => {
                    clock.advance(Duration::from_nanos(nanos));
                    level = burst.min(level + rate * nanos as f64);
                }
                Step::Take(n) => {
                    let clear = (level - f64::from(n)).abs() > 1e-6;
                    let passed = bucket.try_acquire_many(n).is_ok();
                    prop_assert!(!clear || passed == (level >= f64::from(n)), "{} of {}", n, level);
                    if passed {
                        level = (level - f64::from(n)).max(0.0);
                    }
                }
                Step::Rate(n, period) => {
                    bucket.set_rate(n, Duration::from_nanos(period)).unwrap();
                    rate = f64::from(n) / period as f64;
                }
                Step::Burst(n) => {
                    bucket.set_burst(n);
                    burst = f64::from(n);
                    level = level.min(burst);
                }
            }
            let available = bucket.available();
            prop_assert!(close(level, available), "{} tokens, the level is {}", available, level);
        }
        prop_assert!(clock.now().as_nanos() > 0);
    }
}
