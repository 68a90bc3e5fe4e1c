//! Commands of clients: answered here, or asked of the groups whose keys they name, in parts if need be.

use alloc::vec::Vec;

use crate::command::connection::Connection;
use crate::command::{self, CommandId, Merge, Scope, Spec};
use crate::engine::login::Looked;
use crate::engine::turn::{Admission, Turn};
use crate::engine::users::Bar;
use crate::group::{
    Origin, Request, cursor_of, group_of_changes, group_of_cursor, is_within_group, writes,
};
use crate::ids::{ClientId, GroupId, Keyspace};
use crate::message::{self, Agreed, Handoff, Message, Ticket};
use crate::resp::{Args, ArgsBuffer, Proto, Reply};
use crate::session::Kind;
use crate::time::Span;

/// Keys of one command, at most: the number of one has 16 bits.
const MOST_KEYS: usize = 65_535;

/// What a client has agreed to, as far as this command goes: only one with keys can be answered by another replica or
/// elsewhere.
fn agreed(connection: &Connection, spec: &Spec, max_staleness: Span) -> Agreed {
    let reads = matches!(spec.scope, Scope::Read | Scope::SplitRead(_));
    let writes = matches!(spec.scope, Scope::Write | Scope::SplitWrite(_));
    Agreed {
        moves: connection.in_cluster_mode && (reads || writes),
        stale: connection.read_only && reads && max_staleness > Span(0),
    }
}

/// A command of a client, looked up and let in.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked<'a> {
    pub(super) spec: &'static Spec,
    pub(super) args: Args<'a>,
    pub(super) ticket: Ticket,
    pub(super) keyspace: Keyspace,
    pub(super) proto: Proto,
    /// What its client has agreed to.
    pub(super) agreed: Agreed,
}

