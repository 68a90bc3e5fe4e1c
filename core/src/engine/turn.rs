//! A turn: what has arrived goes in, then each touched group finishes once, then the log once.

use alloc::vec::Vec;

use crate::bytes::Malformed;
use crate::config::Bug;
use crate::engine::{Engine, Partition};
use crate::event::{Event, Liveness, StepDown};
use crate::group::{Group, Room};
use crate::ids::{ClientId, GroupId, LaneId, Life, NodeId};
use crate::message::{self, Message};
use crate::outputs::{Outputs, SyncToken};
use crate::resp::Args;
use crate::time::{Instant, Span};
use crate::wal::Durable;

/// Whether a command was taken.
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    /// A queue is full: keep the command and stop reading this client until a later turn's outputs.
    Busy,
    /// It will be answered, unless the client hangs up first.
    Taken,
}

/// One turn: play in what has arrived, then [`Turn::finish`].
#[must_use = "a turn does nothing until it is finished"]
#[derive(Debug)]
pub struct Turn<'t> {
    pub(super) engine: &'t mut Engine,
    pub(super) out: &'t mut Outputs,
}

impl<'t> Turn<'t> {
    pub(super) fn begin(engine: &'t mut Engine, out: &'t mut Outputs, first: bool) -> Self {
        let mut turn = Self { engine, out };
        if first {
            turn.start();
        }
        turn
    }

    /// The first turn of a process: every replica waits a little for a leader, then campaigns.
    fn start(&mut self) {
        let now = self.engine.now.mono;
        self.engine.look_for_users();
        self.engine.beats.begin(now);
        let ids: Vec<GroupId> = self.engine.groups().collect();
        for id in ids {
            self.with_group(id, |group, room| group.raft.begin(&mut room.io()));
        }
    }

    /// The sync named `token` has returned.
    pub fn disk_synced(&mut self, token: SyncToken) {
        if self.engine.failed {
            return;
        }
        let mut durable = core::mem::take(&mut self.engine.durable);
        let disk = &mut self.out.disk;
        self.engine.wal.synced(token, disk, &mut |news| durable.push(news));
        self.engine.stalls_at = None;
        for news in durable.drain(..) {
            match news {
                Durable::Begun => {
                    self.engine.begun = true;
                    self.ask_if_blank(None);
                }
                Durable::Entry { group, index, record, .. } => {
                    self.with_group(group, |group, room| {
                        group.raft.entries_durable(index, record, &mut room.io());
                    });
                }
                Durable::Ballot { group, term, vote } => {
                    self.with_group(group, |group, room| {
                        group.raft.ballot_durable(term, vote, &mut room.io());
                    });
                }
                Durable::Image { group, index, .. } => {
                    self.with_group(group, |group, room| group.image_durable(index, room));
                }
                Durable::Repaired { group } => {
                    self.with_group(group, |group, room| group.raft.repaired(&mut room.io()));
                }
            }
        }
        self.engine.durable = durable;
    }

    /// A write or sync failed. The engine stops; nothing it wrote since the last sync is trusted again.
    pub fn disk_failed(&mut self) {
        self.engine.failed = true;
        self.out.events.push(Event::DiskFailed);
    }

    /// What the membership layer thinks of a node. Advice: it hastens, it never decides.
    pub fn liveness(&mut self, node: NodeId, liveness: Liveness) {
        if matches!(liveness, Liveness::Dead | Liveness::Left) {
            self.hasten(node);
        }
    }

    /// So many bytes wait to be sent to a node: if they are many, less is done for it. Holds until it is said anew.
    pub fn peer_unsent(&mut self, node: NodeId, bytes: usize) {
        if let Some(peer) = self.engine.pulse.peer_mut(node) {
            peer.unsent = bytes;
        }
    }

    /// How many datagrams the membership layer has received since the process began. For INFO only.
    pub fn datagrams(&mut self, received: u64) {
        self.engine.datagrams = received;
    }

    /// A connection to a node was made or lost; what was in flight on it is gone.
    pub fn peer_reset(&mut self, node: NodeId) {
        self.hasten(node);
        let now = self.engine.now.mono;
        self.each_partition(|partition, _| {
            partition.outbox.peer_reset(node);
            match &mut partition.group {
                Some(group) => {
                    group.raft.peer_reset(node, now);
                    group.raft.leads() || !partition.outbox.is_empty()
                }
                None => !partition.outbox.is_empty(),
            }
        });
    }

