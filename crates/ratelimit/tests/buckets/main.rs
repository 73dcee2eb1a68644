//! Token bucket and leaky bucket, through their public API.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod conformance;
mod exact;
mod foreign;
mod leased;
mod live;
mod paced;
mod refund;
mod reserving;
mod waiting;

use plimsoll_core::{Clock, ManualClock, Tick};
use plimsoll_ratelimit::TokenBucket;
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);
const MILLI: Duration = Duration::from_millis(1);
const NANO: Duration = Duration::from_nanos(1);

/// A bucket on a clock that stands still.
fn bucket(n: u32, period: Duration, burst: u32) -> (TokenBucket<ManualClock>, ManualClock) {
    let clock = ManualClock::new();
    (TokenBucket::new(n, period).burst(burst).clock(clock.clone()), clock)
}

/// Takes tokens one by one until it is refused.
fn drain<K: Clock>(bucket: &TokenBucket<K>) -> u32 {
    (0..1_000_000).take_while(|_| bucket.try_acquire().is_ok()).map(|_| 1).sum()
}

#[test]
fn settings_that_mean_nothing_are_errors_that_say_what_is_allowed() {
    let error = |n, period| TokenBucket::try_new(n, period).unwrap_err().to_string();
    let rule = "rate must be at most 1000000000 per second";
    assert_eq!(error(2, NANO), format!("{rule}, but is 2 per 1ns"));
    assert_eq!(error(1, Duration::ZERO), "period must be 1 ns to 584 years, but is 0ns");
    assert!(error(1, Duration::MAX).starts_with("period must be 1 ns to 584 years"));
    let lease = TokenBucket::per_second(1).try_leased(0).unwrap_err().to_string();
    assert_eq!(lease, "lease must be at least 1, but is 0");
    assert!(TokenBucket::try_new(1_000_000_000, SECOND).is_ok());
    assert!(TokenBucket::try_new(1_000_000_001, SECOND).is_err());
    let (bucket, _) = bucket(1, SECOND, 1);
    assert!(bucket.set_rate(2, NANO).is_err());
    assert!(bucket.set_rate(1, Duration::ZERO).is_err());
}

#[test]
#[should_panic(expected = "rate must be at most 1000000000 per second, but is 1000000001 per 1s")]
fn a_rate_beyond_a_token_a_nanosecond_panics_where_it_is_written() {
    let _ = TokenBucket::per_second(1_000_000_001);
}

#[test]
#[should_panic(expected = "lease must be at least 1, but is 0")]
fn a_lease_of_nothing_panics_where_it_is_written() {
    let _ = TokenBucket::per_second(1).leased(0);
}

#[test]
fn the_unit_of_the_constructor_is_the_period() {
    let hint = |bucket: TokenBucket| {
        let bucket = bucket.burst(1).clock(ManualClock::new());
        bucket.try_acquire().unwrap();
        bucket.try_acquire().unwrap_err().retry_after().unwrap()
    };
    assert_eq!(hint(TokenBucket::per_second(10)), SECOND / 10);
    assert_eq!(hint(TokenBucket::per_minute(10)), SECOND * 6);
    assert_eq!(hint(TokenBucket::per_hour(10)), SECOND * 360);
    assert_eq!(hint(TokenBucket::per_day(10)), SECOND * 8_640);
    assert_eq!(hint(TokenBucket::new(2, SECOND * 7)), SECOND * 7 / 2);
}

#[test]
fn unless_told_otherwise_the_burst_is_what_a_period_brings() {
    let bucket = TokenBucket::per_second(7).clock(ManualClock::new());
    assert_eq!(drain(&bucket), 7);
}

#[test]
fn more_than_the_burst_is_refused_without_a_hint() {
    let (bucket, _) = bucket(10, SECOND, 5);
    assert_eq!(bucket.try_acquire_many(6).unwrap_err().retry_after(), None);
    assert_eq!(bucket.try_acquire_many(u32::MAX).unwrap_err().retry_after(), None);
    assert_eq!(bucket.available(), 5);
    bucket.try_acquire_many(5).unwrap();
    assert_eq!(bucket.try_acquire_many(6).unwrap_err().retry_after(), None);
}

#[test]
fn no_burst_admits_nothing_and_no_rate_admits_the_burst_once() {
    let (none, clock) = bucket(10, SECOND, 0);
    clock.advance(SECOND * 1_000);
    assert_eq!(none.try_acquire().unwrap_err().retry_after(), None);
    none.try_acquire_many(0).unwrap();

    let (once, clock) = bucket(0, SECOND, 3);
    assert_eq!(drain(&once), 3);
    clock.set(Tick::MAX);
    assert_eq!(once.try_acquire().unwrap_err().retry_after(), None);
    assert_eq!(once.available(), 0);
}

#[test]
fn time_that_goes_back_and_forth_mints_no_tokens() {
    let (bucket, clock) = bucket(1_000, SECOND, 10);
    let start = clock.now();
    let mut admitted = 0;
    for round in 0..1_000_u64 {
        let ahead = Tick::from_nanos(start.as_nanos() + (round % 2) * 5_000_000);
        clock.set(ahead);
        admitted += drain(&bucket);
    }
    assert_eq!(admitted, 10 + 5);
}

#[test]
fn the_quota_says_what_is_left_and_when_it_is_whole() {
    use plimsoll_core::Quota;
    let (bucket, clock) = bucket(10, SECOND, 20);
    let full = bucket.quota(&());
    assert_eq!((full.limit, full.remaining), (20, 20));
    assert_eq!((full.reset, full.window), (Duration::ZERO, SECOND * 2));
    bucket.try_acquire_many(15).unwrap();
    clock.advance(MILLI * 250);
    let used = bucket.quota(&());
    assert_eq!((used.remaining, used.reset), (7, MILLI * 1_250));
}
