//! **`TtlBounds`**: a key with a time to live is never shown later than its deadline plus a bound, never
//! missing earlier than its deadline minus that bound, and never shown again once it was missing.
//!
//! Our own rule (a key ends when the *log's* stamp passes its deadline, and a leader that meets one overdue
//! by its own clock waits for the log); the bound is what clocks may be wrong by, given by the world.
//! Real-time order is that of Herlihy and Wing: what one read was told binds every read that begins after.
//! The third property needs no clock at all.
//!
//! Finds: `ExpireByOwnClock`, `StampGoesBack`; also `ReadWithoutLease` on such keys.

use super::history::{self, History, Kind, Operation, OperationId, Reply};
use super::ledger::Found;
use super::observe::Moment;

/// As violations name it.
pub const NAME: &str = "TtlBounds";

/// What is known of a write beside what its client was told.
#[derive(Clone, Copy, Debug, Default)]
struct Write {
    /// When a read first showed it.
    shown_at: Option<Moment>,
    /// From when on nobody may be shown it: a read that began after it was done did not show it.
    gone_at: Option<Moment>,
}

/// What every key with a time to live has been seen to be.
#[derive(Debug)]
pub struct TtlBounds {
    bound_ms: u64,
    writes: Vec<Write>,
}

impl TtlBounds {
    /// `bound_ms`: how far from its time a key may go.
    pub fn new(bound_ms: u64) -> Self {
        Self { bound_ms, writes: Vec::new() }
    }

    /// A read of a key that may expire has been answered; the history knows it already.
    pub fn completed(&mut self, id: OperationId, history: &History, found: &mut Found) {
        let read = history.operation(id);
        let Some(completed_at) = read.completed_at.filter(|_| read.kind.is_read()) else {
            return;
        };
        self.writes.resize(history.operations().len(), Write::default());
        let shown = match &read.reply {
            Reply::Nil => None,
            Reply::Value(value) => {
                let token = history::last_token(value);
                let Some(write) = token.and_then(|token| writer(history, read, token)) else {
                    return;
                };
                Some(write)
            }
            _ => return,
        };
        if read.kind == Kind::GetStale {
            // It may be old, but not so old that a key is there whose time is over.
            if let Some(write) = shown {
                self.late(write, read, history, found);
            }
            return;
        }
        let on_key = &history.by_key()[read.key.0 as usize];
        match shown {
            Some(write) => self.shown(write, read, completed_at, history, found),
            None => self.early(on_key, read, completed_at, history, found),
        }
        for &other in on_key {
            if Some(other) == shown || !sets(history.operation(other)) {
                continue;
            }
            let done = self.done(other, history);
            if done.is_some_and(|done| done <= read.invoked_at) {
                let gone = &mut self.writes[other.0 as usize].gone_at;
                *gone = Some(gone.map_or(completed_at, |known| known.min(completed_at)));
            }
        }
    }

    /// A read was shown the value of a write: is it too late, or back from the dead?
    fn shown(
        &mut self,
        write: OperationId,
        read: &Operation,
        completed_at: Moment,
        history: &History,
        found: &mut Found,
    ) {
        let key = || history.name(read.key);
        let known = self.writes[write.0 as usize];
        if let Some(gone_at) = known.gone_at.filter(|gone_at| *gone_at < read.invoked_at) {
            found.report(NAME, || {
                format!(
                    "{:?} is back: it was gone {} ms earlier",
                    key(),
                    since(gone_at, read.invoked_at)
                )
            });
        }
        self.late(write, read, history, found);
        self.writes[write.0 as usize].shown_at.get_or_insert(completed_at);
    }

    /// A read was shown the value of a write: should it be gone by now?
    fn late(&self, write: OperationId, read: &Operation, history: &History, found: &mut Found) {
        let latest = self.latest_deadline(write, history);
        if let Some(latest) = latest.filter(|at| at.plus_ms(self.bound_ms) < read.invoked_at) {
            found.report(NAME, || {
                format!(
                    "{:?} was shown {} ms after its deadline; the bound is {} ms",
                    history.name(read.key),
                    since(latest, read.invoked_at),
                    self.bound_ms
                )
            });
        }
    }

    /// A read was shown nothing: is that too early?
    fn early(
        &mut self,
        on_key: &[OperationId],
        read: &Operation,
        completed_at: Moment,
        history: &History,
        found: &mut Found,
    ) {
        // Only where one write is certainly the last one before the read.
        let mut last: Option<OperationId> = None;
        let mut others_done = Some(Moment(0));
        for &id in on_key {
            let operation = history.operation(id);
            if operation.refused() || operation.kind.is_read() || operation.kind == Kind::Expire {
                continue;
            }
            if let Some(before) = last.replace(id) {
                others_done = others_done.and_then(|at| Some(at.max(self.done(before, history)?)));
            }
        }
        let Some(last) = last else { return };
        let write = history.operation(last);
        let certain = self.done(last, history).is_some_and(|done| done <= read.invoked_at)
            && others_done.is_some_and(|done| done <= write.invoked_at)
            && matches!(write.kind, Kind::Set | Kind::SetExpiring);
        if !certain {
            return;
        }
        let earliest = earliest_deadline(write, on_key, history);
        if earliest.is_none_or(|at| completed_at < at.minus_ms(self.bound_ms)) {
            found.report(NAME, || {
                let left = earliest.map_or("without a deadline".to_owned(), |at| {
                    format!("{} ms before its deadline", since(completed_at, at))
                });
                let bound = self.bound_ms;
                format!("{:?} was gone {left}; the bound is {bound} ms", history.name(read.key))
            });
        }
    }

