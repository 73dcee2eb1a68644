use super::{MILLI, SECOND};
use plimsoll_core::{Clock, GateExt, ManualClock, Outcome, TokioClock};
use plimsoll_ratelimit::LeakyBucket;
use std::{sync::Arc, time::Duration};
use tokio::{task::JoinSet, time::Instant};

#[test]
fn idle_time_earns_nothing() {
    let clock = ManualClock::new();
    let bucket = LeakyBucket::per_second(10).clock(clock.clone());
    clock.advance(SECOND * 1_000);
    for _ in 0..5 {
        bucket.try_acquire().unwrap();
        let refusal = bucket.try_acquire().unwrap_err();
        assert_eq!(refusal.retry_after(), Some(MILLI * 100));
        assert_eq!(refusal.gate(), "leaky bucket");
        clock.advance(MILLI * 100);
    }
}

#[test]
fn a_large_request_passes_and_is_paid_for_afterwards() {
    let clock = ManualClock::new();
    let bucket = LeakyBucket::bytes_per_second(1_000).clock(clock.clone());
    bucket.try_acquire_many(5_000).unwrap();
    assert_eq!(bucket.try_acquire_many(1).unwrap_err().retry_after(), Some(SECOND * 5));
    clock.advance(SECOND * 5);
    bucket.try_acquire_many(u32::MAX).unwrap();
    assert_eq!(
        bucket.try_acquire().unwrap_err().retry_after(),
        Some(Duration::from_millis(u32::MAX.into()))
    );
}

#[test]
fn the_largest_requests_at_the_highest_and_lowest_rates_do_not_overflow() {
    for (n, period) in [(1_000_000_000, SECOND), (1, Duration::from_nanos(u64::MAX)), (0, SECOND)] {
        let clock = ManualClock::new();
        let bucket = LeakyBucket::new(n, period).clock(clock.clone());
        bucket.try_acquire_many(u32::MAX).unwrap();
        assert!(bucket.try_acquire().is_err());
        clock.set(plimsoll_core::Tick::MAX);
        let _ = bucket.try_acquire_many(u32::MAX);
        assert!(bucket.try_acquire().is_err());
        clock.set(plimsoll_core::Tick::ZERO);
        assert!(bucket.try_acquire().is_err());
    }
}

#[test]
fn what_has_not_flowed_out_when_it_is_cancelled_comes_back() {
    let clock = ManualClock::new();
    let bucket = LeakyBucket::per_second(10).clock(clock.clone());
    let permit = bucket.try_admit().unwrap();
    clock.advance(MILLI * 60);
    permit.finish(Outcome::Unused);
    bucket.try_acquire().unwrap();
    assert_eq!(bucket.try_acquire().unwrap_err().retry_after(), Some(MILLI * 100));
}

#[tokio::test(start_paused = true)]
async fn those_who_wait_leave_one_interval_apart() {
    let bucket = Arc::new(LeakyBucket::per_second(50).queue(100).clock(TokioClock));
    let start = Instant::now();
    let mut tasks = JoinSet::new();
    for _ in 0..20 {
        let bucket = Arc::clone(&bucket);
        tasks.spawn(async move {
            bucket.acquire().await.unwrap();
            start.elapsed()
        });
    }
    let mut left: Vec<_> = tasks.join_all().await;
    left.sort();
    let expected: Vec<_> = (0..20).map(|i| MILLI * 20 * i).collect();
    assert_eq!(left, expected);
}

#[tokio::test(start_paused = true)]
async fn the_line_is_bounded() {
    let bucket = Arc::new(LeakyBucket::per_second(10).queue(2).clock(TokioClock));
    bucket.try_acquire().unwrap();
    let mut tasks = JoinSet::new();
    for _ in 0..5 {
        let bucket = Arc::clone(&bucket);
        tasks.spawn(async move { bucket.acquire().await });
    }
    let results = tasks.join_all().await;
    assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 2);
    let hint = results.into_iter().find_map(Result::err).unwrap().retry_after();
    assert_eq!(hint, Some(MILLI * 300), "when it would pass after those in line");
}

#[tokio::test(start_paused = true)]
async fn a_new_rate_reaches_those_who_wait() {
    let bucket = Arc::new(LeakyBucket::per_second(1).clock(TokioClock));
    let start = TokioClock.now();
    bucket.try_acquire().unwrap();
    let waits = tokio::spawn({
        let bucket = Arc::clone(&bucket);
        async move {
            bucket.acquire().await.unwrap();
            TokioClock.now()
        }
    });
    tokio::time::sleep(MILLI * 500).await;
    bucket.set_rate(10, SECOND).unwrap();
    // Half a request is left, at a tenth of the time each.
    assert_eq!(waits.await.unwrap().since(start), MILLI * 550);
}
