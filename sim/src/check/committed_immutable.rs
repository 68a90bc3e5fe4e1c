//! **`CommittedImmutable`**: what was committed at an index never changes, anywhere.
//!
//! Ongaro's thesis, sections 3.6.2 and 3.6.3 (figure 8 of the paper shows how counting replicas of an
//! old term's entry breaks it). Two ways to see it broken: a replica takes another entry for committed
//! than the one known (bytes are compared), or a replica gives up a committed entry that it held. It may do so only
//! for a leader that came late, of a term before the one in which the entry was committed: then it was none of
//! the majority that committed it, and gets it back.
//!
//! Finds: `OldTermCommit`, `CommitUnbounded`, `TruncateOnOverlap`, `SnapshotDropsNewer`, `NoUpToDateCheck`,
//! `QuorumIsHalf`, `UnsortedQuorum`, `StaleAckCounted`, `AckBeforeDurable`, `LeaderCountsUndurable`.

use driftless_core::{Index, Term};

use super::hash;
use super::ledger::{Change, Committed, Found, Group};

/// As violations name it.
pub const NAME: &str = "CommittedImmutable";

/// A replica knows an entry to be committed that was known before: is it the same?
pub fn same(
    change: &Change<'_>,
    index: Index,
    known: &Committed,
    entry: (Term, &[u8]),
    found: &mut Found,
) {
    let (term, bytes) = entry;
    if term != known.term {
        found.report(NAME, || {
            format!(
                "{}: index {} is committed with term {}, elsewhere with term {}",
                change.who(),
                index.0,
                term.0,
                known.term.0
            )
        });
    } else if known.hash != 0 && hash::of_bytes(bytes) != known.hash {
        found.report(NAME, || {
            format!("{}: index {} is committed with other bytes", change.who(), index.0)
        });
    }
}

/// A replica is about to give up its entries from an index on. (Its terms are still the old ones.)
pub fn given_up(change: &Change<'_>, group: &Group, from: Index, found: &mut Found) {
    if change.new.state.damaged || change.old.damaged {
        return;
    }
    let replica = &group.replicas[change.place];
    let term = change.new.state.term;
    let upto = group.commit_before(Term(term.0 + 1)).min(replica.terms.last());
    let first = from.max(replica.terms.before().next());
    let lost = (first.0..=upto.0).map(Index).find(|&index| {
        replica.terms.at(index) == group.committed(index).map(|entry| entry.term)
            && index > change.new.state.before
    });
    if let Some(index) = lost {
        found.report(NAME, || {
            format!("{}: gave up the committed entry at index {}", change.who(), index.0)
        });
    }
}

#[cfg(test)]
mod tests {
    use super::super::fake::Stage;
    use super::*;

    fn one_committed() -> Stage {
        let mut stage = Stage::new(3);
        for node in 1..=2 {
            stage.append(node, 1, b"a");
            stage.sync(node);
        }
        stage.commit(1, 1, 7);
        stage
    }

    #[test]
    fn the_same_entry_committed_everywhere_is_fine() {
        let mut stage = one_committed();
        stage.append(3, 2, b"x");
        stage.replace(3, 1, 1, b"a");
        stage.sync(3);
        stage.commit(2, 1, 7);
        stage.commit(3, 1, 7);
        stage.clean();
    }

    #[test]
    fn another_entry_committed_at_the_index_is_found() {
        let mut stage = one_committed();
        stage.append(3, 2, b"x");
        stage.sync(3);
        stage.commit(3, 1, 9);
        stage.violates(NAME);
    }

    #[test]
    fn giving_up_a_committed_entry_is_found() {
        let mut stage = one_committed();
        stage.cut(2, 1);
        stage.violates(NAME);
    }

    #[test]
    fn a_leader_that_comes_late_may_take_back_what_a_later_term_has_committed() {
        for term in [1, 2] {
            let mut stage = Stage::new(5);
            for node in 1..=4 {
                stage.append(node, 1, b"a");
                stage.sync(node);
            }
            stage.leads(1, 2);
            for node in 1..=3 {
                stage.append(node, 2, b"b");
                stage.sync(node);
            }
            stage.commit(1, 2, 7);
            stage.change(4, |state| state.term = Term(term));
            stage.cut(4, 1);
            if term < 2 { stage.clean() } else { stage.violates(NAME) }
        }
    }

    #[test]
    fn replacing_a_committed_entry_is_found() {
        let mut stage = one_committed();
        stage.replace(2, 1, 2, b"b");
        stage.violates(NAME);
    }
}
