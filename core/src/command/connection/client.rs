//! CLIENT: what a connection is called, how it wants to be treated, and who else is there.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt::Write as _;

use crate::command::connection::{Connection, Effect, Facts, hello, integer, unknown_or_arity};
use crate::command::id::CommandId as Id;
use crate::command::spec::Spec;
use crate::resp::{Args, Proto, Reply};
use crate::time::{Now, Span};

/// Which connections CLIENT LIST shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListFilter {
    /// Those with one of these numbers; all if there is none.
    ids: Vec<u64>,
    /// Whether the kind of connection asked for is one that exists here.
    kind: bool,
}

/// Which connections CLIENT KILL closes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KillFilter {
    own: u64,
    skip_own: bool,
    id: Option<u64>,
    address: Option<Vec<u8>>,
    local: Option<Vec<u8>>,
    oldest_seconds: Option<u64>,
    user: Option<Vec<u8>>,
    /// Whether the kind is that of every connection here.
    everyone: bool,
    /// Whether the answer is OK instead of a count.
    by_address: bool,
}

/// What CLIENT KILL says if nobody has the address.
pub const NO_SUCH_CLIENT: &str = "ERR No such client";
const SYNTAX: &str = "ERR syntax error";

/// Runs a subcommand of CLIENT.
pub(super) fn execute(
    spec: &'static Spec,
    args: &Args<'_>,
    connection: &mut Connection,
    facts: &Facts<'_>,
    now: Now,
    reply: &mut Reply<'_>,
) -> Effect {
    match spec.id {
        Id::ClientId => reply.count(connection.id),
        Id::ClientGetName if connection.name.is_empty() => reply.null(),
        Id::ClientGetName => reply.bulk(&connection.name),
        Id::ClientSetName => hello::set_name(args.at(2), connection, reply),
        Id::ClientSetInfo => hello::set_info(args.at(2), args.at(3), connection, reply),
        Id::ClientInfo => reply.verbatim(&line(connection, now)),
        Id::ClientList => return list(args, reply),
        Id::ClientKill => return kill(args, connection.id, facts, reply),
        Id::ClientPause => return pause(args, reply),
        Id::ClientUnpause => {
            reply.ok();
            return Effect::Unpause;
        }
        Id::ClientNoEvict => switch(args, &mut connection.no_evict, reply),
        Id::ClientNoTouch => switch(args, &mut connection.no_touch, reply),
        Id::ClientReply => match args.at(2).to_ascii_lowercase().as_slice() {
            // The mode itself was set when the command began; OFF and SKIP are not answered.
            b"on" | b"off" | b"skip" => reply.ok(),
            _ => reply.error(SYNTAX),
        },
        Id::ClientTracking => tracking(args, reply),
        Id::ClientTrackingInfo => {
            reply.map(3);
            reply.bulk(b"flags");
            reply.set(1);
            reply.bulk(b"off");
            reply.bulk(b"redirect");
            reply.integer(-1);
            reply.bulk(b"prefixes");
            reply.array(0);
        }
        Id::ClientGetRedir => reply.integer(-1),
        Id::ClientMaintNotifications => maintenance(args, reply),
        // What a client can do changes nothing here.
        Id::ClientCapa => reply.ok(),
        _ => reply.error(SYNTAX),
    }
    Effect::None
}

/// ON or OFF.
fn on_or_off(word: &[u8]) -> Option<bool> {
    if word.eq_ignore_ascii_case(b"on") {
        return Some(true);
    }
    word.eq_ignore_ascii_case(b"off").then_some(false)
}

fn switch(args: &Args<'_>, value: &mut bool, reply: &mut Reply<'_>) {
    match on_or_off(args.at(2)) {
        Some(on) => {
            *value = on;
            reply.ok();
        }
        None => reply.error(SYNTAX),
    }
}

fn tracking(args: &Args<'_>, reply: &mut Reply<'_>) {
    match on_or_off(args.at(2)) {
        Some(true) => reply.error("ERR CLIENT TRACKING is not supported"),
        Some(false) => reply.ok(),
        None => reply.error(SYNTAX),
    }
}

fn maintenance(args: &Args<'_>, reply: &mut Reply<'_>) {
    let well_formed = match (args.len(), args.get(3)) {
        (3, _) => true,
        (5, Some(option)) => option.eq_ignore_ascii_case(b"moving-endpoint-type"),
        _ => false,
    };
    if well_formed && on_or_off(args.at(2)).is_some() { reply.ok() } else { reply.error(SYNTAX) }
}

