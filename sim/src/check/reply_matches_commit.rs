//! **`ReplyMatchesCommit`**: a write is answered as done only when its entry is committed, and as not
//! done only if its entry never is.
//!
//! Ongaro's thesis, section 6.3 (a leader responds after the entry is committed and applied), and our own
//! rule that nothing in between is ever said. Writes carry a token in their value; tokens are looked for
//! in the bytes of entries when these become committed.
//!
//! Finds: `ReplyBeforeCommit`, `WaiterByIndex`.

use driftless_core::{GroupId, Index};

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

/// What is known of a token.
#[derive(Clone, Copy, Debug, Default)]
struct Known {
    /// It is in the log more than once: only one of them took effect, and which is not known.
    twice: bool,
    order: Option<(GroupId, Order)>,
    refused: bool,
}

/// Where each token is committed.
#[derive(Debug, Default)]
pub struct ReplyMatchesCommit {
    tokens: Vec<Known>,
}

impl ReplyMatchesCommit {
    /// Entries are not searched beyond this many tokens: numbers above are somebody else's bytes.
    const MOST: u32 = 1 << 26;

    /// An entry has become committed.
    pub fn committed(&mut self, group: GroupId, index: Index, bytes: &[u8], found: &mut Found) {
        history::tokens(bytes, |token, place| {
            if token >= Self::MOST {
                return;
            }
            let known = self.known_mut(token);
            if known.refused {
                refused_and_committed(token, found);
            }
            // A forwarded write that is sent again, or comes too early, may be in the log twice.
            let order = Order { index, place: place as u32 };
            known.twice |= known.order.is_some_and(|(_, before)| before.index != index);
            known.order.get_or_insert((group, order));
        });
    }

    /// Where a token is committed, if it is, and in one place only.
    pub fn order(&self, token: u32) -> Option<Order> {
        let known = self.tokens.get(token as usize).filter(|known| !known.twice)?;
        known.order.map(|(_, order)| order)
    }

    /// Whether a token is committed, in whatever place.
    pub fn is_committed(&self, token: u32) -> bool {
        self.tokens.get(token as usize).is_some_and(|known| known.order.is_some())
    }

    /// An answer leaves a node, or reaches its client.
    pub fn answered(
        &mut self,
        id: OperationId,
        history: &History,
        reply: &Reply,
        found: &mut Found,
    ) {
        let operation = history.operation(id);
        let Some(token) = write_token(operation).filter(|token| *token < Self::MOST) else {
            return;
        };
        let known = self.known_mut(token);
        if *reply == Reply::Refused {
            known.refused = true;
            if known.order.is_some() {
                refused_and_committed(token, found);
            }
        } else if took_effect(operation.kind, reply) && known.order.is_none() {
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

    fn known_mut(&mut self, token: u32) -> &mut Known {
        let at = token as usize;
        if at >= self.tokens.len() {
            self.tokens.resize(at + 1, Known::default());
        }
        &mut self.tokens[at]
    }
}

fn refused_and_committed(token: u32, found: &mut Found) {
    found.report(NAME, || format!("token {token} was refused to its client, yet it is committed"));
}

/// The token of a write, if it has one.
pub fn write_token(operation: &Operation) -> Option<u32> {
    if operation.kind.is_read() { None } else { history::last_token(&operation.argument) }
}

/// Whether an answer says that the write has put its argument in place.
pub fn took_effect(kind: Kind, reply: &Reply) -> bool {
    match kind {
        Kind::Get | Kind::Delete | Kind::Expire => false,
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
    fn a_refusal_of_a_write_that_commits_later_is_found() {
        let mut stage = Stage::new(1);
        let write = stage.asks(Kind::Append, "k", &token(3));
        stage.append(1, 1, &token(3));
        stage.sync(1);
        stage.told(write, Reply::Refused);
        stage.clean();
        stage.commit(1, 1, 7);
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
