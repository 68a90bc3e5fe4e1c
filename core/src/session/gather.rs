//! The answers of the parts of a command that was split over groups, and how they become one.

use alloc::vec;
use alloc::vec::Vec;

use crate::command::Merge;
use crate::resp::{Proto, Reply, Value, decode};

/// Parts of one command.
#[derive(Debug)]
pub(crate) struct Gather {
    merge: Merge,
    parts: Vec<Part>,
    missing: usize,
}

#[derive(Debug)]
struct Part {
    bytes: Vec<u8>,
    /// Which of the command's keys it speaks of, in its own order.
    keys: Vec<u16>,
    answered: bool,
}

impl Gather {
    pub(crate) fn new(merge: Merge, parts: Vec<Vec<u16>>) -> Self {
        let missing = parts.len();
        let part = |keys| Part { bytes: Vec::new(), keys, answered: false };
        Self { merge, parts: parts.into_iter().map(part).collect(), missing }
    }

    /// Where a part is to be written.
    pub(crate) fn part(&mut self, number: u16) -> &mut Vec<u8> {
        let part = &mut self.parts[usize::from(number)];
        assert!(!part.answered, "a part is answered once");
        part.answered = true;
        self.missing -= 1;
        &mut part.bytes
    }

    pub(crate) fn complete(&self) -> bool {
        self.missing == 0
    }

    /// Writes the answer of the whole. An error of any part is the answer: the first one, in order.
    pub(crate) fn merge(&self, proto: Proto, out: &mut Vec<u8>) {
        if let Some(part) = self.parts.iter().find(|part| part.bytes.first() == Some(&b'-')) {
            out.extend_from_slice(&part.bytes);
            return;
        }
        match self.merge {
            Merge::Sum => Reply::new(out, proto).integer(self.sum()),
            Merge::AllOk => Reply::new(out, proto).ok(),
            Merge::ByKey => self.by_key(proto, out),
            Merge::FirstFound => {
                let found = |part: &&Part| !matches!(&part.bytes[..], b"$-1\r\n" | b"_\r\n");
                let part = self.parts.iter().find(found).unwrap_or(&self.parts[0]);
                out.extend_from_slice(&part.bytes);
            }
            Merge::Concat => self.concat(proto, out),
        }
    }

    fn sum(&self) -> i64 {
        let number = |part: &Part| match decode(&part.bytes) {
            Ok(Some((Value::Integer(number), _))) => number,
            _ => 0,
        };
        self.parts.iter().map(number).sum()
    }

    fn by_key(&self, proto: Proto, out: &mut Vec<u8>) {
        let count = self.parts.iter().map(|part| part.keys.len()).sum();
        let mut values: Vec<&[u8]> = vec![&[]; count];
        for part in &self.parts {
            let Ok(Some((Value::Array(mut items), _))) = decode(&part.bytes) else { continue };
            for key in &part.keys {
                values[usize::from(*key)] = items.next_encoded().unwrap_or_default();
            }
        }
        Reply::new(out, proto).array(count);
        for value in values {
            out.extend_from_slice(value);
        }
    }

    fn concat(&self, proto: Proto, out: &mut Vec<u8>) {
        let arrays = self.parts.iter().filter_map(|part| match decode(&part.bytes) {
            Ok(Some((Value::Array(items), _))) => Some(items),
            _ => None,
        });
        let arrays: Vec<_> = arrays.collect();
        Reply::new(out, proto).array(arrays.iter().map(|items| items.len()).sum());
        for items in arrays {
            out.extend_from_slice(items.encoded());
        }
    }
}
