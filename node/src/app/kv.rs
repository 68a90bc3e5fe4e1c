//! `driftless cli --servers`: a client that speaks JSON lines, and shows server by server
//! what each of them holds.

use std::fmt::Write as _;
use std::io::{self, BufRead as _, BufReader, IsTerminal as _, Write as _};
use std::time::Duration;

use driftless::gate::Login;
use serde_json::{Value, json};

use super::prompt::{Prompt, Word};
use super::secure::{Link, Secure};

/// Lines around a title, and around a server.
const WIDE: &str = "======================================================================";
const NARROW: &str = "=============================================================";

/// What a line may begin with.
const WORDS: [(&str, &str); 8] = [
    ("set", "key value"),
    ("get", "key"),
    ("del", "key"),
    ("expire", "key seconds"),
    ("keys", "[server]"),
    ("stats", "[server]"),
    ("servers", ""),
    ("exit", ""),
];

/// How often, and how.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Retries {
    /// Tries after the first.
    pub(crate) count: u32,
    /// Between two tries.
    pub(crate) delay: Duration,
    /// How long a try may take.
    pub(crate) patience: Duration,
}

/// The client.
struct Client {
    servers: Vec<String>,
    retries: Retries,
    /// One for each server, once it was needed.
    connections: Vec<Option<BufReader<Link>>>,
    secure: Secure,
    login: Option<Login>,
    /// Whether answers are shown as they came.
    json: bool,
    colours: bool,
}

/// Runs until its input ends, or says so. Whether all went well.
pub(crate) fn run(
    servers: &[String],
    retries: Retries,
    secure: &Secure,
    login: Option<Login>,
    json: bool,
) -> bool {
    let connections = servers.iter().map(|_| None).collect();
    let colours = io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    let servers = servers.to_vec();
    let secure = secure.clone();
    let mut client = Client { servers, retries, connections, secure, login, json, colours };
    let words = WORDS.map(|(name, usage)| Word { name: name.to_owned(), usage: usage.to_owned() });
    let mut prompt = Prompt::new("kv> ", words.to_vec(), Box::new(|_| Vec::new()));
    if prompt.is_terminal() {
        say(&client.banner());
    }
    let mut well = true;
    while let Some(line) = prompt.line() {
        let words: Vec<_> = line.trim().splitn(3, char::is_whitespace).collect();
        match words.as_slice() {
            [""] => (),
            ["exit" | "quit"] => {
                say("Goodbye!\n");
                break;
            }
            words => {
                let (text, done) = client.answer(words);
                well &= done;
                say(&format!("{text}\n"));
            }
        }
    }
    well
}

