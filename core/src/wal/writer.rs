//! The log being written: records gather in memory, a flush hands them to the disk, a sync credits them.

use alloc::collections::{BTreeMap, VecDeque};
use alloc::vec::Vec;

use super::group::GroupLog;
use super::image::ImageWriter;
use super::record::{APART, Header, Hole, ImageName, Place, Record, Tail};
use super::unwritten::Unwritten;
use super::{Durable, Identity};
use crate::config::Bug;
use crate::ids::{GroupId, Index, Life, NodeId, Term};
use crate::outputs::{DiskBatch, DiskOp, FileId, SyncToken};

/// The log being written, and at most one image a group.
///
/// What is told durable is told in the order it was written, except that ballots and names of images are told
/// behind the rest of their turn (they are written twice), and entries that rest on an image from a
/// leader are told behind it. Nothing may be promised before [`Durable::Begun`]: until then neither this
/// life's number nor what was recovered is sure to be on the disk.
#[derive(Debug)]
pub struct Wal {
    pub(super) identity: Identity,
    pub(super) segment_bytes: u64,
    pub(super) bug: Bug,
    pub(super) life: Life,
    /// The next segment is the first of this life.
    pub(super) rising: bool,
    pub(super) groups: BTreeMap<GroupId, GroupLog>,
    /// Whether groups that are not in `groups` are damaged.
    pub(super) damaged: bool,
    pub(super) holes: Vec<Hole>,
    /// Number and bytes on disk of each segment, oldest first; the last is being written.
    pub(super) segments: VecDeque<(u64, u64)>,
    pub(super) bytes: u64,
    /// Segments below are declared superfluous.
    pub(super) oldest: u64,
    /// Files to remove once this life has durably begun.
    pub(super) leftovers: Vec<FileId>,
    /// The segment before, and its length, if it has to be synced before this one may be written to.
    pub(super) unsynced: Option<(u64, u64)>,
    /// How much of it that is.
    pub(super) unsynced_bytes: u64,
    /// This segment: its number, what is written of it, synced, and known synced to a reader.
    pub(super) number: u64,
    pub(super) written: u64,
    pub(super) synced: u64,
    pub(super) marked: u64,
    /// Where its checkpoint ends.
    pub(super) start: u64,
    pub(super) chain: u32,
    /// Records of this turn, or of all turns since the segment was begun if it may not be written to yet.
    pub(super) buffer: Unwritten,
    /// Records that were written once in this turn and must be again, what waits for that, and where the last of
    /// them ends.
    pub(super) copies: Vec<(Record<'static>, Awaited)>,
    pub(super) copies_from: u64,
    pub(super) pending: VecDeque<Pending>,
    pub(super) in_flight: Option<(SyncToken, Flight)>,
    pub(super) tokens: u64,
    /// Entries written in this life.
    pub(super) records: u64,
    /// Images that get chunks.
    pub(super) open: BTreeMap<GroupId, Open>,
    /// Images that are complete, in order; the first is being synced or waits for it.
    pub(super) ended: VecDeque<Ended>,
    /// Whether the last sync was an image's: the log has the next one.
    pub(super) image_was_last: bool,
    /// Entries that are durable, but rest on an image that is not yet.
    pub(super) held: Vec<(GroupId, Durable)>,
    pub(super) retire_due: bool,
    /// Whether this life has durably begun.
    pub(super) begun: bool,
    /// Work on images until then: a disk with images and no log is one that has lost its log.
    pub(super) early: DiskBatch,
}

/// What becomes true once the log is durable up to `end`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pending {
    pub(super) end: Place,
    pub(super) what: Awaited,
}

/// What waits for durability.
#[derive(Clone, Copy, Debug)]
pub(super) enum Awaited {
    /// To be told.
    Tell(Durable),
    /// The record that names an image.
    Image { group: GroupId, image: ImageName, installed: bool },
    /// The record after which segments below this number may be removed.
    Trim(u64),
}

/// What a sync in flight is for.
#[derive(Clone, Copy, Debug)]
pub(super) enum Flight {
    /// The log up to here.
    Log(Place),
    /// The file of the first of the images that have ended.
    Image,
}

