//! What every crate has.

use super::Finding;
use crate::{Result, workspace};
use std::{fs, path::Path};

/// Crates with nothing of their own to show: the umbrella re-exports, and the
/// waiter queue is for those who write gates.
const NO_EXAMPLE: [&str; 2] = ["plimsoll", "plimsoll-wait"];

const MODELS: &str = "src/models.rs";

pub(super) fn check(package: &str, folder: &Path) -> Result<Vec<Finding>> {
    let examples = folder.join("examples");
    let mut has_example = false;
    if examples.is_dir() {
        for entry in fs::read_dir(examples)? {
            has_example |= entry?.path().extension().is_some_and(|extension| extension == "rs");
        }
    }
    let has = |path: &str| match path {
        "examples" => has_example,
        MODELS => workspace::has_models(folder),
        path => folder.join(path).is_file(),
    };
    let findings = missing(package, has);
    Ok(findings.into_iter().map(|(path, why)| Finding::error(folder.join(path), 1, why)).collect())
}

fn missing(package: &str, has: impl Fn(&str) -> bool) -> Vec<(&'static str, &'static str)> {
    let mut missing = Vec::new();
    if !has("README.md") {
        missing.push(("README.md", "missing: what the crate is for, with examples that compile"));
    }
    if !NO_EXAMPLE.contains(&package) && !has("examples") {
        missing.push(("examples", "missing: at least one realistic example, under a page"));
    }
    if has("src/sync.rs") && !has(MODELS) {
        missing.push((MODELS, "missing: shared state (src/sync.rs) needs loom models"));
    }
    missing
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths(package: &str, there: &[&str]) -> Vec<&'static str> {
        missing(package, |path| there.contains(&path)).into_iter().map(|(path, _)| path).collect()
    }

    #[test]
    fn what_a_crate_lacks_is_named() {
        assert_eq!(paths("plimsoll-shed", &[]), ["README.md", "examples"]);
        assert_eq!(
            paths("plimsoll-shed", &["README.md", "examples", "src/sync.rs"]),
            ["src/models.rs"]
        );
    }

    #[test]
    fn the_umbrella_and_the_waiter_queue_need_no_example() {
        assert!(paths("plimsoll", &["README.md"]).is_empty());
        assert!(paths("plimsoll-wait", &["README.md", "src/sync.rs", "src/models.rs"]).is_empty());
    }
}
