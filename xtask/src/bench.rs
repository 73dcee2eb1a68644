//! `cargo xtask bench`: ours beside other crates. The suites are in `benches/`.

use crate::{Result, demo::become_};
use std::process::Command;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// The suite, such as `ratelimit`; all of them without
    suite: Option<String>,
    /// Fewer and shorter rounds: a first look, not a result
    #[arg(long)]
    quick: bool,
    /// Only the groups with a case whose name contains this, such as `breaker open`
    #[arg(long, conflicts_with = "write")]
    case: Option<String>,
    /// Put the result of this full run into BENCHMARKS.md
    #[arg(long, conflicts_with = "quick")]
    write: bool,
}

pub(crate) fn run(Args { suite, quick, case, write }: Args) -> Result {
    let mut cargo = Command::new("cargo");
    cargo.args(["run", "--profile", "bench", "-p", "benches", "--"]);
    cargo.args(suite).args(quick.then_some("--quick")).args(write.then_some("--write"));
    if let Some(case) = case {
        cargo.args(["--case", &case]);
    }
    become_(cargo)
}
