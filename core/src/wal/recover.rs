//! Reads the log back after a crash, and tells a torn tail from damage.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

use super::image;
use super::record::{Header, Hole, ImageName, Place, Record, Tail};
use super::replayed::Replayed;
use super::scan::{self, Item, Said, Scanned, Scans};
use super::writer::Wal;
use super::{Identity, Outline, Recovered, WalError};
use crate::config::Bug;
use crate::event::Event;
use crate::ids::{GroupId, Index, Life, NodeId, Term};
use crate::outputs::{DiskBatch, FileId};

/// Turns files back into what they say. Fed with whole files, in the order it asks for them.
#[derive(Debug)]
pub struct WalRecovery {
    identity: Identity,
    segment_bytes: u64,
    bug: Bug,
    wanted: Wanted,
    /// Segments on disk and their sizes, oldest first.
    segments: Vec<(u64, u64)>,
    snapshots: BTreeSet<(GroupId, Index)>,
    /// How many segments, counted from the oldest, have not been asked for the last header yet.
    ahead: usize,
    /// What the last header says cannot be read.
    lost: Vec<Hole>,
    /// Where it says that other segments end.
    ends: BTreeMap<u64, u64>,
    /// How many segments have been fed since.
    fed: usize,
    /// Images to read, last first. Filled when all segments have been fed.
    images: Vec<(GroupId, ImageName)>,
    /// Segments whose end is not known yet, oldest first.
    unsettled: Vec<Scanned>,
    /// Segments that count, oldest first.
    settled: Vec<u64>,
    found_holes: Vec<Hole>,
    groups: BTreeMap<GroupId, Replayed>,
    /// What was found in the segments that count; before they are fed, what an earlier reading found.
    scans: Scans,
    /// Copies of the segments that count, for the entries in them.
    contents: BTreeMap<u64, Vec<u8>>,
    /// From the last header, and the records after it.
    known: Known,
    tail: Tail,
    events: Vec<Event>,
}

/// What a log is read for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wanted {
    /// Entries and images are passed over.
    Ballots,
    /// The bytes of entries are passed over.
    Outlines,
    All,
}

/// What the last header says, and what the records after it add.
#[derive(Debug, Default)]
struct Known {
    holes: Vec<Hole>,
    oldest: u64,
    damaged: bool,
    life: Life,
}

/// What a life begins with, besides what is on the disk.
#[derive(Clone, Copy, Debug, Default)]
pub struct Beginning {
    /// Tells this life from one of the same number whose disk was lost.
    pub salt: u32,
    /// Whether other nodes hold copies. Then a disk without a log is either new or lost, and nobody can tell
    /// by the disk alone: all groups are damaged until the others have spoken.
    pub peers: bool,
}

impl WalRecovery {
    /// Given what the directory holds (names and sizes in bytes), decides what to read.
    pub fn new(
        identity: Identity,
        segment_bytes: u64,
        listing: &[(FileId, u64)],
        bug: Bug,
    ) -> Self {
        let mut segments = Vec::new();
        let mut snapshots = BTreeSet::new();
        for &(file, size) in listing {
            match file {
                FileId::Segment(number) => segments.push((number, size)),
                FileId::Snapshot { group, index } => {
                    snapshots.insert((group, index));
                }
            }
        }
        segments.sort_unstable();
        Self {
            identity,
            segment_bytes,
            bug,
            wanted: Wanted::All,
            ahead: segments.len(),
            lost: Vec::new(),
            ends: BTreeMap::new(),
            segments,
            snapshots,
            fed: 0,
            images: Vec::new(),
            unsettled: Vec::new(),
            settled: Vec::new(),
            found_holes: Vec::new(),
            groups: BTreeMap::new(),
            scans: Scans::default(),
            contents: BTreeMap::new(),
            known: Known::default(),
            tail: Tail::default(),
            events: Vec::new(),
        }
    }

