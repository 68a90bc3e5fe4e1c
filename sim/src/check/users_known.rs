//! **`UsersKnown`**: an engine that lets anybody do anything goes by users that the cluster had: as they were at some
//! place in the log of the first group, no earlier than what was committed there when the engine began. And it never
//! goes back to earlier ones. So a user that was removed while a node was away is not let in when it returns.
//!
//! Finds: `UsersGuessed`.

use std::collections::BTreeMap;

use driftless_core::{Index, LaneId, NodeId};

use super::ledger::Found;

/// As violations name it.
pub const NAME: &str = "UsersKnown";

/// What is known of the users.
#[derive(Debug, Default)]
pub struct UsersKnown {
    /// By place in the log of the group that keeps them, their digest after it, as some replica had it.
    digests: BTreeMap<Index, u128>,
    /// By engine, the earliest place that it may go by.
    least: BTreeMap<(NodeId, LaneId), Index>,
}

impl UsersKnown {
    /// An engine has begun, and so much was committed.
    pub fn started(&mut self, node: NodeId, lane: LaneId, commit: Index) {
        self.least.insert((node, lane), commit);
    }

    /// A replica has applied the log up to a place, and these are its users.
    pub fn applied(&mut self, node: NodeId, place: Index, digest: u128, found: &mut Found) {
        // As long as there never was a user there is nothing to tell apart.
        if digest == 0 && self.digests.is_empty() {
            return;
        }
        let known = *self.digests.entry(place).or_insert(digest);
        if known != digest {
            found.report(NAME, || {
                format!("node {} holds other users than others at {}", node.0, place.0)
            });
        }
    }

    /// An engine goes by the users of a place.
    pub fn goes_by(
        &mut self,
        node: NodeId,
        lane: LaneId,
        place: Index,
        digest: u128,
        found: &mut Found,
    ) {
        let least = self.least.entry((node, lane)).or_default();
        if place < *least {
            let least = *least;
            found.report(NAME, || {
                format!(
                    "node {}, lane {} goes by the users of {}, before {}",
                    node.0, lane.0, place.0, least.0
                )
            });
        }
        *least = place.max(*least);
        if self.digests.get(&place).is_some_and(|known| *known != digest) {
            found.report(NAME, || {
                format!(
                    "node {}, lane {} goes by other users than there were at {}",
                    node.0, lane.0, place.0
                )
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ENGINE: (NodeId, LaneId) = (NodeId(1), LaneId(0));

    fn check(places: &[(u64, u128)]) -> usize {
        let (mut checker, mut found) = (UsersKnown::default(), Found::default());
        for (place, digest) in [(4, 7), (5, 8), (6, 0)] {
            checker.applied(NodeId(2), Index(place), digest, &mut found);
        }
        checker.started(ENGINE.0, ENGINE.1, Index(4));
        for &(place, digest) in places {
            checker.goes_by(ENGINE.0, ENGINE.1, Index(place), digest, &mut found);
        }
        found.list().len()
    }

    #[test]
    fn users_are_those_of_a_place_and_never_earlier_ones() {
        assert_eq!(check(&[(4, 7), (5, 8), (6, 0), (9, 1)]), 0);
        assert_eq!(check(&[(3, 7)]), 1, "before it began");
        assert_eq!(check(&[(5, 8), (4, 7)]), 1, "back again");
        assert_eq!(check(&[(5, 7)]), 1, "others than there were");
    }
}
