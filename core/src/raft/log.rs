//! The in-memory part of one group's log: encoded entries in chunks that are reused.

use alloc::collections::VecDeque;
use alloc::vec::Vec;

use crate::ids::{Index, Term};

/// Entries share chunks of about this many bytes, so that dropping old ones moves nothing.
const CHUNK: usize = 64 << 10;

/// Chunks kept for later, at most.
const SPARE: usize = 2;

#[derive(Debug, Default)]
pub(crate) struct Log {
    /// The entry before the first one held.
    before: Index,
    before_term: Term,
    entries: VecDeque<Entry>,
    chunks: VecDeque<Vec<u8>>,
    /// Number of the first chunk; the others follow.
    first_chunk: u64,
    spare: Vec<Vec<u8>>,
    /// Bytes of all entries up to `before`.
    dropped: u64,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    term: Term,
    /// Which record of the write-ahead log holds it: tells it from one that stood here before.
    record: u64,
    chunk: u64,
    start: u32,
    length: u32,
    /// Bytes of all entries up to and including this one.
    end: u64,
}

impl Log {
    /// An empty log that goes on after an entry.
    pub(crate) fn after(before: Index, before_term: Term) -> Self {
        Self { before, before_term, ..Self::default() }
    }

    /// The entry before the first one held.
    pub(crate) fn before(&self) -> Index {
        self.before
    }

    pub(crate) fn last(&self) -> Index {
        Index(self.before.0 + self.entries.len() as u64)
    }

    pub(crate) fn last_term(&self) -> Term {
        self.entries.back().map_or(self.before_term, |entry| entry.term)
    }

    /// Bytes of the entries held.
    pub(crate) fn bytes(&self) -> u64 {
        self.position(self.last()) - self.dropped
    }

    /// Bytes of all entries up to `index`, those no longer held included.
    pub(crate) fn position(&self, index: Index) -> u64 {
        self.slot(index).map_or(self.dropped, |entry| entry.end)
    }

    /// The term of the entry at `index`; `None` if the log does not reach that far in either direction.
    pub(crate) fn term(&self, index: Index) -> Option<Term> {
        if index == self.before {
            return Some(self.before_term);
        }
        self.slot(index).map(|entry| entry.term)
    }

    /// The record of the entry at `index`, if it is held.
    pub(crate) fn record(&self, index: Index) -> Option<u64> {
        self.slot(index).map(|entry| entry.record)
    }

    /// The entry at `index`, if it is held.
    pub(crate) fn entry(&self, index: Index) -> Option<(Term, &[u8])> {
        let entry = self.slot(index)?;
        let chunk = &self.chunks[(entry.chunk - self.first_chunk) as usize];
        let start = entry.start as usize;
        Some((entry.term, &chunk[start..start + entry.length as usize]))
    }

    pub(crate) fn append(&mut self, term: Term, record: u64, bytes: &[u8]) -> Index {
        assert!(term >= self.last_term(), "terms never go back along a log");
        let full = |chunk: &Vec<u8>| !chunk.is_empty() && chunk.len() + bytes.len() > CHUNK;
        if self.chunks.back().is_none_or(full) {
            // A short log takes no more than it needs; one that fills chunks will fill this one too.
            let most = if self.chunks.is_empty() { 0 } else { CHUNK };
            let chunk = self.spare.pop().unwrap_or_else(|| Vec::with_capacity(most));
            self.chunks.push_back(chunk);
        }
        let number = self.first_chunk + self.chunks.len() as u64 - 1;
        let chunk = self.chunks.back_mut().expect("a chunk was just made sure of");
        let start = chunk.len() as u32;
        chunk.extend_from_slice(bytes);
        let end = self.entries.back().map_or(self.dropped, |entry| entry.end) + bytes.len() as u64;
        let length = bytes.len() as u32;
        self.entries.push_back(Entry { term, record, chunk: number, start, length, end });
        self.last()
    }

    /// Drops every entry after `index`.
    pub(crate) fn truncate(&mut self, index: Index) {
        assert!(index >= self.before, "cannot truncate into the part that is no longer held");
        while self.last() > index {
            let entry = self.entries.pop_back().expect("the log is longer than that");
            while self.first_chunk + self.chunks.len() as u64 > entry.chunk + 1 {
                self.retire_back();
            }
            let chunk = self.chunks.back_mut().expect("an entry has its chunk");
            chunk.truncate(entry.start as usize);
        }
    }

    /// Lets go of every entry up to and including `index`.
    pub(crate) fn release(&mut self, index: Index) {
        while self.before < index {
            let Some(entry) = self.entries.pop_front() else {
                return;
            };
            self.before = self.before.next();
            self.before_term = entry.term;
            self.dropped = entry.end;
            let keep = self.entries.front().map_or(entry.chunk + 1, |next| next.chunk);
            while self.first_chunk < keep && !self.chunks.is_empty() {
                let chunk = self.chunks.pop_front().expect("there is one");
                self.first_chunk += 1;
                self.retire(chunk);
            }
        }
    }

    /// Lets go of the oldest entries, up to and including `index` at most, until those held take no more than
    /// `bytes`.
    pub(crate) fn shrink(&mut self, bytes: u64, index: Index) {
        while self.bytes() > bytes && self.before < index {
            self.release(self.before.next());
        }
    }

    fn retire_back(&mut self) {
        if let Some(chunk) = self.chunks.pop_back() {
            self.retire(chunk);
        }
    }

    fn retire(&mut self, mut chunk: Vec<u8>) {
        if self.spare.len() < SPARE && chunk.capacity() <= 2 * CHUNK {
            chunk.clear();
            self.spare.push(chunk);
        }
    }

    fn slot(&self, index: Index) -> Option<&Entry> {
        let at = index.0.checked_sub(self.before.0 + 1)?;
        self.entries.get(at as usize)
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec;

    use super::*;

    #[test]
    fn entries_survive_truncation_and_release_around_them() {
        let mut log = Log::default();
        for number in 1..=500_u64 {
            let bytes = vec![number as u8; (number * 7 % 3000) as usize];
            assert_eq!(log.append(Term(number / 100), number, &bytes), Index(number));
        }
        log.truncate(Index(400));
        log.release(Index(123));
        assert_eq!((log.before(), log.last()), (Index(123), Index(400)));
        assert_eq!(log.term(Index(123)), Some(Term(1)));
        assert_eq!(log.term(Index(122)), None);
        for number in 124..=400_u64 {
            let (term, bytes) = log.entry(Index(number)).expect("it is held");
            assert_eq!(term, Term(number / 100));
            assert_eq!(bytes, vec![number as u8; (number * 7 % 3000) as usize]);
        }
        let held: u64 = (124..=400).map(|number| number * 7 % 3000).sum();
        assert_eq!(log.bytes(), held);
        log.release(Index(400));
        assert_eq!((log.bytes(), log.last_term()), (0, Term(4)));
        log.append(Term(9), 1, b"x");
        assert_eq!(log.entry(Index(401)), Some((Term(9), &b"x"[..])));
    }
}
