//! What an engine knows of the users of the cluster. The first group keeps them. An engine that holds a replica of it
//! looks there; the others ask it again and again. Before an engine has heard of a leader who they are, it lets
//! nobody do anything: a user may have been removed while it was away. Where no leader can be asked for long, it goes by
//! what other nodes have heard; and only if nobody who can be heard knows of any user, as if there were none.

use alloc::format;
use alloc::vec::Vec;

use crate::bytes::Malformed;
use crate::command::access::{Denied, User, Users};
use crate::command::connection::put_denied;
use crate::command::{self, CommandId, Scope, Spec, kept_users};
use crate::config::Bug;
use crate::engine::Engine;
use crate::engine::request::Asked;
use crate::engine::turn::Turn;
use crate::event::Event;
use crate::group::{Group, put_users};
use crate::ids::{ClientId, GroupId, Index, Keyspace, NodeId};
use crate::message::{self, Agreed, Message, Ticket};
use crate::resp::{Args, ArgsBuffer, Items, Proto, Reply, Value, decode};
use crate::session::Client;
use crate::time::{Instant, Span};

/// The group that keeps them.
const KEEPER: GroupId = GroupId(1);
/// How often an engine without a replica of it asks.
const ASK_EVERY: Span = Span::millis(1_000);
/// How soon it asks again if it was not told.
const ASK_AGAIN: Span = Span::millis(250);
/// How long it takes at most until hearsay has gone round.
const HEARSAY_TAKES: Span = Span::millis(1_000);
/// After so long no answer will come any more.
const LOST_AFTER: Span = Span::millis(20_000);

/// Why a command is not run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Bar {
    /// Its client has to say first who it is.
    NoLogin,
    /// Nobody knows yet who may do what.
    Loading,
    /// Its user may not do that.
    Denied(Denied),
}

/// Who may come in, and how that is kept up to date.
#[derive(Debug)]
pub(super) struct Registry {
    pub(super) users: Users,
    /// The same as they are kept.
    kept: Vec<(Vec<u8>, Vec<u8>)>,
    /// The digest of the users, and the place in the log of the group that keeps them.
    digest: u128,
    as_of: Index,
    /// Whether a leader has told of them since the engine began.
    known: bool,
    /// No leader can be asked: it goes by what others say of them, or as if there were none if nobody knows of any.
    hearsay: bool,
    /// When another node may next be asked what it has heard.
    hearsay_at: Instant,
    /// The disk here knew of users when the engine began.
    on_disk: bool,
    /// A question is on its way.
    asked_at: Option<Instant>,
    ask_at: Instant,
    /// What lets `default` in is not what it was.
    default_changed: bool,
    /// Somebody waits for news, or was held back and can go on.
    pub(super) urgent: bool,
}

impl Registry {
    pub(super) fn new(now: Instant, bug: Bug) -> Self {
        Self {
            users: Users::default(),
            kept: Vec::new(),
            digest: 0,
            as_of: Index(0),
            known: Bug::UsersGuessed.active(bug),
            hearsay: false,
            hearsay_at: now,
            on_disk: false,
            asked_at: None,
            ask_at: now,
            default_changed: false,
            urgent: false,
        }
    }

    /// Takes what was told: place, digest, and users unless they are those of that digest. Whether that is news, and
    /// whether whoever told it has it from a leader.
    fn take(&mut self, answer: &[u8]) -> Result<(bool, bool), Malformed> {
        let Some((Value::Array(mut parts), _)) = decode(answer)? else { return Err(Malformed) };
        let (Some(Value::Integer(place)), Some(Value::Bulk(digest))) = (parts.next(), parts.next())
        else {
            return Err(Malformed);
        };
        let digest = core::str::from_utf8(digest).map_err(|_| Malformed)?;
        let digest = u128::from_str_radix(digest, 16).map_err(|_| Malformed)?;
        let as_of = Index(place.cast_unsigned());
        let users = parts.next();
        let first_hand = parts.next().is_none();
        if as_of < self.as_of {
            return Ok((false, first_hand));
        }
        self.as_of = as_of;
        match users {
            Some(Value::Array(users)) if digest != self.digest => {
                self.load(as_of, digest, pairs(users));
                Ok((true, first_hand))
            }
            _ => Ok((false, first_hand)),
        }
    }

    /// Whether anybody may be let in.
    fn ready(&self) -> bool {
        self.known || self.hearsay
    }

