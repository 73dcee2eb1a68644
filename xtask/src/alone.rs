//! Each crate by itself. A build of the whole workspace turns on every feature
//! that any member asks for, which hides a crate that forgot to ask.

use crate::{Result, out::Out, workspace};
use xshell::cmd;

pub(crate) fn run(out: &Out) -> Result {
    let mut failed = Vec::new();
    let metadata = workspace::members()?;
    for package in workspace::crates(&metadata) {
        let name = package.name.as_str();
        let features: Vec<_> = package.features.keys().map(String::as_str).collect();
        let default = package.features.get("default").is_some_and(|on| !on.is_empty());
        for flag in flags(&features, default) {
            // clippy shares the dependencies that `cargo check` checked, and
            // denies warnings in our code without building theirs again.
            let check = cmd!(out.sh, "cargo clippy -p {name} {flag...} -- -D warnings");
            if let Err(error) = out.run(check) {
                out.say(error)?;
                failed.push(format!("{name} {}", flag.unwrap_or_default()).trim_end().to_owned());
            }
        }
    }
    if failed.is_empty() { Ok(()) } else { Err(failed.join(", ").into()) }
}

/// The builds that differ from each other.
fn flags(features: &[&str], default: bool) -> Vec<Option<&'static str>> {
    let mut flags = vec![None];
    if default {
        flags.push(Some("--no-default-features"));
    }
    if features.iter().any(|name| *name != "default") {
        flags.push(Some("--all-features"));
    }
    flags
}

#[cfg(test)]
mod tests {
    use super::flags;

    const NONE: Option<&str> = Some("--no-default-features");
    const ALL: Option<&str> = Some("--all-features");

    #[test]
    fn a_crate_is_built_once_for_each_set_of_features_that_differs() {
        assert_eq!(flags(&[], false), [None]);
        assert_eq!(flags(&["tokio"], false), [None, ALL]);
        assert_eq!(flags(&["default", "quanta"], true), [None, NONE, ALL]);
    }
}
