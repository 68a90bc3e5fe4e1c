//! What surrounds a group during a turn: the clocks, the log, the other nodes, and whom it answers.

use alloc::vec::Vec;

use crate::config::EngineConfig;
use crate::ids::{GroupId, LaneId, Life, NodeId, Term};
use crate::message::{self, Answer, Fate, Handback, Message, Ticket};
use crate::outputs::Outputs;
use crate::placement::Placement;
use crate::pulse::Pulse;
use crate::raft::{Io, Journal};
use crate::resp::{Proto, Reply};
use crate::rng::Chance;
use crate::session::Sessions;
use crate::time::{Instant, Now};
use crate::wal::Wal;

/// What surrounds a group during a turn.
pub(crate) struct Room<'a> {
    pub(crate) now: Now,
    pub(crate) life: Life,
    pub(crate) config: &'a EngineConfig,
    pub(crate) placement: &'a Placement,
    pub(crate) pulse: &'a Pulse,
    pub(crate) chance: &'a mut Chance,
    pub(crate) wal: &'a mut Wal,
    pub(crate) sessions: &'a mut Sessions,
    pub(crate) out: &'a mut Outputs,
    pub(crate) counts: &'a mut Counts,
    /// The latest life that this node is known to have had; see [`Fate::Outlived`].
    pub(crate) outlived: &'a mut Life,
    /// Reused memory for an answer or an entry on its way.
    pub(crate) scratch: &'a mut Vec<u8>,
}

/// What an engine counts, for INFO and metrics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Commands taken from clients.
    pub commands: u64,
    /// Reads that found their key.
    pub hits: u64,
    /// Reads that did not.
    pub misses: u64,
    /// Keys removed because they had ended.
    pub expired: u64,
    /// Commands forwarded to other nodes.
    pub forwarded: u64,
    /// Reads of READONLY clients that were answered by a replica that does not lead.
    pub stale_reads: u64,
    /// Commands of clients in cluster mode that were told to ask another node.
    pub moved: u64,
    /// Attempts of clients to come in with a wrong name or password.
    pub logins_failed: u64,
    /// Replicas found to differ.
    pub diverged: u64,
    /// Messages from the same lane of other nodes.
    pub messages: u64,
}

/// Whom an answer goes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// Nobody.
    None,
    /// A client of this engine.
    Client(Ticket),
    /// A client of another engine of this node.
    Lane(LaneId, Ticket),
    /// The outbox of this engine, which asks how fresh its replica is: when it did.
    Freshness(Instant),
    /// Another node, which forwarded the command.
    Peer { node: NodeId, life: Life, attempt: u64, id: u64 },
}

impl Journal for Wal {
    fn entry(&mut self, group: GroupId, term: Term, index: crate::ids::Index, bytes: &[u8]) -> u64 {
        Wal::entry(self, group, term, index, bytes)
    }

    fn ballot(&mut self, group: GroupId, term: Term, vote: Option<NodeId>) {
        Wal::ballot(self, group, term, vote);
    }

    fn repaired(&mut self, group: GroupId) {
        Wal::repaired(self, group);
    }
}

impl Room<'_> {
    /// The part of it that consensus needs.
    pub(crate) fn io(&mut self) -> Io<'_, Wal> {
        Io {
            now: self.now.mono,
            life: self.life,
            config: self.config,
            pulse: self.pulse,
            chance: self.chance,
            journal: self.wal,
            sends: &mut self.out.sends,
            events: &mut self.out.events,
        }
    }

    /// Whether so much waits for a node that nothing more should be done for it.
    pub(crate) fn clogged(&self, node: NodeId) -> bool {
        let unsent = self.pulse.peer(node).map_or(0, |peer| peer.unsent);
        unsent + self.out.sends.len(node.0) > self.config.limits.peer_bytes
    }

    /// Answers a command of a group.
    pub(crate) fn answer(
        &mut self,
        group: GroupId,
        origin: Origin,
        proto: Proto,
        write: impl FnOnce(&mut Reply<'_>),
    ) {
        match origin {
            Origin::None | Origin::Freshness(_) => write(&mut Reply::nowhere()),
            Origin::Client(ticket) => {
                let out = &mut *self.out;
                self.sessions.answer(ticket, &mut out.replies, &mut out.closes, |bytes| {
                    write(&mut Reply::new(bytes, proto));
                });
            }
            Origin::Lane(..) | Origin::Peer { .. } => {
                let mut bytes = core::mem::take(self.scratch);
                bytes.clear();
                write(&mut Reply::new(&mut bytes, proto));
                self.answer_bytes(group, origin, &bytes);
                *self.scratch = bytes;
            }
        }
    }

    /// Answers with bytes that are encoded already.
    pub(crate) fn answer_bytes(&mut self, group: GroupId, origin: Origin, bytes: &[u8]) {
        match origin {
            Origin::None | Origin::Freshness(_) => {}
            Origin::Client(ticket) => {
                let out = &mut *self.out;
                self.sessions.answer(ticket, &mut out.replies, &mut out.closes, |lane| {
                    lane.extend_from_slice(bytes);
                });
            }
            Origin::Lane(lane, ticket) => {
                let message = Message::Handback(Handback { ticket, bytes });
                message::send(&mut self.out.handoffs, u32::from(lane.0), &message);
            }
            Origin::Peer { node, life, attempt, id } => {
                let (fate, leader, reign) = (Fate::Done, None, Term(0));
                let answer = Answer { group, life, attempt, id, fate, reign, leader, bytes };
                message::send(&mut self.out.sends, node.0, &Message::Answer(answer));
            }
        }
    }

    /// A write of `node` bears the number of a life that is over for the log: it was not applied, and `node`
    /// has to learn of the later one. It may be this one.
    pub(crate) fn outlived(&mut self, group: GroupId, node: NodeId, origin: Origin, later: Life) {
        if node == self.config.node {
            *self.outlived = later.max(*self.outlived);
        } else if let Origin::Peer { node, life, attempt, id } = origin {
            let (fate, reign, leader) = (Fate::Outlived, Term(0), None);
            let bytes = &later.0.to_le_bytes();
            let answer = Answer { group, life, attempt, id, fate, reign, leader, bytes };
            message::send(&mut self.out.sends, node.0, &Message::Answer(answer));
        }
    }

    /// Nobody will know what became of a command. A node will ask again; a client is hung up on.
    pub(crate) fn lose(&mut self, group: GroupId, origin: Origin) {
        match origin {
            Origin::Client(ticket) => self.sessions.lose(ticket, self.out),
            Origin::Lane(..) => self.answer_bytes(group, origin, &[]),
            Origin::None | Origin::Freshness(_) | Origin::Peer { .. } => {}
        }
    }

    /// Says that a command was surely not applied. A client is told; a node may try again.
    pub(crate) fn not_taken(
        &mut self,
        group: GroupId,
        origin: Origin,
        fate: Fate,
        reign: Term,
        leader: Option<NodeId>,
    ) {
        match origin {
            Origin::None | Origin::Freshness(_) => {}
            Origin::Client(_) | Origin::Lane(..) => {
                self.answer(group, origin, Proto::Resp2, |reply| {
                    reply.error("TRYAGAIN The write was not applied: leadership was lost");
                });
            }
            Origin::Peer { node, life, attempt, id } => {
                let bytes = &[];
                let answer = Answer { group, life, attempt, id, fate, reign, leader, bytes };
                message::send(&mut self.out.sends, node.0, &Message::Answer(answer));
            }
        }
    }
}