    fn load(&mut self, as_of: Index, digest: u128, kept: Vec<(Vec<u8>, Vec<u8>)>) {
        // Rules that nobody understands let nobody in: a later version may have made them.
        let user = |rules: &[u8]| User::parse(rules).unwrap_or_else(|_| User::nobody());
        let users = Users::new(kept.iter().map(|(name, rules)| (name.clone(), user(rules))));
        let (before, after) = (self.users.default_account(), users.default_account());
        self.default_changed |= !lets_in_alike(&before.user, &after.user);
        self.users = users;
        self.kept = kept;
        (self.as_of, self.digest) = (as_of, digest);
    }
}

fn pairs(mut items: Items<'_>) -> Vec<(Vec<u8>, Vec<u8>)> {
    let mut pairs = Vec::with_capacity(items.len() / 2);
    while let (Some(Value::Bulk(name)), Some(Value::Bulk(rules))) = (items.next(), items.next()) {
        pairs.push((name.to_vec(), rules.to_vec()));
    }
    pairs
}

/// Whether what lets a user in is the same.
fn lets_in_alike(one: &User, other: &User) -> bool {
    one.enabled() == other.enabled() && one.passwords() == other.passwords()
}

/// Whether a command may be answered before anybody knows who may do what: it tells nothing of keys and changes
/// nothing beyond its connection.
fn is_harmless(spec: &Spec, args: &Args<'_>) -> bool {
    let logs_in = spec.id == CommandId::Auth || (spec.id == CommandId::Hello && args.len() > 2);
    // Doors ask for an echo to learn whether somebody has come in.
    let shows = matches!(spec.id, CommandId::Echo | CommandId::MemoryStats);
    let own = spec.scope == Scope::Connection && !spec.has(command::spec::flag::ADMIN);
    own && !logs_in && !shows
}

impl Engine {
    /// The place in the log of the first group whose users this engine goes by, and their digest; `None`: it does not
    /// know them yet, and lets nobody do anything.
    pub fn users_known(&self) -> Option<(Index, u128)> {
        self.registry.known.then_some((self.registry.as_of, self.registry.digest))
    }

    /// Whether the group that keeps the users is this engine's.
    fn is_keeper(&self) -> bool {
        self.partition(KEEPER).is_some()
    }

    /// Whether this engine knows of the users what the replica here does.
    fn keeps_users(&self) -> bool {
        self.partition(KEEPER).is_some_and(|partition| partition.group.is_some())
    }

    /// Whether there are users, as far as this engine knows or, before it does, as far as the disk here does.
    pub(super) fn has_users(&self) -> bool {
        if self.registry.ready() { self.registry.users.restricted() } else { self.registry.on_disk }
    }

    /// The engine begins: looks whether the disk here knows of users.
    pub(super) fn look_for_users(&mut self) {
        let keeper = self.partition(KEEPER).and_then(|it| it.group.as_ref());
        self.registry.on_disk = keeper.is_some_and(Group::may_have_users);
    }

    /// Whether a command has to wait until it is known who may do what.
    pub(super) fn waits_for_users(&self, spec: &Spec, args: &Args<'_>) -> bool {
        !self.registry.ready() && !is_harmless(spec, args) && self.now.mono < self.given_up_at()
    }

    /// A client that was let in without having said who it is stays in, also once others would have to.
    pub(super) fn keep_in(&mut self, client: ClientId) {
        let password = self.config.server.password.as_deref();
        let open = self.registry.known && self.registry.users.open(password);
        if let Some(state) = self.sessions.client_mut(client) {
            state.connection.authenticated |= open;
        }
    }

    /// When a leader that can be asked has been waited for in vain for long enough.
    fn loaded_by(&self) -> Instant {
        self.begun_at.plus(self.config.timing.patience)
    }

    /// Until when commands wait: a little longer, so that what others have heard is heard here, in all engines of the node.
    fn given_up_at(&self) -> Instant {
        self.loaded_by().plus(HEARSAY_TAKES)
    }

    /// What keeps a client from running a command, if anything does.
    pub(super) fn bar(&self, client: &Client, spec: &Spec, args: &Args<'_>) -> Option<Bar> {
        let registry = &self.registry;
        let (users, connection) = (&registry.users, &client.connection);
        let password = self.config.server.password.as_deref();
        let ready = registry.ready() || is_harmless(spec, args);
        if spec.has(command::spec::flag::NO_AUTH) {
            return (!ready).then_some(Bar::Loading);
        }
        if !connection.admitted(users, password) {
            return Some(Bar::NoLogin);
        }
        if !ready {
            return Some(Bar::Loading);
        }
        if !users.restricted() {
            return None;
        }
        let account = connection.account.as_ref().unwrap_or_else(|| users.default_account());
        if account.user.may_do_all() {
            return None;
        }
        account.user.check(spec, args).err().map(Bar::Denied)
    }