    /// Only terms and votes are wanted: ask for [`WalRecovery::ballots`]. `earlier`: what an earlier reading of the
    /// same log has found, which has only grown since.
    #[must_use]
    pub fn ballots_only(self, earlier: Scans) -> Self {
        Self { wanted: Wanted::Ballots, scans: earlier, ..self }
    }

    /// No entry's bytes are wanted: ask for [`WalRecovery::outlines`]. `earlier`: as for
    /// [`WalRecovery::ballots_only`].
    #[must_use]
    pub fn outlines_only(self, earlier: Scans) -> Self {
        Self { wanted: Wanted::Outlines, scans: earlier, ..self }
    }

    /// The next file to feed, if any. The newest segments are wanted twice: first for what the last header says of
    /// all that is older.
    pub fn wants(&self) -> Option<FileId> {
        if let Some(newest) = self.ahead.checked_sub(1) {
            return Some(FileId::Segment(self.segments[newest].0));
        }
        if let Some(&(number, _)) = self.segments.get(self.fed) {
            return Some(FileId::Segment(number));
        }
        let &(group, image) = self.images.last()?;
        Some(FileId::Snapshot { group, index: image.index })
    }

    /// The whole content of the file asked for; `None` if it cannot be read.
    pub fn feed(&mut self, bytes: Option<&[u8]>) -> Result<(), WalError> {
        if let Some(newest) = self.ahead.checked_sub(1) {
            return self.look_ahead(newest, bytes);
        }
        if self.fed < self.segments.len() {
            self.feed_segment(bytes)?;
            if self.fed == self.segments.len() {
                self.settle_last();
                self.choose_images();
            }
            return Ok(());
        }
        let (group, image) = self.images.pop().expect("only what is wanted is fed");
        let read = bytes.map_or(Err(0), |file| image::read(group, &image, file));
        match read {
            Ok(chunks) => self.group(group).chunks = Some(chunks),
            Err(offset) => {
                let file = FileId::Snapshot { group, index: image.index };
                self.events.push(Event::Damaged { file, offset });
            }
        }
        Ok(())
    }

    /// The last term and vote written, of each group that the log tells of.
    pub fn ballots(self) -> (BTreeMap<GroupId, (Term, Option<NodeId>)>, Scans) {
        assert!(self.wants().is_none(), "everything that is wanted is fed first");
        let Self { groups, mut scans, settled, .. } = self;
        scans.retain(&settled);
        (groups.into_iter().map(|(id, replayed)| (id, replayed.ballot)).collect(), scans)
    }

    /// Each group that the log tells of, without the bytes of its entries.
    pub fn outlines(mut self) -> (BTreeMap<GroupId, Outline>, Scans) {
        self.judge_groups();
        let groups = self.groups.into_iter().map(|(id, replayed)| (id, replayed.outline()));
        (groups.collect(), self.scans)
    }