/// CLIENT PAUSE milliseconds [WRITE|ALL].
fn pause(args: &Args<'_>, reply: &mut Reply<'_>) -> Effect {
    if args.len() > 4 {
        unknown_or_arity(args, reply);
        return Effect::None;
    }
    let reads = match args.get(3) {
        None => true,
        Some(mode) if mode.eq_ignore_ascii_case(b"all") => true,
        Some(mode) if mode.eq_ignore_ascii_case(b"write") => false,
        Some(_) => {
            reply.error("ERR CLIENT PAUSE mode must be WRITE or ALL");
            return Effect::None;
        }
    };
    match integer(args.at(2)) {
        None => reply.error("ERR timeout is not an integer or out of range"),
        Some(timeout) => match u64::try_from(timeout) {
            Err(_) => reply.error("ERR timeout is negative"),
            Ok(timeout) => {
                reply.ok();
                let span = Span(timeout.saturating_mul(1_000_000));
                return Effect::Pause { span, reads };
            }
        },
    }
    Effect::None
}

/// A whole number above zero.
fn above_zero(text: &[u8]) -> Option<u64> {
    integer(text).and_then(|number| u64::try_from(number).ok()).filter(|&number| number > 0)
}

/// Whether a kind of connection is one that exists here; `None` if Redis does not know it either.
fn kind(word: &[u8]) -> Option<bool> {
    match word.to_ascii_lowercase().as_slice() {
        b"normal" => Some(true),
        b"master" | b"slave" | b"replica" | b"pubsub" => Some(false),
        _ => None,
    }
}

fn unknown_kind(word: &[u8], reply: &mut Reply<'_>) {
    reply.error_bytes(&[b"ERR Unknown client type '", word, b"'"]);
}

/// CLIENT LIST [TYPE kind] [ID id ...].
fn list(args: &Args<'_>, reply: &mut Reply<'_>) -> Effect {
    let mut filter = ListFilter { ids: Vec::new(), kind: true };
    let option = args.get(2).unwrap_or_default();
    if args.len() == 4 && option.eq_ignore_ascii_case(b"type") {
        let Some(here) = kind(args.at(3)) else {
            unknown_kind(args.at(3), reply);
            return Effect::None;
        };
        filter.kind = here;
    } else if args.len() > 3 && option.eq_ignore_ascii_case(b"id") {
        for id in args.iter().skip(3) {
            let Some(id) = above_zero(id) else {
                reply.error("ERR Invalid client ID");
                return Effect::None;
            };
            filter.ids.push(id);
        }
    } else if args.len() != 2 {
        reply.error(SYNTAX);
        return Effect::None;
    }
    Effect::List(filter)
}

/// CLIENT KILL address | CLIENT KILL filter value [filter value ...].
fn kill(args: &Args<'_>, own: u64, facts: &Facts<'_>, reply: &mut Reply<'_>) -> Effect {
    let mut filter = KillFilter {
        own,
        skip_own: args.len() > 3,
        id: None,
        address: None,
        local: None,
        oldest_seconds: None,
        user: None,
        everyone: true,
        by_address: args.len() == 3,
    };
    if args.len() == 3 {
        filter.address = Some(args.at(2).to_vec());
        return Effect::Kill(filter);
    }
    if args.len() % 2 == 1 {
        reply.error(SYNTAX);
        return Effect::None;
    }
    for pair in 1..args.len() / 2 {
        if !filter.narrow(args.at(2 * pair), args.at(2 * pair + 1), facts, reply) {
            return Effect::None;
        }
    }
    Effect::Kill(filter)
}

