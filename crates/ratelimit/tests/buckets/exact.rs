//! The bucket against the formula, in exact fractions.

use super::{NANO, bucket};
use plimsoll_core::{Clock, ManualClock, Tick};
use plimsoll_ratelimit::TokenBucket;
use proptest::prelude::*;
use std::time::Duration;

const CENTURY_NANOS: u64 = 100 * 366 * 24 * 60 * 60 * 1_000_000_000;
const CENTURY: Duration = Duration::from_nanos(CENTURY_NANOS);

/// From one a day, or one in a century, to 10^9 a second.
fn rates() -> impl Strategy<Value = (u32, Duration)> {
    let day = 24 * 60 * 60 * 1_000_000_000_u64;
    prop_oneof![
        (1..=1_000_000_000_u32).prop_map(|n| (n, Duration::from_secs(1))),
        (1..=1_000_000_u32).prop_map(move |n| (n, Duration::from_nanos(day))),
        (1..=u32::MAX, 1..=day * 36_500).prop_filter_map("over 10^9 a second", |(n, nanos)| {
            (u64::from(n) <= nanos).then_some((n, Duration::from_nanos(nanos)))
        }),
        Just((1_000_000_000, Duration::from_secs(1))),
        Just((700_000_000, Duration::from_secs(1))),
        Just((3, Duration::from_secs(7))),
    ]
}

/// The tokens that have come in after `t`, rounded down.
fn granted(n: u32, period: Duration, t: Duration) -> u128 {
    u128::from(n) * t.as_nanos() / period.as_nanos()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    /// Wherever in a century it starts, however long it goes on: an empty
    /// bucket has taken in what the formula says, to the token that is coming in
    /// or has come in at that nanosecond.
    #[test]
    fn it_fills_at_the_rate_to_the_token(
        (n, period) in rates(),
        start in 0..CENTURY_NANOS / 2,
        span in 0..CENTURY_NANOS / 2,
        burst in 1..=u32::MAX,
    ) {
        let clock = ManualClock::at(Tick::from_nanos(start));
        let bucket = TokenBucket::new(n, period).burst(burst).clock(clock.clone());
        bucket.try_acquire_many(burst).unwrap();
        prop_assert_eq!(bucket.available(), 0);
        clock.advance(Duration::from_nanos(span));
        let exact = granted(n, period, Duration::from_nanos(span)).min(burst.into());
        let available = u128::from(bucket.available());
        prop_assert!(available.abs_diff(exact) <= 1, "{} of {}", available, exact);
    }

    /// A retry at the hint passes; a retry two nanoseconds before it does not.
    #[test]
    fn the_hint_is_never_early_and_a_nanosecond_late_at_most(
        (n, period) in rates(),
        start in 0..CENTURY_NANOS / 2,
        burst in 1..=u32::MAX,
        parts in (1..=1_000_u64, 1..=1_000_u64),
    ) {
        let clock = ManualClock::at(Tick::from_nanos(start));
        let bucket = TokenBucket::new(n, period).burst(burst).clock(clock.clone());
        let part = |mille: u64| {
            u32::try_from(u64::from(burst) * mille / 1_000).unwrap().clamp(1, burst)
        };
        let (taken, asked) = (part(parts.0), part(parts.1));
        bucket.try_acquire_many(taken).unwrap();
        let Err(refusal) = bucket.try_acquire_many(asked) else { return Ok(()) };
        let missing = u128::from(asked) + u128::from(taken) - u128::from(burst);
        let exact = missing * period.as_nanos() / u128::from(n);
        let Some(hint) = refusal.retry_after() else {
            // Farther off than a refusal can say: 36 years.
            prop_assert!(exact > u128::from(u64::MAX / 17), "no hint for {} ns", exact);
            return Ok(());
        };
        if hint > CENTURY / 2 {
            return Ok(());
        }
        let start = clock.now();
        clock.set(start + hint.saturating_sub(NANO * 2));
        prop_assert!(hint < NANO * 2 || bucket.try_acquire_many(asked).is_err());
        clock.set(start + hint);
        prop_assert!(bucket.try_acquire_many(asked).is_ok(), "refused at its hint {:?}", hint);
    }
}

/// Ten million admissions at many rates, each asked for at the hint of the last
/// refusal: they take as long as the rate says, to two nanoseconds. A bucket
/// whose interval is rounded to whole nanoseconds is off by seconds here.
#[test]
fn ten_million_admissions_take_as_long_as_the_rate_says() {
    let day = Duration::from_secs(24 * 60 * 60);
    let second = Duration::from_secs(1);
    let rates = [
        (1, day),
        (7, day),
        (3, second * 60),
        (97, second),
        (30_000, second),
        (999_999, second),
        (700_000_000, second),
        (999_999_999, second),
        (1_000_000_000, second),
    ];
    let share = 10_000_000 / rates.len() as u128;
    for (n, period) in rates {
        // A caller is late by a part of a nanosecond; a burst of two keeps that.
        let (bucket, clock) = bucket(n, period, 2);
        let in_a_century = granted(n, period, CENTURY);
        let admissions = u32::try_from(share.min(in_a_century)).unwrap();
        let start = clock.now();
        bucket.try_acquire_many(2).unwrap();
        for _ in 0..admissions {
            while let Err(refusal) = bucket.try_acquire() {
                clock.advance(refusal.retry_after().unwrap());
            }
        }
        let took = clock.now().since(start).as_nanos();
        let exact = u128::from(admissions) * period.as_nanos() / u128::from(n);
        let off = took.abs_diff(exact);
        assert!(off <= 2, "{n} per {period:?}: {took} ns, {exact} are right");
    }
}

/// The same in bursts, so that a fast rate is not bound to whole nanoseconds.
#[test]
fn ten_million_admissions_in_bursts_take_as_long_as_the_rate_says() {
    for n in [1_000_u32, 699_999_999, 700_000_000, 999_999_999, 1_000_000_000] {
        let (bucket, clock) = bucket(n, Duration::from_secs(1), 10_000);
        let start = clock.now();
        let mut admitted: u64 = 0;
        bucket.try_acquire_many(10_000).unwrap();
        while admitted < 10_000_000 {
            clock.advance(Duration::from_nanos(9_998_000_000_000 / u64::from(n)));
            let now = bucket.available();
            bucket.try_acquire_many(now).unwrap();
            admitted += u64::from(now);
        }
        let span = clock.now().since(start);
        let exact = granted(n, Duration::from_secs(1), span);
        let off = u128::from(admitted).abs_diff(exact);
        assert!(off <= 1, "{n} per second: {admitted} of {exact}");
    }
}
