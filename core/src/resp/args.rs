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
}

impl<'a> Args<'a> {
    /// How many arguments there are, the command's name included.
    pub fn len(&self) -> usize {
        self.ranges.len()
    }

    /// Whether there is not even a name.
    pub fn is_empty(&self) -> bool {
        self.ranges.is_empty()
    }

    /// Argument `at`; 0 is the command's name. Panics beyond the last: arity is checked first.
    pub fn at(&self, at: usize) -> &'a [u8] {
        let (start, end) = self.ranges[at];
        &self.bytes[start as usize..end as usize]
    }

    /// Argument `at`, if there are so many.
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
    pub fn clear(&mut self) {
        self.ranges.clear();
    }

    /// Notes one more argument: bytes `start..end` of what the arguments will be borrowed from.
    pub fn push(&mut self, start: usize, end: usize) {
        self.ranges.push((start as u32, end as u32));
    }

    /// The arguments noted, within `bytes`.
    pub fn args<'a>(&'a self, bytes: &'a [u8]) -> Args<'a> {
        Args { bytes, ranges: &self.ranges }
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
