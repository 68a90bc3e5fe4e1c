//! What checkers look at: a replica as a small plain value, so that every checker can be tested without
//! an engine.

use driftless_core::{GroupId, GroupView, Index, NodeId, Role, Term};

/// A moment of the simulation: nanoseconds since its start, by no node's clock.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment(pub u64);

impl Moment {
    /// So many milliseconds later.
    #[must_use]
    pub const fn plus_ms(self, ms: u64) -> Self {
        Self(self.0.saturating_add(ms.saturating_mul(1_000_000)))
    }

    /// So many milliseconds earlier, or the start.
    #[must_use]
    pub const fn minus_ms(self, ms: u64) -> Self {
        Self(self.0.saturating_sub(ms.saturating_mul(1_000_000)))
    }
}

/// A replica between two turns: the plain part of [`GroupView`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReplicaState {
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
    /// Whether it has lost promises to damage.
    pub damaged: bool,
    /// Digest of its keys, at `applied`.
    pub digest: u128,
    /// The stamp of the last entry applied, in milliseconds.
    pub stamp_ms: u64,
}

impl ReplicaState {
    /// The plain part of a view.
    pub fn of(view: &GroupView<'_>) -> Self {
        Self {
            group: view.group,
            role: view.role,
            term: view.term,
            vote: view.vote,
            leader: view.leader,
            commit: view.commit,
            applied: view.applied,
            before: view.before,
            last: view.last,
            durable: view.durable,
            damaged: view.damaged,
            digest: view.digest,
            stamp_ms: view.stamp_ms,
        }
    }

    /// A replica that has never heard of anything.
    pub fn empty(group: GroupId) -> Self {
        Self {
            group,
            role: Role::Follower,
            term: Term(0),
            vote: None,
            leader: None,
            commit: Index(0),
            applied: Index(0),
            before: Index(0),
            last: Index(0),
            durable: Index(0),
            damaged: false,
            digest: 0,
            stamp_ms: 0,
        }
    }
}

/// Where the entries of a replica are looked up.
pub trait Entries {
    /// Term and bytes of an entry, if it is in memory.
    fn entry(&self, index: Index) -> Option<(Term, &[u8])>;
}

impl Entries for GroupView<'_> {
    fn entry(&self, index: Index) -> Option<(Term, &[u8])> {
        GroupView::entry(self, index)
    }
}

/// A replica as a checker sees it.
#[derive(Clone, Copy)]
pub struct Observed<'a> {
    /// Its plain part.
    pub state: ReplicaState,
    /// Leader: what each other voter is known to have on disk.
    pub matched: &'a [(NodeId, Index)],
    /// Its entries.
    pub log: &'a dyn Entries,
}

impl<'a> Observed<'a> {
    /// A view, seen by a checker.
    pub fn of(view: &'a GroupView<'a>) -> Self {
        Self { state: ReplicaState::of(view), matched: view.matched, log: view }
    }
}
