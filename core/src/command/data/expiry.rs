//! Deadlines: the EXPIRE family, and the options of other commands that set one.

use alloc::vec::Vec;

use crate::command::CommandId;
use crate::command::data::numbers::parse_integer;
use crate::command::data::op::{Change, Op, condition};
use crate::command::data::reading::{Met, alive, look};
use crate::command::data::texts::Refusal;
use crate::command::data::{Applying, Reading, texts};
use crate::ids::Key;
use crate::resp::{Args, Reply};
use crate::store::Store;
use crate::time::WallTime;

/// How a number says when a key ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unit {
    /// Seconds from now.
    Seconds,
    /// Milliseconds from now.
    Millis,
    /// Seconds since the Unix epoch.
    AtSeconds,
    /// Milliseconds since the Unix epoch.
    AtMillis,
}

impl Unit {
    /// The option of SET and GETEX by that name.
    pub(super) fn of_option(option: &[u8]) -> Option<Self> {
        let is = |name: &[u8]| option.eq_ignore_ascii_case(name);
        if is(b"EX") {
            Some(Self::Seconds)
        } else if is(b"PX") {
            Some(Self::Millis)
        } else if is(b"EXAT") {
            Some(Self::AtSeconds)
        } else if is(b"PXAT") {
            Some(Self::AtMillis)
        } else {
            None
        }
    }

    /// The moment that a number means, in milliseconds; may be in the past, even before the epoch.
    fn moment(self, number: i64, wall: WallTime) -> Option<i64> {
        let millis = match self {
            Self::Seconds | Self::AtSeconds => number.checked_mul(1000)?,
            Self::Millis | Self::AtMillis => number,
        };
        match self {
            Self::Seconds | Self::Millis => millis.checked_add(i64::try_from(wall.0).ok()?),
            Self::AtSeconds | Self::AtMillis => Some(millis),
        }
    }
}

/// A deadline for a command that stores a value: it must be a positive number.
pub(super) fn deadline(
    id: CommandId,
    unit: Unit,
    number: &[u8],
    wall: WallTime,
) -> Result<WallTime, &'static str> {
    let number = parse_integer(number).ok_or(texts::NOT_INTEGER)?;
    if number <= 0 {
        return Err(texts::invalid_expire(id));
    }
    let moment = unit.moment(number, wall).ok_or(texts::invalid_expire(id))?;
    Ok(WallTime(moment.max(0).cast_unsigned()))
}

/// EXPIRE, PEXPIRE, EXPIREAT, PEXPIREAT.
pub(super) fn encode_expire_at<'a>(
    id: CommandId,
    unit: Unit,
    key: Key<'_>,
    args: &Args<'a>,
    wall: WallTime,
    op: &mut Vec<u8>,
) -> Result<(), Refusal<'a>> {
    let mut conditions = 0;
    for option in args.iter().skip(3) {
        let is = |name: &[u8]| option.eq_ignore_ascii_case(name);
        conditions |= if is(b"NX") {
            condition::NONE_YET
        } else if is(b"XX") {
            condition::ONE_ALREADY
        } else if is(b"GT") {
            condition::LATER
        } else if is(b"LT") {
            condition::EARLIER
        } else {
            return Err(Refusal::unsupported(option));
        };
    }
    if conditions & condition::NONE_YET != 0 && conditions != condition::NONE_YET {
        return Err(texts::NX_AND_OTHERS.into());
    }
    let both = condition::LATER | condition::EARLIER;
    if conditions & both == both {
        return Err(texts::GT_AND_LT.into());
    }
    let number = parse_integer(args.at(2)).ok_or(texts::NOT_INTEGER)?;
    let moment = unit.moment(number, wall).ok_or(texts::invalid_expire(id))?;
    // A moment before the epoch is as past as the epoch itself.
    let deadline = WallTime(moment.max(0).cast_unsigned());
    Op::ExpireAt { key, deadline, conditions }.put(op);
    Ok(())
}

