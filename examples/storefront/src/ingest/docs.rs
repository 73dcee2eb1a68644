//! Doc comments out of Rust source.
//!
//! Not a parser: a walk over the text that knows just enough to tell comments from what only looks
//! like them. `///` in a string, in a raw string or in a plain comment is not documentation, and
//! block comments nest. Attributes (`#[doc = "..."]`) are left alone. Torn source is no error: what
//! is not closed goes on to the end.

/// The documentation of one source file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Docs {
    /// The first line of its first `//!` comment, without the marks of a heading.
    pub title: Option<String>,
    /// All of it, an empty line between one comment and the next.
    pub text: String,
}

/// What kind of documentation a comment is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// `//!` and `/*! */`: of what it stands in.
    Inner,
    /// `///` and `/** */`: of what follows.
    Outer,
}

/// Takes the documentation out of `source`; `None` if there is none.
#[must_use]
pub fn extract(source: &str) -> Option<Docs> {
    let mut gathered = Gathered::default();
    let mut at = 0;
    while let Some(byte) = source.as_bytes().get(at) {
        let rest = &source[at..];
        at += match byte {
            b'/' if rest.starts_with("//") => {
                let comment = &rest[..rest.find('\n').unwrap_or(rest.len())];
                gathered.line(comment);
                comment.len()
            }
            b'/' if rest.starts_with("/*") => {
                let comment = &rest[..block_comment(rest)];
                gathered.block(comment);
                comment.len()
            }
            byte if byte.is_ascii_whitespace() => 1,
            _ => {
                gathered.comment_ends();
                token(rest)
            }
        };
    }
    let Gathered { title, text, .. } = gathered;
    let text = text.trim_end();
    (!text.trim_start().is_empty()).then(|| Docs { title, text: text.to_owned() })
}

/// The length of the token that `rest` begins with, as far as it matters here.
fn token(rest: &str) -> usize {
    let bytes = rest.as_bytes();
    match bytes[0] {
        b'"' => string(bytes),
        b'\'' => quote(rest),
        byte if is_word(byte) => {
            let word = bytes.iter().position(|&byte| !is_word(byte)).unwrap_or(bytes.len());
            if matches!(&bytes[..word], b"r" | b"br" | b"cr") {
                word + raw_string(&bytes[word..])
            } else {
                word
            }
        }
        _ => 1,
    }
}

/// Every byte of a character beyond ASCII counts as one of a word, so that the walk never stops
/// within a character.
fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || !byte.is_ascii()
}

fn string(bytes: &[u8]) -> usize {
    let mut at = 1;
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'"' => return at + 1,
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
    bytes.len()
}

/// The length of `#"..."#` behind an `r`, with any number of hashes; 0 where there is none, as in
/// the raw identifier `r#type`.
fn raw_string(bytes: &[u8]) -> usize {
    let hashes = bytes.iter().take_while(|&&byte| byte == b'#').count();
    if bytes.get(hashes) != Some(&b'"') {
        return 0;
    }
    let mut at = hashes + 1;
    while let Some(more) = bytes[at..].iter().position(|&byte| byte == b'"') {
        at += more + 1;
        let closing = bytes[at..].iter().take(hashes).take_while(|&&byte| byte == b'#').count();
        if closing == hashes {
            return at + hashes;
        }
    }
    bytes.len()
}

/// The length of a character such as `'"'` or `'\''`; 1 where the quote begins a lifetime.
fn quote(rest: &str) -> usize {
    let mut chars = rest[1..].chars();
    match chars.next() {
        Some('\\') => {
            let escaped = chars.next().map_or(0, char::len_utf8);
            let from = 2 + escaped;
            rest[from..].find('\'').map_or(rest.len(), |more| from + more + 1)
        }
        Some(one) if chars.next() == Some('\'') => one.len_utf8() + 2,
        _ => 1,
    }
}

/// The length of a block comment, those inside it included.
fn block_comment(rest: &str) -> usize {
    let bytes = rest.as_bytes();
    let (mut depth, mut at) = (0_usize, 0);
    while at < bytes.len() {
        if bytes[at..].starts_with(b"/*") {
            depth += 1;
            at += 2;
        } else if bytes[at..].starts_with(b"*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += 1;
        }
    }
    bytes.len()
}

#[derive(Default)]
struct Gathered {
    title: Option<String>,
    text: String,
    /// The comment that the last line belongs to.
    open: Option<Kind>,
}

impl Gathered {
    /// A comment from `//` to the end of its line.
    fn line(&mut self, comment: &str) {
        let (kind, text) = if let Some(text) = comment.strip_prefix("//!") {
            (Kind::Inner, text)
        } else if let Some(text) = comment.strip_prefix("///").filter(|it| !it.starts_with('/')) {
            (Kind::Outer, text)
        } else {
            return self.comment_ends();
        };
        if self.open != Some(kind) {
            self.comment_ends();
        }
        self.open = Some(kind);
        self.push(kind, text.strip_prefix(' ').unwrap_or(text));
    }

