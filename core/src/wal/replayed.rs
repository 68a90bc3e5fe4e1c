//! What the records of one group come to, one after the other.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use super::group::GroupLog;
use super::record::{ENTRY_HEAD, ImageName, Place};
use super::scan::EntryHead;
use super::{Entries, Outline, RecoveredGroup};
use crate::ids::{Index, NodeId, Term};

/// What the records of a group come to.
#[derive(Debug)]
pub(super) struct Replayed {
    pub(super) damaged: bool,
    pub(super) ballot: (Term, Option<NodeId>),
    pub(super) image: Option<ImageName>,
    pub(super) chunks: Option<Vec<Vec<u8>>>,
    pub(super) void: Place,
    /// By index, which rises.
    pub(super) entries: Vec<Entry>,
}

/// Where an entry is, and what joins it to others.
#[derive(Debug)]
pub(super) struct Entry {
    index: Index,
    term: Term,
    previous: Term,
    pub(super) place: Place,
    /// How many bytes it has.
    length: u32,
}

impl Replayed {
    pub(super) fn new(damaged: bool) -> Self {
        Self {
            damaged,
            ballot: (Term(0), None),
            image: None,
            chunks: None,
            void: Place::default(),
            entries: Vec::new(),
        }
    }

    /// An entry voids what was there at its index and beyond.
    pub(super) fn append(&mut self, place: Place, head: EntryHead) {
        let EntryHead { term, index, previous, length, .. } = head;
        while self.entries.last().is_some_and(|last| last.index >= index) {
            self.entries.pop();
        }
        self.entries.push(Entry { index, term, previous, place, length });
    }

    /// Forgets entries that are void or that the image holds.
    pub(super) fn void(&mut self, void: Place) {
        if self.void != void {
            self.void = void;
            self.entries.retain(|entry| entry.place >= void);
        }
        let image = self.image.map_or(Index(0), |image| image.index);
        let held = self.entries.partition_point(|entry| entry.index <= image);
        self.entries.drain(..held);
    }

    /// Without the image that the log names, the group has nothing that makes sense.
    pub(super) fn drop_if_no_image(&mut self, now: Place) {
        if self.image.is_some() && self.chunks.is_none() {
            self.image = None;
            self.damaged = true;
            self.void = now;
            self.entries.clear();
        }
    }

    /// The entry that the image reaches up to, and the entries behind it up to the first gap.
    fn entries(&self) -> ((Index, Term), impl Iterator<Item = &Entry>) {
        let image = self.image.map_or((Index(0), Term(0)), |image| (image.index, image.term));
        let mut last = image;
        let beyond = self.entries.iter().skip_while(move |entry| entry.index <= image.0);
        let joined = beyond.take_while(move |entry| {
            let joins = entry.index == last.0.next() && entry.previous == last.1;
            last = (entry.index, entry.term);
            joins
        });
        (image, joined)
    }

    pub(super) fn outline(&self) -> Outline {
        let ((before, _), entries) = self.entries();
        let terms = entries.map(|entry| entry.term).collect();
        Outline { ballot: self.ballot, damaged: self.damaged, before, terms }
    }

    /// The part without a gap, for the group and for the writer. `contents`: of the segments that count.
    pub(super) fn resume(self, contents: &BTreeMap<u64, Vec<u8>>) -> (GroupLog, RecoveredGroup) {
        let mut log = GroupLog::new(self.damaged);
        log.ballot = self.ballot;
        log.void = self.void;
        let ((before, before_term), joined) = self.entries();
        if self.image.is_some() {
            log.restart(before, before_term);
        }
        let mut entries = Entries::default();
        let (mut number, mut segment) = (0, &[][..]);
        for entry in joined {
            log.append(entry.place.segment, entry.term, entry.index);
            if entry.place.segment != number {
                number = entry.place.segment;
                segment = &contents[&number];
            }
            let start = entry.place.offset as usize + ENTRY_HEAD;
            let bytes = &segment[start..start + entry.length as usize];
            entries.push(entry.term, entry.index, bytes);
        }
        (log.named, log.durable) = (self.image, self.image);
        let image = self.image.zip(self.chunks);
        let image = image.map(|(image, chunks)| (image.index, image.term, chunks));
        let said = RecoveredGroup { ballot: self.ballot, image, entries, damaged: self.damaged };
        (log, said)
    }
}
