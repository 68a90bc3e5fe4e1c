//! The write-ahead log that all groups of an engine share, and the state images beside it: bytes to
//! write, and bytes read back after a crash. Knows nothing of what entries mean.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use crate::config::Bug;
use crate::event::Event;
use crate::ids::{ClusterId, GroupId, Index, LaneId, Life, NodeId, Term};
use crate::outputs::{DiskBatch, FileId, SyncToken};

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

/// The log being written, and at most one image a group.
#[derive(Debug)]
pub struct Wal {}

impl Wal {
    /// A log for a node that has never run here.
    pub fn new(_identity: Identity, _segment_bytes: u64, _bug: Bug) -> Self {
        todo!()
    }
    /// The number of this life, larger than that of any earlier one on this disk.
    pub fn life(&self) -> Life {
        todo!()
    }
    /// An entry. Replaces what was at its index and beyond.
    pub fn entry(&mut self, _group: GroupId, _term: Term, _index: Index, _entry: &[u8]) {
        todo!()
    }
    /// A term and vote.
    pub fn ballot(&mut self, _group: GroupId, _term: Term, _vote: Option<NodeId>) {
        todo!()
    }
    /// A damaged replica is whole again (see [`Recovered::damaged`]).
    pub fn repaired(&mut self, _group: GroupId) {
        todo!()
    }
    /// Begins the file of a state image; at most one a group at a time.
    pub fn begin_image(
        &mut self,
        _group: GroupId,
        _index: Index,
        _term: Term,
        _disk: &mut DiskBatch,
    ) {
        todo!()
    }
    /// Adds a chunk to it.
    pub fn image_chunk(&mut self, _group: GroupId, _chunk: &[u8], _disk: &mut DiskBatch) {
        todo!()
    }
    /// Completes it: syncs the file, then names it in the log, then tells [`Durable::Image`]; then the
    /// image it replaces is removed, and log segments that no group needs any more.
    /// `installed`: it came from a leader and replaces the group's whole log, so entries the log holds for the
    /// group from before are void.
    pub fn end_image(&mut self, _group: GroupId, _installed: bool, _disk: &mut DiskBatch) {
        todo!()
    }
    /// Gives up an image that was begun.
    pub fn abort_image(&mut self, _group: GroupId, _disk: &mut DiskBatch) {
        todo!()
    }
    /// The group that keeps the oldest segment alive, if the log is longer than `most` bytes: it should
    /// make an image.
    pub fn wants_image(&self, _most: u64) -> Option<GroupId> {
        todo!()
    }
    /// Hands this turn's records to the disk, and asks for a sync if none is on its way.
    pub fn flush(&mut self, _disk: &mut DiskBatch) {
        todo!()
    }
    /// Takes note of a finished sync and tells what it covers.
    pub fn synced(
        &mut self,
        _token: SyncToken,
        _disk: &mut DiskBatch,
        _durable: &mut dyn FnMut(Durable),
    ) {
        todo!()
    }
    /// Whether a sync is on its way, and which: for the engine to time it.
    pub fn in_flight(&self) -> Option<SyncToken> {
        todo!()
    }
    /// Bytes of log on disk.
    pub fn bytes(&self) -> u64 {
        todo!()
    }
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

/// Turns files back into what they say. Fed with whole files, in the order it asks for them.
#[derive(Debug)]
pub struct WalRecovery {}

impl WalRecovery {
    /// Given what the directory holds (names and sizes in bytes), decides what to read.
    pub fn new(
        _identity: Identity,
        _segment_bytes: u64,
        _listing: &[(FileId, u64)],
        _bug: Bug,
    ) -> Self {
        todo!()
    }
    /// The next file to feed, if any.
    pub fn wants(&self) -> Option<FileId> {
        todo!()
    }
    /// The whole content of the file asked for; `None` if it cannot be read.
    pub fn feed(&mut self, _bytes: Option<&[u8]>) -> Result<(), WalError> {
        todo!()
    }
    /// What the files say, and the log to go on with: always in a new segment. `disk` gets the removal of files
    /// that nothing refers to.
    pub fn finish(self, _disk: &mut DiskBatch) -> (Recovered, Wal) {
        todo!()
    }
}
