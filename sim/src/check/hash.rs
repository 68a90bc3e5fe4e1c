//! A fast hash of bytes, fixed for all time, so that what checkers remember of an entry is 8 bytes.

const LEFT: u64 = 0x9e37_79b9_7f4a_7c15;
const RIGHT: u64 = 0xd6e8_feb8_6659_fd93;

/// Sixty-four bits that stand for some bytes. Never 0: that means "unknown" to whoever stores it.
pub fn of_bytes(bytes: &[u8]) -> u64 {
    let mut state = fold(bytes.len() as u64 ^ LEFT, RIGHT);
    let mut words = bytes.chunks_exact(8);
    for word in words.by_ref() {
        let word = u64::from_le_bytes(word.try_into().expect("chunks are 8 bytes long"));
        state = fold(state ^ word, LEFT);
    }
    let mut last = [0; 8];
    last[..words.remainder().len()].copy_from_slice(words.remainder());
    fold(state ^ u64::from_le_bytes(last), RIGHT).max(1)
}

/// Sixty-four bits that stand for a digest; never 0.
pub fn of_digest(digest: u128) -> u64 {
    fold((digest >> 64) as u64 ^ LEFT, digest as u64 ^ RIGHT).max(1)
}

/// A number that looks random, for each number and stream.
pub fn scatter(number: u64, stream: u64) -> u64 {
    fold(fold(number ^ LEFT, RIGHT ^ stream), LEFT)
}

/// Another number, of which every bit depends on every bit of the first.
#[inline]
pub fn mix(number: u64) -> u64 {
    fold(number ^ LEFT, RIGHT)
}

/// Both halves of a 128-bit product folded into one: every input bit moves every output bit, but the lowest one of
/// `right`.
#[inline]
fn fold(left: u64, right: u64) -> u64 {
    let product = u128::from(left ^ (left >> 32)) * u128::from(right | 1);
    (product as u64) ^ ((product >> 64) as u64) ^ left.rotate_left(23)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    #[test]
    fn different_bytes_hash_differently() {
        let mut seen = BTreeSet::new();
        let mut bytes = Vec::new();
        for length in 0..40 {
            for flipped in 0..length * 8 {
                bytes.clear();
                bytes.resize(length, 0);
                bytes[flipped / 8] ^= 1 << (flipped % 8);
                assert!(seen.insert(super::of_bytes(&bytes)), "length {length} bit {flipped}");
            }
        }
        assert!(seen.insert(super::of_bytes(&[])));
    }
}
