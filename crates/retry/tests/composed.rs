//! A client of several crates: budget, retry, breaker, limit, timeout, from the
//! outside in; and why not in another order.

#![allow(clippy::unwrap_used, reason = "a test that meets an error should stop at it")]

use plimsoll_backpressure::ConcurrencyLimit;
use plimsoll_breaker::{CircuitBreaker, State};
use plimsoll_core::{GateExt, TokioClock, verdict};
use plimsoll_retry::{Jitter, Retry, RetryBudget};
use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering::SeqCst},
    },
    time::Duration,
};
use tokio::time::{Instant, sleep, timeout};

const ATTEMPTS: u32 = 5;

fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

/// Opens after ten failures in a row, and long enough not to close in a test.
fn breaker() -> CircuitBreaker<TokioClock> {
    let builder = CircuitBreaker::builder().consecutive_failures(10);
    builder.open_for(Duration::from_secs(60)).clock(TokioClock).build().unwrap()
}

/// A dependency that is down, and counts how often it is called all the same.
#[derive(Clone, Default)]
struct Down(Arc<AtomicU32>);

impl Down {
    async fn get(&self) -> io::Result<()> {
        self.0.fetch_add(1, SeqCst);
        sleep(ms(1)).await;
        Err(io::ErrorKind::ConnectionRefused.into())
    }

    fn calls(&self) -> u32 {
        self.0.load(SeqCst)
    }
}

#[tokio::test(start_paused = true)]
async fn retries_around_the_breaker_end_when_it_opens() {
    let (breaker, down) = (breaker(), Down::default());
    let retry = Retry::constant(ms(10)).attempts(ATTEMPTS).without_budget().clock(TokioClock);
    let retry =
        retry.retry_if(|error: &plimsoll_core::Error<io::Error>| error.rejected().is_none());
    for _ in 0..20 {
        assert!(retry.run(|| breaker.run(down.get())).await.is_err());
    }
    assert_eq!(
        (breaker.state(), down.calls()),
        (State::Open, 10),
        "ten failures, and no call more"
    );
}

#[tokio::test(start_paused = true)]
async fn a_breaker_around_the_retries_lets_five_times_as_many_calls_through() {
    let (breaker, down) = (breaker(), Down::default());
    let retry = Retry::constant(ms(10)).attempts(ATTEMPTS).without_budget().clock(TokioClock);
    let retry = retry.retry_if(|_: &io::Error| true);
    for _ in 0..20 {
        assert!(breaker.run(retry.run(|| down.get())).await.is_err());
    }
    assert_eq!((breaker.state(), down.calls()), (State::Open, 10 * ATTEMPTS));
}

#[tokio::test(start_paused = true)]
async fn a_limit_inside_the_retries_is_free_while_they_pause_and_around_them_is_not() {
    let retry = || {
        let retry = Retry::constant(ms(100)).jitter(Jitter::None).attempts(2).without_budget();
        retry.clock(TokioClock).retry_if(|_: &plimsoll_core::Error<io::Error>| true)
    };
    let quick = async || {
        sleep(ms(1)).await;
        Ok::<_, io::Error>(())
    };

    let (limit, down) = (ConcurrencyLimit::new(1), Down::default());
    let retry_inside = retry();
    let failing = retry_inside.run(|| limit.run(down.get()));
    let other = async {
        sleep(ms(50)).await; // in the pause
        limit.run(quick()).await
    };
    let (failed, answered) = tokio::join!(failing, other);
    assert!(failed.is_err() && answered.is_ok());

    let (limit, down) = (ConcurrencyLimit::new(1).wait_at_most(ms(10)), Down::default());
    let inner = Retry::constant(ms(100)).jitter(Jitter::None).attempts(2).without_budget();
    let inner = inner.clock(TokioClock).retry_if(|_: &io::Error| true);
    let failing = limit.run(inner.run(|| down.get()));
    let other = async {
        sleep(ms(50)).await;
        limit.run(quick()).await
    };
    let (failed, refused) = tokio::join!(failing, other);
    assert!(failed.is_err());
    assert!(refused.unwrap_err().rejected().is_some(), "the place is held by one who sleeps");
}

#[tokio::test(start_paused = true)]
async fn a_timeout_for_each_attempt_leaves_time_for_the_next_and_one_around_all_does_not() {
    // The first call hangs, the second answers.
    let calls = AtomicU32::new(0);
    let call = || {
        let hangs = calls.fetch_add(1, SeqCst) == 0;
        async move {
            sleep(if hangs { Duration::from_secs(3_600) } else { ms(1) }).await;
            Ok::<_, io::Error>(())
        }
    };
    let retry = Retry::constant(ms(10)).attempts(3).without_budget().clock(TokioClock);
    let retry = retry.retry_if(|_: &io::Error| true);
    let start = Instant::now();
    let each = retry.run(|| async {
        timeout(ms(100), call()).await.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))?
    });
    assert!(each.await.is_ok() && start.elapsed() < ms(150));

    calls.store(0, SeqCst);
    assert!(timeout(ms(100), retry.run(call)).await.is_err());
    assert_eq!(calls.load(SeqCst), 1);
}

