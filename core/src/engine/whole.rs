//! Commands on the connection that speak of the whole node: each of its engines adds its part.

use alloc::vec::Vec;

use crate::command::connection::{self, Connection, Effect, Facts, KillFilter, put_list};
use crate::command::{CommandId, Merge, Spec};
use crate::engine::idle::Idle;
use crate::engine::login::Looked;
use crate::engine::request::Asked;
use crate::engine::turn::Turn;
use crate::event::Event;
use crate::group::writes;
use crate::ids::{ClientId, GroupId, Keyspace, LaneId};
use crate::message::{self, Agreed, Handback, Handoff, Message};
use crate::resp::{Args, Proto, Reply};
use crate::session::Client;
use crate::time::{Instant, WallTime};

/// Stands for an engine itself, where a group is asked otherwise: groups are numbered from 1.
pub(super) const NO_GROUP: GroupId = GroupId(0);

/// Commands held back by CLIENT PAUSE.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pause {
    /// Until when.
    pub(super) until: Instant,
    /// Whether reads are held as well.
    reads: bool,
}

impl Pause {
    /// Whether a command has to wait. Those of CLIENT never do: one of them ends the pause.
    pub(super) fn holds(self, spec: &Spec, now: Instant) -> bool {
        now < self.until && (self.reads || writes(spec)) && !spec.name.starts_with("client")
    }
}

