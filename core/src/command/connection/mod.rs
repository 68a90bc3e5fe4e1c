//! The commands that a session answers by itself: what it knows of its client, and what is said about
//! the server. No group is asked.

mod acl;
mod client;
mod cluster;
mod config;
mod facts;
mod figures;
mod hello;
mod info;
mod introspect;
#[cfg(test)]
mod tests;

use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

pub use acl::{Refusals, put_denied};
pub use client::{KillFilter, ListFilter, NO_SUCH_CLIENT, put_list};
pub use cluster::{ClusterFacts, NodeAddress, NodeFacts};
pub use config::{Changes, Settings};
pub use facts::{Facts, KeyspaceFacts};
pub use figures::merge_info;
pub use hello::Login;

use crate::command::access::{self, Account, Users};
use crate::command::id::CommandId as Id;
use crate::command::spec::{Spec, flag};
use crate::ids::{KEYSPACES, Keyspace};
use crate::resp::{Args, Proto, Reply};
use crate::time::{Instant, Now, Span};

/// The version of Redis whose commands these are.
pub const VERSION: &str = "7.4.2";

/// What a session knows of its client.
#[derive(Clone, Debug)]
pub struct Connection {
    /// Its number: larger for later ones, never used again.
    pub id: u64,
    /// Where it comes from, `address:port`; may be empty.
    pub address: String,
    /// Where it knocked, `address:port`; may be empty.
    pub local: String,
    /// The version of the protocol that it speaks.
    pub proto: Proto,
    /// The keyspace it has selected.
    pub keyspace: Keyspace,
    /// The name it gave itself.
    pub name: Vec<u8>,
    /// The name of its library.
    pub library_name: Vec<u8>,
    /// The version of its library.
    pub library_version: Vec<u8>,
    /// Whether it has given a password. Means nothing where there is none.
    pub authenticated: bool,
    /// Who it has said to be; before, `default`.
    pub account: Option<Arc<Account>>,
    /// Whether it asked never to be closed for want of memory.
    pub no_evict: bool,
    /// Whether it asked that its reads do not count as uses.
    pub no_touch: bool,
    /// Whether it asked for reads from replicas (READONLY).
    pub read_only: bool,
    /// Whether it goes to the leader of a key itself, and follows `MOVED`.
    pub in_cluster_mode: bool,
    /// Whether it is no client itself but speaks for some that the node serves by other protocols.
    pub within: bool,
    /// When it connected.
    pub created: Instant,
    /// When its last command began.
    pub last_used: Instant,
    /// Its last command.
    pub last_command: &'static str,
    replies: Replies,
}

/// Which commands are answered, as CLIENT REPLY chose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Replies {
    On,
    Off,
    SkipNext,
}

/// What the session has to do after a command of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub enum Effect {
    /// Nothing more: the command is answered.
    None,
    /// It is answered; hang up once the answer has left.
    Close,
    /// Nothing is answered yet: find out whether a password is right, then run the command again.
    CheckLogin(Login),
    /// It is answered; somebody has tried to come in with a wrong name or password.
    LoginFailed(Vec<u8>),
    /// Answer with so many hexadecimal digits of chance.
    GeneratePassword {
        /// How many.
        digits: usize,
    },
    /// It is answered with what this engine has refused; so may be others.
    ShowRefusals,
    /// It is answered; let [`Refusals`] begin anew.
    ForgetRefusals,
    /// Stop the node. Nothing is answered if that succeeds.
    Shutdown {
        /// Do not wait for handing leaderships over.
        now: bool,
    },
    /// Answer with [`put_list`] over all connections.
    List(ListFilter),
    /// Hang up on all connections that the filter matches, then answer with [`KillFilter::put`].
    Kill(KillFilter),
    /// It is answered; hold the commands of all clients for so long.
    Pause {
        /// How long.
        span: Span,
        /// Whether reads are held as well.
        reads: bool,
    },
    /// It is answered; end a pause.
    Unpause,
    /// It is answered; give the changes to [`Settings::apply`].
    SetConfig(Changes),
    /// It is answered; let the counters of [`Facts`] begin anew.
    ResetCounters,
}