    /// When to ask again, or to give up waiting.
    pub(super) fn users_wake(&self) -> Option<Instant> {
        let registry = &self.registry;
        if registry.urgent {
            return Some(self.now.mono);
        }
        let ask = match registry.asked_at {
            Some(at) => Some(at.plus(LOST_AFTER)),
            None if registry.known && self.keeps_users() => None,
            None => Some(registry.ask_at),
        };
        let given_up = (!registry.ready()).then(|| self.given_up_at());
        let loaded = given_up.filter(|at| *at > self.now.mono);
        let guesses = !registry.ready() && self.is_keeper();
        let hearsay = guesses.then(|| registry.hearsay_at.max(self.loaded_by()));
        ask.into_iter().chain(loaded).chain(hearsay).min()
    }
}

impl Turn<'_> {
    /// Refuses a command.
    pub(super) fn refuse(&mut self, asked: &Asked<'_>, bar: Bar) {
        let Asked { spec, args, ticket, proto, .. } = *asked;
        let engine = &mut *self.engine;
        let connection = engine.sessions.client(ticket.client).map(|client| &client.connection);
        let mut user = Vec::new();
        if let (Bar::Denied(denied), Some(connection)) = (bar, connection) {
            user.extend_from_slice(connection.user());
            let key = match denied {
                Denied::Command => None,
                Denied::Key(at) => args.get(at),
            };
            engine.refusals.note_command(spec, key, connection, engine.now);
        }
        self.reply(ticket, proto, |reply| match bar {
            Bar::NoLogin => reply.error("NOAUTH Authentication required."),
            Bar::Loading => {
                reply.error("LOADING the users of the cluster are not known yet: try again later");
            }
            Bar::Denied(denied) => put_denied(spec, denied, &user, reply),
        });
    }

    /// Asks who the users are, if it is time to. Comes before groups finish, so that one here answers in this turn.
    pub(super) fn ask_for_users(&mut self) {
        let now = self.engine.now.mono;
        let engine = &*self.engine;
        let registry = &engine.registry;
        let lost = registry.asked_at.is_none_or(|at| at.plus(LOST_AFTER) <= now);
        let due = registry.ask_at <= now && !(registry.known && engine.keeps_users());
        if !lost || !(due || engine.awaits_users()) {
            return;
        }
        let digest = format!("{:032x}", registry.digest);
        let mut words = alloc::vec![b"ACL".as_slice(), b"STORED"];
        // Who waits for news wants those of the leader; so does an engine that has none.
        if registry.known && !engine.awaits_users() {
            words.push(digest.as_bytes());
        }
        let (mut buffer, mut bytes) = (ArgsBuffer::default(), Vec::new());
        let args = buffer.compose(&mut bytes, &words);
        let Ok(spec) = command::resolve(&args) else { unreachable!("ACL STORED is a command") };
        let client = ClientId::ENGINE;
        let ticket = Ticket { client, generation: 0, sequence: 0, part: 0 };
        let (keyspace, proto) = (Keyspace(0), Proto::Resp2);
        self.engine.registry.asked_at = Some(now);
        let agreed = Agreed::default();
        self.ask(KEEPER, &Asked { spec, args, ticket, keyspace, proto, agreed }, 0, &args);
    }

    /// Takes what was told of the users, or what has changed in the replica here.
    pub(super) fn hear_of_users(&mut self) {
        let engine = &mut *self.engine;
        let now = engine.now.mono;
        engine.registry.urgent = false;
        let (mut changed, mut heard) = (false, None);
        for answer in engine.sessions.take_own() {
            heard = engine.registry.asked_at.take();
            match engine.registry.take(&answer) {
                Ok((news, first_hand)) => {
                    let registry = &mut engine.registry;
                    registry.known |= first_hand;
                    registry.hearsay |= !first_hand;
                    changed |= news;
                    registry.ask_at = now.plus(if registry.known { ASK_EVERY } else { ASK_AGAIN });
                }
                // There is no leader, or it does not know yet that it is.
                Err(Malformed) => engine.registry.ask_at = now.plus(ASK_AGAIN),
            }
        }
        if engine.registry.known
            && let Some(replica) =
                engine.partitions.get_mut(KEEPER).and_then(|it| it.group.as_ref())
        {
            let (as_of, digest) = (replica.applied(), replica.store.digest_of(Keyspace::USERS));
            if digest != engine.registry.digest && as_of >= engine.registry.as_of {
                engine.registry.load(as_of, digest, kept_users(&replica.store));
                changed = true;
            }
        }
        if changed {
            self.follow_users();
        }
        self.go_by_hearsay();
        if let Some(asked_at) = heard {
            // Whoever was held back goes on.
            self.engine.registry.urgent = true;
            self.retry_logins(asked_at);
        }
    }

    /// Without a leader to ask for so long that clients lose patience: goes by what another node has heard, or as if
    /// there were no users if nobody who can be heard knows of any.
    fn go_by_hearsay(&mut self) {
        let engine = &mut *self.engine;
        let now = engine.now.mono;
        let due = now >= engine.loaded_by() && now >= engine.registry.hearsay_at;
        // The other engines of this node hear of it from the one whose disk would know.
        if engine.registry.known || !due || !engine.is_keeper() {
            return;
        }
        engine.registry.hearsay_at = now.plus(ASK_AGAIN);
        let peers = engine.pulse.peers();
        let knows: Vec<NodeId> =
            peers.iter().filter(|peer| peer.users && peer.alive).map(|peer| peer.node).collect();
        let registry = &mut engine.registry;
        if !knows.is_empty() {
            // Nobody is let in as if there were no users, once there are some.
            registry.hearsay &= registry.users.restricted();
            for node in knows {
                message::send(&mut self.out.sends, node.0, &Message::AskUsers);
            }
        } else if !registry.on_disk && !registry.users.restricted() {
            registry.urgent |= !registry.hearsay;
            registry.hearsay = true;
        }
    }

    /// What an engine of this node is told that asks for users while no leader can be asked; nothing, if that is no
    /// question for them or there is nothing to tell.
    pub(super) fn told_by_hearsay(&self, spec: &Spec, proto: Proto) -> Option<Vec<u8>> {
        let registry = &self.engine.registry;
        if spec.id != CommandId::AclStored || registry.known || !registry.hearsay {
            return None;
        }
        let mut told = Vec::new();
        let mut reply = Reply::new(&mut told, proto);
        put_users(registry.as_of, registry.digest, Some(&registry.kept), true, &mut reply);
        Some(told)
    }

    /// Another node has no leader to ask.
    pub(super) fn on_ask_users(&mut self, from: NodeId) {
        let registry = &self.engine.registry;
        if !registry.known {
            return;
        }
        let mut told = Vec::new();
        let mut reply = Reply::new(&mut told, Proto::Resp2);
        put_users(registry.as_of, registry.digest, Some(&registry.kept), false, &mut reply);
        message::send(&mut self.out.sends, from.0, &Message::Users { told: &told });
    }

    /// Another node has told of the users that it goes by.
    pub(super) fn on_users(&mut self, told: &[u8]) -> Result<(), Malformed> {
        let registry = &mut self.engine.registry;
        if registry.known {
            return Ok(());
        }
        let (changed, _) = registry.take(told)?;
        registry.urgent |= !registry.hearsay;
        registry.hearsay = true;
        if changed {
            self.follow_users();
        }
        Ok(())
    }

    /// Connections are those of users as they are now; those of users that are no more are closed.
    fn follow_users(&mut self) {
        let engine = &mut *self.engine;
        let default_changed = core::mem::take(&mut engine.registry.default_changed);
        let users = &engine.registry.users;
        for (id, client) in engine.sessions.iter_mut() {
            let before = client.connection.account.clone();
            let after = before.as_ref().and_then(|account| users.find(&account.name));
            // A door shows at each request who asks, and asks on by what was right before.
            let shown_anew = client.connection.within
                && match (&before, after) {
                    (Some(before), Some(after)) => !lets_in_alike(&before.user, &after.user),
                    _ => default_changed,
                };
            if shown_anew || (before.is_some() && after.is_none()) {
                client.closing = true;
                self.out.closes.push(id);
            } else {
                client.connection.account = after.cloned();
            }
        }
        self.out.events.push(Event::UsersChanged { as_of: engine.registry.as_of });
    }

    /// Answers a command that is not run.
    pub(super) fn answer_error(&mut self, ticket: Ticket, proto: Proto, text: &str) {
        self.reply(ticket, proto, |reply: &mut Reply<'_>| reply.error(text));
    }
}
