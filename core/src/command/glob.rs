//! Patterns of KEYS, SCAN and CONFIG GET: `*`, `?`, `[a-z]`, `[^a]` and `\` as in Redis.

/// Whether `pattern` matches all of `text`, ASCII letters of either case alike if `any_case`. Takes time of
/// at most the product of both lengths: only the last `*` is ever tried again.
pub fn matches(pattern: &[u8], text: &[u8], any_case: bool) -> bool {
    let (mut p, mut t) = (0, 0);
    // Where to go on if what follows the last `*` does not match here: that `*` takes one byte more.
    let mut retry: Option<(usize, usize)> = None;
    loop {
        if pattern.get(p) == Some(&b'*') {
            p += 1;
            retry = Some((p, t));
            continue;
        }
        let step = match text.get(t) {
            Some(&byte) => one(pattern, p, byte, any_case),
            None if p == pattern.len() => return true,
            // A `*` after this place would match nothing; anything else needs a byte.
            None => return false,
        };
        if let Some(next) = step {
            p = next;
            t += 1;
            continue;
        }
        match &mut retry {
            Some((behind, start)) if *start < text.len() => {
                *start += 1;
                (p, t) = (*behind, *start);
            }
            _ => return false,
        }
    }
}

/// Whether the one-byte pattern at `at` matches `byte`, and if so where the next one begins.
fn one(pattern: &[u8], at: usize, byte: u8, any_case: bool) -> Option<usize> {
    let same = |wanted: u8| fold(wanted, any_case) == fold(byte, any_case);
    match *pattern.get(at)? {
        b'?' => Some(at + 1),
        b'[' => class(pattern, at + 1, byte, any_case),
        b'\\' if at + 1 < pattern.len() => same(pattern[at + 1]).then_some(at + 2),
        wanted => same(wanted).then_some(at + 1),
    }
}

/// A class from after its `[` on. One that is not closed ends with the pattern.
fn class(pattern: &[u8], mut at: usize, byte: u8, any_case: bool) -> Option<usize> {
    let negated = pattern.get(at) == Some(&b'^');
    at += usize::from(negated);
    let byte = fold(byte, any_case);
    let mut found = false;
    loop {
        match pattern.get(at..).unwrap_or_default() {
            [] => break,
            [b']', ..] => {
                at += 1;
                break;
            }
            [b'\\', wanted, ..] => {
                found |= fold(*wanted, any_case) == byte;
                at += 2;
            }
            [first, b'-', last, ..] => {
                let (first, last) = (fold(*first, any_case), fold(*last, any_case));
                found |= (first.min(last)..=first.max(last)).contains(&byte);
                at += 3;
            }
            [wanted, ..] => {
                found |= fold(*wanted, any_case) == byte;
                at += 1;
            }
        }
    }
    (found != negated).then_some(at)
}

fn fold(byte: u8, any_case: bool) -> u8 {
    if any_case { byte.to_ascii_lowercase() } else { byte }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(pattern: &str, text: &str, wanted: bool) {
        assert_eq!(matches(pattern.as_bytes(), text.as_bytes(), false), wanted, "{pattern} {text}");
    }

    #[test]
    fn patterns_match_as_in_redis() {
        for (pattern, text, wanted) in [
            ("", "", true),
            ("", "a", false),
            ("*", "", true),
            ("*", "anything", true),
            ("***", "a", true),
            ("a*", "a", true),
            ("a*", "ba", false),
            ("*a", "bca", true),
            ("*a", "bcab", false),
            ("a*b*c", "a-b-b-c", true),
            ("a*b*c", "a-c-b", false),
            ("h?llo", "hello", true),
            ("h?llo", "hllo", false),
            ("h[ae]llo", "hallo", true),
            ("h[ae]llo", "hillo", false),
            ("h[^e]llo", "hallo", true),
            ("h[^e]llo", "hello", false),
            ("h[a-c]llo", "hbllo", true),
            ("h[c-a]llo", "hbllo", true),
            ("h[a-c]llo", "hdllo", false),
            ("[\\]]", "]", true),
            ("[a\\-z]", "-", true),
            ("[a\\-z]", "b", false),
            ("[abc", "c", true),
            ("[]", "a", false),
            ("[^]", "a", true),
            ("\\*", "*", true),
            ("\\*", "a", false),
            ("a\\", "a\\", true),
            ("user:*:name", "user:17:name", true),
            ("*[0-9]", "a1", true),
            ("*[0-9]", "a", false),
            ("?", "", false),
        ] {
            check(pattern, text, wanted);
        }
        assert!(matches(b"MaX*[M-p]", b"maxmem", true));
        assert!(!matches(b"MaX*", b"maxmem", false));
    }

    #[test]
    fn a_hostile_pattern_takes_no_exponential_time() {
        let pattern = b"a*".repeat(500);
        let mut text = b"a".repeat(5_000);
        assert!(matches(&pattern, &text, false));
        text.push(b'b');
        let pattern = [pattern, b"c".to_vec()].concat();
        assert!(!matches(&pattern, &text, false));
    }
}
