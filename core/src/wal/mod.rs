//! The write-ahead log that all groups of an engine share, and the state images beside it: bytes to
//! write, and bytes read back after a crash. Knows nothing of what entries mean.

mod group;
mod image;
mod images;
mod record;
mod recover;
mod scan;
mod writer;

#[cfg(test)]
mod tests;

pub use recover::WalRecovery;
pub use writer::Wal;

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use crate::event::Event;
use crate::ids::{ClusterId, GroupId, Index, LaneId, NodeId, Term};

/// Whose log this is; checked when it is read back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The cluster.
    pub cluster: ClusterId,
    /// The node.
    pub node: NodeId,
    /// The engine.
    pub lane: LaneId,
    /// Of how many.
    pub lanes: u8,
}

/// What a finished sync made durable, in the order it was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durable {
    /// The first record of this life: from now on its number may be told.
    Begun,
    /// A group's entries up to this one (contiguous ones are told together).
    Entry { group: GroupId, term: Term, index: Index },
    /// A group's term and vote.
    Ballot { group: GroupId, term: Term, vote: Option<NodeId> },
    /// A state image, and the record that names it: the log up to `index` may go.
    Image { group: GroupId, index: Index, term: Term },
    /// The record that says the replica has made up for damage.
    Repaired { group: GroupId },
}

/// Why a log cannot be used at all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WalError {
    /// It belongs to another node, engine or cluster.
    Foreign(Identity),
    /// It was written by a version this one cannot read.
    Version(u16),
}

/// What the files say, before a group makes sense of it.
#[derive(Debug, Default)]
pub struct Recovered {
    /// By group.
    pub groups: BTreeMap<GroupId, RecoveredGroup>,
    /// What was found out, for the trace.
    pub events: Vec<Event>,
    /// Whether synced bytes of the log were unreadable: then every group of the engine may have lost
    /// promises, unless a later record says it was repaired.
    pub damaged: bool,
}

/// One group's share of the log.
#[derive(Debug, Default)]
pub struct RecoveredGroup {
    /// The last term and vote written.
    pub ballot: (Term, Option<NodeId>),
    /// Chunks of the newest readable image that the log names, and what it reaches up to.
    pub image: Option<(Index, Term, Vec<Vec<u8>>)>,
    /// Entries beyond the image, contiguous.
    pub entries: Vec<(Term, Index, Vec<u8>)>,
    /// Promises may have been lost, and not made up for since.
    pub damaged: bool,
}
