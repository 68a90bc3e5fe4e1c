//! **`CommitIsFinal`**: a leader makes an entry committed only with one of its own term at the end; and when an
//! entry is first known to be committed, nobody who lacks it could win the votes of a majority, as all logs
//! are at this moment.
//!
//! Ongaro's thesis, section 3.6.2 and figure 3.7 (figure 8 of the paper): that a majority holds an entry of an
//! old term is not enough. `LeaderCompleteness` sees the harm once it is done; here it need not be. A replica
//! whose disk was harmed is not asked: until it is repaired it neither votes nor stands.
//!
//! Finds: `OldTermCommit`.

use super::ledger::{Change, Found, Group, Replica};
use driftless_core::{Index, Role, Term};

/// As violations name it.
pub const NAME: &str = "CommitIsFinal";

/// Looks at the newest committed entry, just after it became known.
pub fn check(change: &Change<'_>, group: &Group, found: &mut Found) {
    let index = group.commit();
    let Some(term) = group.committed(index).map(|entry| entry.term) else { return };
    let new = &change.new.state;
    if new.role == Role::Leader && term < new.term {
        found.report(NAME, || {
            let (who, index) = (change.who(), index.0);
            format!(
                "{who}: leads in term {} and commits index {index} of term {}",
                new.term.0, term.0
            )
        });
    }
    let sound = |replica: &&Replica| !replica.harmed && !replica.state.damaged;
    let lacks = |replica: &&Replica| {
        index > replica.terms.before() && replica.terms.at(index) != Some(term)
    };
    for candidate in group.replicas.iter().filter(sound).filter(lacks) {
        let Some(own) = newest(candidate) else { continue };
        let would = |voter: &&Replica| newest(voter).is_some_and(|held| held <= own);
        let votes = group.replicas.iter().filter(sound).filter(would).count();
        if votes >= group.majority() {
            found.report(NAME, || {
                format!(
                    "{}: takes index {} (term {}) for committed; node {} lacks it and could win {votes} votes",
                    change.who(),
                    index.0,
                    term.0,
                    candidate.node.0
                )
            });
        }
    }
}

/// Term and index of a replica's last entry, as votes compare them; `None` if only an image knows the term.
fn newest(replica: &Replica) -> Option<(Term, Index)> {
    let last = replica.terms.last();
    if last == Index(0) {
        return Some((Term(0), last));
    }
    replica.terms.at(last).map(|term| (term, last))
}

#[cfg(test)]
mod tests {
    use super::super::fake::Stage;
    use super::*;

    /// Figure 8: three of five hold an entry of term 2, and one that lacks it has one of term 3.
    fn figure_8() -> Stage {
        let mut stage = Stage::new(5);
        for node in 1..=3 {
            stage.append(node, 2, b"a");
            stage.sync(node);
        }
        stage.append(5, 3, b"b");
        stage.sync(5);
        stage
    }

    #[test]
    fn an_entry_of_an_old_term_on_a_majority_is_not_final() {
        let mut stage = figure_8();
        stage.commit(1, 1, 7);
        stage.violates(NAME);
    }

    #[test]
    fn a_leader_does_not_commit_entries_of_an_old_term_alone() {
        let mut stage = Stage::new(3);
        for node in 1..=3 {
            stage.append(node, 2, b"a");
            stage.sync(node);
        }
        stage.leads(1, 3);
        stage.commit(1, 1, 7);
        stage.violates(NAME);
    }

    #[test]
    fn it_is_with_an_entry_of_the_own_term_behind_it() {
        let mut stage = figure_8();
        for node in 1..=3 {
            stage.append(node, 4, b"c");
            stage.sync(node);
        }
        stage.commit(1, 2, 7);
        stage.clean();
    }
}
