//! Records of the log: how they are framed, and what each kind says. `FORMAT.md` has the bytes.

use alloc::vec::Vec;

use super::Identity;
use crate::bytes::{
    Malformed, Reader, checksum, patch_u32, put_bytes, put_u8, put_u16, put_u32, put_u64,
};
use crate::ids::{ClusterId, GroupId, Index, LaneId, Life, NodeId, Term};

/// The version of the format that this code writes, and the only one that it reads.
pub(super) const VERSION: u16 = 3;

/// Bytes before the body of a record.
pub(super) const HEAD: usize = 16;

/// Bytes before those of the entry itself in the record of an entry.
pub(super) const ENTRY_HEAD: usize = HEAD + 4 + 3 * 8 + 4;

/// Records begin at multiples of this.
pub(super) const ALIGN: usize = 8;

/// How far the two copies of what may not be lost lie apart: more than any sector.
pub(super) const APART: u64 = 4096;

const KIND_HEADER: u8 = 1;
const KIND_GROUP: u8 = 2;
const KIND_MARK: u8 = 3;
const KIND_ENTRY: u8 = 4;
const KIND_BALLOT: u8 = 5;
const KIND_IMAGE: u8 = 6;
const KIND_REPAIRED: u8 = 7;
const KIND_TRIM: u8 = 8;
const KIND_GAP: u8 = 9;

/// Where a record begins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    pub(super) segment: u64,
    pub(super) offset: u64,
}

/// A stretch of a segment that cannot be read though it belonged to the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Hole {
    pub(super) segment: u64,
    pub(super) from: u64,
    pub(super) to: u64,
}

impl Hole {
    /// Whether all of it lies within `known`, though perhaps in none of them alone.
    pub(super) fn is_within(&self, known: &[Self]) -> bool {
        let mut at = self.from;
        while at < self.to {
            let Some(hole) = known.iter().find(|hole| hole.holds(self.segment, at)) else {
                return false;
            };
            at = hole.to;
        }
        true
    }

    /// Whether it has this byte.
    pub(super) fn holds(&self, segment: u64, offset: u64) -> bool {
        self.segment == segment && self.from <= offset && offset < self.to
    }
}

/// Where the log ended before a segment was begun.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Tail {
    /// 0: this is the first segment of all.
    pub(super) segment: u64,
    /// Where the part that counts ends.
    pub(super) end: u64,
    /// Checksum of the last record before that end.
    pub(super) chain: u32,
}

/// What a segment begins with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) identity: Identity,
    pub(super) life: Life,
    /// Segments before this one are not needed any more.
    pub(super) oldest: u64,
    pub(super) previous: Tail,
    /// Groups that no record speaks of are damaged.
    pub(super) damaged: bool,
    /// What was known to be unreadable when the segment was begun.
    pub(super) holes: Vec<Hole>,
    /// The other segments that were needed then, and where they end: the header that first said so may not be
    /// readable any more.
    pub(super) ends: Vec<(u64, u64)>,
}

/// An image file, as the log names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ImageName {
    pub(super) index: Index,
    pub(super) term: Term,
    /// Bytes of the file.
    pub(super) bytes: u64,
    pub(super) chunks: u32,
    /// Checksum over the checksums of its chunks.
    pub(super) check: u32,
}

/// Everything about a group but its entries; the checkpoint at the start of a segment has one each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct GroupState {
    pub(super) group: GroupId,
    pub(super) damaged: bool,
    pub(super) term: Term,
    pub(super) vote: Option<NodeId>,
    /// The group's entries before this place are void.
    pub(super) void: Place,
    pub(super) image: Option<ImageName>,
}

/// One record's content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Record<'a> {
    Header(Header),
    Group(GroupState),
    /// All of this segment before this offset was synced when the record was written.
    Mark(u64),
    /// `previous` is the term of the entry before, so that a lost truncation is noticed.
    Entry {
        group: GroupId,
        term: Term,
        index: Index,
        previous: Term,
        bytes: &'a [u8],
    },
    Ballot {
        group: GroupId,
        term: Term,
        vote: Option<NodeId>,
    },
    Image {
        group: GroupId,
        void: Place,
        image: ImageName,
    },
    Repaired(GroupId),
    /// Segments before this one are not needed any more.
    Trim(u64),
    /// So many bytes that nobody reads. They need not even be written.
    Gap(u32),
}

