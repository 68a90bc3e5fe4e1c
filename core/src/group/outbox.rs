//! Commands of this node's clients for a group that another node leads: sent to its leader, sent again
//! to the next one, and answered once, in order.
//!
//! Invariant: a leader takes a command for the reign it was meant for or not at all, so whatever it
//! takes of those sent to one reign is a prefix. Sending all that is unanswered again, in order, to the
//! next leader therefore never lets a later write pass an earlier one; and since each write bears a
//! number, none is applied twice.

use alloc::collections::VecDeque;
use alloc::vec::Vec;

use crate::command::{self, Spec};
use crate::config::EngineConfig;
use crate::entry::Forwarded;
use crate::group::propose::Request;
use crate::group::{Group, Origin, Room};
use crate::ids::{GroupId, Keyspace, NodeId, Term};
use crate::message::{self, Answer, Fate, Forward, Message, Sequence};
use crate::resp::{ArgsBuffer, Proto};
use crate::time::{Instant, Span};

/// Buffers kept for later, at most.
const SPARE: usize = 64;

/// Commands on their way to the leader of one group.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    items: VecDeque<Item>,
    /// Number of the first item.
    first: u64,
    /// How many writes were numbered so far.
    numbered: u64,
    /// Where this node holds no replica: who is said to lead.
    hint: Option<(NodeId, Term)>,
    /// Which replica to ask next if nobody is said to.
    ask: usize,
    /// Not before then is anything tried again.
    pause_until: Option<Instant>,
    spare: Vec<Vec<u8>>,
}

#[derive(Debug)]
struct Item {
    origin: Origin,
    spec: &'static Spec,
    keyspace: Keyspace,
    proto: Proto,
    /// [`crate::resp::Args::put`].
    args: Vec<u8>,
    /// Its number among the writes.
    write: Option<u64>,
    /// The attempt that is not answered yet.
    sent: Option<(NodeId, Term)>,
    sent_at: Instant,
    /// An earlier attempt was never answered: it may have been applied.
    in_doubt: bool,
    done: bool,
    deadline: Instant,
}

impl Outbox {
    pub(crate) fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    pub(crate) fn len(&self) -> usize {
        self.items.len()
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
        let mut args = self.spare.pop().unwrap_or_default();
        args.clear();
        request.args.put(&mut args);
        let write = crate::group::writes(request.spec).then(|| {
            self.numbered += 1;
            self.numbered
        });
        room.counts.forwarded += 1;
        self.items.push_back(Item {
            origin: request.origin,
            spec: request.spec,
            keyspace: request.keyspace,
            proto: request.proto,
            args,
            write,
            sent: None,
            sent_at: room.now.mono,
            in_doubt: false,
            done: false,
            deadline: room.now.mono.plus(room.config.timing.patience),
        });
    }

    /// All writes before the oldest unanswered one.
    fn settled(&self) -> u64 {
        let oldest = self.items.iter().find_map(|item| item.write.filter(|_| !item.done));
        oldest.map_or(self.numbered, |number| number - 1)
    }

    /// This node's replica leads: it takes what waits here, in order.
    pub(crate) fn flush_into(&mut self, group: &mut Group, room: &mut Room<'_>) {
        if self.items.is_empty() || !group.accepts() {
            return;
        }
        let here = (room.config.node, group.raft.term());
        let settled = self.settled();
        let mut buffer = ArgsBuffer::default();
        for item in &mut self.items {
            if item.done || item.sent == Some(here) {
                continue;
            }
            item.in_doubt |= item.sent.is_some();
            let args = buffer.decode(&item.args).expect("it was encoded here");
            let Item { spec, keyspace, proto, .. } = *item;
            let origin = if item.write.is_some() { Origin::None } else { item.origin };
            let forwarded = item.write.map(|number| Forwarded {
                node: room.config.node,
                sequence: Sequence { life: room.life, number, settled },
                proto,
            });
            let request = Request { origin, spec, keyspace, proto, args, forwarded };
            if item.write.is_some() {
                item.sent = Some(here);
                item.sent_at = room.now.mono;
                group.accept_write(&request, room);
            } else {
                item.done = true;
                group.accept_read(&request, room);
            }
        }
        self.drop_done();
    }

    /// Sends what is not on its way to whoever leads, as far as is known.
    pub(crate) fn flush(&mut self, id: GroupId, group: Option<&Group>, room: &mut Room<'_>) {
        self.give_up_overdue(id, room);
        let now = room.now.mono;
        if self.items.is_empty() || self.pause_until.is_some_and(|until| now < until) {
            return;
        }
        let target = match group {
            Some(group) => group.raft.leader().map(|leader| (leader, group.raft.term())),
            None => self.whom_to_ask(id, room),
        };
        let Some(target) = target.filter(|(node, _)| *node != room.config.node) else {
            return;
        };
        let lost = self.unanswered(target, room);
        let settled = self.settled();
        for (at, item) in self.items.iter_mut().enumerate() {
            if item.done || (item.sent == Some(target) && !lost) {
                continue;
            }
            item.in_doubt |= item.sent.is_some();
            item.sent = Some(target);
            item.sent_at = now;
            let forward = Forward {
                group: id,
                term: target.1,
                life: room.life,
                id: self.first + at as u64,
                write: item.write.map(|number| Sequence { life: room.life, number, settled }),
                proto: item.proto,
                keyspace: item.keyspace,
                args: &item.args,
            };
            message::send(&mut room.out.sends, target.0.0, &Message::Forward(forward));
        }
    }

