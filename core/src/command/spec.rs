//! What a row of the command table is made of.

use alloc::borrow::ToOwned as _;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use crate::command::id::{CommandId, Scope};

/// One row of the command table.
#[derive(Debug)]
pub struct Spec {
    /// Lower case, as `COMMAND` shows it; `container|name` for a subcommand.
    pub name: &'static str,
    /// What to run.
    pub id: CommandId,
    /// As in Redis: exact if positive, least if negative; the name (of container and subcommand) counts.
    pub arity: i8,
    /// How it meets the groups.
    pub scope: Scope,
    /// Bits of [`flag`].
    pub flags: u32,
    /// Bits of [`category`], besides those that the flags imply.
    pub categories: u32,
    /// Where its keys are, in order.
    pub keys: &'static [KeySpec],
    /// Hints for clients and proxies.
    pub tips: &'static [&'static str],
    /// The commands within a container.
    pub subcommands: &'static [Self],
    /// What `COMMAND DOCS` says.
    pub docs: Docs,
}

impl Spec {
    /// A command without keys, tips, subcommands and documentation, to which the row adds.
    pub(super) const fn new(
        name: &'static str,
        id: CommandId,
        arity: i8,
        scope: Scope,
        flags: u32,
    ) -> Self {
        let docs = Docs {
            group: "",
            since: "",
            summary: "",
            complexity: "",
            arguments: &[],
            replaced: None,
        };
        let (keys, tips, subcommands) = (&[], &[], &[]);
        Self { name, id, arity, scope, flags, categories: 0, keys, tips, subcommands, docs }
    }

    pub(super) const fn categories(self, categories: u32) -> Self {
        Self { categories: self.categories | categories, ..self }
    }

    pub(super) const fn keys(self, keys: &'static [KeySpec]) -> Self {
        Self { keys, ..self }
    }

    pub(super) const fn tips(self, tips: &'static [&'static str]) -> Self {
        Self { tips, ..self }
    }

    pub(super) const fn subcommands(self, subcommands: &'static [Self]) -> Self {
        Self { subcommands, ..self }
    }

    pub(super) const fn docs(
        self,
        group: &'static str,
        since: &'static str,
        summary: &'static str,
        complexity: &'static str,
    ) -> Self {
        Self { docs: Docs { group, since, summary, complexity, ..self.docs }, ..self }
    }

    pub(super) const fn arguments(self, arguments: &'static [Argument]) -> Self {
        Self { docs: Docs { arguments, ..self.docs }, ..self }
    }

    pub(super) const fn replaced(self, since: &'static str, by: &'static str) -> Self {
        Self { docs: Docs { replaced: Some((since, by)), ..self.docs }, ..self }
    }

    /// Whether so many arguments (names included) are what the command takes.
    #[inline]
    pub fn accepts(&self, count: usize) -> bool {
        let arity = usize::from(self.arity.unsigned_abs());
        if self.arity >= 0 { count == arity } else { count >= arity }
    }

    /// Whether all bits of `flag` are set.
    #[inline]
    pub const fn has(&self, flag: u32) -> bool {
        self.flags & flag == flag
    }

    /// The categories, those that the flags imply included.
    pub const fn all_categories(&self) -> u32 {
        let mut all = self.categories;
        if self.has(flag::WRITE) {
            all |= category::WRITE;
        }
        if self.has(flag::READONLY) {
            all |= category::READ;
        }
        if self.has(flag::ADMIN) {
            all |= category::ADMIN | category::DANGEROUS;
        }
        if self.has(flag::BLOCKING) {
            all |= category::BLOCKING;
        }
        all | if self.has(flag::FAST) { category::FAST } else { category::SLOW }
    }

    /// Positions of the first and the last key and the step between them, as Redis clients of old know
    /// them: zeros without keys, a last one below zero counts from the end.
    pub fn key_range(&self) -> (i8, i8, i8) {
        let (Some(first), Some(last)) = (self.keys.first(), self.keys.last()) else {
            return (0, 0, 0);
        };
        let end = if last.last < 0 { last.last } else { last.first + last.last };
        (first.first, end, last.step)
    }
}

/// Where some keys of a command are, and what is done to them.
#[derive(Clone, Copy, Debug)]
pub struct KeySpec {
    /// Position of the first.
    pub first: i8,
    /// Position of the last, from the first on; below zero it counts from the end.
    pub last: i8,
    /// From one to the next.
    pub step: i8,
    /// Bits of [`access`].
    pub access: u32,
    /// What the rest does not say.
    pub notes: &'static str,
}

