//! What a turn asks its driver to do. Owned by the driver, cleared and reused, never reallocated
//! after warm-up.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::ops::Range;

use crate::event::Event;
use crate::ids::{ClientId, GroupId, Index};
use crate::time::Instant;

/// Everything one turn leaves to be done. All of it may be carried out at once, in any order across
/// kinds: what must wait for the disk or for a quorum is held back inside.
#[derive(Debug, Default)]
pub struct Outputs {
    /// Bytes for the same lane of other nodes; one lane a [`crate::NodeId`].
    pub sends: Lanes,
    /// Bytes for the other engines of this node; one lane a [`crate::LaneId`].
    pub handoffs: Lanes,
    /// Bytes for clients, encoded as each of them asked; one lane a [`ClientId`].
    pub replies: Lanes,
    /// Clients to hang up on, once what `replies` holds for them is written.
    pub closes: Vec<ClientId>,
    /// A client asked for the node to stop: at once if true, after handing leaderships over if not.
    pub shutdown: Option<bool>,
    /// Settings that CONFIG SET has changed, and what they are now. Each engine of a node tells the same.
    pub settings: Vec<(&'static str, String)>,
    /// Passwords to be hashed, or compared with hashes, beside the turns: that takes tens of milliseconds. Then
    /// [`crate::Turn::secrets_done`] is told.
    pub secrets: Vec<SecretWork>,
    /// Disk work. Order binds per file.
    pub disk: DiskBatch,
    /// What happened, for logs, metrics and traces. Nothing depends on anyone reading it.
    pub events: Vec<Event>,
    /// When to take a turn even if nothing arrives, and why. Replaces what an earlier turn said.
    pub wake_at: Option<(Instant, &'static str)>,
}

impl Outputs {
    /// Whether there is nothing to do but to wait.
    pub fn is_empty(&self) -> bool {
        self.sends.filled.is_empty()
            && self.handoffs.filled.is_empty()
            && self.replies.filled.is_empty()
            && self.closes.is_empty()
            && self.shutdown.is_none()
            && self.settings.is_empty()
            && self.secrets.is_empty()
            && self.disk.ops.is_empty()
            && self.events.is_empty()
    }

    /// Forgets the last turn and keeps its memory.
    pub fn clear(&mut self) {
        self.sends.clear();
        self.handoffs.clear();
        self.replies.clear();
        self.closes.clear();
        self.shutdown = None;
        self.settings.clear();
        self.secrets.clear();
        self.disk.clear();
        self.events.clear();
        self.wake_at = None;
    }
}

/// Passwords of one command, to be looked into.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecretWork {
    /// Handed back with the outcomes.
    pub number: u64,
    /// Who has given them.
    pub client: ClientId,
    /// One or more.
    pub secrets: Vec<Secret>,
}

/// A password, and what is to be done with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Secret {
    /// What was given.
    pub given: Given,
    /// The hashes to compare it with; if there are none, as much time is to be taken as for one.
    pub against: Vec<String>,
    /// If it is none of those, make a new hash.
    pub make: bool,
}

/// A password, or as much of it as there is.
#[derive(Clone, PartialEq, Eq)]
pub enum Given {
    /// Itself. What is hashed slowly is its SHA-256 in hexadecimal digits, so that what Redis keeps of a password can be
    /// taken over.
    Password(Vec<u8>),
    /// That SHA-256.
    Sha256(String),
}

impl fmt::Debug for Given {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(a password)")
    }
}

/// What became of a [`Secret`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SecretOutcome {
    /// A new hash of it: begins with `$`, graphic ASCII without spaces, at most 256 bytes.
    Hash(String),
    /// Which of the hashes is of it, if any.
    Match(Option<usize>),
}

/// Byte buffers by small dense number.
#[derive(Debug, Default)]
pub struct Lanes {
    buffers: Vec<Vec<u8>>,
    filled: Vec<u32>,
}

impl Lanes {
    /// The buffer of lane `id`, to append to. Whoever asks for it must append something.
    pub fn lane(&mut self, id: u32) -> &mut Vec<u8> {
        let at = id as usize;
        if at >= self.buffers.len() {
            self.buffers.resize_with(at + 1, Vec::new);
        }
        if self.buffers[at].is_empty() {
            self.filled.push(id);
        }
        &mut self.buffers[at]
    }

    /// Bytes in one lane.
    pub(crate) fn len(&self, id: u32) -> usize {
        self.buffers.get(id as usize).map_or(0, Vec::len)
    }

    /// Visits each lane that has bytes, in the order they were first written to. The visitor may swap
    /// the buffer for an empty one of its own and so take the bytes without copying them.
    pub fn drain(&mut self, mut visit: impl FnMut(u32, &mut Vec<u8>)) {
        for id in self.filled.drain(..) {
            let buffer = &mut self.buffers[id as usize];
            if !buffer.is_empty() {
                visit(id, buffer);
            }
            buffer.clear();
        }
    }

    /// The lanes that have bytes, in the order they were first written to.
    pub fn filled(&self) -> impl Iterator<Item = (u32, &[u8])> {
        self.filled.iter().map(|&id| (id, self.buffers[id as usize].as_slice()))
    }

    /// Forgets the bytes of one lane.
    pub(crate) fn drop_lane(&mut self, id: u32) {
        if let Some(buffer) = self.buffers.get_mut(id as usize) {
            buffer.clear();
            self.filled.retain(|&filled| filled != id);
        }
    }

    fn clear(&mut self) {
        self.drain(|_, _| ());
    }
}

/// Disk operations and the bytes they write, in one piece that can be handed to another thread.
#[derive(Debug, Default)]
pub struct DiskBatch {
    /// In order; order binds per file.
    pub ops: Vec<DiskOp>,
    /// What [`DiskOp::Write`] ranges point into.
    pub bytes: Vec<u8>,
}

impl DiskBatch {
    /// Asks for `bytes` to be written.
    pub fn write(&mut self, file: FileId, offset: u64, bytes: &[u8]) {
        let start = self.bytes.len() as u32;
        self.bytes.extend_from_slice(bytes);
        let end = u32::try_from(self.bytes.len()).expect("a turn writes less than 4 GiB");
        self.ops.push(DiskOp::Write { file, offset, bytes: start..end });
    }

    /// Forgets the operations and keeps their memory.
    pub fn clear(&mut self) {
        self.ops.clear();
        self.bytes.clear();
    }
}

/// One disk operation. There is no read: disks are read only before the first turn.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DiskOp {
    /// Write at an offset; the first write creates the file.
    Write {
        /// Which file.
        file: FileId,
        /// Where in it, in bytes.
        offset: u64,
        /// Which bytes of the batch.
        bytes: Range<u32>,
    },
    /// Make all earlier writes to the file durable, and its directory entry if it is new, then
    /// report `token` in a later turn.
    Sync {
        /// Which file.
        file: FileId,
        /// Handed back through [`crate::Turn::disk_synced`].
        token: SyncToken,
    },
    /// Delete; nothing durable refers to the file any more. A file that is not there is no error.
    Remove {
        /// Which file.
        file: FileId,
    },
}

/// Names a file of an engine; the driver maps it to a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FileId {
    /// A state image of one group up to an index.
    Snapshot {
        /// Of which group.
        group: GroupId,
        /// Up to which index.
        index: Index,
    },
    /// A stretch of the log. Numbers only grow and are never reused.
    Segment(u64),
}

/// Names a sync; larger tokens were asked for later.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SyncToken(pub u64);
