//! What the checkers know: of every replica what it last looked like, of every group what is committed.

use driftless_core::{GroupId, Index, Life, NodeId, Term};

use super::observe::{Moment, Observed, ReplicaState};
use super::terms::Terms;
use super::{Violation, hash};

/// Violations found, with a bound: a broken run breaks everywhere.
#[derive(Debug, Default)]
pub struct Found {
    /// When what is being looked at happened.
    pub at: Moment,
    list: Vec<Violation>,
}

impl Found {
    /// The most violations that are kept.
    const MOST: usize = 64;

    /// Notes a violation. `what` is asked only if it is kept.
    pub fn report(&mut self, checker: &'static str, what: impl FnOnce() -> String) {
        if self.list.len() < Self::MOST {
            self.list.push(Violation { checker, at: self.at, what: what() });
        }
    }

    /// All of them.
    pub fn list(&self) -> &[Violation] {
        &self.list
    }
}

/// A committed entry, as little of it as can be compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Committed {
    /// Its term.
    pub term: Term,
    /// Hash of its bytes; 0 if no checker has seen them.
    pub hash: u64,
    /// Hash of the store's digest once it is applied; 0 if no turn ended just there.
    pub digest: u64,
    /// Time of the log once it is applied; goes with `digest`.
    pub stamp_ms: u64,
}

/// What is known of one replica.
#[derive(Debug)]
pub struct Replica {
    /// Where it is.
    pub node: NodeId,
    /// What it last looked like; while it is down, what it looked like when it went.
    pub state: ReplicaState,
    /// The terms of its entries.
    pub terms: Terms,
    /// What it last claimed to know of others.
    pub matched: Vec<(NodeId, Index)>,
    /// Whether its process runs.
    pub up: bool,
    /// Whether a fault has harmed its disk and it has not been repaired since.
    pub harmed: bool,
    /// Whether the disk is as it was at an earlier time, and no start since has shown it.
    pub put_back: bool,
    /// Which run of its process this is.
    pub life: Life,
    /// How often its process has started.
    pub starts: u64,
    /// Up to where its disk holds its entries whatever it says: a new life does not count on what it reads
    /// until it has synced it again, though an earlier one had.
    pub kept: Index,
    /// Whether what it says is durable is so for certain: a new life reads its log from a cache, perhaps,
    /// and must sync it first.
    pub trusted: bool,
    /// How far an earlier life had applied.
    pub replay_until: Index,
    /// The newest term and vote that is known to be on its disk.
    pub proven: (Term, Option<NodeId>),
}

impl Replica {
    fn new(group: GroupId, node: NodeId) -> Self {
        Self {
            node,
            state: ReplicaState::empty(group),
            terms: Terms::default(),
            matched: Vec::new(),
            up: false,
            harmed: false,
            put_back: false,
            life: Life(0),
            starts: 0,
            kept: Index(0),
            trusted: false,
            replay_until: Index(0),
            proven: (Term(0), None),
        }
    }

    /// Up to where its entries are on its disk, as far as it says.
    pub fn durable(&self) -> Index {
        self.state.durable.max(self.kept)
    }

    /// Up to where they must be there after a loss of power.
    pub fn promised(&self) -> Index {
        if self.trusted { self.durable() } else { self.kept }
    }

    /// Whether this entry is on its disk, as far as it says.
    pub fn holds(&self, index: Index, term: Term) -> bool {
        !self.state.damaged
            && self.durable() >= index
            && (index <= self.terms.before() || self.terms.at(index) == Some(term))
    }

    /// Notes a term and vote that its disk is known to hold.
    pub fn prove(&mut self, term: Term, vote: Option<NodeId>) {
        if term > self.proven.0 || (term == self.proven.0 && self.proven.1.is_none()) {
            self.proven = (term, vote);
        }
    }
}

/// What is known of one group.
#[derive(Debug)]
pub struct Group {
    /// Which.
    pub id: GroupId,
    /// Its replicas, in the order of placement.
    pub replicas: Vec<Replica>,
    /// What is committed, from index 1 on.
    pub committed: Vec<Committed>,
    /// From which index on entries were committed while some replica that saw it was in which term; terms
    /// rise.
    pub committed_in: Vec<(Index, Term)>,
}

