//! **`ChangesTold`**: whoever watches learns of every change, of each once, in the order of the log, from
//! whichever replica it asks. So what a replica remembers of a key last is what the key is, nothing later than
//! where it begins is left out, and two replicas remember the same of the part that both remember.
//!
//! The watchable history of etcd promises the same: ordered, unique, reliable, resumable.
//!
//! Finds: `ChangesJumped`.

use driftless_core::store::Store;
use driftless_core::{GroupId, NodeId};

/// As violations name it.
pub const NAME: &str = "ChangesTold";

/// Compares the replicas of a group that have applied the same entries; what is wrong, if anything is.
pub fn check(group: GroupId, replicas: &[(NodeId, &Store)]) -> Option<String> {
    for (node, store) in replicas {
        if let Err(what) = store.check_changes() {
            return Some(format!("group {}: node {}: {what}", group.0, node.0));
        }
    }
    for pair in replicas.windows(2) {
        let [(one, mine), (other, theirs)] = [pair[0], pair[1]];
        let from = mine.changes().before().max(theirs.changes().before());
        let (Some(ours), Some(others)) = (mine.changes().since(from), theirs.changes().since(from))
        else {
            continue;
        };
        if !ours.eq(others) {
            return Some(format!(
                "group {}: nodes {} and {} remember different changes after {}",
                group.0, one.0, other.0, from.0
            ));
        }
    }
    None
}
