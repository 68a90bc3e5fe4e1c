//! Rust source as the tidy checks see it: code without comments, strings and tests.

use std::fs;
use std::path::{Path, PathBuf};

use crate::cargo::root;

/// One source file.
#[derive(Debug)]
pub struct Source {
    /// Where it stands, from the root of the workspace.
    pub path: PathBuf,
    /// All of it.
    pub text: String,
    /// The same with comments and the insides of literals blanked, line by line.
    pub code: String,
    /// `code` with everything that is compiled for tests only blanked as well.
    pub shipped: String,
}

/// A function and how long it is.
#[derive(Debug, PartialEq, Eq)]
pub struct Function {
    /// Its name.
    pub name: String,
    /// The line it begins on, from 1.
    pub line: usize,
    /// From the line with `fn` to the one with its last brace.
    pub lines: usize,
}

/// All source files of some members of the workspace, in order.
pub fn sources(members: &[&str]) -> Vec<Source> {
    let mut paths = Vec::new();
    for member in members {
        collect(&root().join(member), &mut paths);
    }
    paths.sort();
    assert!(!paths.is_empty(), "there is source to check");
    paths.iter().map(|path| Source::read(path)).collect()
}

fn collect(directory: &Path, paths: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).expect("members are directories") {
        let path = entry.expect("directories can be read").path();
        if path.is_dir() {
            if path.file_name().is_some_and(|name| name != "target") {
                collect(&path, paths);
            }
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            paths.push(path);
        }
    }
}

impl Source {
    fn read(path: &Path) -> Self {
        let text = fs::read_to_string(path).expect("source is text");
        let path = path.strip_prefix(root()).expect("members stand in the root").to_path_buf();
        Self::new(path, text)
    }

    /// A file of this text.
    pub fn new(path: PathBuf, text: String) -> Self {
        let code = blank_literals(&text);
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let in_tests = path
            .components()
            .any(|part| part.as_os_str() == "tests" || part.as_os_str() == "benches");
        let is_test = in_tests || name == "tests.rs" || name.ends_with("_tests.rs");
        let shipped = if is_test { String::new() } else { blank_tests(&code) };
        Self { path, text, code, shipped }
    }

    /// The functions with a body, tests included.
    pub fn functions(&self) -> Vec<Function> {
        let bytes = self.code.as_bytes();
        let mut functions = Vec::new();
        for at in words(&self.code, "fn") {
            let name: String = self.code[at + 2..]
                .trim_start()
                .chars()
                .take_while(|c| c.is_alphanumeric() || *c == '_')
                .collect();
            // `fn(u8)` is a type, not a function.
            let Some(open) = body_start(bytes, at).filter(|_| !name.is_empty()) else { continue };
            let end = matching_brace(bytes, open);
            let line = line_of(bytes, at);
            functions.push(Function { name, line, lines: line_of(bytes, end) - line + 1 });
        }
        functions
    }

    /// Places of a word in the code that is shipped: (line, rest of the line from the word on).
    pub fn shipped_uses(&self, word: &str) -> Vec<(usize, &str)> {
        let place = |at: usize| {
            let rest = self.shipped[at..].lines().next().unwrap_or_default();
            (line_of(self.shipped.as_bytes(), at), rest)
        };
        words(&self.shipped, word).map(place).collect()
    }

    /// Every path from the root of the crate that shipped code names: (line, first part), so
    /// `use crate::{ids::Term, time::Now}` gives `ids` and `time`.
    pub fn crate_paths(&self) -> Vec<(usize, String)> {
        let mut paths = Vec::new();
        for at in words(&self.shipped, "crate") {
            let Some(rest) = self.shipped[at + 5..].strip_prefix("::") else { continue };
            let line = line_of(self.shipped.as_bytes(), at);
            if let Some(group) = rest.strip_prefix('{') {
                paths.extend(group_heads(group).into_iter().map(|head| (line, head)));
            } else {
                paths.push((line, head(rest)));
            }
        }
        paths
    }
}

/// The first parts of the paths in `a::b, c::{d, e}, f}...`.
fn group_heads(group: &str) -> Vec<String> {
    let (mut heads, mut depth, mut fresh) = (Vec::new(), 0_u32, true);
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => fresh = true,
            _ if fresh && !c.is_whitespace() => {
                heads.push(head(&group[at..]));
                fresh = false;
            }
            _ => {}
        }
    }
    heads
}

fn head(path: &str) -> String {
    path.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
}

/// Byte positions at which `word` stands and is not part of a longer one.
fn words<'a>(text: &'a str, word: &'a str) -> impl Iterator<Item = usize> + 'a {
    let part = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    let bytes = text.as_bytes();
    text.match_indices(word).map(|(at, _)| at).filter(move |&at| {
        let before = at == 0 || !part(bytes[at - 1]) || !part(word.as_bytes()[0]);
        let end = at + word.len();
        let after =
            end == bytes.len() || !part(bytes[end]) || !part(word.as_bytes()[word.len() - 1]);
        before && after
    })
}

fn line_of(bytes: &[u8], at: usize) -> usize {
    bytes[..at].split(|&byte| byte == b'\n').count()
}

/// Where the body of the function at `at` opens; `None` if it has none.
fn body_start(bytes: &[u8], at: usize) -> Option<usize> {
    let mut depth = 0_i32;
    for (place, &byte) in bytes.iter().enumerate().skip(at) {
        match byte {
            b'(' | b'[' => depth += 1,
            b')' | b']' => depth -= 1,
            b'{' if depth == 0 => return Some(place),
            b';' if depth == 0 => return None,
            _ => {}
        }
        if depth < 0 {
            return None;
        }
    }
    None
}

