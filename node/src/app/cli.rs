//! `driftless cli`: one command, a prompt, or the commands of a file.

mod bulk;
mod cut;
mod save;
mod watch;

use std::cell::RefCell;
use std::io::{self, IsTerminal as _, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use driftless::gate;
use driftless_core::command::spec::Argument;
use driftless_core::command::{self, Spec};

use super::kv::{self, Retries};
use super::login::Login;
use super::prompt::{Names, Prompt, Word};
use super::resp::{Answer, Connection};
use super::secure::Secure;
use super::show;

/// Steps of a scan for names that complete a line, at most.
const MOST_SCANS: usize = 100;
/// Names that complete a line, about at most.
const MOST_NAMES: usize = 100;
/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// Where to, and what.
#[derive(Debug, clap::Args)]
pub(crate) struct Cli {
    /// Show this help
    #[arg(long, action = clap::ArgAction::Help)]
    help: Option<bool>,
    /// Host of the node
    #[arg(short = 'h', long, default_value = "127.0.0.1")]
    host: String,
    /// Its port for clients
    #[arg(short = 'p', long, default_value_t = 6379)]
    port: u16,
    #[command(flatten)]
    login: Login,
    /// Number of the keyspace
    #[arg(short = 'n', default_value_t = 0)]
    keyspace: u8,
    /// Speak RESP3
    #[arg(short = '3')]
    resp3: bool,
    /// Speak JSON lines to these servers (host:port, comma separated), and show server by server what each holds
    #[arg(long, value_name = "HOST:PORT,..", value_delimiter = ',', num_args = 0..=1,
        default_missing_value = "localhost:7001,localhost:7002,localhost:7003")]
    servers: Vec<String>,
    /// With --servers: tries after the first one
    #[arg(long, default_value_t = 3, value_name = "COUNT")]
    retries: u32,
    /// With --servers: milliseconds between two tries
    #[arg(long, default_value_t = 500, value_name = "MS")]
    retry_delay_ms: u64,
    /// With --servers: milliseconds that a try may take
    #[arg(long, default_value_t = 5_000, value_name = "MS")]
    timeout_ms: u64,
    #[command(flatten)]
    secure: Secure,
    /// Show answers as JSON
    #[arg(long)]
    json: bool,
    /// Carry out the commands of a file (-: standard input), one a line or as RESP arrays, many at a time
    #[arg(long, value_name = "FILE", conflicts_with_all = ["servers", "command"])]
    load: Option<PathBuf>,
    /// Save all keys to a file (-: standard output) of commands that make them anew, as --load takes them
    #[arg(long, value_name = "FILE", conflicts_with_all = ["servers", "command", "load", "watch"])]
    save: Option<PathBuf>,
    /// Show every change of the keys whose names match a pattern, as it comes
    #[arg(long, value_name = "PATTERN", num_args = 0..=1, default_missing_value = "*",
        conflicts_with_all = ["servers", "command", "load"])]
    watch: Option<String>,
    /// The command; without one, a prompt
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    command: Vec<String>,
}

