//! Clients: what they ask, what they are told, and how they give up.

use std::collections::VecDeque;

use driftless_core::bytes::{put_bytes, put_u32};
use driftless_core::command::connection::NodeAddress;
use driftless_core::{ClientId, NodeId};

use super::node::Input;
use super::reply::{self, Answer};
use super::{What, World};
use crate::check::{Call, Kind, Moment, OperationId, Reply, token};
use crate::queue::{MS, Time};

/// How long a client waits before it knocks again at a door that was closed.
const KNOCK_AGAIN: Time = 50 * MS;

/// A client with at most one connection.
#[derive(Debug)]
pub(super) struct Client {
    /// The node it is, or was last, connected to.
    node: usize,
    lane: usize,
    connected: bool,
    /// The run of the node's process.
    boot: u32,
    pending: VecDeque<Pending>,
    /// A story tells it what to do, and wants to see what it is told.
    name: Option<String>,
    /// It goes to the leaders of keys itself.
    in_cluster_mode: bool,
    /// It is content with what replicas know.
    read_only: bool,
    /// What it was last told, for stories.
    pub(super) told: Option<String>,
    /// Whether it was told anything but an error since the heal.
    pub(super) served: bool,
    /// Whether it has stopped asking.
    pub(super) done: bool,
}

/// A command that waits for its answer.
#[derive(Debug)]
struct Pending {
    since: Time,
    /// Its operations in the history: one for each key.
    operations: (OperationId, u32),
    /// The command, for stories.
    text: String,
}

/// A command with one key.
struct Single<'a> {
    kind: Kind,
    key: &'a [u8],
    argument: &'a [u8],
    number: i64,
}

impl World {
    /// One more client; its number.
    pub(super) fn add_client(&mut self) -> usize {
        let node = self.clients.len() % self.nodes.len();
        let lane = self.clients.len() / self.nodes.len() % self.options.lanes as usize;
        let (workload, chance) = (&self.options.workload, &mut self.chances.workload);
        let in_cluster_mode = chance.chance(workload.in_cluster_mode, 100);
        let read_only = chance.chance(workload.read_only, 100);
        self.clients.push(Client {
            node,
            lane,
            connected: false,
            boot: 0,
            pending: VecDeque::new(),
            name: None,
            in_cluster_mode,
            read_only,
            told: None,
            served: false,
            done: false,
        });
        self.clients.len() - 1
    }

    /// A client that a story speaks for; it may already be there.
    pub fn named_client(&mut self, name: &str) -> usize {
        let known = self.clients.iter().position(|client| client.name.as_deref() == Some(name));
        known.unwrap_or_else(|| {
            let client = self.add_client();
            self.clients[client].name = Some(name.to_string());
            client
        })
    }

    /// Connects a client to a node, hanging up elsewhere; whether anybody was there.
    pub fn connect(&mut self, client: usize, node: usize) -> bool {
        if self.clients[client].connected {
            if self.clients[client].node == node {
                return true;
            }
            self.hang_up(client);
        }
        if !self.nodes[node].up {
            return false;
        }
        let state = &mut self.clients[client];
        (state.node, state.connected, state.boot) = (node, true, self.nodes[node].boot);
        let (id, lane) = (ClientId(client as u32), self.clients[client].lane);
        self.input(node, lane, Input::Opened(id));
        if self.clients[client].in_cluster_mode {
            self.input(node, lane, Input::InClusterMode(id));
        }
        if self.clients[client].read_only {
            self.send_command(client, &[b"READONLY"], (OperationId(0), 0), String::new());
        }
        true
    }

    /// Where a client is connected to, if it is.
    pub fn connection(&self, client: usize) -> Option<usize> {
        self.clients[client].connected.then_some(self.clients[client].node)
    }

    /// Whether a client waits for an answer.
    pub fn waits(&self, client: usize) -> bool {
        !self.clients[client].pending.is_empty()
    }

    /// What a client was last told, if it was told anything since this was last asked.
    pub fn told(&mut self, client: usize) -> Option<String> {
        self.clients[client].told.take()
    }

