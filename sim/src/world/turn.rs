//! One turn of an engine, as a driver takes it: gather, read the clock, play, carry out.

use std::mem;

use driftless_core::command::connection::NodeAddress;
use driftless_core::resp::ArgsBuffer;
use driftless_core::{
    Admission, ClientId, DiskBatch, DiskOp, Event, FileId, LaneId, NodeId, Outputs, SyncToken, Turn,
};

use super::node::Input;
use super::{What, World};
use crate::check::Moment;
use crate::hash::TraceHash;
use crate::pool::Pool;
use crate::queue::Time;
use crate::trace;

/// Tags of what is hashed.
mod tag {
    pub(super) const TURN: u8 = 1;
    pub(super) const CLOCKS: u8 = 2;
    pub(super) const INPUT: u8 = 3;
    pub(super) const BYTES_IN: u8 = 4;
    pub(super) const SEND: u8 = 5;
    pub(super) const HANDOFF: u8 = 6;
    pub(super) const REPLY: u8 = 7;
    pub(super) const CLOSE: u8 = 8;
    pub(super) const WRITE: u8 = 9;
    pub(super) const SYNC: u8 = 10;
    pub(super) const REMOVE: u8 = 11;
    pub(super) const WAKE: u8 = 12;
    pub(super) const SECRETS: u8 = 13;
}

/// Every so many turns an engine is asked to check itself, and all its replicas are looked at, also those that it says
/// have not changed.
pub(super) const CHECK_EVERY: u64 = 16;
/// An engine that wants to be woken at once is woken after this time, as a thread would be.
const SOONEST: Time = 20_000;
/// An engine that takes more turns in a row without a cause, and without doing anything, never sleeps. Making an
/// image that is on its disk already takes it a few hundred.
const MOST_IDLE: u32 = 1_000;

impl World {
    /// Something waits for an engine: it takes a turn as soon as its thread is free.
    pub(super) fn wake_up(&mut self, node: usize, lane: usize) {
        let running = self.nodes[node].runs();
        let state = &mut self.nodes[node].lanes[lane];
        if !running || state.turn_planned || state.engine.is_none() {
            return;
        }
        state.turn_planned = true;
        if state.busy_until > self.now {
            // It is planned only now that the thread is known to be busy: `Turn` clears the mark.
            let at = state.busy_until;
            self.queue.push(at, What::Turn { node: node as u8, lane: lane as u8 });
        } else {
            self.ready.push_back((node as u8, lane as u8));
        }
    }

    /// Puts something before an engine.
    pub(super) fn input(&mut self, node: usize, lane: usize, input: Input) {
        if self.nodes[node].up {
            self.nodes[node].lanes[lane].inbox.push_back(input);
            self.wake_up(node, lane);
        }
    }

    /// An engine wanted to be woken about now.
    pub(super) fn woken(&mut self, node: usize, lane: usize, boot: u32) {
        let now = self.now;
        let machine = &mut self.nodes[node];
        let state = &mut machine.lanes[lane];
        if machine.boot != boot || state.armed != now {
            return;
        }
        state.disarm();
        match state.wake {
            Some(wake) if machine.clock.read(now).mono >= wake => self.wake_up(node, lane),
            _ => self.arm(node, lane),
        }
    }

    /// Plans the wake-up that an engine asked for, unless an earlier one is planned already.
    pub(super) fn arm(&mut self, node: usize, lane: usize) {
        let machine = &mut self.nodes[node];
        let state = &mut machine.lanes[lane];
        let Some(wake) = state.wake else { return };
        if state.armed_for.replace(wake) == Some(wake) {
            return;
        }
        let at = machine.clock.when(wake, self.now).max(self.now + SOONEST);
        if at < state.armed {
            state.armed = at;
            let boot = machine.boot;
            self.queue.push(at, What::Wake { node: node as u8, lane: lane as u8, boot });
        }
    }

