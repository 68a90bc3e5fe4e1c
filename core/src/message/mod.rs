//! What engines say to each other. Decoding borrows; nothing is copied.
//!
//! A frame is one message: `length u32 | length inverted u32 | checksum u32 | kind u8 | body`. The length
//! counts what follows the checksum, and the checksum is the low half of the 64-bit XXH3 of that: messages are
//! short, and no other check of short bytes takes as little time. The length stands there twice so that a damaged one
//! is noticed at once: who believed it would wait for bytes that never come. Frames stand back to back in a lane.

mod decode;
mod encode;
#[cfg(test)]
mod tests;

use alloc::string::String;
use alloc::vec::Vec;

use xxhash_rust::xxh3::xxh3_64;

use crate::ids::{ClientId, GroupId, Index, Keyspace, Life, NodeId, Term};
use crate::resp::Proto;
use crate::time::WallTime;

pub(crate) use decode::{decode, take_entry, take_proto, take_sequence};
pub(crate) use encode::{begin_append, finish, push_entry, put_proto, put_sequence, send};

/// The largest frame taken: the largest command and then some.
const MOST: usize = 1 << 30;
const HEADER: usize = 12;

/// The checksum of a frame.
fn check(body: &[u8]) -> u32 {
    xxh3_64(body) as u32
}

/// A message, borrowed from the bytes it came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Message<'a> {
    Beat(Beat),
    /// The receiver's idea of what the sender leads is not the sender's: please say.
    AskLeads,
    /// Which users the receiver goes by is asked: no leader can be.
    AskUsers,
    /// The users that the sender goes by, as [`crate::command`] answers `ACL STORED`.
    Users {
        told: &'a [u8],
    },
    /// All groups the sender leads and the receiver holds, as (group u32, term u64) pairs.
    Leads {
        life: Life,
        pairs: &'a [u8],
    },
    Append(Append<'a>),
    Appended(Appended),
    Behind(Behind),
    Ballot(Ballot),
    Vote(Vote),
    Chunk(Chunk<'a>),
    ChunkTaken(ChunkTaken),
    /// From a leader that hands over: campaign now. Its lease is over.
    TakeOver {
        group: GroupId,
        term: Term,
        /// The leader's last entry: an order that is late is told by it.
        last: Index,
    },
    /// From a leader: it has stopped leading for a reason that no message would tell.
    Resigned {
        group: GroupId,
        term: Term,
    },
    /// From a replica: its digest when it applied the entry at `index`.
    Digest {
        group: GroupId,
        index: Index,
        digest: u128,
    },
    /// From a replica: it holds nothing of the group and has promised nothing, as far as its disk tells.
    Blank {
        group: GroupId,
        /// Whether the receiver should say so as well, if it is so.
        ask: bool,
    },
    Forward(Forward<'a>),
    Answer(Answer<'a>),
    Handoff(Handoff<'a>),
    Handback(Handback<'a>),
    /// From another engine of this node: who leads a group of its own, as far as it knows.
    Led {
        group: GroupId,
        leader: Option<NodeId>,
    },
}

/// One engine tells the same engine of another node that it lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Beat {
    pub(crate) life: Life,
    /// The newest life of the receiver that the sender has heard.
    pub(crate) knows: Life,
    /// Its disk has not answered for too long: look for another leader.
    pub(crate) stalled: bool,
    /// It hears the receiver.
    pub(crate) hears: bool,
    /// It knows of users of the cluster, so that nobody is to be let in unasked.
    pub(crate) users: bool,
    /// Sum over the groups it leads and the receiver holds of a hash of (group, term).
    pub(crate) leads: u64,
    /// What its clock shows.
    pub(crate) wall: WallTime,
}

/// From a leader: the entries after `previous`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Append<'a> {
    pub(crate) group: GroupId,
    pub(crate) term: Term,
    pub(crate) previous: Index,
    pub(crate) previous_term: Term,
    pub(crate) commit: Index,
    /// Echoed in the answer: shows that the leader was still followed after it asked.
    pub(crate) round: u64,
    /// Whether an answer is owed even if nothing is new.
    pub(crate) reply: bool,
    /// To a replica that lost promises to damage: once it holds everything up to here, it has made
    /// up for them. 0: nothing was said about it.
    pub(crate) heal: Index,
    /// The entries, each with its term (u64) and length (u32) in front.
    pub(crate) entries: &'a [u8],
}

/// From a follower: everything up to `matched` agrees with the leader's log and is on its disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Appended {
    pub(crate) group: GroupId,
    pub(crate) term: Term,
    /// Which run of the sender says so: an earlier one knows nothing of what was lost since.
    pub(crate) life: Life,
    pub(crate) matched: Index,
    /// Up to where it knows entries to be committed.
    pub(crate) commit: Index,
    pub(crate) round: u64,
    /// It may have lost promises: it must not be counted.
    pub(crate) damaged: bool,
}

/// From a follower: it does not have the entry an append follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Behind {
    pub(crate) group: GroupId,
    pub(crate) term: Term,
    pub(crate) life: Life,
    /// The `previous` it answers.
    pub(crate) refused: Index,
    /// The last entry it might have in common with the leader.
    pub(crate) last: Index,
    pub(crate) damaged: bool,
}

/// A request for a vote.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ballot {
    pub(crate) group: GroupId,
    pub(crate) term: Term,
    pub(crate) last: Index,
    pub(crate) last_term: Term,
    /// Only asking: nobody's state changes.
    pub(crate) pre: bool,
    /// The leader wants it so: a live leader is no reason to refuse.
    pub(crate) transfer: bool,
}

