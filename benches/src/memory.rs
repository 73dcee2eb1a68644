//! How much memory a table takes, as the operating system counts it.
//!
//! Resident memory before and after filling, each subject in a process of its
//! own: what one leaves behind in the allocator does not help the next. Unlike
//! a counting allocator this needs no unsafe code, and it sees what the machine
//! has to hold: the allocator's slack too, and no page that was never touched.

use crate::{sequence, stats::Summary};
use anyhow::{Context, Result, ensure};
use std::{env, fs, hint::black_box, process::Command};

/// A field of a file of /proc that is counted in kB, in bytes.
fn field(file: &str, name: &str) -> Option<u64> {
    let text = fs::read_to_string(file).ok()?;
    let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
    let kib: u64 = value.trim().strip_suffix(" kB")?.parse().ok()?;
    Some(kib * 1024)
}

/// Resident memory of this process in bytes. None where the system does not tell.
pub(crate) fn resident() -> Option<u64> {
    field("/proc/self/status", "VmRSS")
}

/// Memory that processes could still have, in bytes.
pub(crate) fn available() -> Option<u64> {
    field("/proc/meminfo", "MemAvailable")
}

/// Whether this system tells how much memory a process has.
pub(crate) fn tells_resident() -> bool {
    resident().is_some()
}

/// Bytes per key of what `make` makes, once `meet` has shown it every key.
pub(crate) fn per_key<T>(
    keys: usize,
    make: impl FnOnce() -> T,
    mut meet: impl FnMut(&T, u64),
) -> Result<f64> {
    let before = resident().context("this system does not tell a process's resident memory")?;
    let table = make();
    for rank in 0..keys as u64 {
        meet(&table, sequence::key(rank));
    }
    let after = resident().context("resident memory could not be read again")?;
    black_box(&table);
    Ok(after.saturating_sub(before) as f64 / keys as f64)
}

/// Measures `subject` of `suite` in child processes: the middle of three.
pub(crate) fn in_children(suite: &str, subject: &str) -> Result<Summary> {
    let mut samples = Vec::new();
    for _ in 0..3 {
        let mut child = Command::new(env::current_exe()?);
        let output = child.arg("--child").arg(format!("{suite}:{subject}")).output()?;
        let failure = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "{suite}:{subject} failed in its process: {failure}");
        samples.push(String::from_utf8(output.stdout)?.trim().parse()?);
    }
    Summary::of(&mut samples).context("no samples")
}
