//! What has changed lately: every change of a key, in the order of the log, until there is no more room to
//! remember it. All replicas remember the same changes, so whoever watches can go on at another one. (As the
//! watchable history of etcd; Redis's keyspace notifications are told once and forgotten.)
//!
//! Changes are records in chunks. When there is no more room the oldest chunk goes as a whole, and its
//! buffer is used again. A record is
//!
//! | bytes | what |
//! |---|---|
//! | 8 | version of the write that made the change |
//! | 1 | kind, below 5 |
//! | 1 | keyspace |
//! | 8 | deadline in milliseconds since the Unix epoch; all ones: none |
//! | 4 | length of the key |
//! | 4 | length of the value; all ones: not kept |
//!
//! and then the key and the value. Numbers are little-endian. It is never written anywhere.

use alloc::collections::VecDeque;
use alloc::vec::Vec;

use crate::bytes::{Malformed, Reader};
use crate::ids::{Key, Keyspace};
use crate::store::Version;
use crate::time::WallTime;

/// Into so many chunks the room is cut.
const CHUNKS: usize = 8;
/// A value that is larger than this part of a chunk is not kept.
const VALUE_PART: usize = 4;
/// The length of a value that is not kept, and the deadline of a key that has none.
const NO_VALUE: u32 = u32::MAX;
const NEVER: u64 = u64::MAX;
const HEADER: usize = 26;

/// What happened to a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChangeKind {
    /// It has a value that it had not before.
    Set,
    /// Only when it ends has changed.
    Expiry,
    /// It was removed.
    Removed,
    /// It has ended.
    Expired,
    /// All keys of its keyspace are gone; it has no name.
    Cleared,
}

const KINDS: [ChangeKind; 5] = [
    ChangeKind::Set,
    ChangeKind::Expiry,
    ChangeKind::Removed,
    ChangeKind::Expired,
    ChangeKind::Cleared,
];

/// One change of one key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Change<'a> {
    /// The write that made it. One write may change several keys.
    pub version: Version,
    /// What happened.
    pub kind: ChangeKind,
    /// To which key.
    pub key: Key<'a>,
    /// Its value, if it was set and the value is not too large to be kept.
    pub value: Option<&'a [u8]>,
    /// When it ends, if ever and if it is there.
    pub expires_at: Option<WallTime>,
}

/// The latest changes of a store.
#[derive(Debug, Default)]
pub struct Changes {
    chunks: VecDeque<Chunk>,
    /// Bytes of the chunks, at most.
    most: usize,
    before: Version,
    last: Version,
}

#[derive(Debug)]
struct Chunk {
    records: Vec<u8>,
    /// The version of its last record.
    last: Version,
}

impl Changes {
    /// Remembers changes from `before` on in about `most` bytes; with 0, none.
    pub(super) fn begin(most: usize, before: Version) -> Self {
        Self { most, before, last: before, ..Self::default() }
    }

    /// All changes later than this are remembered.
    pub fn before(&self) -> Version {
        self.before
    }

    /// The last change, or where remembering began.
    pub fn last(&self) -> Version {
        self.last
    }

    /// Bytes that it takes.
    pub fn memory(&self) -> usize {
        self.chunks.iter().map(|chunk| chunk.records.capacity()).sum()
    }

    /// The changes later than `after`, oldest first; `None` if they are not all remembered.
    pub fn since(&self, after: Version) -> Option<impl Iterator<Item = Change<'_>>> {
        let later = self.chunks.iter().filter(move |chunk| chunk.last > after);
        let records = later.flat_map(|chunk| Records(Reader::new(&chunk.records)));
        (after >= self.before).then(|| records.filter(move |change| change.version > after))
    }

    /// Whether changes are remembered at all.
    pub fn kept(&self) -> bool {
        self.most > 0
    }

    /// Remembers a change, if there is room for any.
    #[inline]
    pub(super) fn note(&mut self, change: Change<'_>) {
        debug_assert!(change.version >= self.last, "changes come in the order of the log");
        let room = self.most / CHUNKS;
        let value = change.value.filter(|value| value.len() <= room / VALUE_PART);
        let size = HEADER + change.key.name.len() + value.map_or(0, <[u8]>::len);
        if size > room {
            return self.forget_all(change.version);
        }
        self.last = change.version;
        if self.chunks.back().is_none_or(|chunk| chunk.records.len() + size > room) {
            self.begin_chunk(room);
        }
        let chunk = self.chunks.back_mut().expect("it was just begun");
        chunk.last = change.version;
        chunk.records.extend_from_slice(&header(&change, value));
        chunk.records.extend_from_slice(change.key.name);
        chunk.records.extend_from_slice(value.unwrap_or_default());
    }

    /// A change that cannot be remembered: those before it are of no use any more.
    fn forget_all(&mut self, version: Version) {
        self.chunks.clear();
        self.before = version;
        self.last = version;
    }

    fn begin_chunk(&mut self, room: usize) {
        let oldest = if self.chunks.len() == CHUNKS { self.chunks.pop_front() } else { None };
        let chunk = match oldest {
            Some(mut oldest) => {
                self.before = oldest.last;
                oldest.records.clear();
                oldest
            }
            // All at once: growing step by step would allocate, and copy, again and again.
            None => Chunk { records: Vec::with_capacity(room), last: self.last },
        };
        self.chunks.push_back(chunk);
    }
}