/// Appends `record` to `buffer`, which is bound for `place`, and returns its checksum: the chain for the
/// next one. Of a gap it is only the head that is appended. `bound` is false only for
/// [`crate::config::Bug::ChecksumNotChained`].
pub(super) fn put(
    buffer: &mut Vec<u8>,
    place: Place,
    chain: u32,
    record: &Record<'_>,
    bound: bool,
) -> u32 {
    assert!(place.offset.is_multiple_of(ALIGN as u64), "records begin where a scan looks for them");
    let start = buffer.len();
    put_u32(buffer, 0);
    put_u32(buffer, 0);
    put_u32(buffer, chain);
    put_u8(buffer, kind_of(record));
    put_u8(buffer, 0);
    put_u16(buffer, 0);
    put_body(buffer, record);
    let written = buffer.len() - start;
    buffer.resize(start + padded(written), 0);
    let body = match *record {
        Record::Gap(length) => length as usize,
        _ => written - HEAD,
    };
    seal(&mut buffer[start..], body, place, bound)
}

/// Fills in the length and both checks of a record with a body of `body` bytes; returns its checksum.
pub(super) fn seal(bytes: &mut [u8], body: usize, place: Place, bound: bool) -> u32 {
    let length = u32::try_from(body).expect("no record reaches 4 GiB");
    let seed = seed(place, length, bound);
    patch_u32(bytes, 0, length);
    let head = check_of_head(seed, bytes);
    bytes[14..16].copy_from_slice(&head.to_le_bytes());
    let crc = checksum(seed, &bytes[8..]);
    patch_u32(bytes, 4, crc);
    crc
}

/// A record that checks out by itself.
#[derive(Clone, Debug)]
pub(super) struct Framed<'a> {
    /// Its checksum.
    pub(super) crc: u32,
    /// The checksum of the record before.
    pub(super) chain: u32,
    /// Where the next record begins.
    pub(super) end: u64,
    pub(super) record: Record<'a>,
}

/// The record that begins at `offset` of `file`, the content of segment `segment`; `None` if the bytes there are
/// none, or not this one's. The error is a header of another version of the format.
pub(super) fn take(
    file: &[u8],
    segment: u64,
    offset: u64,
    bound: bool,
) -> Result<Option<Framed<'_>>, OtherVersion> {
    let Some(bytes) = usize::try_from(offset).ok().and_then(|at| file.get(at..)) else {
        return Ok(None);
    };
    let Ok(Some((crc, chain, kind, length))) = take_head(bytes, Place { segment, offset }, bound)
    else {
        return Ok(None);
    };
    let body = &bytes[HEAD..HEAD + length];
    let end = offset + padded(HEAD + length) as u64;
    if kind == KIND_HEADER {
        let version = Reader::new(body).u16();
        if let Ok(version) = version
            && version != VERSION
        {
            return Err(OtherVersion(version));
        }
    }
    Ok(take_body(kind, body).ok().map(|record| Framed { crc, chain, end, record }))
}

/// A header of another version of the format was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct OtherVersion(pub(super) u16);

/// Checksum, chain, kind and length of the body, if the bytes are a whole record.
fn take_head(
    bytes: &[u8],
    place: Place,
    bound: bool,
) -> Result<Option<(u32, u32, u8, usize)>, Malformed> {
    let mut reader = Reader::new(bytes);
    let length = reader.u32()?;
    let crc = reader.u32()?;
    let chain = reader.u32()?;
    let kind = reader.u8()?;
    reader.u8()?;
    let head = reader.u16()?;
    // The short check of the head keeps a scan for records from checking megabytes at every step.
    let seed = seed(place, length, bound);
    let whole = padded(HEAD + length as usize);
    if head != check_of_head(seed, bytes) || whole > bytes.len() {
        return Ok(None);
    }
    let covered = if kind == KIND_GAP { HEAD } else { whole };
    let good = checksum(seed, &bytes[8..covered]) == crc;
    Ok(good.then_some((crc, chain, kind, length as usize)))
}

