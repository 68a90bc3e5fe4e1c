//! Who a client is: AUTH, HELLO, and the names it gives itself.

use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;

use crate::command::access::{Account, DEFAULT, MOST_PASSWORD, Passwords};
use crate::command::connection::{Connection, Effect, Facts, VERSION, integer};
use crate::resp::{Args, Proto, Reply};

const WRONG: &str = "WRONGPASS invalid username-password pair or user is disabled.";

const UNREADABLE: &str = "ERR Client names cannot contain spaces, newlines or special characters.";

/// AUTH [username] password.
pub(super) fn auth(
    args: &Args<'_>,
    connection: &mut Connection,
    facts: &Facts<'_>,
    reply: &mut Reply<'_>,
) -> Effect {
    let (user, password) = match args.len() {
        2 if facts.users.open(facts.password) => {
            reply.error(
                "ERR AUTH <password> called without any password configured for the default user. \
                 Are you sure your configuration is correct?",
            );
            return Effect::None;
        }
        2 => (DEFAULT, args.at(1)),
        3 => (args.at(1), args.at(2)),
        _ => {
            reply.error("ERR syntax error");
            return Effect::None;
        }
    };
    match admit(user, password, facts) {
        Verdict::Right(account) => enter(connection, account),
        verdict => return turn_away(verdict, user, reply),
    }
    reply.ok();
    Effect::None
}

/// From here on the connection is this user's.
fn enter(connection: &mut Connection, account: &Arc<Account>) {
    connection.authenticated = true;
    // `default` is looked up anew each time: it may be changed by others.
    connection.account = (account.name != DEFAULT).then(|| account.clone());
}

fn turn_away(verdict: Verdict<'_>, user: &[u8], reply: &mut Reply<'_>) -> Effect {
    if let Verdict::Unknown(login) = verdict {
        return Effect::CheckLogin(login);
    }
    reply.error(WRONG);
    Effect::LoginFailed(user.to_vec())
}

/// HELLO [version [AUTH username password] [SETNAME name]].
pub(super) fn hello(
    args: &Args<'_>,
    connection: &mut Connection,
    facts: &Facts<'_>,
    reply: &mut Reply<'_>,
) -> Effect {
    let Some(greeting) = Greeting::parse(args, connection.proto, reply) else {
        return Effect::None;
    };
    let Greeting { proto, login, name } = greeting;
    if let Some((user, password)) = login {
        match admit(user, password, facts) {
            Verdict::Right(account) => enter(connection, account),
            verdict => return turn_away(verdict, user, reply),
        }
    }
    if !connection.admitted(facts.users, facts.password) {
        reply.error(
            "NOAUTH HELLO must be called with the client already authenticated, otherwise the \
             HELLO <proto> AUTH <user> <pass> option can be used to authenticate the client and \
             select the RESP protocol version at the same time",
        );
        return Effect::None;
    }
    if let Some(name) = name {
        connection.name = name.to_vec();
    }
    connection.proto = proto;
    reply.set_proto(proto);
    describe(connection, reply);
    Effect::None
}

/// What a HELLO asks for.
struct Greeting<'a> {
    proto: Proto,
    login: Option<(&'a [u8], &'a [u8])>,
    name: Option<&'a [u8]>,
}

impl<'a> Greeting<'a> {
    /// Reads it; what is wrong with it is answered.
    fn parse(args: &Args<'a>, proto: Proto, reply: &mut Reply<'_>) -> Option<Self> {
        let mut greeting = Self { proto, login: None, name: None };
        if let Some(version) = args.get(1) {
            let understood = match integer(version) {
                Some(2) => Ok(Proto::Resp2),
                Some(3) => Ok(Proto::Resp3),
                Some(_) => Err("NOPROTO unsupported protocol version"),
                None => Err("ERR Protocol version is not an integer or out of range"),
            };
            greeting.proto = understood.map_err(|text| reply.error(text)).ok()?;
        }
        let mut at = 2;
        while let Some(option) = args.get(at) {
            if option.eq_ignore_ascii_case(b"auth") && at + 2 < args.len() {
                greeting.login = Some((args.at(at + 1), args.at(at + 2)));
                at += 3;
            } else if option.eq_ignore_ascii_case(b"setname") && at + 1 < args.len() {
                greeting.name = Some(args.at(at + 1));
                at += 2;
            } else {
                reply.error_bytes(&[b"ERR Syntax error in HELLO option '", option, b"'"]);
                return None;
            }
        }
        if greeting.name.is_some_and(|name| !readable(name)) {
            reply.error(UNREADABLE);
            return None;
        }
        Some(greeting)
    }
}