/// Runs one command, or a prompt until its input ends.
pub(crate) fn run(cli: &Cli) -> ExitCode {
    if !cli.servers.is_empty() {
        return by_lines(cli);
    }
    if let Some(pattern) = &cli.watch {
        return match watch::run(|| connect(cli), pattern, cli.json) {
            Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
                eprintln!("Error: {error}");
                ExitCode::FAILURE
            }
            _ => ExitCode::SUCCESS,
        };
    }
    let mut connection = match connect(cli) {
        Ok(connection) => connection,
        Err(error) => {
            eprintln!("Could not connect to {}:{}: {error}", cli.host, cli.port);
            return ExitCode::FAILURE;
        }
    };
    if let Some(path) = &cli.load {
        return bulk::run(connection, path, cli.json);
    }
    if let Some(path) = &cli.save {
        return save::run(connection, path, cli.json);
    }
    if cli.command.is_empty() {
        return prompt(cli, &mut connection);
    }
    match connection.call(&cli.command) {
        Ok(answer) => {
            print(&answer, cli.json);
            if matches!(answer, Answer::Error(_)) { ExitCode::FAILURE } else { ExitCode::SUCCESS }
        }
        Err(error) => {
            eprintln!("Error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn by_lines(cli: &Cli) -> ExitCode {
    let retries = Retries {
        count: cli.retries,
        delay: Duration::from_millis(cli.retry_delay_ms),
        patience: Duration::from_millis(cli.timeout_ms.max(1)),
    };
    let Login { user, password } = &cli.login;
    let login = (user.is_some() || password.is_some()).then(|| {
        gate::Login::new(user.as_deref().unwrap_or(""), password.as_deref().unwrap_or(""))
    });
    let well = kv::run(&cli.servers, retries, &cli.secure, login, cli.json);
    if well { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// What a line may begin with: the names of commands, and what may follow each.
fn words() -> Vec<Word> {
    let word = |spec: &Spec| {
        let usage: Vec<_> = spec.docs.arguments.iter().map(Argument::usage).collect();
        Word { name: spec.name.to_owned(), usage: usage.join(" ") }
    };
    command::all().map(word).collect()
}

/// Names of keys that begin with what was typed: some of them, if there are many.
fn names(cli: &Cli) -> Names {
    let connection = RefCell::new(connect(cli).ok());
    Box::new(move |begun| {
        let mut connection = connection.borrow_mut();
        let Some(connection) = connection.as_mut() else { return Vec::new() };
        let pattern = format!("{}*", begun.replace(['*', '?', '[', '\\'], "?"));
        let (mut found, mut cursor) = (Vec::new(), "0".to_owned());
        for _ in 0..MOST_SCANS {
            let scan = ["SCAN", &cursor, "MATCH", &pattern, "COUNT", "1000"];
            let Some((next, more)) = connection.call(&scan).ok().and_then(scanned) else { break };
            found.extend(more);
            cursor = next;
            if cursor == "0" || found.len() > MOST_NAMES {
                break;
            }
        }
        found.sort_unstable();
        found.dedup();
        found
    })
}

/// Where a scan goes on, and the names that are text.
fn scanned(answer: Answer) -> Option<(String, Vec<String>)> {
    let Answer::Array(parts) = answer else { return None };
    let text = |answer| match answer {
        Answer::Bulk(name) => String::from_utf8(name).ok(),
        _ => None,
    };
    let mut parts = parts.into_iter();
    let next = parts.next().and_then(text)?;
    let Answer::Array(found) = parts.next()? else { return None };
    Some((next, found.into_iter().filter_map(text).collect()))
}

fn connect(cli: &Cli) -> io::Result<Connection> {
    let mut connection = Connection::open_secure(&cli.secure, &cli.host, cli.port, PATIENCE)?;
    cli.login.greet(&mut connection)?;
    let mut greet = |command: &[&str]| match connection.call(command)? {
        Answer::Error(text) => Err(io::Error::other(text)),
        _ => Ok(()),
    };
    if cli.resp3 {
        greet(&["HELLO", "3"])?;
    }
    if cli.keyspace > 0 {
        greet(&["SELECT", &cli.keyspace.to_string()])?;
    }
    Ok(connection)
}

fn prompt(cli: &Cli, connection: &mut Connection) -> ExitCode {
    let text = format!("{}:{}> ", cli.host, cli.port);
    let mut prompt = Prompt::new(&text, words(), names(cli));
    let mut failed = false;
    while let Some(line) = prompt.line() {
        let command = match split(line.as_bytes()) {
            Some(command) if command.is_empty() => continue,
            Some(command) => command,
            None => {
                println!("Invalid argument(s)");
                continue;
            }
        };
        if is_leave(&command) {
            break;
        }
        let answered = connection.call(&command).or_else(|_| {
            *connection = connect(cli)?;
            connection.call(&command)
        });
        match answered {
            Ok(answer) => {
                failed |= matches!(answer, Answer::Error(_));
                print(&answer, cli.json);
            }
            Err(error) => {
                failed = true;
                eprintln!("Error: {error}");
            }
        }
    }
    if failed && !prompt.is_terminal() { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

fn print(answer: &Answer, json: bool) {
    let mut out = io::stdout().lock();
    let written = if json {
        out.write_all(format!("{}\n", show::json(answer)).as_bytes())
    } else if io::stdout().is_terminal() {
        out.write_all(show::typed(answer).as_bytes())
    } else {
        out.write_all(&show::bare(answer))
    };
    // A pipe that is closed at its other end has heard enough.
    let _ = written.and_then(|()| out.flush());
}

/// Whether a command is one that ends a prompt.
fn is_leave(command: &[Vec<u8>]) -> bool {
    [&b"exit"[..], b"quit"].contains(&command[0].to_ascii_lowercase().as_slice())
}

/// The words of a line: bare, in single quotes, or in double quotes with escapes. Nothing if a quote is left open.
fn split(line: &[u8]) -> Option<Vec<Vec<u8>>> {
    let mut words = Vec::new();
    let mut bytes = line.iter().copied().peekable();
    loop {
        while bytes.next_if(u8::is_ascii_whitespace).is_some() {}
        let Some(&first) = bytes.peek() else { return Some(words) };
        let mut word = Vec::new();
        match first {
            b'"' => {
                bytes.next();
                loop {
                    match bytes.next()? {
                        b'"' => break,
                        b'\\' => word.push(unescape(&mut bytes)?),
                        byte => word.push(byte),
                    }
                }
            }
            b'\'' => {
                bytes.next();
                loop {
                    match bytes.next()? {
                        b'\'' => break,
                        b'\\' if bytes.peek() == Some(&b'\'') => word.extend(bytes.next()),
                        byte => word.push(byte),
                    }
                }
            }
            _ => {
                while let Some(byte) = bytes.next_if(|byte| !byte.is_ascii_whitespace()) {
                    word.push(byte);
                }
            }
        }
        if bytes.peek().is_some_and(|byte| !byte.is_ascii_whitespace()) {
            return None;
        }
        words.push(word);
    }
}

fn unescape(bytes: &mut impl Iterator<Item = u8>) -> Option<u8> {
    Some(match bytes.next()? {
        b'n' => b'\n',
        b'r' => b'\r',
        b't' => b'\t',
        b'a' => 0x07,
        b'b' => 0x08,
        b'x' => {
            let digits = [bytes.next()?, bytes.next()?];
            u8::from_str_radix(std::str::from_utf8(&digits).ok()?, 16).ok()?
        }
        other => other,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_split_as_a_person_means_them() {
        let cases: [(&str, Option<&[&[u8]]>); 6] = [
            ("  set  a 1 ", Some(&[b"set", b"a", b"1"])),
            (r#"set a "x \"y\" \x41\n""#, Some(&[b"set", b"a", b"x \"y\" A\n"])),
            (r"set a 'it\'s'", Some(&[b"set", b"a", b"it's"])),
            ("set a \"open", None),
            ("set \"a\"b", None),
            ("", Some(&[])),
        ];
        for (line, words) in cases {
            let words =
                words.map(|words| words.iter().map(|word| word.to_vec()).collect::<Vec<_>>());
            assert_eq!(split(line.as_bytes()), words, "{line}");
        }
    }
}