/// An image that gets chunks.
#[derive(Debug)]
pub(super) enum Open {
    /// Being written.
    New(ImageWriter),
    /// The same is on disk already: it may not be overwritten while it is needed.
    Known(ImageName),
}

/// An image that is complete.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ended {
    pub(super) group: GroupId,
    pub(super) image: ImageName,
    pub(super) installed: bool,
    /// Entries of the group before this place are void by it.
    pub(super) void: Place,
    pub(super) synced: bool,
    pub(super) named: bool,
}

impl Wal {
    /// A log for a node that has never run here.
    pub fn new(identity: Identity, segment_bytes: u64, bug: Bug) -> Self {
        let mut wal = Self::empty(identity, segment_bytes, bug);
        wal.begin_life(1, Life::new(1, 0), Tail::default());
        wal
    }

    /// The number of this life, larger than that of any earlier one on this disk. It may be told to others
    /// from [`Durable::Begun`] on.
    pub fn life(&self) -> Life {
        self.life
    }

    /// Others have heard lives up to `above` of a node that this disk knows nothing of: it was put back to an
    /// older state. Begins a life above them; [`Durable::Begun`] is told again. `damaged`: from then on,
    /// groups that nothing is written of are.
    pub fn rise(&mut self, above: Life, salt: u32, damaged: bool) {
        let number = above.number().max(self.number) + 1;
        self.life = Life::new(number, salt);
        self.rising = true;
        self.damaged |= damaged;
    }

    /// With the life that is about to begin, a group is damaged.
    pub fn doubt(&mut self, group: GroupId) {
        self.group(group).damaged = true;
    }

    /// An entry. Replaces what was at its index and beyond; at most one beyond the last. Returns the number
    /// of its record, which [`Durable::Entry`] will name.
    pub fn entry(&mut self, group: GroupId, term: Term, index: Index, entry: &[u8]) -> u64 {
        self.records += 1;
        let record = self.records;
        self.make_room();
        let number = self.number;
        let previous = self.group(group).append(number, term, index);
        self.put(&Record::Entry { group, term, index, previous, bytes: entry });
        let end = self.end();
        // What is on its way to the disk already must not wait for this one.
        let in_buffer = self.written;
        if let Some(pending) = self.pending.back_mut()
            && let Awaited::Tell(Durable::Entry {
                group: same,
                term: last_term,
                index: last,
                record: last_record,
            }) = &mut pending.what
            && (*same, last.next()) == (group, index)
            && pending.end.segment == number
            && pending.end.offset > in_buffer
        {
            (*last_term, *last, *last_record) = (term, index, record);
            pending.end = end;
            return record;
        }
        self.tell_at(end, Durable::Entry { group, term, index, record });
        record
    }

    /// A term and vote.
    pub fn ballot(&mut self, group: GroupId, term: Term, vote: Option<NodeId>) {
        if Bug::TermNotDurable.active(self.bug) {
            let end = self.end();
            self.tell_at(end, Durable::Ballot { group, term, vote });
            return;
        }
        self.make_room();
        let log = self.group(group);
        assert!(term >= log.ballot.0, "a group's term only grows");
        log.ballot = (term, vote);
        let told = Durable::Ballot { group, term, vote };
        self.put_twice(Record::Ballot { group, term, vote }, Awaited::Tell(told));
    }

    /// A damaged replica is whole again (see [`super::RecoveredGroup::damaged`]).
    pub fn repaired(&mut self, group: GroupId) {
        self.make_room();
        self.group(group).damaged = false;
        self.put(&Record::Repaired(group));
        let end = self.end();
        self.tell_at(end, Durable::Repaired { group });
    }

    /// The group that keeps the oldest segment alive, if the log is longer than `most` bytes: it should
    /// make an image. None while an image that will help is being made.
    pub fn wants_image(&self, most: u64) -> Option<GroupId> {
        let oldest = self.segments.front().map_or(0, |segment| segment.0);
        if self.bytes() <= most || oldest == self.number {
            return None;
        }
        let busy = |group: &GroupId| {
            self.open.contains_key(group)
                || self.ended.iter().any(|ended| ended.group == *group)
                || self.groups[group].named != self.groups[group].durable
        };
        let mut holding = self.groups.iter().filter(|(_, log)| log.oldest_needed() == Some(oldest));
        holding.find(|(group, _)| !busy(group)).map(|(group, _)| *group)
    }

