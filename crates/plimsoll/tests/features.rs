//! Each feature brings what it needs and nothing else, read from `cargo tree`.

#![allow(clippy::unwrap_used, reason = "a test that meets an error should stop at it")]

use std::{collections::BTreeSet, process::Command};

/// Others' crates that a service would notice: a runtime, a protocol, a table.
const NOTICED: [&str; 9] =
    ["axum", "dashmap", "http", "hyper", "metrics", "quanta", "tokio", "tonic", "tower-service"];

/// The packages that a user of these features builds, by name.
fn packages(features: &str) -> BTreeSet<String> {
    let cargo = option_env!("CARGO").unwrap_or("cargo");
    let output = Command::new(cargo)
        .args(["tree", "--offline", "-e", "normal", "-p", "plimsoll", "--no-default-features"])
        .args(["--features", features, "--prefix", "none", "-f", "{p}"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let lines = String::from_utf8(output.stdout).unwrap();
    lines.lines().filter_map(|line| Some(line.split_whitespace().next()?.to_owned())).collect()
}

/// Holds `features` to exactly these crates of ours, and to these of the others
/// that are noticed.
#[track_caller]
fn brings(features: &str, ours: &[&str], noticed: &[&str]) {
    let packages = packages(features);
    let is_ours = |name: &&String| name.starts_with("plimsoll-");
    let found: Vec<_> = packages.iter().filter(is_ours).map(|name| &name[9..]).collect();
    assert_eq!(found, ours, "our crates under `{features}`");
    let found: Vec<_> = NOTICED.into_iter().filter(|name| packages.contains(*name)).collect();
    assert_eq!(found, noticed, "others' crates under `{features}`");
}

#[test]
fn without_features_there_is_the_core_alone() {
    let all = packages("");
    assert_eq!(all.iter().collect::<Vec<_>>(), ["plimsoll", "plimsoll-core"]);
}

#[test]
fn the_core_brings_a_clock_or_a_runtime_where_asked() {
    brings("quanta", &["core"], &["quanta"]);
    brings("tokio", &["core"], &["tokio"]);
    brings("testing", &["core"], &[]);
}

#[test]
fn ratelimit_brings_a_timer_and_knows_nothing_of_keys_http_or_metrics() {
    brings("ratelimit", &["core", "ratelimit", "wait"], &["tokio"]);
}

#[test]
fn keyed_brings_a_hasher_and_no_table_of_others() {
    brings("keyed", &["core", "keyed"], &[]);
    assert!(packages("keyed").contains("foldhash"));
    brings("gates", &["core", "keyed"], &["dashmap"]);
}

#[test]
fn batch_brings_a_runtime() {
    brings("batch", &["batch", "core"], &["tokio"]);
}

#[test]
fn pipeline_and_fanout_bring_a_runtime_and_its_tokens() {
    brings("pipeline", &["channel", "core", "pipeline", "wait"], &["tokio"]);
    assert!(packages("indicatif").contains("indicatif"));
    brings("fanout", &["core", "fanout"], &["tokio"]);
}

#[test]
fn gates_that_learn_and_retries_bring_timers_and_nothing_of_http() {
    brings("backpressure", &["backpressure", "channel", "core", "wait"], &["tokio"]);
    brings("breaker", &["breaker", "core"], &[]);
    brings("retry", &["core", "retry"], &["tokio"]);
}

#[test]
fn channel_brings_no_runtime() {
    brings("channel", &["channel", "core", "wait"], &[]);
}

#[test]
fn wait_brings_nothing() {
    brings("wait", &["core", "wait"], &[]);
}

#[test]
fn metered_brings_the_facade_alone() {
    brings("metered", &["core", "metered"], &["metrics"]);
}

#[test]
fn tower_brings_the_traits_and_http_and_no_server() {
    brings("tower", &["core", "tower"], &["http", "tower-service"]);
    assert!(packages("axum").contains("axum"));
    brings("grpc", &["core", "tower"], &["http", "hyper", "tokio", "tonic", "tower-service"]);
}

#[test]
fn tower_and_retry_together_bring_the_layers_and_neither_brings_the_other() {
    brings("tower,retry", &["core", "retry", "tower"], &["http", "tokio", "tower-service"]);
    assert!(
        packages("tower,retry").contains("httpdate") && !packages("tower").contains("httpdate")
    );
}

#[test]
fn full_is_every_feature_but_testing() {
    let manifest = include_str!("../Cargo.toml");
    let features = manifest.split("[features]").nth(1).unwrap();
    let features = features.split("\n[").next().unwrap();
    let names = features.lines().filter_map(|line| line.split_once(" = ")).map(|pair| pair.0);
    let every = names.filter(|name| !["full", "testing"].contains(name)).collect::<Vec<_>>();
    assert!(every.len() > 5, "{every:?}");
    assert_eq!(packages("full"), packages(&every.join(",")));
}
