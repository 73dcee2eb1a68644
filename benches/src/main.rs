//! Ours beside other crates, in one run, rounds interleaved.
//!
//! `cargo xtask bench [suite] [--quick]`. README.md says how to read the table
//! and how to add a suite.
#![forbid(unsafe_code)]

mod bench;
mod calls;
mod flow;
mod machine;
mod memory;
mod on;
mod report;
mod rounds;
mod row;
mod sequence;
mod stats;
mod suites;

use crate::{bench::Bench, report::Report};
use anyhow::{Result, bail};
use clap::Parser;

/// Measures ours beside other crates and writes target/bench/report.json
#[derive(Parser)]
#[command(name = "bench", version)]
struct Args {
    /// The suites to run, such as `ratelimit`; all of them without
    suites: Vec<String>,
    /// Fewer and shorter rounds: a first look, not a result
    #[arg(long)]
    quick: bool,
    /// Only the groups with a case whose name contains this, such as `breaker open`
    #[arg(long, default_value = "")]
    case: String,
    /// Put the result of this full run into BENCHMARKS.md
    #[arg(long, conflicts_with_all = ["quick", "case"])]
    write: bool,
    /// Measure one subject's memory in this process and print it: SUITE:SUBJECT
    #[arg(long, hide = true)]
    child: Option<String>,
}

fn main() -> Result<()> {
    let args = Args::parse();
    if let Some(child) = args.child {
        println!("{}", suites::child(&child)?);
        return Ok(());
    }
    if cfg!(debug_assertions) {
        eprintln!("warning: built with debug assertions; use `cargo xtask bench`");
    }

    let suites = suites::named(&args.suites)?;
    let mut report = Report::default();
    for suite in suites {
        let mut bench = Bench::new(suite.name, &args.case, args.quick)?;
        (suite.run)(&mut bench)?;
        report.add(suite, bench.finish());
    }

    println!("{}", report.table());
    let files = report.save(args.write && report.is_settled())?;
    println!("{}", report.verdict());
    for file in files {
        println!("wrote {}", file.display());
    }
    if report.is_empty() {
        bail!("nothing was measured");
    }
    if args.write && !report.is_settled() {
        bail!("BENCHMARKS.md was left as it was: the machine is too busy to judge every target");
    }
    Ok(())
}