    /// A turn of one engine.
    pub(super) fn turn(&mut self, node: usize, lane: usize) {
        let now = self.now;
        let machine = &mut self.nodes[node];
        machine.lanes[lane].turn_planned = false;
        if !machine.runs() {
            return;
        }
        let time = machine.turn_time(now);
        let cost = machine.turn_cost;
        let state = &mut machine.lanes[lane];
        let Some(engine) = &mut state.engine else { return };
        self.counts.turns += 1;
        state.turns += 1;
        state.busy_until = now + cost;
        let mut out = self.out.take().unwrap_or_default();
        out.clear();
        self.hash.number(tag::TURN, (node as u64) << 8 | lane as u64);
        self.hash.number(tag::CLOCKS, time.mono.0 ^ time.wall.0.rotate_left(32));
        let caused = !state.inbox.is_empty() || !state.stalled.is_empty();
        let mut turn = engine.turn(time, &mut out);
        let mut player = Player {
            turn: &mut turn,
            hash: &mut self.hash,
            pool: &mut self.pool,
            args: &mut self.args,
            stalled: &mut state.stalled,
            partial: &mut state.partial,
            addresses: &self.addresses,
        };
        player.play_stalled();
        while let Some(input) = state.inbox.pop_front() {
            player.play(input);
        }
        turn.finish();
        state.idle_turns = if caused || !out.is_empty() { 0 } else { state.idle_turns + 1 };
        if state.idle_turns > MOST_IDLE {
            let why = out.wake_at.map_or("", |(_, why)| why);
            let what = format!("node {} wakes again and again for nothing: {why}", node + 1);
            self.object("Restless", what);
        }
        self.after_turn(node, lane, &out);
        self.carry_out(node, lane, &mut out);
        self.out = Some(out);
    }

    fn after_turn(&mut self, node: usize, lane: usize, out: &Outputs) {
        let at = Moment(self.now);
        let place = (NodeId(node as u32 + 1), LaneId(lane as u8));
        let state = &self.nodes[node].lanes[lane];
        let engine = state.engine.as_ref().expect("it has just taken a turn");
        if state.turns.is_multiple_of(CHECK_EVERY) {
            engine.check();
            self.checkers.after_turn(at, place, engine, engine.groups(), out);
        } else {
            let changed = engine.finished().iter().copied();
            self.checkers.after_turn(at, place, engine, changed, out);
        }
        self.show_images();
    }

    /// Does what an engine asked for.
    pub(super) fn carry_out(&mut self, node: usize, lane: usize, out: &mut Outputs) {
        // Events first: what they trigger is planned, what they close is closed after the rest.
        let malformed = self.note_events(node, lane, &out.events);
        self.carry_out_disk(node, lane, &out.disk);
        let wake = out.wake_at.map(|(at, _)| at);
        self.hash.number(tag::WAKE, wake.map_or(0, |at| at.0));
        self.nodes[node].lanes[lane].wake = wake;
        self.arm(node, lane);
        let whose = (node as u32, lane as u32);
        out.sends.drain(|to, bytes| {
            let sum = self.hash.bytes(tag::SEND, (whose.0, to), bytes);
            let mut taken = self.pool.take();
            mem::swap(&mut taken, bytes);
            self.send((node, to as usize - 1), lane, taken, sum);
        });
        out.handoffs.drain(|to, bytes| {
            self.hash.bytes(tag::HANDOFF, (whose.0, to), bytes);
            let mut taken = self.pool.take();
            mem::swap(&mut taken, bytes);
            self.input(node, to as usize, Input::Handoff(LaneId(lane as u8), taken));
        });
        out.replies.drain(|client, bytes| {
            self.hash.bytes(tag::REPLY, (whose.0, client), bytes);
            self.answer(client as usize, bytes);
        });
        for work in out.secrets.drain(..) {
            self.hash.number(tag::SECRETS, work.number);
            self.look_into(node, lane, &work);
        }
        for client in out.closes.drain(..) {
            self.hash.number(tag::CLOSE, u64::from(client.0));
            self.hang_up(client.0 as usize);
        }
        if let Some(peer) = malformed {
            self.reset(node, peer);
        }
    }

    /// Tells trace and triggers what happened; whose bytes did not decode, if anybody's.
    fn note_events(&mut self, node: usize, lane: usize, events: &[Event]) -> Option<usize> {
        let mut malformed = None;
        for event in events {
            if self.trace.wanted() {
                let what = trace::describe(event);
                self.trace.note(self.now, format_args!("n{} {what}", node + 1));
            }
            match *event {
                Event::PeerMalformed { from } => malformed = Some(from.0 as usize - 1),
                Event::Leading { .. } => self.counts.elections += 1,
                Event::SnapshotMade { .. } => self.counts.snapshots += 1,
                Event::SnapshotInstalled { .. } => self.counts.installs += 1,
                Event::TornTail { .. } => self.counts.torn += 1,
                Event::Damaged { .. } => self.counts.damage += 1,
                Event::Repaired { .. } => self.counts.repairs += 1,
                Event::DiskFailed => self.disk_failed(node),
                _ => {}
            }
            self.consider_triggers(node, event);
        }
        if self.trace.chatty() {
            self.note_commits(node, lane);
        }
        malformed
    }