    /// What the files say, and the log to go on with: always in a new segment. All that is said here is
    /// durable only once [`super::Durable::Begun`] is told: it may come from a cache; `disk` gets the sync that
    /// makes it so. Files that nothing refers to are removed after that.
    pub fn finish(mut self, begin: Beginning, disk: &mut DiskBatch) -> (Recovered, Wal) {
        assert_eq!(self.wanted, Wanted::All, "an engine begins with all that there is");
        let fresh = self.judge_groups();
        let taken_for_new = Bug::LostDiskIsNew.active(self.bug);
        let unknown = begin.peers && self.known.life == Life(0) && !taken_for_new;
        let mut leftovers = Vec::new();
        if !fresh {
            // The record that named one of them may have been lost.
            leftovers.extend(self.orphans());
        }
        let number = self.next_number();
        let mut wal = Wal::empty(self.identity, self.segment_bytes, self.bug);
        wal.damaged = self.known.damaged || fresh || unknown;
        let mut recovered =
            Recovered { groups: BTreeMap::new(), events: self.events, damaged: wal.damaged };
        for (group, replayed) in self.groups {
            let (log, said) = replayed.resume(&self.contents);
            wal.groups.insert(group, log);
            recovered.groups.insert(group, said);
        }
        let oldest = self.known.oldest;
        for &(segment, _) in &self.segments {
            if segment >= oldest && self.settled.contains(&segment) {
                let end = self.ends[&segment];
                wal.segments.push_back((segment, end));
                wal.bytes += end;
            } else {
                leftovers.push(FileId::Segment(segment));
            }
        }
        // Not at once: what is said here is not durable, and what it was before may need them.
        wal.leftovers = leftovers;
        wal.holes = self.known.holes;
        wal.oldest = oldest;
        let last = wal.segments.back().map(|last| last.0);
        if last == Some(self.tail.segment) && self.tail.end > 0 {
            // It was read from a cache, perhaps: only a sync makes it durable.
            wal.unsynced = Some((self.tail.segment, self.tail.end));
        }
        let reused = Bug::LifeReused.active(self.bug) && self.known.life > Life(0);
        let life = if reused { self.known.life } else { Life::new(number, begin.salt) };
        wal.begin_life(number, life, self.tail);
        wal.retire_due = true;
        wal.flush(disk);
        (recovered, wal)
    }

    /// Looks for the last header that counts.
    fn look_ahead(&mut self, newest: usize, bytes: Option<&[u8]>) -> Result<(), WalError> {
        self.ahead = newest;
        let number = self.segments[newest].0;
        let bound = !Bug::ChecksumNotChained.active(self.bug);
        if let Some(header) = scan::first_header(number, bytes.unwrap_or_default(), bound)? {
            // Whatever comes behind it, it counts: nothing else need be read yet.
            if header.identity != self.identity {
                return Err(WalError::Foreign(header.identity));
            }
            self.go_by(header);
            return Ok(());
        }
        let scanned = self.scan(newest, bytes)?;
        if scanned.may_count()
            && let Some(header) = scanned.header()
        {
            self.go_by(header.clone());
        }
        Ok(())
    }

    /// The last header that counts.
    fn go_by(&mut self, header: Header) {
        self.ahead = 0;
        self.lost = header.holes;
        self.ends = header.ends.into_iter().collect();
    }

    fn scan(&mut self, at: usize, bytes: Option<&[u8]>) -> Result<Scanned, WalError> {
        let (number, size) = self.segments[at];
        let bound = !Bug::ChecksumNotChained.active(self.bug);
        let scanned = match bytes {
            Some(bytes) => {
                let all_counts = self.lost.iter().all(|hole| hole.segment != number);
                match self.scans.take(number, bytes).filter(|_| all_counts) {
                    Some(earlier) => earlier.read_on(bytes, &self.lost, bound)?,
                    None => Scanned::new(number, bytes, &self.lost, bound)?,
                }
            }
            None if size == 0 => Scanned::new(number, &[], &self.lost, bound)?,
            None => Scanned::unreadable(number),
        };
        match scanned.header() {
            Some(header) if header.identity != self.identity => {
                Err(WalError::Foreign(header.identity))
            }
            Some(_) | None => Ok(scanned),
        }
    }

    fn feed_segment(&mut self, bytes: Option<&[u8]>) -> Result<(), WalError> {
        let scanned = self.scan(self.fed, bytes)?;
        self.fed += 1;
        if self.wanted == Wanted::All
            && let Some(bytes) = bytes
        {
            self.contents.insert(scanned.number, bytes.to_vec());
        }
        if let Some(header) = scanned.header() {
            self.settle_before(header.previous);
        }
        self.unsettled.push(scanned);
        Ok(())
    }

