//! **`TermMonotonic`**: a replica's term never goes back, and within a term its vote is given once.
//!
//! Ongaro's thesis, section 3.4 (current term and vote are persistent state) and figure 3.1. Within a
//! life this is seen turn by turn; over a restart what is known to have been on disk must come back:
//! see `PromiseIsDurable`.
//!
//! Finds: `StepDownClearsVote`, and `TermNotDurable` once a leader or a proven voter restarts.

use super::ledger::{Change, Found, Replica};

/// As violations name it.
pub const NAME: &str = "TermMonotonic";

/// Compares a replica before and after a turn, or before and after a restart.
pub fn check(change: &Change<'_>, replica: &Replica, found: &mut Found) {
    let new = &change.new.state;
    let (term, vote) = if change.fresh {
        if replica.harmed {
            return;
        }
        replica.proven
    } else {
        (change.old.term, change.old.vote)
    };
    if new.term < term {
        found.report(NAME, || {
            let restarted = if change.fresh { " over a restart" } else { "" };
            format!("{}: term went from {} to {}{restarted}", change.who(), term.0, new.term.0)
        });
    } else if new.term == term && vote.is_some() && new.vote != vote {
        found.report(NAME, || {
            format!(
                "{}: vote in term {} went from {:?} to {:?}",
                change.who(),
                term.0,
                vote,
                new.vote
            )
        });
    }
}

#[cfg(test)]
mod tests {
    use driftless_core::{NodeId, Term};

    use super::super::fake::Stage;
    use super::*;

    #[test]
    fn terms_rise_and_votes_are_given_once_a_term() {
        let mut stage = Stage::new(3);
        stage.change(1, |state| (state.term, state.vote) = (Term(3), None));
        stage.change(1, |state| state.vote = Some(NodeId(2)));
        stage.change(1, |state| (state.term, state.vote) = (Term(4), Some(NodeId(3))));
        // What was never on disk may be forgotten.
        stage.crash(1);
        stage.replica(1).state.term = Term(3);
        stage.recover(1);
        stage.clean();
    }

    #[test]
    fn a_term_that_goes_back_is_found() {
        let mut stage = Stage::new(3);
        stage.change(1, |state| state.term = Term(3));
        stage.change(1, |state| state.term = Term(2));
        stage.violates(NAME);
    }

    #[test]
    fn a_vote_taken_back_is_found() {
        let mut stage = Stage::new(3);
        stage.change(1, |state| (state.term, state.vote) = (Term(3), Some(NodeId(2))));
        stage.change(1, |state| state.vote = None);
        stage.violates(NAME);
    }

    #[test]
    fn a_leader_that_forgets_its_term_is_found() {
        let mut stage = Stage::new(3);
        stage.leads(1, 5);
        stage.crash(1);
        stage.replica(1).state.term = Term(4);
        stage.replica(1).state.vote = None;
        stage.recover(1);
        stage.violates(NAME);
    }
}
