//! One number for everything that went into and came out of every turn.

use xxhash_rust::xxh3::xxh3_64_with_seed;

/// Bytes gathered before they are hashed in one piece: short enough to stay in the first cache.
const BLOCK: usize = 8 << 10;

/// A running hash. Two runs with equal hashes saw the same bytes in the same order.
#[derive(Debug)]
pub struct TraceHash {
    state: u64,
    block: Vec<u8>,
    bytes: u64,
}

impl TraceHash {
    /// Nothing seen yet.
    pub fn new() -> Self {
        Self { state: 0, block: Vec::with_capacity(BLOCK * 2), bytes: 0 }
    }

    /// Adds a number, with a tag that tells what it is.
    #[inline]
    pub fn number(&mut self, tag: u8, value: u64) {
        self.block.push(tag);
        self.block.extend_from_slice(&value.to_le_bytes());
        self.spill();
    }

    /// Adds bytes, with a tag and two small numbers that tell whose they are.
    #[inline]
    pub fn bytes(&mut self, tag: u8, whose: (u32, u32), bytes: &[u8]) {
        self.block.push(tag);
        self.block.extend_from_slice(&whose.0.to_le_bytes());
        self.block.extend_from_slice(&whose.1.to_le_bytes());
        self.block.extend_from_slice(&(bytes.len() as u64).to_le_bytes());
        self.block.extend_from_slice(bytes);
        self.spill();
    }

    /// The hash of everything so far.
    pub fn value(&self) -> u64 {
        xxh3_64_with_seed(&self.block, self.state)
    }

    /// How many bytes were hashed so far.
    pub fn seen(&self) -> u64 {
        self.bytes + self.block.len() as u64
    }

    #[inline]
    fn spill(&mut self) {
        if self.block.len() >= BLOCK {
            self.state = xxh3_64_with_seed(&self.block, self.state);
            self.bytes += self.block.len() as u64;
            self.block.clear();
        }
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
        let run = |odd: u8| {
            let mut hash = TraceHash::new();
            for turn in 0..5_000 {
                hash.number(1, turn);
                hash.bytes(2, (1, 2), &[turn as u8, if turn == 17 { odd } else { 0 }]);
            }
            hash.value()
        };
        assert_eq!(run(0), run(0));
        assert_ne!(run(0), run(1));
    }
}