/// A pipe that is closed at its other end has heard enough.
fn say(text: &str) {
    let mut out = io::stdout().lock();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

impl Client {
    fn banner(&self) -> String {
        format!(
            "{WIDE}\n              DISTRIBUTED KEY-VALUE STORE CLIENT\n{WIDE}\nServers: {} nodes\n\
             Sharding: Enabled (Consistent Hashing)\nFault Tolerance: {} retries\n{WIDE}\n\n",
            self.servers.len(),
            self.retries.count
        )
    }

    /// What a line comes to, and whether it was done.
    fn answer(&mut self, words: &[&str]) -> (String, bool) {
        let command = words[0].to_ascii_lowercase();
        match (command.as_str(), &words[1..]) {
            ("set", [key, value]) => {
                self.on_key(key, &json!({"command": "SET", "key": key, "value": value}))
            }
            ("get", [key]) => self.on_key(key, &json!({"command": "GET", "key": key})),
            ("del", [key]) => self.on_key(key, &json!({"command": "DELETE", "key": key})),
            ("expire", [key, seconds]) => match seconds.parse::<f64>() {
                Ok(ttl) => self.on_key(key, &json!({"command": "EXPIRE", "key": key, "ttl": ttl})),
                Err(_) => (format!("{seconds:?} is not a number of seconds\n"), false),
            },
            ("keys" | "stats", []) => {
                let (mut text, mut well) = (String::new(), true);
                for at in 0..self.servers.len() {
                    let port = self.servers[at].rsplit(':').next().unwrap_or_default();
                    let _ = writeln!(text, "{NARROW}\nServer {} (Port {port})\n{NARROW}", at + 1);
                    let (section, done) = self.on_server(at, &command);
                    text += &section;
                    text.push('\n');
                    well &= done;
                }
                text.pop();
                (text, well)
            }
            ("keys" | "stats", [server]) => match server.parse::<usize>() {
                Ok(number) if (1..=self.servers.len()).contains(&number) => {
                    self.on_server(number - 1, &command)
                }
                _ => (format!("There is no server {server}\n"), false),
            },
            ("servers", []) => (self.describe(), true),
            _ => match WORDS.iter().find(|(name, _)| *name == command) {
                Some((name, usage)) => (format!("Usage: {name} {usage}\n"), false),
                None => (format!("Unknown command: {}\n", words[0]), false),
            },
        }
    }

    fn describe(&self) -> String {
        let mut text = format!("{WIDE}\nSERVER CONFIGURATION\n{WIDE}\n");
        for (at, server) in self.servers.iter().enumerate() {
            let _ = writeln!(text, "Server {}: {server}", at + 1);
        }
        let Retries { count, delay, .. } = self.retries;
        let _ = writeln!(
            text,
            "Total Servers: {}\nSharding: Enabled (Consistent Hashing)\n\
             Retry Policy: {count} retries with {}s delay\n{WIDE}",
            self.servers.len(),
            delay.as_secs_f64()
        );
        text
    }

    /// Asks for a key: any server will do, so a try that fails is followed by one at the next server.
    fn on_key(&mut self, key: &str, request: &Value) -> (String, bool) {
        let first = key.bytes().map(usize::from).sum::<usize>() % self.servers.len();
        self.ask(first, 1, request)
    }

    /// Asks one server.
    fn on_server(&mut self, at: usize, command: &str) -> (String, bool) {
        self.ask(at, 0, &json!({"command": command.to_ascii_uppercase()}))
    }

    fn ask(&mut self, first: usize, step: usize, request: &Value) -> (String, bool) {
        let mut at = first;
        for attempt in 0..=self.retries.count {
            match self.exchange(at, request) {
                Ok(answer) => {
                    let text = if self.json { format!("{answer}\n") } else { self.shown(&answer) };
                    return (text, answer["status"] == "success");
                }
                Err(_) if attempt < self.retries.count => {
                    let (count, next) = (self.retries.count, attempt + 1);
                    say(&format!(
                        "[RETRY] Server {} failed, retrying... ({next}/{count})\n",
                        at + 1
                    ));
                    std::thread::sleep(self.retries.delay);
                    at = (at + step) % self.servers.len();
                }
                Err(_) => (),
            }
        }
        let (server, count) = (first + 1, self.retries.count);
        let head = self.coloured(31, &format!("✗ ERROR (Server {server})"));
        (format!("{head}\n  Server {server} unavailable after {count} retries\n"), false)
    }

    fn exchange(&mut self, at: usize, request: &Value) -> io::Result<Value> {
        let answered = self.connect(at).and_then(|()| {
            let connection = self.connections[at].as_mut().expect("it was just connected");
            call(connection, request)
        });
        if answered.is_err() {
            self.connections[at] = None;
        }
        answered
    }

    fn connect(&mut self, at: usize) -> io::Result<()> {
        if self.connections[at].is_some() {
            return Ok(());
        }
        let (host, port) = self.servers[at].rsplit_once(':').ok_or(io::ErrorKind::InvalidInput)?;
        let port = port.parse().map_err(|_| io::ErrorKind::InvalidInput)?;
        // As addresses of IPv6 are written before a port.
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let stream = self.secure.connect(host, port, self.retries.patience)?;
        let mut connection = BufReader::new(stream);
        if let Some(Login { user, password }) = &self.login {
            let login = json!({"command": "AUTH", "user": user, "password": password});
            call(&mut connection, &login)?;
        }
        self.connections[at] = Some(connection);
        Ok(())
    }

    /// An answer for people.
    fn shown(&self, answer: &Value) -> String {
        let server = &answer["server_id"];
        let mut text = if answer["status"] == "success" {
            self.coloured(32, &format!("✓ SUCCESS (Server {server})"))
        } else {
            self.coloured(31, &format!("✗ ERROR (Server {server})"))
        };
        text.push('\n');
        let mut line = |name: &str, value: &str| {
            let _ = writeln!(text, "  {name}{value}");
        };
        if let Some(message) = answer["message"].as_str() {
            line("", message);
        }
        if let Some(value) = answer.get("value") {
            line("Key: ", &plain(&answer["key"]));
            line("Value: ", &plain(value));
        }
        match answer.get("ttl") {
            Some(Value::Null) => line("TTL: ", "No expiration"),
            Some(ttl) => line("TTL: ", &format!("{} seconds", plain(ttl))),
            None => (),
        }
        if let Some(keys) = answer["keys"].as_array() {
            let names: Vec<_> = keys.iter().map(plain).collect();
            line(&format!("Keys ({}): ", names.len()), &names.join(", "));
        }
        if let Some(stats) = answer["stats"].as_object() {
            for (name, value) in stats {
                let title = match name.as_str() {
                    "total_requests" => "Total Requests",
                    "total_keys" => "Total Keys",
                    "keys_with_ttl" => "Keys with TTL",
                    other => other,
                };
                line(&format!("{title}: "), &plain(value));
            }
        }
        text
    }

    fn coloured(&self, colour: u8, text: &str) -> String {
        if self.colours { format!("\x1b[{colour}m{text}\x1b[0m") } else { text.to_owned() }
    }
}

/// A string as it is, anything else as JSON.
fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn call(connection: &mut BufReader<Link>, request: &Value) -> io::Result<Value> {
    connection.get_mut().write_all(format!("{request}\n").as_bytes())?;
    connection.get_mut().flush()?;
    let mut line = String::new();
    if connection.read_line(&mut line)? == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    serde_json::from_str(&line).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
}
