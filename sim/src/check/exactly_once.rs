//! **`ExactlyOnce`**: a write that was sent once takes effect at most once, however often it travelled.
//!
//! Ongaro's thesis, section 6.3 (sessions and serial numbers), for which a forwarded write carries its node,
//! life and sequence here. Two signs that need no search: a value that was built by appending shows its
//! tokens in the order of the log, each once; and a counter that is only ever added to never exceeds the
//! sum of what was ever sent.
//!
//! Finds: `RetryNotDeduplicated`, `LifeReused` (the other way round: a new write taken for an old one
//! shows in `Linearizable`).

use super::history::{self, History, KeyId, Kind, OperationId, Reply};
use super::ledger::Found;
use super::reply_matches_commit::{Order, ReplyMatchesCommit};

/// As violations name it.
pub const NAME: &str = "ExactlyOnce";

#[derive(Clone, Copy, Debug, Default)]
struct Counter {
    /// The sum of all increments sent and not refused.
    sent: i64,
    /// Whether anything else has ever given it a value, or taken from it: then it is no counter.
    other: bool,
}

/// What was added to each key.
#[derive(Debug, Default)]
pub struct ExactlyOnce {
    counters: Vec<Counter>,
}

impl ExactlyOnce {
    /// An operation begins.
    pub fn invoked(&mut self, id: OperationId, history: &History) {
        let operation = history.operation(id);
        let counter = self.counter_mut(operation.key);
        match operation.kind {
            Kind::Increment if operation.number >= 0 => {
                counter.sent = counter.sent.saturating_add(operation.number);
            }
            Kind::Get | Kind::GetStale | Kind::Delete | Kind::Expire => (),
            _ => counter.other = true,
        }
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
        let counter = self.counter_mut(operation.key);
        let shown = match (&operation.reply, operation.kind) {
            (Reply::Refused, Kind::Increment) => {
                counter.sent = counter.sent.saturating_sub(operation.number.max(0));
                return;
            }
            (Reply::Integer(sum), Kind::Increment) => Some(*sum),
            (Reply::Value(value), Kind::Get | Kind::GetStale) if !counter.other => {
                std::str::from_utf8(value).ok().and_then(|text| text.parse().ok())
            }
            (Reply::Value(value), Kind::Get | Kind::GetStale | Kind::GetSet) => {
                in_order(value, operation.key, history, log, found);
                return;
            }
            _ => return,
        };
        let sent = counter.sent;
        if let Some(sum) = shown.filter(|sum| *sum > sent && !counter.other) {
            found.report(NAME, || {
                let key = history.name(operation.key);
                format!("counter {key:?} shows {sum}, though only {sent} were ever added")
            });
        }
    }

    fn counter_mut(&mut self, key: KeyId) -> &mut Counter {
        let at = key.0 as usize;
        if at >= self.counters.len() {
            self.counters.resize(at + 1, Counter::default());
        }
        &mut self.counters[at]
    }
}

/// Looks at the tokens of a value that was built by appending.
fn in_order(
    value: &[u8],
    key: KeyId,
    history: &History,
    log: &ReplyMatchesCommit,
    found: &mut Found,
) {
    let mut before: Option<(Order, u32)> = None;
    history::tokens(value, |token, _| {
        let Some(copies) = log.copies(token) else { return };
        let twice = |(order, earlier): &(Order, u32)| *earlier == token || *order > copies.last;
        if let Some((_, earlier)) = before.filter(twice) {
            found.report(NAME, || {
                let key = history.name(key);
                format!("{key:?} shows token {token} after token {earlier}: twice, or out of order")
            });
        }
        before = Some((copies.first, token));
    });
}

#[cfg(test)]
mod tests {
    use super::super::fake::Stage;
    use super::super::history::token;
    use super::*;

    fn appended() -> Stage {
        let mut stage = Stage::new(1);
        for number in 1..=2 {
            let write = stage.asks(Kind::Append, "k", &token(number));
            stage.append(1, 1, &token(number));
            stage.sync(1);
            stage.commit(1, u64::from(number), u128::from(number));
            stage.told(write, Reply::Integer(12 * i64::from(number)));
        }
        stage
    }

    fn shows(stage: &mut Stage, key: &str, value: &[u8]) {
        let read = stage.asks(Kind::Get, key, b"");
        stage.told(read, Reply::Value(value.to_vec()));
    }

    #[test]
    fn appended_values_in_the_order_of_the_log_are_fine() {
        let mut stage = appended();
        shows(&mut stage, "k", &[token(1), token(2)].concat());
        stage.clean();
    }

    #[test]
    fn a_value_appended_twice_is_found() {
        let mut stage = appended();
        shows(&mut stage, "k", &[token(1), token(2), token(2)].concat());
        stage.violates(NAME);
    }

    #[test]
    fn a_counter_never_exceeds_what_was_added() {
        let mut stage = Stage::new(1);
        let first = stage.asks_with(Kind::Increment, "c", b"", 2);
        stage.told(first, Reply::Integer(2));
        let second = stage.asks_with(Kind::Increment, "c", b"", 3);
        stage.told(second, Reply::Refused);
        shows(&mut stage, "c", b"2");
        stage.clean();
        shows(&mut stage, "c", b"4");
        stage.violates(NAME);
    }
}
