//! The suites. A new one is a file here and a line in [`SUITES`].

mod admission;
mod flow;
mod ratelimit;

use crate::bench::Bench;
use anyhow::{Context, Result, bail};

/// A set of cases that run together.
pub(crate) struct Suite {
    /// What people type.
    pub(crate) name: &'static str,
    /// What it compares, in a sentence or two, for BENCHMARKS.md.
    pub(crate) about: &'static str,
    /// The peers' packages, whose versions are printed.
    pub(crate) packages: &'static [&'static str],
    /// Measures everything.
    pub(crate) run: fn(&mut Bench) -> Result<()>,
    /// Measures the memory of one subject in this process, which was started
    /// for it. None if there is no such subject.
    pub(crate) child: fn(&str) -> Result<Option<f64>>,
}

const SUITES: &[Suite] = &[admission::SUITE, flow::SUITE, ratelimit::SUITE];

/// The suites of these names, or all if there are none.
pub(crate) fn named(names: &[String]) -> Result<Vec<&'static Suite>> {
    if names.is_empty() {
        return Ok(SUITES.iter().collect());
    }
    names.iter().map(|name| find(name)).collect()
}

fn find(name: &str) -> Result<&'static Suite> {
    SUITES.iter().find(|suite| suite.name == name).with_context(|| {
        let known: Vec<_> = SUITES.iter().map(|suite| suite.name).collect();
        format!("there is no suite `{name}`: there is {}", known.join(", "))
    })
}

/// What the parent process asked this one to measure: `SUITE:SUBJECT`.
pub(crate) fn child(what: &str) -> Result<f64> {
    let (suite, subject) = what.split_once(':').context("--child wants SUITE:SUBJECT")?;
    match (find(suite)?.child)(subject)? {
        Some(bytes) => Ok(bytes),
        None => bail!("suite {suite} has no subject `{subject}`"),
    }
}
