//! **`StateEqual`** and **`RecoveryEqual`**: replicas that have applied the same entries hold the same
//! keys, whether they got there in one life, over a restart, or by a state image.
//!
//! Schneider, *Implementing fault-tolerant services using the state machine approach* (ACM Computing
//! Surveys 1990), section 2: the same commands in the same order give the same state. Compared is the
//! 128-bit digest over all keys, with the time of the log, whenever a turn ends at an index where another
//! turn anywhere has ended. `RecoveryEqual` is the same said of a replica that has not yet applied again
//! all that its earlier life had applied. A digest may not change while the applied index stands still either.
//!
//! Finds: `LastChunkLeftOut` (`RecoveryEqual`), `ExpireByOwnClock`, `RetryNotDeduplicated` (memory of what was seen lost over an image),
//! `SnapshotDropsNewer`, `SnapshotBeforeDurable`, `StampGoesBack`, any command that is not deterministic.

use super::hash;
use super::ledger::{Change, Found, Group};

/// As violations name the one.
pub const NAME: &str = "StateEqual";

/// As violations name the other.
pub const RECOVERY: &str = "RecoveryEqual";

/// Compares a replica's state with what is known of the same index, or makes it known.
pub fn check(change: &Change<'_>, group: &mut Group, found: &mut Found) {
    let (old, new) = (&change.old, &change.new.state);
    let stands = !change.fresh && old.applied == new.applied;
    if stands {
        if old.digest != new.digest {
            found.report(NAME, || {
                format!("{}: state changed at index {}", change.who(), new.applied.0)
            });
        }
        return;
    }
    let replaying = new.applied <= group.replicas[change.place].replay_until;
    let Some(known) = group.committed_mut(new.applied) else { return };
    let digest = hash::of_digest(new.digest);
    if known.digest == 0 {
        known.digest = digest;
        known.stamp_ms = new.stamp_ms;
        return;
    }
    let name = if replaying { RECOVERY } else { NAME };
    if known.digest != digest {
        found.report(name, || {
            format!("{}: state differs from another's at index {}", change.who(), new.applied.0)
        });
    } else if known.stamp_ms != new.stamp_ms {
        let (known, new) = (known.stamp_ms, new.stamp_ms);
        found.report(name, || {
            format!("{}: time of the log is {new} ms, elsewhere {known} ms", change.who())
        });
    }
}

#[cfg(test)]
mod tests {
    use driftless_core::Index;

    use super::super::fake::Stage;
    use super::*;

    fn two_with_an_entry() -> Stage {
        let mut stage = Stage::new(3);
        for node in 1..=2 {
            stage.append(node, 1, b"a");
            stage.sync(node);
        }
        stage.commit(1, 1, 77);
        stage
    }

    #[test]
    fn equal_states_are_fine() {
        let mut stage = two_with_an_entry();
        stage.commit(2, 1, 77);
        stage.clean();
    }

    #[test]
    fn different_states_are_found() {
        let mut stage = two_with_an_entry();
        stage.commit(2, 1, 78);
        stage.violates(NAME);
    }

    #[test]
    fn a_state_that_changes_by_itself_is_found() {
        let mut stage = two_with_an_entry();
        stage.change(1, |state| state.digest = 76);
        stage.violates(NAME);
    }

    #[test]
    fn a_recovered_replica_must_come_to_the_same_state() {
        let mut stage = two_with_an_entry();
        for (index, digest) in [(Index(0), 0), (Index(1), 77)] {
            stage.crash(1);
            let state = &mut stage.replica(1).state;
            (state.commit, state.applied, state.digest) = (index, index, digest);
            stage.recover(1);
        }
        stage.clean();
        stage.crash(1);
        stage.replica(1).state.digest = 5;
        stage.recover(1);
        stage.violates(RECOVERY);
    }
}