    /// Bytes from the same lane of another node, at least one of them new. Returns how many were used; a frame
    /// not yet whole is left. After [`Event::PeerMalformed`] the connection should be closed.
    pub fn receive(&mut self, from: NodeId, bytes: &[u8]) -> usize {
        let mut used = 0;
        while used < bytes.len() && !self.engine.failed {
            let Ok(frame) = message::decode(&bytes[used..]) else {
                self.out.events.push(Event::PeerMalformed { from });
                return bytes.len();
            };
            let Some((message, length)) = frame else {
                // The beats of a node stand behind its large frame: part of one says as well that it is there.
                if used < bytes.len() && self.engine.pulse.peer(from).is_some() {
                    self.hear(from);
                }
                return used;
            };
            used += length;
            self.engine.counts.messages += 1;
            if self.engine.pulse.peer(from).is_none() {
                continue;
            }
            self.hear(from);
            if self.on_message(from, &message).is_err() {
                self.out.events.push(Event::PeerMalformed { from });
                return bytes.len();
            }
        }
        bytes.len()
    }

    fn on_message(&mut self, from: NodeId, message: &Message<'_>) -> Result<(), Malformed> {
        // What was read back may not be on the disk for good before this life is: nothing is promised on
        // the strength of it. And a node may know that this disk has forgotten: it says so first.
        let known = self.engine.pulse.peer(from).is_some_and(|peer| peer.life != Life(0));
        if !(self.engine.begun && known || matches!(message, Message::Beat(_))) {
            return Ok(());
        }
        match *message {
            Message::Beat(beat) => self.on_beat(from, beat),
            Message::AskLeads => self.on_ask_leads(from),
            Message::AskUsers => self.on_ask_users(from),
            Message::Users { told } => self.on_users(told)?,
            Message::Leads { life, pairs } => self.on_leads(from, life, pairs)?,
            Message::Append(append) => {
                return self
                    .try_group(append.group, |group, room| group.on_append(from, &append, room));
            }
            Message::Appended(appended) => self.with_group(appended.group, |group, room| {
                group.raft.on_appended(from, &appended, &mut room.io());
            }),
            Message::Behind(behind) => self.with_group(behind.group, |group, room| {
                group.raft.on_behind(from, &behind, &mut room.io());
            }),
            Message::Ballot(ballot) => self.with_group(ballot.group, |group, room| {
                group.raft.on_ballot(from, &ballot, &mut room.io());
            }),
            Message::Vote(vote) => self.with_group(vote.group, |group, room| {
                group.raft.on_vote(from, &vote, &mut room.io());
            }),
            Message::Chunk(chunk) => {
                return self
                    .try_group(chunk.group, |group, room| group.on_chunk(from, &chunk, room));
            }
            Message::ChunkTaken(taken) => self.with_group(taken.group, |group, room| {
                group.on_chunk_taken(from, &taken, room);
            }),
            Message::TakeOver { group, term, last } => self.with_group(group, |group, room| {
                group.raft.on_take_over(from, term, last, &mut room.io());
            }),
            Message::Resigned { group, term } => self.with_group(group, |group, room| {
                group.raft.on_resigned(from, term, &mut room.io());
            }),
            Message::Digest { group, index, digest } => self.with_group(group, |group, room| {
                group.on_digest(from, index, digest, room);
            }),
            Message::Blank { group, ask } => self.with_group(group, |group, room| {
                group.raft.on_blank(from, ask, &mut room.io());
            }),
            Message::Forward(forward) => self.on_forward(from, &forward)?,
            Message::Answer(answer) => self.on_answer(&answer),
            Message::Handoff(_) | Message::Handback(_) | Message::Led { .. } => {
                return Err(Malformed);
            }
        }
        Ok(())
    }

    /// Bytes from another engine of this node, always whole.
    pub fn handoff(&mut self, from: LaneId, bytes: &[u8]) {
        let mut used = 0;
        while used < bytes.len() && !self.engine.failed {
            let frame =
                message::decode(&bytes[used..]).expect("engines of one node are of one mind");
            let (message, length) = frame.expect("hand-offs arrive whole");
            used += length;
            match message {
                Message::Handoff(handoff) => self.on_handoff(from, &handoff),
                Message::Led { group, leader } => {
                    self.engine.directory.note(group, leader);
                }
                Message::Handback(handback) if handback.bytes.is_empty() => {
                    self.lose_answer(handback.ticket);
                }
                Message::Handback(handback) => {
                    let out = &mut *self.out;
                    let sessions = &mut self.engine.sessions;
                    sessions.answer(handback.ticket, &mut out.replies, &mut out.closes, |lane| {
                        lane.extend_from_slice(handback.bytes);
                    });
                }
                other => unreachable!("engines of one node do not send {other:?}"),
            }
        }
    }

