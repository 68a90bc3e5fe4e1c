//! A disk that forgets what was not synced, sector by sector, and not tidily; and that damages what was.

use std::collections::VecDeque;

use driftless_core::FileId;
use driftless_core::rng::Chance;

use crate::pool::Pool;

/// What a disk writes in one piece, or loses in one piece.
const SECTOR: usize = 512;
/// Removed files that a power cut may bring back, because the directory was not synced.
const REMEMBERED: usize = 3;
/// Bytes of a usual segment: memory for them is asked for once.
const USUAL: usize = 16 << 10;
/// How many of the newest writes to a file may be found in each other's places.
const PLACED: usize = 32;

/// The files of one engine.
#[derive(Debug, Default)]
pub struct Disk {
    files: Vec<File>,
    removed: Vec<File>,
    /// What was durable when the files were copied.
    copied: Vec<(FileId, Vec<u8>)>,
    /// Whether anything but growth has befallen what is durable, since this was asked last.
    changed: bool,
}

/// One file: what is durable, and what is only in memory yet.
#[derive(Debug)]
struct File {
    id: FileId,
    durable: Vec<u8>,
    /// Whether the directory entry is durable.
    named: bool,
    pending: VecDeque<Pending>,
    /// How many writes there ever were.
    writes: u64,
    /// Where the newest durable writes lie: offset and length.
    placed: VecDeque<(usize, usize)>,
    /// Durable length as of the last sync.
    synced: usize,
    /// The same as of the last write. Whoever makes the next one knows of it.
    known: usize,
    /// Damage below can be told from a torn tail: a durable write was made by who knew that it was synced.
    settled: usize,
    /// A latent read error: recovery cannot read it.
    unreadable: bool,
}

#[derive(Debug)]
struct Pending {
    number: u64,
    offset: u64,
    bytes: Vec<u8>,
    /// Up to where its maker knew the file to be synced.
    vouches: usize,
}

/// How a disk damages what it had acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Damage {
    /// Some bits flip.
    Rot,
    /// A write that was acknowledged never reached the platter: zeros where it should be.
    LostWrite,
    /// A write went to another place of the same file.
    Misdirected,
    /// The file cannot be read.
    Unreadable,
    /// An old copy of the file is back: its later part is missing.
    OldCopy,
    /// All files are gone.
    Wiped,
    /// All files are as they were when they were last copied.
    PutBack,
}

impl Damage {
    /// All kinds of damage to one file.
    pub const ALL: [Self; 5] =
        [Self::Rot, Self::LostWrite, Self::Misdirected, Self::Unreadable, Self::OldCopy];
    /// All kinds of loss of a whole disk.
    pub const WHOLE: [Self; 2] = [Self::Wiped, Self::PutBack];

    /// What it is called in stories and traces.
    pub fn name(self) -> &'static str {
        match self {
            Self::Rot => "rot",
            Self::LostWrite => "lost-write",
            Self::Misdirected => "misdirected",
            Self::Unreadable => "unreadable",
            Self::OldCopy => "old-copy",
            Self::Wiped => "wiped",
            Self::PutBack => "put-back",
        }
    }
}

/// What a power cut does to writes that were not synced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// All of them are lost.
    Clean,
    /// Each sector of each is kept, lost or torn, in any order.
    Torn,
}

impl Disk {
    /// Takes a write. It is not durable.
    pub fn write(&mut self, pool: &mut Pool, id: FileId, offset: u64, bytes: &[u8]) {
        let file = self.file_or_new(id);
        file.writes += 1;
        let (number, vouches) = (file.writes, file.known);
        file.known = file.synced;
        file.pending.push_back(Pending { number, offset, bytes: pool.copy(bytes), vouches });
    }

    /// Begins a sync: how many writes of the file it covers.
    pub fn begin_sync(&mut self, id: FileId) -> u64 {
        self.file_or_new(id).writes
    }

    /// A sync that covers so many writes is done.
    pub fn synced(&mut self, pool: &mut Pool, id: FileId, covered: u64) {
        let Some(file) = self.files.iter_mut().find(|file| file.id == id) else { return };
        while file.pending.front().is_some_and(|write| write.number <= covered) {
            let write = file.pending.pop_front().expect("it was just seen");
            put(&mut file.durable, write.offset as usize, &write.bytes);
            if file.placed.len() == PLACED {
                file.placed.pop_front();
            }
            file.placed.push_back((write.offset as usize, write.bytes.len()));
            file.settled = file.settled.max(write.vouches);
            pool.give(write.bytes);
        }
        file.synced = file.durable.len();
        if !file.named {
            // The directory is synced with the first sync of a file: removals of before hold from now on.
            file.named = true;
            self.removed.clear();
        }
    }

