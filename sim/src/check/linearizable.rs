//! **`Linearizable`**, as the run goes on: along the order that the log gave to the writes of a key, no
//! read may fall behind what was answered before it was asked.
//!
//! Herlihy and Wing, *Linearizability* (TOPLAS 1990), section 2; that a known order of the writes makes the
//! check linear in the history is folklore since Misra (1986). It costs a few comparisons an operation and
//! points at the very answer that is wrong; it says nothing of writes without a token and of counters: the
//! search in `search` looks at everything again at the end, and shares no idea with this one.
//!
//! Finds: `ReadWithoutLease`, `ReadBeforeCommit`, `NoCommitWait`, `DoubtfulTailIgnored`, and lost writes
//! whatever lost them.

use super::history::{self, History, KeyId, Kind, OperationId, Reply};
use super::ledger::Found;
use super::observe::Moment;
use super::reply_matches_commit::{self, Order, ReplyMatchesCommit, took_effect, write_token};

/// As violations name it.
pub const NAME: &str = "Linearizable";

/// The newest write of a key that someone knows of: nobody may be shown an older one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Floor {
    order: Order,
    /// When its client sent it, if that is known.
    invoked_at: Moment,
}

#[derive(Clone, Debug, Default)]
struct KeyState {
    /// When each became known, oldest first: the last one counts, and earlier ones for reads that may be old.
    floors: Vec<(Moment, Floor)>,
    /// Deletions that may still happen.
    deletes_open: u32,
    /// When the last of the others was answered.
    deleted_at: Moment,
    /// Has had a time to live: not looked at here.
    expiring: bool,
}

impl KeyState {
    fn floor(&self) -> Option<Floor> {
        self.floors.last().map(|(_, floor)| *floor)
    }

    /// The floor as it was known just before a moment.
    fn floor_before(&self, at: Moment) -> Option<Floor> {
        let known = self.floors.partition_point(|(raised, _)| *raised < at);
        known.checked_sub(1).map(|last| self.floors[last].1)
    }
}

/// What every key has been seen to be.
#[derive(Debug, Default)]
pub struct Linearizable {
    keys: Vec<KeyState>,
    /// By operation: the floor when it was invoked.
    floors: Vec<Option<Floor>>,
    /// By token: who wrote it.
    writers: Vec<Option<OperationId>>,
}

impl Linearizable {
    /// An operation begins.
    pub fn invoked(&mut self, id: OperationId, history: &History) {
        let operation = history.operation(id);
        let key = self.key_mut(operation.key);
        match operation.kind {
            Kind::SetExpiring | Kind::Expire => key.expiring = true,
            Kind::Delete => key.deletes_open += 1,
            _ => (),
        }
        let floor = match operation.kind {
            Kind::GetStale => key.floor_before(operation.earliest()),
            _ => key.floor(),
        };
        self.floors.push(floor);
        if let Some(token) = write_token(operation) {
            let at = token as usize;
            if at >= self.writers.len() {
                self.writers.resize(at + 1, None);
            }
            self.writers[at] = Some(id);
        }
    }

    /// Whether a key has ever had a time to live.
    pub fn expiring(&self, key: KeyId) -> bool {
        self.keys.get(key.0 as usize).is_some_and(|state| state.expiring)
    }

    /// An operation has been answered; the history knows it already.
    pub fn completed(
        &mut self,
        id: OperationId,
        history: &History,
        log: &ReplyMatchesCommit,
        found: &mut Found,
    ) {
        let operation = history.operation(id);
        if self.key_mut(operation.key).expiring {
            return;
        }
        if operation.kind == Kind::Delete
            && !matches!(operation.reply, Reply::Unknown | Reply::Error)
        {
            let key = self.key_mut(operation.key);
            key.deletes_open -= 1;
            key.deleted_at = found.at;
        }
        let shows = operation.kind.is_read() || operation.kind == Kind::GetSet;
        match &operation.reply {
            Reply::Value(value) if shows => self.saw(id, value, history, log, found),
            Reply::Nil if shows => self.saw_nothing(id, history, found),
            _ => (),
        }
        if took_effect(operation.kind, &operation.reply)
            && let Some(copies) = write_token(operation).and_then(|token| log.copies(token))
        {
            // It may be the first copy that took effect: then nothing later is ruled out.
            let order = copies.first;
            let floor = Floor { order, invoked_at: operation.invoked_at };
            self.raise(operation.key, found.at, floor);
        }
    }

    /// A read was shown a value.
    fn saw(
        &mut self,
        id: OperationId,
        value: &[u8],
        history: &History,
        log: &ReplyMatchesCommit,
        found: &mut Found,
    ) {
        let Some(token) = history::last_token(value) else { return };
        let operation = history.operation(id);
        let Some(copies) = log.copies(token) else {
            if log.is_blind() {
                return;
            }
            found.report(NAME, || {
                let (client, key) = (operation.client, history.name(operation.key));
                format!("client {client} was shown token {token} at {key:?}: it is not committed")
            });
            return;
        };
        let floor = self.floors[id.0 as usize];
        if let Some(floor) = floor.filter(|floor| floor.order > copies.last) {
            found.report(NAME, || {
                format!(
                    "client {} was shown a stale value of {:?}: token {token}, written at index {}; when \
                     it asked, the write at index {} had been answered or shown",
                    operation.client,
                    history.name(operation.key),
                    copies.last.index.0,
                    floor.order.index.0
                )
            });
        }
        let writer = self.writers.get(token as usize).copied().flatten();
        let writer = writer.map(|writer| history.operation(writer));
        if let Some(writer) = writer {
            reply_matches_commit::shown(writer, token, found);
        }
        let invoked_at = writer.map_or(Moment(0), |writer| writer.invoked_at);
        self.raise(operation.key, found.at, Floor { order: copies.first, invoked_at });
    }

