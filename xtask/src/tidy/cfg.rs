//! Leaves out what is compiled for tests only.

use super::source::Token;

/// What is left of a file without its tests, and the modules that it declares
/// for tests only (`#[cfg(test)] mod models;`), whose files are tests too.
#[derive(Debug, Default)]
pub(super) struct Shipped {
    pub(super) tokens: Vec<Token>,
    pub(super) test_modules: Vec<String>,
}

pub(super) fn shipped(tokens: &[Token]) -> Shipped {
    let mut kept = Shipped::default();
    let mut at = 0;
    while at < tokens.len() {
        let inner = tokens[at].is("#") && is(tokens, at + 1, "!");
        let open = at + 1 + usize::from(inner);
        if !(tokens[at].is("#") && is(tokens, open, "[")) {
            kept.tokens.push(tokens[at].clone());
            at += 1;
            continue;
        }
        let close = matching(tokens, open);
        let for_tests = is_for_tests(&tokens[open + 1..close.min(tokens.len())]);
        if for_tests && inner {
            return Shipped::default(); // the whole file
        }
        let end = if for_tests { item_end(tokens, close + 1) } else { close + 1 };
        let end = end.min(tokens.len());
        if for_tests {
            kept.test_modules.extend(declared_module(&tokens[close + 1..end]));
        } else {
            kept.tokens.extend_from_slice(&tokens[at..end]);
        }
        at = end;
    }
    kept
}

fn is(tokens: &[Token], at: usize, text: &str) -> bool {
    tokens.get(at).is_some_and(|token| token.is(text))
}

/// The index of the delimiter that closes the one at `open`.
fn matching(tokens: &[Token], open: usize) -> usize {
    let mut depth = 0_usize;
    for (at, token) in tokens.iter().enumerate().skip(open) {
        match token.text.as_str() {
            "(" | "[" | "{" => depth += 1,
            ")" | "]" | "}" => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth == 0 {
            return at;
        }
    }
    tokens.len()
}

/// Whether an attribute (what is inside its brackets) is `#[test]`, a path that
/// ends in `test`, or a `cfg` that no build but a test's meets.
fn is_for_tests(attribute: &[Token]) -> bool {
    match attribute.iter().position(|token| token.is("(")) {
        Some(open) if attribute[0].is("cfg") => needs_test(&attribute[open + 1..]),
        open => {
            let path = &attribute[..open.unwrap_or(attribute.len())];
            path.last().is_some_and(|last| last.is("test"))
        }
    }
}

/// Whether the first predicate in `tokens` holds only where `test` does.
fn needs_test(tokens: &[Token]) -> bool {
    let Some(name) = tokens.first() else { return false };
    if !is(tokens, 1, "(") {
        return name.is("test");
    }
    let inside = &tokens[2..matching(tokens, 1).min(tokens.len())];
    let mut parts = Vec::new();
    let mut at = 0;
    while at < inside.len() {
        parts.push(needs_test(&inside[at..]));
        while at < inside.len() && !inside[at].is(",") {
            at = if inside[at].is("(") { matching(inside, at) } else { at } + 1;
        }
        at += 1;
    }
    match name.text.as_str() {
        "all" => parts.contains(&true),
        "any" => !parts.is_empty() && !parts.contains(&false),
        _ => false, // `not(test)`, `not(…)`
    }
}

/// Where the item that starts at `from` ends (one past its last token).
fn item_end(tokens: &[Token], from: usize) -> usize {
    const ENDS_IN_SEMICOLON: [&str; 5] = ["use", "static", "type", "let", "const"];
    const ITEMS: [&str; 8] =
        ["fn", "mod", "struct", "enum", "trait", "impl", "macro_rules", "union"];
    let mut at = from;
    while is(tokens, at, "#") && is(tokens, at + 1, "[") {
        at = matching(tokens, at + 1) + 1; // further attributes
    }
    let head = tokens.get(at..(at + 8).min(tokens.len())).unwrap_or_default();
    let item = head.iter().find(|t| ITEMS.contains(&&*t.text));
    let plain = head.iter().find(|t| ENDS_IN_SEMICOLON.contains(&&*t.text));
    let braces_end_it = item.is_some() || plain.is_none();
    let comma_ends_it = item.is_none() && plain.is_none(); // a field or a match arm
    while at < tokens.len() {
        match tokens[at].text.as_str() {
            "{" => {
                at = matching(tokens, at);
                if braces_end_it {
                    return at + 1;
                }
            }
            "(" | "[" => at = matching(tokens, at),
            ";" => return at + 1,
            "," if comma_ends_it => return at + 1,
            ")" | "]" | "}" => return at, // the end of what holds the item
            _ => {}
        }
        at += 1;
    }
    at
}

/// `name`, if an item is `mod name;`.
fn declared_module(item: &[Token]) -> Option<String> {
    let at = item.iter().position(|token| token.is("mod"))?;
    is(item, at + 2, ";").then(|| item[at + 1].text.clone())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::source::tokens;

    fn left(source: &str) -> String {
        let words = shipped(&tokens(source)).tokens;
        words.iter().filter(|t| t.is_word()).map(|t| t.text.as_str()).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn items_for_tests_are_left_out_and_their_neighbours_kept() {
        assert_eq!(left("a; #[cfg(test)] mod tests { fn b() { c } } d"), "a d");
        assert_eq!(left("#[cfg(test)] use x::{y, z}; a"), "a");
        assert_eq!(left("#[cfg(test)] #[allow(q)] pub(crate) fn f<A, B>(a: A) {} a"), "a");
        assert_eq!(left("#[tokio::test(start_paused = true)] async fn f() {} a"), "a");
        assert_eq!(left("struct S { #[cfg(test)] b: u8, c: u8 }"), "struct S c u8");
    }

    #[test]
    fn what_some_other_build_compiles_is_kept() {
        for cfg in ["not(test)", "any(test, unix)", "all(unix, not(test))", "feature = \"test\""] {
            assert!(left(&format!("#[cfg({cfg})] fn kept() {{}}")).contains("kept"), "{cfg}");
        }
        for cfg in ["all(test, unix)", "any(test, all(test, unix))", "all(any(a, b), test)"] {
            assert!(!left(&format!("#[cfg({cfg})] fn kept() {{}}")).contains("kept"), "{cfg}");
        }
    }

    #[test]
    fn modules_declared_for_tests_are_named() {
        let found = shipped(&tokens("#[cfg(all(test, unix))] mod models; mod gate;"));
        assert_eq!(found.test_modules, ["models"]);
    }
}
