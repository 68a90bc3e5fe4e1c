//! The answers of the parts of a command that was split over groups, until all are there.

use alloc::vec;
use alloc::vec::Vec;

use crate::command::{self, Merge};
use crate::resp::{Proto, Reply};

/// Parts of one command.
#[derive(Debug)]
pub(crate) struct Gather {
    merge: Merge,
    proto: Proto,
    parts: Vec<Vec<u8>>,
    /// For each key of the command, the part that speaks of it.
    order: Vec<u16>,
    missing: usize,
}

impl Gather {
    pub(crate) fn new(merge: Merge, proto: Proto, parts: usize, order: Vec<u16>) -> Self {
        Self { merge, proto, parts: vec![Vec::new(); parts], order, missing: parts }
    }

    /// Where a part is to be written.
    pub(crate) fn part(&mut self, number: u16) -> &mut Vec<u8> {
        let part = &mut self.parts[usize::from(number)];
        assert!(part.is_empty(), "a part is answered once");
        self.missing -= 1;
        part
    }

    /// Bytes of all parts.
    pub(crate) fn bytes(&self) -> usize {
        self.parts.iter().map(Vec::len).sum()
    }

    pub(crate) fn merges(&self, how: Merge) -> bool {
        self.merge == how
    }

    pub(crate) fn complete(&self) -> bool {
        self.missing == 0
    }

    /// Writes the answer of the whole.
    pub(crate) fn merge(&self, out: &mut Vec<u8>) {
        let parts: Vec<&[u8]> = self.parts.iter().map(Vec::as_slice).collect();
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
