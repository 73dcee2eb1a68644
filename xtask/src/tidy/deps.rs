//! Who may depend on whom. Normal dependencies only: tests may use anything.

use super::Finding;
use cargo_metadata::{
    Dependency, DependencyKind, Metadata, Node, Package, PackageId, semver::Version,
};
use std::{
    collections::{BTreeSet, HashMap},
    fs,
    path::{Path, PathBuf},
};

/// What a crate may depend on. A name that ends in `?` must be optional.
struct Rule {
    of: &'static str,
    /// Crates of this workspace, without `plimsoll-`. `*` is any of them.
    ours: &'static [&'static str],
    /// Everybody else's.
    theirs: &'static [&'static str],
}

const fn rule(
    of: &'static str,
    ours: &'static [&'static str],
    theirs: &'static [&'static str],
) -> Rule {
    Rule { of, ours, theirs }
}

/// No pattern crate depends on another one. What sits on top may use them all.
#[rustfmt::skip]
const RULES: &[Rule] = &[
    rule("core",         &[],                          &["quanta?", "tokio?"]),
    rule("wait",         &["core"],                    &[]),
    rule("channel",      &["core", "wait"],            &["futures-core", "futures-sink"]),
    rule("pipeline",     &["core", "channel"],         &["tokio", "tokio-util", "futures-core", "indicatif?"]),
    rule("fanout",       &["core", "channel"],         &["tokio", "tokio-util", "futures-core"]),
    rule("batch",        &["core", "channel"],         &["tokio", "futures-core"]),
    rule("ratelimit",    &["core", "wait"],            &["tokio", "rand"]),
    rule("backpressure", &["core", "wait", "channel"], &["tokio", "rand"]),
    rule("shed",         &["core"],                    &["tokio", "rand"]),
    rule("breaker",      &["core"],                    &["tokio", "rand"]),
    rule("retry",        &["core"],                    &["tokio", "rand"]),
    rule("degrade",      &["core"],                    &["tokio", "moka?", "toml", "serde", "serde_json", "async-trait"]),
    rule("shutdown",     &["core"],                    &["tokio", "tokio-util", "async-trait"]),
    rule("keyed",        &["core"],                    &["dashmap?", "foldhash"]),
    rule("metered",      &["core"],                    &["metrics"]),
    rule("tower",        &["core", "*?"],              &["tower-layer", "tower-service", "bytes", "http", "http-body", "pin-project-lite", "axum?", "futures-core?", "httpdate?", "tokio?", "tonic?"]),
    rule("sim",          &["*"],                       &["rand", "hdrhistogram", "plotters?"]),
    rule("plimsoll",     &["*"],                       &[]),
];

/// Holds every crate to its row of the table.
pub(super) fn rules(crates: &[&Package], root: &Path) -> Vec<Finding> {
    let names: BTreeSet<_> = crates.iter().map(|package| package.name.as_str()).collect();
    let mut findings = Vec::new();
    for package in crates {
        let manifest = relative(package, root);
        let name = short(&package.name);
        let Some(rule) = RULES.iter().find(|rule| rule.of == name) else {
            let message = format!("`{name}` has no row in xtask/src/tidy/deps.rs: add its rule");
            findings.push(Finding::error(manifest, 1, message));
            continue;
        };
        let text = fs::read_to_string(&package.manifest_path).unwrap_or_default();
        for dependency in &package.dependencies {
            let ours = names.contains(dependency.name.as_str());
            if let Some(message) = breach(rule, dependency, ours) {
                findings.push(Finding::error(&manifest, line_of(&text, &dependency.name), message));
            }
        }
    }
    findings
}

/// Why this dependency is not allowed, if it is not.
fn breach(rule: &Rule, dependency: &Dependency, ours: bool) -> Option<String> {
    if dependency.kind != DependencyKind::Normal {
        return None;
    }
    let name = short(&dependency.name);
    if name == "loom" {
        let target = dependency.target.as_ref().map(ToString::to_string);
        let models_only = target.is_some_and(|target| target.contains("plimsoll_loom"));
        return (!models_only).then(|| {
            "loom is for models: put it under [target.'cfg(plimsoll_loom)'.dependencies]".into()
        });
    }
    let column = if ours { rule.ours } else { rule.theirs };
    let allowed = |wanted: &str| column.contains(&wanted);
    let must_be_optional = allowed(&format!("{name}?")) || (ours && allowed("*?"));
    if allowed(name) || (ours && allowed("*")) || (must_be_optional && dependency.optional) {
        return None;
    }
    if must_be_optional {
        return Some(format!("`{}` depends on `{name}`, which must be optional", rule.of));
    }
    let list = if column.is_empty() { "nothing".to_owned() } else { column.join(", ") };
    let whose = if ours { "of ours" } else { "from outside" };
    Some(format!("`{}` may not depend on `{name}`; {whose} it may use: {list}", rule.of))
}

fn short(name: &str) -> &str {
    name.strip_prefix("plimsoll-").unwrap_or(name)
}

fn relative(package: &Package, root: &Path) -> PathBuf {
    let manifest = package.manifest_path.as_std_path();
    manifest.strip_prefix(root).unwrap_or(manifest).to_path_buf()
}

/// The line of a manifest that names a dependency; the first line if none does.
fn line_of(manifest: &str, dependency: &str) -> usize {
    let names = |line: &str| {
        let rest = line.strip_prefix(dependency)?.trim_start();
        rest.starts_with(['=', '.']).then_some(())
    };
    manifest.lines().position(|line| names(line).is_some()).map_or(1, |index| index + 1)
}

