//! What happened, as data: for logs, metrics, traces and checkers. Nothing in the protocol depends on
//! anyone reading it.

use core::net::SocketAddr;

use crate::ids::{ClientId, GroupId, Index, Life, NodeId, Term};
use crate::outputs::FileId;
use crate::time::WallTime;

/// Something a reader of the trace would want to know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names of the fields say what they are")]
pub enum Event {
    /// This replica asks for votes in a term.
    Campaigning { group: GroupId, term: Term },
    /// This replica leads from now on.
    Leading { group: GroupId, term: Term },
    /// This replica has learnt who leads.
    Following { group: GroupId, term: Term, leader: NodeId },
    /// This replica led and does not any more.
    SteppedDown { group: GroupId, term: Term, why: StepDown },
    /// Entries that this replica had appended were replaced by a leader's.
    Truncated { group: GroupId, from: Index },
    /// The log of a file ended in bytes that were never known synced; they were left behind.
    TornTail { file: FileId, offset: u64 },
    /// Bytes that had been synced do not check out any more.
    Damaged { file: FileId, offset: u64 },
    /// Another node knows a life of this node that is later than what the disk says: the disk was wiped, or
    /// put back to an older state. Groups not repaired since count as damaged.
    Forgot { told_by: NodeId, life: Life, known: Life },
    /// The log knows writes of a later life of this node than its disk does: a life above it begins.
    Outlived { life: Life, later: Life },
    /// All replicas of a group hold nothing: the group is new, and this one takes part in it.
    Born { group: GroupId },
    /// A replica that had lost promises to damage has made up for them and votes again.
    Repaired { group: GroupId, index: Index },
    /// A state image of the group is durable up to an index.
    SnapshotMade { group: GroupId, index: Index },
    /// A state image came from the leader and replaced what was here.
    SnapshotInstalled { group: GroupId, index: Index },
    /// A leader sends its state image to a replica too far behind.
    SnapshotSending { group: GroupId, to: NodeId, index: Index },
    /// Two replicas differ at the same index: the scrub found it.
    Diverged { group: GroupId, node: NodeId, index: Index },
    /// This node's clock runs too far ahead of those of a majority (or does no more): it goes by theirs.
    ClockAhead { ahead: bool, wall: WallTime },
    /// The disk has not answered a sync for longer than the limit, or does again.
    DiskStalled { stalled: bool },
    /// A write or sync failed: the engine has stopped for good.
    DiskFailed,
    /// A peer sent bytes that do not decode; the connection should be closed.
    PeerMalformed { from: NodeId },
    /// A node's process is not the one heard before.
    PeerRestarted { node: NodeId },
    /// A peer's beats have stopped, or are heard again.
    PeerSilent { node: NodeId, silent: bool },
    /// A client was hung up on because the answer to a write of its cannot be known any more.
    AnswerLost { client: ClientId },
    /// A client has tried to come in with a wrong name or password.
    LoginFailed { client: ClientId },
    /// This engine goes by other users than before: those at a place in the log of the first group.
    UsersChanged { as_of: Index },
    /// The membership view changed.
    Member { node: NodeId, liveness: Liveness, incarnation: u64 },
    /// A datagram of another cluster was refused.
    ForeignCluster,
    /// A datagram that does not decode, or whose checksum is wrong, was dropped.
    DatagramMalformed { from: SocketAddr },
    /// Another live process bears this node's id with a higher incarnation: this one keeps quiet.
    DuplicateNode { node: NodeId },
}

/// Why a leader stopped leading.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StepDown {
    /// It saw a higher term.
    HigherTerm,
    /// It had not heard from a majority for an election timeout.
    NoQuorum,
    /// Its disk does not answer.
    DiskStalled,
    /// It handed leadership over.
    Transferred,
    /// Its disk has forgotten what it promised.
    Forgot,
}

/// What the membership layer thinks of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Liveness {
    /// Answers.
    Alive,
    /// Does not, for now.
    Suspect,
    /// Does not, and had its chance.
    Dead,
    /// Said goodbye.
    Left,
}
