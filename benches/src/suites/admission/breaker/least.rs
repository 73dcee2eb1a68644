//! Written here to compare with: the least that a breaker can cost, and what one
//! would write in an afternoon.

use super::{CLOCK, TEN};
use crate::{
    calls::every_tenth,
    rounds::{Subject, admitted},
};
use plimsoll_core::{Clock, DefaultClock};
use std::{
    hint::black_box,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Instant,
};

/// The clock that ours read.
pub(super) fn clock(admits: bool) -> Subject {
    Subject::shared(CLOCK, DefaultClock::new, move |clock| {
        black_box(clock.now());
        admits
    })
}

/// What each call must be counted with.
pub(super) fn fetch_add() -> Subject {
    Subject::shared("fetch_add alone", AtomicU64::default, |word| {
        black_box(word.fetch_add(1, Ordering::Relaxed)) < u64::MAX
    })
}

/// And where the window is one of time.
pub(super) fn clock_and_fetch_add() -> Subject {
    let parts = || (DefaultClock::new(), AtomicU64::new(0));
    Subject::shared("clock and fetch_add alone", parts, |(clock, word)| {
        black_box(clock.now());
        black_box(word.fetch_add(1, Ordering::Relaxed)) < u64::MAX
    })
}

/// The least that a refusal can cost: read until when it is open, and the clock.
pub(super) fn clock_and_load() -> Subject {
    let parts = || (DefaultClock::new(), AtomicU64::new(u64::MAX));
    Subject::shared("clock and load alone", parts, |(clock, until)| {
        until.load(Ordering::Relaxed) <= clock.now().as_nanos()
    })
}

/// After gobreaker: a mutex, taken before the call and after it, each time with a
/// look at the clock. It counts anew after an interval, and does not slide.
struct Afternoon(Mutex<Counts>);

struct Counts {
    open: bool,
    generation: u64,
    until: Instant,
    calls: u64,
    failures: u64,
}

impl Afternoon {
    fn new(open: bool) -> Self {
        let until = Instant::now() + if open { super::HOUR } else { TEN };
        Self(Mutex::new(Counts { open, generation: 0, until, calls: 0, failures: 0 }))
    }

    /// The counts of the present interval.
    fn counts(&self) -> MutexGuard<'_, Counts> {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        if now >= counts.until {
            let generation = counts.generation + 1;
            let until = now + TEN;
            *counts = Counts { open: false, generation, until, calls: 0, failures: 0 };
        }
        counts
    }

    fn call<E>(&self, work: impl FnOnce() -> Result<(), E>) -> bool {
        let generation = {
            let mut counts = self.counts();
            if counts.open {
                return false;
            }
            counts.calls += 1;
            counts.generation
        };
        let result = work();
        let mut counts = self.counts();
        if counts.generation == generation {
            counts.failures += u64::from(!admitted(result));
            counts.open = counts.calls >= 10 && counts.failures * 2 >= counts.calls;
        }
        true
    }
}

const AFTERNOON: &str = "mutex breaker";

pub(super) fn mutex_breaker(open: bool) -> Subject {
    let make = move || Afternoon::new(open);
    Subject::shared(AFTERNOON, make, |breaker| breaker.call(|| Ok::<_, ()>(())))
}

pub(super) fn mutex_breaker_failing() -> Subject {
    every_tenth(
        AFTERNOON,
        || Afternoon::new(false),
        |breaker, fails| breaker.call(|| if fails { Err(()) } else { Ok(()) }),
    )
}