fn matching_brace(bytes: &[u8], open: usize) -> usize {
    let mut depth = 0_u32;
    for (place, &byte) in bytes.iter().enumerate().skip(open) {
        match byte {
            b'{' => depth += 1,
            b'}' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return place;
        }
    }
    panic!("source that compiles closes its braces");
}

/// Blanks each item behind `#[cfg(test)]`.
fn blank_tests(code: &str) -> String {
    let mut bytes = code.as_bytes().to_vec();
    for (at, _) in code.match_indices("#[cfg(test)]") {
        let mut end = at;
        let stop = code[at..].find([';', '{']).map_or(code.len() - 1, |found| at + found);
        if bytes[stop] == b'{' {
            end = matching_brace(code.as_bytes(), stop);
        } else if stop > end {
            end = stop;
        }
        blank(&mut bytes, at, end + 1);
    }
    String::from_utf8(bytes).expect("blanking keeps whole characters")
}

/// Blanks comments and what stands inside literals; line breaks stay.
fn blank_literals(text: &str) -> String {
    let mut bytes = text.as_bytes().to_vec();
    let mut at = 0;
    while at < bytes.len() {
        let rest = &text.as_bytes()[at..];
        let end = at
            + match rest {
                [b'/', b'/', ..] => rest.iter().position(|&b| b == b'\n').unwrap_or(rest.len()),
                [b'/', b'*', ..] => block_comment(rest),
                [b'"', ..] => string(rest),
                [b'r', b'"' | b'#', ..] if !follows_word(text.as_bytes(), at) => raw_string(rest),
                [b'\'', ..] => character(rest),
                _ => {
                    at += 1;
                    continue;
                }
            };
        blank(&mut bytes, at, end);
        at = end;
    }
    String::from_utf8(bytes).expect("literals are blanked whole")
}

fn blank(bytes: &mut [u8], start: usize, end: usize) {
    for byte in &mut bytes[start..end] {
        if *byte != b'\n' {
            *byte = b' ';
        }
    }
}

fn follows_word(bytes: &[u8], at: usize) -> bool {
    // `br"..."` is a raw string as well; any other letter before the `r` makes it a name.
    let part = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    match at.checked_sub(1).map(|before| bytes[before]) {
        Some(b'b') => at >= 2 && part(bytes[at - 2]),
        Some(byte) => part(byte),
        None => false,
    }
}

fn block_comment(rest: &[u8]) -> usize {
    let (mut depth, mut at) = (0_u32, 0);
    while at < rest.len() {
        match &rest[at..] {
            [b'/', b'*', ..] => (depth, at) = (depth + 1, at + 2),
            [b'*', b'/', ..] => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
        if depth == 0 {
            return at;
        }
    }
    rest.len()
}

fn string(rest: &[u8]) -> usize {
    let mut at = 1;
    while at < rest.len() && rest[at] != b'"' {
        at += if rest[at] == b'\\' { 2 } else { 1 };
    }
    (at + 1).min(rest.len())
}

fn raw_string(rest: &[u8]) -> usize {
    let hashes = rest[1..].iter().take_while(|&&byte| byte == b'#').count();
    if rest.get(1 + hashes) != Some(&b'"') {
        // `r#name`.
        return 2;
    }
    let mut close = vec![b'"'];
    close.resize(1 + hashes, b'#');
    let body = 2 + hashes;
    let found = rest[body..].windows(close.len()).position(|window| window == close);
    found.map_or(rest.len(), |found| body + found + close.len())
}

/// The length of a character literal, or 1 for the quote of a lifetime.
fn character(rest: &[u8]) -> usize {
    if rest.get(1) == Some(&b'\\') {
        let close = rest[3..].iter().position(|&byte| byte == b'\'');
        return close.map_or(rest.len(), |found| found + 4);
    }
    let first = std::str::from_utf8(&rest[1..rest.len().min(5)]);
    let text = first.unwrap_or_else(|error| {
        std::str::from_utf8(&rest[1..=error.valid_up_to()]).unwrap_or_default()
    });
    let length = text.chars().next().map_or(1, char::len_utf8);
    if rest.get(1 + length) == Some(&b'\'') { length + 2 } else { 1 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(text: &str) -> Source {
        Source::new(PathBuf::from("core/src/x.rs"), text.to_owned())
    }

    #[test]
    fn comments_and_literals_are_no_code() {
        let text =
            "a /* x /* y */ z */ b // c\n\"d\\\"e\" r#\"f\"g\"# 'h' '\\'' 'l: 'é' r#type br\"i\" j";
        let code = source(text).code;
        let left: Vec<&str> = code.split_whitespace().collect();
        assert_eq!(left, ["a", "b", "l:", "type", "b", "j"]);
        assert_eq!(code.lines().count(), 2, "lines stay where they are");
    }

    #[test]
    fn functions_are_measured_from_head_to_last_brace() {
        let text = "trait T { fn none(); }\nfn one() -> [u8; 2] {\n  let f: fn(u8) = g; { }\n}\nfn two() {}";
        let found = source(text).functions();
        let one = Function { name: "one".into(), line: 2, lines: 3 };
        let two = Function { name: "two".into(), line: 5, lines: 1 };
        assert_eq!(found, [one, two]);
    }

    #[test]
    fn paths_are_found_in_groups_and_outside_tests_only() {
        let text = "use crate::{ids::{A, B}, time::Now};\nfn f() { crate::wal::g() }\n\
                    #[cfg(test)]\nmod tests { use crate::raft::X; }\n#[cfg(test)]\nmod more;\nuse crate::bytes;";
        let found: Vec<String> =
            source(text).crate_paths().into_iter().map(|(_, head)| head).collect();
        assert_eq!(found, ["ids", "time", "wal", "bytes"]);
    }
}
