//! Byte buffers that are used again and again.

/// How many idle buffers are kept: more than a busy cluster has messages on their way.
const KEEP: usize = 4096;
/// A buffer that grew beyond this is let go, so that one snapshot does not stay in memory for good.
const LARGEST: usize = 1 << 20;

/// Idle byte buffers.
#[derive(Debug, Default)]
pub struct Pool {
    idle: Vec<Vec<u8>>,
}

impl Pool {
    /// An empty buffer.
    #[inline]
    pub fn take(&mut self) -> Vec<u8> {
        self.idle.pop().unwrap_or_default()
    }

    /// A buffer that holds a copy of `bytes`.
    #[inline]
    pub fn copy(&mut self, bytes: &[u8]) -> Vec<u8> {
        let mut buffer = self.take();
        buffer.extend_from_slice(bytes);
        buffer
    }

    /// Takes a buffer back.
    #[inline]
    pub fn give(&mut self, mut buffer: Vec<u8>) {
        if self.idle.len() < KEEP && buffer.capacity() > 0 && buffer.capacity() <= LARGEST {
            buffer.clear();
            self.idle.push(buffer);
        }
    }
}
