//! **`StateMachineSafety`**: no two replicas apply different entries at the same index.
//!
//! Ongaro's thesis, section 3.6.3 and figure 3.2. What a replica applies must be the entry that the
//! ledger knows to be committed there, at the moment it applies it.
//!
//! Others always come first: a replica applies what it believes to be committed, and `CommittedImmutable` and
//! `AppliedMonotonic` look at that belief in the same turn. This one stays as the second witness: it does not
//! ask what a replica believes, only what it did.
//!
//! Finds: `CommitUnbounded`, `OldTermCommit`, `QuorumIsHalf` and whatever `CommittedImmutable` finds, but
//! only where it does harm.

use driftless_core::Index;

use super::ledger::{Change, Found, Group};

/// As violations name it.
pub const NAME: &str = "StateMachineSafety";

/// Looks at what a replica has applied in this turn.
pub fn check(change: &Change<'_>, group: &Group, found: &mut Found) {
    let new = &change.new.state;
    let from = if change.fresh { Index(0) } else { change.old.applied };
    for index in (from.max(new.before).0 + 1..=new.applied.0).map(Index) {
        let Some(committed) = group.committed(index) else {
            found.report(NAME, || {
                format!("{}: applied index {}, which is not committed", change.who(), index.0)
            });
            return;
        };
        let Some((term, _)) = change.new.log.entry(index) else { continue };
        if term != committed.term {
            found.report(NAME, || {
                format!(
                    "{}: applied an entry of term {} at index {}; the committed one has term {}",
                    change.who(),
                    term.0,
                    index.0,
                    committed.term.0
                )
            });
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use driftless_core::Index;

    use super::super::fake::Stage;
    use super::*;

    #[test]
    fn applying_what_is_committed_is_fine() {
        let mut stage = Stage::new(3);
        for node in 1..=2 {
            stage.append(node, 1, b"a");
            stage.sync(node);
        }
        stage.commit(1, 1, 7);
        stage.commit(2, 1, 7);
        stage.clean();
    }

    #[test]
    fn applying_another_entry_is_found() {
        let mut stage = Stage::new(3);
        for node in 1..=2 {
            stage.append(node, 1, b"a");
            stage.sync(node);
        }
        stage.commit(1, 1, 7);
        stage.append(3, 2, b"b");
        stage.commit(3, 1, 8);
        stage.violates(NAME);
    }

    #[test]
    fn applying_what_is_not_committed_is_found() {
        let mut stage = Stage::new(3);
        stage.append(1, 1, b"a");
        stage.change(1, |state| state.applied = Index(1));
        stage.violates(NAME);
    }
}