/// What stands before the key and the value.
fn header(change: &Change<'_>, value: Option<&[u8]>) -> [u8; HEADER] {
    let mut header = [0; HEADER];
    header[..8].copy_from_slice(&change.version.0.to_le_bytes());
    header[8] = change.kind as u8;
    header[9] = change.key.keyspace.0;
    let deadline = change.expires_at.map_or(NEVER, |at| at.0);
    header[10..18].copy_from_slice(&deadline.to_le_bytes());
    header[18..22].copy_from_slice(&(change.key.name.len() as u32).to_le_bytes());
    let length = value.map_or(NO_VALUE, |value| value.len() as u32);
    header[22..].copy_from_slice(&length.to_le_bytes());
    header
}

/// Reads the records of a chunk.
struct Records<'a>(Reader<'a>);

impl<'a> Iterator for Records<'a> {
    type Item = Change<'a>;

    fn next(&mut self) -> Option<Change<'a>> {
        (!self.0.is_empty()).then(|| take(&mut self.0).expect("it was written here"))
    }
}

fn take<'a>(reader: &mut Reader<'a>) -> Result<Change<'a>, Malformed> {
    let version = Version(reader.u64()?);
    let kind = *KINDS.get(usize::from(reader.u8()?)).ok_or(Malformed)?;
    let keyspace = Keyspace(reader.u8()?);
    let deadline = reader.u64()?;
    let (key_len, value_len) = (reader.u32()?, reader.u32()?);
    let key = Key { keyspace, name: reader.take(key_len as usize)? };
    let value = match value_len {
        NO_VALUE => None,
        len => Some(reader.take(len as usize)?),
    };
    let expires_at = (deadline != NEVER).then_some(WallTime(deadline));
    Ok(Change { version, kind, key, value, expires_at })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set<'a>(version: u64, name: &'a [u8], value: &'a [u8]) -> Change<'a> {
        let key = Key { keyspace: Keyspace(3), name };
        let (kind, value) = (ChangeKind::Set, Some(value));
        Change { version: Version(version), kind, key, value, expires_at: Some(WallTime(7)) }
    }

    #[test]
    fn what_is_remembered_comes_back_and_what_is_not_is_said_to_be_missing() {
        let mut changes = Changes::begin(8 * 256, Version(10));
        assert_eq!(changes.since(Version(9)).map(Iterator::count), None);
        assert_eq!(changes.since(Version(10)).map(Iterator::count), Some(0));
        for number in 11..200 {
            changes.note(set(number, &number.to_le_bytes(), b"value"));
            assert!(changes.memory() <= 8 * 512, "its memory has a limit");
            let from = changes.before();
            let told: Vec<u64> =
                changes.since(from).expect("it says so").map(|change| change.version.0).collect();
            let all: Vec<u64> = (from.0 + 1..=number).collect();
            assert_eq!(told, all);
        }
        assert!(changes.before() > Version(100), "the oldest were forgotten");
        let last = changes.since(Version(198)).expect("it is kept").next();
        assert_eq!(last, Some(set(199, &199_u64.to_le_bytes(), b"value")));
    }

    #[test]
    fn large_values_are_left_out_and_keys_that_do_not_fit_break_the_history() {
        let mut changes = Changes::begin(8 * 256, Version(0));
        changes.note(set(1, b"k", &[b'v'; 65]));
        let told = changes.since(Version(0)).and_then(|mut told| told.next());
        assert_eq!(told.map(|change| (change.key.name, change.value)), Some((&b"k"[..], None)));
        changes.note(set(2, &[b'k'; 256], b""));
        assert_eq!(changes.since(Version(1)).map(Iterator::count), None);
        assert_eq!(changes.since(Version(2)).map(Iterator::count), Some(0));
    }

    #[test]
    fn without_room_nothing_is_remembered() {
        let mut changes = Changes::begin(0, Version(4));
        changes.note(set(5, b"k", b"v"));
        assert_eq!((changes.since(Version(4)).is_none(), changes.last()), (true, Version(5)));
    }
}
