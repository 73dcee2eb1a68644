//! Where a figure comes from: machine, compiler, versions.

use anyhow::{Context, Result};
use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

/// The root of the workspace: the folder above this package.
pub(crate) fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here).to_path_buf()
}

/// Where results go, and what is written while measuring. Made if need be.
pub(crate) fn output() -> Result<PathBuf> {
    let target = env::var_os("CARGO_TARGET_DIR").map_or_else(|| "target".into(), PathBuf::from);
    let folder = root().join(target).join("bench");
    fs::create_dir_all(&folder)
        .with_context(|| format!("could not create {}", folder.display()))?;
    Ok(folder)
}

/// One line: the CPU, how many of them, the system and the compiler.
pub(crate) fn line() -> String {
    let cpuinfo = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let field = |name: &str| {
        let line = cpuinfo.lines().find(|line| line.starts_with(name))?;
        Some(line.split_once(':')?.1.trim().to_owned())
    };
    let cpu = field("model name").unwrap_or_else(|| "unknown CPU".into());
    let virtual_machine =
        field("flags").is_some_and(|flags| flags.split(' ').any(|flag| flag == "hypervisor"));
    let cpus = std::thread::available_parallelism().map_or(1, usize::from);
    let rustc = Command::new("rustc").arg("--version").output().ok();
    let rustc = rustc
        .and_then(|output| String::from_utf8(output.stdout).ok())
        .unwrap_or_else(|| "unknown rustc".into());
    format!(
        "{cpu}, {cpus} CPUs{}, {} {}, {}, profile bench (thin LTO, one codegen unit)",
        if virtual_machine { ", virtual machine" } else { "" },
        env::consts::OS,
        env::consts::ARCH,
        rustc.trim()
    )
}

/// CPU time of the whole machine so far, in ticks of the system: all of it, and
/// the part that the hypervisor gave to other machines. Linux only.
pub(crate) struct CpuTime {
    all: u64,
    stolen: u64,
}

impl CpuTime {
    pub(crate) fn now() -> Option<Self> {
        Self::read(&fs::read_to_string("/proc/stat").ok()?)
    }

    /// The first line: `cpu user nice system idle iowait irq softirq steal …`,
    /// and guests' time after that, which user and nice count already.
    fn read(stat: &str) -> Option<Self> {
        let fields = stat.lines().next()?.strip_prefix("cpu ")?.split_whitespace().take(8);
        let fields: Vec<u64> = fields.map(|field| field.parse().ok()).collect::<Option<_>>()?;
        Some(Self { all: fields.iter().sum(), stolen: *fields.get(7)? })
    }

    /// The share stolen since `earlier`, in percent. A thread that the
    /// hypervisor stops does not know: its figures are too high, and those of
    /// the thread that it competes with too low.
    pub(crate) fn stolen_since(&self, earlier: &Self) -> f64 {
        let all = self.all.saturating_sub(earlier.all).max(1);
        self.stolen.saturating_sub(earlier.stolen) as f64 * 100.0 / all as f64
    }
}

/// `name version` of these packages, as Cargo.lock has them.
pub(crate) fn versions(packages: &[&str]) -> Result<Vec<String>> {
    let lock = root().join("Cargo.lock");
    let lock =
        fs::read_to_string(&lock).with_context(|| format!("could not read {}", lock.display()))?;
    Ok(packages.iter().flat_map(|name| locked(&lock, name)).collect())
}

/// Every version of one package in the text of a lock file.
fn locked(lock: &str, name: &str) -> Vec<String> {
    let heading = format!("name = \"{name}\"");
    let mut lines = lock.lines();
    let mut found = Vec::new();
    while lines.any(|line| line == heading) {
        let version = lines.next().and_then(|line| line.strip_prefix("version = "));
        found.extend(version.map(|version| format!("{name} {}", version.trim_matches('"'))));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stolen_time_is_a_share_of_all_time_since_then() {
        let earlier = CpuTime::read("cpu  50 0 0 50 0 0 0 10 7 7\ncpu0 1").unwrap();
        let later = CpuTime::read("cpu  90 0 10 90 0 0 0 20 9 9\n").unwrap();
        assert_eq!(later.stolen_since(&earlier), 10.0);
        assert!(CpuTime::read("cpu 1 2").is_none());
    }

    #[test]
    fn a_package_that_is_there_twice_is_named_with_both_versions() {
        let lock = "[[package]]\nname = \"a\"\nversion = \"1.0.0\"\n\n[[package]]\nname = \
                    \"ab\"\nversion = \"9.0.0\"\n\n[[package]]\nname = \"a\"\nversion = \"2.1.0\"\n";
        assert_eq!(locked(lock, "a"), ["a 1.0.0", "a 2.1.0"]);
    }
}
