//! The answers of the parts of a command that was split over groups, until all are there.

use alloc::vec;
use alloc::vec::Vec;
use core::ops::Range;

use crate::command::{self, Merge};
use crate::resp::{Proto, Reply};

/// Parts of one command.
#[derive(Debug)]
pub(crate) struct Gather {
    merge: Merge,
    proto: Proto,
    /// The answers so far, one behind the other, and where in them that of each part is.
    bytes: Vec<u8>,
    parts: Vec<Range<usize>>,
    /// For each key of the command, the part that speaks of it.
    order: Vec<u16>,
    missing: usize,
}

impl Gather {
    pub(crate) fn new(merge: Merge, proto: Proto, parts: usize, order: Vec<u16>) -> Self {
        Self { merge, proto, bytes: Vec::new(), parts: vec![0..0; parts], order, missing: parts }
    }

    /// Takes the answer of a part; returns how many bytes it has.
    pub(crate) fn add(&mut self, number: u16, write: impl FnOnce(&mut Vec<u8>)) -> usize {
        let part = &mut self.parts[usize::from(number)];
        assert_eq!(*part, 0..0, "a part is answered once");
        let start = self.bytes.len();
        write(&mut self.bytes);
        *part = start..self.bytes.len();
        self.missing -= 1;
        part.len()
    }

    /// Bytes of all parts.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes.len()
    }

    pub(crate) fn merges(&self, how: Merge) -> bool {
        self.merge == how
    }

    pub(crate) fn complete(&self) -> bool {
        self.missing == 0
    }

    /// Writes the answer of the whole.
    pub(crate) fn merge(&self, out: &mut Vec<u8>) {
        let parts: Vec<&[u8]> = self.parts.iter().map(|part| &self.bytes[part.clone()]).collect();
        // An error that says "nothing was done" would be a lie if some parts were.
        let failed = parts.iter().find(|part| part.first() == Some(&b'-'));
        if let Some(failed) = failed
            && parts.iter().any(|part| part.first() != Some(&b'-'))
        {
            let text = failed[1..].trim_ascii_end();
            let parts: [&[u8]; 2] = [b"PARTIAL Some keys were reached and some were not: ", text];
            Reply::new(out, self.proto).error_bytes(&parts);
            return;
        }
        let order = self.order.iter().map(|part| usize::from(*part));
        command::merge(self.merge, &parts, order, &mut Reply::new(out, self.proto))
            .expect("groups answer what the command table says");
    }
}
