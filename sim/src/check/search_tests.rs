//! Histories made by chance: those that a real register made are explained, spoilt ones are not.

use std::time::Instant;

use driftless_core::rng::{Chance, Seed};

use super::super::history::{Call, History, Kind, OperationId, Reply};
use super::super::observe::Moment;
use super::*;

const MOST: u64 = 5_000_000;

/// Runs operations of some clients against one key each, each at a random moment of its span.
struct Maker {
    chance: Chance,
    history: History,
    /// The value of each key.
    values: Vec<Option<Vec<u8>>>,
    written: u32,
}

impl Maker {
    fn new(seed: u64, keys: usize) -> Self {
        let chance = Chance::new(Seed::from_number(seed), 1);
        Self { chance, history: History::default(), values: vec![None; keys], written: 0 }
    }

    /// `count` operations of `clients` clients that each ask one thing at a time; one in `lost` answers never
    /// arrives.
    fn run(mut self, count: usize, clients: u64, lost: u64) -> History {
        let mut free_at = vec![0_u64; clients as usize];
        // (moment it happens, key, operation, moment it is answered)
        let mut pending: Vec<(u64, usize, OperationId, Option<u64>)> = Vec::new();
        let mut begin = 0;
        for _ in 0..count {
            let client = (0..clients as usize).min_by_key(|client| free_at[*client]).expect("some");
            begin = begin.max(free_at[client] + self.chance.between(1, 50));
            self.settle(&mut pending, begin);
            let happens = begin + self.chance.between(0, 100);
            let ends = happens + self.chance.between(0, 100);
            let key = self.chance.up_to(self.values.len() as u64 - 1) as usize;
            let id = self.invoke(client as u32, begin, key);
            let is_lost = lost > 0 && self.chance.chance(1, lost);
            pending.push((happens, key, id, (!is_lost).then_some(ends)));
            free_at[client] = ends;
        }
        self.settle(&mut pending, u64::MAX);
        self.history
    }

    /// Lets happen what happens before a moment.
    fn settle(&mut self, pending: &mut Vec<(u64, usize, OperationId, Option<u64>)>, before: u64) {
        pending.sort_unstable();
        let due = pending.partition_point(|(happens, ..)| *happens < before);
        for (_, key, id, ends) in pending.drain(..due) {
            let operation = self.history.operation(id);
            let reply = happen(&mut self.values[key], operation);
            if let Some(ends) = ends {
                self.history.completed(Moment(ends), id, reply);
            }
        }
    }

    fn invoke(&mut self, client: u32, at: u64, key: usize) -> OperationId {
        self.written += 1;
        let counts = key.is_multiple_of(4);
        let kind = match self.chance.up_to(9) {
            0..=3 => Kind::Get,
            4 => Kind::Delete,
            5 | 6 if counts => Kind::Increment,
            7.. if counts => Kind::Get,
            5 => Kind::SetIfAbsent,
            6 => Kind::GetSet,
            7 => Kind::Append,
            _ => Kind::Set,
        };
        let name = format!("k{key}");
        let argument = format!("<{}>", self.written);
        let writes = !matches!(kind, Kind::Get | Kind::Delete | Kind::Increment);
        let argument = if writes { argument.as_bytes() } else { b"" };
        let call = Call { kind, key: name.as_bytes(), argument, number: 3 };
        self.history.invoked(Moment(at), client, &call)
    }
}

/// A key as it really behaves, written a second time so that the model is not its own judge.
fn happen(value: &mut Option<Vec<u8>>, operation: &Operation) -> Reply {
    let shown = |value: &Option<Vec<u8>>| value.clone().map_or(Reply::Nil, Reply::Value);
    match operation.kind {
        Kind::Get => shown(value),
        Kind::Delete => Reply::Integer(i64::from(value.take().is_some())),
        Kind::GetSet => {
            let before = shown(value);
            *value = Some(operation.argument.clone());
            before
        }
        Kind::SetIfAbsent => {
            let absent = value.is_none();
            if absent {
                *value = Some(operation.argument.clone());
            }
            Reply::Integer(i64::from(absent))
        }
        Kind::Append => {
            let whole = value.get_or_insert_default();
            whole.extend_from_slice(&operation.argument);
            Reply::Integer(whole.len().cast_signed() as i64)
        }
        Kind::Increment => {
            let text = value.take().unwrap_or_else(|| b"0".to_vec());
            let sum = String::from_utf8(text).expect("digits").parse::<i64>().expect("digits") + 3;
            *value = Some(sum.to_string().into_bytes());
            Reply::Integer(sum)
        }
        _ => {
            *value = Some(operation.argument.clone());
            Reply::Ok
        }
    }
}

fn verdicts(history: &History) -> Vec<Verdict> {
    let by_key = history.by_key().iter().map(|ids| {
        let operations: Vec<_> = ids.iter().map(|id| history.operation(*id)).collect();
        search(&operations, MOST)
    });
    by_key.collect()
}

fn contradicts(verdicts: &[Verdict]) -> bool {
    verdicts.iter().any(|verdict| matches!(verdict, Verdict::Contradiction(_)))
}

/// Operations on one key by hand: (from, to, kind, argument, reply).
fn by_hand(operations: &[(u64, Option<u64>, Kind, &str, Reply)]) -> Verdict {
    let mut history = History::default();
    for (client, (from, to, kind, argument, reply)) in operations.iter().enumerate() {
        let call = Call { kind: *kind, key: b"k", argument: argument.as_bytes(), number: 1 };
        let id = history.invoked(Moment(*from), client as u32, &call);
        if let Some(to) = to {
            history.completed(Moment(*to), id, reply.clone());
        }
    }
    verdicts(&history)[0]
}