    /// The next header says where the log ended before it.
    fn settle_before(&mut self, previous: Tail) {
        let mut met = previous.segment == 0 || self.fed == 1;
        // A torn segment in between may have said the same before.
        met |= self.settled.contains(&previous.segment);
        for scanned in core::mem::take(&mut self.unsettled) {
            if scanned.number > previous.segment {
                // It was not known to hold anything when the next one was begun.
                continue;
            }
            if scanned.number == previous.segment {
                met = true;
                if self.chain_matters(previous)
                    && scanned.tail(previous.end).chain != previous.chain
                {
                    let (segment, to) = (previous.segment, previous.end);
                    self.found_holes.push(Hole { segment, from: to - to.min(1), to });
                }
                self.settle(scanned, previous.end);
            } else {
                let end = self.end_of(&scanned, false).0;
                self.settle(scanned, end);
            }
        }
        if !met && !Bug::DamageIsTorn.active(self.bug) {
            self.found_holes.push(Hole { segment: previous.segment, from: 0, to: u64::MAX });
        }
    }

    /// Whether the next header knows which record was the last of this segment.
    fn chain_matters(&self, previous: Tail) -> bool {
        let planted = [Bug::DamageIsTorn, Bug::ChecksumNotChained];
        previous.chain != 0 && !planted.iter().any(|bug| bug.active(self.bug))
    }

    /// No further header says where the log ends.
    fn settle_last(&mut self) {
        while self.unsettled.last().is_some_and(|last| !last.may_count()) {
            let last = self.unsettled.pop().expect("it was just looked at");
            self.events.push(Event::TornTail { file: FileId::Segment(last.number), offset: 0 });
        }
        let always_torn = Bug::DamageIsTorn.active(self.bug);
        for scanned in core::mem::take(&mut self.unsettled) {
            let (end, torn) = self.end_of(&scanned, always_torn);
            if torn {
                let file = FileId::Segment(scanned.number);
                self.events.push(Event::TornTail { file, offset: end });
            }
            self.settle(scanned, end);
        }
    }

    /// Where the part of a segment ends that counts, if the next header does not say so; and whether there is
    /// more: a torn tail.
    fn end_of(&self, scanned: &Scanned, always_torn: bool) -> (u64, bool) {
        let said = self.ends.get(&scanned.number).filter(|_| !always_torn);
        said.map_or_else(|| scanned.end(always_torn), |end| (*end, false))
    }

    /// Takes in what a segment says before `end`.
    fn settle(&mut self, scanned: Scanned, end: u64) {
        self.tail = scanned.tail(end);
        self.settled.push(scanned.number);
        self.ends.insert(scanned.number, end);
        let always_torn = Bug::DamageIsTorn.active(self.bug);
        if !always_torn {
            self.found_holes.extend(scanned.holes(end));
        }
        for item in &scanned.items {
            match *item {
                Item::Found { from, end: to, said, .. } if to <= end => match said {
                    Said::Nothing => {}
                    Said::Entry(_) if self.wanted == Wanted::Ballots => {}
                    Said::Entry(head) => {
                        let place = Place { segment: scanned.number, offset: from };
                        self.group(head.group).append(place, head);
                    }
                    Said::Other(at) => self.apply(&scanned.others[at as usize]),
                },
                Item::Hole { .. } if always_torn => break,
                Item::Found { .. } | Item::Hole { .. } => {}
            }
        }
        self.scans.keep(scanned);
    }

    fn apply(&mut self, record: &Record<'_>) {
        match *record {
            Record::Header(ref header) => self.apply_header(header),
            Record::Group(state) => {
                let replayed = self.group(state.group);
                replayed.damaged = state.damaged;
                replayed.ballot = (state.term, state.vote);
                replayed.image = state.image;
                replayed.void(state.void);
            }
            Record::Ballot { group, term, vote } => self.group(group).ballot = (term, vote),
            Record::Image { group, void, image } => {
                let replayed = self.group(group);
                replayed.image = Some(image);
                replayed.void(void);
            }
            Record::Repaired(group) => self.group(group).damaged = false,
            Record::Trim(oldest) => self.known.oldest = self.known.oldest.max(oldest),
            Record::Entry { .. } | Record::Mark(_) | Record::Gap(_) => {
                unreachable!("these are no others")
            }
        }
    }

