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

/// What a key holds, by the log's time; counts whether it was there.
pub(super) fn look<'a>(
    store: &'a Store,
    key: Key<'_>,
    reading: Reading<'_>,
) -> Result<Option<Value<'a>>, Met> {
    let value = peek(store, key, reading)?;
    let mut found = reading.found.get();
    found.hits += u64::from(value.is_some());
    found.misses += u64::from(value.is_none());
    reading.found.set(found);
    Ok(value)
}

/// What a key holds, by the log's time, as if nobody had asked.
pub(super) fn peek<'a>(
    store: &'a Store,
    key: Key<'_>,
    reading: Reading<'_>,
) -> Result<Option<Value<'a>>, Met> {
    let Some(value) = store.get(key) else { return Ok(None) };
    visible(value, reading).map(|visible| visible.then_some(value))
}

/// Whether a value has not ended yet.
pub(super) fn visible(value: Value<'_>, reading: Reading<'_>) -> Result<bool, Met> {
    match value.expires_at {
        Some(at) if at <= reading.log => Ok(false),
        Some(at) if at <= reading.wall => Err(Met),
        _ => Ok(true),
    }
}