    /// By when a write had certainly happened.
    fn done(&self, id: OperationId, history: &History) -> Option<Moment> {
        let operation = history.operation(id);
        let told = operation.completed_at.filter(|_| operation.is_known());
        let shown = self.writes[id.0 as usize].shown_at;
        told.into_iter().chain(shown).min()
    }

    /// The latest deadline, in time without error, that the value of a write can have; `None` for never.
    fn latest_deadline(&self, write: OperationId, history: &History) -> Option<Moment> {
        let operation = history.operation(write);
        let mut latest = match operation.kind {
            Kind::SetExpiring => self.done(write, history)?.plus_ms(ttl(operation)),
            _ => return None,
        };
        for &id in &history.by_key()[operation.key.0 as usize] {
            let other = history.operation(id);
            if other.kind == Kind::Expire && !other.refused() {
                latest = latest.max(self.done(id, history)?.plus_ms(ttl(other)));
            }
        }
        Some(latest)
    }
}

/// The earliest deadline that a write can have; `None` if it has none.
fn earliest_deadline(
    write: &Operation,
    on_key: &[OperationId],
    history: &History,
) -> Option<Moment> {
    let expires = on_key.iter().map(|id| history.operation(*id));
    let expires = expires.filter(|other| {
        let before =
            other.completed_at.is_some_and(|at| at <= write.invoked_at && other.is_known());
        other.kind == Kind::Expire && !other.refused() && !before
    });
    let own = Some(write).filter(|write| write.kind == Kind::SetExpiring);
    own.into_iter().chain(expires).map(|other| other.invoked_at.plus_ms(ttl(other))).min()
}

fn sets(operation: &Operation) -> bool {
    matches!(operation.kind, Kind::Set | Kind::SetExpiring)
}

fn ttl(operation: &Operation) -> u64 {
    u64::try_from(operation.number).unwrap_or(0)
}

/// Who wrote a token to the key that was read.
fn writer(history: &History, read: &Operation, token: u32) -> Option<OperationId> {
    let on_key = &history.by_key()[read.key.0 as usize];
    on_key.iter().rev().copied().find(|&id| {
        let operation = history.operation(id);
        sets(operation) && history::last_token(&operation.argument) == Some(token)
    })
}

/// Milliseconds from one moment to a later one.
fn since(earlier: Moment, later: Moment) -> u64 {
    later.0.saturating_sub(earlier.0) / 1_000_000
}

#[cfg(test)]
mod tests {
    use super::super::fake::{Stage, TTL_BOUND_MS};
    use super::super::history::token;
    use super::*;

    const TTL: u64 = 10_000;

    /// A key written at 0 and answered at 1 ms.
    fn written() -> Stage {
        let mut stage = Stage::new(1);
        let write = stage.asks_with(Kind::SetExpiring, "k", &token(1), TTL.cast_signed());
        stage.append(1, 1, &token(1));
        stage.sync(1);
        stage.commit(1, 1, 1);
        stage.pass_ms(1);
        stage.told(write, Reply::Ok);
        stage
    }

    fn read(stage: &mut Stage, at_ms: u64, reply: Reply) {
        stage.pass_until_ms(at_ms);
        let read = stage.asks(Kind::Get, "k", b"");
        stage.pass_ms(1);
        stage.told(read, reply);
    }

    fn value() -> Reply {
        Reply::Value(token(1).to_vec())
    }

    #[test]
    fn a_key_that_goes_about_its_deadline_is_fine() {
        let mut stage = written();
        read(&mut stage, TTL - 1, value());
        read(&mut stage, TTL + TTL_BOUND_MS - 5, value());
        read(&mut stage, TTL + TTL_BOUND_MS + 5, Reply::Nil);
        stage.clean();
        let mut stage = written();
        read(&mut stage, TTL - TTL_BOUND_MS + 1, Reply::Nil);
        stage.clean();
    }

    #[test]
    fn a_key_shown_too_late_is_found() {
        let mut stage = written();
        read(&mut stage, TTL + TTL_BOUND_MS + 5, value());
        stage.violates(NAME);
    }

    #[test]
    fn a_read_that_may_be_old_may_miss_a_key_and_not_show_one_that_is_over() {
        let ask = |stage: &mut Stage, at, reply| {
            stage.pass_until_ms(at);
            let read = stage.asks_with(Kind::GetStale, "k", b"", 1_000_000_000);
            stage.told(read, reply);
        };
        let mut stage = written();
        ask(&mut stage, 100, Reply::Nil);
        ask(&mut stage, TTL + TTL_BOUND_MS - 5, value());
        stage.clean();
        ask(&mut stage, TTL + TTL_BOUND_MS + 5, value());
        stage.violates(NAME);
    }

    #[test]
    fn a_key_gone_too_early_is_found() {
        let mut stage = written();
        read(&mut stage, TTL - TTL_BOUND_MS - 5, Reply::Nil);
        stage.violates(NAME);
    }

    #[test]
    fn a_key_that_comes_back_is_found() {
        let mut stage = written();
        read(&mut stage, TTL, Reply::Nil);
        stage.clean();
        read(&mut stage, TTL + 10, value());
        stage.violates(NAME);
    }

    #[test]
    fn a_longer_time_to_live_counts_from_when_it_was_given() {
        let mut stage = written();
        let longer = stage.asks_with(Kind::Expire, "k", b"", (5 * TTL).cast_signed());
        stage.told(longer, Reply::Integer(1));
        read(&mut stage, 3 * TTL, value());
        stage.clean();
        read(&mut stage, 6 * TTL, value());
        stage.violates(NAME);
    }

    #[test]
    fn a_key_deleted_meanwhile_may_be_gone() {
        let mut stage = written();
        let _ = stage.asks(Kind::Delete, "k", b"");
        read(&mut stage, 100, Reply::Nil);
        stage.clean();
    }
}
