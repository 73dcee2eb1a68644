//! Other rate limiters, and two written here to compare with.
//!
//! Each is set up twice: so that it admits whatever a round asks for, and so
//! that it refuses everything.

use crate::{
    calls::{ask, inner, served},
    rounds::{Subject, admitted},
};
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use plimsoll_core::{Clock, DefaultClock};
use std::{
    hint::black_box,
    num::NonZeroU32,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};
use tower::Layer;
use tower_resilience_ratelimiter::{RateLimiterLayer, WindowType};

/// A token each nanosecond and a burst of as many as `u32` holds: more than any
/// round takes.
pub(super) const RATE: u32 = 1_000_000_000;
const HOUR: Duration = Duration::from_secs(3600);

pub(super) fn governor_quota() -> Quota {
    Quota::per_second(NonZeroU32::MIN.saturating_add(RATE - 1)).allow_burst(NonZeroU32::MAX)
}

pub(super) fn governor() -> Subject {
    governor_of("governor", || RateLimiter::direct(governor_quota()))
}

/// So many limiters, asked one after the other.
pub(super) fn governors<const N: usize>(name: &str) -> Subject {
    let limiters = || std::array::from_fn(|_| RateLimiter::direct(governor_quota()));
    Subject::shared(name, limiters, |limiters: &[DefaultDirectRateLimiter; N]| {
        limiters.iter().all(|limiter| admitted(limiter.check()))
    })
}

fn governor_of(name: &str, make: fn() -> DefaultDirectRateLimiter) -> Subject {
    Subject::shared(name, make, |limiter| admitted(limiter.check()))
}

fn governor_empty() -> DefaultDirectRateLimiter {
    let limiter = RateLimiter::direct(Quota::per_hour(NonZeroU32::MIN));
    admitted(limiter.check());
    limiter
}

pub(super) fn governor_refusing() -> Subject {
    governor_of("governor", governor_empty)
}

/// Its refusal computes the time to wait when asked, with another look at the
/// clock. This is what an answer with Retry-After costs.
pub(super) fn governor_refusing_and_asked_when() -> Subject {
    use governor::clock::{Clock as _, DefaultClock};
    let both = || (governor_empty(), DefaultClock::default());
    Subject::shared("governor, and the time to wait", both, |(limiter, clock)| {
        limiter.check().map_err(|refusal| black_box(refusal.wait_time_from(clock.now()))).is_ok()
    })
}

fn leaky_bucket_of(builder: &leaky_bucket::Builder) -> Subject {
    Subject::shared("leaky-bucket", || builder.build(), |limiter| limiter.try_acquire(1))
}

pub(super) fn leaky_bucket() -> Subject {
    let all = u32::MAX as usize;
    let mut builder = leaky_bucket::RateLimiter::builder();
    builder.max(all).initial(all).refill(RATE as usize).interval(Duration::from_secs(1));
    leaky_bucket_of(&builder)
}

pub(super) fn leaky_bucket_refusing() -> Subject {
    let mut builder = leaky_bucket::RateLimiter::builder();
    leaky_bucket_of(builder.max(1).initial(0).refill(1).interval(HOUR))
}

fn ratelimit_of<C>(name: &str, make: impl Fn() -> ratelimit::Ratelimiter<C>) -> Subject
where
    C: ratelimit::Clock + Send + Sync + 'static,
{
    Subject::shared(name, make, |limiter| admitted(limiter.try_wait()))
}

/// Ours, as it wants clocks: what is left is the limiter's own doing.
struct OurClock(DefaultClock);

impl ratelimit::Clock for OurClock {
    #[inline]
    fn elapsed(&self) -> Duration {
        Duration::from_nanos(self.0.now().as_nanos())
    }
}

/// With the clock that it comes with, and with ours.
pub(super) fn ratelimit() -> [Subject; 2] {
    fn ample<C: ratelimit::Clock>(builder: ratelimit::Builder<C>) -> ratelimit::Ratelimiter<C> {
        let all = u64::from(u32::MAX);
        let builder = builder.max_tokens(all).initial_available(all);
        builder.build().expect("a rate, a burst and no more tokens than that")
    }
    let rate = u64::from(RATE);
    let ours = || ratelimit::Builder::with_clock(rate, OurClock(DefaultClock::new()));
    [
        ratelimit_of("ratelimit", || ample(ratelimit::Ratelimiter::builder(rate))),
        ratelimit_of("ratelimit, our clock", || ample(ours())),
    ]
}