impl Turn<'_> {
    /// A command that the session answers by itself; `looked`: what was found out about the password in it.
    pub(super) fn on_connection(&mut self, asked: &Asked<'_>, looked: Looked) {
        let Asked { spec, args, ticket, proto, .. } = *asked;
        let engine = &mut *self.engine;
        let mut bytes = core::mem::take(&mut engine.scratch);
        bytes.clear();
        let now = engine.now;
        let state = engine.sessions.client_mut(ticket.client).expect("it was just looked at");
        // Taken out while the command looks at the rest of the engine.
        let mut connection = core::mem::replace(&mut state.connection, Connection::new(0, now));
        let effect = self.execute(spec, &args, &mut connection, proto, &looked, &mut bytes);
        let state = self.engine.sessions.client_mut(ticket.client).expect("it was just there");
        state.connection = connection;
        if let Effect::CheckLogin(login) = effect {
            self.engine.scratch = bytes;
            return self.check_login(asked, login, looked);
        }
        let merge = self.merge_of(spec, &effect);
        if let Some(merge) = merge {
            let lanes = usize::from(self.engine.config.lanes);
            self.engine.sessions.split(ticket, merge, proto, lanes, Vec::new());
        }
        self.carry_out(effect, Some(ticket.client), merge, proto, &mut bytes);
        let out = &mut *self.out;
        let sessions = &mut self.engine.sessions;
        sessions.answer(ticket, &mut out.replies, &mut out.closes, |lane| {
            lane.extend_from_slice(&bytes);
        });
        if merge.is_some() {
            self.ask_other_lanes(asked, &mut bytes);
        }
        self.engine.scratch = bytes;
    }

    /// The part of this engine in a command that a client of another engine asks.
    pub(super) fn on_part(
        &mut self,
        from: LaneId,
        spec: &'static Spec,
        part: &Handoff<'_>,
        args: &Args<'_>,
    ) {
        let mut bytes = core::mem::take(&mut self.engine.scratch);
        bytes.clear();
        let mut nobody = Connection::new(0, self.engine.now);
        let looked = Looked::NotYet;
        let effect = self.execute(spec, args, &mut nobody, part.proto, &looked, &mut bytes);
        let merge = self.merge_of(spec, &effect);
        self.carry_out(effect, None, merge, part.proto, &mut bytes);
        let handback = Handback { ticket: part.ticket, bytes: &bytes };
        message::send(&mut self.out.handoffs, u32::from(from.0), &Message::Handback(handback));
        self.engine.scratch = bytes;
    }

    fn execute(
        &self,
        spec: &'static Spec,
        args: &Args<'_>,
        connection: &mut Connection,
        proto: Proto,
        looked: &Looked,
        bytes: &mut Vec<u8>,
    ) -> Effect {
        let engine = &*self.engine;
        let mut facts = engine.facts();
        facts.login = match looked {
            Looked::NotYet | Looked::Refreshed(_) => None,
            Looked::Right(hash) => Some(Some(hash)),
            Looked::Wrong => Some(None),
        };
        facts.in_cluster_mode = connection.in_cluster_mode;
        if connection.in_cluster_mode && spec.name.starts_with("cluster|") {
            facts.cluster = Some(engine.cluster_facts(connection));
        }
        // Every group is looked at: not for each PING.
        if matches!(spec.id, CommandId::Info | CommandId::MemoryStats | CommandId::Role) {
            engine.add_groups(&mut facts);
        }
        connection::execute(
            spec,
            args,
            connection,
            &facts,
            engine.now,
            &mut Reply::new(bytes, proto),
        )
    }

    /// How the answers of all engines become one, if the others have to be asked.
    fn merge_of(&self, spec: &Spec, effect: &Effect) -> Option<Merge> {
        if self.engine.config.lanes == 1 {
            return None;
        }
        match effect {
            Effect::None if spec.id == CommandId::Info => Some(Merge::Info),
            Effect::None
            | Effect::Close
            | Effect::CheckLogin(_)
            | Effect::LoginFailed(_)
            | Effect::GeneratePassword { .. }
            | Effect::Shutdown { .. } => None,
            Effect::ShowRefusals => Some(Merge::Concat),
            Effect::List(_) => Some(Merge::Lines),
            Effect::Kill(filter) if filter.by_address() => Some(Merge::Killed),
            Effect::Kill(_) => Some(Merge::Sum),
            Effect::Pause { .. }
            | Effect::Unpause
            | Effect::SetConfig(_)
            | Effect::ForgetRefusals
            | Effect::ResetCounters => Some(Merge::AllOk),
        }
    }

    fn ask_other_lanes(&mut self, asked: &Asked<'_>, bytes: &mut Vec<u8>) {
        bytes.clear();
        asked.args.put(bytes);
        let Asked { ticket, proto, keyspace, .. } = *asked;
        let own = self.engine.config.lane.0;
        let others = (0..self.engine.config.lanes).filter(|&lane| lane != own);
        for (part, lane) in (1..).zip(others) {
            let ticket = message::Ticket { part, ..ticket };
            let (group, agreed) = (NO_GROUP, Agreed::default());
            let handoff = Handoff { group, ticket, proto, keyspace, agreed, args: bytes };
            message::send(&mut self.out.handoffs, u32::from(lane), &Message::Handoff(handoff));
        }
    }

    /// Somebody could not come in.
    fn note_failed_login(&mut self, own: Option<ClientId>, user: &[u8]) {
        let engine = &mut *self.engine;
        engine.counts.logins_failed += 1;
        let Some(client) = own else { return };
        if let Some(state) = engine.sessions.client(client) {
            engine.refusals.note_login(user, &state.connection, engine.now);
            self.out.events.push(Event::LoginFailed { client });
        }
    }

    /// Hangs up on the connections that the filter matches; those of `own` once it is answered.
    fn kill(
        &mut self,
        filter: &KillFilter,
        own: Option<ClientId>,
        merge: Option<Merge>,
        reply: &mut Reply<'_>,
    ) {
        let engine = &mut *self.engine;
        let now = engine.now;
        let matches = |client: &Client| filter.matches(&client.connection, now);
        let found: Vec<ClientId> = engine
            .sessions
            .iter()
            .filter(|(_, client)| matches(client))
            .map(|(id, _)| id)
            .collect();
        match merge {
            Some(_) => reply.count(found.len() as u64),
            None => filter.put(found.len(), reply),
        }
        for client in found {
            if Some(client) == own {
                engine.sessions.client_mut(client).expect("it asked").closing = true;
            } else {
                self.out.closes.push(client);
            }
        }
    }

    /// Does to this engine what a command asks for. `own` is the client that asks, if it is here.
    fn carry_out(
        &mut self,
        effect: Effect,
        own: Option<ClientId>,
        merge: Option<Merge>,
        proto: Proto,
        bytes: &mut Vec<u8>,
    ) {
        let engine = &mut *self.engine;
        let now = engine.now;
        match effect {
            // What was refused is shown already.
            Effect::None | Effect::ShowRefusals => {}
            Effect::Pause { span, reads } => {
                let until = now.mono.plus(span);
                // A pause that is there already is made no shorter and no weaker.
                let before = engine.pause.filter(|pause| now.mono < pause.until);
                let until = before.map_or(until, |pause| pause.until.max(until));
                let reads = reads || before.is_some_and(|pause| pause.reads);
                engine.pause = Some(Pause { until, reads });
            }
            Effect::Unpause => engine.pause = None,
            Effect::Close => {
                if let Some(state) = own.and_then(|own| engine.sessions.client_mut(own)) {
                    state.closing = true;
                }
            }
            Effect::CheckLogin(_) => unreachable!("it is looked into before anything is done"),
            Effect::LoginFailed(user) => self.note_failed_login(own, &user),
            Effect::GeneratePassword { digits } => {
                let hexadecimal = |_| b"0123456789abcdef"[engine.chance.up_to(15) as usize];
                let text: Vec<u8> = (0..digits).map(hexadecimal).collect();
                Reply::new(bytes, proto).bulk(&text);
            }
            Effect::ForgetRefusals => engine.refusals.clear(),
            Effect::Shutdown { now } => self.out.shutdown = Some(now),
            Effect::List(filter) => {
                let mut all: Vec<&Connection> =
                    engine.sessions.iter().map(|(_, client)| &client.connection).collect();
                all.sort_by_key(|connection| connection.id);
                put_list(&filter, all.into_iter(), now, &mut Reply::new(bytes, proto));
            }
            Effect::Kill(filter) => self.kill(&filter, own, merge, &mut Reply::new(bytes, proto)),
            Effect::SetConfig(changes) => {
                engine.settings.apply(&changes);
                self.out.settings.extend(changes.named());
                engine.idle = Idle::new(&engine.settings, now.mono);
            }
            Effect::ResetCounters => {
                engine.counts = <_>::default();
                engine.calls.fill(0);
            }
        }
    }
}

