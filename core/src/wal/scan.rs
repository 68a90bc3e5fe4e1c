//! Finds the records in the bytes of one segment, whatever happened to them.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use super::WalError;
use super::record::{ALIGN, Framed, Header, Hole, OtherVersion, Record, Tail, take};
use crate::ids::{GroupId, Index, Term};

/// A segment with more holes than this is taken for one hole from there on.
const MOST_HOLES: usize = 64;

/// Bytes of a usual record: memory for what is found is asked for once.
const USUAL: usize = 96;

/// What was found in a segment, in order.
#[derive(Debug)]
pub(super) struct Scanned {
    pub(super) number: u64,
    pub(super) items: Vec<Item>,
    /// What records say that are neither entries nor only for this reader.
    pub(super) others: Vec<Record<'static>>,
    /// Everything before was synced, says a record somewhere.
    synced: u64,
    /// How much was read: where the last item ends.
    length: u64,
    /// Whether all of it was records.
    whole: bool,
    /// Whether there are bytes that were not even looked at.
    passed_over: bool,
}

/// A record, or bytes that are none.
#[derive(Clone, Copy, Debug)]
pub(super) enum Item {
    Found { from: u64, end: u64, crc: u32, said: Said },
    Hole { from: u64, to: u64 },
}

impl Item {
    fn end(&self) -> u64 {
        match *self {
            Self::Found { end, .. } | Self::Hole { to: end, .. } => end,
        }
    }
}

/// What a record says.
#[derive(Clone, Copy, Debug)]
pub(super) enum Said {
    /// Nothing that outlasts the reading of the segment.
    Nothing,
    Entry(EntryHead),
    /// Which of [`Scanned::others`].
    Other(u32),
}

/// An entry without its bytes.
#[derive(Clone, Copy, Debug)]
pub(super) struct EntryHead {
    pub(super) group: GroupId,
    pub(super) term: Term,
    pub(super) index: Index,
    pub(super) previous: Term,
    /// How many bytes it has.
    pub(super) length: u32,
}

/// What a reading of a log has found, for whoever reads the same log again when it has grown. Where anything but
/// growth may have befallen it, this must be forgotten.
#[derive(Debug, Default)]
pub struct Scans(BTreeMap<u64, Scanned>);

impl Scans {
    /// What was kept of a segment. One with holes can only be taken as it is: what follows may begin in one.
    pub(super) fn take(&mut self, number: u64, file: &[u8]) -> Option<Scanned> {
        let scanned = self.0.remove(&number)?;
        let length = file.len() as u64;
        debug_assert!(length >= scanned.length || scanned.length == u64::MAX, "a log only grows");
        let as_it_was = length == scanned.length && !scanned.passed_over;
        (as_it_was || scanned.whole).then_some(scanned)
    }

    pub(super) fn keep(&mut self, scanned: Scanned) {
        self.0.insert(scanned.number, scanned);
    }

    /// Forgets all other segments.
    pub(super) fn retain(&mut self, segments: &[u64]) {
        self.0.retain(|number, _| segments.contains(number));
    }
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
        if known.iter().any(|hole| hole.holds(number, 0) && hole.to == u64::MAX) {
            return Ok(Self::unreadable(number));
        }
        let (items, others) = (Vec::with_capacity(file.len() / USUAL), Vec::new());
        let (synced, length, whole, passed_over) = (0, 0, true, false);
        let empty = Self { number, items, others, synced, length, whole, passed_over };
        empty.read_on(file, known, bound)
    }

    /// Reads what `file` has more than was read of it so far.
    pub(super) fn read_on(
        mut self,
        file: &[u8],
        known: &[Hole],
        bound: bool,
    ) -> Result<Self, WalError> {
        let number = self.number;
        let known_at = |at| known.iter().find(|hole| hole.holds(number, at));
        let length = file.len() as u64;
        let (mut at, mut chain, mut holes) = (self.length, None, 0);
        if let Some(&Item::Found { crc, .. }) = self.items.last() {
            chain = Some(crc);
        }
        self.length = length;
        while at < length {
            if let Some(hole) = known_at(at) {
                let to = hole.to.min(length);
                self.hole(at, to);
                self.passed_over = true;
                (at, chain) = (to.next_multiple_of(ALIGN as u64), None);
                continue;
            }
            let found = read(file, number, at, bound)?;
            let fits =
                |framed: &Framed<'_>| !bound || chain.is_none_or(|chain| framed.chain == chain);
            if let Some(framed) = found.filter(fits) {
                let from = at;
                (at, chain) = (framed.end, Some(framed.crc));
                self.push(framed, from);
                continue;
            }
            let from = at;
            at += ALIGN as u64;
            holes += 1;
            while at < length && (holes > MOST_HOLES || read(file, number, at, bound)?.is_none()) {
                at += ALIGN as u64;
            }
            chain = None;
            self.hole(from, at.min(length));
        }
        Ok(self)
    }

    /// The first header that is readable: there are two.
    pub(super) fn header(&self) -> Option<&Header> {
        self.others.iter().find_map(|record| match record {
            Record::Header(header) => Some(header),
            _ => None,
        })
    }

    /// A file that cannot be read, though it is not empty.
    pub(super) fn unreadable(number: u64) -> Self {
        let items = [Item::Hole { from: 0, to: u64::MAX }].into();
        let (synced, length, whole, passed_over) = (1, u64::MAX, false, true);
        Self { number, items, others: Vec::new(), synced, length, whole, passed_over }
    }

    /// Where the part ends that counts, as far as this segment alone can tell; and whether there is more: a torn
    /// tail. `always_torn`: what follows a hole is never looked at.
    pub(super) fn end(&self, always_torn: bool) -> (u64, bool) {
        if self.length == u64::MAX {
            return (0, false);
        }
        if self.whole {
            return (self.length, false);
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
        let some = if self.whole { &[] } else { self.items.as_slice() };
        for item in some {
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
        let there = self.items.binary_search_by_key(&end, Item::end);
        let chain = match there.map(|at| self.items[at]) {
            Ok(Item::Found { crc, .. }) => crc,
            Ok(Item::Hole { .. }) | Err(_) => 0,
        };
        Tail { segment: self.number, end, chain }
    }

    fn push(&mut self, framed: Framed<'_>, from: u64) {
        let Framed { end, crc, record, .. } = framed;
        let said = match record {
            Record::Mark(synced) => {
                self.synced = self.synced.max(synced);
                Said::Nothing
            }
            Record::Gap(_) => Said::Nothing,
            Record::Entry { group, term, index, previous, bytes } => {
                let length = bytes.len() as u32;
                Said::Entry(EntryHead { group, term, index, previous, length })
            }
            Record::Header(header) => self.keep(Record::Header(header)),
            Record::Group(state) => self.keep(Record::Group(state)),
            Record::Ballot { group, term, vote } => self.keep(Record::Ballot { group, term, vote }),
            Record::Image { group, void, image } => self.keep(Record::Image { group, void, image }),
            Record::Repaired(group) => self.keep(Record::Repaired(group)),
            Record::Trim(oldest) => self.keep(Record::Trim(oldest)),
        };
        self.items.push(Item::Found { from, end, crc, said });
    }

    fn hole(&mut self, from: u64, to: u64) {
        self.whole = false;
        self.items.push(Item::Hole { from, to });
    }

    fn keep(&mut self, record: Record<'static>) -> Said {
        self.others.push(record);
        Said::Other(self.others.len() as u32 - 1)
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