    /// Whether what was sent to `target` should long have been answered.
    fn unanswered(&self, target: (NodeId, Term), room: &Room<'_>) -> bool {
        let again = Span(room.config.timing.resend_every.0 * 4);
        self.items.iter().any(|item| {
            !item.done && item.sent == Some(target) && item.sent_at.plus(again) <= room.now.mono
        })
    }

    /// Where this node holds no replica: who is said to lead, or else the replicas in turn, as long as
    /// they are heard and answer.
    fn whom_to_ask(&mut self, id: GroupId, room: &Room<'_>) -> Option<(NodeId, Term)> {
        let replicas = room.placement.replicas(id);
        if let Some(hint) = self.hint {
            if room.pulse.alive(hint.0) && !self.unanswered(hint, room) {
                return Some(hint);
            }
            self.hint = None;
            self.ask += 1;
        }
        for _ in replicas {
            let asked = (replicas[self.ask % replicas.len()], Term(0));
            if room.pulse.alive(asked.0) && !self.unanswered(asked, room) {
                return Some(asked);
            }
            self.ask += 1;
        }
        None
    }

    /// What became of an attempt.
    pub(crate) fn on_answer(&mut self, from: NodeId, answer: &Answer<'_>, room: &mut Room<'_>) {
        let Some(at) = answer.id.checked_sub(self.first).map(|at| at as usize) else {
            return;
        };
        let Some(item) = self.items.get_mut(at).filter(|item| !item.done) else {
            return;
        };
        if answer.fate == Fate::Done {
            item.done = true;
            room.answer_bytes(answer.group, item.origin, answer.bytes);
            self.drop_done();
            return;
        }
        let attempt = (from, answer.term);
        if item.sent == Some(attempt) {
            item.sent = None;
        }
        if answer.fate == Fate::Busy {
            self.pause_until =
                Some(room.now.mono.plus(Span(room.config.timing.resend_every.0 / 4)));
            return;
        }
        let told = answer.leader.map(|leader| (leader, answer.reign));
        let newer = told.filter(|hint| {
            *hint != attempt && self.hint.is_none_or(|known| hint.1 > known.1 || known == attempt)
        });
        if newer.is_some() {
            self.hint = newer;
        } else if self.hint.is_none() || self.hint == Some(attempt) {
            self.hint = None;
            self.ask += 1;
            self.pause_until =
                Some(room.now.mono.plus(Span(room.config.timing.resend_every.0 / 4)));
        }
    }

    /// A write of ours was applied here: that is its answer, whoever took it.
    pub(crate) fn complete_write(
        &mut self,
        number: u64,
        answer: &[u8],
        group: GroupId,
        room: &mut Room<'_>,
    ) {
        // Numbers rise along the queue: most often the leader's answer came first, and the search ends at
        // once.
        let later = |item: &&mut Item| item.write.is_some_and(|write| write >= number);
        let found = self.items.iter_mut().find(later);
        if let Some(item) = found.filter(|item| item.write == Some(number) && !item.done) {
            item.done = true;
            room.answer_bytes(group, item.origin, answer);
            self.drop_done();
        }
    }

    /// What was in flight to a node may be lost.
    pub(crate) fn peer_reset(&mut self, node: NodeId) {
        for item in &mut self.items {
            if item.sent.is_some_and(|(to, _)| to == node) {
                item.in_doubt = true;
                item.sent = None;
            }
        }
        if self.hint.is_some_and(|(leader, _)| leader == node) {
            self.hint = None;
            self.ask += 1;
        }
    }

    /// Commands that nobody has taken for too long are answered with an error: surely not applied. One
    /// that may have been waits until that is known.
    fn give_up_overdue(&mut self, id: GroupId, room: &mut Room<'_>) {
        while let Some(item) = self.items.front_mut() {
            let unknown = item.write.is_some() && (item.in_doubt || item.sent.is_some());
            if item.done || room.now.mono < item.deadline || unknown {
                break;
            }
            item.done = true;
            let (origin, proto) = (item.origin, item.proto);
            room.answer(id, origin, proto, |reply| {
                reply.error("CLUSTERDOWN The partition has no leader; nothing was done");
            });
            self.drop_done();
        }
    }

    fn drop_done(&mut self) {
        while let Some(item) = self.items.pop_front_if(|item| item.done) {
            self.first += 1;
            if self.spare.len() < SPARE {
                self.spare.push(item.args);
            }
        }
    }

    /// When to look again even if nothing arrives.
    pub(crate) fn deadline(&self, now: Instant, config: &EngineConfig) -> Option<Instant> {
        let front = self.items.front()?;
        let mut at = now.plus(config.timing.resend_every);
        if front.deadline > now {
            at = at.min(front.deadline);
        }
        if let Some(until) = self.pause_until.filter(|until| *until > now) {
            at = at.min(until);
        }
        Some(at)
    }
}