    fn apply_header(&mut self, header: &Header) {
        self.known.holes.clone_from(&header.holes);
        self.known.oldest = self.known.oldest.max(header.oldest);
        self.known.damaged = header.damaged;
        self.known.life = header.life;
    }

    fn group(&mut self, group: GroupId) -> &mut Replayed {
        let damaged = self.known.damaged;
        self.groups.entry(group).or_insert_with(|| Replayed::new(damaged))
    }

    fn choose_images(&mut self) {
        if self.wanted == Wanted::Ballots {
            return;
        }
        for (&group, replayed) in self.groups.iter().rev() {
            let Some(image) = replayed.image else { continue };
            if self.snapshots.contains(&(group, image.index)) {
                self.images.push((group, image));
            } else {
                let file = FileId::Snapshot { group, index: image.index };
                self.events.push(Event::Damaged { file, offset: 0 });
            }
        }
    }

    /// Whether there are holes that were not known before; they are from now on, until they do not matter any more.
    fn judge_holes(&mut self) -> bool {
        let oldest = self.known.oldest;
        let there = |number| self.segments.iter().any(|segment| segment.0 == number);
        if oldest > 0 && !there(oldest) {
            self.found_holes.push(Hole { segment: oldest, from: 0, to: u64::MAX });
        }
        for (&segment, &to) in &self.ends {
            if segment >= oldest && !self.settled.contains(&segment) {
                self.found_holes.push(Hole { segment, from: 0, to });
            }
        }
        // Not every life finds all that is known: the header that tells of a hole may lie in another one.
        let known = &mut self.known.holes;
        known.extend(
            self.lost.iter().filter(|hole| !hole.is_within(known)).copied().collect::<Vec<_>>(),
        );
        known.retain(|hole| hole.segment >= oldest);
        let is_new = |hole: &&Hole| hole.segment >= oldest && !hole.is_within(known);
        let fresh: Vec<Hole> = self.found_holes.iter().filter(is_new).copied().collect();
        known.extend_from_slice(&fresh);
        for hole in &fresh {
            let file = FileId::Segment(hole.segment);
            self.events.push(Event::Damaged { file, offset: hole.from });
        }
        // Images are there only behind a log that names them.
        let no_log = self.settled.is_empty() && !self.snapshots.is_empty();
        if no_log && let Some(&(group, index)) = self.snapshots.first() {
            let file = FileId::Snapshot { group, index };
            self.events.push(Event::Damaged { file, offset: 0 });
        }
        !fresh.is_empty() || no_log
    }

    /// What is left of each group once it is known what cannot be read; whether that is news.
    fn judge_groups(&mut self) -> bool {
        assert!(self.wanted != Wanted::Ballots, "a group is judged by all that the log says");
        assert!(self.wants().is_none(), "everything that is wanted is fed first");
        let fresh = self.judge_holes();
        self.scans.retain(&self.settled);
        let now = Place { segment: self.next_number(), offset: 0 };
        for replayed in self.groups.values_mut() {
            replayed.damaged |= fresh;
            replayed.drop_if_no_image(now);
            replayed.entries.retain(|entry| entry.place.segment >= self.known.oldest);
        }
        fresh
    }

    /// Images that no record names. One that is named and unreadable stays, for those who can read better.
    fn orphans(&self) -> impl Iterator<Item = FileId> {
        let is_orphan = |&(group, index): &(GroupId, Index)| {
            let named = self.groups.get(&group).and_then(|replayed| replayed.image);
            named.is_none_or(|image| image.index != index)
        };
        let orphans = self.snapshots.iter().copied().filter(is_orphan);
        orphans.map(|(group, index)| FileId::Snapshot { group, index })
    }

    fn next_number(&self) -> u64 {
        let listed = self.segments.last().map_or(0, |segment| segment.0);
        listed.max(self.known.oldest).max(self.known.life.number()) + 1
    }
}
