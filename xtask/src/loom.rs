//! `cargo xtask loom [crate]`: the models, each in a process of its own, because
//! a deadlock that loom finds aborts the process it finds it in.

use crate::{Result, out::Out, process, workspace};
use cargo_metadata::Message;
use std::{
    env,
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::{
        Mutex,
        mpsc::{self, Sender},
    },
    thread,
    time::{Duration, Instant},
};
use xshell::cmd;

/// A model that needs longer belongs under a bound, with the reason beside it.
const LIMIT: Duration = Duration::from_secs(120);
/// How many models run at once.
const AT_ONCE: usize = 2;

#[derive(Default, clap::Args)]
pub(crate) struct Args {
    /// The crate: `plimsoll-wait`, or `wait` for short
    #[arg(value_name = "CRATE")]
    only: Option<String>,
}

/// A crate's tests, built for loom.
struct Build {
    package: String,
    program: PathBuf,
    folder: PathBuf,
}

/// One model and where to find it.
struct Model<'a> {
    name: String,
    of: &'a Build,
}

pub(crate) fn run(out: &Out, args: &Args) -> Result {
    let metadata = workspace::members()?;
    // Read from the tree, so that a new crate cannot be left off.
    let mut with_models: Vec<(&str, &Path)> = workspace::crates(&metadata)
        .into_iter()
        .map(|package| (package.name.as_str(), workspace::folder(package)))
        .filter(|(_, folder)| workspace::has_models(folder))
        .collect();
    if let Some(only) = &args.only {
        with_models.retain(|(name, _)| is_named(name, only));
        if with_models.is_empty() {
            return Err(format!("no crate `{only}` with a models.rs under crates/").into());
        }
    }
    if with_models.is_empty() {
        return Ok(());
    }
    let target = metadata.target_directory.join("loom").into_std_path_buf();
    let builds = build(out, &with_models, &target)?;
    let mut models = Vec::new();
    for build in &builds {
        let program = &build.program;
        let listed = out.capture(cmd!(out.sh, "{program} --list --format terse"));
        let names = models_in(&String::from_utf8_lossy(&listed?));
        if names.is_empty() {
            return Err(format!("{}: models.rs holds no test", build.package).into());
        }
        models.extend(names.into_iter().map(|name| Model { name, of: build }));
    }
    let logs = workspace::logs(&metadata)?.join("loom");
    fs::create_dir_all(&logs)?;
    search(out, models, &logs)
}

fn is_named(package: &str, asked: &str) -> bool {
    package == asked || package.strip_prefix("plimsoll-") == Some(asked)
}

/// Builds all crates' models in one go, in a target folder of their own: a cfg
/// that comes and goes in one folder would rebuild everything each time.
fn build(out: &Out, crates: &[(&str, &Path)], target: &Path) -> Result<Vec<Build>> {
    let packages = crates.iter().flat_map(|(name, _)| ["-p", name]);
    // Added to the caller's flags. The assertions are there to be reached.
    let flags = env::var("RUSTFLAGS").unwrap_or_default();
    let flags = format!("{flags} --cfg plimsoll_loom -C debug-assertions");
    let command = cmd!(
        out.sh,
        "cargo test --no-run --lib --profile loom {packages...}
            --message-format=json-render-diagnostics"
    );
    let command = command.env("RUSTFLAGS", flags.trim()).env("CARGO_TARGET_DIR", target);
    let mut builds = Vec::new();
    for message in Message::parse_stream(out.capture(command)?.as_slice()) {
        let Message::CompilerArtifact(artifact) = message? else { continue };
        let Some(program) = artifact.executable.filter(|_| artifact.profile.test) else { continue };
        let folder = artifact.manifest_path.parent().map(|folder| folder.as_std_path());
        if let Some((name, folder)) = crates.iter().find(|(_, here)| Some(*here) == folder) {
            builds.push(Build {
                package: (*name).to_owned(),
                program: program.into_std_path_buf(),
                folder: folder.to_path_buf(),
            });
        }
    }
    builds.sort_by(|a, b| a.package.cmp(&b.package));
    Ok(builds)
}

/// The models in a test program's list of its tests.
fn models_in(list: &str) -> Vec<String> {
    list.lines()
        .filter_map(|line| line.strip_suffix(": test"))
        .filter(|name| name.rsplit("::").skip(1).any(|module| module == "models"))
        .map(str::to_owned)
        .collect()
}

