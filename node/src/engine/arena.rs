//! Where all connections' bytes of one turn are read to.

/// Bytes that one turn gathers at most.
const BYTES: usize = 1 << 20;

/// One buffer for all that a turn reads; empty again after it.
#[derive(Debug)]
pub(super) struct Arena {
    bytes: Vec<u8>,
    used: usize,
}

impl Arena {
    /// An empty arena.
    pub(super) fn new() -> Self {
        Self { bytes: vec![0; BYTES], used: 0 }
    }

    /// Bytes in it.
    pub(super) fn len(&self) -> usize {
        self.used
    }

    /// Whether two more reads of `count` bytes fit.
    pub(super) fn has_room(&self, count: usize) -> bool {
        self.bytes.len() - self.used >= 2 * count
    }

    /// Room for `count` bytes, at its end.
    pub(super) fn room(&mut self, count: usize) -> &mut [u8] {
        &mut self.bytes[self.used..self.used + count]
    }

    /// `count` bytes of the room were filled.
    pub(super) fn advance(&mut self, count: usize) {
        self.used += count;
    }

    /// The bytes in it.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes[..self.used]
    }

    /// Empties it.
    pub(super) fn clear(&mut self) {
        self.used = 0;
    }
}
