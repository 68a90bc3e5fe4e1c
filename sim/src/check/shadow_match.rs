//! **`ShadowMatch`**: when a leader learns that a follower has entries up to an index, the follower has
//! the leader's entries up to there on its disk.
//!
//! Ongaro's thesis, section 3.5 (`matchIndex`), checked against the truth that only a simulation knows.
//! A follower in a newer term is not asked: what it acknowledged in the older one may be gone with
//! good reason.
//!
//! Finds: `AckBeforeDurable`, `StaleAckCounted`, `AckOwnLast`, `SyncCreditedByIndex`.

use super::ledger::{Change, Found, Group};
use driftless_core::Role;

/// As violations name it.
pub const NAME: &str = "ShadowMatch";

/// Looks at what a leader claims to know and did not claim before.
pub fn check(change: &Change<'_>, group: &Group, found: &mut Found) {
    let new = &change.new.state;
    if new.role != Role::Leader {
        return;
    }
    let leader = &group.replicas[change.place];
    for (place, &(node, index)) in change.new.matched.iter().enumerate() {
        if !change.leads_newly() && leader.matched.get(place) == Some(&(node, index)) {
            continue;
        }
        let Some(follower) = group.place(node).map(|at| &group.replicas[at]) else { continue };
        let asked = follower.node != change.node
            && !follower.harmed
            && !follower.state.damaged
            && follower.state.term <= new.term;
        if index.0 == 0 || !asked {
            continue;
        }
        let same = index <= follower.terms.before()
            || index <= leader.terms.before()
            || leader.terms.at(index).is_some_and(|term| follower.terms.at(index) == Some(term));
        if !same || follower.durable() < index {
            found.report(NAME, || {
                format!(
                    "{}: leader of term {} believes node {} to have its entries up to {}; on disk: up \
                     to {}, {}",
                    change.who(),
                    new.term.0,
                    node.0,
                    index.0,
                    follower.durable().0,
                    if same { "the same" } else { "others" }
                )
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use driftless_core::{Index, NodeId};

    use super::super::fake::Stage;
    use super::*;

    fn leader_with_two_followers() -> Stage {
        let mut stage = Stage::new(3);
        stage.leads(1, 2);
        stage.append(1, 2, b"a");
        stage
    }

    #[test]
    fn a_match_that_is_true_is_fine() {
        let mut stage = leader_with_two_followers();
        stage.append(2, 2, b"a");
        stage.sync(2);
        stage.matches(1, &[(2, 1), (3, 0)]);
        stage.clean();
    }

    #[test]
    fn an_acknowledgement_before_the_sync_is_found() {
        let mut stage = leader_with_two_followers();
        stage.append(2, 2, b"a");
        stage.matches(1, &[(2, 1), (3, 0)]);
        stage.violates(NAME);
    }

    #[test]
    fn a_match_of_other_entries_is_found() {
        let mut stage = leader_with_two_followers();
        stage.append(3, 1, b"old");
        stage.sync(3);
        stage.matches(1, &[(2, 0), (3, 1)]);
        stage.violates(NAME);
    }

    #[test]
    fn a_follower_of_a_newer_term_is_not_asked() {
        let mut stage = leader_with_two_followers();
        stage.change(3, |state| state.term = driftless_core::Term(9));
        stage.replica(1).matched = vec![(NodeId(3), Index(1))];
        stage.show(1);
        stage.clean();
    }
}