/// Runs the models, some at once; a line for each as it ends.
fn search(out: &Out, models: Vec<Model<'_>>, logs: &Path) -> Result {
    let queue = Mutex::new(models.into_iter());
    let (sender, reports) = mpsc::channel();
    let worker = |sender: Sender<_>| {
        // A guard in a `while let` would be held while the model runs.
        let next = || queue.lock().ok()?.next();
        while let Some(model) = next() {
            let _ = sender.send(one(&model, logs)); // nobody listens: out of disk, below
        }
    };
    let (mut green, mut red) = (0, 0);
    thread::scope(|scope| -> Result {
        for sender in vec![sender; AT_ONCE] {
            scope.spawn(|| worker(sender));
        }
        for report in reports {
            *if report.is_ok() { &mut green } else { &mut red } += 1;
            let (Ok(line) | Err(line)) = report;
            out.say(line)?;
        }
        Ok(())
    })?;
    out.say(format_args!("{green} models searched, {red} red"))?;
    if red == 0 { Ok(()) } else { Err(format!("{red} models are red").into()) }
}

/// Runs one model and says how it went; if badly, with the start of its output:
/// the first panic is the model's, what follows is loom falling apart.
fn one(model: &Model<'_>, logs: &Path) -> std::result::Result<String, String> {
    let name = format!("{}: {}", model.of.package, model.name);
    let log = logs.join(format!("{}-{}.log", model.of.package, model.name.replace("::", "-")));
    let started = Instant::now();
    let ended = spawn(model, &log).map_err(|error| format!("{name}: RED: {error}"))?;
    let seconds = started.elapsed().as_secs_f64();
    let printed = fs::read(&log).unwrap_or_default();
    let printed = String::from_utf8_lossy(&printed);
    if let Some(why) = process::failure(ended, LIMIT) {
        let said = first_lines(&printed, 40);
        return Err(format!("{name}: RED: {why}{said}\n    all of it: {}", log.display()));
    }
    let count = iterations(&printed).map_or(String::new(), |n| format!(", {n} iterations"));
    Ok(format!("{name}: ok, {seconds:.1} s{count}"))
}

fn spawn(model: &Model<'_>, log: &Path) -> Result<Option<std::process::ExitStatus>> {
    let log = File::create(log)?;
    let mut command = Command::new(&model.of.program);
    command.args(["--exact", &model.name, "--nocapture"]).current_dir(&model.of.folder);
    // Bounds from the environment would overrule the ones a model states.
    for (key, _) in env::vars_os().filter(|(k, _)| k.to_string_lossy().starts_with("LOOM_")) {
        command.env_remove(key);
    }
    // Backtraces of loom's own threads hide the message above them.
    command.env("RUST_BACKTRACE", "0");
    // Makes `loom::model` say how many executions it searched.
    command.env("LOOM_LOG", "loom::model=info");
    command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
    Ok(process::wait_at_most(&mut command.spawn()?, LIMIT)?)
}

/// The last `N iterations` that a model printed.
fn iterations(printed: &str) -> Option<u64> {
    printed.lines().rev().find_map(|line| {
        let (before, _) = line.split_once(" iterations")?;
        before.split_whitespace().last()?.parse().ok()
    })
}

fn first_lines(text: &str, count: usize) -> String {
    text.lines().filter(|line| !line.is_empty()).take(count).flat_map(|l| ["\n    ", l]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_tests_under_models_are_models() {
        let list = "models::a: test\nclock::models::b: test\nmodels::c: benchmark\n\n1 test\n\
                    my_models::d: test\nclock::tests::models: test\n";
        assert_eq!(models_in(list), ["models::a", "clock::models::b"]);
    }

    #[test]
    fn the_number_of_iterations_is_the_last_one_printed() {
        let printed =
            "x iterations\n INFO Completed in 12 iterations\nCompleted in 1600 iterations\n";
        assert_eq!(iterations(printed), Some(1600));
        assert_eq!(iterations("test result: ok"), None);
    }

    #[test]
    fn a_crate_answers_to_its_short_name_and_to_no_other() {
        assert!(is_named("plimsoll-wait", "wait") && is_named("plimsoll", "plimsoll"));
        assert!(!is_named("plimsoll-wait", "ait") && !is_named("plimsoll-wait", ""));
    }
}