/// What the checksum of a record continues from: two places, or two lengths, have different ones but for one in 2^32.
fn seed(place: Place, length: u32, bound: bool) -> u32 {
    let Place { segment, offset } = if bound { place } else { Place::default() };
    mix(segment ^ mix(offset ^ mix(u64::from(length)))) as u32
}

/// A short check of bytes 8 to 14.
fn check_of_head(seed: u32, bytes: &[u8]) -> u16 {
    let mut said = [0; 8];
    said[..6].copy_from_slice(&bytes[8..14]);
    mix(u64::from(seed) ^ mix(u64::from_le_bytes(said))) as u16
}

/// Spreads each bit over all others: one step of `SplitMix64` (Steele and others, Fast Splittable Pseudorandom
/// Number Generators, OOPSLA 2014).
fn mix(value: u64) -> u64 {
    let mut mixed = value.wrapping_add(0x9E37_79B9_7F4A_7C15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    mixed ^ (mixed >> 31)
}

/// `length`, rounded up to where the next record may begin.
fn padded(length: usize) -> usize {
    length.next_multiple_of(ALIGN)
}

fn kind_of(record: &Record<'_>) -> u8 {
    match record {
        Record::Header(_) => KIND_HEADER,
        Record::Group(_) => KIND_GROUP,
        Record::Mark(_) => KIND_MARK,
        Record::Entry { .. } => KIND_ENTRY,
        Record::Ballot { .. } => KIND_BALLOT,
        Record::Image { .. } => KIND_IMAGE,
        Record::Repaired(_) => KIND_REPAIRED,
        Record::Trim(_) => KIND_TRIM,
        Record::Gap(_) => KIND_GAP,
    }
}

fn put_body(buffer: &mut Vec<u8>, record: &Record<'_>) {
    match record {
        Record::Header(header) => put_header(buffer, header),
        Record::Group(state) => put_group(buffer, state),
        Record::Mark(number) | Record::Trim(number) => put_u64(buffer, *number),
        Record::Entry { group, term, index, previous, bytes } => {
            put_u32(buffer, group.0);
            put_u64(buffer, term.0);
            put_u64(buffer, index.0);
            put_u64(buffer, previous.0);
            put_bytes(buffer, bytes);
        }
        Record::Ballot { group, term, vote } => {
            put_u32(buffer, group.0);
            put_u64(buffer, term.0);
            put_vote(buffer, *vote);
        }
        Record::Image { group, void, image } => {
            put_u32(buffer, group.0);
            put_place(buffer, *void);
            put_image(buffer, image);
        }
        Record::Repaired(group) => put_u32(buffer, group.0),
        Record::Gap(_) => {}
    }
}

fn take_body(kind: u8, body: &[u8]) -> Result<Record<'_>, Malformed> {
    let mut reader = Reader::new(body);
    let record = match kind {
        KIND_HEADER => Record::Header(take_header(&mut reader)?),
        KIND_GROUP => Record::Group(take_group(&mut reader)?),
        KIND_MARK => Record::Mark(reader.u64()?),
        KIND_ENTRY => Record::Entry {
            group: GroupId(reader.u32()?),
            term: Term(reader.u64()?),
            index: Index(reader.u64()?),
            previous: Term(reader.u64()?),
            bytes: reader.bytes()?,
        },
        KIND_BALLOT => Record::Ballot {
            group: GroupId(reader.u32()?),
            term: Term(reader.u64()?),
            vote: take_vote(&mut reader)?,
        },
        KIND_IMAGE => Record::Image {
            group: GroupId(reader.u32()?),
            void: take_place(&mut reader)?,
            image: take_image(&mut reader)?,
        },
        KIND_REPAIRED => Record::Repaired(GroupId(reader.u32()?)),
        KIND_TRIM => Record::Trim(reader.u64()?),
        KIND_GAP => return Ok(Record::Gap(body.len() as u32)),
        _ => return Err(Malformed),
    };
    reader.end()?;
    Ok(record)
}

