//! CHANGES: what has changed in a partition since a moment that an earlier answer named.

use alloc::vec::Vec;

use crate::command::data::numbers::parse_integer;
use crate::command::data::scan::Filter;
use crate::command::data::texts;
use crate::command::glob;
use crate::ids::Keyspace;
use crate::resp::{Args, Proto, Reply};
use crate::store::{Change, ChangeKind, Store, Version};

/// Changes that are told where nobody says how many.
const COUNT: usize = 1_000;
/// Bytes after which no more are told: whoever wants more asks again.
const BYTES: usize = 1 << 20;

/// What a CHANGES asks for, besides its partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChangesOptions<'a> {
    /// Changes later than this; none: those to come, so only where they begin is asked for.
    pub after: Option<Version>,
    /// Names must match this glob.
    pub pattern: Option<&'a [u8]>,
    /// About how many changes to tell.
    pub count: usize,
}

impl<'a> ChangesOptions<'a> {
    /// Reads what stands behind the partition. `Err` is the text to answer.
    pub fn parse(args: &Args<'a>) -> Result<Self, &'static str> {
        let after = match args.at(2) {
            b"$" => None,
            place => Some(Version(parse_place(place).ok_or(texts::INVALID_PLACE)?)),
        };
        let mut filter = Filter { pattern: None, count: COUNT };
        filter.parse(args, 3, |_, _| false)?;
        let Filter { pattern, count } = filter;
        Ok(Self { after, pattern, count })
    }
}

/// Places are told as integers of RESP, so they have 63 bits.
fn parse_place(text: &[u8]) -> Option<u64> {
    parse_integer(text).and_then(|place| u64::try_from(place).ok())
}

/// Answers with two elements: the place to ask from next, and an array of changes. A change is an array of
/// its place, what happened, the key, the value or null, and when the key ends in milliseconds since the Unix
/// epoch or -1. All changes of one write are told together. A place that is no longer remembered is an error.
pub(super) fn read_changes(
    keyspace: Keyspace,
    args: &Args<'_>,
    store: &Store,
    reply: &mut Reply<'_>,
) {
    let options = match ChangesOptions::parse(args) {
        Ok(options) => options,
        Err(text) => return reply.error(text),
    };
    let changes = store.changes();
    if !changes.kept() {
        // Where nothing is remembered nobody could tell where now is.
        return reply.error("ERR changes are not remembered here");
    }
    let after = options.after.unwrap_or(changes.last());
    let Some(later) = changes.since(after) else {
        return reply.error_format(format_args!(
            "GONE changes after {} are not remembered, only those after {}",
            after.0,
            changes.before().0
        ));
    };
    // A replica that lags may be asked from a place that it has not reached yet.
    let mut next = after.max(changes.last());
    let (mut told, mut count) = (Vec::new(), 0);
    let mut last = after;
    for change in later {
        let full = count >= options.count || told.len() >= BYTES;
        if full && change.version != last {
            next = last;
            break;
        }
        last = change.version;
        if concerns(&change, keyspace, &options) {
            put(&change, reply.proto(), &mut told);
            count += 1;
        }
    }
    reply.array(2);
    reply.integer(next.0.cast_signed());
    reply.array(count);
    reply.raw(&told);
}

fn concerns(change: &Change<'_>, keyspace: Keyspace, options: &ChangesOptions<'_>) -> bool {
    let named = |glob| glob::matches(glob, change.key.name, false);
    change.key.keyspace == keyspace
        && (change.kind == ChangeKind::Cleared || options.pattern.is_none_or(named))
}

fn put(change: &Change<'_>, proto: Proto, out: &mut Vec<u8>) {
    let mut reply = Reply::new(out, proto);
    reply.array(5);
    reply.integer(change.version.0.cast_signed());
    reply.bulk(match change.kind {
        ChangeKind::Set => b"set",
        ChangeKind::Expiry => b"expiry",
        ChangeKind::Removed => b"removed",
        ChangeKind::Expired => b"expired",
        ChangeKind::Cleared => b"cleared",
    });
    reply.bulk(change.key.name);
    match change.value {
        Some(value) => reply.bulk(value),
        None => reply.null(),
    }
    reply.integer(change.expires_at.map_or(-1, |at| at.0.cast_signed()));
}