    /// Sends a command that a story spells out. It is part of the history if it is of a kind that the
    /// history knows.
    pub fn say(&mut self, client: usize, words: &[&str]) {
        let parts: Vec<_> = words.iter().map(|word| word.as_bytes()).collect();
        match words[0].to_ascii_uppercase().as_str() {
            "READONLY" => self.clients[client].read_only = true,
            "READWRITE" => self.clients[client].read_only = false,
            _ => (),
        }
        let first = OperationId(self.checkers.history().operations().len() as u32);
        let count = single(&parts).map_or(0, |mut single| {
            single.number = self.agreed(client, &mut single.kind, single.number);
            self.invoke(client, &single);
            1
        });
        self.send_command(client, &parts, (first, count), words.join(" "));
    }

    /// From now on a client that a story speaks for goes to the leaders of keys itself.
    pub fn in_cluster_mode(&mut self, client: usize) {
        self.clients[client].in_cluster_mode = true;
    }

    /// A client of a workload acts.
    pub(super) fn client_acts(&mut self, client: usize) {
        let now = self.now;
        let state = &mut self.clients[client];
        state.done |= self.settling && state.served;
        if state.done && state.pending.is_empty() {
            return;
        }
        let mut pause = 1 + self.chances.workload.up_to(self.options.workload.think);
        let state = &self.clients[client];
        if let Some(oldest) = state.pending.front() {
            if now >= oldest.since + self.options.workload.patience {
                self.hang_up(client);
            }
        } else if now < self.quiet_until || !self.at_work(client) {
            pause = KNOCK_AGAIN;
        } else {
            for _ in 0..=self.chances.workload.up_to(self.options.workload.burst - 1) {
                self.ask(client);
            }
        }
        self.queue.push(now + pause, What::Client { client: client as u32 });
    }

    /// Whether a client is connected, after it has tried to be.
    fn at_work(&mut self, client: usize) -> bool {
        let roams = self.chances.workload.chance(self.options.workload.roaming, 100);
        let state = &self.clients[client];
        if state.connected && !roams {
            return true;
        }
        let mut node = state.node;
        let reachable = |world: &Self, node: usize| {
            let machine = &world.nodes[node];
            machine.up && !machine.retiring && !machine.abandoned
        };
        if roams || !reachable(self, node) {
            node = self.chances.workload.up_to(self.nodes.len() as u64 - 1) as usize;
        }
        reachable(self, node) && self.connect(client, node)
    }

    /// A client that waits for nothing goes to a node and asks, once or more.
    pub(super) fn visit(&mut self, node: usize) {
        let idle = |client: &Client| client.pending.is_empty() && client.name.is_none();
        let Some(client) = self.clients.iter().position(idle) else { return };
        if self.connect(client, node) {
            for _ in 0..=self.chances.workload.up_to(2) {
                self.ask(client);
            }
        }
    }

    /// Asks something.
    fn ask(&mut self, client: usize) {
        let workload = &self.options.workload;
        let chance = &mut self.chances.workload;
        if workload.users > 0 && chance.chance(workload.users, 100) {
            return self.ask_of_users(client);
        }
        let key = chance.up_to(workload.keys - 1);
        let reading = chance.chance(workload.reads, 100);
        let (multi, expiring) = (workload.multi, workload.expiring);
        if chance.chance(multi, 100) {
            return self.ask_many(client, key, reading);
        }
        let dice = chance.up_to(99);
        if chance.chance(expiring, 100) {
            let name = format!("e{key}");
            let milliseconds = chance.between(20, 4_000);
            return match (reading, dice) {
                (true, _) => self.ask_one(client, Kind::Get, &name, false, 0),
                (_, 0..70) => {
                    self.ask_one(client, Kind::SetExpiring, &name, true, milliseconds as i64);
                }
                _ => self.ask_one(client, Kind::Expire, &name, false, milliseconds as i64),
            };
        }
        let counting = chance.chance(1, 4);
        let name = format!("{}{key}", if counting { 'c' } else { 's' });
        match (reading, counting, dice) {
            (true, ..) => self.ask_one(client, Kind::Get, &name, false, 0),
            (_, true, 0..90) => self.ask_one(client, Kind::Increment, &name, false, 1),
            (_, false, 0..45) => self.ask_one(client, Kind::Set, &name, true, 0),
            (_, false, 45..60) => self.ask_one(client, Kind::Append, &name, true, 0),
            (_, false, 60..75) => self.ask_one(client, Kind::GetSet, &name, true, 0),
            (_, false, 75..88) => self.ask_one(client, Kind::SetIfAbsent, &name, true, 0),
            _ => self.ask_one(client, Kind::Delete, &name, false, 0),
        }
    }

