//! **`LeaderCompleteness`**: a leader holds every entry that was committed in an earlier term.
//!
//! Ongaro's thesis, section 3.6.3 and figure 3.2. Looked at when a replica begins to lead. An entry
//! counts as committed in the term of the replica that was first seen to know of it: a leader of an older
//! term than that may come late (its last vote was long on the way) and need not hold it.
//!
//! Finds: `NoUpToDateCheck`, `OldTermCommit`, `AckBeforeDurable`, `LeaderCountsUndurable`, `QuorumIsHalf`,
//! `UnsortedQuorum`, `StaleAckCounted`, `AckOwnLast`, `DamageIsTorn`, `DamagedVotes`.

use driftless_core::Index;

use super::ledger::{Change, Found, Group};

/// As violations name it.
pub const NAME: &str = "LeaderCompleteness";

/// Looks at a replica that has just begun to lead.
pub fn check(change: &Change<'_>, group: &Group, found: &mut Found) {
    if !change.leads_newly() {
        return;
    }
    let new = &change.new.state;
    let upto = group.commit_before(new.term);
    let terms = &group.replicas[change.place].terms;
    if terms.last() < upto {
        found.report(NAME, || {
            format!(
                "{}: leads in term {} with entries up to {}, though {} are committed",
                change.who(),
                new.term.0,
                terms.last().0,
                upto.0
            )
        });
        return;
    }
    // Where the terms at one index agree, all before agrees too: that is `LogMatching`. Therefore the
    // last one tells.
    let committed = group.committed(upto).map(|entry| entry.term);
    let own = terms.at(upto);
    if upto > terms.before() && own != committed {
        let first = (terms.before().0 + 1..=upto.0)
            .map(Index)
            .find(|&index| terms.at(index) != group.committed(index).map(|entry| entry.term));
        found.report(NAME, || {
            format!(
                "{}: leads in term {} with another entry than the committed one at index {}",
                change.who(),
                new.term.0,
                first.unwrap_or(upto).0
            )
        });
    }
}

#[cfg(test)]
mod tests {
    use super::super::fake::Stage;
    use super::*;

    fn committed_by_one_and_two() -> Stage {
        let mut stage = Stage::new(3);
        stage.leads(1, 1);
        for node in 1..=2 {
            stage.append(node, 1, b"a");
            stage.sync(node);
        }
        stage.commit(1, 1, 7);
        stage
    }

    #[test]
    fn a_leader_with_all_entries_is_fine() {
        let mut stage = committed_by_one_and_two();
        stage.leads(2, 2);
        stage.clean();
    }

    #[test]
    fn a_leader_with_too_few_entries_is_found() {
        let mut stage = committed_by_one_and_two();
        stage.leads(3, 2);
        stage.violates(NAME);
    }

    #[test]
    fn a_leader_with_other_entries_is_found() {
        let mut stage = committed_by_one_and_two();
        stage.append(3, 2, b"b");
        stage.leads(3, 3);
        stage.violates(NAME);
    }

    #[test]
    fn a_leader_of_an_older_term_may_come_late() {
        let mut stage = Stage::new(3);
        stage.leads(1, 5);
        for node in 1..=2 {
            stage.append(node, 5, b"a");
            stage.sync(node);
        }
        stage.commit(1, 1, 7);
        stage.leads(3, 4);
        stage.clean();
    }
}