#[tokio::test(start_paused = true)]
async fn a_full_limit_behind_the_breaker_does_not_open_it() {
    // Side by side in a tuple, or nested with the verdict that knows refusals.
    let gates = (breaker(), ConcurrencyLimit::new(0));
    let nested = (breaker(), ConcurrencyLimit::new(0));
    let work = async || Ok::<_, io::Error>(());
    for _ in 0..50 {
        assert!(gates.run(work()).await.is_err());
        assert!(nested.0.run_with(nested.1.run(work()), verdict::of).await.is_err());
    }
    assert_eq!((gates.0.state(), nested.0.state()), (State::Closed, State::Closed));
}

#[tokio::test(start_paused = true)]
async fn a_breaker_before_the_limit_refuses_at_once_and_one_behind_it_after_the_line() {
    let gates = || {
        let breaker = breaker();
        breaker.force_open();
        (breaker, ConcurrencyLimit::new(1).wait_at_most(ms(1_000)).queue(1))
    };
    let slow = async || {
        sleep(ms(100)).await;
        Ok::<_, io::Error>(())
    };
    let refused_after = async |answer: Result<(), plimsoll_core::Error<io::Error>>,
                               start: Instant| {
        assert_eq!(answer.unwrap_err().rejected().unwrap().gate(), "breaker");
        start.elapsed()
    };

    let (breaker, limit) = gates();
    let both = (&breaker, &limit);
    let (start, _other) = (Instant::now(), limit.try_admit().unwrap());
    assert_eq!(refused_after(both.run(slow()).await, start).await, ms(0));

    let (breaker, limit) = gates();
    let both = (&limit, &breaker);
    let start = Instant::now();
    let (other, refused, healthy) = tokio::join!(
        limit.run(slow()),
        async { refused_after(both.run(slow()).await, start).await },
        limit.run(slow()),
    );
    assert_eq!((other.is_ok(), refused), (true, ms(100)));
    let line_is_full = healthy.unwrap_err();
    assert!(line_is_full.rejected().is_some(), "it takes the place in line of one that could go");
}

#[tokio::test(start_paused = true)]
async fn a_timeout_within_the_limit_says_nothing_of_the_line_and_one_around_it_does() {
    // Twenty come at once, one after the other is served, and quickly.
    let quick = async || {
        sleep(ms(20)).await;
        Ok::<_, io::Error>(())
    };
    let late = |_| io::Error::from(io::ErrorKind::TimedOut);
    let limit = || ConcurrencyLimit::new(1).wait_at_most(Duration::from_secs(10)).queue(20);

    let gates = (breaker(), limit());
    let within = async || gates.run(async { timeout(ms(90), quick()).await.map_err(late)? }).await;
    let answers = futures::future::join_all((0..20).map(|_| within())).await;
    assert!(answers.iter().all(Result::is_ok));
    assert_eq!(gates.0.state(), State::Closed);

    let (breaker, limit) = (breaker(), limit());
    let around = async || {
        let waits_too = async { timeout(ms(90), limit.run(quick())).await.map_err(late) };
        breaker.run(waits_too).await
    };
    let answers = futures::future::join_all((0..20).map(|_| around())).await;
    assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), 4);
    assert_eq!(breaker.state(), State::Open, "of a dependency that was quick each time");
}

#[tokio::test(start_paused = true)]
async fn one_budget_bounds_the_retries_of_all_callers_and_one_for_each_call_bounds_nothing() {
    let budget = || RetryBudget::new(0.2).at_least(5);
    let calls_with = async |budget_of: &dyn Fn() -> RetryBudget| {
        let down = Down::default();
        for _ in 0..100 {
            let retry = Retry::constant(ms(1)).attempts(ATTEMPTS).budget(&budget_of());
            let retry = retry.clock(TokioClock).retry_if(|_: &io::Error| true);
            assert!(retry.run(|| down.get()).await.is_err());
        }
        down.calls()
    };
    let shared = budget();
    let calls = calls_with(&|| shared.clone()).await;
    assert!((101..=110).contains(&calls), "five a second are free, not {}", calls - 100);
    assert_eq!(calls_with(&budget).await, 100 * ATTEMPTS);
}
