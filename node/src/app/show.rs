//! Answers as `redis-cli` shows them: with types for a terminal, bare for a pipe.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::resp::Answer;

/// The answer for a terminal, with a line end.
pub(crate) fn typed(answer: &Answer) -> String {
    let mut text = String::new();
    write_typed(answer, "", &mut text);
    text
}

fn write_typed(answer: &Answer, indent: &str, text: &mut String) {
    match answer {
        Answer::Simple(line) => line_of(text, line),
        Answer::Error(line) => line_of(text, &format!("(error) {line}")),
        Answer::Integer(number) => line_of(text, &format!("(integer) {number}")),
        Answer::Double(number) => line_of(text, &format!("(double) {number}")),
        Answer::Boolean(value) => line_of(text, if *value { "(true)" } else { "(false)" }),
        Answer::Bulk(bytes) => line_of(text, &quoted(bytes)),
        Answer::Null => line_of(text, "(nil)"),
        Answer::Array(items) if items.is_empty() => line_of(text, "(empty array)"),
        Answer::Set(items) if items.is_empty() => line_of(text, "(empty set)"),
        Answer::Map(pairs) if pairs.is_empty() => line_of(text, "(empty hash)"),
        Answer::Array(items) => write_items(items, ')', indent, text),
        Answer::Set(items) => write_items(items, '~', indent, text),
        Answer::Map(pairs) => write_pairs(pairs, indent, text),
    }
}

fn line_of(text: &mut String, line: &str) {
    text.push_str(line);
    text.push('\n');
}

fn write_items(items: &[Answer], mark: char, indent: &str, text: &mut String) {
    let width = items.len().to_string().len();
    let inner = format!("{indent}{}", " ".repeat(width + 2));
    for (at, item) in items.iter().enumerate() {
        if at > 0 {
            text.push_str(indent);
        }
        let _ = write!(text, "{:>width$}{mark} ", at + 1);
        write_typed(item, &inner, text);
    }
}

fn write_pairs(pairs: &[(Answer, Answer)], indent: &str, text: &mut String) {
    let width = pairs.len().to_string().len();
    let inner = format!("{indent}{}", " ".repeat(width + 2));
    for (at, (key, value)) in pairs.iter().enumerate() {
        if at > 0 {
            text.push_str(indent);
        }
        let _ = write!(text, "{:>width$}# ", at + 1);
        let mut shown = String::new();
        write_typed(key, &inner, &mut shown);
        let _ = write!(text, "{} => ", shown.trim_end());
        write_typed(value, &inner, text);
    }
}

/// The answer for a pipe, with a line end.
pub(crate) fn bare(answer: &Answer) -> Vec<u8> {
    let mut bytes = Vec::new();
    write_bare(answer, &mut bytes);
    bytes
}

fn write_bare(answer: &Answer, bytes: &mut Vec<u8>) {
    match answer {
        Answer::Simple(line) | Answer::Error(line) | Answer::Double(line) => {
            bytes.extend_from_slice(line.as_bytes());
        }
        Answer::Integer(number) => bytes.extend_from_slice(number.to_string().as_bytes()),
        Answer::Boolean(value) => bytes.extend_from_slice(if *value { b"true" } else { b"false" }),
        Answer::Bulk(content) => bytes.extend_from_slice(content),
        Answer::Null => (),
        Answer::Array(items) | Answer::Set(items) if items.is_empty() => (),
        Answer::Array(items) | Answer::Set(items) => {
            return items.iter().for_each(|item| write_bare(item, bytes));
        }
        Answer::Map(pairs) => {
            for (key, value) in pairs {
                write_bare(key, bytes);
                bytes.pop();
                bytes.push(b' ');
                write_bare(value, bytes);
            }
            return;
        }
    }
    bytes.push(b'\n');
}

/// The answer as JSON; bytes that are no text become text as well as they can.
pub(crate) fn json(answer: &Answer) -> Value {
    match answer {
        Answer::Simple(text) | Answer::Double(text) => text.as_str().into(),
        Answer::Error(text) => json!({"error": text}),
        Answer::Integer(number) => (*number).into(),
        Answer::Boolean(value) => (*value).into(),
        Answer::Bulk(bytes) => String::from_utf8_lossy(bytes).into(),
        Answer::Null => Value::Null,
        Answer::Array(items) | Answer::Set(items) => items.iter().map(json).collect(),
        Answer::Map(pairs) => {
            let text =
                |key| json(key).as_str().map_or_else(|| json(key).to_string(), str::to_owned);
            Value::Object(pairs.iter().map(|(key, value)| (text(key), json(value))).collect())
        }
    }
}

pub(crate) fn quoted(bytes: &[u8]) -> String {
    let mut text = String::from("\"");
    for &byte in bytes {
        match byte {
            b'\\' => text.push_str("\\\\"),
            b'"' => text.push_str("\\\""),
            b'\n' => text.push_str("\\n"),
            b'\r' => text.push_str("\\r"),
            b'\t' => text.push_str("\\t"),
            0x07 => text.push_str("\\a"),
            0x08 => text.push_str("\\b"),
            0x20..=0x7e => text.push(byte as char),
            _ => {
                let _ = write!(text, "\\x{byte:02x}");
            }
        }
    }
    text.push('"');
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bulk(text: &str) -> Answer {
        Answer::Bulk(text.as_bytes().to_vec())
    }

    #[test]
    fn answers_look_as_in_redis_cli() {
        let nested =
            Answer::Array(vec![bulk("a"), Answer::Array(vec![Answer::Integer(1), Answer::Null])]);
        let cases = [
            (Answer::Simple("OK".to_owned()), "OK\n"),
            (Answer::Null, "(nil)\n"),
            (bulk("a\"\n\u{1}"), "\"a\\\"\\n\\x01\"\n"),
            (nested, "1) \"a\"\n2) 1) (integer) 1\n   2) (nil)\n"),
            (Answer::Map(vec![(bulk("k"), Answer::Integer(2))]), "1# \"k\" => (integer) 2\n"),
            (Answer::Array(vec![]), "(empty array)\n"),
        ];
        for (answer, shown) in cases {
            assert_eq!(typed(&answer), shown);
        }
    }

    #[test]
    fn json_is_json() {
        let pairs = vec![(bulk("k"), Answer::Array(vec![Answer::Integer(1), Answer::Null]))];
        assert_eq!(json(&Answer::Map(pairs)).to_string(), r#"{"k":[1,null]}"#);
        assert_eq!(json(&Answer::Error("ERR no".to_owned())).to_string(), r#"{"error":"ERR no"}"#);
    }

    #[test]
    fn a_pipe_gets_bare_values() {
        let answer = Answer::Array(vec![bulk("a"), Answer::Integer(3)]);
        assert_eq!(bare(&answer), b"a\n3\n");
        assert_eq!(bare(&Answer::Null), b"\n");
    }
}
