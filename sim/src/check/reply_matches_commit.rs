//! **`ReplyMatchesCommit`**: a write is answered as done only when its entry is committed, and one that was
//! answered as not done is never shown to anyone.
//!
//! Ongaro's thesis, section 6.3 (a leader responds after the entry is committed and applied), and our own
//! rule that nothing in between is ever said. Writes carry a token in their value; tokens are looked for
//! in the bytes of entries when these become committed. A forwarded write may be in the log several times:
//! one copy at most takes effect, and it need not be the first (one that leaves a gap in its stream is passed
//! over when it is applied). Therefore a token stands somewhere from its first to its last copy.
//!
//! Finds: `ReplyBeforeCommit`, `WaiterByIndex`.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use driftless_core::{GroupId, Index, Term};

use super::history::{self, History, Kind, Operation, OperationId, Reply};
use super::ledger::Found;

/// As violations name it.
pub const NAME: &str = "ReplyMatchesCommit";

/// Where the write with a token stands in the log: larger is later, within a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Order {
    /// Index of the entry.
    pub index: Index,
    /// Place within it.
    pub place: u32,
}

/// From where to where a write can stand in the log: its first and its last copy so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Copies {
    /// The first.
    pub first: Order,
    /// The last.
    pub last: Order,
}

/// Where each token is committed.
#[derive(Debug, Default)]
pub struct ReplyMatchesCommit {
    tokens: Vec<Option<Copies>>,
    /// Tokens of entries that are in a log and not committed yet, with their places: an entry may be cut
    /// from memory in the very turn that commits it.
    waiting: BTreeMap<(GroupId, Index, Term), Vec<(u32, u32)>>,
    /// An entry was committed that nobody ever saw: nothing can be said any more.
    blind: bool,
}

impl ReplyMatchesCommit {
    /// Entries are not searched beyond this many tokens: numbers above are somebody else's bytes.
    const MOST: u32 = 1 << 26;

    /// An entry has entered a log.
    pub fn entered(&mut self, group: GroupId, index: Index, term: Term, bytes: &[u8]) {
        // Each replica enters it, and it says the same in each.
        let Entry::Vacant(vacant) = self.waiting.entry((group, index, term)) else { return };
        let mut found = Vec::new();
        history::tokens(bytes, |token, place| found.push((token, place as u32)));
        if !found.is_empty() {
            vacant.insert(found);
        }
    }

    /// An entry has become committed. `seen`: whether its bytes ever were.
    pub fn committed(&mut self, group: GroupId, index: Index, term: Term, seen: bool) {
        self.blind |= !seen;
        for (token, place) in self.waiting.remove(&(group, index, term)).unwrap_or_default() {
            if token >= Self::MOST {
                continue;
            }
            let at = token as usize;
            if at >= self.tokens.len() {
                self.tokens.resize(at + 1, None);
            }
            let order = Order { index, place };
            self.tokens[at].get_or_insert(Copies { first: order, last: order }).last = order;
        }
    }

    /// Whether some committed entry was never seen.
    pub fn is_blind(&self) -> bool {
        self.blind
    }

    /// Where a token is committed, if it is.
    pub fn copies(&self, token: u32) -> Option<Copies> {
        *self.tokens.get(token as usize)?
    }

    /// An answer leaves a node, or reaches its client.
    pub fn answered(&self, id: OperationId, history: &History, reply: &Reply, found: &mut Found) {
        let operation = history.operation(id);
        let Some(token) = write_token(operation).filter(|token| *token < Self::MOST) else {
            return;
        };
        if took_effect(operation.kind, reply) && self.copies(token).is_none() && !self.blind {
            found.report(NAME, || {
                format!(
                    "client {} was told {reply:?} for {:?} of {:?} (token {token}), which is not \
                     committed",
                    operation.client,
                    operation.kind,
                    history.name(operation.key)
                )
            });
        }
    }
}

/// A read was shown what an operation wrote.
pub fn shown(writer: &Operation, token: u32, found: &mut Found) {
    if writer.refused() {
        found.report(NAME, || {
            let client = writer.client;
            format!("token {token} was refused to client {client}, and shown to another")
        });
    }
}

/// The token of a write, if it has one.
pub fn write_token(operation: &Operation) -> Option<u32> {
    if operation.kind.is_read() { None } else { history::last_token(&operation.argument) }
}

/// Whether an answer says that the write has put its argument in place.
pub fn took_effect(kind: Kind, reply: &Reply) -> bool {
    match kind {
        Kind::Get | Kind::GetStale | Kind::Delete | Kind::Expire => false,
        Kind::SetIfAbsent => matches!(reply, Reply::Ok | Reply::Integer(1)),
        Kind::GetSet => matches!(reply, Reply::Nil | Reply::Value(_)),
        Kind::Set | Kind::SetExpiring => *reply == Reply::Ok,
        Kind::Increment | Kind::Append => matches!(reply, Reply::Integer(_)),
    }
}

#[cfg(test)]
mod tests {
    use super::super::fake::Stage;
    use super::super::history::token;
    use super::*;

    #[test]
    fn an_answer_after_the_commit_is_fine() {
        let mut stage = Stage::new(1);
        let write = stage.asks(Kind::Set, "k", &token(3));
        stage.append(1, 1, &[b"header".as_slice(), &token(3)].concat());
        stage.sync(1);
        stage.commit(1, 1, 7);
        stage.told(write, Reply::Ok);
        stage.clean();
    }

    #[test]
    fn an_answer_before_the_commit_is_found() {
        let mut stage = Stage::new(1);
        let write = stage.asks(Kind::Set, "k", &token(3));
        stage.append(1, 1, &token(3));
        stage.told(write, Reply::Ok);
        stage.violates(NAME);
    }

    #[test]
    fn a_refused_write_that_is_shown_is_found() {
        let mut stage = Stage::new(1);
        let write = stage.asks(Kind::Set, "k", &token(3));
        stage.append(1, 1, &token(3));
        stage.sync(1);
        stage.told(write, Reply::Refused);
        stage.commit(1, 1, 7);
        stage.clean();
        let read = stage.asks(Kind::Get, "k", b"");
        stage.told(read, Reply::Value(token(3).to_vec()));
        stage.violates(NAME);
    }

    #[test]
    fn a_write_without_effect_needs_no_entry() {
        let mut stage = Stage::new(1);
        let write = stage.asks(Kind::SetIfAbsent, "k", &token(3));
        stage.told(write, Reply::Integer(0));
        stage.clean();
    }
}
