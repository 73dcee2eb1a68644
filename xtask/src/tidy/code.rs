//! What library code may say: atomics and locks in one file, no shortcuts, no
//! unsafe, and nothing at all in the umbrella.

use super::{
    Finding,
    cfg::{Shipped, shipped},
    rust_files,
    source::{Token, tokens},
};
use crate::Result;
use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

/// What any file may name of `std::sync`: nothing that loom has to see.
///
/// A `OnceLock` is written once and only read after that: no order of threads
/// sees two values, nobody holds it while deciding, and loom has none of its own
/// to put in its place.
const FREE: [&str; 6] = ["Arc", "OnceLock", "PoisonError", "LockResult", "TryLockError", "Weak"];

pub(super) fn check(package: &str, folder: &Path) -> Result<Vec<Finding>> {
    let mut findings = Vec::new();
    let src = folder.join("src");
    let mut files = Vec::new();
    for file in rust_files(&src)? {
        let found = shipped(&tokens(&fs::read_to_string(&file)?));
        files.push((file, found));
    }
    let tests = test_files(&files);
    for (file, Shipped { tokens, .. }) in &files {
        if tests.iter().any(|test| file.starts_with(test) || *file == test.with_extension("rs")) {
            continue;
        }
        findings.extend(shortcuts(file, tokens));
        if *file != src.join("sync.rs") {
            findings.extend(primitives(file, tokens));
        }
        if *file == src.join("lib.rs") {
            findings.extend(forbids_unsafe(file, tokens));
            if package == "plimsoll" {
                findings.extend(only_re_exports(file, tokens));
            }
        }
    }
    Ok(findings)
}

/// The modules declared for tests only, as paths without `.rs`.
fn test_files(files: &[(PathBuf, Shipped)]) -> BTreeSet<PathBuf> {
    let modules = files.iter().flat_map(|(file, shipped)| {
        let stem = file.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
        let folder = match stem {
            "lib" | "main" | "mod" => file.parent().map(Path::to_path_buf),
            _ => Some(file.with_extension("")),
        };
        shipped.test_modules.iter().filter_map(move |name| Some(folder.as_ref()?.join(name)))
    });
    modules.collect()
}

/// Atomics and locks are named in sync.rs alone, where loom's take their place.
fn primitives(file: &Path, tokens: &[Token]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (path, line) in paths(tokens) {
        let parts: Vec<_> = path.iter().map(String::as_str).collect();
        let named = match parts.as_slice() {
            ["loom", ..] => true,
            ["std" | "core" | "alloc", "sync"] | ["plimsoll_core", "sync", ..] => true,
            ["std" | "core" | "alloc", "sync", what, ..] => !FREE.contains(what),
            _ => false,
        };
        if named {
            let message = format!(
                "`{}` is named outside src/sync.rs: import it from `crate::sync`, \
                 so that models run this code",
                parts.join("::")
            );
            findings.push(Finding::error(file, line, message));
        }
    }
    findings
}

/// Every path that starts at `std`, `core`, `alloc`, `loom` or `plimsoll_core`, with `{…}` spelt
/// out: `std::{fmt, sync::{Arc, Mutex}}` is three paths.
fn paths(tokens: &[Token]) -> Vec<(Vec<String>, usize)> {
    let mut found = Vec::new();
    for at in 0..tokens.len() {
        let root =
            ["std", "core", "alloc", "loom", "plimsoll_core"].contains(&tokens[at].text.as_str());
        let inside = at > 1 && tokens[at - 1].is("::") && tokens[at - 2].is_word();
        if root && !inside && tokens.get(at + 1).is_some_and(|next| next.is("::")) {
            spell_out(tokens, at, &mut Vec::new(), &mut found);
        }
    }
    found
}

/// Reads one branch of a path from `at`, and returns where it ends.
fn spell_out(
    tokens: &[Token],
    mut at: usize,
    so_far: &mut Vec<String>,
    found: &mut Vec<(Vec<String>, usize)>,
) -> usize {
    let depth = so_far.len();
    let line = tokens.get(at).map_or(0, |token| token.line);
    let mut leaf = true;
    while let Some(token) = tokens.get(at) {
        if token.is("{") {
            leaf = false;
            at += 1;
            while at < tokens.len() && !tokens[at].is("}") {
                at = spell_out(tokens, at, so_far, found);
                while at < tokens.len() && !tokens[at].is(",") && !tokens[at].is("}") {
                    at += 1; // `as name`
                }
                at += usize::from(at < tokens.len() && tokens[at].is(","));
            }
            at += 1;
            break;
        }
        if !token.is_word() && !token.is("*") {
            break; // a turbofish, or no path at all
        }
        if !token.is("self") && !token.is("*") {
            so_far.push(token.text.clone());
        }
        at += 1;
        if !tokens.get(at).is_some_and(|next| next.is("::")) {
            break;
        }
        at += 1;
    }
    if leaf {
        found.push((so_far.clone(), line));
    }
    so_far.truncate(depth);
    at
}