fn describe(connection: &Connection, reply: &mut Reply<'_>) {
    reply.map(7);
    for (key, value) in [("server", "redis"), ("version", VERSION)] {
        reply.bulk(key.as_bytes());
        reply.bulk(value.as_bytes());
    }
    reply.bulk(b"proto");
    reply.integer(if connection.proto == Proto::Resp3 { 3 } else { 2 });
    reply.bulk(b"id");
    reply.count(connection.id);
    let mode = if connection.in_cluster_mode { "cluster" } else { "standalone" };
    for (key, value) in [("mode", mode), ("role", "master")] {
        reply.bulk(key.as_bytes());
        reply.bulk(value.as_bytes());
    }
    reply.bulk(b"modules");
    reply.array(0);
}

/// CLIENT SETNAME name.
pub(super) fn set_name(name: &[u8], connection: &mut Connection, reply: &mut Reply<'_>) {
    if !readable(name) {
        return reply.error(UNREADABLE);
    }
    connection.name = name.to_vec();
    reply.ok();
}

/// CLIENT SETINFO LIB-NAME|LIB-VER value.
pub(super) fn set_info(
    what: &[u8],
    value: &[u8],
    connection: &mut Connection,
    reply: &mut Reply<'_>,
) {
    let (field, shown) = if what.eq_ignore_ascii_case(b"lib-name") {
        (&mut connection.library_name, "lib-name")
    } else if what.eq_ignore_ascii_case(b"lib-ver") {
        (&mut connection.library_version, "lib-ver")
    } else {
        return reply.error_bytes(&[b"ERR Unrecognized option '", what, b"'"]);
    };
    if !readable(value) {
        return reply.error_format(format_args!(
            "ERR {shown} cannot contain spaces, newlines or special characters."
        ));
    }
    *field = value.to_vec();
    reply.ok();
}

/// Whether every byte can be shown in CLIENT LIST.
fn readable(name: &[u8]) -> bool {
    name.iter().all(u8::is_ascii_graphic)
}

/// A login that is to be looked into.
#[derive(Clone, PartialEq, Eq)]
pub struct Login {
    /// What was given.
    pub password: Vec<u8>,
    /// What a slow hash makes of each of the right ones. None: there is no such user, or it may not come in.
    pub hashes: Vec<String>,
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Login").field("hashes", &self.hashes.len()).finish_non_exhaustive()
    }
}

/// How a login stands.
enum Verdict<'a> {
    Right(&'a Arc<Account>),
    Wrong,
    Unknown(Login),
}

fn admit<'a>(user: &[u8], password: &[u8], facts: &Facts<'a>) -> Verdict<'a> {
    if password.len() > MOST_PASSWORD {
        return Verdict::Wrong;
    }
    let account = facts.users.find(user).filter(|account| account.user.enabled());
    let of_settings = || facts.password.is_none_or(|secret| same(password, secret));
    let right = match account.map(|account| account.user.passwords()) {
        Some(Passwords::NotNeeded) => true,
        Some(Passwords::OfSettings) if of_settings() => true,
        hashed => {
            let hashes = match hashed {
                Some(Passwords::Hashes(hashes)) => hashes.as_slice(),
                _ => &[],
            };
            let Some(found) = facts.login else {
                let (password, hashes) = (password.to_vec(), hashes.to_vec());
                return Verdict::Unknown(Login { password, hashes });
            };
            // It may have been taken away meanwhile.
            found.is_some_and(|found| hashes.iter().any(|hash| hash == found))
        }
    };
    account.filter(|_| right).map_or(Verdict::Wrong, Verdict::Right)
}

/// Whether both are the same, in a time that depends only on the length of what the client sent.
fn same(given: &[u8], secret: &[u8]) -> bool {
    let mut difference = u8::from(given.len() != secret.len());
    for (at, byte) in given.iter().enumerate() {
        let wanted = secret.get(at % secret.len().max(1)).copied().unwrap_or_default();
        difference = core::hint::black_box(difference | (byte ^ wanted));
    }
    difference == 0
}
