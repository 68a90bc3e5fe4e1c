//! What an entry of a group's log looks like: `kind u8 | stamp u64 | body`.
//!
//! The body of a batch is its operations back to back: `forwarded u8 | (node u32 | life u64 |
//! number u64 | settled u64 | proto u8)? | length u32 | operation`. An operation is what
//! [`crate::command::encode`] made. That of a configuration is its three lists of nodes. Others have none.

use alloc::vec::Vec;

use crate::bytes::{Malformed, Reader, patch_u32, put_u8, put_u32, put_u64};
use crate::ids::NodeId;
use crate::message::{Sequence, put_proto, put_sequence, take_proto, take_sequence};
use crate::quorum::Config;
use crate::resp::Proto;
use crate::time::Stamp;

const OPEN: u8 = 1;
const BATCH: u8 = 2;
const CONFIG: u8 = 3;
const CHECK: u8 = 4;

/// Where the body of a batch begins.
pub(crate) const HEADER: usize = 9;

/// What kind of entry it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Changes nothing: opens a reign, or renews its lease.
    Open,
    /// Operations.
    Batch,
    /// Who takes part in the group.
    Config,
    /// All replicas note their digest here, to be compared.
    Check,
}

/// An entry, borrowed from the log.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Entry<'a> {
    pub(crate) kind: Kind,
    pub(crate) stamp: Stamp,
    pub(crate) body: &'a [u8],
}

/// An operation of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Operation<'a> {
    /// Who forwarded it, if it was.
    pub(crate) forwarded: Option<Forwarded>,
    /// Empty: it was refused by the leader after it had been numbered.
    pub(crate) bytes: &'a [u8],
}

/// Names a forwarded write within a group for good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Forwarded {
    pub(crate) node: NodeId,
    pub(crate) sequence: Sequence,
    pub(crate) proto: Proto,
}

/// Begins an entry in an empty buffer.
pub(crate) fn begin(buffer: &mut Vec<u8>, kind: Kind, stamp: Stamp) {
    buffer.clear();
    put_u8(
        buffer,
        match kind {
            Kind::Open => OPEN,
            Kind::Batch => BATCH,
            Kind::Config => CONFIG,
            Kind::Check => CHECK,
        },
    );
    put_u64(buffer, stamp.0);
}

/// Sets the stamp of an entry that was begun earlier.
pub(crate) fn restamp(buffer: &mut [u8], stamp: Stamp) {
    buffer[1..HEADER].copy_from_slice(&stamp.0.to_le_bytes());
}

/// Begins an operation; its bytes follow, then [`finish_operation`].
pub(crate) fn begin_operation(buffer: &mut Vec<u8>, forwarded: Option<Forwarded>) -> usize {
    put_u8(buffer, u8::from(forwarded.is_some()));
    if let Some(forwarded) = forwarded {
        put_u32(buffer, forwarded.node.0);
        put_sequence(buffer, &forwarded.sequence);
        put_proto(buffer, forwarded.proto);
    }
    let start = buffer.len();
    put_u32(buffer, 0);
    start
}

/// Completes it.
pub(crate) fn finish_operation(buffer: &mut [u8], start: usize) {
    let length = (buffer.len() - start - 4) as u32;
    patch_u32(buffer, start, length);
}

/// Reads an entry.
pub(crate) fn decode(bytes: &[u8]) -> Result<Entry<'_>, Malformed> {
    let mut reader = Reader::new(bytes);
    let kind = match reader.u8()? {
        OPEN => Kind::Open,
        BATCH => Kind::Batch,
        CONFIG => Kind::Config,
        CHECK => Kind::Check,
        _ => return Err(Malformed),
    };
    Ok(Entry { kind, stamp: Stamp(reader.u64()?), body: reader.rest() })
}

/// The next operation of a batch, or `None` at the end.
pub(crate) fn take_operation<'a>(
    reader: &mut Reader<'a>,
) -> Result<Option<Operation<'a>>, Malformed> {
    if reader.is_empty() {
        return Ok(None);
    }
    let forwarded = match reader.u8()? {
        0 => None,
        1 => Some(Forwarded {
            node: NodeId(reader.u32()?),
            sequence: take_sequence(reader)?,
            proto: take_proto(reader)?,
        }),
        _ => return Err(Malformed),
    };
    Ok(Some(Operation { forwarded, bytes: reader.bytes()? }))
}

/// The configuration that an entry carries, if it does.
pub(crate) fn config_of(bytes: &[u8]) -> Option<Config> {
    let entry = decode(bytes).ok().filter(|entry| entry.kind == Kind::Config)?;
    Config::take(&mut Reader::new(entry.body)).ok()
}
