//! Commands of this node's clients for a group that another node leads: sent to its leader, sent again
//! to the next one, and answered once.
//!
//! Commands are sent in attempts. An attempt is for one reign of one node, sends in order, and counts what it
//! sends. Invariant: of an attempt its leader takes a prefix (see [`super::intake`]), so a refusal is one for
//! everything behind it as well, and the next attempt begins there. A later write therefore never passes an
//! earlier one; and since each write that somebody may have taken bears a number, none is applied twice.
//!
//! A connection loses nothing as long as it stands. So commands are sent again only if their leader is not the
//! leader any more, if it refuses them, if the connection was reset, or if the oldest of them has waited for so long
//! that it may as well be lost. That later ones were answered meanwhile says nothing of it.

use alloc::string::ToString as _;
use alloc::vec::Vec;

use crate::command;
use crate::config::{Bug, EngineConfig};
use crate::entry::Forwarded;
use crate::group::freshness::Freshness;
use crate::group::propose::Request;
use crate::group::queue::Queue;
use crate::group::{Group, Origin, Room};
use crate::ids::{GroupId, Index, Keyspace, NodeId, Term};
use crate::message::{self, Answer, Fate, Forward, Message, Sequence};
use crate::raft::Raft;
use crate::resp::{ArgsBuffer, Proto};
use crate::time::{Instant, Span};
use crate::window::Window;

/// Bytes that the first answers are expected to have.
const FIRST_ANSWERS: usize = 64 << 10;

const NO_LEADER: &str = "CLUSTERDOWN The partition has no leader; nothing was done";

/// What a user should know and do about it.
fn why_no_leader(raft: &Raft) -> &'static str {
    if raft.is_unborn() {
        return "CLUSTERDOWN The partition has no leader; nothing was done. This node's disk holds nothing of it: \
                start all nodes once if the cluster is new, or those with the data if it is not";
    }
    if raft.damaged() {
        return "CLUSTERDOWN The partition has no leader; nothing was done. This node's copy is damaged, and only \
                a leader can repair it: start the nodes whose copies are whole; a majority of them is needed";
    }
    NO_LEADER
}

/// Commands on their way to the leader of one group.
#[derive(Debug)]
pub(crate) struct Outbox {
    queue: Queue,
    /// To whom they are sent, in which attempt, and how many of it were sent.
    target: Option<(NodeId, Term)>,
    attempt: u64,
    place: u64,
    /// Since when nothing was heard of the oldest that is on its way, and how often in a row that was too long.
    quiet_since: Instant,
    quiet_rounds: u32,
    window: Window,
    /// Where this node holds no replica: who is said to lead.
    hint: Option<(NodeId, Term)>,
    /// Which replica to ask next if nobody is said to.
    ask: usize,
    /// Not before then is the same node asked again.
    pause_until: Option<Instant>,
    /// How old what the replica here knows may be.
    freshness: Freshness,
}

impl Default for Outbox {
    fn default() -> Self {
        Self {
            queue: Queue::default(),
            target: None,
            attempt: 1,
            place: 0,
            quiet_since: Instant::default(),
            quiet_rounds: 0,
            window: Window::new(FIRST_ANSWERS, 1),
            hint: None,
            ask: 0,
            pause_until: None,
            freshness: Freshness::default(),
        }
    }
}

impl Outbox {
    pub(crate) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// Whether it can take another command without growing beyond its limits.
    pub(crate) fn busy(&self, config: &EngineConfig) -> bool {
        let limits = &config.limits;
        self.queue.len() >= limits.outbox || self.queue.bytes() >= limits.outbox_bytes
    }

    /// Takes a command of a client, unless it is one that no leader would take: that is answered here, so
    /// that every write that bears a number gets into the log.
    pub(crate) fn accept(&mut self, id: GroupId, request: &Request<'_>, room: &mut Room<'_>) {
        if crate::group::writes(request.spec) {
            let mut bytes = core::mem::take(room.scratch);
            bytes.clear();
            let (keyspace, wall) = (request.keyspace, room.now.wall);
            let encoded = command::encode(request.spec, keyspace, &request.args, wall, &mut bytes);
            *room.scratch = bytes;
            if let Err(refusal) = encoded {
                room.answer(id, request.origin, request.proto, |reply| refusal.put(reply));
                return;
            }
        }
        self.push(request, room);
    }

