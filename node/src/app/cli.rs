//! `driftless cli`: one command, or a prompt.

use std::io::{self, BufRead as _, IsTerminal as _, Write as _};
use std::process::ExitCode;
use std::time::Duration;

use super::resp::{Answer, Connection};
use super::show;

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
    /// Password
    #[arg(short = 'a', long, env = "DRIFTLESS_PASSWORD", hide_env_values = true)]
    password: Option<String>,
    /// Number of the keyspace
    #[arg(short = 'n', default_value_t = 0)]
    keyspace: u8,
    /// Speak RESP3
    #[arg(short = '3')]
    resp3: bool,
    /// The command; without one, a prompt
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    command: Vec<String>,
}

/// Runs one command, or a prompt until its input ends.
pub(crate) fn run(cli: &Cli) -> ExitCode {
    let mut connection = match connect(cli) {
        Ok(connection) => connection,
        Err(error) => {
            eprintln!("Could not connect to {}:{}: {error}", cli.host, cli.port);
            return ExitCode::FAILURE;
        }
    };
    if cli.command.is_empty() {
        return prompt(cli, &mut connection);
    }
    match connection.call(&cli.command) {
        Ok(answer) => {
            print(&answer);
            if matches!(answer, Answer::Error(_)) { ExitCode::FAILURE } else { ExitCode::SUCCESS }
        }
        Err(error) => {
            eprintln!("Error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn connect(cli: &Cli) -> io::Result<Connection> {
    let mut connection = Connection::open(&cli.host, cli.port, PATIENCE)?;
    let mut greet = |command: &[&str]| match connection.call(command)? {
        Answer::Error(text) => Err(io::Error::other(text)),
        _ => Ok(()),
    };
    if let Some(password) = &cli.password {
        greet(&["AUTH", password])?;
    }
    if cli.resp3 {
        greet(&["HELLO", "3"])?;
    }
    if cli.keyspace > 0 {
        greet(&["SELECT", &cli.keyspace.to_string()])?;
    }
    Ok(connection)
}

fn prompt(cli: &Cli, connection: &mut Connection) -> ExitCode {
    let terminal = io::stdin().is_terminal();
    let mut failed = false;
    let mut lines = io::stdin().lock().lines();
    loop {
        if terminal {
            print!("{}:{}> ", cli.host, cli.port);
            let _ = io::stdout().flush();
        }
        let Some(Ok(line)) = lines.next() else { break };
        let command = match split(&line) {
            Some(command) if command.is_empty() => continue,
            Some(command) => command,
            None => {
                println!("Invalid argument(s)");
                continue;
            }
        };
        if [&b"exit"[..], b"quit"].contains(&command[0].to_ascii_lowercase().as_slice()) {
            break;
        }
        let answered = connection.call(&command).or_else(|_| {
            *connection = connect(cli)?;
            connection.call(&command)
        });
        match answered {
            Ok(answer) => {
                failed |= matches!(answer, Answer::Error(_));
                print(&answer);
            }
            Err(error) => {
                failed = true;
                eprintln!("Error: {error}");
            }
        }
    }
    if failed && !terminal { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

fn print(answer: &Answer) {
    let mut out = io::stdout().lock();
    let written = if io::stdout().is_terminal() {
        out.write_all(show::typed(answer).as_bytes())
    } else {
        out.write_all(&show::bare(answer))
    };
    // A pipe that is closed at its other end has heard enough.
    let _ = written.and_then(|()| out.flush());
}

/// The words of a line: bare, in single quotes, or in double quotes with escapes. Nothing if a quote is left open.
fn split(line: &str) -> Option<Vec<Vec<u8>>> {
    let mut words = Vec::new();
    let mut bytes = line.bytes().peekable();
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
            assert_eq!(split(line), words, "{line}");
        }
    }
}
