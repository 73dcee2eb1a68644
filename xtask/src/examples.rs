//! Every example of every crate, built and run. Exit code 0 is expected.

use crate::{Result, out::Out, process, workspace};
use cargo_metadata::{Message, TargetKind};
use std::{
    collections::BTreeMap,
    path::PathBuf,
    process::{Command, Stdio},
    time::{Duration, Instant},
};
use xshell::cmd;

/// An example shows something; it does not keep a reader waiting.
const LIMIT: Duration = Duration::from_secs(60);

pub(crate) fn run(out: &Out) -> Result {
    let mut failed = Vec::new();
    for (name, program) in build(out)? {
        let started = Instant::now();
        let mut child = Command::new(&program)
            .current_dir(workspace::root())
            .stdin(Stdio::null())
            .stdout(out.stdio()?)
            .stderr(out.stdio()?)
            .spawn()?;
        let ended = process::wait_at_most(&mut child, LIMIT)?;
        let seconds = started.elapsed().as_secs_f64();
        match process::failure(ended, LIMIT) {
            None => out.say(format_args!("example {name}: ok, {seconds:.1} s"))?,
            Some(why) => {
                out.say(format_args!("example {name}: FAILED: {why}"))?;
                failed.push(name);
            }
        }
    }
    if failed.is_empty() { Ok(()) } else { Err(failed.join(", ").into()) }
}

/// Builds the examples with the features of the whole workspace, as the tests
/// did, and returns their programs by name.
fn build(out: &Out) -> Result<BTreeMap<String, PathBuf>> {
    let metadata = workspace::members()?;
    let crates = workspace::crates(&metadata);
    let build = cmd!(
        out.sh,
        "cargo build --workspace --exclude benches --examples --all-features
            --message-format=json-render-diagnostics"
    );
    let mut programs = BTreeMap::new();
    for message in Message::parse_stream(out.capture(build)?.as_slice()) {
        let Message::CompilerArtifact(artifact) = message? else { continue };
        let package = crates.iter().find(|package| package.id == artifact.package_id);
        if let (Some(package), Some(program)) = (package, artifact.executable)
            && artifact.target.kind.contains(&TargetKind::Example)
        {
            let name = format!("{}::{}", package.name, artifact.target.name);
            programs.insert(name, program.into_std_path_buf());
        }
    }
    Ok(programs)
}
