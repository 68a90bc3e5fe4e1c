//! `driftless cli --save FILE`: all keys into a file of commands that make them anew, for `--load`, here or at a real Redis.
//!
//! Invariant: the file has its name only once all of it is there and on the disk. Each key is saved as it was at one
//! moment while the save went on; one that was there all the time is in the file.

use std::fs::{self, File};
use std::io::{self, BufWriter};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::thread::sleep;
use std::time::Duration;

use driftless::answer::{self, put_command};
use driftless_core::ids::KEYSPACES;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;

use super::super::resp::{Answer, Connection};

/// Keys that are asked for at a time, about.
const PAGE: &str = "1000";
/// Bytes of commands that are sent before their answers are taken: so few that they find room while no answer is taken.
const SENT_BYTES: usize = 16 << 10;
/// Bytes of values that are taken at a time, about: judged by the largest of the last ones.
const ANSWER_BYTES: usize = 16 << 20;
/// How often a key is asked for whose deadline changes while it is looked at, or that nobody tells of.
const TRIES: u32 = 100;
/// Until it is tried again after nobody could tell.
const PAUSE: Duration = Duration::from_millis(200);

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
    let mut largest = 0;
    for keyspace in 0..KEYSPACES {
        let select = vec![b"SELECT".to_vec(), keyspace.to_string().into_bytes()];
        refused(connection.call(&select)?)?;
        let (mut begun, mut cursor) = (false, b"0".to_vec());
        loop {
            let (next, keys) = page(connection, &cursor)?;
            let mut left = Left { keys, again: Vec::new(), tries: 0 };
            while let Some(keys) = left.next(largest)? {
                largest = 0;
                for entry in look(connection, keys, &mut left.again)? {
                    if !begun {
                        begun = true;
                        write_command(out, &select)?;
                    }
                    write_entry(out, &entry)?;
                    largest = largest.max(entry.value.len());
                    bar.inc(1);
                }
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
    let mut tries = 0;
    let answer = loop {
        let answer = connection.call(&[b"SCAN", cursor, b"COUNT", PAGE.as_bytes()])?;
        if !is_for_now(&answer) || tries == TRIES {
            break refused(answer)?;
        }
        tries += 1;
        sleep(PAUSE);
    };
    let Answer::Array(parts) = answer else { return Err(strange()) };
    let Ok([Answer::Bulk(next), Answer::Array(keys)]) = <[Answer; 2]>::try_from(parts) else {
        return Err(strange());
    };
    let key = |answer| match answer {
        Answer::Bulk(key) => Ok(key),
        _ => Err(strange()),
    };
    Ok((next, keys.into_iter().map(key).collect::<io::Result<_>>()?))
}

/// Keys that are still to be asked for.
struct Left {
    keys: Vec<Vec<u8>>,
    /// Those that have to be asked for again.
    again: Vec<Vec<u8>>,
    tries: u32,
}

impl Left {
    /// The next few, where the last values had at most `largest` bytes.
    fn next(&mut self, largest: usize) -> io::Result<Option<Vec<Vec<u8>>>> {
        if self.keys.is_empty() {
            std::mem::swap(&mut self.keys, &mut self.again);
            self.tries += 1;
        }
        if self.keys.is_empty() {
            return Ok(None);
        }
        if self.tries > TRIES {
            let why =
                "nobody tells of some keys, or their deadlines change faster than they can be read";
            return Err(io::Error::other(why));
        }
        let mut bytes = 0;
        let fits = self.keys.iter().take(ANSWER_BYTES / (largest + 1)).take_while(|key| {
            bytes += 3 * key.len() + 100;
            bytes <= SENT_BYTES
        });
        let rest = self.keys.split_off(fits.count().max(1));
        Ok(Some(std::mem::replace(&mut self.keys, rest)))
    }
}

/// What keys hold; those that are gone by now are left out. The value is read between two looks at the deadline: if both
/// are the same, the value had it.
fn look(
    connection: &mut Connection,
    keys: Vec<Vec<u8>>,
    again: &mut Vec<Vec<u8>>,
) -> io::Result<Vec<Entry>> {
    let mut found = Vec::with_capacity(keys.len());
    let commands = keys.iter().flat_map(|key| {
        [[b"PEXPIRETIME", &key[..]], [b"GET".as_slice(), key], [b"PEXPIRETIME", key]]
    });
    let mut answers = connection.call_all(commands)?.into_iter();
    let mut next = || answers.next().ok_or_else(strange);
    let mut pause = false;
    for key in keys {
        let all = (next()?, next()?, next()?);
        if [&all.0, &all.1, &all.2].into_iter().any(is_for_now) {
            pause = true;
            again.push(key);
            continue;
        }
        match (refused(all.0)?, refused(all.1)?, refused(all.2)?) {
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
    if pause {
        sleep(PAUSE);
    }
    Ok(found)
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

/// Whether an answer says that nobody can tell just now.
fn is_for_now(answer: &Answer) -> bool {
    matches!(answer, Answer::Error(text) if answer::is_for_now(text))
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
