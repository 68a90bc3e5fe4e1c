//! One number for everything that went into and came out of every turn.

use xxhash_rust::xxh3::xxh3_64;

use crate::check::hash::mix;

/// A running hash. Two runs with equal hashes saw the same bytes in the same order.
#[derive(Debug)]
pub struct TraceHash {
    state: u64,
}

/// Stands for bytes that were hashed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sum(u64);

impl TraceHash {
    /// Nothing seen yet.
    pub fn new() -> Self {
        Self { state: 0 }
    }

    /// Adds a number, with a tag that tells what it is.
    #[inline]
    pub fn number(&mut self, tag: u8, value: u64) {
        self.state = mix((self.state ^ u64::from(tag)).rotate_left(23) ^ value);
    }

    /// Adds bytes, with a tag and two small numbers that tell whose they are.
    #[inline]
    pub fn bytes(&mut self, tag: u8, whose: (u32, u32), bytes: &[u8]) -> Sum {
        let sum = Sum(xxh3_64(bytes));
        self.again(tag, whose, sum);
        sum
    }

    /// Adds bytes that were added before, without reading them again.
    #[inline]
    pub fn again(&mut self, tag: u8, whose: (u32, u32), sum: Sum) {
        self.number(tag, u64::from(whose.0) << 32 | u64::from(whose.1));
        self.number(tag, sum.0);
    }

    /// The hash of everything so far.
    pub fn value(&self) -> u64 {
        self.state
    }
}

impl Default for TraceHash {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_bit_changes_the_hash() {
        let run = |at: u64, tag: u8, number: u64, byte: u8| {
            let mut hash = TraceHash::new();
            for turn in 0..5_000 {
                let odd = turn == at;
                hash.number(2 + u8::from(odd) * tag, turn ^ (u64::from(odd) * number));
                hash.bytes(2, (1, 2), &[turn as u8, u8::from(odd) * byte]);
            }
            hash.value()
        };
        let usual = run(17, 0, 0, 0);
        assert_eq!(run(4_999, 0, 0, 0), usual);
        for at in [0, 17, 4_999] {
            assert_ne!(run(at, 1, 0, 0), usual, "another tag");
            assert_ne!(run(at, 0, 0, 1), usual, "another byte");
            for bit in 0..64 {
                assert_ne!(run(at, 0, 1 << bit, 0), usual, "bit {bit} of a number");
            }
        }
    }
}