    /// Takes a command; it is sent at the end of the turn.
    pub(crate) fn push(&mut self, request: &Request<'_>, room: &mut Room<'_>) {
        room.counts.forwarded += 1;
        self.queue.push(request, room.now.mono.plus(room.config.timing.patience));
    }

    /// Whether what the replica here has applied is young enough for a client that can do with less than the newest. If
    /// that will soon not be known any more, the leader is asked: the answer to another such question will be better.
    pub(crate) fn is_fresh(&mut self, id: GroupId, applied: Index, room: &mut Room<'_>) -> bool {
        let (now, timing) = (room.now.mono, &room.config.timing);
        let (most, patience) = (timing.max_staleness, timing.patience);
        let age = self.freshness.age(applied, now);
        let old = age.is_none_or(|age| age.0 >= most.0 / 2);
        if old && !self.freshness.is_asking(now, patience, most) {
            self.freshness.ask(now);
            self.ask_how_fresh(id, room);
        }
        age.is_some_and(|age| age <= most) || Bug::StaleUnbounded.active(room.config.bug)
    }

    fn ask_how_fresh(&mut self, id: GroupId, room: &mut Room<'_>) {
        let (mut buffer, mut bytes) = (ArgsBuffer::default(), Vec::new());
        let number = id.0.to_string();
        let args = buffer.compose(&mut bytes, &[b"CHANGES", number.as_bytes(), b"$"]);
        let Ok(spec) = command::resolve(&args) else { unreachable!("CHANGES is a command") };
        let (origin, keyspace) = (Origin::Freshness(room.now.mono), Keyspace(0));
        let proto = Proto::Resp2;
        let request = Request { origin, spec, keyspace, proto, args, forwarded: None };
        self.queue.push(&request, room.now.mono.plus(room.config.timing.patience));
    }

    /// This node's replica leads: it takes what waits here, in order.
    pub(crate) fn flush_into(&mut self, group: &mut Group, room: &mut Room<'_>) {
        if self.queue.is_empty() || !group.accepts() {
            return;
        }
        let (node, life) = (room.config.node, room.life);
        self.aim((node, group.raft.term()));
        let settled = self.queue.settled();
        let mut buffer = ArgsBuffer::default();
        while let Some((id, item)) = self.queue.send_next(self.attempt) {
            let args = buffer.decode(&item.args).expect("it was encoded here");
            let (spec, keyspace, proto) = (item.spec, item.keyspace, item.proto);
            if let Some(number) = item.number {
                let sequence = Sequence { life, number, settled };
                let forwarded = Some(Forwarded { node, sequence, proto });
                let origin = Origin::None;
                let request = Request { origin, spec, keyspace, proto, args, forwarded };
                group.accept_write(&request, room);
            } else {
                let origin = item.origin;
                let request = Request { origin, spec, keyspace, proto, args, forwarded: None };
                group.accept_read(&request, room);
                self.queue.finish(id);
            }
        }
    }

    /// Sends what is not on its way to whoever leads, as far as is known, and as much of it as its answers leave
    /// room for.
    pub(crate) fn flush(&mut self, id: GroupId, group: Option<&Group>, room: &mut Room<'_>) {
        self.give_up_overdue(id, group, room);
        if self.queue.is_empty() {
            return;
        }
        self.restart_if_quiet(room);
        let paused = self.pause_until.is_some_and(|until| room.now.mono < until);
        let target = match group {
            Some(group) => group
                .raft
                .leader()
                .map(|leader| (leader, group.raft.term()))
                .filter(|target| !paused || self.target != Some(*target)),
            None if paused => None,
            None => self.whom_to_ask(id, room),
        };
        let Some(target) = target.filter(|(node, _)| *node != room.config.node) else {
            return;
        };
        self.aim(target);
        // Whoever is only asked who leads is asked once.
        let most = if target.1 == Term(0) { 1 } else { usize::MAX };
        let budget = room.config.limits.forwarded_bytes;
        let settled = self.queue.settled();
        while self.queue.flying() < most && self.window.fits(self.queue.flying(), 0, budget) {
            if self.queue.flying() == 0 {
                self.quiet_since = room.now.mono;
            }
            let Some((number, item)) = self.queue.send_next(self.attempt) else {
                return;
            };
            let forward = Forward {
                group: id,
                term: target.1,
                life: room.life,
                attempt: self.attempt,
                place: self.place,
                id: number,
                write: item.number.map(|number| Sequence { life: room.life, number, settled }),
                proto: item.proto,
                keyspace: item.keyspace,
                args: &item.args,
            };
            message::send(&mut room.out.sends, target.0.0, &Message::Forward(forward));
            self.place += 1;
        }
    }