impl Connection {
    /// A client that has just connected.
    pub fn new(id: u64, now: Now) -> Self {
        Self {
            id,
            address: String::new(),
            local: String::new(),
            proto: Proto::Resp2,
            keyspace: Keyspace(0),
            name: Vec::new(),
            library_name: Vec::new(),
            library_version: Vec::new(),
            authenticated: false,
            account: None,
            no_evict: false,
            no_touch: false,
            read_only: false,
            in_cluster_mode: false,
            within: false,
            created: now.mono,
            last_used: now.mono,
            last_command: "NULL",
            replies: Replies::On,
        }
    }

    /// Whether the client may use commands other than those that let it in.
    #[inline]
    pub fn admitted(&self, users: &Users, password: Option<&[u8]>) -> bool {
        self.authenticated || users.open(password)
    }

    /// The name of its user.
    pub fn user(&self) -> &[u8] {
        self.account.as_ref().map_or(access::DEFAULT, |account| &account.name)
    }

    /// Notes that a command begins, and tells whether it will be answered: if not, its reply goes
    /// nowhere. To be called once a command, before it is run.
    #[inline]
    pub fn begin(&mut self, spec: &'static Spec, args: &Args<'_>, now: Now) -> bool {
        self.last_used = now.mono;
        self.last_command = spec.name;
        if self.replies == Replies::On && spec.id != Id::ClientReply {
            return true;
        }
        self.begin_quietly(spec, args)
    }

    /// Whether an error that has no command (an unknown one) is to be answered.
    pub fn begin_unknown(&mut self, now: Now) -> bool {
        self.last_used = now.mono;
        let answers = self.replies == Replies::On;
        if self.replies == Replies::SkipNext {
            self.replies = Replies::On;
        }
        answers
    }

    fn begin_quietly(&mut self, spec: &Spec, args: &Args<'_>) -> bool {
        let mode = if spec.id == Id::ClientReply { args.get(2) } else { None };
        let asks = |word: &[u8]| mode.is_some_and(|mode| mode.eq_ignore_ascii_case(word));
        let before = self.replies;
        if before == Replies::SkipNext {
            self.replies = Replies::On;
        }
        if asks(b"on") {
            self.replies = Replies::On;
            return true;
        }
        if asks(b"off") {
            self.replies = Replies::Off;
            return false;
        }
        if asks(b"skip") {
            if before != Replies::Off {
                self.replies = Replies::SkipNext;
            }
            return false;
        }
        before == Replies::On
    }

    /// As it was when it was new (RESET).
    fn reset(&mut self) {
        self.proto = Proto::Resp2;
        self.keyspace = Keyspace(0);
        self.name.clear();
        self.authenticated = false;
        self.account = None;
        self.no_evict = false;
        self.no_touch = false;
        self.read_only = false;
        self.replies = Replies::On;
    }
}

/// Whether the client may run the command; if not, that is answered.
#[inline]
pub fn permitted(
    spec: &Spec,
    connection: &Connection,
    users: &Users,
    password: Option<&[u8]>,
    reply: &mut Reply<'_>,
) -> bool {
    let permitted = connection.admitted(users, password) || spec.has(flag::NO_AUTH);
    if !permitted {
        reply.error("NOAUTH Authentication required.");
    }
    permitted
}

