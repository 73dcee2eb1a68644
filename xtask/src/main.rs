//! The workspace's own commands. `cargo xtask --help` lists them.
#![forbid(unsafe_code)]

mod alone;
mod bench;
mod ci;
mod demo;
mod examples;
mod loom;
mod out;
mod process;
mod steps;
mod test;
mod tidy;
mod tools;
mod workspace;

use clap::{Parser, Subcommand};
use out::Out;
use std::{error::Error, process::ExitCode};

type Result<T = ()> = std::result::Result<T, Box<dyn Error>>;

/// What a contributor runs. Start with `cargo xtask test`.
#[derive(Parser)]
#[command(bin_name = "cargo xtask", disable_help_subcommand = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run the storefront: a real service under load, in front of your eyes
    Demo(demo::Args),
    /// Run everything that must be green before a change goes in
    Test(steps::Args),
    /// Measure ours beside other crates in the same run
    Bench(bench::Args),
    /// Search the loom models of one crate, or of all
    Loom(loom::Args),
    /// Check what compilers do not: dependency rules, file length, READMEs
    Tidy,
    /// Run `test`, then MSRV, minimal versions, feature powerset, deny, semver
    Ci(steps::Args),
}

fn main() -> ExitCode {
    let done = |()| ExitCode::SUCCESS;
    let result = match Cli::parse().command {
        Command::Demo(args) => demo::run(args).map(done),
        Command::Test(args) => test::run(&args),
        Command::Bench(args) => bench::run(args).map(done),
        Command::Loom(args) => Out::terminal().and_then(|out| loom::run(&out, &args)).map(done),
        Command::Tidy => Out::terminal().and_then(|out| tidy::run(&out)).map(done),
        Command::Ci(args) => ci::run(&args),
    };
    match result {
        Ok(code) => code,
        Err(error) => {
            eprintln!("xtask: {error}");
            ExitCode::FAILURE
        }
    }
}
