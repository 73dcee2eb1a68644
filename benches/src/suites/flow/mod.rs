//! Flow: what it costs to move work from task to task.

mod adapters;
mod buffer;
mod database;
mod fanout;
mod hops;
mod idle;
mod soak;
mod work;

use super::Suite;
use crate::{
    bench::Bench,
    on::{FLAVOURS, On},
    row::AtMost,
};
use anyhow::Result;

pub(super) const SUITE: Suite = Suite {
    name: "flow",
    about: "Work that moves from task to task, on tokio's two flavours of runtime; a round builds \
            all of an arrangement, sends its items through and takes it down. Figures are \
            nanoseconds per item for the whole way.",
    packages: &[
        "async-channel",
        "flume",
        "futures",
        "kanal",
        "rayon",
        "thingbuf",
        "tokio",
        "tokio-stream",
    ],
    run,
    child: |_| Ok(None),
};

/// The same targets on both flavours.
fn both(targets: &[AtMost]) -> Vec<(On, AtMost)> {
    let on = |on| targets.iter().map(move |target| (on, target.clone()));
    FLAVOURS.into_iter().flat_map(on).collect()
}

fn run(bench: &mut Bench) -> Result<()> {
    hops::run(bench)?;
    buffer::run(bench)?;
    fanout::run(bench)?;
    adapters::run(bench)?;
    idle::run(bench)?;
    database::run(bench)?;
    soak::run(bench)
}
