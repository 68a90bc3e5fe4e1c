//! What one thread of one node runs: its groups, their keys, the log they share, and the clients that
//! knock at this thread's door.

use alloc::sync::Arc;
use alloc::vec::Vec;

use crate::config::EngineConfig;
use crate::event::Liveness;
use crate::ids::{ClientId, GroupId, Index, LaneId, Life, NodeId, Term};
use crate::outputs::{FileId, Outputs, SyncToken};
use crate::placement::Placement;
use crate::resp::Args;
use crate::rng::Seed;
use crate::time::Now;
use crate::wal::WalError;

/// A set of groups, their keys, the log they share and their clients.
#[derive(Debug)]
pub struct Engine {}

impl Engine {
    /// Starts a turn; `out` is complete once the turn is finished. The driver clears `out` before.
    pub fn turn<'t>(&'t mut self, _now: Now, _out: &'t mut Outputs) -> Turn<'t> {
        todo!()
    }
    /// Panics if any invariant between turns is broken. The simulator calls it after every turn.
    pub fn check(&self) {
        todo!()
    }
    /// Which run of the process this is.
    pub fn life(&self) -> Life {
        todo!()
    }
    /// The groups this engine holds a replica of, in order.
    pub fn groups(&self) -> impl Iterator<Item = GroupId> {
        [].into_iter()
    }
    /// What a replica looks like from outside: for checks, status and metrics.
    pub fn view(&self, _group: GroupId) -> Option<GroupView<'_>> {
        todo!()
    }
}

/// One turn: play in what has arrived, then [`Turn::finish`].
#[must_use = "a turn does nothing until it is finished"]
#[derive(Debug)]
pub struct Turn<'t> {
    _engine: &'t mut Engine,
    _out: &'t mut Outputs,
}

impl Turn<'_> {
    /// The sync named `token` has returned.
    pub fn disk_synced(&mut self, _token: SyncToken) {
        todo!()
    }
    /// A write or sync failed. The engine stops; nothing it wrote since the last sync is trusted again.
    pub fn disk_failed(&mut self) {
        todo!()
    }
    /// What the membership layer thinks of a node. Advice: it hastens, it never decides.
    pub fn liveness(&mut self, _node: NodeId, _liveness: Liveness) {
        todo!()
    }
    /// A connection to a node was made or lost; what was in flight on it is gone.
    pub fn peer_reset(&mut self, _node: NodeId) {
        todo!()
    }
    /// Bytes from the same lane of another node. Returns how many were used; a frame not yet whole is left.
    /// After [`crate::Event::PeerMalformed`] the connection should be closed.
    pub fn receive(&mut self, _from: NodeId, _bytes: &[u8]) -> usize {
        todo!()
    }
    /// Bytes from another engine of this node, always whole.
    pub fn handoff(&mut self, _from: LaneId, _bytes: &[u8]) {
        todo!()
    }
    /// A client has connected.
    pub fn client_opened(&mut self, _client: ClientId) {
        todo!()
    }
    /// A command. Answers of one client leave in the order of its commands.
    pub fn request(&mut self, _client: ClientId, _args: &Args<'_>) -> Admission {
        todo!()
    }
    /// A client hung up; its answers are dropped.
    pub fn client_gone(&mut self, _client: ClientId) {
        todo!()
    }
    /// The node is about to stop: hand leaderships over. Turns go on until [`Engine::view`] shows none or the
    /// driver loses patience.
    pub fn retire(&mut self) {
        todo!()
    }
    /// Ends the turn: due timers, each touched group once, then the log once for all of them.
    pub fn finish(self) {
        todo!()
    }
}

/// Whether a command was taken.
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    /// A queue is full: keep the command and stop reading this client until a later turn's outputs.
    Busy,
    /// It will be answered, unless the client hangs up first.
    Taken,
}

/// What a replica does in its group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Takes entries from a leader, if it knows one.
    Follower,
    /// Asks whether an election could be won.
    PreCandidate,
    /// Asks for votes.
    Candidate,
    /// Leads.
    Leader,
}

/// A replica from outside. Borrowed; nothing here can change it.
#[derive(Clone, Copy, Debug)]
pub struct GroupView<'e> {
    /// The group.
    pub group: GroupId,
    /// What it does.
    pub role: Role,
    /// Its term.
    pub term: Term,
    /// Whom it voted for in it.
    pub vote: Option<NodeId>,
    /// Who leads, as far as it knows.
    pub leader: Option<NodeId>,
    /// Up to where entries are committed, as far as it knows.
    pub commit: Index,
    /// Up to where they are applied.
    pub applied: Index,
    /// The entry before the first one in memory.
    pub before: Index,
    /// The last entry.
    pub last: Index,
    /// Up to where entries are on its disk.
    pub durable: Index,
    /// Whether it has lost promises to damage and neither votes nor acknowledges.
    pub damaged: bool,
    /// Digest of its keys, at `applied`.
    pub digest: u128,
    /// The stamp of the last entry applied, in milliseconds.
    pub stamp_ms: u64,
    /// Leader: what each other voter is known to have on disk.
    pub matched: &'e [(NodeId, Index)],
    pub(crate) _private: &'e (),
}

impl<'e> GroupView<'e> {
    /// Term and bytes of an entry, if it is in memory.
    pub fn entry(&self, _index: Index) -> Option<(Term, &'e [u8])> {
        todo!()
    }
    /// The store of the replica: for checks and tests.
    pub fn store(&self) -> &'e crate::store::Store {
        todo!()
    }
}

/// Turns files into an engine; an empty listing makes one that has never run. As pure as the rest: it is
/// handed bytes.
#[derive(Debug)]
pub struct Recovery {}

impl Recovery {
    /// Given what the directory holds (names and sizes in bytes), decides what to read.
    pub fn new(
        _config: EngineConfig,
        _placement: &Arc<Placement>,
        _seed: Seed,
        _listing: &[(FileId, u64)],
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
    /// An engine, and in `out` what has to be removed and told. Then take a turn at once.
    pub fn finish(self, _now: Now, _out: &mut Outputs) -> Result<Engine, WalError> {
        todo!()
    }
}

/// Frames that an engine has sent or may receive, told apart for people and for faults aimed at a kind.
pub fn describe_frames(_bytes: &[u8]) -> Vec<alloc::string::String> {
    todo!()
}
