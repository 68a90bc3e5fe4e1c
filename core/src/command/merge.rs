//! One answer out of the answers of the parts that a command was split into.

use alloc::string::String;
use alloc::vec::Vec;

use crate::bytes::Malformed;
use crate::command::connection::{NO_SUCH_CLIENT, merge_info};
use crate::command::id::Merge;
use crate::resp::{Items, Reply, Value, decode};

/// Merges `parts`, each the whole encoded answer of one group in the version of the protocol that `reply`
/// has. `order` says for each key asked for which part it went to (only [`Merge::ByKey`] asks). If a part
/// failed, its error is the answer. `Err`: the parts are not what the command answers; then nothing has
/// been said.
pub fn merge(
    how: Merge,
    parts: &[&[u8]],
    order: impl Iterator<Item = usize>,
    reply: &mut Reply<'_>,
) -> Result<(), Malformed> {
    let mut values = Vec::with_capacity(parts.len());
    for part in parts {
        match decode(part)? {
            Some((Value::Error(_), used)) if used == part.len() => {
                reply.raw(part);
                return Ok(());
            }
            Some((value, used)) if used == part.len() => values.push(value),
            _ => return Err(Malformed),
        }
    }
    match how {
        Merge::Sum => sum(&values, reply),
        Merge::Least => least(&values, reply),
        Merge::AllOk => {
            if values.iter().any(|value| *value != Value::Simple(b"OK")) {
                return Err(Malformed);
            }
            reply.ok();
            Ok(())
        }
        Merge::Concat => {
            let parts = arrays(values)?;
            reply.array(parts.iter().map(Items::len).sum());
            for items in parts {
                reply.raw(items.encoded());
            }
            Ok(())
        }
        Merge::ByKey => by_key(arrays(values)?, order, reply),
        Merge::Killed => killed(&values, reply),
        Merge::Lines => {
            lines(&texts(&values)?, reply);
            Ok(())
        }
        Merge::Info => {
            reply.verbatim(&merge_info(&texts(&values)?));
            Ok(())
        }
        Merge::FirstFound => {
            let found = values.iter().position(|value| *value != Value::Null);
            reply.raw(parts.get(found.unwrap_or(0)).ok_or(Malformed)?);
            Ok(())
        }
    }
}

fn sum(values: &[Value<'_>], reply: &mut Reply<'_>) -> Result<(), Malformed> {
    let mut total = 0_i64;
    for value in values {
        let Value::Integer(part) = value else { return Err(Malformed) };
        total = total.checked_add(*part).ok_or(Malformed)?;
    }
    reply.integer(total);
    Ok(())
}

fn least(values: &[Value<'_>], reply: &mut Reply<'_>) -> Result<(), Malformed> {
    let mut least = None;
    for value in values {
        let Value::Integer(part) = value else { return Err(Malformed) };
        least = Some(least.map_or(*part, |least: i64| least.min(*part)));
    }
    reply.integer(least.ok_or(Malformed)?);
    Ok(())
}

fn killed(values: &[Value<'_>], reply: &mut Reply<'_>) -> Result<(), Malformed> {
    let mut count = 0;
    for value in values {
        let Value::Integer(part) = value else { return Err(Malformed) };
        count |= part;
    }
    if count == 0 {
        reply.error(NO_SUCH_CLIENT);
    } else {
        reply.ok();
    }
    Ok(())
}

fn lines(texts: &[&str], reply: &mut Reply<'_>) {
    let mut lines: Vec<&str> = texts.iter().flat_map(|text| text.lines()).collect();
    lines.sort_by_key(|line| number_of(line));
    let mut text = String::new();
    for line in lines {
        text.push_str(line);
        text.push('\n');
    }
    reply.verbatim(&text);
}

fn texts<'a>(values: &[Value<'a>]) -> Result<Vec<&'a str>, Malformed> {
    let texts = values.iter().map(|value| match value {
        Value::Bulk(text) | Value::Verbatim(_, text) => {
            core::str::from_utf8(text).map_err(|_| Malformed)
        }
        _ => Err(Malformed),
    });
    texts.collect()
}

/// The first number in a line.
fn number_of(line: &str) -> u64 {
    let digits = line.trim_start_matches(|letter: char| !letter.is_ascii_digit());
    let end = digits.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(digits.len());
    digits[..end].parse().unwrap_or(0)
}