    /// A trace shows the commit index of each group where it leads.
    fn note_commits(&mut self, node: usize, lane: usize) {
        let Some(engine) = &self.nodes[node].lanes[lane].engine else { return };
        for group in engine.groups() {
            let Some(view) = engine.view(group) else { continue };
            let leads = view.role == driftless_core::Role::Leader;
            let last = &mut self.last_commits[group.0 as usize];
            if leads && view.commit.0 > *last {
                *last = view.commit.0;
                let line = format_args!("n{} g{} commits {}", node + 1, group.0, *last);
                self.trace.note(self.now, line);
            }
        }
    }

    fn carry_out_disk(&mut self, node: usize, lane: usize, batch: &DiskBatch) {
        if !batch.ops.is_empty() {
            self.consider_append(node);
        }
        for op in &batch.ops {
            match op {
                DiskOp::Write { file, offset, bytes } => {
                    let bytes = &batch.bytes[bytes.start as usize..bytes.end as usize];
                    let place = (file_number(*file), *offset as u32);
                    self.hash.bytes(tag::WRITE, place, bytes);
                    self.disk_write(node, lane, *file, *offset, bytes);
                }
                DiskOp::Sync { file, token } => {
                    self.hash.number(tag::SYNC, token.0 << 32 | u64::from(file_number(*file)));
                    self.disk_sync(node, lane, *file, *token);
                }
                DiskOp::Remove { file } => {
                    self.hash.number(tag::REMOVE, u64::from(file_number(*file)));
                    self.nodes[node].lanes[lane].disk.remove(&mut self.pool, *file);
                }
            }
        }
    }

    fn disk_write(&mut self, node: usize, lane: usize, file: FileId, offset: u64, bytes: &[u8]) {
        let machine = &mut self.nodes[node];
        let mut bytes = bytes;
        if machine.disk_mood.fail_write {
            machine.disk_mood.fail_write = false;
            // A short write: some of it is there, and then an error.
            bytes = &bytes[..bytes.len() / 2];
            let boot = machine.boot;
            let error = What::DiskError { node: node as u8, lane: lane as u8, boot };
            self.queue.push(self.now + SOONEST, error);
        }
        self.nodes[node].lanes[lane].disk.write(&mut self.pool, file, offset, bytes);
    }

    fn disk_sync(&mut self, node: usize, lane: usize, file: FileId, token: SyncToken) {
        let settings = &self.options.disk;
        let machine = &mut self.nodes[node];
        let boot = machine.boot;
        let dice = self.chances.disk.bits();
        let mut took = settings.latency + (dice >> 32) * (settings.spread + 1) / (1 << 32);
        if (dice & 0xFFFF) * 10_000 < settings.hiccups << 16 {
            took *= 100;
        }
        took *= machine.disk_mood.slowness;
        let at = (self.now + took).max(machine.disk_mood.stalled_until);
        let fails = mem::take(&mut machine.disk_mood.fail_sync);
        let place = &mut machine.lanes[lane];
        let (node, lane) = (node as u8, lane as u8);
        if fails {
            self.queue.push(at, What::DiskError { node, lane, boot });
            return;
        }
        place.syncing = Some((token, file, place.disk.begin_sync(file)));
        self.queue.push(at, What::Synced { node, lane, boot, token });
    }

    /// A sync has returned.
    pub(super) fn synced(&mut self, (node, lane): (usize, usize), boot: u32, token: SyncToken) {
        let machine = &mut self.nodes[node];
        let syncing = machine.lanes[lane].syncing.filter(|syncing| syncing.0 == token);
        let Some((_, file, covered)) = syncing.filter(|_| machine.boot == boot) else {
            return;
        };
        if self.now < machine.disk_mood.stalled_until {
            // The disk stalled while the sync was on its way.
            let at = machine.disk_mood.stalled_until;
            let (node, lane) = (node as u8, lane as u8);
            self.queue.push(at, What::Synced { node, lane, boot, token });
            return;
        }
        machine.lanes[lane].syncing = None;
        machine.lanes[lane].disk.synced(&mut self.pool, file, covered);
        self.input(node, lane, Input::Synced(token));
    }

    /// A write or sync has returned with an error.
    pub(super) fn disk_error(&mut self, node: usize, lane: usize, boot: u32) {
        if self.nodes[node].boot == boot {
            self.trace.note(self.now, format_args!("n{} disk error", node + 1));
            self.input(node, lane, Input::Failed);
        }
    }
}