    /// Deletes a file. A power cut may bring it back.
    pub fn remove(&mut self, pool: &mut Pool, id: FileId) {
        let Some(at) = self.files.iter().position(|file| file.id == id) else { return };
        let mut file = self.files.remove(at);
        for write in file.pending.drain(..) {
            pool.give(write.bytes);
        }
        if file.named && self.removed.len() < REMEMBERED {
            self.removed.push(file);
        }
    }

    /// The process is gone, the machine is not: what it had written is still written. Whoever starts
    /// next syncs the files before it reads them.
    pub fn process_gone(&mut self, pool: &mut Pool) {
        for file in &mut self.files {
            while let Some(write) = file.pending.pop_front() {
                put(&mut file.durable, write.offset as usize, &write.bytes);
                pool.give(write.bytes);
            }
            file.named = true;
            file.synced = file.durable.len();
        }
        self.removed.clear();
    }

    /// Power goes. How many sectors were torn.
    pub fn power_cut(&mut self, pool: &mut Pool, how: Cut, chance: &mut Chance) -> u64 {
        let mut torn = 0;
        self.changed = true;
        for file in &mut self.files {
            while !file.pending.is_empty() {
                let at = chance.up_to(file.pending.len() as u64 - 1) as usize;
                let write = file.pending.swap_remove_back(at).expect("it is in range");
                if how == Cut::Torn {
                    torn += tear(&mut file.durable, &write, chance);
                }
                pool.give(write.bytes);
            }
            file.synced = file.durable.len();
        }
        self.files.retain(|file| file.named || (how == Cut::Torn && chance.chance(1, 2)));
        for file in self.removed.drain(..) {
            let back = how == Cut::Torn && chance.chance(1, 2);
            if back && !self.files.iter().any(|other| other.id == file.id) {
                self.files.push(file);
            }
        }
        for file in &mut self.files {
            file.named = true;
        }
        torn
    }

    /// An error of the device: what was not synced is gone from memory, part of it on the platter.
    pub fn failed(&mut self, pool: &mut Pool, chance: &mut Chance) {
        self.power_cut(pool, Cut::Torn, chance);
    }

    /// All is gone.
    pub fn wipe(&mut self) {
        self.changed = true;
        self.files.clear();
        self.removed.clear();
    }

    /// Somebody copies the files, for [`Disk::put_back`].
    pub fn copy(&mut self) {
        let durable = self.files.iter().filter(|file| file.named);
        self.copied = durable.map(|file| (file.id, file.durable.clone())).collect();
    }

    /// The copy takes the place of what is there.
    pub fn put_back(&mut self) {
        self.wipe();
        for (id, durable) in self.copied.clone() {
            let (synced, settled) = (durable.len(), durable.len());
            self.files.push(File { durable, named: true, synced, settled, ..File::new(id) });
        }
    }

    /// Damages some file, where recovery can tell it from a torn tail. What was damaged, if anything
    /// could be.
    pub fn damage(&mut self, how: Damage, chance: &mut Chance) -> Option<(FileId, u64)> {
        // Only a later segment that is there for sure tells where this one ended.
        let sure = self.files.iter().filter(|file| file.settled > 0);
        let newest = sure.filter_map(|file| segment(file.id)).max();
        let can = |file: &File| {
            let last = segment(file.id).is_some_and(|number| Some(number) >= newest);
            let whole = matches!(how, Damage::Unreadable | Damage::OldCopy);
            file.reach() >= 64 && !(whole && last) && !file.unreadable
        };
        let count = self.files.iter().filter(|file| can(file)).count() as u64;
        if count == 0 {
            return None;
        }
        let chosen = chance.up_to(count - 1) as usize;
        let file = self.files.iter_mut().filter(|file| can(file)).nth(chosen)?;
        self.changed = true;
        let at = file.damage(how, chance);
        Some((file.id, at as u64))
    }

    /// Names and sizes of all files, in order.
    pub fn listing(&self) -> Vec<(FileId, u64)> {
        let mut listing: Vec<_> =
            self.files.iter().map(|file| (file.id, file.durable.len() as u64)).collect();
        listing.sort_unstable();
        listing
    }

    /// The whole content of a file, as recovery reads it; `None` if it cannot be read.
    pub fn read(&self, id: FileId) -> Option<&[u8]> {
        let file = self.files.iter().find(|file| file.id == id)?;
        (!file.unreadable).then_some(file.durable.as_slice())
    }

