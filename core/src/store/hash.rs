//! Keyed hashes: where a key lives, and what an entry adds to the digest.

use xxhash_rust::xxh3::{Xxh3, xxh3_64_with_seed, xxh3_128_with_seed};

use crate::ids::Keyspace;

/// Keyed by the cluster's secret and the keyspace, so that nobody can choose keys that collide, and so
/// that the same name in two keyspaces is two different items.
#[derive(Clone, Copy, Debug)]
pub(super) struct Hasher {
    place_seed: u64,
    item_seed: u64,
    /// Tests clear bits of it, to make hashes collide.
    #[cfg(test)]
    pub(super) mask: u64,
}

impl Hasher {
    pub(super) fn new(secret: u64, keyspace: Keyspace) -> Self {
        Self {
            place_seed: xxh3_64_with_seed(&[keyspace.0, b'p'], secret),
            item_seed: xxh3_64_with_seed(&[keyspace.0, b'i'], secret),
            #[cfg(test)]
            mask: u64::MAX,
        }
    }

    /// The position of a key: keys live, and are scanned, in the order of this number.
    pub(super) fn place(&self, name: &[u8]) -> u64 {
        let hash = xxh3_64_with_seed(name, self.place_seed);
        #[cfg(test)]
        let hash = hash & self.mask;
        hash
    }

    /// What an entry adds to the digest, from its header, key and value in one piece.
    pub(super) fn item(&self, key_len: usize, whole: &[u8]) -> u128 {
        xxh3_128_with_seed(whole, self.item_seed_for(key_len))
    }

    /// The same number from a header and a body that lie apart.
    pub(super) fn item_of_parts(&self, key_len: usize, header: &[u8], body: &[u8]) -> u128 {
        let mut state = Xxh3::with_seed(self.item_seed_for(key_len));
        state.update(header);
        state.update(body);
        state.digest128()
    }

    /// The header has room for a key length of 16 bits only; what a longer one has above them goes into
    /// the seed, so that no key and value can pass for another split of the same bytes.
    fn item_seed_for(&self, key_len: usize) -> u64 {
        self.item_seed.wrapping_add((key_len as u64 >> 16).wrapping_mul(0x9E37_79B9_7F4A_7C15))
    }
}
