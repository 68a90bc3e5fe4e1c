//! Commands: one table as data, what each does to the store, and what each says.

mod data;
mod spec;

pub use data::{Applying, Outcome, Reading, apply, encode, encode_expire, read, touched};
pub use spec::{CommandId, Merge, Scope, Spec};

use crate::resp::Args;

/// The row of a command, by its name in any case.
pub fn lookup(_name: &[u8]) -> Option<&'static Spec> {
    todo!()
}

/// Positions of the keys among the arguments: (first, last, step); `None` if it has no keys. Arity has
/// been checked.
pub fn key_positions(_spec: &Spec, _args: &Args<'_>) -> Option<(usize, usize, usize)> {
    todo!()
}