/// Runs a command whose scope is [`Connection`](crate::command::Scope::Connection). Its number of
/// arguments has been checked, and [`permitted`] and [`Connection::begin`] have been called.
pub fn execute(
    spec: &'static Spec,
    args: &Args<'_>,
    connection: &mut Connection,
    facts: &Facts<'_>,
    now: Now,
    reply: &mut Reply<'_>,
) -> Effect {
    match spec.id {
        Id::Ping => ping(spec, args, reply),
        Id::Echo => reply.bulk(args.at(1)),
        Id::Hello => return hello::hello(args, connection, facts, reply),
        Id::Auth => return hello::auth(args, connection, facts, reply),
        Id::Select => select(args, connection, reply),
        Id::Quit => {
            reply.ok();
            return Effect::Close;
        }
        Id::Reset => {
            connection.reset();
            reply.set_proto(Proto::Resp2);
            reply.simple("RESET");
        }
        Id::ReadOnly | Id::ReadWrite => {
            connection.read_only = spec.id == Id::ReadOnly;
            reply.ok();
        }
        Id::Shutdown => return shutdown(args, reply),
        Id::ConfigGet => config::get(args, facts.settings, reply),
        Id::ConfigSet => return config::set(args, reply),
        Id::ConfigResetStat => {
            reply.ok();
            return Effect::ResetCounters;
        }
        Id::ConfigRewrite => reply.error("ERR The server is running without a config file"),
        Id::Info => info::info(args, facts, reply),
        Id::Time => time(now, reply),
        Id::Help => help(spec, reply),
        _ if spec.name.starts_with("client|") => {
            return client::execute(spec, args, connection, facts, now, reply);
        }
        _ if spec.name.starts_with("acl|") => {
            return acl::execute(spec, args, connection, facts, now, reply);
        }
        _ if spec.name.starts_with("cluster|") => {
            cluster::execute(spec, args, facts.cluster.as_ref(), reply);
        }
        _ if spec.name.starts_with("command") => introspect::execute(spec, args, reply),
        _ => server(spec, args, facts, now, reply),
    }
    Effect::None
}

/// The commands on the server that need no more than a line or two.
fn server(spec: &Spec, args: &Args<'_>, facts: &Facts<'_>, now: Now, reply: &mut Reply<'_>) {
    match spec.id {
        Id::Asking | Id::Save | Id::MemoryPurge | Id::SlowlogReset => reply.ok(),
        // Every write is on the disk before it is answered: there is nothing left to save.
        Id::BgSave => match (args.get(1), args.len()) {
            (None, _) => reply.simple("Background saving started"),
            (Some(option), 2) if option.eq_ignore_ascii_case(b"schedule") => {
                reply.simple("Background saving started");
            }
            _ => reply.error("ERR syntax error"),
        },
        Id::LastSave => reply.count(now.wall.0 / 1_000),
        Id::Role => {
            reply.array(3);
            reply.bulk(b"master");
            reply.count(facts.log_offset);
            reply.array(0);
        }
        Id::MemoryStats => memory_stats(facts, reply),
        Id::MemoryDoctor => reply.verbatim("Nothing here asks for attention.\n"),
        Id::LatencyDoctor => reply.verbatim("Delays are not recorded by this server.\n"),
        Id::LatencyLatest | Id::LatencyHistory => reply.array(0),
        Id::SlowlogGet => slowlog(args, reply),
        Id::LatencyReset | Id::SlowlogLen => reply.integer(0),
        Id::DebugSleep => reply.error("ERR DEBUG SLEEP would stop the whole node: not allowed"),
        Id::Monitor => reply.error("ERR MONITOR is not supported"),
        Id::ReplicaOf | Id::ReplConf | Id::Sync | Id::PSync => reply
            .error("ERR replication of Redis is not supported: this cluster replicates by itself"),
        // A container alone does not have the arguments it needs, so it is never resolved.
        _ => reply.error_format(format_args!("ERR '{}' is not a command of its own", spec.name)),
    }
}

/// SLOWLOG GET [count]: slow commands are not recorded, so there are none.
fn slowlog(args: &Args<'_>, reply: &mut Reply<'_>) {
    match args.get(2).map(integer) {
        _ if args.len() > 3 => unknown_or_arity(args, reply),
        Some(None) => reply.error("ERR count should be greater than or equal to -1"),
        Some(Some(count)) if count < -1 => {
            reply.error("ERR count should be greater than or equal to -1");
        }
        _ => reply.array(0),
    }
}

/// PING [message].
fn ping(spec: &Spec, args: &Args<'_>, reply: &mut Reply<'_>) {
    match args.len() {
        1 => reply.simple("PONG"),
        2 => reply.bulk(args.at(1)),
        _ => wrong_arity(spec, reply),
    }
}