/// GETEX.
pub(super) fn encode_get_ex(
    key: Key<'_>,
    args: &Args<'_>,
    wall: WallTime,
    op: &mut Vec<u8>,
) -> Result<(), &'static str> {
    // An option may be said twice; the last one counts.
    let (mut persist, mut ends): (bool, Option<(Unit, &[u8])>) = (false, None);
    let mut at = 2;
    while let Some(option) = args.get(at) {
        if option.eq_ignore_ascii_case(b"PERSIST") && ends.is_none() {
            persist = true;
        } else {
            let unit = Unit::of_option(option).ok_or(texts::SYNTAX)?;
            at += 1;
            let number = args.get(at).ok_or(texts::SYNTAX)?;
            if persist || ends.is_some_and(|(old, _)| old != unit) {
                return Err(texts::SYNTAX);
            }
            ends = Some((unit, number));
        }
        at += 1;
    }
    let change = match ends {
        Some((unit, number)) => Change::Deadline(deadline(CommandId::GetEx, unit, number, wall)?),
        None if persist => Change::Persist,
        None => Change::Nothing,
    };
    Op::GetEx { key, change }.put(op);
    Ok(())
}

pub(super) fn apply_expire_at(
    key: Key<'_>,
    deadline: WallTime,
    conditions: u8,
    applying: Applying,
    store: &mut Store,
    reply: &mut Reply<'_>,
) {
    let Some(value) = alive(store, key, applying.now) else { return reply.integer(0) };
    let refused = match value.expires_at {
        // No deadline counts as the latest of all.
        None => conditions & (condition::ONE_ALREADY | condition::LATER) != 0,
        Some(old) => {
            conditions & condition::NONE_YET != 0
                || (conditions & condition::LATER != 0 && deadline <= old)
                || (conditions & condition::EARLIER != 0 && deadline >= old)
        }
    };
    if refused {
        return reply.integer(0);
    }
    end_at(key, deadline, applying, store);
    reply.integer(1);
}

pub(super) fn apply_persist(
    key: Key<'_>,
    applying: Applying,
    store: &mut Store,
    reply: &mut Reply<'_>,
) {
    let ends = alive(store, key, applying.now).is_some_and(|value| value.expires_at.is_some());
    if ends {
        store.set_expiry(key, None, applying.version);
    }
    reply.integer(ends.into());
}

pub(super) fn apply_get_ex(
    key: Key<'_>,
    change: Change,
    applying: Applying,
    store: &mut Store,
    reply: &mut Reply<'_>,
) {
    let Some(value) = alive(store, key, applying.now) else { return reply.null() };
    reply.bulk(value.bytes);
    match change {
        Change::Deadline(deadline) => end_at(key, deadline, applying, store),
        Change::Persist if value.expires_at.is_some() => {
            store.set_expiry(key, None, applying.version);
        }
        Change::Persist | Change::Nothing => {}
    }
}

/// TTL, PTTL, EXPIRETIME, PEXPIRETIME.
pub(super) fn read_ttl(
    id: CommandId,
    key: Key<'_>,
    reading: Reading<'_>,
    store: &Store,
    reply: &mut Reply<'_>,
) -> Result<(), Met> {
    let Some(value) = look(store, key, reading)? else {
        reply.integer(-2);
        return Ok(());
    };
    let Some(at) = value.expires_at else {
        reply.integer(-1);
        return Ok(());
    };
    let left = left_of(at, reading);
    let number = match id {
        CommandId::Ttl => (left + 500) / 1000,
        CommandId::PTtl => left,
        CommandId::ExpireTime => (at.0 + 500) / 1000,
        _ => at.0,
    };
    reply.integer(number.cast_signed());
    Ok(())
}

/// Milliseconds until a deadline.
pub(super) fn left_of(deadline: WallTime, reading: Reading<'_>) -> u64 {
    deadline.0.saturating_sub(reading.wall.0.max(reading.log.0))
}

/// Lets a key that is there end at a moment: now, if the moment has passed.
fn end_at(key: Key<'_>, deadline: WallTime, applying: Applying, store: &mut Store) {
    if deadline <= applying.now {
        store.remove(key, applying.version);
    } else {
        store.set_expiry(key, Some(deadline), applying.version);
    }
}