    /// Makes a user, changes or removes one, or logs in as one. The history knows nothing of it.
    fn ask_of_users(&mut self, client: usize) {
        let chance = &mut self.chances.workload;
        let (user, password) = (format!("u{}", chance.up_to(2)), format!("p{}", chance.up_to(1)));
        let (added, removed) = (format!(">{password}"), format!("<{password}"));
        let words: &[&str] = match chance.up_to(9) {
            0 | 1 => &["ACL", "SETUSER", &user, "on", &added, "~*", "+@all"],
            2 => &["ACL", "SETUSER", &user, &removed, "-@write"],
            3 => &["ACL", "SETUSER", &user, "off", "resetpass"],
            4 => &["ACL", "DELUSER", &user],
            5 => &["ACL", "USERS"],
            6 => &["RESET"],
            _ => &["AUTH", &user, &password],
        };
        let parts: Vec<_> = words.iter().map(|word| word.as_bytes()).collect();
        self.send_command(client, &parts, (OperationId(0), 0), String::new());
    }

    fn ask_one(&mut self, client: usize, kind: Kind, key: &str, valued: bool, number: i64) {
        let value = if valued { self.value() } else { Vec::new() };
        let digits = number.to_string();
        let mut kind = kind;
        let number = self.agreed(client, &mut kind, number);
        let single = Single { kind, key: key.as_bytes(), argument: &value, number };
        let first = self.invoke(client, &single);
        let (key, digits) = (key.as_bytes(), digits.as_bytes());
        let parts: &[&[u8]] = match kind {
            Kind::Get | Kind::GetStale => &[b"GET", key],
            Kind::Set => &[b"SET", key, &value],
            Kind::SetExpiring => &[b"SET", key, &value, b"PX", digits],
            Kind::Expire => &[b"PEXPIRE", key, digits],
            Kind::Delete => &[b"DEL", key],
            Kind::SetIfAbsent => &[b"SETNX", key, &value],
            Kind::GetSet => &[b"GETSET", key, &value],
            Kind::Increment => &[b"INCRBY", key, digits],
            Kind::Append => &[b"APPEND", key, &value],
        };
        self.send_command(client, parts, (first, 1), String::new());
        self.pool.give(value);
    }

    /// MGET or MSET: for the history, one operation a key.
    fn ask_many(&mut self, client: usize, key: u64, reading: bool) {
        let names: Vec<_> = (key..=key + 2).map(|key| format!("s{key}")).collect();
        let mut values = Vec::new();
        let mut parts: Vec<&[u8]> = vec![if reading { b"MGET" } else { b"MSET" }];
        let mut first = None;
        for name in &names {
            let value = if reading { Vec::new() } else { self.value() };
            let mut kind = if reading { Kind::Get } else { Kind::Set };
            let number = self.agreed(client, &mut kind, 0);
            let single = Single { kind, key: name.as_bytes(), argument: &value, number };
            first = Some(first.unwrap_or(self.invoke(client, &single)));
            values.push(value);
        }
        for (name, value) in names.iter().zip(&values) {
            parts.push(name.as_bytes());
            if !reading {
                parts.push(value);
            }
        }
        let operations = (first.expect("there are names"), names.len() as u32);
        self.send_command(client, &parts, operations, String::new());
    }

    /// Makes a read of a client that has said READONLY one that may be old: the number is how old, in nanoseconds of a node
    /// whose clock is the slowest there may be.
    fn agreed(&self, client: usize, kind: &mut Kind, number: i64) -> i64 {
        let bound = self.options.timing.max_staleness.0;
        if *kind != Kind::Get || !self.clients[client].read_only || bound == 0 {
            return number;
        }
        *kind = Kind::GetStale;
        let slowest = 1_000_000 - self.options.clocks.ppm.max(self.options.clocks.fault_ppm);
        (bound * 1_000_000 / slowest + 1).cast_signed()
    }