    /// Hands this turn's records to the disk, and asks for a sync if none is on its way. To be called at the end
    /// of every turn, also of one that wrote nothing but took note of a sync.
    pub fn flush(&mut self, disk: &mut DiskBatch) {
        self.copy();
        self.write(disk);
        if self.rising && self.buffer.is_empty() {
            self.make_room();
            self.write(disk);
        }
        self.ask_sync(disk);
    }

    /// Takes note of a finished sync and tells what it covers.
    pub fn synced(
        &mut self,
        token: SyncToken,
        disk: &mut DiskBatch,
        durable: &mut dyn FnMut(Durable),
    ) {
        let (asked, flight) = self.in_flight.take().expect("only a sync that was asked for ends");
        assert!(asked == token, "one sync at a time is on its way");
        match flight {
            Flight::Image => {
                self.ended.front_mut().expect("an image stays until it is named").synced = true;
                self.name_images();
            }
            Flight::Log(end) => {
                self.note_synced(end);
                while self.pending.front().is_some_and(|pending| pending.end <= end) {
                    let pending = self.pending.pop_front().expect("it was just looked at");
                    self.credit(pending, disk, durable);
                }
                if self.retire_due {
                    self.retire();
                }
            }
        }
    }

    /// Whether a sync is on its way, and of how many bytes: for the engine to time it.
    pub fn in_flight(&self) -> Option<u64> {
        let (_, flight) = self.in_flight?;
        Some(match flight {
            Flight::Log(end) if end.segment == self.number => end.offset - self.synced,
            Flight::Log(_) => self.unsynced_bytes,
            Flight::Image => self.ended.front().map_or(0, |ended| ended.image.bytes),
        })
    }

    /// Bytes of log on disk.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// A log without a segment.
    pub(super) fn empty(identity: Identity, segment_bytes: u64, bug: Bug) -> Self {
        Self {
            identity,
            segment_bytes,
            bug,
            life: Life(0),
            rising: false,
            groups: BTreeMap::new(),
            damaged: false,
            holes: Vec::new(),
            segments: VecDeque::new(),
            bytes: 0,
            oldest: 0,
            leftovers: Vec::new(),
            unsynced: None,
            unsynced_bytes: 0,
            number: 0,
            written: 0,
            synced: 0,
            marked: 0,
            start: 0,
            chain: 0,
            buffer: Unwritten::default(),
            copies: Vec::new(),
            copies_from: 0,
            pending: VecDeque::new(),
            in_flight: None,
            tokens: 0,
            records: 0,
            open: BTreeMap::new(),
            ended: VecDeque::new(),
            image_was_last: false,
            held: Vec::new(),
            retire_due: false,
            begun: false,
            early: DiskBatch::default(),
        }
    }

    /// Begins the first segment of a life.
    pub(super) fn begin_life(&mut self, number: u64, life: Life, previous: Tail) {
        self.life = life;
        if self.oldest == 0 {
            self.oldest = number;
        }
        self.begin_segment(number, previous);
        let end = self.end();
        self.tell_at(end, Durable::Begun);
    }

    /// Begins a segment: a header and a checkpoint of all groups, twice, so that no bad sector takes both.
    fn begin_segment(&mut self, number: u64, previous: Tail) {
        assert!(number > self.number, "numbers of segments are not used again");
        assert!(self.buffer.is_empty(), "a flush goes to one segment");
        (self.number, self.chain) = (number, previous.chain);
        (self.written, self.synced, self.marked) = (0, 0, 0);
        let others = self.segments.iter().filter(|segment| segment.0 != previous.segment);
        let ends = others.copied().collect();
        self.segments.push_back((number, 0));
        let header = Record::Header(Header {
            identity: self.identity,
            life: self.life,
            oldest: self.oldest,
            previous,
            damaged: self.damaged,
            holes: self.holes.clone(),
            ends,
        });
        let states: Vec<_> = self.groups.iter().map(|(&group, log)| log.state(group)).collect();
        for copy in 0..2 {
            if copy > 0 {
                self.put(&Record::Gap(APART as u32));
            }
            self.put(&header);
            for &state in &states {
                self.put(&Record::Group(state));
            }
        }
        self.start = self.end().offset;
    }

