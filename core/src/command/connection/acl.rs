//! ACL, as far as the session answers it: who somebody is, what there is to be allowed, what was refused.

use alloc::collections::VecDeque;
use alloc::string::{String, ToString as _};
use alloc::vec::Vec;

use crate::command::access::{Denied, category_named};
use crate::command::connection::client::line;
use crate::command::connection::{Connection, Effect, Facts, integer, unknown_or_arity};
use crate::command::id::CommandId as Id;
use crate::command::spec::{Spec, category};
use crate::command::{self, Unresolved};
use crate::resp::{Args, ArgsBuffer, Reply};
use crate::time::{Now, WallTime};

/// Refusals that are remembered.
const MOST_REFUSALS: usize = 128;
/// Of a name that was refused, at most so many bytes are remembered.
const MOST_OBJECT: usize = 128;
/// Entries that ACL LOG shows where nobody says how many.
const SHOWN: usize = 10;
const NO_FILE: &str = "ERR users are kept by the cluster itself: there is no ACL file";

/// What has been refused lately, newest first.
#[derive(Debug, Default)]
pub struct Refusals {
    entries: VecDeque<Entry>,
    /// How many there ever were.
    count: u64,
}

/// Something that was refused, once or several times.
#[derive(Debug)]
struct Entry {
    id: u64,
    count: u64,
    reason: &'static str,
    object: Vec<u8>,
    user: Vec<u8>,
    client: String,
    created: WallTime,
    updated: WallTime,
}

impl Refusals {
    /// Notes that a command was refused.
    pub fn note_command(&mut self, spec: &Spec, key: Option<&[u8]>, by: &Connection, now: Now) {
        let reason = if key.is_some() { "key" } else { "command" };
        let object = key.unwrap_or(spec.name.as_bytes());
        self.note(reason, object, by.user().to_vec(), by, now);
    }

    /// Notes that somebody could not come in as `user`.
    pub fn note_login(&mut self, user: &[u8], by: &Connection, now: Now) {
        self.note("auth", b"AUTH", user[..user.len().min(MOST_OBJECT)].to_vec(), by, now);
    }

    fn note(
        &mut self,
        reason: &'static str,
        object: &[u8],
        user: Vec<u8>,
        by: &Connection,
        now: Now,
    ) {
        let object = &object[..object.len().min(MOST_OBJECT)];
        let client = line(by, now).trim_end().to_string();
        let same =
            |entry: &Entry| entry.reason == reason && entry.object == object && entry.user == user;
        if let Some(at) = self.entries.iter().position(same)
            && let Some(mut entry) = self.entries.remove(at)
        {
            (entry.count, entry.updated, entry.client) = (entry.count + 1, now.wall, client);
            self.entries.push_front(entry);
            return;
        }
        let (id, object) = (self.count, object.to_vec());
        self.count += 1;
        let (created, updated) = (now.wall, now.wall);
        let entry = Entry { id, count: 1, reason, object, user, client, created, updated };
        self.entries.push_front(entry);
        self.entries.truncate(MOST_REFUSALS);
    }

    /// Forgets all of it.
    pub fn clear(&mut self) {
        self.entries.clear();
    }

    fn put(&self, most: usize, now: Now, reply: &mut Reply<'_>) {
        reply.array(self.entries.len().min(most));
        for entry in self.entries.iter().take(most) {
            reply.map(10);
            let age = now.wall.0.saturating_sub(entry.created.0);
            let seconds = alloc::format!("{}.{:03}", age / 1_000, age % 1_000);
            reply.bulk(b"count");
            reply.count(entry.count);
            for (name, value) in [
                ("reason", entry.reason.as_bytes()),
                ("context", b"toplevel"),
                ("object", &entry.object),
                ("username", &entry.user),
            ] {
                reply.bulk(name.as_bytes());
                reply.bulk(value);
            }
            reply.bulk(b"age-seconds");
            reply.double(&seconds);
            reply.bulk(b"client-info");
            reply.bulk(entry.client.as_bytes());
            for (name, value) in [
                ("entry-id", entry.id),
                ("timestamp-created", entry.created.0),
                ("timestamp-last-updated", entry.updated.0),
            ] {
                reply.bulk(name.as_bytes());
                reply.count(value);
            }
        }
    }
}

/// Says why a command was refused.
pub fn put_denied(spec: &Spec, denied: Denied, user: &[u8], reply: &mut Reply<'_>) {
    match denied {
        Denied::Command => reply.error_bytes(&[
            b"NOPERM User ",
            user,
            b" has no permissions to run the '",
            spec.name.as_bytes(),
            b"' command",
        ]),
        Denied::Key(_) => reply.error("NOPERM No permissions to access a key"),
    }
}

