//! The arguments of a command, borrowed from the bytes they arrived in.

use alloc::vec::Vec;

use crate::bytes::{Malformed, Reader, put_bytes, put_u32};

/// The arguments of one command, its name first. Borrowed: nothing is copied.
#[derive(Clone, Copy, Debug)]
pub struct Args<'a> {
    bytes: &'a [u8],
    ranges: &'a [(u32, u32)],
}

/// Reused memory for where the arguments of a command begin and end.
#[derive(Debug, Default)]
pub struct ArgsBuffer {
    ranges: Vec<(u32, u32)>,
    /// What the ranges point into, where arguments could not stay as they arrived (quoted inline ones).
    own: Vec<u8>,
    /// Where the parser stopped in a command that has not arrived in full.
    pub(super) progress: Progress,
}

/// How far the parser came in a command of which only a part has arrived.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Progress {
    /// Bytes that need not be looked at again.
    pub(super) at: usize,
    /// Arguments still to come.
    pub(super) remaining: usize,
}

impl<'a> Args<'a> {
    /// How many arguments there are, the command's name included.
    #[inline]
    pub fn len(&self) -> usize {
        self.ranges.len()
    }

    /// Whether there is not even a name.
    pub fn is_empty(&self) -> bool {
        self.ranges.is_empty()
    }

    /// Argument `at`; 0 is the command's name. Panics beyond the last: arity is checked first.
    #[inline]
    pub fn at(&self, at: usize) -> &'a [u8] {
        let (start, end) = self.ranges[at];
        &self.bytes[start as usize..end as usize]
    }

    /// Argument `at`, if there are so many.
    #[inline]
    pub fn get(&self, at: usize) -> Option<&'a [u8]> {
        let &(start, end) = self.ranges.get(at)?;
        Some(&self.bytes[start as usize..end as usize])
    }

    /// All arguments, the name first.
    pub fn iter(&self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        let bytes = self.bytes;
        self.ranges.iter().map(move |&(start, end)| &bytes[start as usize..end as usize])
    }

    /// Bytes of all arguments together.
    pub fn bytes_len(&self) -> usize {
        self.ranges.iter().map(|&(start, end)| (end - start) as usize).sum()
    }

    /// Writes the arguments in the form that nodes forward them in: a count, then each with its length.
    pub fn put(&self, buffer: &mut Vec<u8>) {
        put_u32(buffer, self.ranges.len() as u32);
        for argument in self.iter() {
            put_bytes(buffer, argument);
        }
    }
}

impl ArgsBuffer {
    /// Forgets the arguments and keeps the memory.
    #[inline]
    pub fn clear(&mut self) {
        self.ranges.clear();
        self.own.clear();
        self.progress = Progress::default();
    }

    /// Notes one more argument: bytes `start..end` of what the arguments will be borrowed from.
    #[inline]
    pub fn push(&mut self, start: usize, end: usize) {
        self.ranges.push((start as u32, end as u32));
    }

    /// The arguments noted, within `bytes`.
    #[inline]
    pub fn args<'a>(&'a self, bytes: &'a [u8]) -> Args<'a> {
        let bytes = if self.own.is_empty() { bytes } else { self.own.as_slice() };
        Args { bytes, ranges: &self.ranges }
    }

    /// Appends to the bytes that the buffer owns, and returns where they end.
    pub(super) fn own(&mut self, bytes: &[u8]) -> usize {
        self.own.extend_from_slice(bytes);
        self.own.len()
    }

    /// Reads what [`Args::put`] wrote; nothing may follow it.
    pub fn decode<'a>(&'a mut self, bytes: &'a [u8]) -> Result<Args<'a>, Malformed> {
        self.clear();
        let mut reader = Reader::new(bytes);
        let count = reader.u32()?;
        for _ in 0..count {
            let argument = reader.bytes()?;
            let end = bytes.len() - reader.len();
            self.push(end - argument.len(), end);
        }
        reader.end()?;
        Ok(self.args(bytes))
    }

    /// Notes `parts` written one after the other into `bytes`, for commands made here.
    pub fn compose<'a>(&'a mut self, bytes: &'a mut Vec<u8>, parts: &[&[u8]]) -> Args<'a> {
        self.clear();
        bytes.clear();
        for part in parts {
            let start = bytes.len();
            bytes.extend_from_slice(part);
            self.push(start, bytes.len());
        }
        self.args(bytes)
    }
}