impl crate::engine::Engine {
    /// What commands on the connection want to know, except of the groups.
    fn facts(&self) -> Facts<'_> {
        let server = &self.config.server;
        Facts {
            run_id: &server.run_id,
            port: server.port,
            process: server.process,
            system: &server.system,
            uptime: self.now.mono.since(self.begun_at),
            password: server.password.as_deref(),
            clients: self.sessions.count() as u64,
            most_clients: self.settings.number("maxclients"),
            connections: self.connections,
            commands: self.counts.commands,
            calls: &self.calls,
            hits: self.counts.hits,
            misses: self.counts.misses,
            expired: self.counts.expired,
            logins_failed: self.counts.logins_failed,
            nodes: self.pulse.peers().len() as u32 + 1,
            messages: self.counts.messages,
            datagrams: self.datagrams,
            max_staleness: self.config.timing.max_staleness,
            log_bytes: self.wal.bytes(),
            last_save: WallTime(self.now.wall.0),
            ..Facts::new(self.config.node, &self.settings, &self.registry.users, &self.refusals)
        }
    }

    /// What they want to know of the groups.
    fn add_groups(&self, facts: &mut Facts<'_>) {
        for group in self.replicas() {
            facts.groups += 1;
            facts.groups_led += u32::from(group.raft.leads());
            facts.memory += group.store.memory() as u64;
            facts.term = facts.term.max(group.raft.term().0);
            facts.log_offset += group.raft.commit().0;
            for (number, keyspace) in facts.keyspaces.iter_mut().enumerate() {
                keyspace.keys += group.store.len(Keyspace(number as u8));
                keyspace.expiring += group.store.len_expiring(Keyspace(number as u8));
            }
        }
    }
}
