//! What a key holds, by the time that counts.

use crate::command::data::Reading;
use crate::ids::Key;
use crate::store::{Store, Value};
use crate::time::WallTime;

/// A read met a key that has ended by the clock and not yet by the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Met;

/// What a key holds, unless it has ended at `now`.
pub(super) fn alive<'a>(store: &'a Store, key: Key<'_>, now: WallTime) -> Option<Value<'a>> {
    store.get(key).filter(|value| value.expires_at.is_none_or(|at| at > now))
}

/// What a key holds, by the log's time.
pub(super) fn look<'a>(
    store: &'a Store,
    key: Key<'_>,
    reading: Reading,
) -> Result<Option<Value<'a>>, Met> {
    let Some(value) = store.get(key) else { return Ok(None) };
    visible(value, reading).map(|visible| visible.then_some(value))
}

/// Whether a value has not ended yet.
pub(super) fn visible(value: Value<'_>, reading: Reading) -> Result<bool, Met> {
    match value.expires_at {
        Some(at) if at <= reading.log => Ok(false),
        Some(at) if at <= reading.wall => Err(Met),
        _ => Ok(true),
    }
}
