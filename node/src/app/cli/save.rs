//! `driftless cli --save FILE`: all keys into a file of commands that make them anew, for `--load`, here or at a real Redis.
//!
//! Invariant: the file has its name only once all of it is there and on the disk. Each key is saved as it was at one
//! moment while the save went on; one that was there all the time is in the file.

use std::fs::{self, File};
use std::io::{self, BufWriter};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use driftless::answer::put_command;
use driftless_core::ids::KEYSPACES;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;

use super::super::resp::{Answer, Connection};

/// Keys that are asked for at a time, about.
const PAGE: &str = "1000";
/// Bytes of commands that are sent before their answers are taken: so few that they find room while no answer is taken.
const SENT_BYTES: usize = 16 << 10;
/// How often a key is asked for whose deadline changes while it is looked at.
const TRIES: u32 = 100;

/// A key with its value and its deadline, if it has one.
struct Entry {
    key: Vec<u8>,
    value: Vec<u8>,
    ends_at: Option<i64>,
}

/// Saves all keyspaces to a file; `-` is the standard output. The exit code tells whether all went well.
pub(super) fn run(mut connection: Connection, path: &Path, as_json: bool) -> ExitCode {
    let to_stdout = path.as_os_str() == "-";
    let outcome = if to_stdout {
        save(&mut connection, &mut BufWriter::new(io::stdout().lock()))
    } else {
        save_as(&mut connection, path)
    };
    match outcome {
        Ok(keys) => {
            if as_json && !to_stdout {
                println!("{}", json!({"keys": keys}));
            } else if !to_stdout {
                println!("{keys} keys are saved in {}", path.display());
            }
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("Error: {}: {error}", path.display());
            ExitCode::FAILURE
        }
    }
}

/// Writes beside the file, and gives it its name at the end.
fn save_as(connection: &mut Connection, path: &Path) -> io::Result<u64> {
    let mut draft = path.as_os_str().to_owned();
    draft.push(".part");
    let draft = PathBuf::from(draft);
    let written = write_to(connection, &draft).and_then(|keys| {
        fs::rename(&draft, path)?;
        let directory = path.parent().filter(|directory| !directory.as_os_str().is_empty());
        File::open(directory.unwrap_or(Path::new(".")))?.sync_all()?;
        Ok(keys)
    });
    if written.is_err() {
        let _ = fs::remove_file(&draft);
    }
    written
}

fn write_to(connection: &mut Connection, draft: &Path) -> io::Result<u64> {
    let mut out = BufWriter::new(File::create(draft)?);
    let keys = save(connection, &mut out)?;
    out.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()?;
    Ok(keys)
}

fn save(connection: &mut Connection, out: &mut impl io::Write) -> io::Result<u64> {
    let bar = ProgressBar::no_length();
    let style = "{spinner} {human_pos} keys  {per_sec}";
    bar.set_style(ProgressStyle::with_template(style).expect("a template that is right stays so"));
    for keyspace in 0..KEYSPACES {
        let select = vec![b"SELECT".to_vec(), keyspace.to_string().into_bytes()];
        refused(connection.call(&select)?)?;
        let mut begun = false;
        let mut cursor = b"0".to_vec();
        loop {
            let (next, keys) = page(connection, &cursor)?;
            for entry in entries(connection, keys)? {
                if !begun {
                    begun = true;
                    write_command(out, &select)?;
                }
                write_entry(out, &entry)?;
                bar.inc(1);
            }
            cursor = next;
            if cursor == b"0" {
                break;
            }
        }
    }
    out.flush()?;
    let keys = bar.position();
    bar.finish_and_clear();
    Ok(keys)
}

/// The next keys, and where to go on.
fn page(connection: &mut Connection, cursor: &[u8]) -> io::Result<(Vec<u8>, Vec<Vec<u8>>)> {
    let answer = connection.call(&[b"SCAN", cursor, b"COUNT", PAGE.as_bytes()])?;
    let Answer::Array(parts) = refused(answer)? else { return Err(strange()) };
    let Ok([Answer::Bulk(next), Answer::Array(keys)]) = <[Answer; 2]>::try_from(parts) else {
        return Err(strange());
    };
    let key = |answer| match answer {
        Answer::Bulk(key) => Ok(key),
        _ => Err(strange()),
    };
    Ok((next, keys.into_iter().map(key).collect::<io::Result<_>>()?))
}

/// What the keys hold; those that are gone by now are left out.
fn entries(connection: &mut Connection, keys: Vec<Vec<u8>>) -> io::Result<Vec<Entry>> {
    let mut found = Vec::with_capacity(keys.len());
    let mut left = keys;
    for _ in 0..TRIES {
        let mut again = Vec::new();
        while !left.is_empty() {
            let mut bytes = 0;
            let fits = left.iter().take_while(|key| {
                bytes += 3 * key.len() + 100;
                bytes <= SENT_BYTES
            });
            let rest = left.split_off(fits.count().max(1));
            look(connection, std::mem::replace(&mut left, rest), &mut found, &mut again)?;
        }
        if again.is_empty() {
            return Ok(found);
        }
        left = again;
    }
    Err(io::Error::other("the deadline of a key changes faster than it can be read"))
}

/// Reads the value between two looks at the deadline: if both are the same, the value had it.
fn look(
    connection: &mut Connection,
    keys: Vec<Vec<u8>>,
    found: &mut Vec<Entry>,
    again: &mut Vec<Vec<u8>>,
) -> io::Result<()> {
    let commands = keys.iter().flat_map(|key| {
        [[b"PEXPIRETIME", &key[..]], [b"GET".as_slice(), key], [b"PEXPIRETIME", key]]
    });
    let mut answers = connection.call_all(commands)?.into_iter();
    let mut next = || refused(answers.next().ok_or_else(strange)?);
    for key in keys {
        match (next()?, next()?, next()?) {
            (Answer::Integer(before), Answer::Bulk(value), Answer::Integer(after))
                if before == after && after >= -1 =>
            {
                found.push(Entry { key, value, ends_at: (after >= 0).then_some(after) });
            }
            // It was not there at one of three moments, the value's among them or not.
            (_, Answer::Null, _) => (),
            (Answer::Integer(_), Answer::Bulk(_), Answer::Integer(_)) => again.push(key),
            _ => return Err(strange()),
        }
    }
    Ok(())
}

fn write_entry(out: &mut impl io::Write, entry: &Entry) -> io::Result<()> {
    let mut command = vec![b"SET".to_vec(), entry.key.clone(), entry.value.clone()];
    if let Some(at) = entry.ends_at {
        command.extend([b"PXAT".to_vec(), at.to_string().into_bytes()]);
    }
    write_command(out, &command)
}

fn write_command(out: &mut impl io::Write, command: &[Vec<u8>]) -> io::Result<()> {
    let mut bytes = Vec::new();
    put_command(&mut bytes, command);
    out.write_all(&bytes)
}

/// An answer; one that is an error is one.
fn refused(answer: Answer) -> io::Result<Answer> {
    match answer {
        Answer::Error(text) => Err(io::Error::other(text)),
        answer => Ok(answer),
    }
}

fn strange() -> io::Error {
    io::Error::other("the server does not answer as it should")
}