fn put_header(buffer: &mut Vec<u8>, header: &Header) {
    put_u16(buffer, VERSION);
    put_u64(buffer, header.identity.cluster.0);
    put_u32(buffer, header.identity.node.0);
    put_u8(buffer, header.identity.lane.0);
    put_u8(buffer, header.identity.lanes);
    put_u64(buffer, header.life.0);
    put_u64(buffer, header.oldest);
    put_u64(buffer, header.previous.segment);
    put_u64(buffer, header.previous.end);
    put_u32(buffer, header.previous.chain);
    put_u8(buffer, u8::from(header.damaged));
    put_u32(buffer, header.holes.len() as u32);
    for hole in &header.holes {
        put_u64(buffer, hole.segment);
        put_u64(buffer, hole.from);
        put_u64(buffer, hole.to);
    }
    put_u32(buffer, header.ends.len() as u32);
    for (segment, end) in &header.ends {
        put_u64(buffer, *segment);
        put_u64(buffer, *end);
    }
}

fn take_header(reader: &mut Reader<'_>) -> Result<Header, Malformed> {
    reader.u16()?;
    let identity = Identity {
        cluster: ClusterId(reader.u64()?),
        node: NodeId(reader.u32()?),
        lane: LaneId(reader.u8()?),
        lanes: reader.u8()?,
    };
    let life = Life(reader.u64()?);
    let oldest = reader.u64()?;
    let previous = Tail { segment: reader.u64()?, end: reader.u64()?, chain: reader.u32()? };
    let damaged = reader.u8()? != 0;
    let mut holes = Vec::new();
    for _ in 0..reader.u32()? {
        holes.push(Hole { segment: reader.u64()?, from: reader.u64()?, to: reader.u64()? });
    }
    let mut ends = Vec::new();
    for _ in 0..reader.u32()? {
        ends.push((reader.u64()?, reader.u64()?));
    }
    Ok(Header { identity, life, oldest, previous, damaged, holes, ends })
}

fn put_group(buffer: &mut Vec<u8>, state: &GroupState) {
    put_u32(buffer, state.group.0);
    put_u8(buffer, u8::from(state.damaged));
    put_u64(buffer, state.term.0);
    put_vote(buffer, state.vote);
    put_place(buffer, state.void);
    put_u8(buffer, u8::from(state.image.is_some()));
    if let Some(image) = &state.image {
        put_image(buffer, image);
    }
}

fn take_group(reader: &mut Reader<'_>) -> Result<GroupState, Malformed> {
    Ok(GroupState {
        group: GroupId(reader.u32()?),
        damaged: reader.u8()? != 0,
        term: Term(reader.u64()?),
        vote: take_vote(reader)?,
        void: take_place(reader)?,
        image: if reader.u8()? == 0 { None } else { Some(take_image(reader)?) },
    })
}

fn put_vote(buffer: &mut Vec<u8>, vote: Option<NodeId>) {
    put_u8(buffer, u8::from(vote.is_some()));
    put_u32(buffer, vote.map_or(0, |node| node.0));
}

fn take_vote(reader: &mut Reader<'_>) -> Result<Option<NodeId>, Malformed> {
    let voted = reader.u8()? != 0;
    let node = NodeId(reader.u32()?);
    Ok(voted.then_some(node))
}

fn put_place(buffer: &mut Vec<u8>, place: Place) {
    put_u64(buffer, place.segment);
    put_u64(buffer, place.offset);
}

fn take_place(reader: &mut Reader<'_>) -> Result<Place, Malformed> {
    Ok(Place { segment: reader.u64()?, offset: reader.u64()? })
}

fn put_image(buffer: &mut Vec<u8>, image: &ImageName) {
    put_u64(buffer, image.index.0);
    put_u64(buffer, image.term.0);
    put_u64(buffer, image.bytes);
    put_u32(buffer, image.chunks);
    put_u32(buffer, image.check);
}

fn take_image(reader: &mut Reader<'_>) -> Result<ImageName, Malformed> {
    Ok(ImageName {
        index: Index(reader.u64()?),
        term: Term(reader.u64()?),
        bytes: reader.u64()?,
        chunks: reader.u32()?,
        check: reader.u32()?,
    })
}