    /// A value that no other write writes.
    fn value(&mut self) -> Vec<u8> {
        let mut value = self.pool.take();
        value.extend_from_slice(&token(self.tokens));
        self.tokens += 1;
        let more = self.chances.workload.up_to(self.options.workload.value_bytes);
        value.resize(value.len() + more as usize, b'x');
        value
    }

    fn invoke(&mut self, client: usize, single: &Single<'_>) -> OperationId {
        let Single { kind, key, argument, number } = *single;
        let call = Call { kind, key, argument, number };
        self.checkers.invoked(Moment(self.now), client as u32, &call)
    }

    fn send_command(
        &mut self,
        client: usize,
        parts: &[&[u8]],
        operations: (OperationId, u32),
        text: String,
    ) {
        self.counts.commands += 1;
        let mut bytes = self.pool.take();
        put_u32(&mut bytes, parts.len() as u32);
        for part in parts {
            put_bytes(&mut bytes, part);
        }
        let mut text = text;
        if self.trace.wanted() && text.is_empty() {
            text = String::from_utf8_lossy(&parts.join(&b' ')).into_owned();
        }
        let since = self.now;
        let state = &mut self.clients[client];
        state.pending.push_back(Pending { since, operations, text });
        let (node, lane) = (state.node, state.lane);
        // A connection to a machine that lost power looks well from here: what is sent on it is lost.
        if self.nodes[node].up && self.nodes[node].boot == state.boot {
            self.input(node, lane, Input::Request(ClientId(client as u32), bytes));
        } else {
            self.pool.give(bytes);
        }
    }

    /// Bytes leave a node for a client.
    pub(super) fn answer(&mut self, client: usize, bytes: &[u8]) {
        let mut rest = bytes;
        while !rest.is_empty() {
            match reply::take(rest) {
                Ok((answer, failed, used)) => {
                    self.answered(client, answer, failed, &rest[..used]);
                    rest = &rest[used..];
                }
                Err(what) => return self.object("Protocol", format!("client {client}: {what}")),
            }
            if !self.clients[client].connected {
                return;
            }
        }
    }

    fn answered(&mut self, client: usize, answer: Answer, failed: bool, bytes: &[u8]) {
        let Some(pending) = self.clients[client].pending.pop_front() else {
            let shown = reply::show(bytes);
            return self.object("Protocol", format!("client {client} did not ask for {shown}"));
        };
        let (first, count) = pending.operations;
        let replies = match answer {
            _ if count == 0 => Vec::new(),
            Answer::One(reply) if count == 1 => vec![reply],
            // An error of one group says nothing of what the other groups did with their keys.
            Answer::One(Reply::Refused | Reply::Error) => vec![Reply::Unknown; count as usize],
            Answer::One(reply) => vec![reply; count as usize],
            Answer::Many(replies) => replies,
        };
        let named = self.clients[client].name.clone();
        if named.is_none() && replies.len() != count as usize {
            let shown = reply::show(bytes);
            return self.object("Protocol", format!("client {client} asked {count}, got {shown}"));
        }
        let ids = (first.0..first.0 + count).map(OperationId);
        for (id, reply) in ids.clone().zip(&replies) {
            self.checkers.answered(Moment(self.now), id, reply);
        }
        let lost = self.options.workload.lost_answers;
        if self.faulty && lost > 0 && self.chances.workload.chance(lost, 1_000) {
            // The server has said it, and the client will never know.
            self.clients[client].pending.push_front(Pending { text: String::new(), ..pending });
            self.hang_up(client);
            return;
        }
        for (id, reply) in ids.zip(replies) {
            self.checkers.completed(Moment(self.now), id, reply);
        }
        if !failed {
            self.counts.answers += 1;
            self.clients[client].served = true;
        }
        if named.is_none() && bytes.starts_with(b"-MOVED") {
            return self.follow(client, bytes);
        }
        if named.is_none() && bytes.starts_with(b"-NOPERM") {
            // It comes back as somebody else.
            return self.hang_up(client);
        }
        if let Some(name) = named {
            let shown = reply::show(bytes);
            let took = (self.now - pending.since) / MS;
            let text = &pending.text;
            if self.trace.chatty() {
                let line = format_args!("{name}: {text} -> {shown} ({took} ms)");
                self.trace.note(self.now, line);
            }
            self.clients[client].told = Some(shown);
        } else if self.trace.wanted() {
            let shown = reply::show(bytes);
            let (took, text) = ((self.now - pending.since) / 1_000, &pending.text);
            let line = format_args!("client {client}: {text} -> {shown} ({took} us)");
            self.trace.note(self.now, line);
        }
    }

