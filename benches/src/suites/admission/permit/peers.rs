//! Other limits, each as its documentation shows it.

use super::AMPLE;
use crate::{
    calls::{Inner, ended, held, inner, served},
    rounds::{Subject, admitted},
};
use futures::{FutureExt as _, future::Either};
use plimsoll_core::{Reason, Rejected};
use std::{
    convert::Infallible,
    future::{Pending, Ready, pending, ready},
    mem,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};
use tokio::{runtime::Builder, sync::Semaphore};
use tower::{Layer, ServiceExt as _, limit::ConcurrencyLimit, load_shed::LoadShed, service_fn};
use tower_resilience_bulkhead::{BulkheadConfigBuilder, BulkheadLayer};

fn permits(permits: u32) -> Semaphore {
    Semaphore::new(permits as usize)
}

fn shared() -> Arc<Semaphore> {
    Arc::new(permits(AMPLE))
}

/// Its one permit is taken for ever.
fn full() -> Semaphore {
    let semaphore = permits(1);
    mem::forget(semaphore.try_acquire());
    semaphore
}

/// What Rust services limit with. No bound on those who wait nor on how long; a
/// refusal tells only that it is one.
pub(super) fn try_acquire(name: &str, many: u32) -> Subject {
    Subject::shared(name, || permits(many), |semaphore| held(semaphore.try_acquire()))
}

/// A permit that may go to another task.
pub(super) fn try_acquire_owned() -> Subject {
    Subject::shared("tokio try_acquire_owned", shared, |semaphore| {
        held(semaphore.clone().try_acquire_owned())
    })
}

pub(super) fn try_acquire_refused(name: &str) -> Subject {
    Subject::shared(name, full, |semaphore| held(semaphore.try_acquire()))
}

pub(super) fn acquire(name: &str) -> Subject {
    Subject::shared(
        name,
        || permits(AMPLE),
        |semaphore| ended(semaphore.acquire()).is_some_and(held),
    )
}

pub(super) fn acquire_owned() -> Subject {
    Subject::shared("tokio acquire_owned().await", shared, |semaphore| {
        ended(semaphore.clone().acquire_owned()).is_some_and(held)
    })
}

/// All clones share the semaphore.
pub(super) fn tower() -> Subject {
    served("tower ConcurrencyLimit (service)", || ConcurrencyLimit::new(inner(), AMPLE as usize))
}

/// The limit is never ready, so that the layer above sheds.
pub(super) fn tower_refused() -> Subject {
    served("tower LoadShed, ConcurrencyLimit (service)", || -> LoadShed<ConcurrencyLimit<Inner>> {
        LoadShed::new(ConcurrencyLimit::with_semaphore(inner(), Arc::new(full())))
    })
}

/// Lean: it copies its name for each event, of which each call has two.
pub(super) fn bulkhead(places: usize) -> BulkheadConfigBuilder {
    BulkheadLayer::builder().name("").max_concurrent_calls(places)
}

/// It waits as long as it takes, its default: the only way without a timer.
pub(super) fn resilience() -> Subject {
    let layer = bulkhead(AMPLE as usize).build().expect("some places");
    served("tower-resilience bulkhead (service)", || layer.layer(inner()))
}

/// To refuse at once it waits for no time at all, by a timer, whose grain is a
/// millisecond.
pub(super) fn resilience_refused() -> Subject {
    type Answer = Either<Ready<Result<(), Infallible>>, Pending<Result<(), Infallible>>>;
    // The one request that is told to stay keeps the one place.
    let stays: fn(bool) -> Answer =
        |stay| if stay { Answer::Right(pending()) } else { Answer::Left(ready(Ok(()))) };
    let layer = bulkhead(1).reject_when_full().build().expect("a place");
    served::<bool, _>("tower-resilience bulkhead (service)", || {
        let service = layer.layer(service_fn(stays));
        let timers = Builder::new_current_thread().enable_time().build().expect("a runtime");
        let _timers = timers.enter();
        let mut first = Box::pin(service.clone().oneshot(true));
        assert!(first.as_mut().now_or_never().is_none());
        mem::forget(first);
        service
    })
}

/// The least that a place can cost: a compare-and-swap to take, a subtraction to
/// give back.
pub(super) fn least() -> Subject {
    Subject::shared("CAS and fetch_sub alone", AtomicU64::default, |used| {
        let mut seen = used.load(Ordering::Relaxed);
        while seen < u64::from(AMPLE) {
            match used.compare_exchange_weak(seen, seen + 1, Ordering::Acquire, Ordering::Relaxed) {
                Ok(_) => {
                    used.fetch_sub(1, Ordering::Release);
                    return true;
                }
                Err(other) => seen = other,
            }
        }
        admitted::<(), _>(Err(Rejected::new(Reason::Concurrency, "least")))
    })
}
