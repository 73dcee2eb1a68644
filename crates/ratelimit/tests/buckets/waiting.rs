use super::{MILLI, SECOND};
use plimsoll_core::{Admit, Clock, Deadline, GateExt, Load, PerKey, Reason, TokioClock};
use plimsoll_ratelimit::TokenBucket;
use proptest::prelude::*;
use std::{
    sync::Arc,
    task::{Context, Poll, Waker},
    time::Duration,
};
use tokio::{
    task::JoinSet,
    time::{Instant, sleep, timeout},
};

pub(super) type Bucket = Arc<TokenBucket<TokioClock>>;

/// Ten a second, one at once, and empty.
pub(super) fn empty() -> Bucket {
    let bucket = TokenBucket::per_second(10).burst(1).clock(TokioClock);
    bucket.try_acquire().unwrap();
    Arc::new(bucket)
}

/// When it passes, from now.
pub(super) fn passes_at(bucket: &Bucket, n: u32) -> tokio::task::JoinHandle<Duration> {
    let (bucket, start) = (Arc::clone(bucket), Instant::now());
    tokio::spawn(async move {
        bucket.acquire_many(n).await.unwrap();
        start.elapsed()
    })
}

/// Lets those who were spawned join the line.
pub(super) async fn settle() {
    for _ in 0..10 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test(start_paused = true)]
