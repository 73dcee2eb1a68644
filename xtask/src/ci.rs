//! `cargo xtask ci`: everything of `test`, then what takes other toolchains,
//! other programs, or the network.

use crate::{
    Result,
    out::Out,
    steps::{self, Args, Step},
    test, tools, workspace,
};
use std::{fs, path::Path, process::ExitCode};
use xshell::cmd;

/// The oldest toolchain that the library crates build with.
const MSRV: &str = "1.85";

const MORE: &[Step] = &[
    Step { name: "msrv", what: "the library crates on the oldest toolchain", run: msrv },
    Step {
        name: "minimal-versions",
        what: "the library crates on the oldest dependencies they allow",
        run: minimal_versions,
    },
    Step { name: "powerset", what: "pairs of features of each library crate", run: powerset },
    Step { name: "benches", what: "lints of the benchmarks", run: benches },
    Step { name: "deny", what: "licences, advisories, duplicates, sources", run: deny },
    Step { name: "semver", what: "no breaking change since the last release", run: semver },
    Step { name: "typos", what: "spelling", run: typos },
];

pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    let steps = || test::STEPS.iter().chain(MORE);
    let steps: Vec<_> = steps().map(|s| Step { name: s.name, what: s.what, run: s.run }).collect();
    steps::run("ci", &steps, args)
}

fn msrv(out: &Out) -> Result {
    tools::need_toolchain(out, MSRV)?;
    let metadata = workspace::members()?;
    let target = metadata.target_directory.join("msrv");
    let packages = packages(&metadata);
    let check = cmd!(out.sh, "rustup run {MSRV} cargo check {packages...} --all-features");
    out.run(check.env("CARGO_TARGET_DIR", target))
}

/// In a copy, because it needs a Cargo.lock of its own, and without the packages
/// that are never published: nobody has to build those with old dependencies.
fn minimal_versions(out: &Out) -> Result {
    tools::need_toolchain(out, "nightly")?;
    let metadata = workspace::members()?;
    let target = metadata.target_directory.join("minimal-versions");
    let copy = target.join("workspace").into_std_path_buf();
    if copy.exists() {
        fs::remove_dir_all(&copy)?;
    }
    fs::create_dir_all(&copy)?;
    let root = workspace::root();
    copy_folder(&root.join("crates"), &copy.join("crates"))?;
    let manifest = fs::read_to_string(root.join("Cargo.toml"))?;
    fs::write(copy.join("Cargo.toml"), only_crates(&manifest))?;
    out.sh.change_dir(&copy);
    let sh = &out.sh;
    let oldest = ["-Z", "direct-minimal-versions"];
    out.run(cmd!(sh, "rustup run nightly cargo generate-lockfile {oldest...}"))?;
    let check = cmd!(sh, "rustup run nightly cargo check --workspace --all-features");
    out.run(check.env("CARGO_TARGET_DIR", target))
}

/// The root manifest with nothing but the library crates as members.
fn only_crates(manifest: &str) -> String {
    let line = |line: &str| match line.split('=').next().map(str::trim) {
        Some("members") => "members = [\"crates/*\"]\n".to_owned(),
        Some("default-members") => String::new(),
        _ => format!("{line}\n"),
    };
    manifest.lines().map(line).collect()
}

fn copy_folder(from: &Path, to: &Path) -> Result {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_folder(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}

/// Pairs, not all sets: the umbrella has a feature for each crate.
fn powerset(out: &Out) -> Result {
    tools::need(out, &["cargo", "hack", "--version"], "cargo-hack")?;
    let packages = packages(&workspace::members()?);
    out.run(cmd!(
        out.sh,
        "cargo hack clippy {packages...} --feature-powerset --depth 2 --keep-going -- -D warnings"
    ))
}

fn benches(out: &Out) -> Result {
    out.run(cmd!(out.sh, "cargo clippy -p benches --all-targets -- -D warnings"))
}

fn deny(out: &Out) -> Result {
    tools::need(out, &["cargo", "deny", "--version"], "cargo-deny")?;
    out.run(cmd!(out.sh, "cargo deny --all-features check"))
}

/// Against the last release tag. Before the first there is nothing to break.
fn semver(out: &Out) -> Result {
    let sh = &out.sh;
    let last = cmd!(sh, "git describe --tags --abbrev=0 --match v[0-9]*").quiet().ignore_stderr();
    let Ok(tag) = last.read() else {
        return out.say("no release tag (v1.2.3) yet: nothing to compare with");
    };
    tools::need(out, &["cargo", "semver-checks", "--version"], "cargo-semver-checks")?;
    let packages = packages(&workspace::members()?);
    out.run(cmd!(sh, "cargo semver-checks check-release {packages...} --baseline-rev {tag}"))
}

fn typos(out: &Out) -> Result {
    tools::need(out, &["typos", "--version"], "typos-cli")?;
    out.run(cmd!(out.sh, "typos"))
}

/// `-p` for each library crate.
fn packages(metadata: &cargo_metadata::Metadata) -> Vec<String> {
    let crates = workspace::crates(metadata);
    crates.iter().flat_map(|package| ["-p".to_owned(), package.name.to_string()]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_copy_has_the_library_crates_alone() {
        let manifest = "[workspace]\nmembers = [\"crates/*\", \"xtask\"]\ndefault-members = []\n";
        assert_eq!(only_crates(manifest), "[workspace]\nmembers = [\"crates/*\"]\n");
    }

    #[test]
    fn no_two_steps_share_a_name() {
        let mut names: Vec<_> = test::STEPS.iter().chain(MORE).map(|step| step.name).collect();
        names.sort_unstable();
        let count = names.len();
        names.dedup();
        assert_eq!(names.len(), count);
    }

    #[test]
    fn the_msrv_is_the_one_that_the_workspace_declares() {
        let manifest = fs::read_to_string(workspace::root().join("Cargo.toml")).unwrap();
        assert!(manifest.contains(&format!("rust-version = \"{MSRV}\"")));
    }
}
