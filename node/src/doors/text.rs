//! Values as JSON and as the bytes that everybody sees, whichever door they come by.
//!
//! A JSON string is kept as what it says, so that a Redis client sees `Alice` and not `"Alice"`; unless it would then be
//! taken for other JSON, as `"123"` would. Any other JSON is kept as it was written. Bytes that are no JSON are a
//! string.

use std::time::Duration;

use serde_json::value::RawValue;

/// What is kept of a value that was written as `text`, which may be JSON or not.
pub(super) fn keep(text: &str) -> Vec<u8> {
    let text = text.trim();
    match serde_json::from_str::<String>(text) {
        Ok(said) if !is_json(&said) => said.into_bytes(),
        _ => text.as_bytes().to_vec(),
    }
}

/// A value as JSON, on one line; `None` if it is not text at all.
pub(super) fn show(bytes: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(bytes).ok()?;
    if is_json(text) {
        // Line breaks can only be between its parts: in a string they are escaped.
        return Some(text.trim().replace(['\r', '\n'], " "));
    }
    Some(serde_json::Value::from(text).to_string())
}

/// The longest time that a key may be given, in seconds: three hundred years.
const MOST_SECONDS: f64 = 1e10;

/// A span from a number of seconds, if it is one that a key may be given; at least a millisecond.
pub(super) fn span(seconds: f64) -> Option<Duration> {
    let fits = seconds > 0.0 && seconds <= MOST_SECONDS;
    fits.then(|| Duration::from_secs_f64(seconds).max(Duration::from_millis(1)))
}

fn is_json(text: &str) -> bool {
    serde_json::from_str::<&RawValue>(text).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_shown_as_it_was_given() {
        for text in [
            r#"{"name":"Alice","age":30}"#,
            r#""Alice""#,
            r#""123""#,
            r#""\"quoted\"""#,
            r#""{\"a\":1}""#,
            r#""""#,
            "123",
            "1.50e3",
            "null",
            r#"[1, "two", null]"#,
        ] {
            assert_eq!(show(&keep(text)).as_deref(), Some(text), "{text}");
        }
    }

    #[test]
    fn a_key_may_be_given_some_time() {
        assert_eq!(span(1.5), Some(Duration::from_millis(1_500)));
        assert_eq!(span(5e-324), Some(Duration::from_millis(1)));
        for number in [0.0, -1.0, 1e11, f64::INFINITY, f64::NAN] {
            assert_eq!(span(number), None, "{number}");
        }
    }

    #[test]
    fn redis_clients_see_what_a_string_says() {
        assert_eq!(keep(r#""Alice""#), b"Alice");
        assert_eq!(keep("my value"), b"my value");
        assert_eq!(show(b"my value").as_deref(), Some(r#""my value""#));
        assert_eq!(show(b"{\n \"a\": 1\n}").as_deref(), Some("{  \"a\": 1 }"));
        assert_eq!(show(b"\xff"), None);
    }
}