async fn those_who_wait_pass_in_the_order_they_came_at_the_rate() {
    let bucket = empty();
    let mut waiting = Vec::new();
    for _ in 0..10 {
        waiting.push(passes_at(&bucket, 1));
        settle().await;
    }
    assert_eq!(bucket.load(), 10);
    for (place, wait) in (1..).zip(waiting) {
        assert_eq!(wait.await.unwrap(), MILLI * 100 * place, "place {place}");
    }
    assert_eq!(bucket.load(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_small_request_behind_a_large_one_does_not_overtake_it() {
    let bucket = Arc::new(TokenBucket::per_second(10).burst(5).clock(TokioClock));
    bucket.try_acquire_many(4).unwrap();
    let large = passes_at(&bucket, 5);
    settle().await;
    let small = passes_at(&bucket, 1);
    settle().await;
    let refusal = bucket.try_acquire().unwrap_err();
    assert_eq!(refusal.retry_after(), Some(MILLI * 600), "after the two in line");
    assert_eq!(bucket.available(), 0, "the token that is there is spoken for");
    assert_eq!(large.await.unwrap(), MILLI * 400);
    assert_eq!(small.await.unwrap(), MILLI * 500);
}

#[tokio::test(start_paused = true)]
async fn one_who_leaves_the_middle_moves_those_behind_up() {
    let bucket = empty();
    let first = passes_at(&bucket, 1);
    settle().await;
    let middle = passes_at(&bucket, 1);
    settle().await;
    let last = passes_at(&bucket, 1);
    sleep(MILLI * 50).await;
    middle.abort();
    assert_eq!(first.await.unwrap(), MILLI * 100);
    assert_eq!(last.await.unwrap(), MILLI * 200);
    sleep(MILLI * 99).await;
    assert!(bucket.try_acquire().is_err());
    sleep(MILLI).await;
    assert!(bucket.try_acquire().is_ok(), "the spacing is as if it had not been there");
}

#[tokio::test(start_paused = true)]
async fn one_who_leaves_the_front_hands_its_timer_on() {
    let bucket = empty();
    let mut front = Box::pin(bucket.acquire());
    assert!(poll(&mut front).is_pending());
    let behind = passes_at(&bucket, 1);
    sleep(MILLI * 50).await;
    drop(front);
    assert_eq!(behind.await.unwrap(), MILLI * 100);
}

#[tokio::test(start_paused = true)]
async fn one_who_leaves_at_the_moment_of_its_turn_takes_nothing() {
    let bucket = empty();
    let mut gone = Box::pin(bucket.acquire());
    assert!(poll(&mut gone).is_pending());
    let behind = passes_at(&bucket, 1);
    sleep(MILLI * 100).await;
    settle().await;
    drop(gone);
    assert!(behind.await.unwrap() <= MILLI * 101);
}

#[tokio::test(start_paused = true)]
async fn a_thousand_who_come_and_go_cost_nothing() {
    let hour = SECOND * 3_600;
    let bucket = TokenBucket::per_hour(1).burst(1).clock(TokioClock);
    bucket.try_acquire().unwrap();
    let start = Instant::now();
    for _ in 0..1_000 {
        assert!(timeout(MILLI, bucket.acquire()).await.is_err());
    }
    assert_eq!(bucket.load(), 0);
    let hint = bucket.try_acquire().unwrap_err().retry_after();
    assert_eq!(hint, Some(hour - start.elapsed()));
}

#[tokio::test(start_paused = true)]
async fn what_could_never_pass_is_refused_at_once() {
    let bucket = Arc::new(TokenBucket::per_second(10).burst(5).clock(TokioClock));
    let start = Instant::now();
    let refusal = bucket.acquire_many(6).await.unwrap_err();
    assert_eq!((refusal.reason(), refusal.retry_after()), (Reason::Rate, None));
    assert!(bucket.reserve_many(6).is_err());

    let stopped = TokenBucket::new(0, SECOND).burst(1).clock(TokioClock);
    stopped.acquire().await.unwrap();
    assert!(stopped.acquire().await.is_err(), "no token ever comes");
    assert!(stopped.reserve().is_err());
    assert_eq!((start.elapsed(), bucket.available()), (Duration::ZERO, 5));
}

#[tokio::test(start_paused = true)]
async fn a_deadline_that_cannot_be_met_is_refused_at_once_and_takes_nothing() {
    let bucket = empty();
    let first = passes_at(&bucket, 1);
    settle().await;
    let start = Instant::now();
    let too_soon = Deadline::after_on(&TokioClock, MILLI * 200 - Duration::from_nanos(1));
    let refusal = bucket.acquire_by(too_soon).await.unwrap_err();
    assert_eq!((refusal.reason(), refusal.retry_after()), (Reason::Rate, Some(MILLI * 200)));
    assert_eq!(start.elapsed(), Duration::ZERO);

    let just = Deadline::after_on(&TokioClock, MILLI * 200);
    bucket.acquire_by(just).await.unwrap();
    assert_eq!(start.elapsed(), MILLI * 200);
    assert_eq!(first.await.unwrap(), MILLI * 100);

    let refusal = bucket.acquire_by(just).await.unwrap_err();
    assert_eq!(refusal.reason(), Reason::Deadline, "it has passed");
}

#[tokio::test(start_paused = true)]
async fn the_deadline_of_the_task_counts_like_one_that_is_given() {
    let bucket = empty();
    let deadline = Deadline::after_on(&TokioClock, MILLI * 99);
    let refusal = deadline.scope(bucket.acquire()).await.unwrap_err();
    assert_eq!(refusal.retry_after(), Some(MILLI * 100));
    let refusal = deadline.scope(bucket.admit()).await.unwrap_err();
    assert_eq!(refusal.retry_after(), Some(MILLI * 100));
}

#[tokio::test(start_paused = true)]
async fn the_line_is_bounded_and_says_when_to_come_back() {
    let bucket = TokenBucket::per_second(10).burst(1).queue(2).clock(TokioClock);
    bucket.try_acquire().unwrap();
    let (mut a, mut b) = (Box::pin(bucket.acquire()), Box::pin(bucket.acquire()));
    assert!(poll(&mut a).is_pending() && poll(&mut b).is_pending());
    assert_eq!((bucket.load(), bucket.capacity()), (2, Some(2)));
    let refusal = bucket.acquire().await.unwrap_err();
    assert_eq!(refusal.retry_after(), Some(MILLI * 300));
    assert!(bucket.reserve().is_err());
    drop(a);
    assert!(bucket.reserve().is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_new_rate_reaches_those_in_line() {
    let bucket = empty();
    let (a, b) = (passes_at(&bucket, 1), passes_at(&bucket, 1));
    sleep(MILLI * 50).await;
    bucket.set_rate(100, SECOND).unwrap();
    assert_eq!(a.await.unwrap(), MILLI * 55);
    assert_eq!(b.await.unwrap(), MILLI * 65);
}

#[tokio::test(start_paused = true)]
async fn a_rate_that_puts_a_turn_behind_its_deadline_refuses_it_and_no_other() {
    let bucket = empty();
    let patient = passes_at(&bucket, 1);
    settle().await;
    let hasty = {
        let bucket = Arc::clone(&bucket);
        let deadline = Deadline::after_on(&TokioClock, MILLI * 250);
        tokio::spawn(async move { bucket.acquire_by(deadline).await })
    };
    settle().await;
    bucket.set_rate(1, SECOND).unwrap();
    let refusal = hasty.await.unwrap().unwrap_err();
    assert_eq!((refusal.reason(), refusal.retry_after()), (Reason::Rate, Some(SECOND * 2)));
    assert_eq!(patient.await.unwrap(), SECOND);
}

#[tokio::test(start_paused = true)]
async fn a_rate_of_nothing_holds_the_line_until_there_is_one() {
    let bucket = empty();
    let wait = passes_at(&bucket, 1);
    settle().await;
    bucket.set_rate(0, SECOND).unwrap();
    sleep(SECOND * 100).await;
    assert!(!wait.is_finished());
    bucket.set_rate(10, SECOND).unwrap();
    assert_eq!(wait.await.unwrap(), SECOND * 100 + MILLI * 100);
}

#[tokio::test(start_paused = true)]
async fn one_in_line_for_more_than_the_burst_keeps_what_it_waited_for() {
    let bucket = Arc::new(TokenBucket::per_second(10).burst(100).clock(TokioClock));
    bucket.try_acquire_many(100).unwrap();
    let large = passes_at(&bucket, 100);
    settle().await;
    for rate in [11, 9, 10, 20, 10] {
        sleep(MILLI * 500).await;
        bucket.set_rate(rate, SECOND).unwrap();
        bucket.set_burst(rate);
    }
    // 5 + 5.5 + 4.5 + 5 + 10 came in, and 70 at ten a second.
    let passed = large.await.unwrap();
    assert!((MILLI * 9_500).abs_diff(passed) <= MILLI, "{passed:?}");
}

#[tokio::test(start_paused = true)]
async fn those_in_line_pass_however_small_rate_and_burst_become() {
    let bucket = Arc::new(TokenBucket::per_second(1_000).burst(1_000_000).clock(TokioClock));
    bucket.try_acquire_many(1_000_000).unwrap();
    let large = passes_at(&bucket, 1_000_000);
    settle().await;
    bucket.set_rate(1, SECOND * 86_400).unwrap();
    bucket.set_burst(1);
    assert!(bucket.try_acquire().is_err());
    sleep(SECOND * 86_400).await;
    bucket.set_rate(1_000_000, SECOND).unwrap();
    let passed = large.await.unwrap();
    assert!((SECOND * 86_401).abs_diff(passed) <= MILLI, "{passed:?}");
}

#[tokio::test(start_paused = true)]
async fn those_in_line_for_more_than_a_smaller_burst_still_pass() {
    let bucket = Arc::new(TokenBucket::per_second(10).burst(5).clock(TokioClock));
    bucket.try_acquire_many(5).unwrap();
    let large = passes_at(&bucket, 5);
    settle().await;
    bucket.set_burst(1);
    assert_eq!(large.await.unwrap(), MILLI * 500);
}

#[tokio::test(start_paused = true)]
async fn whoever_a_stall_puts_off_past_its_deadline_takes_nothing() {
    let bucket = empty();
    let deadline = Deadline::after_on(&TokioClock, SECOND);
    let hasty: Vec<_> = (0..8)
        .map(|_| {
            let bucket = Arc::clone(&bucket);
            tokio::spawn(async move {
                let result = bucket.acquire_by(deadline).await;
                assert!(result.is_err() || TokioClock.now() <= deadline.tick());
                result.is_ok()
            })
        })
        .collect();
    settle().await;
    // Nobody ran for a second: one token is there, and a tenth of the next.
    tokio::time::advance(SECOND).await;
    let mut passed = 0;
    for task in hasty {
        passed += u32::from(task.await.unwrap());
    }
    assert_eq!((passed, bucket.load()), (1, 0));
    sleep(MILLI * 90).await;
    assert!(bucket.try_acquire().is_ok(), "those who were refused took nothing");
}

#[tokio::test(start_paused = true)]
async fn two_futures_of_one_task_are_both_woken() {
    let bucket = empty();
    let start = Instant::now();
    let (a, b) = tokio::join!(bucket.acquire(), bucket.acquire());
    assert!(a.is_ok() && b.is_ok());
    assert_eq!(start.elapsed(), MILLI * 200);
}

#[tokio::test(start_paused = true)]
async fn late_timers_cost_no_throughput() {
    // A token every 100 µs, and timers that fire once a millisecond.
    let bucket = Arc::new(TokenBucket::per_second(10_000).burst(1).clock(TokioClock));
    let start = Instant::now();
    let mut tasks = JoinSet::new();
    for _ in 0..1_000 {
        let bucket = Arc::clone(&bucket);
        tasks.spawn(async move { bucket.acquire().await.unwrap() });
    }
    tasks.join_all().await;
    let took = start.elapsed();
    assert!((MILLI * 99..=MILLI * 102).contains(&took), "a thousand took {took:?}");
}

#[tokio::test(start_paused = true)]
async fn keys_wait_in_lines_of_their_own() {
    let bucket = TokenBucket::per_second(10).burst(1).clock(TokioClock);
    let states = [bucket.fresh(), bucket.fresh()];
    let now = bucket.now();
    for state in &states {
        bucket.try_enter_in(state, now).unwrap();
    }
    let start = Instant::now();
    let (a, b, c) = tokio::join!(bucket.enter_in(&states[0]), bucket.enter_in(&states[0]), async {
        let ticket = bucket.enter_in(&states[1]).await;
        assert_eq!(start.elapsed(), MILLI * 100, "not behind the other's two");
        ticket
    });
    assert!(a.is_ok() && b.is_ok() && c.is_ok());
    assert_eq!(start.elapsed(), MILLI * 200);
    assert!(!bucket.is_fresh(&states[0], bucket.now()));
    let mut waits = Box::pin(bucket.enter_in(&states[1]));
    sleep(MILLI * 50).await;
    assert!(poll(&mut waits).is_ready());
    let _ = bucket.try_enter(&());
}

fn poll<F: Future>(future: &mut std::pin::Pin<Box<F>>) -> Poll<F::Output> {
    future.as_mut().poll(&mut Context::from_waker(Waker::noop()))
}

#[derive(Clone, Debug)]
struct Caller {
    comes: u64,
    n: u32,
    /// Gives up after so long.
    patience: Option<u64>,
}

fn callers() -> impl Strategy<Value = Vec<Caller>> {
    let caller = (0..3_000_u64, 1..=5_u32, prop::option::of(0..2_000_u64))
        .prop_map(|(comes, n, patience)| Caller { comes, n, patience });
    prop::collection::vec(caller, 1..30)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// Whoever comes and goes: those who pass do so in the order they came, no
    /// stretch of time holds more than the burst and the rate allow, and nobody
    /// is left in line.
    #[test]
    fn the_line_is_fair_and_exact_whoever_comes_and_goes(callers in callers()) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .unwrap();
        let passed = runtime.block_on(async {
            let bucket = Arc::new(TokenBucket::per_second(10).burst(5).clock(TokioClock));
            let start = Instant::now();
            let mut tasks = JoinSet::new();
            for (index, caller) in callers.iter().cloned().enumerate() {
                let bucket = Arc::clone(&bucket);
                tasks.spawn(async move {
                    // No two come at the same moment.
                    let comes = caller.comes * 100 + index as u64;
                    sleep(Duration::from_millis(comes)).await;
                    let wait = bucket.acquire_many(caller.n);
                    let patience = caller.patience.map_or(SECOND * 1_000, Duration::from_millis);
                    let passed = timeout(patience, wait).await.is_ok_and(|result| result.is_ok());
                    passed.then(|| (start.elapsed(), comes, caller.n))
                });
            }
            let mut passed: Vec<_> = tasks.join_all().await.into_iter().flatten().collect();
            assert_eq!(bucket.load(), 0);
            passed.sort_by_key(|&(at, comes, _)| (at, comes));
            passed
        });
        prop_assert!(passed.is_sorted_by_key(|&(_, comes, _)| comes), "overtaken: {:?}", passed);
        for (first, &(from, ..)) in passed.iter().enumerate() {
            let mut sum = 0;
            for &(to, _, n) in &passed[first..] {
                sum += n;
                // A timer that is a millisecond late lets 10 ms of tokens catch up.
                let most = 5.0 + (to - from).as_secs_f64() * 10.0 + 0.1;
                prop_assert!(f64::from(sum) <= most, "{} within {:?}", sum, to - from);
            }
        }
    }
}
