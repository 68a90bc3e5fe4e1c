//! Commands that wait until somebody has looked into a password: AUTH, HELLO and ACL SETUSER. A slow hash takes tens of
//! milliseconds and much memory, so the driver makes it elsewhere and tells a later turn.

use alloc::string::String;
use alloc::vec::Vec;

use crate::command::Spec;
use crate::command::access::{MOST_BYTES, Passwords};
use crate::command::connection::Login;
use crate::engine::Engine;
use crate::engine::request::Asked;
use crate::engine::turn::Turn;
use crate::ids::{ClientId, Keyspace};
use crate::message::{Agreed, Ticket};
use crate::outputs::{Given, Secret, SecretOutcome, SecretWork};
use crate::resp::{ArgsBuffer, Proto};
use crate::time::Instant;

/// Passwords in one command, at most.
const MOST_SECRETS: usize = 16;
/// Words in one ACL SETUSER, at most.
const MOST_WORDS: usize = 1024;
const TOO_BUSY: &str = "TRYAGAIN too many passwords are being checked: try again later";
const NO_SUCH_PASSWORD: &str = "ERR Error in ACL SETUSER: The password you are trying to remove from the user does \
                                not exist";

/// Commands that wait for a password to be looked into.
#[derive(Debug, Default)]
pub(super) struct Logins {
    held: Vec<Held>,
    next: u64,
}

/// A command that is run again later. Its client is not heard meanwhile: what it says next depends on who it is.
#[derive(Debug)]
struct Held {
    number: u64,
    spec: &'static Spec,
    args: Vec<u8>,
    ticket: Ticket,
    keyspace: Keyspace,
    proto: Proto,
    stage: Stage,
}

#[derive(Debug)]
enum Stage {
    /// The password is compared with these.
    Checking { hashes: Vec<String>, refreshed: bool },
    /// It is none of these; perhaps another node knows better.
    Refreshing { tried: Vec<String>, since: Instant },
    /// The words of ACL SETUSER that hold passwords are hashed; those to remove are among these.
    Hashing { known: Vec<String> },
}

/// What was found out about a login.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Looked {
    /// Nothing yet.
    NotYet,
    /// It is none of these, which were all that was known before the leader was asked.
    Refreshed(Vec<String>),
    /// It is the one with this hash.
    Right(String),
    /// It is none.
    Wrong,
}

impl Logins {
    /// A client has gone: nobody waits for its login.
    pub(super) fn client_gone(&mut self, client: ClientId) {
        self.held.retain(|held| held.ticket.client != client);
    }
}

impl Engine {
    /// Whether a login waits for what another node knows of the users.
    pub(super) fn awaits_users(&self) -> bool {
        let refreshing = |held: &Held| matches!(held.stage, Stage::Refreshing { .. });
        self.logins.held.iter().any(refreshing)
    }
}

