//! One benchmark per hot path, to work on it: `cargo bench -p benches`, or with
//! a name, `cargo bench -p benches -- "token bucket"`. Comparisons with other
//! crates are `cargo xtask bench`, which lets both take turns.

#![allow(missing_docs, reason = "criterion's macros make a function without one")]

use criterion::{Criterion, criterion_group, criterion_main};
use futures::FutureExt as _;
use plimsoll_backpressure::{AdaptiveLimit, ByteBudget, ConcurrencyLimit};
use plimsoll_breaker::CircuitBreaker;
use plimsoll_core::{Admit, Clock, DefaultClock, Error, GateExt, Outcome, Weigh};
use plimsoll_keyed::PerKeyExt;
use plimsoll_ratelimit::{LeakyBucket, SlidingWindow, TokenBucket};
use plimsoll_retry::{Retry, RetryBudget};
use std::{
    future::{Ready, ready},
    hint::black_box,
    io, mem, thread,
    time::{Duration, Instant},
};

/// More than any loop asks for.
fn bucket() -> TokenBucket {
    TokenBucket::per_second(1_000_000_000).burst(u32::MAX)
}

/// One thread, then two at once on the same object.
fn both<S: Sync>(criterion: &mut Criterion, name: &str, subject: &S, op: impl Fn(&S, u64) + Sync) {
    criterion.bench_function(name, |bencher| {
        let mut i = 0;
        bencher.iter(|| {
            i += 1;
            op(subject, i);
        });
    });
    criterion.bench_function(&format!("{name}, 2 threads"), |bencher| {
        bencher.iter_custom(|rounds| {
            let work = || {
                let start = Instant::now();
                (0..rounds).for_each(|i| op(subject, i));
                start.elapsed()
            };
            let took: Duration = thread::scope(|scope| {
                let threads = [scope.spawn(work), scope.spawn(work)];
                threads.into_iter().map(|thread| thread.join().unwrap_or_default()).sum()
            });
            took / 2
        });
    });
}

fn admit<G: Admit>(gate: &G) {
    if let Ok(permit) = gate.try_admit() {
        permit.finish(Outcome::Success);
    }
}

fn core(criterion: &mut Criterion) {
    both(criterion, "clock", &DefaultClock::new(), |clock, _| {
        black_box(clock.now());
    });
    let three = (bucket(), bucket(), bucket());
    both(criterion, "tuple of three token buckets, permit", &three, |gates, _| admit(gates));
}

fn wait(criterion: &mut Criterion) {
    let places = plimsoll_wait::Places::new(4, 16);
    both(criterion, "places, take and give back", &places, |places, _| {
        if places.try_take(1).is_ok() {
            places.give_back(1);
        }
    });
}

fn ratelimit(criterion: &mut Criterion) {
    both(criterion, "token bucket allowed", &bucket(), |bucket, _| {
        let _ = black_box(bucket.try_acquire());
    });
    let empty = TokenBucket::per_hour(1).burst(1);
    both(criterion, "token bucket refused", &empty, |bucket, _| {
        let _ = black_box(bucket.try_acquire());
    });
    both(criterion, "token bucket leased", &bucket().leased(64), |bucket, _| {
        let _ = black_box(bucket.try_acquire());
    });
    both(criterion, "leaky bucket", &LeakyBucket::per_second(1_000_000_000), |bucket, _| {
        let _ = black_box(bucket.try_acquire());
    });
    let window = Duration::from_millis(10);
    both(
        criterion,
        "sliding window, exact",
        &SlidingWindow::new(1_000_000, window),
        |window, _| {
            let _ = black_box(window.try_acquire());
        },
    );
    let approximate = SlidingWindow::approximate(1_000_000, window);
    both(criterion, "sliding window, approximate", &approximate, |window, _| {
        let _ = black_box(window.try_acquire());
    });
}

fn keyed(criterion: &mut Criterion) {
    let keyed = bucket().keyed(|key: &u64| *key).max_keys(1 << 20);
    both(criterion, "token bucket keyed, 100,000 keys", &keyed, |keyed, i| {
        // Far apart, and all of them in turn.
        let _ = black_box(keyed.try_enter(&(i.wrapping_mul(7_919) % 100_000)));
    });
}

const SECOND: Duration = Duration::from_secs(1);

