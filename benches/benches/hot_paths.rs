//! One benchmark per hot path, to work on it: `cargo bench -p benches`, or with
//! a name, `cargo bench -p benches -- "token bucket"`. Comparisons with other
//! crates are `cargo xtask bench`, which lets both take turns.

#![allow(missing_docs, reason = "criterion's macros make a function without one")]

use criterion::{Criterion, criterion_group, criterion_main};
use plimsoll_core::{Admit, Clock, DefaultClock, GateExt, Outcome};
use plimsoll_keyed::PerKeyExt;
use plimsoll_ratelimit::{LeakyBucket, SlidingWindow, TokenBucket};
use std::{
    hint::black_box,
    thread,
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

criterion_group!(hot_paths, core, wait, ratelimit, keyed);
criterion_main!(hot_paths);