    /// A command. Answers of one client leave in the order of its commands.
    pub fn request(&mut self, client: ClientId, args: &Args<'_>) -> Admission {
        if self.engine.failed { Admission::Taken } else { self.on_request(client, args) }
    }

    /// A client hung up; its answers are dropped.
    pub fn client_gone(&mut self, client: ClientId) {
        self.engine.sessions.close(client);
        self.engine.waits.retain(|wait| !wait.is_of(client));
        self.engine.logins.client_gone(client);
        self.out.replies.drop_lane(client.0);
    }

    /// The node is about to stop: hand leaderships over. Turns go on until [`Engine::leads`] says no or
    /// the driver loses patience.
    pub fn retire(&mut self) {
        self.engine.retiring = true;
        self.each_group(|group, room| {
            if group.raft.leads() && !group.raft.hand_over(&mut room.io()) {
                group.raft.resign(StepDown::Transferred, &mut room.io());
            }
            true
        });
    }

    /// Ends the turn: due timers, each touched group once, then the log once for all of them.
    pub fn finish(mut self) {
        if self.engine.failed {
            self.engine.finished.clear();
            core::mem::swap(&mut self.engine.touched, &mut self.engine.finished);
            let left = self.engine.partitions.iter_mut();
            left.for_each(|partition| partition.listed = false);
            return;
        }
        self.check_disk();
        self.tick_beats();
        self.tick_groups();
        self.go_on_waiting();
        self.hang_up_on_silent();
        self.ask_for_users();
        self.finish_groups();
        self.hear_of_users();
        self.rise_if_outlived();
        self.want_image();
        self.engine.wal.flush(&mut self.out.disk);
        let engine = &mut *self.engine;
        match engine.wal.in_flight() {
            None => engine.stalls_at = None,
            Some(bytes) if engine.stalls_at.is_none() => {
                // A disk that has much to write answers later and is well all the same.
                let timing = &engine.config.timing;
                let patience = Span(timing.disk_stall.0 + timing.way_of(bytes).0);
                engine.stalls_at = Some(engine.now.mono.plus(patience));
            }
            Some(_) => {}
        }
        self.out.wake_at = Some(self.next_wake());
    }

    fn tick_groups(&mut self) {
        let now = self.engine.now.mono;
        while let Some(&(at, id)) = self.engine.timers.first() {
            if at > now {
                return;
            }
            self.engine.timers.pop_first();
            if let Some(partition) = self.engine.partitions.get_mut(id) {
                partition.wake = None;
            }
            self.with_group(id, Group::tick);
            self.touch(id);
        }
    }

    fn finish_groups(&mut self) {
        let mut finished = core::mem::take(&mut self.engine.finished);
        finished.clear();
        core::mem::swap(&mut self.engine.touched, &mut finished);
        for &id in &finished {
            let begun = self.engine.begun || Bug::LifeReused.active(self.engine.config.bug);
            let (partitions, mut room) = self.engine.split(self.out);
            let Some(partition) = partitions.get_mut(id) else { continue };
            partition.listed = false;
            if let Some(group) = &mut partition.group {
                group.finish(&mut partition.outbox, &mut room);
            }
            if begun {
                partition.outbox.flush(id, partition.group.as_ref(), &mut room);
            }
            let group = partition.group.as_ref().and_then(|group| group.deadline(&room));
            let outbox = partition.outbox.deadline(room.now.mono, room.config);
            let at = group.into_iter().chain(outbox).min();
            self.arm(id, at);
            self.note_leader(id);
        }
        self.engine.finished = finished;
    }

    /// Sees to it that a group is touched at `at`, or before: an earlier moment than needed does no harm.
    fn arm(&mut self, id: GroupId, at: Option<Instant>) {
        let engine = &mut *self.engine;
        let Some(partition) = engine.partitions.get_mut(id) else { return };
        let Some(at) = at.filter(|at| partition.wake.is_none_or(|wake| *at < wake)) else {
            return;
        };
        if let Some(wake) = partition.wake.replace(at) {
            engine.timers.remove(&(wake, id));
        }
        engine.timers.insert((at, id));
    }