impl KeySpec {
    /// One key.
    pub(super) const fn one(first: i8, access: u32) -> Self {
        Self { first, last: 0, step: 1, access, notes: "" }
    }

    /// All arguments from `first` on, every `step`th.
    pub(super) const fn rest(first: i8, step: i8, access: u32) -> Self {
        Self { first, last: -1, step, access, notes: "" }
    }

    pub(super) const fn notes(self, notes: &'static str) -> Self {
        Self { notes, ..self }
    }
}

/// What `COMMAND DOCS` says of a command.
#[derive(Clone, Copy, Debug)]
pub struct Docs {
    /// The group of commands it belongs to.
    pub group: &'static str,
    /// The version of Redis that had it first; ours, if Redis has nothing like it.
    pub since: &'static str,
    /// What it does, in one sentence.
    pub summary: &'static str,
    /// How its cost grows.
    pub complexity: &'static str,
    /// Its arguments, in order.
    pub arguments: &'static [Argument],
    /// Since when it is deprecated, and what to use instead.
    pub replaced: Option<(&'static str, &'static str)>,
}

/// One argument of a command, as `COMMAND DOCS` shows it.
#[derive(Clone, Copy, Debug)]
pub struct Argument {
    /// Its name.
    pub name: &'static str,
    /// Its type: `key`, `string`, `integer`, `double`, `pattern`, `unix-time`, `pure-token`, `oneof`, `block`.
    pub kind: &'static str,
    /// The word that stands before it, or all of it for a `pure-token`.
    pub token: Option<&'static str>,
    /// Which of the command's key specs finds it.
    pub key: Option<u8>,
    /// Whether it may be left out.
    pub optional: bool,
    /// Whether it may be repeated.
    pub multiple: bool,
    /// The arguments within.
    pub arguments: &'static [Self],
}

impl Argument {
    /// How it is written, as help and hints show it.
    pub fn usage(&self) -> String {
        let mut text = match self.kind {
            "pure-token" => self.token.unwrap_or(self.name).to_owned(),
            "oneof" => Self::joined(self.arguments, "|"),
            "block" => Self::joined(self.arguments, " "),
            _ => self.name.to_owned(),
        };
        if let Some(token) = self.token.filter(|_| self.kind != "pure-token") {
            text = format!("{token} {text}");
        }
        if self.multiple {
            text = format!("{text} [{text} ...]");
        }
        if self.optional { format!("[{text}]") } else { text }
    }

    fn joined(arguments: &[Self], between: &str) -> String {
        arguments.iter().map(Self::usage).collect::<Vec<_>>().join(between)
    }

    const fn new(name: &'static str, kind: &'static str) -> Self {
        let (token, key, arguments) = (None, None, &[]);
        Self { name, kind, token, key, optional: false, multiple: false, arguments }
    }

    pub(super) const fn key(name: &'static str, spec: u8) -> Self {
        Self { key: Some(spec), ..Self::new(name, "key") }
    }

    pub(super) const fn string(name: &'static str) -> Self {
        Self::new(name, "string")
    }

    pub(super) const fn integer(name: &'static str) -> Self {
        Self::new(name, "integer")
    }

    pub(super) const fn double(name: &'static str) -> Self {
        Self::new(name, "double")
    }

    pub(super) const fn pattern(name: &'static str) -> Self {
        Self::new(name, "pattern")
    }

    pub(super) const fn unix_time(name: &'static str) -> Self {
        Self::new(name, "unix-time")
    }

    pub(super) const fn word(name: &'static str, token: &'static str) -> Self {
        Self { token: Some(token), ..Self::new(name, "pure-token") }
    }

    pub(super) const fn one_of(name: &'static str, arguments: &'static [Self]) -> Self {
        Self { arguments, ..Self::new(name, "oneof") }
    }

    pub(super) const fn block(name: &'static str, arguments: &'static [Self]) -> Self {
        Self { arguments, ..Self::new(name, "block") }
    }

    pub(super) const fn after(self, token: &'static str) -> Self {
        Self { token: Some(token), ..self }
    }

    pub(super) const fn optional(self) -> Self {
        Self { optional: true, ..self }
    }

    pub(super) const fn multiple(self) -> Self {
        Self { multiple: true, ..self }
    }
}