fn breaker(criterion: &mut Criterion) {
    for calls in [100, 20_000] {
        let breaker = CircuitBreaker::builder().window_calls(calls).build();
        let breaker = breaker.expect("a window within the bounds");
        both(criterion, &format!("breaker closed, {calls} calls"), &breaker, |b, _| admit(b));
    }
    both(criterion, "breaker closed, 1 s", &CircuitBreaker::default(), |b, _| admit(b));
    both(criterion, "breaker closed, 1 s, every tenth call fails", &CircuitBreaker::default(), {
        |breaker, i| {
            let outcome = if i % 10 == 9 { Outcome::Failure } else { Outcome::Success };
            breaker.try_admit().expect("one in ten does not open it").finish(outcome);
        }
    });
    both(criterion, "breaker closed, 1 s, around a future", &CircuitBreaker::default(), |b, _| {
        let _ = black_box(b.run(call()).now_or_never());
    });
    let open = CircuitBreaker::default();
    open.force_open();
    both(criterion, "breaker forced open", &open, |breaker, _| admit(breaker));
    let open = CircuitBreaker::after_failures(1, SECOND * 3600);
    if let Ok(permit) = open.try_admit() {
        permit.finish(Outcome::Failure);
    }
    both(criterion, "breaker open", &open, |breaker, _| admit(breaker));
    let keyed = CircuitBreaker::default().keyed(|key: &u64| *key).max_keys(1 << 17);
    both(criterion, "breaker keyed, 100,000 keys", &keyed, |keyed, i| {
        let key = i.wrapping_mul(7_919) % 100_000;
        if let Ok(permit) = keyed.try_admit_for(&key) {
            permit.finish(Outcome::Success);
        }
    });
}

fn backpressure(criterion: &mut Criterion) {
    let limit = ConcurrencyLimit::new(1_000);
    both(criterion, "permit, try", &limit, |limit, _| admit(limit));
    both(criterion, "permit, await", &limit, |limit, _| {
        drop(black_box(limit.admit().now_or_never()));
    });
    both(criterion, "permit, await, around a future", &limit, |limit, _| {
        let _ = black_box(limit.run(call()).now_or_never());
    });
    let full = ConcurrencyLimit::new(1).queue(0);
    mem::forget(full.try_admit());
    both(criterion, "permit refused", &full, |limit, _| admit(limit));
    both(criterion, "permit refused, await", &full, |limit, _| {
        let _ = black_box(limit.admit().now_or_never());
    });
    both(criterion, "byte budget", &ByteBudget::new(1 << 30), |budget, i| {
        if let Ok(ticket) = budget.try_enter_n(i % 4_096) {
            plimsoll_core::Gate::leave(budget, ticket, Outcome::Success);
        }
    });
    let adaptive = [
        ("aimd", AdaptiveLimit::aimd(SECOND)),
        ("vegas", AdaptiveLimit::vegas()),
        ("gradient", AdaptiveLimit::gradient()),
    ];
    for (law, limit) in adaptive {
        let limit = limit.range(10..=500);
        both(criterion, &format!("adaptive limit, {law}"), &limit, |limit, _| admit(limit));
    }
}

/// A call that is ready, with an answer that the compiler does not know.
fn call() -> Ready<Result<u64, Error<io::Error>>> {
    ready(Ok(black_box(7)))
}

fn retry(criterion: &mut Criterion) {
    let retry = Retry::exponential(Duration::from_millis(100));
    both(criterion, "retry around a first-try success", &retry, |retry, _| {
        let _ = black_box(retry.run(call).now_or_never());
    });
    let within = retry.within(SECOND);
    both(criterion, "retry around a first-try success, within 1 s", &within, |retry, _| {
        let _ = black_box(retry.run(call).now_or_never());
    });
    let clock = DefaultClock::new();
    let empty = RetryBudget::new(0.0);
    both(criterion, "retry budget, refused", &empty, |budget, _| {
        let _ = black_box(budget.withdraw(clock.now()));
    });
    let earned = RetryBudget::new(1.0);
    both(criterion, "retry budget, a deposit and a withdrawal", &earned, |budget, _| {
        budget.deposit();
        let _ = black_box(budget.withdraw(clock.now()));
    });
}

criterion_group!(hot_paths, core, wait, ratelimit, keyed, breaker, backpressure, retry);
criterion_main!(hot_paths);
