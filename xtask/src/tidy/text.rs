//! All text files: how long the source is, and whose machine it names.

use super::Finding;
use crate::{Result, out::Out};
use std::{
    fs,
    path::{Path, PathBuf},
};
use xshell::cmd;

/// Put together here, so that this file does not hold them itself.
const PLACES: [&str; 5] = [
    concat!("/wo", "rk/"),
    concat!("/ro", "ot/"),
    concat!("/ho", "me/"),
    concat!("/tmp/", "target"),
    concat!("../", "shared"),
];

pub(super) fn check(out: &Out, root: &Path) -> Result<Vec<Finding>> {
    let mut findings = Vec::new();
    for path in files(out, root)? {
        // What is no text, or was deleted and not yet committed, says nothing.
        let Ok(text) = fs::read_to_string(root.join(&path)) else { continue };
        findings.extend(places(&path, &text));
        if path.extension().is_some_and(|extension| extension == "rs") {
            findings.extend(length(&path, text.lines().count()));
        }
    }
    Ok(findings)
}

/// The files that git has or would take; without git, all but what is built.
fn files(out: &Out, root: &Path) -> Result<Vec<PathBuf>> {
    let list = cmd!(out.sh, "git ls-files --cached --others --exclude-standard");
    match list.quiet().ignore_stderr().read() {
        Ok(list) => Ok(list.lines().map(PathBuf::from).collect()),
        Err(_) => walk(root, root),
    }
}

fn walk(root: &Path, folder: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let built = path.file_name().is_some_and(|name| name == "target" || name == ".git");
        if path.is_dir() && !built {
            found.extend(walk(root, &path)?);
        } else if path.is_file() {
            found.push(path.strip_prefix(root)?.to_path_buf());
        }
    }
    Ok(found)
}

/// Nothing names a place on somebody's machine. `x/root/` is no such place.
fn places(file: &Path, text: &str) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let starts = |at: usize| {
            let before = line[..at].chars().next_back();
            before.is_none_or(|c| !c.is_alphanumeric() && !"._-}/)".contains(c))
        };
        let named =
            PLACES.iter().find(|place| line.match_indices(*place).any(|(at, _)| starts(at)));
        if let Some(place) = named {
            let message = format!("`{place}` is a place on one machine: say it relative to ours");
            findings.push(Finding::error(file, index + 1, message));
        }
    }
    findings
}

fn length(file: &Path, lines: usize) -> Option<Finding> {
    let message = format!("{lines} lines: split it where its subject changes (400 is long)");
    match lines {
        0..=400 => None,
        401..=800 => Some(Finding::warning(file, 401, message)),
        _ => Some(Finding::error(file, 801, message)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_on_one_machine_is_found() {
        for place in PLACES {
            let text = format!("fine\nsee `{place}x`");
            let found = places(Path::new("a.md"), &text);
            assert_eq!(found.iter().map(|f| f.line).collect::<Vec<_>>(), [2], "{place}");
        }
    }

    #[test]
    fn part_of_another_path_is_not_a_place() {
        let text = concat!("github.com/a", "/wo", "rk/ and ${DIR}", "/ro", "ot/x");
        assert_eq!(places(Path::new("a.md"), text), []);
    }

    #[test]
    fn a_long_file_is_a_warning_and_a_very_long_one_an_error() {
        let level = |lines| length(Path::new("a.rs"), lines).map(|finding| finding.warning);
        assert_eq!(level(400), None);
        assert_eq!((level(401), level(800), level(801)), (Some(true), Some(true), Some(false)));
    }
}
