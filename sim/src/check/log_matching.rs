//! **`LogMatching`**: two logs that hold an entry with the same index and term hold the same entry
//! there, and the same entries before it.
//!
//! Ongaro's thesis, section 3.5. Each entry is compared once, when it enters a log: its bytes and the
//! term of the entry before it must be those first seen at its (index, term). By induction all that is
//! before is the same as well.
//!
//! Finds: `PreviousTermIgnored`, `ChecksumNotChained` (old records come back as new ones), `TruncateOnOverlap`, `AckOwnLast`,
//! `SnapshotWrongTerm`, whatever lets two leaders write in one term.

use std::collections::BTreeMap;

use driftless_core::{GroupId, Index, Term};

use super::hash;
use super::ledger::Found;

/// As violations name it.
pub const NAME: &str = "LogMatching";

/// What was first seen at an (index, term).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct First {
    term: Term,
    hash: u64,
    /// The term of the entry before it, where it was known.
    previous: Option<Term>,
}

/// Every entry ever seen in a log.
#[derive(Debug, Default)]
pub struct LogMatching {
    groups: BTreeMap<GroupId, Seen>,
}

#[derive(Debug, Default)]
struct Seen {
    /// The first entry seen at each index, from 1 on.
    firsts: Vec<Option<First>>,
    /// What else was seen there, in other terms.
    others: BTreeMap<(Index, Term), First>,
}

impl LogMatching {
    /// An entry has entered a log. Returns whether it fits.
    pub fn entered(
        &mut self,
        group: GroupId,
        index: Index,
        term: Term,
        previous: Option<Term>,
        bytes: &[u8],
        found: &mut Found,
    ) -> bool {
        let new = First { term, hash: hash::of_bytes(bytes), previous };
        let known = self.groups.entry(group).or_default().first(index, new);
        let bytes_differ = known.hash != new.hash;
        let past_differs = match (known.previous, new.previous) {
            (Some(known), Some(new)) => known != new,
            (None, Some(_)) => {
                known.previous = new.previous;
                false
            }
            (_, None) => false,
        };
        if bytes_differ || past_differs {
            let what = if bytes_differ { "entries" } else { "entries before it" };
            found.report(NAME, || {
                format!(
                    "group {}: two logs hold different {what} at index {}, term {}",
                    group.0, index.0, term.0
                )
            });
        }
        !(bytes_differ || past_differs)
    }
}

impl Seen {
    /// What was first seen at an index in the term of `new`: `new`, if nothing was.
    fn first(&mut self, index: Index, new: First) -> &mut First {
        assert!(index.0 > 0, "logs begin at index 1");
        let at = index.0 as usize - 1;
        if at >= self.firsts.len() {
            self.firsts.resize(at + 1, None);
        }
        let here = &mut self.firsts[at];
        match here.get_or_insert(new) {
            known if known.term == new.term => known,
            _ => self.others.entry((index, new.term)).or_insert(new),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::fake::Stage;
    use super::*;

    #[test]
    fn the_same_entries_everywhere_are_fine() {
        let mut stage = Stage::new(3);
        for node in 1..=3 {
            stage.append(node, 1, b"a");
            stage.append(node, 2, b"b");
        }
        // Another entry in another term is fine too, as long as it is not committed.
        stage.replace(3, 2, 3, b"c");
        stage.clean();
    }

    #[test]
    fn different_bytes_at_one_place_are_found() {
        let mut stage = Stage::new(3);
        stage.append(1, 1, b"a");
        stage.append(2, 1, b"b");
        stage.violates(NAME);
    }

    #[test]
    fn a_different_past_is_found() {
        let mut stage = Stage::new(3);
        stage.append(1, 1, b"a");
        stage.append(1, 3, b"b");
        stage.append(2, 2, b"a");
        stage.append(2, 3, b"b");
        stage.violates(NAME);
    }

    #[test]
    fn an_old_entry_that_comes_back_with_other_bytes_is_found_at_the_restart() {
        let mut stage = Stage::new(3);
        stage.append(1, 1, b"a");
        stage.crash(1);
        stage.replica(1).entries[0].1 = b"z".to_vec();
        stage.recover(1);
        stage.violates(NAME);
    }
}