/// Names of bits that are set, in the order of the bits.
pub(super) fn names(
    bits: u32,
    all: &'static [&'static str],
) -> impl Iterator<Item = &'static str> + Clone {
    debug_assert_eq!(bits >> all.len(), 0, "every bit has a name");
    all.iter().enumerate().filter(move |&(bit, _)| bits >> bit & 1 == 1).map(|(_, &name)| name)
}

/// What kind of command one is.
pub mod flag {
    /// Names of the flags, in the order of the bits.
    pub const NAMES: &[&str] = &[
        "write",
        "readonly",
        "denyoom",
        "admin",
        "noscript",
        "blocking",
        "loading",
        "stale",
        "skip_monitor",
        "skip_slowlog",
        "asking",
        "fast",
        "no_auth",
        "may_replicate",
        "no_async_loading",
        "no_multi",
        "allow_busy",
    ];
    /// Changes keys.
    pub const WRITE: u32 = 1;
    /// Reads keys.
    pub const READONLY: u32 = 1 << 1;
    /// May need more memory.
    pub const DENYOOM: u32 = 1 << 2;
    /// For operators.
    pub const ADMIN: u32 = 1 << 3;
    /// Not from scripts.
    pub const NOSCRIPT: u32 = 1 << 4;
    /// May keep the client waiting.
    pub const BLOCKING: u32 = 1 << 5;
    /// Even while loading.
    pub const LOADING: u32 = 1 << 6;
    /// Even where data are stale.
    pub const STALE: u32 = 1 << 7;
    /// Not shown by MONITOR.
    pub const SKIP_MONITOR: u32 = 1 << 8;
    /// Not in the slow log.
    pub const SKIP_SLOWLOG: u32 = 1 << 9;
    /// Even in a slot that is being imported.
    pub const ASKING: u32 = 1 << 10;
    /// Takes constant or logarithmic time.
    pub const FAST: u32 = 1 << 11;
    /// Before authentication as well.
    pub const NO_AUTH: u32 = 1 << 12;
    /// May be replicated although it is no write.
    pub const MAY_REPLICATE: u32 = 1 << 13;
    /// Not while loading in the background.
    pub const NO_ASYNC_LOADING: u32 = 1 << 14;
    /// Not within a transaction.
    pub const NO_MULTI: u32 = 1 << 15;
    /// Even while a script runs.
    pub const ALLOW_BUSY: u32 = 1 << 16;
}

/// Categories of access control lists.
pub mod category {
    /// Names of the categories, in the order of the bits.
    pub const NAMES: &[&str] = &[
        "@keyspace",
        "@read",
        "@write",
        "@string",
        "@admin",
        "@fast",
        "@slow",
        "@blocking",
        "@dangerous",
        "@connection",
    ];
    /// Keys of any kind.
    pub const KEYSPACE: u32 = 1;
    /// Reads keys.
    pub const READ: u32 = 1 << 1;
    /// Changes keys.
    pub const WRITE: u32 = 1 << 2;
    /// Strings.
    pub const STRING: u32 = 1 << 3;
    /// For operators.
    pub const ADMIN: u32 = 1 << 4;
    /// Takes constant or logarithmic time.
    pub const FAST: u32 = 1 << 5;
    /// All that is not fast.
    pub const SLOW: u32 = 1 << 6;
    /// May keep the client waiting.
    pub const BLOCKING: u32 = 1 << 7;
    /// To be used with care.
    pub const DANGEROUS: u32 = 1 << 8;
    /// Connections.
    pub const CONNECTION: u32 = 1 << 9;
}

/// What a command does to a key.
pub mod access {
    /// Names of the ways, in the order of the bits.
    pub const NAMES: &[&str] =
        &["RO", "RW", "OW", "RM", "access", "update", "insert", "delete", "variable_flags"];
    /// Reads the value.
    pub const RO: u32 = 1;
    /// Reads and changes the value.
    pub const RW: u32 = 1 << 1;
    /// Overwrites the value.
    pub const OW: u32 = 1 << 2;
    /// Removes the key.
    pub const RM: u32 = 1 << 3;
    /// Returns, copies or compares the value.
    pub const ACCESS: u32 = 1 << 4;
    /// Changes the value by what was there.
    pub const UPDATE: u32 = 1 << 5;
    /// Adds to the value, or makes it.
    pub const INSERT: u32 = 1 << 6;
    /// Takes from the value, or deletes it.
    pub const DELETE: u32 = 1 << 7;
    /// It depends on the arguments.
    pub const VARIABLE: u32 = 1 << 8;
}