impl Group {
    /// Nothing happened yet.
    pub fn new(id: GroupId, members: &[NodeId]) -> Self {
        let replicas = members.iter().map(|&node| Replica::new(id, node)).collect();
        Self { id, replicas, committed: Vec::new(), committed_in: Vec::new() }
    }

    /// How often its replicas have started.
    pub fn starts(&self) -> u64 {
        self.replicas.iter().map(|replica| replica.starts).sum()
    }

    /// How many are a majority.
    pub fn majority(&self) -> usize {
        self.replicas.len() / 2 + 1
    }

    /// Up to where entries are known to be committed.
    pub fn commit(&self) -> Index {
        Index(self.committed.len() as u64)
    }

    /// A committed entry.
    pub fn committed(&self, index: Index) -> Option<&Committed> {
        self.committed.get(usize::try_from(index.0.checked_sub(1)?).ok()?)
    }

    /// A committed entry, to complete it.
    pub fn committed_mut(&mut self, index: Index) -> Option<&mut Committed> {
        self.committed.get_mut(usize::try_from(index.0.checked_sub(1)?).ok()?)
    }

    /// Which of the replicas stands on a node.
    pub fn place(&self, node: NodeId) -> Option<usize> {
        self.replicas.iter().position(|replica| replica.node == node)
    }

    /// The newest index that every leader of a term beyond `term` must hold.
    pub fn commit_before(&self, term: Term) -> Index {
        match self.committed_in.iter().find(|(_, seen_in)| *seen_in >= term) {
            Some((first, _)) => first.previous(),
            None => self.commit(),
        }
    }

    /// Notes the entry after the last one committed.
    pub fn commit_next(&mut self, entry: Option<(Term, &[u8])>, fallback: Term, seen_in: Term) {
        let (term, hash) =
            entry.map_or((fallback, 0), |(term, bytes)| (term, hash::of_bytes(bytes)));
        self.committed.push(Committed { term, hash, digest: 0, stamp_ms: 0 });
        if self.committed_in.last().is_none_or(|(_, last)| *last < seen_in) {
            self.committed_in.push((self.commit(), seen_in));
        }
    }
}

/// One replica before and after a turn.
#[derive(Clone, Copy)]
pub struct Change<'a> {
    /// Where.
    pub node: NodeId,
    /// Which of the group's replicas.
    pub place: usize,
    /// What it looked like.
    pub old: ReplicaState,
    /// What it looks like now.
    pub new: &'a Observed<'a>,
    /// Whether it was recovered just now, so that it may have forgotten.
    pub fresh: bool,
}

impl Change<'_> {
    /// Whether it has begun to lead.
    pub fn leads_newly(&self) -> bool {
        use driftless_core::Role::Leader;
        let (old, new) = (&self.old, &self.new.state);
        new.role == Leader && (self.fresh || old.role != Leader || old.term != new.term)
    }

    /// For messages: `group 1, node 2`.
    pub fn who(&self) -> String {
        format!("group {}, node {}", self.old.group.0, self.node.0)
    }
}

/// Groups by id, from 1 on.
#[derive(Debug, Default)]
pub struct Ledger {
    groups: Vec<Group>,
}

impl Ledger {
    /// Groups with ids from 1 on.
    pub fn new(members: &[Vec<NodeId>]) -> Self {
        let ids = (1..).map(GroupId);
        let groups = ids.zip(members).map(|(id, nodes)| Group::new(id, nodes)).collect();
        Self { groups }
    }

    /// One group.
    pub fn group(&self, id: GroupId) -> Option<&Group> {
        self.groups.get(id.0.checked_sub(1)? as usize)
    }

    /// One group.
    pub fn group_mut(&mut self, id: GroupId) -> Option<&mut Group> {
        self.groups.get_mut(id.0.checked_sub(1)? as usize)
    }

    /// All of them.
    pub fn groups(&self) -> impl Iterator<Item = &Group> {
        self.groups.iter()
    }

    /// All replicas on a node.
    pub fn on_node(&mut self, node: NodeId) -> impl Iterator<Item = &mut Replica> {
        let replicas = self.groups.iter_mut().flat_map(|group| &mut group.replicas);
        replicas.filter(move |replica| replica.node == node)
    }
}
