//! One set of permissions: commands, keys and channels that go together.

use alloc::vec::Vec;

use crate::command::access::Commands;
use crate::command::data::ChangesOptions;
use crate::command::glob;
use crate::command::id::CommandId;
use crate::command::spec::{KeySpec, Spec, access, flag};
use crate::resp::Args;

const SYNTAX: &str = "Syntax error";
const AFTER_ALL_KEYS: &str = "Adding a pattern after the * pattern (or the 'allkeys' flag) is not valid and does not \
                              have any effect. Try 'resetkeys' to start with an empty list of patterns";
const AFTER_ALL_CHANNELS: &str = "Adding a pattern after the * pattern (or the 'allchannels' flag) is not valid and \
                                  does not have any effect. Try 'resetchannels' to start with an empty list of \
                                  channels";

/// Why a command is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Denied {
    /// The user may not run it at all.
    Command,
    /// Not on the key that stands at this argument.
    Key(usize),
}

/// Keys that may be read, written or both.
#[derive(Clone, Debug, PartialEq, Eq)]
struct KeyPattern {
    read: bool,
    write: bool,
    glob: Vec<u8>,
}

impl KeyPattern {
    /// Whether nothing is left to allow beside it.
    fn is_everything(&self) -> bool {
        self.read && self.write && self.glob == b"*"
    }
}

/// Commands, and the keys and channels on which they may be run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Permissions {
    commands: Commands,
    keys: Vec<KeyPattern>,
    channels: Vec<Vec<u8>>,
}

impl Permissions {
    pub(super) fn none() -> Self {
        Self { commands: Commands::none(), keys: Vec::new(), channels: Vec::new() }
    }

    pub(super) fn all() -> Self {
        let any = KeyPattern { read: true, write: true, glob: b"*".to_vec() };
        let channels = alloc::vec![b"*".to_vec()];
        Self { commands: Commands::all(), keys: alloc::vec![any], channels }
    }

    /// Which commands.
    pub fn commands(&self) -> &Commands {
        &self.commands
    }

    /// Whether there is nothing that they do not permit.
    pub(super) fn is_all(&self) -> bool {
        self.commands.is_all() && self.keys.iter().any(KeyPattern::is_everything)
    }

