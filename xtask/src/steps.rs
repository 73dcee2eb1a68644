//! Steps in a row: one line each, output kept, and no stop at the first failure.

use crate::{Result, out::Out, workspace};
use std::{
    fs,
    io::{self, Write},
    path::Path,
    process::ExitCode,
    time::Instant,
};

/// A named part of `test` or `ci`.
pub(crate) struct Step {
    pub(crate) name: &'static str,
    pub(crate) what: &'static str,
    pub(crate) run: fn(&Out) -> Result,
}

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Run this step and no other (may be repeated)
    #[arg(long, value_name = "STEP")]
    only: Vec<String>,
    /// Leave this step out (may be repeated)
    #[arg(long, value_name = "STEP")]
    skip: Vec<String>,
    /// List the steps and run none
    #[arg(long)]
    list: bool,
}

/// Runs the steps that `args` ask for. Failure if any failed; the last line says
/// how many.
pub(crate) fn run(command: &str, steps: &[Step], args: &Args) -> Result<ExitCode> {
    let names: Vec<_> = steps.iter().map(|step| step.name).collect();
    let chosen = choose(&names, &args.only, &args.skip)?;
    let steps = || steps.iter().filter(|step| chosen.contains(&step.name));
    if args.list {
        for Step { name, what, .. } in steps() {
            println!("{name:<17} {what}");
        }
        return Ok(ExitCode::SUCCESS);
    }
    let logs = workspace::logs(&workspace::members()?)?;
    let started = Instant::now();
    let mut failed = Vec::new();
    for step in steps() {
        if !one(step, &logs)? {
            failed.push(step.name);
        }
    }
    println!("\ntook {:.0} s, logs in {}", started.elapsed().as_secs_f64(), logs.display());
    for name in &failed {
        println!("FAILED: {name}. To run it again: cargo xtask {command} --only {name}");
    }
    println!("{} passed, {} failed", chosen.len() - failed.len(), failed.len());
    Ok(if failed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Runs one step; true if it went well.
fn one(step: &Step, logs: &Path) -> Result<bool> {
    print!("{:<17} ", step.name);
    io::stdout().flush()?;
    let path = logs.join(step.name).with_extension("log");
    let out = Out::log(&path)?;
    let started = Instant::now();
    let result = (step.run)(&out);
    let verdict = if result.is_ok() { "ok" } else { "FAILED" };
    println!("{verdict:<6} {:>6.1} s", started.elapsed().as_secs_f64());
    if let Err(error) = &result {
        out.say(format_args!("{}: {error}", step.name))?;
        show(&path)?;
    }
    Ok(result.is_ok())
}

/// Prints the end of a log, where the errors are.
fn show(path: &Path) -> Result {
    const LINES: usize = 250;
    let bytes = fs::read(path)?;
    let text = String::from_utf8_lossy(&bytes);
    let hidden = text.lines().count().saturating_sub(LINES);
    if hidden > 0 {
        println!("    ({hidden} lines before these, in {})", path.display());
    }
    for line in text.lines().skip(hidden) {
        println!("    {line}");
    }
    Ok(())
}

/// The names to run, in the steps' own order. A name nobody has is an error:
/// a misspelt `--only` would otherwise pass having run nothing.
fn choose<'a>(names: &[&'a str], only: &[String], skip: &[String]) -> Result<Vec<&'a str>> {
    if let Some(unknown) = only.iter().chain(skip).find(|name| !names.contains(&name.as_str())) {
        return Err(format!("no step `{unknown}`; there are {}", names.join(", ")).into());
    }
    let wanted = |name: &str| {
        (only.is_empty() || only.iter().any(|o| o == name)) && !skip.iter().any(|s| s == name)
    };
    Ok(names.iter().copied().filter(|name| wanted(name)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAMES: [&str; 3] = ["fmt", "clippy", "loom"];

    fn owned(names: &[&str]) -> Vec<String> {
        names.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn only_and_skip_choose_in_the_steps_order() {
        assert_eq!(choose(&NAMES, &[], &[]).unwrap(), NAMES);
        assert_eq!(choose(&NAMES, &owned(&["loom", "fmt"]), &[]).unwrap(), ["fmt", "loom"]);
        assert_eq!(choose(&NAMES, &[], &owned(&["clippy"])).unwrap(), ["fmt", "loom"]);
    }

    #[test]
    fn a_misspelt_step_is_an_error() {
        assert!(choose(&NAMES, &owned(&["lom"]), &[]).unwrap_err().to_string().contains("`lom`"));
        assert!(choose(&NAMES, &[], &owned(&["lom"])).is_err());
    }
}