    /// A client will knock next where it is told that a leader is.
    fn follow(&mut self, client: usize, moved: &[u8]) {
        let text = String::from_utf8_lossy(moved);
        let told = |address: &NodeAddress| {
            let NodeAddress { host, port, .. } = address;
            text.trim_end().ends_with(&format!(" {host}:{port}"))
        };
        let Some(node) = self.addresses.iter().position(told) else {
            return self.object("Protocol", format!("client {client} was sent nowhere: {text}"));
        };
        if node == self.clients[client].node {
            return self
                .object("Protocol", format!("client {client} was sent in a circle: {text}"));
        }
        self.hang_up(client);
        self.clients[client].node = node;
    }

    /// A client's connection ends, whoever ends it: what it waits for will never be told.
    pub(super) fn hang_up(&mut self, client: usize) {
        let state = &mut self.clients[client];
        if !state.connected {
            return;
        }
        state.connected = false;
        if let Some(name) = &state.name {
            self.trace.note(self.now, format_args!("{name} is disconnected"));
        }
        state.pending.clear();
        let (node, lane, boot) = (state.node, state.lane, state.boot);
        self.checkers.gone(client as u32);
        if self.nodes[node].boot == boot {
            self.input(node, lane, Input::Gone(ClientId(client as u32)));
        }
    }

    /// A node's process has ended: its clients see their connections closed, or see nothing at all.
    pub(super) fn server_gone(&mut self, node: usize, told: bool) {
        for client in 0..self.clients.len() {
            if self.clients[client].connected && self.clients[client].node == node && told {
                self.hang_up(client);
            }
        }
    }

    /// Clients whose connection is to an earlier run of a process find out when it answers again.
    pub(super) fn server_back(&mut self, node: usize) {
        let boot = self.nodes[node].boot;
        for client in 0..self.clients.len() {
            let state = &self.clients[client];
            if state.connected && state.node == node && state.boot != boot {
                self.hang_up(client);
            }
        }
    }
}

/// Where clients find a node.
pub(super) fn address_of(node: u32) -> NodeAddress {
    NodeAddress {
        node: NodeId(node),
        host: format!("n{node}"),
        port: 7_378 + node as u16,
        node_port: 0,
    }
}

/// A command of a story, if the history knows its kind.
fn single<'a>(parts: &[&'a [u8]]) -> Option<Single<'a>> {
    let name = parts.first()?.to_ascii_uppercase();
    let key = *parts.get(1)?;
    let second = || parts.get(2).copied();
    let number = |at: usize| std::str::from_utf8(parts.get(at)?).ok()?.parse::<i64>().ok();
    let known = |kind, argument, number| Some(Single { kind, key, argument, number });
    match (name.as_slice(), parts.len()) {
        (b"GET", 2) => known(Kind::Get, &[], 0),
        (b"SET", 3) => known(Kind::Set, second()?, 0),
        (b"SET", 5) if parts[3].eq_ignore_ascii_case(b"PX") => {
            known(Kind::SetExpiring, second()?, number(4)?)
        }
        (b"PEXPIRE", 3) => known(Kind::Expire, &[], number(2)?),
        (b"DEL", 2) => known(Kind::Delete, &[], 0),
        (b"SETNX", 3) => known(Kind::SetIfAbsent, second()?, 0),
        (b"GETSET", 3) => known(Kind::GetSet, second()?, 0),
        (b"INCR", 2) => known(Kind::Increment, &[], 1),
        (b"INCRBY", 3) => known(Kind::Increment, &[], number(2)?),
        (b"APPEND", 3) => known(Kind::Append, second()?, 0),
        _ => None,
    }
}