/// No crate that a user builds with ours may ask for a newer Rust than ours do.
/// Reads the resolved graph: an old enough version may exist, what counts is
/// the one in Cargo.lock.
pub(super) fn msrv(graph: &Metadata, crates: &[&Package], root: &Path) -> Vec<Finding> {
    let packages: HashMap<_, _> = graph.packages.iter().map(|p| (&p.id, p)).collect();
    let nodes: HashMap<_, _> =
        graph.resolve.iter().flat_map(|r| &r.nodes).map(|n| (&n.id, n)).collect();
    let mut findings = Vec::new();
    for package in crates.iter().filter(|p| p.publish.as_ref().is_none_or(|to| !to.is_empty())) {
        let Some(ours) = &package.rust_version else {
            let message = "no rust-version: write `rust-version.workspace = true`";
            findings.push(Finding::error(relative(package, root), 1, message));
            continue;
        };
        for id in reached(&package.id, &nodes) {
            let Some(found) = packages.get(id) else { continue };
            if let Some(theirs) = newer(found.rust_version.as_ref(), ours) {
                let message = format!(
                    "{} {} needs Rust {theirs}, newer than our {ours}: hold it back with \
                     `cargo update -p {} --precise <older>`",
                    found.name, found.version, found.name
                );
                findings.push(Finding::error(relative(package, root), 1, message));
            }
        }
    }
    findings
}

fn newer<'a>(theirs: Option<&'a Version>, ours: &Version) -> Option<&'a Version> {
    theirs.filter(|theirs| *theirs > ours)
}

/// What a package pulls in through normal dependencies, models' aside.
fn reached<'a>(
    from: &'a PackageId,
    nodes: &HashMap<&'a PackageId, &'a Node>,
) -> BTreeSet<&'a PackageId> {
    let mut seen = BTreeSet::from([from]);
    let mut todo = vec![from];
    while let Some(node) = todo.pop().and_then(|id| nodes.get(id)) {
        for dependency in &node.deps {
            let counts = dependency.dep_kinds.iter().any(|kind| {
                let target = kind.target.as_ref().map(ToString::to_string).unwrap_or_default();
                kind.kind == DependencyKind::Normal && !target.contains("plimsoll_loom")
            });
            if counts && seen.insert(&dependency.pkg) {
                todo.push(&dependency.pkg);
            }
        }
    }
    seen
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULE: Rule = rule("tower", &["core", "*?"], &["http", "axum?"]);

    fn found(name: &str, ours: bool, more: &str) -> Option<String> {
        let json = format!(
            r#"{{"name": "{name}", "req": "*", "kind": null, "optional": false,
                "uses_default_features": true, "features": [], "target": null {more}}}"#
        );
        // A later field of the same name wins in a map, not in a struct.
        let map: HashMap<String, serde_json::Value> = serde_json::from_str(&json).unwrap();
        let json = serde_json::to_string(&map).unwrap();
        breach(&RULE, &serde_json::from_str(&json).unwrap(), ours)
    }

    #[test]
    fn a_dependency_outside_the_row_is_named() {
        assert_eq!(found("http", false, ""), None);
        let message = found("rand", false, "").unwrap();
        assert_eq!(
            message,
            "`tower` may not depend on `rand`; from outside it may use: http, axum?"
        );
        assert_eq!(found("rand", false, r#", "kind": "dev""#), None, "tests may use anything");
    }

    #[test]
    fn what_must_be_optional_is_an_error_when_it_is_not() {
        for (name, ours) in [("axum", false), ("plimsoll-retry", true)] {
            assert!(found(name, ours, "").unwrap().contains("must be optional"), "{name}");
            assert_eq!(found(name, ours, r#", "optional": true"#), None);
        }
        assert_eq!(found("plimsoll-core", true, ""), None);
    }

    #[test]
    fn loom_is_allowed_under_its_cfg_and_nowhere_else() {
        assert!(found("loom", false, "").is_some());
        assert!(found("loom", false, r#", "target": "cfg(unix)""#).is_some());
        assert_eq!(found("loom", false, r#", "target": "cfg(plimsoll_loom)""#), None);
    }

    #[test]
    fn no_pattern_crate_may_use_another() {
        let patterns = ["pipeline", "fanout", "batch", "ratelimit", "backpressure", "shed"];
        let patterns = [&patterns[..], &["breaker", "retry", "degrade", "shutdown"]].concat();
        for rule in RULES.iter().filter(|rule| patterns.contains(&rule.of)) {
            assert!(!rule.ours.iter().any(|name| patterns.contains(name) || name.contains('*')));
        }
    }

    #[test]
    fn a_dependency_that_needs_a_newer_rust_is_caught() {
        let (old, new) = (Version::new(1, 85, 0), Version::new(1, 86, 0));
        assert_eq!(newer(Some(&new), &old), Some(&new));
        assert_eq!((newer(Some(&old), &old), newer(None, &old)), (None, None));
    }

    #[test]
    fn a_finding_points_at_the_dependency() {
        let manifest = "[dependencies]\ntokio-util = \"1\"\ntokio.workspace = true\n";
        assert_eq!((line_of(manifest, "tokio"), line_of(manifest, "rand")), (3, 1));
    }
}