/// No `.unwrap()`, `todo!` or `unimplemented!` in what ships.
fn shortcuts(file: &Path, tokens: &[Token]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for window in tokens.windows(4) {
        let is = |at: usize, text| window[at].is(text);
        if is(0, ".") && is(1, "unwrap") && is(2, "(") && is(3, ")") {
            let message = "`.unwrap()` in library code: return an error, or `expect` with the \
                           reason why it cannot happen";
            findings.push(Finding::error(file, window[1].line, message));
        }
    }
    for window in tokens.windows(2) {
        if ["todo", "unimplemented"].contains(&&*window[0].text) && window[1].is("!") {
            let message = format!("`{}!` in library code: write it", window[0].text);
            findings.push(Finding::error(file, window[0].line, message));
        }
    }
    findings
}

fn forbids_unsafe(file: &Path, tokens: &[Token]) -> Option<Finding> {
    let wanted = ["#", "!", "[", "forbid", "(", "unsafe_code", ")", "]"];
    let says = tokens.windows(wanted.len()).any(|w| w.iter().zip(wanted).all(|(t, w)| t.is(w)));
    (!says).then(|| Finding::error(file, 1, "write `#![forbid(unsafe_code)]` below the docs"))
}

/// The umbrella has attributes and `pub use`, and no code.
fn only_re_exports(file: &Path, tokens: &[Token]) -> Option<Finding> {
    let mut depth = 0_usize;
    let mut in_use = false;
    for (at, token) in tokens.iter().enumerate() {
        match token.text.as_str() {
            _ if in_use => in_use = !token.is(";"),
            "#" | "!" if depth == 0 => {}
            "[" => depth += 1,
            "]" => depth = depth.saturating_sub(1),
            _ if depth > 0 => {}
            "pub" if tokens.get(at + 1).is_some_and(|next| next.is("use")) => in_use = true,
            other => {
                let message = format!("`{other}`: the umbrella only says `pub use`; move the code");
                return Some(Finding::error(file, token.line, message));
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "src/gate.rs";

    fn lines(findings: impl IntoIterator<Item = Finding>) -> Vec<usize> {
        findings.into_iter().map(|finding| finding.line).collect()
    }

    #[test]
    fn a_lock_or_an_atomic_is_found_however_it_is_imported() {
        let check = |source: &str| lines(primitives(Path::new(FILE), &tokens(source)));
        for source in [
            "use std::sync::Mutex;",
            "use plimsoll_core::{Gate, sync::Mutex};",
            "use std::sync::atomic::{AtomicU64, Ordering::*};",
            "use std::{fmt, sync::{Arc, Mutex as Lock}};",
            "use std::sync;",
            "use std::sync::{self};",
            "use std::sync::*;",
            "static S: ::core::sync::atomic::AtomicBool = x;",
            "let lock = std::sync::RwLock::<u8>::new(0);",
            "use loom::thread;",
        ] {
            assert_eq!(check(source).first(), Some(&1), "{source}");
        }
        assert_eq!(check("\nuse std::{\n fmt,\n sync::{Arc, Condvar},\n};"), [4]);
    }

    #[test]
    fn an_arc_or_our_own_sync_is_nobody_s_business() {
        for source in [
            "use std::{fmt, sync::{Arc, OnceLock, Weak}, time::Duration};",
            "use crate::sync::{AtomicU64, Mutex};",
            "use tokio::sync::Notify;",
            "/// `std::sync::Mutex`\nfn f() -> &'static str { \"std::sync::Mutex\" }",
            "use my::std::sync::Mutex;",
        ] {
            assert_eq!(primitives(Path::new(FILE), &tokens(source)), [], "{source}");
        }
    }

    #[test]
    fn shortcuts_are_found_and_their_likes_are_not() {
        let check = |source: &str| lines(shortcuts(Path::new(FILE), &tokens(source)));
        assert_eq!(check("a\n    .unwrap();\ntodo!();\nunimplemented!(\"x\")"), [2, 3, 4]);
        assert_eq!(
            check("a.unwrap_or(1); b.expect(\"never\"); // c.unwrap() todo!()"),
            [0_usize; 0]
        );
    }

    #[test]
    fn the_files_of_test_modules_are_tests() {
        let files = [
            ("src/lib.rs", "#[cfg(test)] mod models; mod gate;"),
            ("src/gate.rs", "#[cfg(test)] mod tests;"),
            ("src/combine/mod.rs", "#[cfg(test)] mod tests;"),
        ];
        let files = files.map(|(file, source)| (PathBuf::from(file), shipped(&tokens(source))));
        let expected = ["src/combine/tests", "src/gate/tests", "src/models"].map(PathBuf::from);
        assert_eq!(test_files(&files), BTreeSet::from(expected));
    }

    #[test]
    fn a_crate_that_does_not_forbid_unsafe_is_found() {
        let check = |source: &str| forbids_unsafe(Path::new(FILE), &tokens(source));
        assert!(check("#![deny(unsafe_code)]").is_some());
        assert!(check("// #![forbid(unsafe_code)]").is_some());
        assert_eq!(check("//! Docs.\n#![forbid(unsafe_code)]\nmod a;"), None);
    }

    #[test]
    fn code_in_the_umbrella_is_found() {
        let check = |source: &str| only_re_exports(Path::new(FILE), &tokens(source));
        let good = "#![doc = include_str!(\"x\")]\n#[cfg(feature = \"a\")]\n\
                    pub use plimsoll_a as a;\npub use core::{B, c::D};";
        assert_eq!(check(good), None);
        for bad in ["pub fn f() {}", "use core::A;", "pub use a::b; mod c;", "pub mod d { }"] {
            assert!(check(bad).is_some(), "{bad}");
        }
    }
}