impl KillFilter {
    /// Takes one more filter and its value; if it makes no sense, that is answered.
    fn narrow(
        &mut self,
        option: &[u8],
        value: &[u8],
        facts: &Facts<'_>,
        reply: &mut Reply<'_>,
    ) -> bool {
        match option.to_ascii_lowercase().as_slice() {
            b"id" => {
                let Some(id) = above_zero(value) else {
                    reply.error("ERR client-id should be greater than 0");
                    return false;
                };
                self.id = Some(id);
            }
            b"maxage" => {
                let Some(age) = above_zero(value) else {
                    reply.error("ERR maxage is not an integer or out of range");
                    return false;
                };
                self.oldest_seconds = Some(age);
            }
            b"type" => {
                let Some(here) = kind(value) else {
                    unknown_kind(value, reply);
                    return false;
                };
                self.everyone &= here;
            }
            b"user" if facts.users.find(value).is_some() => self.user = Some(value.to_vec()),
            b"user" => {
                reply.error_bytes(&[b"ERR No such user '", value, b"'"]);
                return false;
            }
            b"addr" => self.address = Some(value.to_vec()),
            b"laddr" => self.local = Some(value.to_vec()),
            b"skipme" if value.eq_ignore_ascii_case(b"yes") => self.skip_own = true,
            b"skipme" if value.eq_ignore_ascii_case(b"no") => self.skip_own = false,
            _ => {
                reply.error(SYNTAX);
                return false;
            }
        }
        true
    }

    /// Whether a connection is to be closed.
    pub fn matches(&self, connection: &Connection, now: Now) -> bool {
        let age = now.mono.since(connection.created).as_millis() / 1_000;
        let is = |wanted: &Option<Vec<u8>>, found: &str| {
            wanted.as_ref().is_none_or(|wanted| wanted == found.as_bytes())
        };
        self.everyone
            && !(self.skip_own && connection.id == self.own)
            && self.id.is_none_or(|id| id == connection.id)
            && self.user.as_ref().is_none_or(|user| user == connection.user())
            && is(&self.address, &connection.address)
            && is(&self.local, &connection.local)
            && self.oldest_seconds.is_none_or(|least| age >= least)
    }

    /// Whether the answer is OK instead of a count.
    pub fn by_address(&self) -> bool {
        self.by_address
    }

    /// Answers, once `count` connections have been closed.
    pub fn put(&self, count: usize, reply: &mut Reply<'_>) {
        match (self.by_address, count) {
            (false, _) => reply.count(count as u64),
            (true, 0) => reply.error(NO_SUCH_CLIENT),
            (true, _) => reply.ok(),
        }
    }
}

/// Answers CLIENT LIST, given all connections in the order of their numbers.
pub fn put_list<'a>(
    filter: &ListFilter,
    connections: impl Iterator<Item = &'a Connection>,
    now: Now,
    reply: &mut Reply<'_>,
) {
    let mut text = String::new();
    for connection in connections {
        let asked = filter.ids.is_empty() || filter.ids.contains(&connection.id);
        if filter.kind && asked {
            text.push_str(&line(connection, now));
        }
    }
    reply.verbatim(&text);
}

/// A connection as CLIENT INFO and CLIENT LIST show it.
pub(super) fn line(connection: &Connection, now: Now) -> String {
    let seconds = |since| now.mono.since(since).as_millis() / 1_000;
    let or_unknown = |address: &str| -> String {
        if address.is_empty() { "0.0.0.0:0".into() } else { address.into() }
    };
    let flags = match (connection.no_evict, connection.no_touch, connection.read_only) {
        (false, false, false) => "N".into(),
        (evict, touch, read) => [(read, "r"), (evict, "e"), (touch, "T")]
            .into_iter()
            .filter(|&(set, _)| set)
            .map(|(_, letter)| letter)
            .collect::<String>(),
    };
    let mut text = String::new();
    let written = writeln!(
        text,
        "id={} addr={} laddr={} fd=-1 name={} age={} idle={} flags={} db={} sub=0 psub=0 ssub=0 \
         multi=-1 watch=0 qbuf=0 qbuf-free=0 argv-mem=0 multi-mem=0 rbs=0 rbp=0 obl=0 oll=0 \
         omem=0 tot-mem=0 events=r cmd={} user={} redir=-1 resp={} lib-name={} lib-ver={}",
        connection.id,
        or_unknown(&connection.address),
        or_unknown(&connection.local),
        String::from_utf8_lossy(&connection.name),
        seconds(connection.created),
        seconds(connection.last_used),
        flags,
        connection.keyspace.0,
        connection.last_command,
        String::from_utf8_lossy(connection.user()),
        if connection.proto == Proto::Resp3 { 3 } else { 2 },
        String::from_utf8_lossy(&connection.library_name),
        String::from_utf8_lossy(&connection.library_version),
    );
    written.expect("writing to memory does not fail");
    text
}
