//! A stage for hand-made histories: replicas made of plain values, without an engine.

use std::collections::BTreeMap;

use driftless_core::cluster::ClusterOutputs;
use driftless_core::{
    Event, GroupId, Index, LaneId, Life, Liveness, NodeId, Outline, Role, Span, Term,
};

use super::history::{Call, Kind, OperationId, Reply};
use super::observe::{Entries, Moment, Observed, ReplicaState};
use super::{Checkers, Setup, Wanted};

/// The bound for keys with a time to live that the stage is set up with.
pub(crate) const TTL_BOUND_MS: u64 = 500;

const GROUP: GroupId = GroupId(1);
const LANE: LaneId = LaneId(0);

/// A replica made by hand.
pub(crate) struct Fake {
    pub(crate) state: ReplicaState,
    pub(crate) entries: Vec<(Term, Vec<u8>)>,
    pub(crate) matched: Vec<(NodeId, Index)>,
    /// Term and vote on its disk, and how many entries it holds there.
    ballot: (Term, Option<NodeId>),
    disk: Vec<(Term, Vec<u8>)>,
    life: Life,
}

struct List<'a>(&'a [(Term, Vec<u8>)]);

impl Entries for List<'_> {
    fn entry(&self, index: Index) -> Option<(Term, &[u8])> {
        let (term, bytes) = self.0.get(index.0.checked_sub(1)? as usize)?;
        Some((*term, bytes))
    }
}

impl Fake {
    /// Loses its entries from an index on, in memory and on disk.
    pub(crate) fn lose_from(&mut self, index: u64) {
        self.entries.truncate(index as usize - 1);
        self.disk.truncate(index as usize - 1);
        self.state.last = Index(self.entries.len() as u64);
        self.state.durable = self.state.durable.min(self.state.last);
    }
}

/// One group of replicas, their checkers, a clock and a client.
pub(crate) struct Stage {
    pub(crate) checkers: Checkers,
    replicas: Vec<Fake>,
    now: Moment,
}

impl Stage {
    pub(crate) fn new(nodes: u32) -> Self {
        let setup = Setup {
            nodes,
            replicas: vec![(1..=nodes).map(NodeId).collect()],
            ttl_bound_ms: TTL_BOUND_MS,
            election_timeout: Span::millis(450),
            patience: Span::millis(5_000),
            image_every: 1,
            search_steps: 1_000_000,
        };
        let fake = || Fake {
            state: ReplicaState::empty(GROUP),
            entries: Vec::new(),
            matched: Vec::new(),
            ballot: (Term(0), None),
            disk: Vec::new(),
            life: Life(1),
        };
        let replicas = (0..nodes).map(|_| fake()).collect();
        let mut stage = Self { checkers: Checkers::new(setup), replicas, now: Moment(0) };
        (1..=nodes).for_each(|node| stage.recover(node));
        stage
    }

    pub(crate) fn clean(&self) {
        assert_eq!(self.checkers.violations(), [], "nothing is wrong");
    }

    pub(crate) fn violates(&self, checker: &str) {
        let all = self.checkers.violations();
        assert!(all.iter().any(|one| one.checker == checker), "{checker} found nothing: {all:?}");
    }

    pub(crate) fn replica(&mut self, node: u32) -> &mut Fake {
        &mut self.replicas[node as usize - 1]
    }

    pub(crate) fn change(&mut self, node: u32, change: impl FnOnce(&mut ReplicaState)) {
        change(&mut self.replica(node).state);
        self.show(node);
    }

    /// A turn of a node has ended.
    pub(crate) fn show(&mut self, node: u32) {
        let fake = &self.replicas[node as usize - 1];
        let log = List(&fake.entries);
        let seen = Observed { state: fake.state, matched: &fake.matched, log: &log };
        self.checkers.found.at = self.now;
        self.checkers.look(NodeId(node), LANE, &seen, false);
    }

    pub(crate) fn crash(&mut self, node: u32) {
        self.checkers.crashed(NodeId(node));
        self.replica(node).life.0 += 1;
    }

    pub(crate) fn recover(&mut self, node: u32) {
        let fake = &self.replicas[node as usize - 1];
        let log = List(&fake.entries);
        let seen = Observed { state: fake.state, matched: &[], log: &log };
        self.checkers.found.at = self.now;
        self.checkers.started(NodeId(node), LANE, fake.life, &seen);
    }

    pub(crate) fn harm(&mut self, node: u32) {
        self.checkers.harmed(NodeId(node));
    }

    /// A replica leads; nothing is demanded of its voters' disks.
    pub(crate) fn leads(&mut self, node: u32, term: u64) {
        self.change(node, |state| {
            let own = Some(NodeId(node));
            (state.role, state.term, state.vote, state.leader) =
                (Role::Leader, Term(term), own, own);
        });
        while let Some(wanted) = self.checkers.wants_image() {
            let Wanted::Ballot(node, ..) = wanted else { panic!("only its election") };
            self.checkers.ballot(self.now, node, None);
        }
    }

