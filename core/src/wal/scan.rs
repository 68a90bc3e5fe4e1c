//! Finds the records in the bytes of one segment, whatever happened to them.

use alloc::vec::Vec;

use super::WalError;
use super::record::{ALIGN, Framed, Header, ImageName, OtherVersion, Place, Record, Tail, take};
use super::record::{GroupState, Hole};
use crate::ids::{GroupId, Index, NodeId, Term};

/// A segment with more holes than this is taken for one hole from there on.
const MOST_HOLES: usize = 64;

/// What was found in a segment, in order.
#[derive(Debug)]
pub(super) struct Scanned {
    pub(super) number: u64,
    pub(super) items: Vec<Item>,
    /// The first header that is readable: there are two.
    pub(super) header: Option<Header>,
    /// Everything before was synced, says a record somewhere.
    synced: u64,
    /// Where the last item ends.
    length: u64,
}

/// A record, or bytes that are none.
#[derive(Debug)]
pub(super) enum Item {
    Found { from: u64, end: u64, crc: u32, said: Said },
    Hole { from: u64, to: u64 },
}

/// A record's content, as far as recovery needs it.
#[derive(Debug)]
pub(super) enum Said {
    Header(Header),
    Group(GroupState),
    Entry { group: GroupId, term: Term, index: Index, previous: Term, bytes: Vec<u8> },
    Ballot { group: GroupId, term: Term, vote: Option<NodeId> },
    Image { group: GroupId, void: Place, image: ImageName },
    Repaired(GroupId),
    Trim(u64),
    Nothing,
}

impl Scanned {
    /// Reads all of `file`, but not `known`: what an earlier life could not read it went on without, and what came
    /// after makes sense only without it, even if it can be read now. `bound`: checksums bind records to their place
    /// and to each other.
    pub(super) fn new(
        number: u64,
        file: &[u8],
        known: &[Hole],
        bound: bool,
    ) -> Result<Self, WalError> {
        let length = file.len() as u64;
        let known_at = |at| known.iter().find(|hole| hole.holds(number, at));
        if known_at(0).is_some_and(|hole| hole.to == u64::MAX) {
            return Ok(Self::unreadable(number));
        }
        let mut scanned = Self { number, items: Vec::new(), header: None, synced: 0, length };
        let (mut at, mut chain, mut holes) = (0, None, 0);
        while at < length {
            if let Some(hole) = known_at(at) {
                let to = hole.to.min(length);
                scanned.items.push(Item::Hole { from: at, to });
                (at, chain) = (to.next_multiple_of(ALIGN as u64), None);
                continue;
            }
            let found = read(file, number, at, bound)?;
            let fits =
                |framed: &Framed<'_>| !bound || chain.is_none_or(|chain| framed.chain == chain);
            if let Some(framed) = found.filter(fits) {
                let from = at;
                (at, chain) = (framed.end, Some(framed.crc));
                scanned.push(framed, from);
                continue;
            }
            let from = at;
            at += ALIGN as u64;
            holes += 1;
            while at < length && (holes > MOST_HOLES || read(file, number, at, bound)?.is_none()) {
                at += ALIGN as u64;
            }
            chain = None;
            scanned.items.push(Item::Hole { from, to: at.min(length) });
        }
        Ok(scanned)
    }

    /// A file that cannot be read, though it is not empty.
    pub(super) fn unreadable(number: u64) -> Self {
        let items = [Item::Hole { from: 0, to: u64::MAX }].into();
        Self { number, items, header: None, synced: 1, length: u64::MAX }
    }

    /// Where the part ends that counts, as far as this segment alone can tell; and whether there is more: a torn
    /// tail. `always_torn`: what follows a hole is never looked at.
    pub(super) fn end(&self, always_torn: bool) -> (u64, bool) {
        if self.length == u64::MAX {
            return (0, false);
        }
        for item in &self.items {
            if let Item::Hole { from, .. } = *item
                && (from >= self.synced || always_torn)
            {
                return (from, true);
            }
        }
        (self.length, false)
    }

    /// Whether some of it may have been synced.
    pub(super) fn may_count(&self) -> bool {
        self.length == u64::MAX || self.end(false).0 > 0
    }

    /// Holes before `end`.
    pub(super) fn holes(&self, end: u64) -> Vec<Hole> {
        let segment = self.number;
        let mut holes = Vec::new();
        if self.length == u64::MAX {
            holes.push(Hole { segment, from: 0, to: u64::MAX });
            return holes;
        }
        for item in &self.items {
            if let Item::Hole { from, to } = *item
                && from < end
            {
                holes.push(Hole { segment, from, to: to.min(end) });
            }
        }
        if self.length < end {
            holes.push(Hole { segment, from: self.length, to: end });
        }
        holes
    }

    /// What the header of the next segment has to say of this one.
    pub(super) fn tail(&self, end: u64) -> Tail {
        let chain = self.items.iter().find_map(|item| match *item {
            Item::Found { end: to, crc, .. } if to == end => Some(crc),
            Item::Found { .. } | Item::Hole { .. } => None,
        });
        Tail { segment: self.number, end, chain: chain.unwrap_or(0) }
    }

    fn push(&mut self, framed: Framed<'_>, from: u64) {
        let end = framed.end;
        if let Record::Mark(synced) = framed.record {
            self.synced = self.synced.max(synced);
        }
        if let Record::Header(header) = &framed.record
            && self.header.is_none()
        {
            self.header = Some(header.clone());
        }
        self.items.push(Item::Found { from, end, crc: framed.crc, said: own(framed.record) });
    }
}

/// The header that a segment begins with, if it is readable at its very beginning.
pub(super) fn first_header(
    number: u64,
    file: &[u8],
    bound: bool,
) -> Result<Option<Header>, WalError> {
    match read(file, number, 0, bound)?.map(|framed| framed.record) {
        Some(Record::Header(header)) => Ok(Some(header)),
        Some(_) | None => Ok(None),
    }
}

fn read(file: &[u8], number: u64, at: u64, bound: bool) -> Result<Option<Framed<'_>>, WalError> {
    take(file, number, at, bound).map_err(|OtherVersion(version)| WalError::Version(version))
}

fn own(record: Record<'_>) -> Said {
    match record {
        Record::Header(header) => Said::Header(header),
        Record::Group(state) => Said::Group(state),
        Record::Entry { group, term, index, previous, bytes } => {
            Said::Entry { group, term, index, previous, bytes: bytes.to_vec() }
        }
        Record::Ballot { group, term, vote } => Said::Ballot { group, term, vote },
        Record::Image { group, void, image } => Said::Image { group, void, image },
        Record::Repaired(group) => Said::Repaired(group),
        Record::Trim(oldest) => Said::Trim(oldest),
        Record::Mark(_) | Record::Padding(_) => Said::Nothing,
    }
}