impl Turn<'_> {
    /// A client has connected.
    pub fn client_opened(&mut self, client: ClientId) {
        let engine = &mut *self.engine;
        engine.connections += 1;
        let id = engine.connections << 8 | u64::from(engine.config.lane.0);
        let budget = engine.config.limits.client_bytes;
        engine.sessions.open(client, Connection::new(id, engine.now), budget);
    }

    /// From where to where it has connected, for CLIENT LIST.
    pub fn client_address(&mut self, client: ClientId, peer: &str, local: &str) {
        if let Some(state) = self.engine.sessions.client_mut(client) {
            state.connection.address = peer.into();
            state.connection.local = local.into();
        }
    }

    /// A client will send no more: it is hung up on once all it asked for is answered. With a complaint,
    /// that is its last answer.
    pub fn client_ended(&mut self, client: ClientId, complaint: Option<&str>) {
        let Some(state) = self.engine.sessions.client_mut(client) else { return };
        if core::mem::replace(&mut state.closing, true) {
            return;
        }
        let (proto, pending) = (state.connection.proto, state.pending());
        if let Some(text) = complaint {
            let ticket = self.engine.sessions.begin(client, false, Kind::Other);
            self.reply(ticket, proto, |reply| reply.error(text));
        } else if pending == 0 {
            self.out.closes.push(client);
        }
    }

    /// The answer to a write of a client cannot be known any more: it is hung up on.
    pub(super) fn lose_answer(&mut self, ticket: Ticket) {
        self.engine.sessions.lose(ticket, self.out);
    }

    pub(super) fn on_request(&mut self, client: ClientId, args: &Args<'_>) -> Admission {
        let engine = &mut *self.engine;
        let (limits, now) = (&engine.config.limits, engine.now);
        let Some(state) = engine.sessions.client_mut(client) else {
            return Admission::Taken;
        };
        if state.closing || args.is_empty() {
            return Admission::Taken;
        }
        if state.held || !state.has_room(&self.out.replies, limits) {
            return Admission::Busy;
        }
        let spec = match command::resolve(args) {
            Ok(spec) => spec,
            Err(unresolved) => {
                let answers = state.connection.begin_unknown(now);
                let proto = state.connection.proto;
                let ticket = engine.sessions.begin(client, !answers, Kind::Other);
                self.reply(ticket, proto, |reply| unresolved.put(args, reply));
                return Admission::Taken;
            }
        };
        if self.engine.waits_for_users(spec, args) {
            return Admission::Busy;
        }
        let state = self.engine.sessions.client(client).expect("it was just looked at");
        let bar = self.engine.bar(state, spec, args);
        let newcomer = !state.connection.authenticated;
        if newcomer && bar.is_none() {
            self.engine.keep_in(client);
        }
        if bar.is_none() && (self.is_busy(spec, args) || self.is_paused(spec)) {
            return Admission::Busy;
        }
        self.engine.counts.commands += 1;
        self.engine.calls[spec.id as usize] += 1;
        self.run(client, spec, args, bar);
        Admission::Taken
    }

    /// Runs a command that is known to fit.
    fn run(&mut self, client: ClientId, spec: &'static Spec, args: &Args<'_>, bar: Option<Bar>) {
        let now = self.engine.now;
        let state = self.engine.sessions.client_mut(client).expect("it was just looked at");
        let answers = state.connection.begin(spec, args, now);
        let (proto, keyspace) = (state.connection.proto, state.connection.keyspace);
        let kind = match spec.scope {
            Scope::Connection | Scope::Wait => Kind::Other,
            _ if writes(spec) => Kind::Write,
            _ => Kind::Read,
        };
        let agreed = agreed(&state.connection, spec, self.engine.config.timing.max_staleness);
        let ticket = self.engine.sessions.begin(client, !answers, kind);
        let asked = Asked { spec, args: *args, ticket, keyspace, proto, agreed };
        if let Some(bar) = bar {
            return self.refuse(&asked, bar);
        }
        match spec.scope {
            Scope::Connection => self.on_connection(&asked, Looked::NotYet),
            Scope::WriteUsers if spec.id == CommandId::AclSetUser => self.on_set_user(&asked),
            Scope::Read | Scope::Write | Scope::ReadUsers | Scope::WriteUsers => {
                self.ask_one(&asked);
            }
            Scope::SplitRead(merge) | Scope::SplitWrite(merge) => self.ask_split(&asked, merge),
            Scope::EveryRead(merge) | Scope::EveryWrite(merge) => self.ask_every(&asked, merge),
            Scope::Scan => self.scan(&asked),
            Scope::Changes => match self.group_of_changes(args) {
                Some(group) => self.ask(group, &asked, 0, args),
                None => self.reply(ticket, proto, |reply| reply.error("ERR no such partition")),
            },
            Scope::RandomKey => self.ask_every(&asked, Merge::FirstFound),
            Scope::Wait => self.on_wait(&asked),
        }
    }

    /// Answers a command at once.
    pub(super) fn reply(
        &mut self,
        ticket: Ticket,
        proto: Proto,
        write: impl FnOnce(&mut Reply<'_>),
    ) {
        let out = &mut *self.out;
        self.engine.sessions.answer(ticket, &mut out.replies, &mut out.closes, |bytes| {
            write(&mut Reply::new(bytes, proto));
        });
    }

    /// All keys belong to one group, or the command is refused.
    pub(super) fn ask_one(&mut self, asked: &Asked<'_>) {
        let Asked { spec, args, ticket, proto, .. } = *asked;
        let mut group = None;
        if let Some((first, last, step)) = command::key_positions(spec, &args) {
            for at in (first..=last).step_by(step) {
                let own = self.engine.placement.group_of(args.at(at));
                if group.is_some_and(|group| group != own) {
                    return self.reply(ticket, proto, |reply| {
                        reply.error("CROSSSLOT Keys in request don't hash to the same slot");
                    });
                }
                group = Some(own);
            }
        }
        self.ask(group.unwrap_or(GroupId(1)), asked, 0, &args);
    }

    /// The keys may belong to several groups: each is asked for its own.
    fn ask_split(&mut self, asked: &Asked<'_>, merge: Merge) {
        let Asked { spec, args, ticket, proto, .. } = *asked;
        let Some((first, last, step)) = command::key_positions(spec, &args) else {
            return self.ask(GroupId(1), asked, 0, &args);
        };
        let count = (last - first) / step + 1;
        if count > MOST_KEYS || args.len() != first + count * step {
            return self.reply(ticket, proto, |reply| {
                reply.error_format(format_args!(
                    "ERR wrong number of arguments for '{}' command",
                    spec.name
                ));
            });
        }
        let mut parts: Vec<GroupId> = Vec::new();
        let mut order = Vec::with_capacity(count);
        for key in 0..count {
            let group = self.engine.placement.group_of(args.at(first + key * step));
            let part = parts.iter().position(|known| *known == group).unwrap_or(parts.len());
            if part == parts.len() {
                parts.push(group);
            }
            order.push(part as u16);
        }
        if let [group] = parts[..] {
            return self.ask(group, asked, 0, &args);
        }
        let asked = &Asked { agreed: Agreed { moves: false, ..asked.agreed }, ..*asked };
        self.engine.sessions.split(ticket, merge, proto, parts.len(), order.clone());
        let (mut buffer, mut bytes, mut words) = (ArgsBuffer::default(), Vec::new(), Vec::new());
        for (part, group) in parts.iter().enumerate() {
            words.clear();
            words.push(args.at(0));
            for (key, _) in order.iter().enumerate().filter(|(_, of)| usize::from(**of) == part) {
                let at = first + key * step;
                words.extend((at..at + step).map(|at| args.at(at)));
            }
            let own = buffer.compose(&mut bytes, &words);
            self.ask(*group, asked, part as u16, &own);
        }
    }

    /// All groups are asked the same; or those that this node leads, if the client means to ask each node for its part.
    fn ask_every(&mut self, asked: &Asked<'_>, merge: Merge) {
        let count = self.engine.placement.partitions();
        let part = self.asks_for_part(asked);
        let mut groups: Vec<GroupId> =
            (1..=count).map(GroupId).filter(|group| !part || self.leads_here(*group)).collect();
        match groups[..] {
            [] => {
                return self.reply(asked.ticket, asked.proto, |reply| {
                    command::merge(merge, &[], core::iter::empty(), reply)
                        .expect("of nothing there is nothing to say");
                });
            }
            [group] => return self.ask(group, asked, 0, &asked.args),
            _ => {}
        }
        let sessions = &mut self.engine.sessions;
        sessions.split(asked.ticket, merge, asked.proto, groups.len(), Vec::new());
        // Which answer counts may depend on the order: it begins anywhere.
        let start = self.engine.chance.up_to(groups.len() as u64 - 1) as usize;
        groups.rotate_left(start);
        for (number, group) in groups.into_iter().enumerate() {
            self.ask(group, asked, number as u16, &asked.args);
        }
    }

    /// A step of a scan: asked of the group that the cursor names, or of the first one after it of those that are asked for.
    fn scan(&mut self, asked: &Asked<'_>) {
        let named = group_of_cursor(asked.args.at(1));
        // What was begun is gone on with, whoever leads it now; and what is no cursor is for the group to refuse.
        let begun = named.is_none() || is_within_group(asked.args.at(1));
        let part = self.asks_for_part(asked) && !begun;
        let named = named.unwrap_or(GroupId(1));
        let partitions = self.engine.placement.partitions();
        let mut groups = (named.0..=partitions).map(GroupId);
        match groups.find(|group| !part || self.leads_here(*group)) {
            Some(group) if group == named => self.ask(group, asked, 0, &asked.args),
            Some(group) => {
                let (mut buffer, mut bytes) = (ArgsBuffer::default(), Vec::new());
                let cursor = cursor_of(group);
                let mut words: Vec<&[u8]> = asked.args.iter().collect();
                words[1] = &cursor;
                let args = buffer.compose(&mut bytes, &words);
                self.ask(group, asked, 0, &args);
            }
            None => self.reply(asked.ticket, asked.proto, |reply| {
                reply.array(2);
                reply.bulk(b"0");
                reply.array(0);
            }),
        }
    }

    /// Asks a group, wherever it is.
    pub(super) fn ask(&mut self, group: GroupId, asked: &Asked<'_>, part: u16, args: &Args<'_>) {
        let ticket = Ticket { part, ..asked.ticket };
        if writes(asked.spec)
            && let Some(client) = self.engine.sessions.client_mut(ticket.client)
        {
            client.wrote(group);
        }
        let (spec, keyspace, proto) = (asked.spec, asked.keyspace, asked.proto);
        let lane = self.engine.placement.lane_of(group, self.engine.config.lanes);
        if lane == self.engine.config.lane {
            let origin = Origin::Client(ticket);
            let args = *args;
            let request = Request { origin, spec, keyspace, proto, args, forwarded: None };
            self.dispatch(group, &request, asked.agreed);
            return;
        }
        let mut bytes = core::mem::take(&mut self.engine.scratch);
        bytes.clear();
        args.put(&mut bytes);
        let agreed = asked.agreed;
        let handoff = Handoff { group, ticket, proto, keyspace, agreed, args: &bytes };
        message::send(&mut self.out.handoffs, u32::from(lane.0), &Message::Handoff(handoff));
        self.engine.scratch = bytes;
    }

    fn group_of_changes(&self, args: &Args<'_>) -> Option<GroupId> {
        group_of_changes(args).filter(|group| group.0 <= self.engine.placement.partitions())
    }

    /// Whether CLIENT PAUSE holds the command.
    fn is_paused(&self, spec: &Spec) -> bool {
        self.engine.pause.is_some_and(|pause| pause.holds(spec, self.engine.now.mono))
    }

    /// Whether any queue that the command would join is full.
    fn is_busy(&self, spec: &Spec, args: &Args<'_>) -> bool {
        let engine = &*self.engine;
        let full = |group: GroupId| {
            let Some(partition) = engine.partition(group) else { return false };
            partition.outbox.busy(&engine.config)
                || partition.group.as_ref().is_some_and(|group| group.busy(&engine.config))
        };
        match spec.scope {
            Scope::Connection | Scope::Wait => false,
            Scope::Changes => self.group_of_changes(args).is_some_and(full),
            Scope::EveryRead(_) | Scope::EveryWrite(_) | Scope::RandomKey | Scope::Scan => {
                engine.partitions.iter().any(|partition| full(partition.id))
            }
            _ => match command::key_positions(spec, args) {
                None => full(GroupId(1)),
                Some((first, last, step)) => (first..=last)
                    .step_by(step)
                    .any(|at| full(engine.placement.group_of(args.at(at)))),
            },
        }
    }
}
