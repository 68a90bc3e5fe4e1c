//! CONFIG: a table of the settings that software asks for, most of which mean little here.

use alloc::string::{String, ToString as _};
use alloc::vec::Vec;

use crate::command::connection::Effect;
use crate::command::glob;
use crate::resp::{Args, Reply};

/// The largest whole number that a setting may be.
const MOST_NUMBER: i64 = i32::MAX as i64;

/// A setting as CONFIG shows it.
#[derive(Debug)]
struct Parameter {
    name: &'static str,
    /// Another name for the same.
    alias: &'static str,
    value: &'static str,
    kind: Kind,
}

/// What a setting may be set to.
#[derive(Clone, Copy, Debug)]
enum Kind {
    /// Nothing else than it is.
    Fixed,
    /// Anything.
    Text,
    /// A whole number, not below this one.
    Number(i64),
    /// Bytes: a number, possibly with a unit, and not below this one.
    Memory(u64),
    /// `yes` or `no`.
    Switch,
    /// One of these words.
    Choice(&'static [&'static str]),
}

const fn row(name: &'static str, value: &'static str, kind: Kind) -> Parameter {
    Parameter { name, alias: "", value, kind }
}

const fn named_twice(
    name: &'static str,
    alias: &'static str,
    value: &'static str,
    kind: Kind,
) -> Parameter {
    Parameter { name, alias, value, kind }
}

/// All settings, by name. Those of `TAKE_EFFECT` change what the node does; the others that are not fixed are only kept for
/// whoever asks again, because software sets them without being asked and would not go on otherwise.
static PARAMETERS: [Parameter; 39] = [
    row("activedefrag", "no", Kind::Switch),
    row("activerehashing", "yes", Kind::Switch),
    row("aof-use-rdb-preamble", "yes", Kind::Switch),
    row("appendfsync", "always", Kind::Fixed),
    row("appendonly", "yes", Kind::Fixed),
    row("bind", "", Kind::Fixed),
    row("client-output-bytes", "268435456", Kind::Memory(1 << 20)),
    row("client-query-buffer-limit", "1073741824", Kind::Memory(0)),
    row("cluster-enabled", "no", Kind::Fixed),
    row("databases", "16", Kind::Fixed),
    row("dbfilename", "", Kind::Fixed),
    row("dir", "", Kind::Fixed),
    row("hz", "10", Kind::Number(0)),
    row("io-threads", "1", Kind::Fixed),
    row("latency-monitor-threshold", "0", Kind::Number(0)),
    row("lazyfree-lazy-expire", "no", Kind::Switch),
    row("lazyfree-lazy-user-del", "no", Kind::Switch),
    row("list-max-listpack-size", "-2", Kind::Text),
    row("lfu-decay-time", "1", Kind::Number(0)),
    row("loglevel", "notice", Kind::Choice(&["debug", "verbose", "notice", "warning", "nothing"])),
    row("maxclients", "10000", Kind::Number(1)),
    row("maxmemory", "0", Kind::Memory(0)),
    row("maxmemory-policy", "noeviction", Kind::Choice(&["noeviction"])),
    row("maxmemory-samples", "5", Kind::Number(0)),
    row("min-replicas-max-lag", "10", Kind::Number(0)),
    row("min-replicas-to-write", "0", Kind::Number(0)),
    row("notify-keyspace-events", "", Kind::Text),
    row("port", "", Kind::Fixed),
    row("proto-max-bulk-len", "536870912", Kind::Fixed),
    row("protected-mode", "no", Kind::Switch),
    named_twice("replica-read-only", "slave-read-only", "yes", Kind::Switch),
    named_twice("replica-serve-stale-data", "slave-serve-stale-data", "yes", Kind::Switch),
    row("requirepass", "", Kind::Fixed),
    row("save", "", Kind::Text),
    row("slowlog-log-slower-than", "-1", Kind::Text),
    row("slowlog-max-len", "128", Kind::Number(0)),
    row("stop-writes-on-bgsave-error", "yes", Kind::Switch),
    row("tcp-keepalive", "300", Kind::Number(0)),
    row("timeout", "0", Kind::Number(0)),
];

/// The settings that change what a node does while it runs.
const TAKE_EFFECT: [&str; 4] = ["client-output-bytes", "loglevel", "maxclients", "timeout"];

/// What settings have been set to.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    changed: Vec<(usize, String)>,
}

/// New values of settings, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Changes(Vec<(usize, String)>);

impl Settings {
    /// The value of a setting, if there is one of that name.
    pub fn value(&self, name: &str) -> Option<&str> {
        find(name.as_bytes()).map(|at| self.at(at))
    }

    /// The value of a setting that is a number; 0 if it is none.
    pub fn number(&self, name: &str) -> u64 {
        self.value(name).and_then(|text| text.parse().ok()).unwrap_or(0)
    }

    /// Takes new values.
    pub fn apply(&mut self, changes: &Changes) {
        for (at, value) in &changes.0 {
            self.put(*at, value.clone());
        }
    }

