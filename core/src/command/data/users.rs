//! The users of the cluster: kept by the first group in a keyspace of their own, by name, as the words that
//! [`User::parse`] reads.

use alloc::string::String;
use alloc::vec::Vec;

use crate::command::CommandId as Id;
use crate::command::access::{
    DEFAULT, MOST_BYTES, MOST_USERS, Passwords, Permissions, User, acl_line, is_name,
    join_selectors,
};
use crate::command::data::Applying;
use crate::command::data::op::List;
use crate::ids::{Key, Keyspace};
use crate::resp::{Args, Reply};
use crate::store::Store;

const NO_DEFAULT: &str = "ERR The 'default' user cannot be removed";
const BAD_NAME: &str = "ERR Usernames can't contain spaces or null characters";
const TOO_MANY: &str = "ERR there are as many users as there may be";
const TOO_LONG: &str = "ERR the rules of one user take at most 16384 bytes";

fn key(name: &[u8]) -> Key<'_> {
    Key { keyspace: Keyspace::USERS, name }
}

/// ACL SETUSER, applied: all rules or none. What the log holds is what was said, since it is said of the user as it is
/// then. So a version that comes to know more commands or rules has to give the op another number: this one must go on
/// meaning what it means.
pub(super) fn apply_set(
    name: &[u8],
    rules: List<'_>,
    applying: Applying,
    store: &mut Store,
    reply: &mut Reply<'_>,
) {
    let kept = store.get(key(name)).map(|value| value.bytes.to_vec());
    if !is_name(name) {
        return reply.error(BAD_NAME);
    }
    if kept.is_none() && store.len(Keyspace::USERS) >= MOST_USERS {
        return reply.error(TOO_MANY);
    }
    let user = match kept {
        // What nobody understands lets nobody in, and can be made anew.
        Some(text) => User::parse(&text).unwrap_or_else(|_| User::nobody()),
        None if name == DEFAULT => User::everybody(),
        None => User::nobody(),
    };
    let words: Vec<&[u8]> = rules.iter().collect();
    let rules = match join_selectors(&words) {
        Ok(rules) => rules,
        Err(text) => return reply.error_format(format_args!("ERR {text}")),
    };
    let mut user = user;
    for rule in rules {
        if let Err(why) = user.apply(&rule) {
            return reply.error_bytes(&[
                b"ERR Error in ACL SETUSER modifier '",
                &rule,
                b"': ",
                why.as_bytes(),
            ]);
        }
    }
    let text = user.text();
    if text.len() > MOST_BYTES {
        return reply.error(TOO_LONG);
    }
    if User::parse(&text).as_ref() != Ok(&user) {
        return reply.error("ERR these rules cannot be kept as they are");
    }
    store.set(key(name), &text, None, applying.version);
    reply.ok();
}

/// ACL DELUSER, applied.
pub(super) fn apply_remove(
    names: List<'_>,
    applying: Applying,
    store: &mut Store,
    reply: &mut Reply<'_>,
) {
    if names.iter().any(|name| name == DEFAULT) {
        return reply.error(NO_DEFAULT);
    }
    let removed = names.iter().filter(|name| store.remove(key(name), applying.version)).count();
    reply.count(removed as u64);
}

/// The users kept, by name, each with its rules.
pub fn kept_users(store: &Store) -> Vec<(Vec<u8>, Vec<u8>)> {
    let mut users = Vec::new();
    let mut cursor = Some(0);
    while let Some(from) = cursor {
        cursor = store.scan(Keyspace::USERS, from, usize::MAX, &mut |name, value| {
            users.push((name.to_vec(), value.bytes.to_vec()));
        });
    }
    users.sort();
    users
}

/// The users kept, and `default` if it was never changed.
fn all_users(store: &Store) -> Vec<(Vec<u8>, Vec<u8>)> {
    let mut users = kept_users(store);
    if store.get(key(DEFAULT)).is_none() {
        users.push((DEFAULT.to_vec(), User::everybody().text()));
        users.sort();
    }
    users
}

/// ACL LIST, USERS and GETUSER.
pub(super) fn read_users(id: Id, args: &Args<'_>, store: &Store, reply: &mut Reply<'_>) {
    if id == Id::AclGetUser {
        return describe(args.at(2), store, reply);
    }
    let users = all_users(store);
    reply.array(users.len());
    for (name, rules) in users {
        match User::parse(&rules) {
            Ok(user) if id == Id::AclList => reply.bulk(&acl_line(&name, &user)),
            _ => reply.bulk(&name),
        }
    }
}

fn describe(name: &[u8], store: &Store, reply: &mut Reply<'_>) {
    let kept = store.get(key(name)).map(|value| User::parse(value.bytes));
    let user = match kept {
        Some(Ok(user)) => user,
        None if name == DEFAULT => User::everybody(),
        _ => return reply.null(),
    };
    let flag = match user.passwords() {
        Passwords::OfSettings => Some("settingspass"),
        Passwords::NotNeeded => Some("nopass"),
        Passwords::Hashes(_) => None,
    };
    reply.map(6);
    reply.bulk(b"flags");
    reply.set(1 + usize::from(flag.is_some()));
    reply.bulk(if user.enabled() { b"on" } else { b"off" });
    if let Some(flag) = flag {
        reply.bulk(flag.as_bytes());
    }
    let hashes: &[String] = match user.passwords() {
        Passwords::Hashes(hashes) => hashes,
        _ => &[],
    };
    reply.bulk(b"passwords");
    reply.array(hashes.len());
    for hash in hashes {
        reply.bulk(hash.as_bytes());
    }
    put_permissions(user.root(), reply);
    reply.bulk(b"selectors");
    reply.array(user.selectors().len());
    for selector in user.selectors() {
        reply.map(3);
        put_permissions(selector, reply);
    }
}

fn put_permissions(permissions: &Permissions, reply: &mut Reply<'_>) {
    reply.bulk(b"commands");
    reply.bulk_with(|text| permissions.put_commands(text));
    reply.bulk(b"keys");
    reply.bulk_with(|text| permissions.put_keys(text));
    reply.bulk(b"channels");
    reply.bulk_with(|text| permissions.put_channels(text));
}