/// SELECT index.
fn select(args: &Args<'_>, connection: &mut Connection, reply: &mut Reply<'_>) {
    let Some(index) = integer(args.at(1)) else {
        return reply.error("ERR value is not an integer or out of range");
    };
    if i32::try_from(index).is_err() {
        return reply
            .error("ERR value is out of range, value must between -2147483648 and 2147483647");
    }
    match u8::try_from(index) {
        Ok(index) if index < KEYSPACES => {
            connection.keyspace = Keyspace(index);
            reply.ok();
        }
        _ => reply.error("ERR DB index is out of range"),
    }
}

/// SHUTDOWN [NOSAVE|SAVE] [NOW] [FORCE] [ABORT].
fn shutdown(args: &Args<'_>, reply: &mut Reply<'_>) -> Effect {
    let (mut saves, mut now, mut abort) = (0, false, false);
    for option in args.iter().skip(1) {
        match option.to_ascii_lowercase().as_slice() {
            b"save" | b"nosave" => saves += 1,
            b"now" => now = true,
            b"force" => {}
            b"abort" => abort = true,
            _ => saves = 2,
        }
    }
    if saves > 1 || (abort && args.len() > 2) {
        reply.error("ERR syntax error");
        return Effect::None;
    }
    if abort {
        reply.error("ERR No shutdown in progress.");
        return Effect::None;
    }
    Effect::Shutdown { now }
}

/// TIME: seconds and microseconds.
fn time(now: Now, reply: &mut Reply<'_>) {
    let milliseconds = now.wall.0;
    reply.array(2);
    for part in [milliseconds / 1_000, milliseconds % 1_000 * 1_000] {
        reply.bulk_with(|out| crate::resp::put_decimal(out, part));
    }
}

fn memory_stats(facts: &Facts<'_>, reply: &mut Reply<'_>) {
    let keys: u64 = facts.keyspaces.iter().map(|keyspace| keyspace.keys).sum();
    let rows = [
        ("peak.allocated", facts.memory_peak),
        ("total.allocated", facts.memory),
        ("startup.allocated", 0),
        ("keys.count", keys),
        ("keys.bytes-per-key", facts.memory / keys.max(1)),
        ("dataset.bytes", facts.memory),
    ];
    reply.map(rows.len());
    for (name, value) in rows {
        reply.bulk(name.as_bytes());
        reply.count(value);
    }
}

/// The HELP of a container.
fn help(spec: &Spec, reply: &mut Reply<'_>) {
    let (container, _) = spec.name.split_once('|').expect("only subcommands have this id");
    let container = crate::command::lookup(container.as_bytes()).expect("it is in the table");
    let upper = container.name.to_ascii_uppercase();
    reply.array(1 + 2 * container.subcommands.len());
    reply.simple(&alloc::format!(
        "{upper} <subcommand> [<arg> [value] [opt] ...]. Subcommands are:"
    ));
    for spec in container.subcommands {
        let (_, name) = spec.name.split_once('|').expect("a subcommand names its container");
        reply.simple(&name.to_ascii_uppercase());
        reply.simple(&alloc::format!("    {}", spec.docs.summary));
    }
}

/// What containers say of a subcommand that is there but got too much.
fn unknown_or_arity(args: &Args<'_>, reply: &mut Reply<'_>) {
    let container = args.at(0).to_ascii_uppercase();
    reply.error_bytes(&[
        b"ERR unknown subcommand or wrong number of arguments for '",
        args.at(1),
        b"'. Try ",
        &container,
        b" HELP.",
    ]);
}

fn wrong_arity(spec: &Spec, reply: &mut Reply<'_>) {
    reply.error_format(format_args!("ERR wrong number of arguments for '{}' command", spec.name));
}

/// A whole number, as strictly as Redis reads it: no sign but `-`, no leading zeros, no spaces.
fn integer(text: &[u8]) -> Option<i64> {
    let digits = text.strip_prefix(b"-").unwrap_or(text);
    let canonical = match digits {
        [] => false,
        [b'0'] => text.len() == 1,
        [first, ..] => *first != b'0' && digits.iter().all(u8::is_ascii_digit),
    };
    if !canonical {
        return None;
    }
    core::str::from_utf8(text).ok()?.parse().ok()
}