    /// Before the first record of a turn: begins a new segment if this one is full, and says what is known
    /// synced if there is news.
    fn make_room(&mut self) {
        if !self.buffer.is_empty() {
            return;
        }
        if self.rising || self.is_full() {
            let previous = Tail { segment: self.number, end: self.written, chain: self.chain };
            assert!(self.unsynced.is_none(), "a segment is written to only after the one before");
            if self.synced < self.written {
                self.unsynced = Some((self.number, self.written));
                self.unsynced_bytes = self.written - self.synced;
            }
            if core::mem::take(&mut self.rising) {
                self.begin_life(self.life.number(), self.life, previous);
            } else {
                self.begin_segment(self.number + 1, previous);
            }
        } else {
            self.mark();
        }
    }

    fn is_full(&self) -> bool {
        self.written >= self.start + self.segment_bytes
    }

    fn mark(&mut self) {
        if self.synced > self.marked {
            self.marked = self.synced;
            self.put(&Record::Mark(self.synced));
        }
    }

    pub(super) fn group(&mut self, group: GroupId) -> &mut GroupLog {
        let damaged = self.damaged;
        self.groups.entry(group).or_insert_with(|| GroupLog::new(damaged))
    }

    /// Where the next record goes.
    pub(super) fn end(&self) -> Place {
        Place { segment: self.number, offset: self.written + self.buffer.length() }
    }

    fn put(&mut self, record: &Record<'_>) {
        let place = self.end();
        let bound = !Bug::ChecksumNotChained.active(self.bug);
        self.chain = self.buffer.put(place, self.chain, record, bound);
    }

    fn tell_at(&mut self, end: Place, durable: Durable) {
        self.await_at(end, Awaited::Tell(durable));
    }

    pub(super) fn await_at(&mut self, end: Place, what: Awaited) {
        self.pending.push_back(Pending { end, what });
    }

    /// Appends a record outside of any turn's own: it is written with the next flush.
    pub(super) fn append(&mut self, record: &Record<'_>) -> Place {
        self.make_room();
        self.put(record);
        self.end()
    }

    /// Appends a record that no single bad sector may take: the flush writes it once more.
    pub(super) fn put_twice(&mut self, record: Record<'static>, awaited: Awaited) {
        self.make_room();
        self.put(&record);
        self.copies.push((record, awaited));
        self.copies_from = self.end().offset;
    }

    /// Writes again what must be there twice, far enough away from the first copies.
    fn copy(&mut self) {
        if self.copies.is_empty() {
            return;
        }
        let apart = self.end().offset - self.copies_from;
        if apart < APART {
            self.put(&Record::Gap((APART - apart) as u32));
        }
        let mut copies = core::mem::take(&mut self.copies);
        for (record, awaited) in copies.drain(..) {
            self.put(&record);
            let end = self.end();
            self.await_at(end, awaited);
        }
        // Taken only to be able to write meanwhile: its memory is used again.
        self.copies = copies;
    }

    fn write(&mut self, disk: &mut DiskBatch) {
        if self.unsynced.is_some() {
            // A reader takes a segment that has a successor for synced to its end.
            return;
        }
        // What a sync covers tells a reader what was synced before; where none will be asked for, what is
        // written tells it all the same.
        let asks = self.in_flight.is_none() && !self.pending.is_empty();
        let idle = self.buffer.is_empty() && self.pending.is_empty() && !self.is_full();
        if asks || idle {
            self.mark();
        }
        if self.buffer.is_empty() {
            return;
        }
        let length = self.buffer.length();
        self.buffer.write(FileId::Segment(self.number), self.written, disk);
        self.written += length;
        self.bytes += length;
        self.segments.back_mut().expect("there is always a segment").1 = self.written;
    }

