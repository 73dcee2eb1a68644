//! `cargo xtask tidy`: what compilers do not check.
//!
//! Each check is a plain function from text to findings, tested with an input
//! that it must catch.

mod cfg;
mod code;
mod deps;
mod layout;
mod readme;
mod source;
mod text;

use crate::{Result, out::Out, workspace};
use std::{
    fmt, fs,
    path::{Path, PathBuf},
};

/// Something that is not as it should be, and where.
#[derive(Debug, PartialEq)]
struct Finding {
    file: PathBuf,
    line: usize,
    warning: bool,
    /// What is wrong and what would be right.
    message: String,
}

impl Finding {
    fn error(file: impl Into<PathBuf>, line: usize, message: impl Into<String>) -> Self {
        Self { file: file.into(), line, warning: false, message: message.into() }
    }

    fn warning(file: impl Into<PathBuf>, line: usize, message: impl Into<String>) -> Self {
        Self { warning: true, ..Self::error(file, line, message) }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let level = if self.warning { "warning" } else { "error" };
        write!(f, "{}:{}: {level}: {}", self.file.display(), self.line, self.message)
    }
}

/// Runs every check and prints what was found. An error if any is one.
pub(crate) fn run(out: &Out) -> Result {
    let root = workspace::root();
    let graph = workspace::graph()?;
    let crates = workspace::crates(&graph);
    let mut findings = deps::rules(&crates, &root);
    findings.extend(deps::msrv(&graph, &crates, &root));
    for package in &crates {
        let folder = workspace::folder(package);
        findings.extend(layout::check(&package.name, folder)?);
        findings.extend(readme::check(folder)?);
        findings.extend(code::check(&package.name, folder)?);
    }
    findings.extend(text::check(out, &root)?);

    findings.sort_by(|a, b| (a.warning, &a.file, a.line).cmp(&(b.warning, &b.file, b.line)));
    for finding in &mut findings {
        if let Ok(short) = finding.file.strip_prefix(&root) {
            finding.file = short.to_path_buf();
        }
        out.say(&finding)?;
    }
    let errors = findings.iter().filter(|finding| !finding.warning).count();
    let summary = format!("{errors} errors, {} warnings", findings.len() - errors);
    out.say(format_args!("tidy: {} crates, {summary}", crates.len()))?;
    if errors == 0 { Ok(()) } else { Err(summary.into()) }
}

/// The Rust files under a folder, sorted. None if the folder is not there.
fn rust_files(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    if !folder.is_dir() {
        return Ok(found);
    }
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            found.extend(rust_files(&path)?);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}