    /// From now on commands go to `target`.
    fn aim(&mut self, target: (NodeId, Term)) {
        if self.target != Some(target) {
            self.target = Some(target);
            self.pause_until = None;
            self.quiet_rounds = 0;
            self.queue.rewind();
            self.begin_attempt();
        }
    }

    /// What is sent from now on belongs to a new attempt.
    fn begin_attempt(&mut self) {
        self.attempt += 1;
        self.place = 0;
    }

    /// What is on its way should long have been answered: it is taken for lost, each time more reluctantly.
    fn restart_if_quiet(&mut self, room: &Room<'_>) {
        let timing = &room.config.timing;
        let most = Span((timing.resend_every.0 * 4) << self.quiet_rounds).min(timing.patience);
        // What is large is on its way for longer: to the leader, and from there to its followers.
        let unsent =
            self.target.and_then(|(node, _)| room.pulse.peer(node)).map_or(0, |peer| peer.unsent);
        let way = timing.way_of(2 * (self.queue.bytes() + unsent) as u64);
        let here = self.target.is_some_and(|(node, _)| node == room.config.node);
        let quiet = room.now.mono.since(self.quiet_since);
        if here || self.queue.flying() == 0 || quiet < Span(most.0 + way.0) {
            return;
        }
        if most < timing.patience {
            self.quiet_rounds += 1;
        }
        self.restart();
    }

    /// Everything is sent once more, and perhaps to somebody else.
    fn restart(&mut self) {
        self.queue.rewind();
        self.begin_attempt();
        self.hint = None;
        self.ask += 1;
    }

    /// Who was said to lead, where this node holds no replica.
    pub(crate) fn hint(&self) -> Option<NodeId> {
        self.hint.map(|(leader, _)| leader)
    }

    /// Where this node holds no replica: who is said to lead, or else the replicas in turn, as long as
    /// they are heard.
    fn whom_to_ask(&mut self, id: GroupId, room: &Room<'_>) -> Option<(NodeId, Term)> {
        let replicas = room.placement.replicas(id);
        if let Some(hint) = self.hint {
            if room.pulse.alive(hint.0) {
                return Some(hint);
            }
            self.hint = None;
            self.ask += 1;
        }
        for _ in replicas {
            let asked = replicas[self.ask % replicas.len()];
            if room.pulse.alive(asked) {
                return Some((asked, Term(0)));
            }
            self.ask += 1;
        }
        None
    }

    /// What became of a command, or of an attempt.
    pub(crate) fn on_answer(&mut self, answer: &Answer<'_>, room: &mut Room<'_>) {
        let Answer { id, attempt, fate, .. } = *answer;
        if fate != Fate::Done {
            self.heard(room);
        }
        match fate {
            Fate::Done => self.complete(id, answer.bytes, answer.group, room),
            Fate::Overwritten => {
                if self.queue.rewind_to(id, attempt) {
                    self.begin_attempt();
                }
            }
            // Another life will begin, without these commands.
            Fate::Outlived => {}
            Fate::NotLeader | Fate::Busy | Fate::Gap => {
                let current = attempt == self.attempt;
                if self.queue.take_back(id, attempt) {
                    self.begin_attempt();
                }
                if current && fate != Fate::Gap {
                    self.pause_or_follow(answer, room);
                }
            }
        }
    }