    fn ask_sync(&mut self, disk: &mut DiskBatch) {
        if self.in_flight.is_some() {
            return;
        }
        let written = Place { segment: self.number, offset: self.written };
        let log = match self.unsynced {
            Some((segment, offset)) => Some(Place { segment, offset }),
            None => self.pending.front().filter(|first| first.end <= written).map(|_| written),
        };
        let image = self
            .ended
            .front()
            .filter(|_| self.begun)
            .map(|ended| FileId::Snapshot { group: ended.group, index: ended.image.index });
        let (file, flight) = match (log, image) {
            (None, None) => return,
            (Some(end), None) => (FileId::Segment(end.segment), Flight::Log(end)),
            (Some(end), Some(_)) if self.image_was_last => {
                (FileId::Segment(end.segment), Flight::Log(end))
            }
            (_, Some(file)) => (file, Flight::Image),
        };
        self.tokens += 1;
        let token = SyncToken(self.tokens);
        disk.ops.push(DiskOp::Sync { file, token });
        self.image_was_last = matches!(flight, Flight::Image);
        self.in_flight = Some((token, flight));
    }

    fn note_synced(&mut self, end: Place) {
        if end.segment == self.number {
            let had_checkpoint = self.synced >= self.start;
            self.synced = end.offset;
            self.retire_due |= !had_checkpoint;
        } else if self.unsynced == Some((end.segment, end.offset)) {
            self.unsynced = None;
        }
    }

    fn credit(&mut self, pending: Pending, disk: &mut DiskBatch, durable: &mut dyn FnMut(Durable)) {
        match pending.what {
            Awaited::Tell(told @ Durable::Entry { group, .. }) => {
                let log = &self.groups[&group];
                if pending.end <= self.void(group, log) {
                    // Void: the group may have appended an entry just like it, which is not durable yet.
                } else if log.installing > 0 {
                    self.held.push((group, told));
                } else {
                    durable(told);
                }
            }
            Awaited::Tell(Durable::Begun) => {
                self.catch_up(disk);
                durable(Durable::Begun);
            }
            Awaited::Tell(told) => durable(told),
            Awaited::Image { group, image, installed } => {
                self.image_durable(group, image, installed, disk);
                durable(Durable::Image { group, index: image.index, term: image.term });
                self.release_held(group, durable);
            }
            Awaited::Trim(oldest) => self.remove_before(oldest, disk),
        }
    }

    /// Does what had to wait for the first record of this life.
    fn catch_up(&mut self, disk: &mut DiskBatch) {
        self.begun = true;
        for file in self.leftovers.drain(..) {
            disk.ops.push(DiskOp::Remove { file });
        }
        for op in self.early.ops.drain(..) {
            match op {
                DiskOp::Write { file, offset, bytes } => {
                    let bytes = bytes.start as usize..bytes.end as usize;
                    disk.write(file, offset, &self.early.bytes[bytes]);
                }
                DiskOp::Sync { .. } | DiskOp::Remove { .. } => disk.ops.push(op),
            }
        }
        self.early = DiskBatch::default();
    }

    /// Declares segments superfluous that no group needs; they are removed once that is durable.
    fn retire(&mut self) {
        self.retire_due = false;
        if self.synced < self.start {
            // The checkpoint that stands for them is not durable.
            self.retire_due = true;
            return;
        }
        let needed = self.groups.values().filter_map(GroupLog::oldest_needed).min();
        let needed = needed.unwrap_or(self.number);
        let oldest = self.segments.iter().map(|segment| segment.0).find(|&number| number >= needed);
        let oldest = oldest.expect("what is needed is there");
        if oldest > self.oldest {
            self.oldest = oldest;
            let end = self.append(&Record::Trim(oldest));
            self.await_at(end, Awaited::Trim(oldest));
        }
    }

    fn remove_before(&mut self, oldest: u64, disk: &mut DiskBatch) {
        while let Some(&(number, bytes)) = self.segments.front()
            && number < oldest
        {
            self.segments.pop_front();
            self.bytes -= bytes;
            disk.ops.push(DiskOp::Remove { file: FileId::Segment(number) });
        }
        self.holes.retain(|hole| hole.segment >= oldest);
    }
}