    /// Names and sizes of the files that a clean power cut would leave now.
    pub fn durable_listing(&self) -> Vec<(FileId, u64)> {
        let mut listing: Vec<_> = self
            .files
            .iter()
            .filter(|file| file.named)
            .map(|file| (file.id, file.durable.len() as u64))
            .collect();
        listing.sort_unstable();
        listing
    }

    /// Bytes that a clean power cut would leave now of a file.
    pub fn durable(&self, id: FileId) -> Option<&[u8]> {
        self.read(id)
    }

    /// Whether anything but growth has befallen what is durable, since this was asked last.
    pub fn has_changed(&mut self) -> bool {
        std::mem::take(&mut self.changed)
    }

    /// Bytes of all files.
    pub fn bytes(&self) -> u64 {
        self.files.iter().map(|file| file.durable.len() as u64).sum()
    }

    /// A file that could not be read is replaced by whoever repairs the node.
    pub fn readable_again(&mut self) {
        for file in &mut self.files {
            file.unreadable = false;
        }
    }

    fn file_or_new(&mut self, id: FileId) -> &mut File {
        // The file that is written to is nearly always the newest one.
        let at = self.files.iter().rposition(|file| file.id == id).unwrap_or_else(|| {
            self.files.push(File::new(id));
            self.files.len() - 1
        });
        &mut self.files[at]
    }
}

impl File {
    fn new(id: FileId) -> Self {
        Self {
            id,
            durable: Vec::with_capacity(if segment(id).is_some() { USUAL } else { 0 }),
            named: false,
            pending: VecDeque::new(),
            writes: 0,
            placed: VecDeque::with_capacity(PLACED),
            synced: 0,
            known: 0,
            settled: 0,
            unreadable: false,
        }
    }

    /// How many of its first bytes may be damaged: damage beyond could not be told from a torn tail.
    fn reach(&self) -> usize {
        match self.id {
            FileId::Segment(_) => self.settled.min(self.durable.len()),
            FileId::Snapshot { .. } => self.synced.min(self.durable.len()),
        }
    }

    fn damage(&mut self, how: Damage, chance: &mut Chance) -> usize {
        let reach = self.reach();
        if how == Damage::Misdirected
            && chance.chance(1, 2)
            && let Some(at) = self.misplace(reach, chance)
        {
            return at;
        }
        let at = self.somewhere(reach, chance);
        let sector = at - at % SECTOR;
        let end = (sector + SECTOR).min(reach);
        match how {
            Damage::Rot => {
                for _ in 0..=chance.up_to(3) {
                    let byte = chance.between(sector as u64, end as u64 - 1) as usize;
                    self.durable[byte] ^= 1 << chance.up_to(7);
                }
            }
            Damage::LostWrite => self.durable[sector..end].fill(0),
            Damage::Misdirected => {
                let from = chance.up_to((reach - (end - sector)) as u64) as usize;
                self.durable.copy_within(from..from + (end - sector), sector);
            }
            Damage::Unreadable => self.unreadable = true,
            Damage::OldCopy => self.durable.truncate(at),
            Damage::Wiped | Damage::PutBack => unreachable!("these befall all files"),
        }
        at
    }

    /// A byte below `reach`, in a sector that is not all of a gap: nobody would miss that.
    fn somewhere(&self, reach: usize, chance: &mut Chance) -> usize {
        let sectors = || self.durable[..reach].chunks(SECTOR).enumerate();
        let filled = || sectors().filter(|(_, bytes)| bytes.iter().any(|byte| *byte != 0));
        let last = (filled().count() as u64).saturating_sub(1);
        let chosen = filled().nth(chance.up_to(last) as usize);
        let (number, bytes) = chosen.unwrap_or((0, &self.durable[..reach.min(SECTOR)]));
        number * SECTOR + chance.up_to(bytes.len() as u64 - 1) as usize
    }

    /// A whole write is found in the place of a later one of the same length, where all fits.
    fn misplace(&mut self, reach: usize, chance: &mut Chance) -> Option<usize> {
        let mut twins = Vec::new();
        for (place, &(to, length)) in self.placed.iter().enumerate() {
            let earlier = self.placed.iter().take(place);
            let same = earlier.filter(|&&(from, other)| from < to && other == length);
            twins
                .extend(same.filter(|_| to + length <= reach).map(|&(from, _)| (from, to, length)));
        }
        let last = (twins.len() as u64).checked_sub(1)?;
        let (from, to, length) = twins[chance.up_to(last) as usize];
        self.durable.copy_within(from..from + length, to);
        Some(to)
    }
}

