//! Retries around a call that succeeds at once: what those pay who need none.

use super::each;
use crate::{
    bench::{Bench, Group},
    calls::{ended, served},
    rounds::{Expect, Subject, admitted},
    row::AtMost,
};
use anyhow::Result;
use backon::{ConstantBuilder, ExponentialBuilder, Retryable};
use plimsoll_core::Error;
use plimsoll_retry::Retry;
use std::{
    future::{Ready, ready},
    hint::black_box,
    io,
    sync::Arc,
    time::Duration,
};
use tower::{Layer, service_fn};
use tower_resilience_retry::{RetryBudget, RetryBudgetBuilder, RetryLayer};

const BASE: Duration = Duration::from_millis(100);

pub(super) fn run(bench: &mut Bench) -> Result<()> {
    let target = || each(AtMost::exactly(10.0), AtMost::exactly(10.0));
    let name = "retry around a first-try success";
    let budget = || RetryBudgetBuilder::new().token_bucket().build().expect("a rate");
    bench.run(
        Group::new(Expect::Admitted)
            .ours(ours(name, exponential), &target())
            .ours(ours(&format!("{name}, no budget"), || exponential().without_budget()), &target())
            .ours(ours(&format!("{name}, within 10 s"), within), &[])
            .peer(backon("backon", ExponentialBuilder::default))
            .peer(backon("backon, jitter", || ExponentialBuilder::default().with_jitter()))
            .peer(backon("backon, constant pause", ConstantBuilder::default))
            .peer(resilience("tower-resilience (service)", None))
            .peer(resilience("tower-resilience, budget (service)", Some(budget)))
            .peer(alone()),
    )?;
    Ok(())
}

/// What a call may fail with: a refusal, or the dependency's own error.
type Failure = Error<io::Error>;

/// A call that is ready, with an answer that the compiler does not know.
#[inline]
fn call() -> Ready<Result<u64, Failure>> {
    ready(Ok(black_box(7)))
}

/// With the budget that each has unless told otherwise.
fn exponential() -> Retry {
    Retry::exponential(BASE).attempts(3)
}

/// With a bound on all attempts together, for which the clock is read.
fn within() -> Retry {
    exponential().within(Duration::from_secs(10))
}

fn ours(name: &str, make: fn() -> Retry) -> Subject {
    Subject::shared(name, make, |retry| ended(retry.run(call)).is_some_and(admitted))
}

/// A new series of pauses for each call, no budget.
fn backon<B: backon::BackoffBuilder + 'static>(name: &str, pauses: fn() -> B) -> Subject {
    Subject::per_thread(name, |_| move || ended(call.retry(pauses())).is_some_and(admitted))
}

type Budget = fn() -> Arc<dyn RetryBudget>;

fn resilience(name: &str, budget: Option<Budget>) -> Subject {
    let inner: fn(()) -> Ready<Result<u64, Failure>> = |()| call();
    served(name, || {
        // Lean: it copies its name for each event.
        let builder = RetryLayer::builder().name("").max_attempts(3).exponential_backoff(BASE);
        let builder = match budget {
            Some(budget) => builder.budget(budget()),
            None => builder,
        };
        builder.build().layer(service_fn(inner))
    })
}

/// For reference: nothing around the call.
fn alone() -> Subject {
    Subject::per_thread("the call alone", |_| || ended(call()).is_some_and(admitted))
}
