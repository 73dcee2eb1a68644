//! Limits that find themselves: admitted and refused.

use super::each;
use crate::{
    bench::{Bench, Group},
    calls::{finished, held, inner, served},
    rounds::{Expect, Subject},
    row::AtMost,
};
use anyhow::Result;
use plimsoll_backpressure::AdaptiveLimit;
use plimsoll_core::{Clock, DefaultClock, GateExt};
use std::{
    hint::black_box,
    mem,
    sync::atomic::{AtomicU64, Ordering},
    task::{Context, Waker},
    time::Duration,
};
use tower::{Layer, Service, load_shed::LoadShed};
use tower_acc::ConcurrencyLimitLayer;
use tower_resilience_adaptive::{AdaptiveLimiterLayer, ConcurrencyAlgorithm};

pub(super) fn run(bench: &mut Bench) -> Result<()> {
    bench.run(allowed())?;
    bench.run(refused())?;
    Ok(())
}

/// Where latency rises when it does not have to.
const TARGET: Duration = Duration::from_millis(50);

/// How each of ours is made.
type Make = fn() -> AdaptiveLimit;
const OURS: [(&str, Make); 4] = [
    ("aimd", || AdaptiveLimit::aimd(TARGET)),
    ("vegas", AdaptiveLimit::vegas),
    ("gradient", AdaptiveLimit::gradient),
    ("probing", || AdaptiveLimit::probing(Duration::from_secs(60))),
];

fn allowed() -> Group {
    let targets = each(AtMost::exactly(45.0), AtMost::exactly(90.0));
    let group = OURS.into_iter().fold(Group::new(Expect::Admitted), |group, (law, make)| {
        // Wide enough for two threads, whatever it finds.
        let make = move || make().range(10..=500);
        let name = format!("adaptive limit, {law}");
        group.ours(Subject::shared(&name, make, |limit| finished(limit, &())), &targets)
    });
    group
        .peer(resilience("tower-resilience aimd (service)", || aimd(20, 10)))
        .peer(resilience("tower-resilience vegas (service)", vegas))
        .peer(resilience("tower-resilience gradient2 (service)", gradient2))
        .peer(acc("tower-acc aimd (service)", tower_acc::Aimd::default))
        .peer(acc("tower-acc vegas (service)", tower_acc::Vegas::default))
        .peer(acc("tower-acc gradient2 (service)", tower_acc::Gradient2::default))
        .peer(least())
}

fn refused() -> Group {
    Group::new(Expect::Refused)
        .ours(ours_refused(), &[])
        .peer(shedding("LoadShed, tower-resilience aimd (service)", || {
            AdaptiveLimiterLayer::new(aimd(1, 1)).layer(inner())
        }))
        .peer(shedding("LoadShed, tower-acc aimd (service)", || {
            let one = tower_acc::Aimd::builder().initial_limit(1).min_limit(1).max_limit(1);
            ConcurrencyLimitLayer::new(one.build()).layer(inner())
        }))
}

/// Its one place is taken for ever.
fn ours_refused() -> Subject {
    let full = || {
        let limit = AdaptiveLimit::aimd(TARGET).range(1..=1);
        mem::forget(limit.try_admit());
        limit
    };
    Subject::shared("adaptive limit refused", full, |limit| held(limit.try_admit()))
}

fn aimd(start: usize, least: usize) -> tower_resilience_adaptive::Aimd {
    let aimd = tower_resilience_adaptive::Aimd::builder().latency_threshold(TARGET);
    let aimd = aimd.initial_limit(start).min_limit(least).max_limit(start);
    aimd.build().expect("a range")
}

fn vegas() -> tower_resilience_adaptive::Vegas {
    let vegas = tower_resilience_adaptive::Vegas::builder();
    vegas.initial_limit(20).min_limit(10).build().expect("a range")
}

fn gradient2() -> tower_resilience_adaptive::Gradient2 {
    let gradient = tower_resilience_adaptive::Gradient2::builder();
    gradient.initial_limit(20).min_limit(10).build().expect("a range")
}

/// It boxes a future, takes a mutex around the limit three times for each request,
/// and reads the clock twice.
fn resilience<A: ConcurrencyAlgorithm + 'static>(name: &str, law: fn() -> A) -> Subject {
    served(name, || AdaptiveLimiterLayer::new(law()).layer(inner()))
}

/// A semaphore, and a mutex around the law.
fn acc<A>(name: &str, law: fn() -> A) -> Subject
where
    A: tower_acc::Algorithm + Clone + Send + 'static,
{
    served(name, || ConcurrencyLimitLayer::new(law()).layer(inner()))
}

/// Both only wait, and leave it to a layer above to shed. A clone that was ready
/// once keeps the one place.
fn shedding<S>(name: &str, make: fn() -> S) -> Subject
where
    S: Service<(), Error: std::error::Error + Send + Sync + 'static> + Clone + Send + 'static,
{
    served(name, || {
        let service = make();
        let mut first = service.clone();
        assert!(first.poll_ready(&mut Context::from_waker(Waker::noop())).is_ready());
        mem::forget(first);
        LoadShed::new(service)
    })
}

/// The least that one can cost which knows how long work took: the clock twice, a
/// word in and out.
fn least() -> Subject {
    let parts = || (DefaultClock::new(), AtomicU64::new(0));
    Subject::shared("two clocks and two fetch_add alone", parts, |(clock, used)| {
        let start = clock.now();
        used.fetch_add(1, Ordering::Acquire);
        black_box(clock.now().since(start));
        used.fetch_sub(1, Ordering::Release);
        true
    })
}
