//! Answers off the wire, as clients read them.

use crate::check::Reply;

/// One answer of a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// Anything but an array.
    One(Reply),
    /// An array of answers.
    Many(Vec<Reply>),
}

/// Takes one answer off the front of `bytes`: the answer, whether it was an error, and its length.
/// A server's answers leave it whole.
pub(super) fn take(bytes: &[u8]) -> Result<(Answer, bool, usize), String> {
    if bytes.first() != Some(&b'*') {
        let (reply, used) = one(bytes)?;
        return Ok((Answer::One(reply), bytes[0] == b'-', used));
    }
    let (count, mut used) = number(bytes)?;
    let mut replies = Vec::new();
    for _ in 0..count.max(0) {
        let (reply, length) = one(&bytes[used..])?;
        replies.push(reply);
        used += length;
    }
    Ok((Answer::Many(replies), false, used))
}

fn one(bytes: &[u8]) -> Result<(Reply, usize), String> {
    let kind = bytes.first().ok_or("an answer ends too early")?;
    let (line, end) = line(bytes)?;
    match kind {
        b'+' => Ok((if line == b"OK" { Reply::Ok } else { Reply::Value(line.to_vec()) }, end)),
        b'-' => Ok((error(line), end)),
        b':' => Ok((Reply::Integer(number(bytes)?.0), end)),
        // An array within an array stands for a transaction that did not happen.
        b'_' | b'*' => Ok((Reply::Nil, end)),
        b'$' => {
            let (length, end) = number(bytes)?;
            let Ok(length) = usize::try_from(length) else { return Ok((Reply::Nil, end)) };
            let value = bytes.get(end..end + length).ok_or("a value ends too early")?;
            Ok((Reply::Value(value.to_vec()), end + length + 2))
        }
        other => Err(format!("an answer begins with {:?}", char::from(*other))),
    }
}

/// Errors that promise that nothing was written, one that promises nothing, and errors of the command itself.
fn error(line: &[u8]) -> Reply {
    const REFUSALS: [&[u8]; 7] =
        [b"TRYAGAIN", b"CLUSTERDOWN", b"CROSSSLOT", b"LOADING", b"MOVED", b"NOAUTH", b"NOPERM"];
    if line.starts_with(b"UNKNOWN") {
        return Reply::Unknown;
    }
    let refused = REFUSALS.iter().any(|word| line.starts_with(word));
    if refused { Reply::Refused } else { Reply::Error }
}

fn line(bytes: &[u8]) -> Result<(&[u8], usize), String> {
    let end = bytes.iter().position(|&byte| byte == b'\r').ok_or("an answer without an end")?;
    Ok((&bytes[1..end], end + 2))
}

fn number(bytes: &[u8]) -> Result<(i64, usize), String> {
    let (digits, end) = line(bytes)?;
    let text = std::str::from_utf8(digits).map_err(|_| "a number that is none")?;
    Ok((text.parse().map_err(|_| format!("{text:?} is no number"))?, end))
}

/// An answer as a story shows it.
pub(super) fn show(bytes: &[u8]) -> String {
    match take(bytes) {
        Ok((_, true, used)) => String::from_utf8_lossy(&bytes[..used - 2]).into_owned(),
        Ok((Answer::One(reply), ..)) => show_one(&reply),
        Ok((Answer::Many(replies), ..)) => {
            let parts: Vec<_> = replies.iter().map(show_one).collect();
            format!("[{}]", parts.join(", "))
        }
        Err(what) => format!("?? {what}"),
    }
}

fn show_one(reply: &Reply) -> String {
    match reply {
        Reply::Ok => "OK".into(),
        Reply::Nil => "nil".into(),
        Reply::Value(bytes) => String::from_utf8_lossy(bytes).into_owned(),
        Reply::Integer(number) => number.to_string(),
        Reply::Error => "error".into(),
        Reply::Refused => "refused".into(),
        Reply::Unknown => "unknown".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_read_one_by_one() {
        let mut bytes: &[u8] =
            b"+OK\r\n:-7\r\n$3\r\na\rb\r\n$-1\r\n-TRYAGAIN x\r\n*2\r\n$1\r\nv\r\n$-1\r\n_\r\n";
        let mut shown = Vec::new();
        while !bytes.is_empty() {
            shown.push(show(bytes));
            bytes = &bytes[take(bytes).expect("it is well formed").2..];
        }
        assert_eq!(shown, ["OK", "-7", "a\rb", "nil", "-TRYAGAIN x", "[v, nil]", "nil"]);
        assert!(take(b"?").is_err() && take(b"$5\r\nab").is_err());
    }
}