/// Each sector of a write is kept, lost or turned to noise from some byte on. How many were torn.
fn tear(durable: &mut Vec<u8>, write: &Pending, chance: &mut Chance) -> u64 {
    let mut torn = 0;
    let mut done = 0;
    while done < write.bytes.len() {
        let here = write.offset as usize + done;
        let length = (SECTOR - here % SECTOR).min(write.bytes.len() - done);
        let sector = &write.bytes[done..done + length];
        match chance.up_to(3) {
            0 | 1 => put(durable, here, sector),
            2 => {
                put(durable, here, sector);
                let from = chance.up_to(length as u64 - 1) as usize;
                for byte in &mut durable[here + from..here + length] {
                    *byte = chance.bits() as u8;
                }
                torn += 1;
            }
            _ => {}
        }
        done += length;
    }
    torn
}

fn put(file: &mut Vec<u8>, offset: usize, bytes: &[u8]) {
    if file.len() == offset {
        file.extend_from_slice(bytes);
        return;
    }
    let end = offset + bytes.len();
    if file.len() < end {
        file.resize(end, 0);
    }
    file[offset..end].copy_from_slice(bytes);
}

fn segment(id: FileId) -> Option<u64> {
    match id {
        FileId::Segment(number) => Some(number),
        FileId::Snapshot { .. } => None,
    }
}

#[cfg(test)]
mod tests {
    use driftless_core::rng::Seed;

    use super::*;

    const LOG: FileId = FileId::Segment(1);

    fn chance(seed: u64) -> Chance {
        Chance::new(Seed::from_number(seed), 0)
    }

    #[test]
    fn what_was_synced_survives_and_what_was_not_may_not() {
        let mut kept = 0;
        for seed in 0..100 {
            let (mut disk, mut pool) = (Disk::default(), Pool::default());
            disk.write(&mut pool, LOG, 0, b"first");
            let covered = disk.begin_sync(LOG);
            disk.write(&mut pool, LOG, 5, b"second");
            disk.synced(&mut pool, LOG, covered);
            disk.power_cut(&mut pool, Cut::Torn, &mut chance(seed));
            let bytes = disk.read(LOG).expect("it was synced");
            assert_eq!(&bytes[..5], b"first");
            kept += u32::from(bytes == b"firstsecond");
        }
        assert!((20..80).contains(&kept), "{kept} of 100 unsynced writes survived");
    }

    #[test]
    fn a_new_file_that_was_never_synced_may_vanish() {
        let gone = |seed| {
            let (mut disk, mut pool) = (Disk::default(), Pool::default());
            disk.write(&mut pool, LOG, 0, b"first");
            disk.power_cut(&mut pool, Cut::Torn, &mut chance(seed));
            disk.read(LOG).is_none()
        };
        let count = (0..100).filter(|&seed| gone(seed)).count();
        assert!((20..80).contains(&count), "{count} of 100 new files vanished");
    }

    #[test]
    fn a_killed_process_loses_nothing_it_wrote() {
        let (mut disk, mut pool) = (Disk::default(), Pool::default());
        disk.write(&mut pool, LOG, 0, b"first");
        disk.process_gone(&mut pool);
        disk.power_cut(&mut pool, Cut::Torn, &mut chance(1));
        assert_eq!(disk.read(LOG), Some(&b"first"[..]));
    }

    #[test]
    fn damage_stays_below_what_a_later_sync_vouches_for() {
        for seed in 0..100 {
            for how in Damage::ALL {
                let (mut disk, mut pool) = (Disk::default(), Pool::default());
                for number in [1, 2] {
                    let file = FileId::Segment(number);
                    for part in 0..3 {
                        disk.write(&mut pool, file, part * 700, &[7; 700]);
                        let covered = disk.begin_sync(file);
                        disk.synced(&mut pool, file, covered);
                    }
                }
                let (file, at) = disk.damage(how, &mut chance(seed)).expect("there is data");
                assert!(at < 1_400, "{how:?} at {at}");
                let bytes = disk.read(file);
                let whole = matches!(how, Damage::Unreadable | Damage::OldCopy);
                assert!(!whole || file == FileId::Segment(1), "{how:?} of the newest segment");
                if let Some(bytes) = bytes.filter(|_| how != Damage::OldCopy) {
                    assert_eq!(&bytes[1_400..], [7; 700]);
                }
            }
        }
    }
}