impl Turn<'_> {
    /// What became of the passwords that were handed out under `number`, in the same order; none if there are too
    /// many.
    pub fn secrets_done(&mut self, number: u64, outcomes: Option<&[SecretOutcome]>) {
        let held = &mut self.engine.logins.held;
        let Some(at) = held.iter().position(|held| held.number == number) else { return };
        let held = held.remove(at);
        if !self.engine.sessions.is_open(held.ticket) {
            return;
        }
        let Some(outcomes) = outcomes else {
            return self.give_up(&held, TOO_BUSY);
        };
        match &held.stage {
            Stage::Hashing { known } => self.set_user(&held, known, outcomes),
            Stage::Checking { hashes, refreshed } => {
                let found = match outcomes {
                    [SecretOutcome::Match(Some(at))] => hashes.get(*at).cloned(),
                    _ => None,
                };
                match found {
                    Some(hash) => self.run_again(&held, Looked::Right(hash)),
                    None if *refreshed => self.run_again(&held, Looked::Wrong),
                    None => {
                        let since = self.engine.now.mono;
                        let stage = Stage::Refreshing { tried: hashes.clone(), since };
                        self.engine.logins.held.push(Held { stage, ..held });
                        self.engine.registry.urgent = true;
                    }
                }
            }
            Stage::Refreshing { .. } => unreachable!("nothing was handed out"),
        }
    }

    /// A login that nobody can judge at once.
    pub(super) fn check_login(&mut self, asked: &Asked<'_>, login: Login, looked: Looked) {
        let Login { password, hashes } = login;
        let known = self.engine.registry.users.restricted();
        match looked {
            // Nobody of that name: it may just have been made.
            Looked::NotYet if hashes.is_empty() => {
                let since = self.engine.now.mono;
                self.hold(asked, Stage::Refreshing { tried: Vec::new(), since });
                self.engine.registry.urgent = true;
            }
            Looked::NotYet => self.hand_out(asked, password, hashes, false),
            Looked::Refreshed(tried) if tried == hashes && !(hashes.is_empty() && known) => {
                self.on_connection(asked, Looked::Wrong);
            }
            // Without any hash it is not told from the time it takes that there is no such user.
            Looked::Refreshed(_) => self.hand_out(asked, password, hashes, true),
            Looked::Right(_) | Looked::Wrong => unreachable!("then it can be judged"),
        }
    }

    fn hand_out(
        &mut self,
        asked: &Asked<'_>,
        password: Vec<u8>,
        hashes: Vec<String>,
        refreshed: bool,
    ) {
        let (given, against) = (Given::Password(password), hashes.clone());
        let secret = Secret { given, against, make: false };
        let number = self.hold(asked, Stage::Checking { hashes, refreshed });
        let client = asked.ticket.client;
        self.out.secrets.push(SecretWork { number, client, secrets: alloc::vec![secret] });
    }

    /// Keeps a command until later, and its client quiet.
    fn hold(&mut self, asked: &Asked<'_>, stage: Stage) -> u64 {
        let Asked { spec, ticket, keyspace, proto, .. } = *asked;
        let mut args = Vec::new();
        asked.args.put(&mut args);
        let logins = &mut self.engine.logins;
        logins.next += 1;
        let number = logins.next;
        logins.held.push(Held { number, spec, args, ticket, keyspace, proto, stage });
        if let Some(state) = self.engine.sessions.client_mut(ticket.client) {
            state.held = true;
        }
        number
    }

    fn release(&mut self, ticket: Ticket) {
        if let Some(state) = self.engine.sessions.client_mut(ticket.client) {
            state.held = false;
        }
        self.engine.registry.urgent = true;
    }

    fn give_up(&mut self, held: &Held, text: &str) {
        self.release(held.ticket);
        self.answer_error(held.ticket, held.proto, text);
    }

    fn run_again(&mut self, held: &Held, looked: Looked) {
        let mut buffer = ArgsBuffer::default();
        let args = buffer.decode(&held.args).expect("it was encoded here");
        let Held { spec, ticket, keyspace, proto, .. } = *held;
        self.release(ticket);
        let agreed = Agreed::default();
        self.on_connection(&Asked { spec, args, ticket, keyspace, proto, agreed }, looked);
    }

    /// The leader has told who the users are, or cannot be asked: who was turned away before that may be let in now.
    pub(super) fn retry_logins(&mut self, asked_at: Instant) {
        let all = core::mem::take(&mut self.engine.logins.held);
        for held in all {
            match held.stage {
                Stage::Refreshing { ref tried, since } if since <= asked_at => {
                    if self.engine.sessions.is_open(held.ticket) {
                        self.run_again(&held, Looked::Refreshed(tried.clone()));
                    }
                }
                _ => self.engine.logins.held.push(held),
            }
        }
    }

    /// ACL SETUSER: passwords among its words are hashed before anything is written.
    pub(super) fn on_set_user(&mut self, asked: &Asked<'_>) {
        // Whatever is taken is gone through by every replica.
        if asked.args.len() > MOST_WORDS || asked.args.bytes_len() > 2 * MOST_BYTES {
            let text = "ERR too many rules in one ACL SETUSER";
            return self.answer_error(asked.ticket, asked.proto, text);
        }
        let users = &self.engine.registry.users;
        let known = match users.find(asked.args.at(2)).map(|account| account.user.passwords()) {
            Some(Passwords::Hashes(hashes)) => hashes.clone(),
            _ => Vec::new(),
        };
        let rules = asked.args.iter().skip(3);
        let secret = |(given, make)| Secret { given, against: known.clone(), make };
        let secrets: Vec<Secret> = rules.filter_map(given_in).map(secret).collect();
        if secrets.len() > MOST_SECRETS {
            let text = "ERR too many passwords in one ACL SETUSER";
            return self.answer_error(asked.ticket, asked.proto, text);
        }
        if secrets.is_empty() {
            return self.ask_one(asked);
        }
        let number = self.hold(asked, Stage::Hashing { known });
        self.out.secrets.push(SecretWork { number, client: asked.ticket.client, secrets });
    }

    /// Writes what ACL SETUSER says, with hashes in place of passwords.
    fn set_user(&mut self, held: &Held, known: &[String], outcomes: &[SecretOutcome]) {
        let mut buffer = ArgsBuffer::default();
        let args = buffer.decode(&held.args).expect("it was encoded here");
        let mut outcomes = outcomes.iter();
        let mut words: Vec<Vec<u8>> = Vec::with_capacity(args.len());
        for (at, word) in args.iter().enumerate() {
            if at < 3 || given_in(word).is_none() {
                words.push(word.to_vec());
                continue;
            }
            let rule = match outcomes.next() {
                Some(SecretOutcome::Hash(hash)) => Some(alloc::format!("#{hash}")),
                // One that it has already is given again, and nothing changes.
                Some(SecretOutcome::Match(Some(at))) => known.get(*at).map(|hash| {
                    let adds = matches!(word, [b'>' | b'#', ..]);
                    alloc::format!("{}{hash}", if adds { '#' } else { '!' })
                }),
                _ => None,
            };
            match rule {
                Some(rule) => words.push(rule.into_bytes()),
                None => return self.give_up(held, NO_SUCH_PASSWORD),
            }
        }
        self.release(held.ticket);
        let (mut buffer, mut bytes) = (ArgsBuffer::default(), Vec::new());
        let words: Vec<&[u8]> = words.iter().map(Vec::as_slice).collect();
        let args = buffer.compose(&mut bytes, &words);
        let Held { spec, ticket, keyspace, proto, .. } = *held;
        let agreed = Agreed::default();
        self.ask_one(&Asked { spec, args, ticket, keyspace, proto, agreed });
    }
}

/// The password in a word of ACL SETUSER, or Redis's own hash of one, and whether the user gets it.
fn given_in(rule: &[u8]) -> Option<(Given, bool)> {
    Some(match rule {
        [b'>', password @ ..] => (Given::Password(password.to_vec()), true),
        [b'<', password @ ..] => (Given::Password(password.to_vec()), false),
        [b'#', hash @ ..] => (sha256(hash)?, true),
        [b'!', hash @ ..] => (sha256(hash)?, false),
        _ => return None,
    })
}

/// SHA-256 as Redis writes it.
fn sha256(hash: &[u8]) -> Option<Given> {
    let digits = |byte: &u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(byte);
    let text = core::str::from_utf8(hash).ok()?;
    (hash.len() == 64 && hash.iter().all(digits)).then(|| Given::Sha256(text.into()))
}
