//! Admission: breakers, concurrency limits, retries; what a permit costs.

mod adaptive;
mod breaker;
mod permit;
mod retry;

use super::Suite;
use crate::{
    bench::Bench,
    on::{ONE, On, TWO},
    row::{AtMost, Unit},
    stats::Summary,
};
use anyhow::Result;

pub(super) const SUITE: Suite = Suite {
    name: "admission",
    about: "Gates that learn from results or count what is under way, and retries around a call, \
            each asked once per operation, through the calls that users make, both threads on one \
            object. The work between admission and end is nothing, or a future that is ready. \
            recloser and failsafe are called around a closure; tower and tower-resilience can be \
            asked as a service only, tower-resilience boxes a future for each request. One that \
            waits for the other thread is polled again at once. A mutex breaker after gobreaker, \
            and clocks and atomic words alone, are written in this suite; they, recloser, failsafe \
            and tower-resilience read the system's clock, ours and what is called `clock` the \
            processor's.",
    packages: &[
        "backon",
        "failsafe",
        "recloser",
        "tokio",
        "tower",
        "tower-acc",
        "tower-resilience-adaptive",
        "tower-resilience-bulkhead",
        "tower-resilience-circuitbreaker",
        "tower-resilience-retry",
    ],
    run,
    child: breaker::child,
};

fn run(bench: &mut Bench) -> Result<()> {
    breaker::run(bench)?;
    permit::run(bench)?;
    adaptive::run(bench)?;
    retry::run(bench)
}

/// A cost that is to be the same however large something is: within a tenth, which
/// is more than two subjects lie apart that are the same.
fn flat(bench: &mut Bench, case: &str, smallest: (&str, Summary), largest: Summary) {
    let (size, least) = smallest;
    let itself = format!("itself at {size}");
    let peer = [(itself.as_str(), least)].into_iter();
    let target = AtMost::times(1.1, &itself);
    bench.compare(case, ONE, Unit::Nanoseconds, largest, peer, &[target]);
}

/// A target for each number of threads.
fn each(one: AtMost, two: AtMost) -> [(On, AtMost); 2] {
    [(ONE, one), (TWO, two)]
}
