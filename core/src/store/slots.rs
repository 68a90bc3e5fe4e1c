//! A small hash table kept in the order of its hashes.
//!
//! Linear probing in which no entry stands before one with a smaller hash: each cell holds the top 40
//! bits of a hash and, in the low 24, where the record is (plus one, so that 0 is an empty cell). A
//! walk over the cells is therefore a walk in hash order, a split cuts the table in two halves,
//! growing needs no key, and the number of buckets can be any, not only a power of two. (Amble and
//! Knuth, "Ordered hash tables", 1974, with the order turned so that the table is sorted as a whole.)

use alloc::vec;
use alloc::vec::Vec;

/// Bits of a cell that say where the record is.
const OFFSET_BITS: u32 = 24;
const OFFSET_MASK: u64 = (1 << OFFSET_BITS) - 1;

/// Records must begin below this.
pub(super) const OFFSET_LIMIT: usize = OFFSET_MASK as usize;

/// The part of a hash that cells keep.
pub(super) const fn kept(hash: u64) -> u64 {
    hash & !OFFSET_MASK
}

/// The part of a hash that cells keep, as a number of 40 bits.
pub(super) const fn kept_number(hash: u64) -> u64 {
    hash >> OFFSET_BITS
}

/// The smallest hash with this kept part.
pub(super) const fn from_kept_number(number: u64) -> u64 {
    number << OFFSET_BITS
}

/// One occupied cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Slot {
    /// Which cell.
    pub(super) index: usize,
    /// The kept part of the hash.
    pub(super) hash: u64,
    /// Where the record begins.
    pub(super) offset: usize,
}

/// See the module's text. `depth` is how many top bits of the hash all entries of the table share.
#[derive(Debug)]
pub(super) struct Slots {
    /// `buckets` home cells, and behind them as many more as the last run needs.
    cells: Vec<u64>,
    buckets: usize,
    len: usize,
    depth: u8,
}

impl Slots {
    pub(super) fn new(depth: u8) -> Self {
        Self { cells: Vec::new(), buckets: 0, len: 0, depth }
    }

    /// A table for `len` entries that are then pushed in order.
    pub(super) fn for_pushes(depth: u8, len: usize) -> Self {
        let buckets = buckets_for(len);
        Self { cells: vec![0; buckets], buckets, len: 0, depth }
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn memory(&self) -> usize {
        self.cells.capacity() * size_of::<u64>()
    }

    /// The entry with this hash whose record `is` the one that is looked for.
    pub(super) fn find(&self, hash: u64, mut is: impl FnMut(usize) -> bool) -> Option<Slot> {
        let wanted = kept(hash);
        let run = self.cells.get(self.home(wanted)..)?;
        for (step, &cell) in run.iter().enumerate() {
            if cell == 0 || kept(cell) > wanted {
                return None;
            }
            if kept(cell) == wanted && is(offset(cell)) {
                let index = self.home(wanted) + step;
                return Some(Slot { index, hash: wanted, offset: offset(cell) });
            }
        }
        None
    }

    /// Adds an entry. The caller knows that it is not there.
    pub(super) fn insert(&mut self, hash: u64, offset: usize) {
        assert!(offset < OFFSET_LIMIT, "the arena has outgrown what a cell can point into");
        if (self.len + 1) * 8 > self.buckets * 7 {
            self.reshape(buckets_for(self.len + 1));
        }
        let mut carried = kept(hash) | (offset as u64 + 1);
        let mut index = self.home(kept(hash));
        while self.cells.get(index).is_some_and(|&cell| cell != 0 && kept(cell) <= kept(hash)) {
            index += 1;
        }
        // The rest of the run moves one cell up, beyond the last bucket if it must.
        while carried != 0 {
            match self.cells.get_mut(index) {
                Some(cell) => core::mem::swap(cell, &mut carried),
                None => self.extend(core::mem::take(&mut carried)),
            }
            index += 1;
        }
        self.len += 1;
    }

    /// Adds an entry behind all others, into a table made by [`Slots::for_pushes`].
    pub(super) fn push(&mut self, hash: u64, offset: usize, last: &mut Option<usize>) {
        assert!(offset < OFFSET_LIMIT, "the arena has outgrown what a cell can point into");
        let cell = kept(hash) | (offset as u64 + 1);
        let index = self.home(kept(hash)).max(last.map_or(0, |last| last + 1));
        match self.cells.get_mut(index) {
            Some(place) => *place = cell,
            None => self.extend(cell),
        }
        assert_eq!(self.cells[index], cell, "entries must be pushed in order");
        *last = Some(index);
        self.len += 1;
    }

    /// Takes an entry out and closes the gap, so that no search ends too early.
    pub(super) fn remove(&mut self, mut index: usize) {
        assert!(self.cells[index] != 0, "an empty cell has nothing to remove");
        while let Some(&next) = self.cells.get(index + 1) {
            if next == 0 || self.home(kept(next)) == index + 1 {
                break;
            }
            self.cells[index] = next;
            index += 1;
        }
        self.cells[index] = 0;
        while self.cells.len() > self.buckets && self.cells.last() == Some(&0) {
            self.cells.pop();
        }
        self.len -= 1;
        if self.len * 4 < self.buckets && self.buckets > SMALLEST * 2 {
            self.reshape(buckets_for(self.len * 2));
        }
    }

    /// Lets an entry point at another place.
    pub(super) fn point(&mut self, index: usize, offset: usize) {
        assert!(offset < OFFSET_LIMIT, "the arena has outgrown what a cell can point into");
        self.cells[index] = kept(self.cells[index]) | (offset as u64 + 1);
    }

    /// Where the record of a cell is.
    pub(super) fn offset_at(&self, index: usize) -> usize {
        offset(self.cells[index])
    }

    /// Lets every entry, in order, point to where its record is `moved`.
    pub(super) fn repoint(&mut self, mut moved: impl FnMut(usize) -> usize) {
        for cell in self.cells.iter_mut().filter(|cell| **cell != 0) {
            *cell = kept(*cell) | (moved(offset(*cell)) as u64 + 1);
        }
    }

    /// Entries from the first whose kept hash is at least that of `hash`, in order.
    pub(super) fn starting_at(&self, hash: u64) -> impl Iterator<Item = Slot> + use<'_> {
        let start = self.home(kept(hash)).min(self.cells.len());
        self.walk(start).skip_while(move |slot| slot.hash < kept(hash))
    }

