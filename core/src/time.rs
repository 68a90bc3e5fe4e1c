//! Time as data. Nothing in this crate asks the operating system what time it is.

/// Nanoseconds on the node's monotonic clock; strictly larger in every turn.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Instant(pub u64);

/// A length of time in nanoseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Span(pub u64);

/// Milliseconds since the Unix epoch, as this node believes. May jump; may be skewed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WallTime(pub u64);

/// Both clocks, read once per turn by the driver, after it has gathered the turn's inputs.
#[derive(Clone, Copy, Debug, Default)]
pub struct Now {
    /// For timeouts and leases.
    pub mono: Instant,
    /// For stamps; never for safety.
    pub wall: WallTime,
}

/// A hybrid logical clock: 48 bits of milliseconds since the Unix epoch, 16 bits of counter. Never
/// decreases along a group's log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Stamp(pub u64);

impl Span {
    /// A span of so many milliseconds.
    #[must_use]
    pub const fn millis(count: u64) -> Self {
        Self(count * 1_000_000)
    }

    /// Whole milliseconds.
    #[must_use]
    pub const fn as_millis(self) -> u64 {
        self.0 / 1_000_000
    }
}

impl Instant {
    /// The moment `span` later.
    #[must_use]
    pub const fn plus(self, span: Span) -> Self {
        Self(self.0.saturating_add(span.0))
    }

    /// How long ago `earlier` was; nothing if it is yet to come.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Span {
        Span(self.0.saturating_sub(earlier.0))
    }
}

impl Stamp {
    /// The first stamp of a millisecond.
    #[must_use]
    pub const fn at(wall: WallTime) -> Self {
        Self(wall.0 << 16)
    }

    /// The millisecond it falls in.
    #[must_use]
    pub const fn wall(self) -> WallTime {
        WallTime(self.0 >> 16)
    }

    /// The next stamp a clock that shows `wall` gives after `self`: never smaller, never equal.
    #[must_use]
    pub fn tick(self, wall: WallTime) -> Self {
        Self(self.0 + 1).max(Self::at(wall))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stamps_rise_whatever_the_clock_does() {
        let first = Stamp::default().tick(WallTime(1_000));
        assert_eq!(first.wall(), WallTime(1_000));
        let second = first.tick(WallTime(5));
        assert!(second > first);
        assert_eq!(second.wall(), WallTime(1_000));
    }
}
