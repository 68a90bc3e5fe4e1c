//! **`ElectionSafety`**: a group has at most one leader in a term, in one life of its process.
//!
//! Ongaro's thesis, section 3.4 and figure 3.2: a vote is given once a term and a majority is needed,
//! so two winners of one term would share a voter. A node that leads in a term it has led in before it
//! was restarted has won twice as well: its first reign may have left messages behind.
//!
//! `PromiseIsDurable` is often sooner: it asks the voters' disks when somebody wins, and finds too few before a
//! second winner appears. This one needs no disk to be read, and finds first what votes twice after a proper
//! election (`VotesTwice`, in a quarter of the seeds that find it).
//!
//! Finds: `VotesTwice`, `VoteBeforeDurable`, `TermNotDurable`, `StaleVoteCounted`, `StepDownClearsVote`, `QuorumIsHalf`,
//! `DamagedVotes`.

use std::collections::BTreeMap;

use driftless_core::{GroupId, Life, NodeId, Term};

use super::ledger::Found;

/// As violations name it.
pub const NAME: &str = "ElectionSafety";

/// Who has led when.
#[derive(Debug, Default)]
pub struct ElectionSafety {
    leaders: BTreeMap<(GroupId, Term), (NodeId, Life)>,
}

impl ElectionSafety {
    /// A replica leads, or has led within the turn.
    pub fn leads(
        &mut self,
        group: GroupId,
        term: Term,
        node: NodeId,
        life: Life,
        found: &mut Found,
    ) {
        let known = *self.leaders.entry((group, term)).or_insert((node, life));
        if known != (node, life) {
            found.report(NAME, || {
                format!(
                    "group {}, term {}: node {} (life {}) leads, and so does or did node {} (life {})",
                    group.0, term.0, node.0, life.0, known.0.0, known.1.0
                )
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::fake::Stage;
    use super::*;

    #[test]
    fn one_leader_a_term_is_fine() {
        let mut stage = Stage::new(3);
        stage.leads(1, 1);
        stage.leads(2, 2);
        stage.leads(1, 3);
        stage.clean();
    }

    #[test]
    fn two_leaders_of_one_term_are_not() {
        let mut stage = Stage::new(3);
        stage.leads(1, 4);
        stage.leads(2, 4);
        stage.violates(NAME);
    }

    #[test]
    fn winning_one_term_in_two_lives_is_not() {
        let mut stage = Stage::new(3);
        stage.leads(1, 4);
        stage.crash(1);
        stage.replica(1).state.role = driftless_core::Role::Follower;
        stage.recover(1);
        stage.leads(1, 4);
        stage.violates(NAME);
    }
}
