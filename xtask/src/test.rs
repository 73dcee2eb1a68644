//! `cargo xtask test`: what must be green before a change goes in.
//!
//! The steps that build use the same packages, features and profile, so that
//! dependencies are checked once and compiled once.

use crate::{
    Result, alone, examples, loom,
    out::Out,
    steps::{self, Args, Step},
    tidy,
};
use std::{env, process::ExitCode};
use xshell::cmd;

pub(crate) const STEPS: &[Step] = &[
    Step { name: "fmt", what: "formatting", run: fmt },
    Step { name: "tidy", what: "what compilers do not check (cargo xtask tidy)", run: tidy::run },
    Step { name: "clippy", what: "lints, on all targets with all features", run: clippy },
    Step { name: "unit", what: "unit and integration tests", run: unit },
    Step { name: "doctest", what: "the examples in docs and READMEs", run: doctest },
    Step { name: "examples", what: "every example, built and run", run: examples::run },
    Step {
        name: "alone",
        what: "each crate by itself: default features, none, all",
        run: alone::run,
    },
    Step { name: "docs", what: "documentation without warnings", run: docs },
    Step { name: "loom", what: "every model (cargo xtask loom)", run: all_models },
];

pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    steps::run("test", STEPS, args)
}

fn fmt(out: &Out) -> Result {
    out.run(cmd!(out.sh, "cargo fmt --all --check"))
}

fn clippy(out: &Out) -> Result {
    out.run(cmd!(
        out.sh,
        "cargo clippy --workspace --exclude benches --all-targets --all-features --keep-going
            -- -D warnings"
    ))
}

/// nextest where it is installed: it is faster, and each test is a process.
fn unit(out: &Out) -> Result {
    let sh = &out.sh;
    if cmd!(sh, "cargo nextest --version").quiet().ignore_stderr().read().is_ok() {
        out.run(cmd!(
            sh,
            "cargo nextest run --workspace --exclude benches --all-features --no-fail-fast"
        ))
    } else {
        let tests = ["--lib", "--bins", "--tests", "--examples", "--no-fail-fast"];
        out.run(cmd!(sh, "cargo test --workspace --exclude benches --all-features {tests...}"))
    }
}

fn doctest(out: &Out) -> Result {
    out.run(cmd!(
        out.sh,
        "cargo test --doc --workspace --exclude benches --all-features --no-fail-fast"
    ))
}

/// Twice: as readers see it, and with private items, whose links break as well.
fn docs(out: &Out) -> Result {
    let flags = format!("{} -D warnings", env::var("RUSTDOCFLAGS").unwrap_or_default());
    for more in [None, Some("--document-private-items")] {
        let doc = cmd!(
            out.sh,
            "cargo doc --no-deps --workspace --exclude benches --all-features {more...}"
        );
        out.run(doc.env("RUSTDOCFLAGS", &flags))?;
    }
    Ok(())
}

fn all_models(out: &Out) -> Result {
    loom::run(out, &loom::Args::default())
}
