//! Loom models of adaptive limits: `cargo xtask loom plimsoll-backpressure`.
//! Searched whole, in all ways (see `modelled` in core).

use super::{
    aimd::Aimd,
    tuner::{Law, Rules, Tuner},
    windows::{Ended, Windows},
};
use crate::sync::{AtomicU64, Ordering, search};
use loom::{sync::Arc, thread};
use plimsoll_core::Tick;
use std::time::Duration;

/// Windows of 100 ns from 0 on, and the limit that they publish, 10 at first. It
/// grows by a tenth for every window that ends: 10, 11, 12.
struct Limit {
    windows: Windows,
    limit: AtomicU64,
}

impl Limit {
    fn new() -> Arc<Self> {
        let rules = Rules { low: 1, high: 100, tolerated: 0.1, healthy: f64::INFINITY };
        let tuner = Tuner::new(rules, Law::Aimd(Aimd { target: 1e9 }), 10);
        let length = Duration::from_nanos(100);
        let windows = Windows::new(tuner, length, 1, None, Tick::ZERO);
        Arc::new(Self { windows, limit: AtomicU64::new(10) })
    }

    /// Work that ends at `now`.
    fn ends(&self, now: u64) {
        let ended = Ended {
            started: Tick::from_nanos(90),
            now: Tick::from_nanos(now),
            in_flight: 10,
            succeeded: true,
        };
        self.windows.count(&ended, |limit| self.limit.store(limit.into(), Ordering::Relaxed));
    }

    fn limit(&self) -> u64 {
        self.limit.load(Ordering::Relaxed)
    }
}

fn ends_on_a_thread(limit: &Arc<Limit>, now: u64) -> thread::JoinHandle<()> {
    let limit = Arc::clone(limit);
    thread::spawn(move || limit.ends(now))
}

/// Two releases after the end of a window, and a reading: the window closes once.
/// Turns red when `collect` does not look at the end again under the lock.
///
/// Somebody else who only reads finds what one of the two would, so there is no
/// third thread: with it, a search of readings as changes does not end.
#[test]
fn a_window_closes_once() {
    search(|| {
        let limit = Limit::new();
        let first = ends_on_a_thread(&limit, 100);
        limit.ends(101);
        let seen = limit.limit();
        assert!(seen == 10 || seen == 11, "{seen}");
        first.join().unwrap();
        assert_eq!(limit.limit(), 11);
    });
}

/// Two windows may end one after the other on two threads: the limit that is
/// published last is that of the later one. Turns red when it is published after
/// the lock is released.
#[test]
fn an_older_limit_does_not_replace_a_newer_one() {
    search(|| {
        let limit = Limit::new();
        let first = ends_on_a_thread(&limit, 100);
        limit.ends(201);
        first.join().unwrap();
        assert_eq!(limit.limit(), u64::from(limit.windows.tuned()));
    });
}

/// Results that come in while others are collected are in this window or in the
/// next, each once. Turns red when the sampler is read and then cleared.
#[test]
fn no_result_is_lost_or_counted_twice() {
    use super::sampler::{Sampler, Totals};
    search(|| {
        let sampler = Arc::new(Sampler::new(false));
        let adds = |latency: u64| {
            let sampler = Arc::clone(&sampler);
            thread::spawn(move || {
                sampler.succeeded(0, latency);
                sampler.failed(0);
            })
        };
        let (a, b) = (adds(16), adds(32));
        let mut totals = Totals::default();
        sampler.collect(&mut totals);
        a.join().unwrap();
        b.join().unwrap();
        sampler.collect(&mut totals);
        assert_eq!(totals, Totals { samples: 2, sum: 3, failures: 2, peak: 0 });
    });
}

/// A stripe that was not collected for long is full, and is collected while two
/// more results come: each is counted or left out, and nothing runs over. Turns red
/// when it is added first and taken back where there were too many.
#[test]
fn a_result_that_finds_no_room_is_left_out_whole() {
    use super::sampler::{Sampler, Totals};
    search(|| {
        let sampler = Arc::new(Sampler::new(false));
        // As many as there is room for in models.
        (0..2).for_each(|_| _ = sampler.succeeded(0, 16));
        let adds = || {
            let sampler = Arc::clone(&sampler);
            thread::spawn(move || sampler.succeeded(0, 16))
        };
        let (a, b) = (adds(), adds());
        let mut totals = Totals::default();
        sampler.collect(&mut totals);
        a.join().unwrap();
        b.join().unwrap();
        sampler.collect(&mut totals);
        assert!((2..=4).contains(&totals.samples), "{totals:?}");
        assert_eq!(totals.sum, totals.samples);
    });
}