fn value(text: &str) -> Reply {
    Reply::Value(text.as_bytes().to_vec())
}

#[test]
fn what_a_register_did_is_explained() {
    for seed in 0..60 {
        let lost = [0, 20, 6][seed as usize % 3];
        let history = Maker::new(seed, 4).run(400, 6, lost);
        for verdict in verdicts(&history) {
            assert!(matches!(verdict, Verdict::Explained(_)), "seed {seed}: {verdict:?}");
        }
    }
}

#[test]
fn a_spoilt_answer_is_a_contradiction() {
    let mut spoilt = 0;
    for seed in 0..60 {
        let mut history = Maker::new(seed, 4).run(300, 5, 0);
        // The read that took place last on its key is shown what was overwritten long before, or counts
        // wrongly.
        let ids = history.by_key()[1].clone();
        let values: Vec<_> = ids
            .iter()
            .filter_map(|id| match &history.operation(*id).reply {
                Reply::Value(value) => Some((*id, value.clone())),
                _ => None,
            })
            .collect();
        let (Some((_, first)), Some((last, newest))) = (values.first(), values.last()) else {
            continue;
        };
        if newest.starts_with(first) {
            continue;
        }
        history.spoil(*last, Reply::Value(first.clone()));
        assert!(contradicts(&verdicts(&history)), "seed {seed}");
        spoilt += 1;
    }
    assert!(spoilt > 40, "most seeds have something to spoil: {spoilt}");
}

#[test]
fn a_counter_that_moved_twice_is_a_contradiction() {
    for seed in 0..30 {
        let mut history = Maker::new(seed, 1).run(100, 4, 0);
        let counted = history.by_key()[0].iter().rev().copied().find_map(|id| {
            let operation = history.operation(id);
            match operation.reply {
                Reply::Integer(sum) if operation.kind == Kind::Increment => Some((id, sum)),
                _ => None,
            }
        });
        let (id, sum) = counted.expect("a hundred operations count something");
        history.spoil(id, Reply::Integer(sum + 1));
        assert!(contradicts(&verdicts(&history)), "seed {seed}");
    }
}

#[test]
fn concurrent_operations_may_go_either_way() {
    use Kind::{Get, Set};
    let either = |shown| {
        by_hand(&[
            (0, Some(10), Set, "a", Reply::Ok),
            (5, Some(15), Set, "b", Reply::Ok),
            (20, Some(25), Get, "", value(shown)),
        ])
    };
    assert!(matches!(either("a"), Verdict::Explained(_)));
    assert!(matches!(either("b"), Verdict::Explained(_)));
    assert!(matches!(either("c"), Verdict::Contradiction(2)));
}

#[test]
fn a_stale_read_is_a_contradiction() {
    use Kind::{Get, Set};
    let verdict = by_hand(&[
        (0, Some(1), Set, "a", Reply::Ok),
        (2, Some(3), Set, "b", Reply::Ok),
        (4, Some(5), Get, "", value("a")),
    ]);
    assert_eq!(verdict, Verdict::Contradiction(2));
}

#[test]
fn an_open_write_may_happen_late_or_never_but_not_twice() {
    use Kind::{Get, Set};
    let shows = |first, second| {
        by_hand(&[
            (0, None, Set, "a", Reply::Unknown),
            (2, Some(3), Set, "b", Reply::Ok),
            (4, Some(5), Get, "", value(first)),
            (6, Some(7), Get, "", value(second)),
        ])
    };
    assert!(matches!(shows("b", "b"), Verdict::Explained(_)));
    assert!(matches!(shows("b", "a"), Verdict::Explained(_)));
    assert!(matches!(shows("a", "a"), Verdict::Explained(_)));
    assert!(matches!(shows("a", "b"), Verdict::Contradiction(_)));
}

#[test]
fn only_what_is_no_number_cannot_be_counted() {
    use Kind::{Increment, Set};
    let counted = |text| {
        by_hand(&[(0, Some(1), Set, text, Reply::Ok), (2, Some(3), Increment, "", Reply::Error)])
    };
    assert!(matches!(counted("x"), Verdict::Explained(_)));
    assert!(matches!(counted("7"), Verdict::Contradiction(_)));
}

#[test]
fn a_refused_write_never_happened() {
    use Kind::{Get, Set};
    let verdict =
        by_hand(&[(0, Some(1), Set, "a", Reply::Refused), (2, Some(3), Get, "", value("a"))]);
    assert!(matches!(verdict, Verdict::Contradiction(_)));
}

#[test]
fn ten_thousand_operations_are_searched_quickly() {
    for (keys, clients, lost) in [(100, 20, 0), (100, 20, 50), (1, 8, 0)] {
        let history = Maker::new(7, keys).run(10_000, clients, lost);
        let begin = Instant::now();
        let all = verdicts(&history);
        let took = begin.elapsed();
        let steps: u64 = all
            .iter()
            .map(|verdict| match verdict {
                Verdict::Explained(steps) => *steps,
                other => panic!("a register did it: {other:?}"),
            })
            .sum();
        println!("10000 operations, {keys} keys, {clients} clients: {steps} steps, {took:?}");
        assert!(steps < 50 * 10_000, "the search does not wander: {steps} steps");
    }
}
