//! SCAN: a cursor names a group and a place in the order of its keys' hashes, so that it stays good
//! whichever replica answers next.

use alloc::vec::Vec;

use crate::command::{self, Outcome, Reading, ScanOptions, Scanned, scan_cursor};
use crate::group::Group;
use crate::ids::{GroupId, Keyspace};
use crate::placement::Placement;
use crate::resp::{Args, Reply, put_decimal};

/// Bits of a cursor that name the place within a group; those above name the group.
const PLACE_BITS: u32 = 48;

/// The group a client's cursor names: 0 begins with the first.
pub(crate) fn group_of_cursor(text: &[u8]) -> Option<GroupId> {
    let cursor = scan_cursor(text).ok()?;
    Some(GroupId(((cursor >> PLACE_BITS) as u32).max(1)))
}

/// Whether a client's cursor stands within its group: some of its keys have been told.
pub(crate) fn is_within_group(text: &[u8]) -> bool {
    scan_cursor(text).is_ok_and(|cursor| cursor & ((1 << PLACE_BITS) - 1) != 0)
}

/// The cursor that begins with a group.
pub(crate) fn cursor_of(group: GroupId) -> Vec<u8> {
    let mut text = Vec::new();
    put_decimal(&mut text, u64::from(group.0) << PLACE_BITS);
    text
}

/// Answers one step of a scan from this group's keys.
pub(super) fn scan(
    group: &Group,
    keyspace: Keyspace,
    args: &Args<'_>,
    reading: Reading<'_>,
    placement: &Placement,
    reply: &mut Reply<'_>,
) -> Outcome {
    let understood = scan_cursor(args.at(1)).and_then(|cursor| {
        let options = ScanOptions::parse(args)?;
        Ok((cursor, options))
    });
    let (cursor, options) = match understood {
        Ok(understood) => understood,
        Err(text) => {
            reply.error(text);
            return Outcome::Done;
        }
    };
    let place = cursor & ((1 << PLACE_BITS) - 1);
    let mut names = Vec::new();
    let step = command::scan(&group.store, keyspace, place, &options, reading, &mut names);
    let Scanned::Names { count, next } = step else {
        return Outcome::Overdue;
    };
    let next = match next {
        Some(place) => u64::from(group.id.0) << PLACE_BITS | place,
        None if group.id.0 < placement.partitions() => u64::from(group.id.0 + 1) << PLACE_BITS,
        None => 0,
    };
    reply.array(2);
    reply.bulk_with(|out| put_decimal(out, next));
    reply.array(count);
    reply.raw(&names);
    Outcome::Done
}