fn arrays(values: Vec<Value<'_>>) -> Result<Vec<Items<'_>>, Malformed> {
    let items = values.into_iter().map(|value| match value {
        Value::Array(items) | Value::Set(items) => Ok(items),
        _ => Err(Malformed),
    });
    items.collect()
}

fn by_key(
    mut parts: Vec<Items<'_>>,
    order: impl Iterator<Item = usize>,
    reply: &mut Reply<'_>,
) -> Result<(), Malformed> {
    let mut found = Vec::new();
    for part in order {
        found.push(parts.get_mut(part).and_then(Items::next_encoded).ok_or(Malformed)?);
    }
    if parts.iter().any(|items| !items.is_empty()) {
        return Err(Malformed);
    }
    reply.array(found.len());
    for item in found {
        reply.raw(item);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use alloc::string::String;

    use super::*;
    use crate::resp::Proto;

    fn check(how: Merge, parts: &[&str], order: &[usize], wanted: Result<&str, Malformed>) {
        let parts: Vec<&[u8]> = parts.iter().map(|part| part.as_bytes()).collect();
        let mut out = Vec::new();
        let mut reply = Reply::new(&mut out, Proto::Resp2);
        let merged = merge(how, &parts, order.iter().copied(), &mut reply);
        let text = String::from_utf8(out).expect("text");
        assert_eq!(merged.map(|()| text.clone()), wanted.map(String::from));
        assert!(merged.is_ok() || text.is_empty(), "nothing is said of what is malformed");
    }

    #[test]
    fn parts_become_one_answer() {
        check(Merge::Sum, &[":1\r\n", ":0\r\n", ":12\r\n"], &[], Ok(":13\r\n"));
        check(Merge::Least, &[":2\r\n", ":1\r\n", ":12\r\n"], &[], Ok(":1\r\n"));
        check(Merge::AllOk, &["+OK\r\n", "+OK\r\n"], &[], Ok("+OK\r\n"));
        let lists = ["*2\r\n$1\r\na\r\n$-1\r\n", "*0\r\n", "*1\r\n$1\r\nb\r\n"];
        let all = Ok("*3\r\n$1\r\na\r\n$-1\r\n$1\r\nb\r\n");
        check(Merge::Concat, &lists, &[], all);
        let mixed = Ok("*3\r\n$1\r\na\r\n$1\r\nb\r\n$-1\r\n");
        check(Merge::ByKey, &lists, &[0, 2, 0], mixed);
    }

    #[test]
    fn parts_of_one_node_become_one_answer() {
        check(Merge::Killed, &[":0\r\n", ":2\r\n"], &[], Ok("+OK\r\n"));
        check(Merge::Killed, &[":0\r\n", ":0\r\n"], &[], Ok("-ERR No such client\r\n"));
        let lists = ["$21\r\nid=7 name=\nid=12 x=1\n\r\n", "$0\r\n\r\n", "$7\r\nid=9 y\n\r\n"];
        let ordered = "$28\r\nid=7 name=\nid=9 y\nid=12 x=1\n\r\n";
        check(Merge::Lines, &lists, &[], Ok(ordered));
        check(Merge::Lines, &[":1\r\n"], &[], Err(Malformed));
    }

    #[test]
    fn an_error_of_a_part_is_the_answer() {
        let error = "-CLUSTERDOWN no\r\n";
        for how in [Merge::Sum, Merge::AllOk, Merge::Concat, Merge::ByKey] {
            check(how, &[error], &[], Ok(error));
        }
        check(Merge::Sum, &[":1\r\n", error], &[], Ok(error));
    }

    #[test]
    fn parts_that_do_not_fit_are_malformed() {
        check(Merge::Sum, &["+OK\r\n"], &[], Err(Malformed));
        check(Merge::Sum, &[":1\r\n:2\r\n"], &[], Err(Malformed));
        check(Merge::Sum, &[":1"], &[], Err(Malformed));
        check(Merge::Least, &["+OK\r\n"], &[], Err(Malformed));
        check(Merge::AllOk, &["+QUEUED\r\n"], &[], Err(Malformed));
        check(Merge::Concat, &[":1\r\n"], &[], Err(Malformed));
        check(Merge::ByKey, &["*1\r\n:1\r\n"], &[], Err(Malformed));
        check(Merge::ByKey, &["*1\r\n:1\r\n"], &[0, 0], Err(Malformed));
        check(Merge::ByKey, &["*1\r\n:1\r\n"], &[1], Err(Malformed));
    }
}