    /// A vote that is on disk.
    pub(crate) fn vote(&mut self, node: u32, term: u64, candidate: u32) {
        let ballot = (Term(term), Some(NodeId(candidate)));
        self.replica(node).ballot = ballot;
        self.change(node, |state| (state.term, state.vote) = ballot);
    }

    /// A replica leads; the disks of its voters are looked at.
    pub(crate) fn wins(&mut self, node: u32, term: u64) {
        self.change(node, |state| (state.role, state.term) = (Role::Leader, Term(term)));
        self.show_images();
    }

    /// A node sends something, and its disk is looked at.
    pub(crate) fn sample(&mut self, node: u32) {
        self.checkers.promises.sent(NodeId(node), LANE, 1);
        self.show_images();
    }

    fn show_images(&mut self) {
        while let Some(wanted) = self.checkers.wants_image() {
            let (Wanted::Replicas(node, _) | Wanted::Ballot(node, ..)) = wanted;
            let fake = &self.replicas[node.0 as usize - 1];
            if matches!(wanted, Wanted::Ballot(..)) {
                self.checkers.ballot(self.now, node, Some(fake.ballot));
                continue;
            }
            let terms = fake.disk.iter().map(|(term, _)| *term).collect();
            let outline = Outline { ballot: fake.ballot, terms, ..Outline::default() };
            self.checkers.image(self.now, node, Some(&BTreeMap::from([(GROUP, outline)])));
        }
    }

    pub(crate) fn append(&mut self, node: u32, term: u64, bytes: &[u8]) {
        let fake = self.replica(node);
        fake.entries.push((Term(term), bytes.to_vec()));
        fake.state.last = Index(fake.entries.len() as u64);
        self.show(node);
    }

    pub(crate) fn sync(&mut self, node: u32) {
        let fake = self.replica(node);
        fake.disk = fake.entries.clone();
        fake.state.durable = fake.state.last;
        self.show(node);
    }

    /// Commits and applies up to an index.
    pub(crate) fn commit(&mut self, node: u32, index: u64, digest: u128) {
        self.change(node, |state| {
            (state.commit, state.applied, state.digest) = (Index(index), Index(index), digest);
        });
    }

    /// Gives up the entries from an index on; the disk does not know yet.
    pub(crate) fn cut(&mut self, node: u32, from: u64) {
        let fake = self.replica(node);
        fake.entries.truncate(from as usize - 1);
        fake.state.last = Index(fake.entries.len() as u64);
        fake.state.durable = fake.state.durable.min(fake.state.last);
        self.show(node);
    }

    /// Replaces the entries from an index on by one, in one turn.
    pub(crate) fn replace(&mut self, node: u32, index: u64, term: u64, bytes: &[u8]) {
        let fake = self.replica(node);
        fake.entries.truncate(index as usize - 1);
        fake.state.durable = fake.state.durable.min(Index(index - 1));
        self.append(node, term, bytes);
    }

    pub(crate) fn matches(&mut self, node: u32, matched: &[(u32, u64)]) {
        let matched = matched.iter().map(|&(node, index)| (NodeId(node), Index(index)));
        self.replica(node).matched = matched.collect();
        self.show(node);
    }

    pub(crate) fn asks(&mut self, kind: Kind, key: &str, argument: &[u8]) -> OperationId {
        self.asks_with(kind, key, argument, 0)
    }

    pub(crate) fn asks_with(
        &mut self,
        kind: Kind,
        key: &str,
        argument: &[u8],
        number: i64,
    ) -> OperationId {
        self.now.0 += 1_000;
        let call = Call { kind, key: key.as_bytes(), argument, number };
        self.checkers.invoked(self.now, 0, &call)
    }

    pub(crate) fn told(&mut self, id: OperationId, reply: Reply) {
        self.now.0 += 1_000;
        self.checkers.completed(self.now, id, reply);
    }

    pub(crate) fn gone(&mut self) {
        self.checkers.gone(0);
    }

    pub(crate) fn pass_ms(&mut self, ms: u64) {
        self.now = self.now.plus_ms(ms);
    }

    pub(crate) fn pass_until_ms(&mut self, ms: u64) {
        self.now = self.now.max(Moment(0).plus_ms(ms));
    }

    pub(crate) fn heal(&mut self) {
        let everyone: Vec<_> = (1..=self.replicas.len() as u32).map(NodeId).collect();
        self.checkers.healed(self.now, &everyone);
        for &observer in &everyone {
            for &subject in everyone.iter().filter(|node| **node != observer) {
                let mut out = ClusterOutputs::default();
                let liveness = Liveness::Alive;
                out.events.push(Event::Member { node: subject, liveness, incarnation: 1 });
                self.checkers.after_gossip(self.now, observer, &out);
            }
        }
    }

    pub(crate) fn end(&mut self) {
        self.checkers.at_end(self.now);
    }
}