/// An answer to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Vote {
    pub(crate) group: GroupId,
    pub(crate) term: Term,
    pub(crate) pre: bool,
    pub(crate) granted: bool,
}

/// A piece of a state image, from a leader. Piece 0 is the header, which the group makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Chunk<'a> {
    pub(crate) group: GroupId,
    pub(crate) term: Term,
    /// Tells this image from others of the same reign.
    pub(crate) run: u32,
    /// Up to where the image reaches, and that entry's term.
    pub(crate) index: Index,
    pub(crate) index_term: Term,
    pub(crate) number: u32,
    pub(crate) done: bool,
    /// Install it even over a log that holds the entry: the replica's keys are wrong.
    pub(crate) force: bool,
    pub(crate) bytes: &'a [u8],
}

/// From a follower: which piece it waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ChunkTaken {
    pub(crate) group: GroupId,
    pub(crate) term: Term,
    pub(crate) run: u32,
    pub(crate) wanted: u32,
}

/// A command for the leader of a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Forward<'a> {
    pub(crate) group: GroupId,
    /// The reign it is meant for: taken in this one or not at all.
    pub(crate) term: Term,
    /// Which run of the sender asks, in which of its attempts: larger ones are newer.
    pub(crate) life: Life,
    pub(crate) attempt: u64,
    /// How many commands of the attempt came before.
    pub(crate) place: u64,
    /// Which of its commands it is.
    pub(crate) id: u64,
    pub(crate) write: Option<Sequence>,
    pub(crate) proto: Proto,
    pub(crate) keyspace: Keyspace,
    /// [`crate::resp::Args::put`].
    pub(crate) args: &'a [u8],
}

/// Names a forwarded write for good: a second one of the same name changes nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Sequence {
    pub(crate) life: Life,
    /// Counts the writes that a node forwards to a group.
    pub(crate) number: u64,
    /// Every write up to this one has been answered, or never will be applied.
    pub(crate) settled: u64,
}

/// What became of a forwarded command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// Answered: the bytes are the reply.
    Done,
    /// Taken by this attempt, and surely not applied: leadership was lost before.
    Overwritten,
    /// Neither it nor anything behind it in the attempt is taken: not the leader of that term. The answer names
    /// the leader if it is known.
    NotLeader,
    /// Neither it nor anything behind it in the attempt is taken: try again later.
    Busy,
    /// Neither it nor anything behind it in the attempt is taken: something before it did not arrive.
    Gap,
    /// Surely not applied: a later life of its sender has written here before. The bytes are that life.
    Outlived,
}

/// The answer to a [`Forward`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Answer<'a> {
    pub(crate) group: GroupId,
    /// As in the command.
    pub(crate) life: Life,
    pub(crate) attempt: u64,
    pub(crate) id: u64,
    pub(crate) fate: Fate,
    /// The sender's own term, and who leads in it as far as it knows.
    pub(crate) reign: Term,
    pub(crate) leader: Option<NodeId>,
    pub(crate) bytes: &'a [u8],
}

/// A command for a group that another engine of the same node holds; for that engine itself without one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Handoff<'a> {
    pub(crate) group: GroupId,
    pub(crate) ticket: Ticket,
    pub(crate) proto: Proto,
    pub(crate) keyspace: Keyspace,
    pub(crate) agreed: Agreed,
    pub(crate) args: &'a [u8],
}

/// What a client has said that it can do with, so that its command need not be passed on to a leader.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Agreed {
    /// It goes to the leader itself if it is told where that is.
    pub(crate) moves: bool,
    /// What the replica here knows may be old, within the bound.
    pub(crate) stale: bool,
}

/// Its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Handback<'a> {
    pub(crate) ticket: Ticket,
    pub(crate) bytes: &'a [u8],
}

/// Names one command of one client: its place in the order of answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ticket {
    pub(crate) client: ClientId,
    /// Which client of that number.
    pub(crate) generation: u32,
    /// Which command of that client.
    pub(crate) sequence: u64,
    /// Which part of it, if it was split.
    pub(crate) part: u16,
}

const BEAT: u8 = 1;
const ASK_LEADS: u8 = 2;
const LEADS: u8 = 3;
const APPEND: u8 = 4;
const APPENDED: u8 = 5;
const BEHIND: u8 = 6;
const BALLOT: u8 = 7;
const VOTE: u8 = 8;
const CHUNK: u8 = 9;
const CHUNK_TAKEN: u8 = 10;
const TAKE_OVER: u8 = 11;
const RESIGNED: u8 = 12;
const DIGEST: u8 = 13;
const FORWARD: u8 = 14;
const ANSWER: u8 = 15;
const HANDOFF: u8 = 16;
const HANDBACK: u8 = 17;
const BLANK: u8 = 18;
const ASK_USERS: u8 = 19;
const USERS: u8 = 20;
const LED: u8 = 21;

/// One line a frame, for people; malformed bytes end it.
pub(crate) fn describe(bytes: &[u8]) -> Vec<String> {
    let mut lines = Vec::new();
    let mut rest = bytes;
    while let Ok(Some((message, length))) = decode(rest) {
        lines.push(alloc::format!("{message:?}"));
        rest = &rest[length..];
    }
    lines
}
