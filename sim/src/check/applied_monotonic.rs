//! **`AppliedMonotonic`**: within a life a replica's commit and applied indexes and the time of its log
//! never go back, and before <= applied <= commit <= last, durable <= last.
//!
//! Ongaro's thesis, figure 3.1 (commit and last applied increase monotonically); the stamps are the
//! hybrid clocks of Kulkarni et al. (OPODIS 2014): they never decrease along a log.
//!
//! Finds: `CommitUnbounded` (commit beyond the last entry), `StampGoesBack`, `SnapshotDropsNewer`,
//! `TruncateOnOverlap`.

use driftless_core::Index;

use super::ledger::{Change, Found};

/// As violations name it.
pub const NAME: &str = "AppliedMonotonic";

/// Compares a replica before and after a turn.
pub fn check(change: &Change<'_>, found: &mut Found) {
    let new = &change.new.state;
    let order = [
        ("applied is beyond commit", new.applied, new.commit),
        ("commit is beyond the last entry", new.commit, new.last),
        ("durable is beyond the last entry", new.durable, new.last),
        ("the log is cut beyond what is committed", new.before, new.commit),
    ];
    for (what, lower, upper) in order {
        if lower > upper {
            found.report(NAME, || format!("{}: {what}: {} > {}", change.who(), lower.0, upper.0));
        }
    }
    if change.fresh {
        return;
    }
    let old = &change.old;
    back(change, "commit", old.commit, new.commit, found);
    back(change, "applied", old.applied, new.applied, found);
    back(change, "the start of the log", old.before, new.before, found);
    back(change, "the time of the log", Index(old.stamp_ms), Index(new.stamp_ms), found);
}

fn back(change: &Change<'_>, what: &str, old: Index, new: Index, found: &mut Found) {
    if new < old {
        found.report(NAME, || format!("{}: {what} went from {} to {}", change.who(), old.0, new.0));
    }
}

#[cfg(test)]
mod tests {
    use driftless_core::Index;

    use super::super::fake::Stage;
    use super::*;

    #[test]
    fn a_replica_that_goes_on_is_fine() {
        let mut stage = Stage::new(3);
        stage.leads(1, 1);
        stage.append(1, 1, b"a");
        stage.append(2, 1, b"a");
        stage.sync(1);
        stage.sync(2);
        stage.commit(1, 1, 7);
        stage.clean();
    }

    #[test]
    fn a_commit_beyond_the_log_is_found() {
        let mut stage = Stage::new(3);
        stage.change(2, |state| state.commit = Index(4));
        stage.violates(NAME);
    }

    #[test]
    fn a_stamp_that_goes_back_is_found() {
        let mut stage = Stage::new(3);
        stage.change(1, |state| state.stamp_ms = 1_000);
        stage.change(1, |state| state.stamp_ms = 999);
        stage.violates(NAME);
    }

    #[test]
    fn a_commit_that_goes_back_is_found() {
        let mut stage = Stage::new(1);
        stage.append(1, 1, b"a");
        stage.sync(1);
        stage.commit(1, 1, 7);
        stage.change(1, |state| (state.commit, state.applied) = (Index(0), Index(0)));
        stage.violates(NAME);
    }
}