    /// Takes one more rule.
    pub(super) fn apply(&mut self, rule: &[u8]) -> Result<(), &'static str> {
        match rule.to_ascii_lowercase().as_slice() {
            b"allcommands" => return self.commands.apply("+@all"),
            b"nocommands" => return self.commands.apply("-@all"),
            b"allkeys" => return self.add_keys(true, true, b"*"),
            b"resetkeys" => self.keys.clear(),
            b"allchannels" => return self.add_channels(b"*"),
            b"resetchannels" => self.channels.clear(),
            _ => return self.apply_signed(rule),
        }
        Ok(())
    }

    fn apply_signed(&mut self, rule: &[u8]) -> Result<(), &'static str> {
        match rule {
            [b'+' | b'-', ..] => {
                self.commands.apply(core::str::from_utf8(rule).map_err(|_| SYNTAX)?)
            }
            [b'~', glob @ ..] => self.add_keys(true, true, glob),
            [b'&', glob @ ..] => self.add_channels(glob),
            [b'%', rest @ ..] => {
                let at = rest.iter().position(|byte| *byte == b'~').ok_or(SYNTAX)?;
                let (ways, glob) = (rest[..at].to_ascii_lowercase(), &rest[at + 1..]);
                let known = !ways.is_empty() && ways.iter().all(|way| b"rw".contains(way));
                if !known {
                    return Err(SYNTAX);
                }
                self.add_keys(ways.contains(&b'r'), ways.contains(&b'w'), glob)
            }
            _ => Err(SYNTAX),
        }
    }

    fn add_keys(&mut self, read: bool, write: bool, glob: &[u8]) -> Result<(), &'static str> {
        if !is_pattern(glob) {
            return Err(SYNTAX);
        }
        if self.keys.iter().any(KeyPattern::is_everything) {
            return if glob == b"*" { Ok(()) } else { Err(AFTER_ALL_KEYS) };
        }
        match self.keys.iter_mut().find(|key| key.glob == glob) {
            Some(key) => (key.read, key.write) = (key.read || read, key.write || write),
            None => self.keys.push(KeyPattern { read, write, glob: glob.to_vec() }),
        }
        // Beside all keys no others mean anything, however that came about.
        if self.keys.iter().any(KeyPattern::is_everything) {
            self.keys.retain(KeyPattern::is_everything);
        }
        Ok(())
    }

    fn add_channels(&mut self, glob: &[u8]) -> Result<(), &'static str> {
        if !is_pattern(glob) {
            return Err(SYNTAX);
        }
        let all = self.channels.iter().any(|channel| channel == b"*");
        if all {
            return if glob == b"*" { Ok(()) } else { Err(AFTER_ALL_CHANNELS) };
        }
        if glob == b"*" {
            self.channels.clear();
        }
        if !self.channels.iter().any(|channel| channel == glob) {
            self.channels.push(glob.to_vec());
        }
        Ok(())
    }

    /// Whether a command may be run. Its number of arguments has been checked.
    pub(super) fn check(&self, spec: &Spec, args: &Args<'_>) -> Result<(), Denied> {
        if spec.has(flag::NO_AUTH) {
            return Ok(());
        }
        if !self.commands.has(spec.id) {
            return Err(Denied::Command);
        }
        for keys in spec.keys {
            let (read, write) = needs(spec, keys, args);
            for at in positions(keys, args) {
                if !self.may(args.at(at), read, write) {
                    return Err(Denied::Key(at));
                }
            }
        }
        // The changes of a partition tell of any of its keys: the glob asked for must be one that is allowed.
        if spec.id == CommandId::Changes {
            let glob = ChangesOptions::parse(args).ok().and_then(|options| options.pattern);
            let within = |key: &KeyPattern| {
                key.read && (key.glob == b"*" || glob.is_some_and(|glob| glob == key.glob))
            };
            let one = glob.is_some_and(|glob| is_plain(glob) && self.may(glob, true, false));
            if !one && !self.keys.iter().any(within) {
                return Err(Denied::Key(1));
            }
        }
        Ok(())
    }

    fn may(&self, name: &[u8], read: bool, write: bool) -> bool {
        let ways = self.keys.iter().filter(|key| (key.read || !read) && (key.write || !write));
        ways.into_iter().any(|key| glob::matches(&key.glob, name, false))
    }

    /// The rules for commands, in order.
    pub fn put_commands(&self, text: &mut Vec<u8>) {
        put_words(text, self.commands.rules().map(|rule| rule.as_bytes().to_vec()));
    }

    /// The rules for keys.
    pub fn put_keys(&self, text: &mut Vec<u8>) {
        let rules = self.keys.iter().map(|key| {
            let sign: &[u8] = match (key.read, key.write) {
                (true, true) => b"~",
                (true, false) => b"%R~",
                _ => b"%W~",
            };
            [sign, &key.glob].concat()
        });
        put_words(text, rules);
    }

    /// The rules for channels.
    pub fn put_channels(&self, text: &mut Vec<u8>) {
        put_words(text, self.channels.iter().map(|glob| [b"&", glob.as_slice()].concat()));
    }

    /// All rules.
    pub(super) fn put(&self, text: &mut Vec<u8>) {
        self.put_keys(text);
        if self.channels.is_empty() {
            put_words(text, [b"resetchannels".to_vec()].into_iter());
        } else {
            self.put_channels(text);
        }
        self.put_commands(text);
    }
}

/// Appends words, with spaces between them and before the first if something stands there already.
pub(super) fn put_words(text: &mut Vec<u8>, words: impl Iterator<Item = Vec<u8>>) {
    for word in words {
        // A selector has just begun: no word has a space in it.
        if !text.is_empty() && !text.ends_with(b" (") {
            text.push(b' ');
        }
        text.extend_from_slice(&word);
    }
}

/// Whether a glob stands for itself alone.
fn is_plain(glob: &[u8]) -> bool {
    !glob.iter().any(|byte| b"*?[\\".contains(byte))
}

fn is_pattern(glob: &[u8]) -> bool {
    !glob.iter().any(|byte| byte.is_ascii_whitespace() || *byte == 0 || *byte == b')')
}

/// Whether a command reads what a key holds, and whether it changes it.
fn needs(spec: &Spec, keys: &KeySpec, args: &Args<'_>) -> (bool, bool) {
    let has = |bit| keys.access & bit != 0;
    let write = has(access::INSERT) || has(access::UPDATE) || has(access::DELETE);
    // SET returns the old value only if it is asked to.
    let asks = || args.iter().skip(3).any(|option| option.eq_ignore_ascii_case(b"get"));
    let read = has(access::ACCESS) && (spec.id != CommandId::Set || asks());
    (read, write)
}

/// Where the keys of one key spec stand.
fn positions(keys: &KeySpec, args: &Args<'_>) -> impl Iterator<Item = usize> + use<> {
    let first = usize::from(keys.first.unsigned_abs());
    let last = if keys.last < 0 {
        args.len().saturating_sub(usize::from(keys.last.unsigned_abs()))
    } else {
        first + usize::from(keys.last.unsigned_abs())
    };
    (first..=last.min(args.len().saturating_sub(1))).step_by(usize::from(keys.step.unsigned_abs()))
}
