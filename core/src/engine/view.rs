//! A replica from outside: for checks, status and metrics. Nothing here can change it.

use alloc::string::String;
use alloc::vec::Vec;

use crate::engine::Engine;
use crate::group::Group;
use crate::ids::{GroupId, Index, NodeId, Term};
use crate::latency::Histogram;
use crate::message;
use crate::raft::Role;
use crate::session::Kind;
use crate::store::Store;

/// A replica from outside.
#[derive(Clone, Copy, Debug)]
pub struct GroupView<'e> {
    /// The group.
    pub group: GroupId,
    /// What the replica does.
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
    /// Leader: what each other member is known to have on disk.
    pub matched: &'e [(NodeId, Index)],
    replica: &'e Group,
}

impl<'e> GroupView<'e> {
    /// Term and bytes of an entry, if it is in memory.
    pub fn entry(&self, index: Index) -> Option<(Term, &'e [u8])> {
        self.replica.raft.log.entry(index)
    }

    /// The store of the replica.
    pub fn store(&self) -> &'e Store {
        &self.replica.store
    }
}

impl Engine {
    /// What a replica looks like from outside.
    pub fn view(&self, group: GroupId) -> Option<GroupView<'_>> {
        let replica = self.partition(group)?.group.as_ref()?;
        let raft = &replica.raft;
        Some(GroupView {
            group,
            role: raft.role(),
            term: raft.term(),
            vote: raft.vote(),
            leader: raft.leader(),
            commit: raft.commit(),
            applied: replica.applied(),
            before: raft.log.before(),
            last: raft.log.last(),
            durable: raft.durable(),
            damaged: raft.damaged(),
            digest: replica.store.digest(),
            stamp_ms: replica.applied_at().0,
            matched: raft.leading().map_or(&[], |leading| &leading.matched),
            replica,
        })
    }
}

impl Engine {
    /// All groups of this lane, in order, whether or not a replica of them is held here.
    pub fn known_groups(&self) -> impl Iterator<Item = GroupId> {
        self.partitions.iter().map(|partition| partition.id)
    }

    /// Who leads a group, as far as this engine knows.
    pub fn leader_of(&self, group: GroupId) -> Option<NodeId> {
        let partition = self.partition(group)?;
        match &partition.group {
            Some(replica) => replica.raft.leader(),
            None => partition.outbox.hint(),
        }
    }

    /// How long commands took, by [`Kind`], from the turn that took them to the turn that answered them.
    pub fn latency(&self) -> &[Histogram; Kind::COUNT] {
        self.sessions.latency()
    }

    /// How often each command was run, by its id.
    pub fn calls(&self) -> &[u64] {
        &self.calls
    }
}

/// Frames between engines, one line each, for people and for faults aimed at a kind.
pub fn describe_frames(bytes: &[u8]) -> Vec<String> {
    message::describe(bytes)
}