    /// A comment from `/*` to its `*/`.
    fn block(&mut self, comment: &str) {
        self.comment_ends();
        let (kind, text) = if let Some(text) = comment.strip_prefix("/*!") {
            (Kind::Inner, text)
        } else if let Some(text) =
            comment.strip_prefix("/**").filter(|it| !it.starts_with(['*', '/']))
        {
            (Kind::Outer, text)
        } else {
            return;
        };
        let text = text.strip_suffix("*/").unwrap_or(text);
        // Many draw a line of stars down the left.
        let mut inside = text.lines().skip(1).map(str::trim_start).filter(|line| !line.is_empty());
        let starred = inside.all(|line| line.starts_with('*'));
        for (number, line) in text.lines().enumerate() {
            let line = line.trim_start();
            let line =
                if starred && number > 0 { line.strip_prefix('*').unwrap_or(line) } else { line };
            self.push(kind, line.strip_prefix(' ').unwrap_or(line));
        }
        self.open = Some(kind);
        self.comment_ends();
    }

    fn push(&mut self, kind: Kind, line: &str) {
        let line = line.trim_end();
        if kind == Kind::Inner && self.title.is_none() {
            let words = line.trim_start_matches('#').trim();
            self.title = (!words.is_empty()).then(|| words.to_owned());
        }
        self.text.push_str(line);
        self.text.push('\n');
    }

    fn comment_ends(&mut self) {
        if self.open.take().is_some() {
            self.text.push('\n');
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(source: &str) -> String {
        extract(source).map(|docs| docs.text).unwrap_or_default()
    }

    #[test]
    fn comments_are_taken_with_an_empty_line_between() {
        let docs = extract(
            "//! # A crate\n//!\n//! More.\n\n/// One.\n///   Indented.\nfn one() {}\n/// Two.\nfn two() {}",
        );
        let docs = docs.unwrap();
        assert_eq!(docs.title.as_deref(), Some("A crate"));
        assert_eq!(docs.text, "# A crate\n\nMore.\n\nOne.\n  Indented.\n\nTwo.");
    }

    #[test]
    fn only_a_comment_of_the_module_gives_a_title() {
        assert_eq!(extract("/// One.\nfn one() {}").unwrap().title, None);
        let late = extract("/// One.\nmod one {\n    //!\n    //! Inside.\n}").unwrap();
        assert_eq!(late.title.as_deref(), Some("Inside."));
    }

    #[test]
    fn source_without_documentation_has_none() {
        for source in [
            "",
            "fn main() {}",
            "// plain",
            "//// four",
            "/* a */",
            "/**/",
            "/*** a */",
            "///\n//!",
        ] {
            assert_eq!(extract(source), None, "{source:?}");
        }
    }

    #[test]
    fn what_only_looks_like_a_comment_is_none() {
        for source in [
            r#"let a = "/// no"; /// yes"#,
            r#"let a = "\"/// no\\"; /// yes"#,
            "let a = r\"\\\"; /// yes",
            "let a = r##\"\"# /// no\"##; /// yes",
            "let a = br#\"/// no\"#; /// yes",
            "let r#type = 1; /// yes",
            "let a = '\"'; /// yes",
            r"let a = '\''; /// yes",
            r"let a = '\u{22}'; /// yes",
            "let a = 'é'; /// yes",
            "fn f<'a>(a: &'a str) {} /// yes",
            "// \" plain /* \n/// yes",
            "/* /// no */ /// yes",
            "/* /* nested */ /// no */ /// yes",
            "let bar = 1; let a = bar / 2; /// yes",
            "let ärger = \"/// no\"; /// yes",
        ] {
            assert_eq!(text(source), "yes", "{source:?}");
        }
    }

    #[test]
    fn block_comments_are_documentation_with_their_stars_taken_off() {
        assert_eq!(text("/** One. */"), "One.");
        assert_eq!(text("/*! One\n * two\n *\n *  three\n */"), "One\ntwo\n\n three");
        assert_eq!(text("/** Has /* one */ inside. */"), "Has /* one */ inside.");
        assert_eq!(text("/** A list:\n * a\n   b\n */"), "A list:\n* a\nb");
        assert_eq!(extract("/*! Title\n */").unwrap().title.as_deref(), Some("Title"));
    }

    #[test]
    fn lines_may_end_as_on_windows() {
        let docs = extract("//! Title\r\n//! more\r\n\r\n/// One.\r\nfn one() {}\r\n").unwrap();
        assert_eq!(docs.title.as_deref(), Some("Title"));
        assert_eq!(docs.text, "Title\nmore\n\nOne.");
    }

    #[test]
    fn torn_source_is_no_error() {
        for source in
            ["\"", "\"\\", "'", "'\\", "'\\é", "r#\"", "r#", "/*", "/* /* */", "/**", "b'", "é'é"]
        {
            assert_eq!(text(&format!("/// yes\n{source}")), "yes", "{source:?}");
        }
        assert_eq!(text("/** cut off"), "cut off");
        assert_eq!(text("/// cut off"), "cut off");
    }
}