    /// Sets what whoever configures the server knows, whether or not CONFIG SET may change it.
    /// Panics if there is no setting of that name.
    pub fn define(&mut self, name: &str, value: &str) {
        let at = find(name.as_bytes()).expect("only settings of the table are defined");
        self.put(at, value.to_string());
    }

    fn put(&mut self, at: usize, value: String) {
        match self.changed.iter_mut().find(|(there, _)| *there == at) {
            Some((_, old)) => *old = value,
            None => self.changed.push((at, value)),
        }
    }

    fn at(&self, at: usize) -> &str {
        let changed = self.changed.iter().find(|(there, _)| *there == at);
        changed.map_or(PARAMETERS[at].value, |(_, value)| value)
    }
}

impl Changes {
    /// Each setting that changes what the node does, by its name, and what it is to be.
    pub fn named(&self) -> impl Iterator<Item = (&'static str, String)> {
        let named = self.0.iter().map(|(at, value)| (PARAMETERS[*at].name, value.clone()));
        named.filter(|(name, _)| TAKE_EFFECT.contains(name))
    }
}

fn find(name: &[u8]) -> Option<usize> {
    PARAMETERS.iter().position(|row| {
        row.name.as_bytes().eq_ignore_ascii_case(name)
            || (!row.alias.is_empty() && row.alias.as_bytes().eq_ignore_ascii_case(name))
    })
}

/// CONFIG GET pattern [pattern ...].
pub(super) fn get(args: &Args<'_>, settings: &Settings, reply: &mut Reply<'_>) {
    let wanted = |name: &str| {
        !name.is_empty()
            && args.iter().skip(2).any(|pattern| glob::matches(pattern, name.as_bytes(), true))
    };
    let mut found = Vec::new();
    for (at, row) in PARAMETERS.iter().enumerate() {
        for name in [row.name, row.alias] {
            if wanted(name) {
                found.push((name, settings.at(at)));
            }
        }
    }
    reply.map(found.len());
    for (name, value) in found {
        reply.bulk(name.as_bytes());
        reply.bulk(value.as_bytes());
    }
}

/// CONFIG SET parameter value [parameter value ...]: all of them or none.
pub(super) fn set(args: &Args<'_>, reply: &mut Reply<'_>) -> Effect {
    if args.len() % 2 == 1 {
        reply.error("ERR syntax error");
        return Effect::None;
    }
    let mut changes: Vec<(usize, String)> = Vec::new();
    for pair in 1..args.len() / 2 {
        let (name, value) = (args.at(2 * pair), args.at(2 * pair + 1));
        let Some(at) = find(name) else {
            reply.error_bytes(&[
                b"ERR Unknown option or number of arguments for CONFIG SET - '",
                name,
                b"'",
            ]);
            return Effect::None;
        };
        let checked = if changes.iter().any(|(there, _)| *there == at) {
            Err("duplicate parameter".to_string())
        } else {
            check_value(PARAMETERS[at].kind, value)
        };
        match checked {
            Ok(value) => changes.push((at, value)),
            Err(why) => {
                reply.error_bytes(&[
                    b"ERR CONFIG SET failed (possibly related to argument '",
                    name,
                    b"') - ",
                    why.as_bytes(),
                ]);
                return Effect::None;
            }
        }
    }
    reply.ok();
    Effect::SetConfig(Changes(changes))
}

fn check_value(kind: Kind, value: &[u8]) -> Result<String, String> {
    let text = core::str::from_utf8(value).map_err(|_| "argument must be text")?;
    let found = match kind {
        Kind::Fixed => return Err("can't set immutable config".to_string()),
        Kind::Text => text.to_string(),
        Kind::Number(least) => match text.parse::<i64>() {
            Ok(number) if (least..=MOST_NUMBER).contains(&number) => number.to_string(),
            Ok(_) => {
                return Err(alloc::format!(
                    "argument must be between {least} and {MOST_NUMBER} inclusive"
                ));
            }
            Err(_) => return Err("argument couldn't be parsed into an integer".to_string()),
        },
        Kind::Memory(least) => match memory(text).ok_or("argument must be a memory value")? {
            bytes if bytes < least => {
                return Err(alloc::format!("argument must be at least {least} bytes"));
            }
            bytes => bytes.to_string(),
        },
        Kind::Switch if text.eq_ignore_ascii_case("yes") => "yes".to_string(),
        Kind::Switch if text.eq_ignore_ascii_case("no") => "no".to_string(),
        Kind::Switch => return Err("argument must be 'yes' or 'no'".to_string()),
        Kind::Choice(words) => {
            let Some(&word) = words.iter().find(|word| word.eq_ignore_ascii_case(text)) else {
                let words = words.join(", ");
                return Err(alloc::format!("argument(s) must be one of the following: {words}"));
            };
            word.to_string()
        }
    };
    Ok(found)
}

/// A number of bytes with Redis's units: `1k` is 1000, `1kb` is 1024.
fn memory(text: &str) -> Option<u64> {
    let digits = text.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let unit = match unit.to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "k" => 1_000,
        "kb" => 1 << 10,
        "m" => 1_000_000,
        "mb" => 1 << 20,
        "g" => 1_000_000_000,
        "gb" => 1 << 30,
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(unit)
}
