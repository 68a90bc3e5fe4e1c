//! **`DurableQuorum`**: when an entry is first known to be committed, a majority of its group's replicas
//! have it on their disks, those that are down included.
//!
//! Ongaro's thesis, section 3.5 with section 3.8 (an acknowledgement speaks of stable storage). A
//! disk that a fault has harmed counts as one that has it: its promise was kept when it was made.
//!
//! Finds: `AckBeforeDurable`, `LeaderCountsUndurable`, `QuorumIsHalf`, `UnsortedQuorum`, `StaleAckCounted`,
//! `AckOwnLast`, `SyncCreditedByIndex`, `CommitUnbounded`, `TruncateOnOverlap`, `DamagedVotes`.

use std::fmt::Write as _;

use super::ledger::{Change, Found, Group};

/// As violations name it.
pub const NAME: &str = "DurableQuorum";

/// Looks at the newest committed entry, just after it became known.
pub fn check(change: &Change<'_>, group: &Group, found: &mut Found) {
    let index = group.commit();
    let Some(entry) = group.committed(index) else { return };
    let holders = group
        .replicas
        .iter()
        .filter(|replica| replica.harmed || replica.holds(index, entry.term))
        .count();
    if holders < group.majority() {
        found.report(NAME, || {
            format!(
                "{}: takes index {} (term {}) for committed; {} of {} replicas have it on disk: {}",
                change.who(),
                index.0,
                entry.term.0,
                holders,
                group.replicas.len(),
                disks(group)
            )
        });
    }
}

/// For messages: what is on which disk.
fn disks(group: &Group) -> String {
    let mut text = String::new();
    for replica in &group.replicas {
        let up = if replica.up { "" } else { ", down" };
        let durable = replica.durable().0;
        let _ = write!(text, "[node {}: up to {durable}{up}]", replica.node.0);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::super::fake::Stage;
    use super::*;

    #[test]
    fn a_majority_of_disks_suffices_even_if_it_is_down() {
        let mut stage = Stage::new(3);
        for node in 1..=2 {
            stage.append(node, 1, b"a");
            stage.sync(node);
        }
        stage.crash(2);
        stage.commit(1, 1, 7);
        stage.clean();
    }

    #[test]
    fn a_disk_that_was_synced_before_a_restart_counts() {
        let mut stage = Stage::new(3);
        stage.append(1, 1, b"a");
        stage.append(2, 1, b"a");
        stage.sync(2);
        stage.crash(2);
        stage.replica(2).state.durable = driftless_core::Index(0);
        stage.recover(2);
        stage.sync(1);
        stage.commit(1, 1, 7);
        stage.clean();
        // Not so once the entry has been replaced.
        stage.append(1, 1, b"b");
        stage.append(2, 1, b"b");
        stage.sync(2);
        stage.crash(2);
        stage.replica(2).state.durable = driftless_core::Index(0);
        stage.recover(2);
        stage.replace(2, 2, 2, b"c");
        stage.replace(2, 2, 1, b"b");
        stage.sync(1);
        stage.commit(1, 2, 8);
        stage.violates(NAME);
    }

    #[test]
    fn an_entry_that_is_not_synced_does_not_count() {
        let mut stage = Stage::new(3);
        stage.append(1, 1, b"a");
        stage.append(2, 1, b"a");
        stage.sync(1);
        stage.commit(1, 1, 7);
        stage.violates(NAME);
    }

    #[test]
    fn another_entry_at_the_index_does_not_count() {
        let mut stage = Stage::new(3);
        stage.append(1, 2, b"a");
        stage.append(2, 1, b"b");
        stage.sync(1);
        stage.sync(2);
        stage.commit(1, 1, 7);
        stage.violates(NAME);
    }
}