    /// All entries in order.
    pub(super) fn iter(&self) -> impl Iterator<Item = Slot> + use<'_> {
        self.walk(0)
    }

    /// Entries from a place on that `chance` chooses.
    pub(super) fn starting_anywhere(&self, chance: u32) -> impl Iterator<Item = Slot> + use<'_> {
        self.walk(((u64::from(chance) * self.cells.len() as u64) >> 32) as usize)
    }

    /// Panics if the order or the count is not what the searches rely on.
    pub(super) fn check(&self) {
        assert_eq!(self.iter().count(), self.len, "the count of entries is wrong");
        assert!(self.cells.len() >= self.buckets, "a bucket without a cell");
        let mut last: Option<Slot> = None;
        for slot in self.iter() {
            let home = self.home(slot.hash);
            assert!(home <= slot.index, "an entry stands before its home");
            assert!(self.cells[home..slot.index].iter().all(|&cell| cell != 0), "a gap in a run");
            assert!(last.is_none_or(|last| last.hash <= slot.hash), "entries out of order");
            last = Some(slot);
        }
    }

    /// One more cell behind the last, without the doubling that a vector would do.
    fn extend(&mut self, cell: u64) {
        if self.cells.len() == self.cells.capacity() {
            self.cells.reserve_exact(SMALLEST);
        }
        self.cells.push(cell);
    }

    fn walk(&self, start: usize) -> impl Iterator<Item = Slot> + use<'_> {
        let cells = self.cells[start..].iter().enumerate();
        cells.filter(|&(_, &cell)| cell != 0).map(move |(step, &cell)| Slot {
            index: start + step,
            hash: kept(cell),
            offset: offset(cell),
        })
    }

    /// The bucket of a hash: monotonic in the hash, which is what keeps the cells in order.
    fn home(&self, hash: u64) -> usize {
        ((((hash << self.depth) >> 32) * self.buckets as u64) >> 32) as usize
    }

    fn reshape(&mut self, buckets: usize) {
        let mut shaped = Self { cells: vec![0; buckets], buckets, len: 0, depth: self.depth };
        let mut last = None;
        for slot in self.iter() {
            shaped.push(slot.hash, slot.offset, &mut last);
        }
        *self = shaped;
    }
}

/// Fewer buckets are not worth a rebuild.
const SMALLEST: usize = 8;

/// Buckets that leave some room to grow: the load is between 7/9 and 7/8 while a table grows.
fn buckets_for(len: usize) -> usize {
    (len * 9 / 7 + 1).max(SMALLEST)
}

fn offset(cell: u64) -> usize {
    (cell & OFFSET_MASK) as usize - 1
}
