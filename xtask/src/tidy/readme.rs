//! READMEs whose Rust is compiled: as doc tests of the crate they introduce.

use super::Finding;
use crate::Result;
use std::{fs, path::Path};

pub(super) fn check(folder: &Path) -> Result<Vec<Finding>> {
    let (readme, lib) = (folder.join("README.md"), folder.join("src/lib.rs"));
    if !readme.is_file() {
        return Ok(Vec::new()); // another check says so
    }
    let mut findings = blocks(&readme, &fs::read_to_string(&readme)?);
    findings.extend(includes(&lib, &fs::read_to_string(&lib).unwrap_or_default()));
    Ok(findings)
}

fn includes(lib: &Path, source: &str) -> Option<Finding> {
    let source = super::source::tokens(source);
    let included = source.windows(4).any(|window| {
        window[0].is("include_str") && window[3].text.trim_matches('"') == "../README.md"
    });
    let right = "include the README, so that its examples are compiled: \
                 `#![doc = include_str!(\"../README.md\")]`, or the same without `!` on a \
                 `#[cfg(doctest)]` struct";
    (!included).then(|| Finding::error(lib, 1, right))
}

/// Every fenced block that is Rust, or looks like it, must be one that a doc
/// test compiles.
fn blocks(file: &Path, readme: &str) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut open: Option<(&str, &str, usize, bool)> = None; // fence, tags, line, looks like Rust
    for (index, line) in readme.lines().enumerate() {
        let text = line.trim_start();
        let fence = text.find(|c| c != '`' && c != '~').unwrap_or(text.len());
        match &mut open {
            None if fence >= 3 => {
                open = Some((&text[..fence], text[fence..].trim(), index + 1, false));
            }
            None => {}
            Some((opened, tags, line, rust)) => {
                if text.starts_with(*opened) && text.trim_end().len() == fence {
                    if let Some(message) = not_compiled(tags, *rust) {
                        findings.push(Finding::error(file, *line, message));
                    }
                    open = None;
                } else {
                    *rust |= looks_like_rust(text);
                }
            }
        }
    }
    findings
}

/// Why a block with these tags is not compiled, though it is Rust.
fn not_compiled(tags: &str, looks_like_rust: bool) -> Option<String> {
    const COMPILED: [&str; 5] = ["rust", "no_run", "should_panic", "compile_fail", "edition2024"];
    let mut tags = tags.split([',', ' ']).filter(|tag| !tag.is_empty());
    if tags.clone().any(|tag| tag.starts_with("ignore")) {
        return Some("`ignore`: an example that is not compiled goes stale; compile it".into());
    }
    let compiled = tags.clone().all(|tag| COMPILED.contains(&tag));
    let plain = tags.next().is_some_and(|tag| ["text", "txt", "plain"].contains(&tag));
    (!compiled && plain && looks_like_rust)
        .then(|| "Rust in a `text` block is not compiled: make it ```rust".into())
}

fn looks_like_rust(line: &str) -> bool {
    let starts = ["let ", "use ", "fn ", "pub ", "async fn ", "impl ", "struct ", "#[", "match "];
    line.trim_end().ends_with([';', '{']) || starts.iter().any(|start| line.starts_with(start))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(readme: &str) -> Vec<usize> {
        blocks(Path::new("README.md"), readme).into_iter().map(|finding| finding.line).collect()
    }

    #[test]
    fn rust_that_no_doc_test_compiles_is_found() {
        assert_eq!(lines("Hi\n\n```rust,ignore\nlet a = 1;\n```\n"), [3]);
        assert_eq!(lines("```text\nlet limiter = TokenBucket::per_second(1);\n```\n"), [1]);
        assert_eq!(lines("```rust\nok\n```\n\n~~~ignore\nx\n~~~\n"), [5]);
    }

    #[test]
    fn what_is_compiled_or_no_rust_at_all_is_left_alone() {
        let good = "```rust\nlet a = 1;\n```\n```\nlet b = 2;\n```\n```rust,no_run\nloop {}\n```\n";
        let other =
            "```text\nclient  admitted\n1       20\n```\n```toml\na = 1\n```\n```sh\nls;\n```";
        assert!(lines(&format!("{good}{other}")).is_empty());
    }

    #[test]
    fn a_lib_that_leaves_its_readme_out_is_found() {
        let check = |source| includes(Path::new("lib.rs"), source);
        assert!(check("//! Docs.").is_some());
        assert!(check("// #![doc = include_str!(\"../README.md\")]").is_some());
        assert_eq!(check("#![doc = include_str!(\"../README.md\")]"), None);
        assert_eq!(check("#[doc = include_str!(\"../README.md\")]\nstruct Readme;"), None);
    }
}