    /// The log has grown too long: the group that holds its oldest part back makes an image.
    fn want_image(&mut self) {
        let most = self.engine.config.limits.wal_bytes;
        if let Some(id) = self.engine.wal.wants_image(most) {
            let (partitions, mut room) = self.engine.split(self.out);
            if let Some(group) =
                partitions.get_mut(id).and_then(|partition| partition.group.as_mut())
                && group.want_image()
            {
                group.continue_image(&mut room);
                let at = self.engine.now.mono.0 + 1;
                self.arm(id, Some(Instant(at)));
            }
        }
    }

    /// A sync that does not return costs this node its leaderships, if others can take them.
    fn check_disk(&mut self) {
        let engine = &mut *self.engine;
        let stalled = engine.stalls_at.is_some_and(|at| at <= engine.now.mono);
        if stalled == engine.pulse.stalled {
            return;
        }
        engine.pulse.stalled = stalled;
        self.out.events.push(Event::DiskStalled { stalled });
        if !stalled {
            return;
        }
        self.each_group(|group, room| {
            let fit = |node| node != room.config.node && room.pulse.fit(node);
            let others_can = group.raft.config().quorum(Bug::None, fit);
            if group.raft.leads() && others_can {
                group.raft.resign(StepDown::DiskStalled, &mut room.io());
                return true;
            }
            false
        });
    }

    fn next_wake(&self) -> (Instant, &'static str) {
        let mut wake = self.beats_wake();
        if let Some(&(at, _)) = self.engine.timers.first()
            && at < wake.0
        {
            wake = (at, "group");
        }
        if let Some(at) = self.engine.stalls_at.filter(|_| !self.engine.pulse.stalled)
            && at < wake.0
        {
            wake = (at, "disk");
        }
        if let Some(at) = self.engine.idle.look_at().filter(|at| *at < wake.0) {
            wake = (at, "silence");
        }
        if let Some(at) = self.engine.users_wake().filter(|at| *at < wake.0) {
            wake = (at, "users");
        }
        if self.engine.sessions.has_gathered() {
            wake = (self.engine.now.mono, "wait");
        }
        // Whoever was held back is let in by the next turn.
        if let Some(pause) = self.engine.pause.filter(|pause| pause.until > self.engine.now.mono)
            && pause.until < wake.0
        {
            wake = (pause.until, "pause");
        }
        (wake.0.max(Instant(self.engine.now.mono.0 + 1)), wake.1)
    }

    /// Puts a group on the list of those to finish.
    pub(super) fn touch(&mut self, id: GroupId) {
        let engine = &mut *self.engine;
        if let Some(partition) = engine.partitions.get_mut(id)
            && !partition.listed
        {
            partition.listed = true;
            engine.touched.push(id);
        }
    }

    /// Something for one group; a group that this node does not hold ignores it.
    pub(super) fn with_group(&mut self, id: GroupId, act: impl FnOnce(&mut Group, &mut Room<'_>)) {
        let done = self.try_group(id, |group, room| {
            act(group, room);
            Ok(())
        });
        debug_assert!(done.is_ok(), "nothing here can fail");
    }

    pub(super) fn try_group(
        &mut self,
        id: GroupId,
        act: impl FnOnce(&mut Group, &mut Room<'_>) -> Result<(), Malformed>,
    ) -> Result<(), Malformed> {
        let (partitions, mut room) = self.engine.split(self.out);
        let Some(group) = partitions.get_mut(id).and_then(|partition| partition.group.as_mut())
        else {
            return Ok(());
        };
        act(group, &mut room)?;
        group.open_reign(&mut room);
        self.touch(id);
        Ok(())
    }

    /// Something for every replica held here; those for which it says true are touched.
    pub(super) fn each_group(&mut self, mut act: impl FnMut(&mut Group, &mut Room<'_>) -> bool) {
        self.each_partition(|partition, room| {
            let Some(group) = partition.group.as_mut() else { return false };
            let touched = act(group, room);
            group.open_reign(room);
            touched
        });
    }

    pub(super) fn each_partition(
        &mut self,
        mut act: impl FnMut(&mut Partition, &mut Room<'_>) -> bool,
    ) {
        let mut touched = core::mem::take(&mut self.engine.touched);
        let (partitions, mut room) = self.engine.split(self.out);
        for partition in partitions.iter_mut() {
            if act(partition, &mut room) && !partition.listed {
                partition.listed = true;
                touched.push(partition.id);
            }
        }
        self.engine.touched = touched;
    }
}
