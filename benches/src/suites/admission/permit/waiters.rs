//! More tasks than permits: what a permit costs that goes from one who has it to
//! one who waits for it.

use crate::{
    bench::Group,
    on::{FLAVOURS, On},
    rounds::Subject,
    row::AtMost,
};
use futures::{FutureExt as _, future::BoxFuture};
use plimsoll_backpressure::ConcurrencyLimit;
use plimsoll_core::GateExt;
use std::{convert::Infallible, sync::Arc, time::Duration};
use tokio::{sync::Semaphore, task::yield_now, time::timeout};
use tower::{Layer, Service, ServiceExt, limit::ConcurrencyLimitLayer, service_fn};

const TASKS: u64 = 8;
const PERMITS: u32 = 2;
/// How long anybody waits at most; nobody comes near to it.
const PATIENCE: Duration = Duration::from_millis(100);

/// Tasks that share what `start` makes, each of which does its part of all turns
/// and says how many it had.
fn crowd<F, W>(name: &str, start: impl Fn() -> F + Send + 'static) -> Subject
where
    F: Fn(u64) -> W + Send + 'static,
    W: Future<Output = u64> + Send + 'static,
{
    Subject::flow(name, move |turns| {
        let work = start();
        async move {
            let share = |i| turns / TASKS + u64::from(i < turns % TASKS);
            let tasks: Vec<_> = (0..TASKS).map(|i| tokio::spawn(work(share(i)))).collect();
            let mut had = 0;
            for task in tasks {
                had += task.await.expect("no task panics");
            }
            had
        }
    })
}

/// A permit is held while the other tasks have their turn.
async fn work() {
    yield_now().await;
}

/// Takes a permit by whatever waits for one, and holds it. A macro, because a
/// permit may borrow what the future that took it borrows.
macro_rules! turns {
    ($turns:expr, $take:expr) => {{
        let mut had = 0;
        for _ in 0..$turns {
            if let Ok(permit) = $take.await {
                work().await;
                drop(permit);
                had += 1;
            }
        }
        had
    }};
}

fn ours(name: &str, make: fn() -> ConcurrencyLimit) -> Subject {
    crowd(name, move || {
        let limit = Arc::new(make());
        move |turns| {
            let limit = limit.clone();
            async move { turns!(turns, limit.admit()) }
        }
    })
}

fn tokio(name: &str) -> Subject {
    crowd(name, || {
        let semaphore = Arc::new(Semaphore::new(PERMITS as usize));
        move |turns| {
            let semaphore = semaphore.clone();
            async move { turns!(turns, semaphore.acquire()) }
        }
    })
}

/// For reference: nobody waits for anything.
fn alone() -> Subject {
    crowd("the turns alone", || {
        |turns| async move {
            for _ in 0..turns {
                work().await;
            }
            turns
        }
    })
}

/// What people write around it who let nobody wait for ever.
fn tokio_bounded(name: &str) -> Subject {
    crowd(name, || {
        let semaphore = Arc::new(Semaphore::new(PERMITS as usize));
        move |turns| {
            let semaphore = semaphore.clone();
            async move { turns!(turns, timeout(PATIENCE, semaphore.acquire())) }
        }
    })
}

type Inner = tower::util::ServiceFn<fn(()) -> BoxFuture<'static, Result<(), Infallible>>>;

/// Each task has a clone of a service that does the work.
fn service<S>(name: &str, make: impl Fn(Inner) -> S + Send + 'static) -> Subject
where
    S: Service<(), Error: Send, Future: Send> + Clone + Send + 'static,
{
    crowd(name, move || {
        let service = make(service_fn(|()| work().map(Ok).boxed()));
        move |turns| {
            let mut service = service.clone();
            async move {
                let mut had = 0;
                for _ in 0..turns {
                    let Ok(ready) = service.ready().await else { break };
                    had += u64::from(ready.call(()).await.is_ok());
                }
                had
            }
        }
    })
}

const TOKIO: &str = "tokio acquire().await";
const TIMEOUT: &str = "tokio acquire() in a timeout of 100 ms";

fn no_slower_than(peer: &str) -> [(On, AtMost); 2] {
    FLAVOURS.map(|on| (on, AtMost::times(1.0, peer)))
}

/// Whoever waits does so as long as it takes.
pub(super) fn unbounded() -> Group {
    let limit = || ConcurrencyLimit::new(PERMITS);
    Group::flows()
        .ours(ours("permit with waiters", limit), &no_slower_than(TOKIO))
        .peer(tokio(TOKIO))
        .peer(service("tower ConcurrencyLimit (service)", |inner| {
            ConcurrencyLimitLayer::new(PERMITS as usize).layer(inner)
        }))
        .peer(service("tower-resilience bulkhead (service)", |inner| {
            let layer = super::peers::bulkhead(PERMITS as usize).build();
            layer.expect("some places").layer(inner)
        }))
        .peer(alone())
}

/// Whoever waits does so with an end to it, as a server should: a timer is armed.
pub(super) fn bounded() -> Group {
    let limit = || ConcurrencyLimit::new(PERMITS).wait_at_most(PATIENCE);
    Group::flows()
        .ours(ours("permit with waiters, 100 ms at most", limit), &no_slower_than(TIMEOUT))
        .peer(tokio_bounded(TIMEOUT))
}