    /// A read was shown that there is nothing.
    fn saw_nothing(&mut self, id: OperationId, history: &History, found: &mut Found) {
        let operation = history.operation(id);
        let key = self.key_mut(operation.key);
        let (deletes_open, deleted_at) = (key.deletes_open, key.deleted_at);
        let Some(floor) = self.floors[id.0 as usize] else { return };
        if deletes_open == 0 && deleted_at < floor.invoked_at {
            found.report(NAME, || {
                format!(
                    "client {} was shown nothing at {:?}: when it asked, the write at index {} had been \
                     answered or shown, and nobody has deleted since",
                    operation.client,
                    history.name(operation.key),
                    floor.order.index.0
                )
            });
        }
    }

    fn raise(&mut self, key: KeyId, at: Moment, floor: Floor) {
        let key = self.key_mut(key);
        if key.floor().is_none_or(|known| known.order < floor.order) {
            key.floors.push((at, floor));
        }
    }

    fn key_mut(&mut self, key: KeyId) -> &mut KeyState {
        let at = key.0 as usize;
        if at >= self.keys.len() {
            self.keys.resize(at + 1, KeyState::default());
        }
        &mut self.keys[at]
    }
}

#[cfg(test)]
mod tests {
    use super::super::fake::Stage;
    use super::super::history::token;
    use super::*;

    fn two_writes() -> Stage {
        let mut stage = Stage::new(1);
        for number in 1..=2 {
            let write = stage.asks(Kind::Set, "k", &token(number));
            stage.append(1, 1, &token(number));
            stage.sync(1);
            stage.commit(1, u64::from(number), u128::from(number));
            stage.told(write, Reply::Ok);
        }
        stage
    }

    #[test]
    fn reading_the_last_write_is_fine() {
        let mut stage = two_writes();
        let read = stage.asks(Kind::Get, "k", b"");
        stage.told(read, Reply::Value(token(2).to_vec()));
        stage.clean();
    }

    #[test]
    fn a_stale_read_is_found() {
        let mut stage = two_writes();
        let read = stage.asks(Kind::Get, "k", b"");
        stage.told(read, Reply::Value(token(1).to_vec()));
        stage.violates(NAME);
    }

    #[test]
    fn a_read_may_be_as_old_as_was_agreed_and_no_older() {
        let ask = |stage: &mut Stage, ns| stage.asks_with(Kind::GetStale, "k", b"", ns);
        let mut stage = two_writes();
        stage.pass_ms(5);
        let read = ask(&mut stage, 6_000_000);
        stage.told(read, Reply::Value(token(1).to_vec()));
        stage.clean();
        let read = ask(&mut stage, 4_000_000);
        stage.told(read, Reply::Value(token(1).to_vec()));
        stage.violates(NAME);
    }

    #[test]
    fn a_write_that_is_in_the_log_again_may_count_there() {
        let mut stage = two_writes();
        stage.append(1, 1, &token(1));
        stage.sync(1);
        stage.commit(1, 3, 3);
        let read = stage.asks(Kind::Get, "k", b"");
        stage.told(read, Reply::Value(token(1).to_vec()));
        stage.clean();
    }

    #[test]
    fn a_read_that_began_before_the_write_was_answered_may_miss_it() {
        let mut stage = Stage::new(1);
        let read = stage.asks(Kind::Get, "k", b"");
        let write = stage.asks(Kind::Set, "k", &token(1));
        stage.append(1, 1, &token(1));
        stage.sync(1);
        stage.commit(1, 1, 1);
        stage.told(write, Reply::Ok);
        stage.told(read, Reply::Nil);
        stage.clean();
    }

    #[test]
    fn a_value_that_nobody_committed_is_found() {
        let mut stage = two_writes();
        let _ = stage.asks(Kind::Set, "k", &token(3));
        let read = stage.asks(Kind::Get, "k", b"");
        stage.told(read, Reply::Value(token(3).to_vec()));
        stage.violates(NAME);
    }

    #[test]
    fn nothing_is_shown_only_where_someone_deleted() {
        let mut stage = two_writes();
        let delete = stage.asks(Kind::Delete, "k", b"");
        let read = stage.asks(Kind::Get, "k", b"");
        stage.told(read, Reply::Nil);
        stage.told(delete, Reply::Integer(1));
        stage.clean();
        let mut stage = two_writes();
        let read = stage.asks(Kind::Get, "k", b"");
        stage.told(read, Reply::Nil);
        stage.violates(NAME);
    }
}