/// Plays inputs into a turn.
struct Player<'w, 't> {
    turn: &'w mut Turn<'t>,
    hash: &'w mut TraceHash,
    pool: &'w mut Pool,
    args: &'w mut ArgsBuffer,
    stalled: &'w mut std::collections::VecDeque<(ClientId, Vec<u8>)>,
    partial: &'w mut [Vec<u8>],
    addresses: &'w [NodeAddress],
}

impl Player<'_, '_> {
    /// Commands that found a queue full are tried again, each client's in order.
    fn play_stalled(&mut self) {
        for left in (0..self.stalled.len()).rev() {
            let (client, bytes) = self.stalled.pop_front().expect("it was counted");
            // Behind those still to be tried stand the ones that were refused again.
            let refused = self.stalled.iter().skip(left).any(|(other, _)| *other == client);
            self.try_request(client, bytes, refused);
        }
    }

    fn play(&mut self, input: Input) {
        match input {
            Input::Synced(token) => {
                self.hash.number(tag::INPUT, token.0);
                self.turn.disk_synced(token);
            }
            Input::Failed => {
                self.hash.number(tag::INPUT, 1 << 56);
                self.turn.disk_failed();
            }
            Input::Liveness(node, liveness) => {
                self.hash.number(tag::INPUT, 2 << 56 | u64::from(node.0) << 8 | liveness as u64);
                self.turn.liveness(node, liveness);
            }
            Input::Reset(node) => {
                self.hash.number(tag::INPUT, 3 << 56 | u64::from(node.0));
                self.turn.peer_reset(node);
            }
            Input::Bytes(from, bytes, sum) => {
                match sum {
                    Some(sum) => self.hash.again(tag::BYTES_IN, (0, from.0), sum),
                    None => _ = self.hash.bytes(tag::BYTES_IN, (0, from.0), &bytes),
                }
                self.receive(from, bytes);
            }
            Input::Handoff(from, bytes) => {
                self.hash.bytes(tag::BYTES_IN, (1, u32::from(from.0)), &bytes);
                self.turn.handoff(from, &bytes);
                self.pool.give(bytes);
            }
            Input::Secrets(number, outcomes) => {
                self.hash.number(tag::INPUT, 7 << 56 | number);
                self.turn.secrets_done(number, Some(&outcomes));
            }
            Input::Opened(client) => {
                self.hash.number(tag::INPUT, 4 << 56 | u64::from(client.0));
                self.turn.client_opened(client);
            }
            Input::InClusterMode(client) => {
                self.hash.number(tag::INPUT, 8 << 56 | u64::from(client.0));
                self.turn.client_in_cluster_mode(client);
            }
            Input::Addresses => {
                self.hash.number(tag::INPUT, 9 << 56);
                self.turn.addresses(self.addresses);
            }
            Input::Request(client, bytes) => {
                self.hash.bytes(tag::BYTES_IN, (2, client.0), &bytes);
                self.request(client, bytes);
            }
            Input::Gone(client) => {
                self.hash.number(tag::INPUT, 5 << 56 | u64::from(client.0));
                self.stalled.retain(|(other, _)| *other != client);
                self.turn.client_gone(client);
            }
            Input::Retire => {
                self.hash.number(tag::INPUT, 6 << 56);
                self.turn.retire();
            }
        }
    }

    fn receive(&mut self, from: NodeId, bytes: Vec<u8>) {
        let partial = &mut self.partial[from.0 as usize - 1];
        if partial.is_empty() {
            let used = self.turn.receive(from, &bytes);
            partial.extend_from_slice(&bytes[used..]);
        } else {
            partial.extend_from_slice(&bytes);
            let used = self.turn.receive(from, partial);
            partial.drain(..used);
        }
        self.pool.give(bytes);
    }

    fn request(&mut self, client: ClientId, bytes: Vec<u8>) {
        let waits = self.stalled.iter().any(|(other, _)| *other == client);
        self.try_request(client, bytes, waits);
    }

    /// A command, unless an earlier one of its client waits.
    fn try_request(&mut self, client: ClientId, bytes: Vec<u8>, waits: bool) {
        if !waits {
            let args = self.args.decode(&bytes).expect("clients of the world encode correctly");
            if self.turn.request(client, &args) == Admission::Taken {
                self.pool.give(bytes);
                return;
            }
        }
        self.stalled.push_back((client, bytes));
    }
}

fn file_number(file: FileId) -> u32 {
    match file {
        FileId::Segment(number) => number as u32,
        FileId::Snapshot { group, index } => 1 << 31 | group.0 << 24 | (index.0 as u32 & 0xFF_FFFF),
    }
}