pub(super) fn ratelimit_refusing() -> Subject {
    ratelimit_of("ratelimit", || {
        let builder = ratelimit::Ratelimiter::builder(1).period(HOUR);
        builder.build().expect("a rate and a period")
    })
}

/// It estimates how often a key was seen; whoever asks must compare with a
/// limit. It refuses nothing.
pub(super) fn pingora() -> Subject {
    let rate = || pingora_limits::rate::Rate::new(Duration::from_secs(1));
    Subject::shared("pingora-limits (counts only)", rate, |rate| {
        black_box(rate.observe(&black_box(7_u64), 1)) >= 0
    })
}

/// Its limiter is private: what users call is the service.
fn resilience_of(name: &str, layer: &RateLimiterLayer) -> Subject {
    served(name, || {
        let service = layer.layer(inner());
        // Spends the one token of a limiter that is to refuse.
        ask(&mut service.clone());
        service
    })
}

pub(super) fn resilience() -> Subject {
    let layer = RateLimiterLayer::burst(RATE as usize, u32::MAX as usize).build();
    resilience_of("tower-resilience (service)", &layer.expect("a rate and a burst"))
}

pub(super) fn resilience_refusing() -> Subject {
    let layer = RateLimiterLayer::builder()
        .limit_for_period(1)
        .refresh_period(HOUR)
        .timeout_duration(Duration::ZERO)
        .burst_size(0)
        .build();
    resilience_of("tower-resilience (service)", &layer.expect("a rate and a burst"))
}

pub(super) fn resilience_window(
    name: &str,
    window: WindowType,
    limit: usize,
    over: Duration,
) -> Subject {
    let layer = RateLimiterLayer::builder()
        .limit_for_period(limit)
        .refresh_period(over)
        .window_type(window)
        .build();
    resilience_of(name, &layer.expect("a limit and a window"))
}

/// What one would write in an afternoon.
struct MutexBucket {
    rate: f64,
    burst: f64,
    state: Mutex<(f64, Instant)>,
}

fn mutex_bucket_of(rate: f64, burst: f64) -> Subject {
    let make = move || MutexBucket { rate, burst, state: Mutex::new((burst, Instant::now())) };
    Subject::shared("mutex bucket", make, |bucket: &MutexBucket| {
        let mut state = bucket.state.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        let earned = now.saturating_duration_since(state.1).as_secs_f64() * bucket.rate;
        *state = ((state.0 + earned).min(bucket.burst), now);
        let admitted = state.0 >= 1.0;
        if admitted {
            state.0 -= 1.0;
        }
        admitted
    })
}

pub(super) fn mutex_bucket() -> Subject {
    mutex_bucket_of(f64::from(RATE), f64::from(u32::MAX))
}

pub(super) fn mutex_bucket_refusing() -> Subject {
    mutex_bucket_of(0.0, 0.0)
}

/// The least that a limiter in one shared word can cost: read the clock, change
/// the word.
pub(super) fn least() -> Subject {
    let parts = || (DefaultClock::new(), AtomicU64::new(0));
    Subject::shared("clock and CAS alone", parts, |(clock, word)| change(clock, word))
}

/// What admits in one word: reads the clock, changes the word.
#[inline]
pub(super) fn change(clock: &DefaultClock, word: &AtomicU64) -> bool {
    let now = clock.now().as_nanos();
    let mut seen = word.load(Ordering::Relaxed);
    loop {
        let next = seen.max(now).wrapping_add(1);
        match word.compare_exchange_weak(seen, next, Ordering::Relaxed, Ordering::Relaxed) {
            Ok(_) => return true,
            Err(other) => seen = other,
        }
    }
}

/// The least that a refusal can cost: read the clock, read the word.
pub(super) fn least_refusing() -> Subject {
    let parts = || (DefaultClock::new(), AtomicU64::new(u64::MAX));
    Subject::shared("clock and load alone", parts, |(clock, word)| {
        word.load(Ordering::Relaxed) <= clock.now().as_nanos()
    })
}
