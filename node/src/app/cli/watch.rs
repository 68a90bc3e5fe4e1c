//! `driftless cli --watch`: every change of the keys that match, as it comes, each once and in order.

use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::time::Duration;

use driftless::answer::is_for_now;
use driftless::clock;
use serde_json::json;

use super::super::resp::{Answer, Connection};
use super::super::show;

/// Between two looks at the partitions.
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// What a server says of a partition that it does not have.
const NO_PARTITION: &str = "ERR no such partition";
/// How the error begins that says that changes are remembered no more.
const GONE: &str = "GONE ";

/// A change of a key.
struct Change {
    what: String,
    key: Vec<u8>,
    /// None: it is gone, or too large to be told.
    value: Option<Vec<u8>>,
    ends_at: Option<i64>,
}

/// Shows changes until it is broken off. A connection that is lost is made anew, and nothing is missed by that.
pub(super) fn run(
    mut connect: impl FnMut() -> io::Result<Connection>,
    pattern: &str,
    as_json: bool,
) -> io::Result<()> {
    let mut connection = connect()?;
    let mut places = begin(&mut connection, pattern)?;
    loop {
        let mut news = false;
        for (at, place) in places.iter_mut().enumerate() {
            match look(&mut connection, at, place, pattern, as_json) {
                Ok(more) => news |= more,
                Err(error) if is_lost(&error) => {
                    eprintln!("Error: {error}: connects again");
                    while let Err(error) = connect().map(|fresh| connection = fresh) {
                        if !is_lost(&error) {
                            return Err(error);
                        }
                        std::thread::sleep(LOOK_EVERY);
                    }
                }
                Err(error) => return Err(error),
            }
        }
        if !news {
            std::thread::sleep(LOOK_EVERY);
        }
    }
}

/// Whether an error is one of the connection, or of a server that lets nobody in just now; others are the server's, or
/// those of whoever reads what is shown.
fn is_lost(error: &io::Error) -> bool {
    match error.kind() {
        io::ErrorKind::Other => is_for_now(&error.to_string()),
        kind => kind != io::ErrorKind::BrokenPipe,
    }
}

/// Where each partition is now.
fn begin(connection: &mut Connection, pattern: &str) -> io::Result<Vec<Option<i64>>> {
    let mut places = Vec::new();
    loop {
        let partition = (places.len() + 1).to_string();
        match connection.call(&["CHANGES", &partition, "$", "MATCH", pattern])? {
            Answer::Error(text) if text == NO_PARTITION => return Ok(places),
            Answer::Error(text) if is_for_now(&text) => std::thread::sleep(LOOK_EVERY),
            answer => places.push(Some(told(answer)?.0)),
        }
    }
}

/// Asks one partition for what has changed, and shows it. Whether there may be more.
fn look(
    connection: &mut Connection,
    at: usize,
    place: &mut Option<i64>,
    pattern: &str,
    as_json: bool,
) -> io::Result<bool> {
    let partition = (at + 1).to_string();
    let from = place.map_or_else(|| "$".to_owned(), |place| place.to_string());
    match connection.call(&["CHANGES", &partition, &from, "MATCH", pattern])? {
        Answer::Error(text) if is_for_now(&text) => Ok(false),
        Answer::Error(text) if text.starts_with(GONE) => {
            eprintln!("partition {partition}: {text}: goes on with what comes now");
            *place = None;
            Ok(true)
        }
        answer => {
            let (next, changes) = told(answer)?;
            *place = Some(next);
            for change in &changes {
                print(change, as_json)?;
            }
            Ok(!changes.is_empty())
        }
    }
}

/// The place to ask from next, and the changes before it.
fn told(answer: Answer) -> io::Result<(i64, Vec<Change>)> {
    let strange = || io::Error::other("the server does not tell changes as it should");
    let parts = match answer {
        Answer::Array(parts) => parts,
        Answer::Error(text) => return Err(io::Error::other(text)),
        _ => return Err(strange()),
    };
    let [Answer::Integer(next), Answer::Array(changes)] = &parts[..] else { return Err(strange()) };
    let change = |answer: &Answer| match answer {
        Answer::Array(fields) => match &fields[..] {
            [_, Answer::Bulk(what), Answer::Bulk(key), value, Answer::Integer(ends_at)] => {
                Some(Change {
                    what: String::from_utf8_lossy(what).into_owned(),
                    key: key.clone(),
                    value: match value {
                        Answer::Bulk(value) => Some(value.clone()),
                        _ => None,
                    },
                    ends_at: (*ends_at >= 0).then_some(*ends_at),
                })
            }
            _ => None,
        },
        _ => None,
    };
    let changes: Option<Vec<_>> = changes.iter().map(change).collect();
    Ok((*next, changes.ok_or_else(strange)?))
}

/// One line for a change: when it was seen, in seconds since 1970, and what it is.
fn print(change: &Change, as_json: bool) -> io::Result<()> {
    let seen = clock::wall().0;
    let mut line = if as_json {
        let text = |bytes: &Vec<u8>| String::from_utf8_lossy(bytes).into_owned();
        json!({
            "seen_ms": seen,
            "change": change.what,
            "key": text(&change.key),
            "value": change.value.as_ref().map(text),
            "ends_at_ms": change.ends_at,
        })
        .to_string()
    } else {
        let mut line = format!(
            "{}.{:03} {} {}",
            seen / 1_000,
            seen % 1_000,
            change.what,
            show::quoted(&change.key)
        );
        if let Some(value) = &change.value {
            line.push(' ');
            line.push_str(&show::quoted(value));
        }
        if let Some(ends_at) = change.ends_at {
            let _ = write!(line, " until {ends_at}");
        }
        line
    };
    line.push('\n');
    let mut out = io::stdout().lock();
    out.write_all(line.as_bytes())?;
    out.flush()
}
