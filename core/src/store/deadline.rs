//! When a key ends, in 48 bits.

use crate::time::WallTime;

/// Milliseconds since the Unix epoch, or never. Never is later than any time, so deadlines compare as
/// they should.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Deadline(u64);

impl Deadline {
    /// No deadline.
    pub(super) const NEVER: Self = Self((1 << 48) - 1);

    /// Times beyond the year 10,889 do not fit, here or in a stamp: they become the last that does.
    pub(super) fn new(at: Option<WallTime>) -> Self {
        at.map_or(Self::NEVER, |at| Self(at.0.min(Self::NEVER.0 - 1)))
    }

    pub(super) fn time(self) -> Option<WallTime> {
        (self != Self::NEVER).then_some(WallTime(self.0))
    }

    pub(super) fn to_bytes(self) -> [u8; 6] {
        let bytes = self.0.to_le_bytes();
        [bytes[0], bytes[1], bytes[2], bytes[3], bytes[4], bytes[5]]
    }

    pub(super) fn from_bytes(bytes: [u8; 6]) -> Self {
        let mut wide = [0; 8];
        wide[..6].copy_from_slice(&bytes);
        Self(u64::from_le_bytes(wide))
    }
}
