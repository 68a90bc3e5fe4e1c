//! **`MembershipLattice`**: what a node believes of another only moves up: to a later incarnation, or within
//! one from alive to suspected to dead to left; and it believes in no node that is not of its cluster.
//!
//! Das, Gupta, Motivala, *SWIM* (DSN 2002), section 4.2 (suspicion, incarnation numbers and which message
//! overrides which).
//!
//! Finds: `RefuteWithoutIncarnation`, `LowerIncarnationWins`, `ClustersMerge` (if the other cluster's ids lie
//! beyond this one's), `DeadRevivedByRumour`, `SuspicionForever`.

use std::collections::BTreeMap;

use driftless_core::{Liveness, NodeId};

use super::ledger::Found;
use super::observe::Moment;

/// As violations name it.
pub const NAME: &str = "MembershipLattice";

/// What every node believes of every other.
#[derive(Debug, Default)]
pub struct MembershipLattice {
    views: BTreeMap<NodeId, BTreeMap<NodeId, Belief>>,
}

/// What one node believes of another, and since when.
#[derive(Clone, Copy, Debug)]
struct Belief {
    belief: (u64, Liveness),
    since: Moment,
}

/// Longer than any suspicion lasts: three times three periods of a second, stretched eight times by the
/// health of who suspects.
const SUSPECTED_MOST_MS: u64 = 90_000;

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
        let new = Belief { belief, since: found.at };
        let known = known.or_insert(new);
        if belief < known.belief {
            let before = known.belief;
            found.report(NAME, || {
                format!(
                    "node {} believed node {} to be {:?} in incarnation {}, and now {:?} in {}",
                    observer.0, subject.0, before.1, before.0, belief.1, belief.0
                )
            });
        }
        if belief != known.belief {
            *known = new;
        }
    }

    /// A suspicion ends: in a verdict, or because it was refuted.
    pub fn at_end(&self, found: &mut Found) {
        for (observer, view) in &self.views {
            for (subject, known) in view {
                let suspected = known.belief.1 == Liveness::Suspect;
                if suspected && known.since.plus_ms(SUSPECTED_MOST_MS) < found.at {
                    found.report(NAME, || {
                        format!("node {} has suspected node {} for ever", observer.0, subject.0)
                    });
                }
            }
        }
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
    fn a_suspicion_that_never_ends_is_found() {
        let mut checker = MembershipLattice::default();
        let mut found = Found::default();
        checker.believes(NodeId(1), NodeId(2), (5, Liveness::Suspect), 3, &mut found);
        found.at = Moment(0).plus_ms(SUSPECTED_MOST_MS);
        checker.at_end(&mut found);
        assert!(found.list().is_empty());
        found.at = found.at.plus_ms(1);
        checker.at_end(&mut found);
        assert_eq!(found.list()[0].checker, NAME);
    }

    #[test]
    fn strangers_are_found() {
        let mut checker = MembershipLattice::default();
        let mut found = Found::default();
        checker.believes(NodeId(1), NodeId(9), (1, Liveness::Alive), 3, &mut found);
        assert_eq!(found.list()[0].checker, NAME);
    }
}
