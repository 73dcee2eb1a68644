//! Rust source as tokens, without comments: enough to ask what a file names.

/// A word, a literal (as written, quotes and all), `::`, or one other character.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Token {
    pub(super) text: String,
    pub(super) line: usize,
}

impl Token {
    pub(super) fn is(&self, text: &str) -> bool {
        self.text == text
    }

    pub(super) fn is_word(&self) -> bool {
        self.text.starts_with(|c: char| c.is_alphabetic() || c == '_')
    }
}

/// Takes a file apart. Anything odd becomes tokens all the same: rustc is the
/// one to complain.
pub(super) fn tokens(source: &str) -> Vec<Token> {
    let mut tokens = Vec::new();
    let (mut rest, mut line) = (source, 1);
    while let Some(first) = rest.chars().next() {
        let length = length(rest, first).max(first.len_utf8());
        let (text, after) = rest.split_at(length);
        let blank = first.is_whitespace() || text.starts_with("//") || text.starts_with("/*");
        if !blank {
            tokens.push(Token { text: text.to_owned(), line });
        }
        line += text.matches('\n').count();
        rest = after;
    }
    tokens
}

/// How many bytes the token or comment at the start of `rest` has.
fn length(rest: &str, first: char) -> usize {
    if rest.starts_with("//") {
        return rest.find('\n').unwrap_or(rest.len());
    }
    if rest.starts_with("/*") {
        return block_comment(rest);
    }
    if rest.starts_with("::") {
        return 2;
    }
    if first == '"' {
        return string(rest, 0);
    }
    if first == '\'' {
        return quote(rest);
    }
    if first.is_alphanumeric() || first == '_' {
        let word = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
        let after = &rest[word..];
        return match &rest[..word] {
            "r" | "br" | "cr" if after.starts_with(['"', '#']) => raw_string(rest, word),
            "b" | "c" if after.starts_with('"') => string(rest, word),
            "b" if after.starts_with('\'') => word + quote(after),
            _ => word,
        };
    }
    first.len_utf8()
}

fn block_comment(rest: &str) -> usize {
    let (mut depth, mut at) = (0_usize, 0);
    while let Some(next) = rest.get(at..).filter(|next| !next.is_empty()) {
        let step = if next.starts_with("/*") {
            depth += 1;
            2
        } else if next.starts_with("*/") {
            depth -= 1;
            2
        } else {
            next.chars().next().map_or(1, char::len_utf8)
        };
        at += step;
        if depth == 0 {
            break;
        }
    }
    at
}

/// A string whose opening quote is at `open`.
fn string(rest: &str, open: usize) -> usize {
    let mut escaped = false;
    for (at, c) in rest.char_indices().skip_while(|(at, _)| *at <= open) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return at + 1,
            _ => {}
        }
    }
    rest.len()
}

/// `r"…"`, `r#"…"#`, or the raw identifier `r#type`.
fn raw_string(rest: &str, prefix: usize) -> usize {
    let hashes = rest[prefix..].chars().take_while(|c| *c == '#').count();
    let open = prefix + hashes;
    if !rest[open..].starts_with('"') {
        return open; // a raw identifier: its name is the next token
    }
    let close = format!("\"{}", "#".repeat(hashes));
    rest[open + 1..].find(&close).map_or(rest.len(), |at| open + 1 + at + close.len())
}

/// A character, or a lifetime, whose quote is a token by itself.
fn quote(rest: &str) -> usize {
    let mut chars = rest.char_indices().skip(1);
    match (chars.next(), chars.next()) {
        (Some((_, '\\')), Some((escaped, c))) => {
            let from = escaped + c.len_utf8();
            rest[from..].find('\'').map_or(rest.len(), |at| from + at + 1)
        }
        (Some(_), Some((at, '\''))) => at + 1,
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(source: &str) -> Vec<String> {
        tokens(source).into_iter().map(|token| token.text).collect()
    }

    #[test]
    fn comments_are_left_out_and_lines_counted() {
        let found = tokens("a // b.unwrap()\n/* c /* d */\n e */ f\n/// g\nh");
        let found: Vec<_> = found.iter().map(|t| (t.text.as_str(), t.line)).collect();
        assert_eq!(found, [("a", 1), ("f", 3), ("h", 5)]);
    }

    #[test]
    fn what_a_literal_says_is_no_code() {
        assert_eq!(texts(r#"f("a\" todo!")"#), ["f", "(", r#""a\" todo!""#, ")"]);
        assert_eq!(texts("r#\"x\" y\"# z"), ["r#\"x\" y\"#", "z"]);
        assert_eq!(texts(r"b'\'' '\u{1F}' 'x' x"), [r"b'\''", r"'\u{1F}'", "'x'", "x"]);
    }

    #[test]
    fn a_lifetime_does_not_swallow_the_code_after_it() {
        assert_eq!(texts("&'a str, 'b'"), ["&", "'", "a", "str", ",", "'b'"]);
    }

    #[test]
    fn paths_keep_their_colons_together() {
        assert_eq!(texts("std::sync: x"), ["std", "::", "sync", ":", "x"]);
    }
}
