//! The write-ahead log that all groups of an engine share, and the state images beside it: bytes to
//! write, and bytes read back after a crash. Knows nothing of what entries mean.
#![doc = include_str!("FORMAT.md")]

mod group;
mod image;
mod images;
mod record;
mod recover;
mod replayed;
mod scan;
mod unwritten;
mod writer;

#[cfg(test)]
mod tests;

pub use recover::{Beginning, WalRecovery};
pub use scan::Scans;
pub use writer::Wal;

use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::fmt;
use core::ops::Range;

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
    /// A group's entries up to this one (contiguous ones are told together), as the record of that number
    /// says: the log may hold another one at the index by now.
    Entry {
        /// Whose.
        group: GroupId,
        /// The term of the last one.
        term: Term,
        /// The index of the last one.
        index: Index,
        /// What [`Wal::entry`] returned for the last one.
        record: u64,
    },
    /// A group's term and vote.
    Ballot {
        /// Whose.
        group: GroupId,
        /// The term.
        term: Term,
        /// Who got the vote in it, if anyone.
        vote: Option<NodeId>,
    },
    /// A state image, and the record that names it: the log up to `index` may go.
    Image {
        /// Of which group.
        group: GroupId,
        /// Up to which entry.
        index: Index,
        /// That entry's term.
        term: Term,
    },
    /// The record that says the replica has made up for damage.
    Repaired {
        /// Which one.
        group: GroupId,
    },
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
    /// Whether groups that are not in `groups` may have lost promises: synced bytes were unreadable, now or in an
    /// earlier life. Such a group is damaged until [`Wal::repaired`] says otherwise.
    pub damaged: bool,
}

/// Entries of one group, their bytes in one piece.
#[derive(Default)]
pub struct Entries {
    list: Vec<(Term, Index, Range<usize>)>,
    bytes: Vec<u8>,
}

impl Entries {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.list.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Term, index and bytes of each, in order.
    pub fn iter(&self) -> impl Iterator<Item = (Term, Index, &[u8])> {
        self.list.iter().map(|(term, index, bytes)| (*term, *index, &self.bytes[bytes.clone()]))
    }

    fn push(&mut self, term: Term, index: Index, bytes: &[u8]) {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(bytes);
        self.list.push((term, index, start..self.bytes.len()));
    }
}

/// What the log says of a group, in short.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outline {
    /// The last term and vote written.
    pub ballot: (Term, Option<NodeId>),
    /// Promises may have been lost, as in [`RecoveredGroup`].
    pub damaged: bool,
    /// Up to where an image reaches.
    pub before: Index,
    /// The terms of the entries behind it, contiguous.
    pub terms: Vec<Term>,
}

impl fmt::Debug for Entries {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_list().entries(self.iter()).finish()
    }
}

/// One group's share of the log.
#[derive(Debug, Default)]
pub struct RecoveredGroup {
    /// The last term and vote written.
    pub ballot: (Term, Option<NodeId>),
    /// Chunks of the newest readable image that the log names, and what it reaches up to.
    pub image: Option<(Index, Term, Vec<Vec<u8>>)>,
    /// Entries beyond the image, contiguous.
    pub entries: Entries,
    /// Promises may have been lost, and not made up for since: the group may not vote and not acknowledge, and
    /// what it lacks it may not deny to have had. It stays so through restarts until [`Wal::repaired`].
    pub damaged: bool,
}