/// Runs a subcommand that the session answers.
pub(super) fn execute(
    spec: &Spec,
    args: &Args<'_>,
    connection: &Connection,
    facts: &Facts<'_>,
    now: Now,
    reply: &mut Reply<'_>,
) -> Effect {
    match spec.id {
        Id::AclWhoAmI => reply.bulk(connection.user()),
        Id::AclCat => cat(args, reply),
        Id::AclDryRun => dry_run(args, facts, reply),
        Id::AclGenPass => return generate(args, reply),
        Id::AclLog => return log(args, facts, now, reply),
        _ => reply.error(NO_FILE),
    }
    Effect::None
}

/// ACL CAT [category].
fn cat(args: &Args<'_>, reply: &mut Reply<'_>) {
    let Some(name) = args.get(2) else {
        reply.array(category::NAMES.len());
        for name in category::NAMES {
            reply.bulk(&name.as_bytes()[1..]);
        }
        return;
    };
    if args.len() > 3 {
        return unknown_or_arity(args, reply);
    }
    let lower = String::from_utf8_lossy(name).to_ascii_lowercase();
    let Some(bit) = category_named(&lower) else {
        return reply.error_bytes(&[b"ERR Unknown category '", name, b"'"]);
    };
    let found: Vec<&Spec> =
        command::every().filter(|spec| spec.all_categories() & bit != 0).collect();
    reply.array(found.len());
    for spec in found {
        reply.bulk(spec.name.as_bytes());
    }
}

/// ACL DRYRUN username command [arg ...].
fn dry_run(args: &Args<'_>, facts: &Facts<'_>, reply: &mut Reply<'_>) {
    let name = args.at(2);
    let Some(account) = facts.users.find(name) else {
        return reply.error_bytes(&[b"ERR User '", name, b"' not found"]);
    };
    let words: Vec<&[u8]> = args.iter().skip(3).collect();
    let (mut buffer, mut bytes) = (ArgsBuffer::default(), Vec::new());
    let inner = buffer.compose(&mut bytes, &words);
    let spec = match command::resolve(&inner) {
        Ok(spec) => spec,
        Err(Unresolved::Arity(spec)) => {
            return reply.error_format(format_args!(
                "ERR wrong number of arguments for '{}' command",
                spec.name
            ));
        }
        Err(_) => return reply.error_bytes(&[b"ERR Command '", words[0], b"' not found"]),
    };
    let mut text = b"User ".to_vec();
    text.extend_from_slice(name);
    match account.user.check(spec, &inner) {
        Ok(()) => return reply.ok(),
        Err(Denied::Command) => {
            text.extend_from_slice(b" has no permissions to run the '");
            text.extend_from_slice(spec.name.as_bytes());
            text.extend_from_slice(b"' command");
        }
        Err(Denied::Key(at)) => {
            text.extend_from_slice(b" has no permissions to access the '");
            text.extend_from_slice(inner.at(at));
            text.extend_from_slice(b"' key");
        }
    }
    reply.bulk(&text);
}

/// ACL GENPASS [bits].
fn generate(args: &Args<'_>, reply: &mut Reply<'_>) -> Effect {
    let bits = args.get(2).map_or(Some(256), integer);
    match bits.and_then(|bits| usize::try_from(bits).ok()) {
        _ if args.len() > 3 => unknown_or_arity(args, reply),
        Some(bits @ 1..=4096) => return Effect::GeneratePassword { digits: bits.div_ceil(4) },
        _ => reply.error(
            "ERR ACL GENPASS argument must be the number of bits for the output password, a positive number up to 4096",
        ),
    }
    Effect::None
}

/// ACL LOG [count | RESET].
fn log(args: &Args<'_>, facts: &Facts<'_>, now: Now, reply: &mut Reply<'_>) -> Effect {
    let Some(option) = args.get(2) else {
        facts.refusals.put(SHOWN, now, reply);
        return Effect::ShowRefusals;
    };
    if args.len() > 3 {
        unknown_or_arity(args, reply);
    } else if option.eq_ignore_ascii_case(b"reset") {
        reply.ok();
        return Effect::ForgetRefusals;
    } else if let Some(count) = integer(option).and_then(|count| usize::try_from(count).ok()) {
        facts.refusals.put(count, now, reply);
        return Effect::ShowRefusals;
    } else {
        reply.error("ERR value is out of range, must be positive");
    }
    Effect::None
}
