//! What a key does, as the search for a linearization understands it: written from the commands'
//! descriptions, without a look at the core.

use std::collections::BTreeMap;

use super::history::{Kind, Operation, Reply};

/// A value of the key, by number; [`NOTHING`] if there is none.
pub type State = u32;

/// The key is not there.
pub const NOTHING: State = 0;

/// One operation, its bytes replaced by numbers.
#[derive(Clone, Copy, Debug)]
pub struct Step {
    kind: Kind,
    argument: State,
    number: i64,
    expect: Expect,
}

/// What the answer was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Expect {
    /// Nobody knows.
    Anything,
    Ok,
    Is(State),
    Integer(i64),
    Error,
}

/// All values of one key, each with its number.
#[derive(Debug)]
pub struct Model {
    values: Vec<Vec<u8>>,
    numbers: BTreeMap<Vec<u8>, State>,
}

impl Default for Model {
    fn default() -> Self {
        Self { values: vec![Vec::new()], numbers: BTreeMap::new() }
    }
}

impl Model {
    /// Reads an operation.
    pub fn read(&mut self, operation: &Operation) -> Step {
        let expect = match &operation.reply {
            _ if !operation.is_known() => Expect::Anything,
            Reply::Ok => Expect::Ok,
            Reply::Nil => Expect::Is(NOTHING),
            Reply::Value(value) => Expect::Is(self.number(value)),
            Reply::Integer(number) => Expect::Integer(*number),
            Reply::Error => Expect::Error,
            Reply::Refused | Reply::Unknown => Expect::Anything,
        };
        let argument = self.number(&operation.argument);
        Step { kind: operation.kind, argument, number: operation.number, expect }
    }

    /// What the key becomes if the operation happens now; `None` if its answer would have been another.
    pub fn apply(&mut self, state: State, step: &Step) -> Option<State> {
        let there = state != NOTHING;
        let (after, says) = match step.kind {
            Kind::Get | Kind::GetStale => (state, Expect::Is(state)),
            Kind::Set | Kind::SetExpiring => (step.argument, Expect::Ok),
            Kind::Expire => (state, Expect::Integer(i64::from(there))),
            Kind::Delete => (NOTHING, Expect::Integer(i64::from(there))),
            Kind::SetIfAbsent if there => (state, Expect::Integer(0)),
            Kind::SetIfAbsent => (step.argument, Expect::Integer(1)),
            Kind::GetSet => (step.argument, Expect::Is(state)),
            Kind::Increment => {
                match self.integer(state).and_then(|old| old.checked_add(step.number)) {
                    Some(sum) => (self.number(sum.to_string().as_bytes()), Expect::Integer(sum)),
                    None => (state, Expect::Error),
                }
            }
            Kind::Append => {
                let mut joined = self.values[state as usize].clone();
                joined.extend_from_slice(&self.values[step.argument as usize]);
                let length = joined.len().cast_signed() as i64;
                (self.number(&joined), Expect::Integer(length))
            }
        };
        (step.expect == Expect::Anything || step.expect == says).then_some(after)
    }

    fn number(&mut self, value: &[u8]) -> State {
        if let Some(&known) = self.numbers.get(value) {
            return known;
        }
        let number = self.values.len() as State;
        self.values.push(value.to_vec());
        self.numbers.insert(value.to_vec(), number);
        number
    }

    fn integer(&self, state: State) -> Option<i64> {
        if state == NOTHING {
            return Some(0);
        }
        std::str::from_utf8(&self.values[state as usize]).ok()?.parse().ok()
    }
}
