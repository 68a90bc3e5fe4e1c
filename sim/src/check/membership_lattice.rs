//! **`MembershipLattice`**: what a node believes of another only moves up: to a later incarnation, or within
//! one from alive to suspected to dead to left; and it believes in no node that is not of its cluster.
//!
//! Das, Gupta, Motivala, *SWIM* (DSN 2002), section 4.2 (suspicion, incarnation numbers and which message
//! overrides which).
//!
//! Finds: `LowerIncarnationWins`, `ClustersMerge` (strangers' ids lie beyond this cluster's),
//! `DeadRevivedByRumour`.

use std::collections::BTreeMap;

use driftless_core::{Liveness, NodeId};

use super::ledger::Found;

/// As violations name it.
pub const NAME: &str = "MembershipLattice";

/// What every node believes of every other.
#[derive(Debug, Default)]
pub struct MembershipLattice {
    views: BTreeMap<NodeId, BTreeMap<NodeId, (u64, Liveness)>>,
}

impl MembershipLattice {
    /// An observer begins anew and may believe anything.
    pub fn started(&mut self, observer: NodeId) {
        self.views.remove(&observer);
    }

    /// An observer has changed its mind.
    pub fn believes(
        &mut self,
        observer: NodeId,
        subject: NodeId,
        belief: (u64, Liveness),
        nodes: u32,
        found: &mut Found,
    ) {
        if !(1..=nodes).contains(&subject.0) {
            found.report(NAME, || {
                format!(
                    "node {} knows node {}, which is of no cluster of ours",
                    observer.0, subject.0
                )
            });
        }
        let known = self.views.entry(observer).or_default().entry(subject);
        let known = known.or_insert(belief);
        if belief < *known {
            let before = *known;
            found.report(NAME, || {
                format!(
                    "node {} believed node {} to be {:?} in incarnation {}, and now {:?} in {}",
                    observer.0, subject.0, before.1, before.0, belief.1, belief.0
                )
            });
        }
        *known = belief;
    }

    /// What an observer believes of a node, if it knows it.
    pub fn belief(&self, observer: NodeId, subject: NodeId) -> Option<Liveness> {
        self.views.get(&observer)?.get(&subject).map(|&(_, liveness)| liveness)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(beliefs: &[(u64, Liveness)]) -> usize {
        let mut checker = MembershipLattice::default();
        let mut found = Found::default();
        for belief in beliefs {
            checker.believes(NodeId(1), NodeId(2), *belief, 3, &mut found);
        }
        found.list().len()
    }

    #[test]
    fn views_move_up_only() {
        use Liveness::{Alive, Dead, Suspect};
        assert_eq!(check(&[(1, Alive), (1, Suspect), (2, Alive), (2, Dead), (3, Alive)]), 0);
        assert_eq!(check(&[(1, Suspect), (1, Alive)]), 1, "refuted without an incarnation");
        assert_eq!(check(&[(2, Alive), (1, Dead)]), 1, "a lower incarnation won");
    }

    #[test]
    fn an_observer_that_restarts_may_begin_anew() {
        let mut checker = MembershipLattice::default();
        let mut found = Found::default();
        checker.believes(NodeId(1), NodeId(2), (5, Liveness::Dead), 3, &mut found);
        checker.started(NodeId(1));
        checker.believes(NodeId(1), NodeId(2), (4, Liveness::Alive), 3, &mut found);
        assert!(found.list().is_empty());
    }

    #[test]
    fn strangers_are_found() {
        let mut checker = MembershipLattice::default();
        let mut found = Found::default();
        checker.believes(NodeId(1), NodeId(9), (1, Liveness::Alive), 3, &mut found);
        assert_eq!(found.list()[0].checker, NAME);
    }
}