    /// The attempt has ended early: either somebody else leads, or the same node is asked again after a while.
    fn pause_or_follow(&mut self, answer: &Answer<'_>, room: &Room<'_>) {
        let told = answer.leader.map(|leader| (leader, answer.reign));
        let newer = told.filter(|told| {
            Some(*told) != self.target
                && (self.hint.is_none_or(|known| told.1 > known.1) || self.hint == self.target)
        });
        if answer.fate == Fate::NotLeader && newer.is_some() {
            self.hint = newer;
            return;
        }
        if answer.fate == Fate::NotLeader && (self.hint.is_none() || self.hint == self.target) {
            self.hint = None;
            self.ask += 1;
        }
        self.pause_until = Some(room.now.mono.plus(Span(room.config.timing.resend_every.0 / 4)));
    }

    /// What waits longest has waited since now.
    fn heard(&mut self, room: &Room<'_>) {
        self.quiet_since = room.now.mono;
        self.quiet_rounds = 0;
    }

    fn complete(&mut self, id: u64, answer: &[u8], group: GroupId, room: &mut Room<'_>) {
        let oldest = self.queue.first();
        let Some(origin) = self.queue.finish(id) else {
            return;
        };
        if self.queue.first() != oldest {
            self.heard(room);
        }
        self.window.note(answer.len());
        if self.queue.flying() == 0 {
            // Whatever its leader was busy with for our sake is done.
            self.pause_until = None;
        }
        if let Origin::Freshness(asked) = origin {
            let at = if Bug::FreshWhenTold.active(room.config.bug) { room.now.mono } else { asked };
            self.freshness.answered(at, answer);
        }
        room.answer_bytes(group, origin, answer);
    }

    /// A write of ours was applied here: that is its answer, whoever took it.
    pub(crate) fn complete_write(
        &mut self,
        number: u64,
        answer: &[u8],
        group: GroupId,
        room: &mut Room<'_>,
    ) {
        if let Some(id) = self.queue.find(number) {
            self.complete(id, answer, group, room);
        }
    }

    /// Nobody will learn any more what became of the commands.
    pub(crate) fn lose_all(&mut self, id: GroupId, room: &mut Room<'_>) {
        while let Some(origin) = self.queue.finish_first() {
            room.lose(id, origin);
        }
        self.begin_attempt();
    }

    /// What was in flight to a node may be lost.
    pub(crate) fn peer_reset(&mut self, node: NodeId) {
        if self.target.is_some_and(|(target, _)| target == node) {
            self.quiet_rounds = 0;
            self.queue.rewind();
            self.begin_attempt();
        }
        if self.hint.is_some_and(|(leader, _)| leader == node) {
            self.hint = None;
            self.ask += 1;
        }
    }

    /// Commands that nobody has taken for too long are answered with an error: surely not applied. A write
    /// that may have been waits until that is known.
    fn give_up_overdue(&mut self, id: GroupId, group: Option<&Group>, room: &mut Room<'_>) {
        let mut unanswered = false;
        while let Some((overdue, proto)) = self.queue.next_overdue(room.now.mono) {
            unanswered |= self.queue.is_flying(overdue);
            let origin = self.queue.finish(overdue).expect("only what is not done is overdue");
            room.answer(id, origin, proto, |reply| {
                reply.error(group.map_or(NO_LEADER, |group| why_no_leader(&group.raft)));
            });
        }
        // Whoever did not answer this may have ended the attempt, and takes nothing more of it. Where something else is on
        // its way the silence about that will tell; not to be in a hurry spares a leader that is stuck.
        if unanswered && self.queue.flying() == 0 {
            self.restart();
        }
    }

    /// When to look again even if nothing arrives.
    pub(crate) fn deadline(&self, now: Instant, config: &EngineConfig) -> Option<Instant> {
        if self.queue.is_empty() {
            return None;
        }
        let regular = now.plus(config.timing.resend_every);
        let others = [self.queue.deadline(), self.pause_until];
        Some(others.into_iter().flatten().filter(|at| *at > now).fold(regular, Instant::min))
    }
}
