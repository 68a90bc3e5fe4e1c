//! How long things took, counted.

use crate::time::Span;

/// How many sizes are told apart: up to a microsecond, up to two, up to four, and so on; the last has no bound.
pub const BUCKETS: usize = 25;

/// What the shortest bound is: a microsecond.
const SHORTEST: u64 = 1_000;

/// How long things took, by powers of two.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Histogram {
    counts: [u64; BUCKETS],
    sum: u64,
}

impl Histogram {
    /// Something took so long.
    #[inline]
    pub fn note(&mut self, span: Span) {
        let units = span.0.saturating_sub(1) / SHORTEST;
        let bucket = (u64::BITS - units.leading_zeros()) as usize;
        self.counts[bucket.min(BUCKETS - 1)] += 1;
        self.sum += span.0;
    }

    /// How many things took up to so long, and longer than the bound before: bound and count. The last has no
    /// bound.
    pub fn counts(&self) -> impl Iterator<Item = (Option<Span>, u64)> {
        let bound = |bucket: usize| (bucket < BUCKETS - 1).then(|| Span(SHORTEST << bucket));
        self.counts.iter().enumerate().map(move |(bucket, count)| (bound(bucket), *count))
    }

    /// How many things there were.
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// How long all of them took together.
    pub fn sum(&self) -> Span {
        Span(self.sum)
    }

    /// Adds what another has counted.
    pub fn add(&mut self, other: &Self) {
        for (count, more) in self.counts.iter_mut().zip(other.counts) {
            *count += more;
        }
        self.sum += other.sum;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_span_is_counted_below_the_first_bound_that_holds_it() {
        for (nanoseconds, bound) in [
            (0, Some(1_000)),
            (1_000, Some(1_000)),
            (1_001, Some(2_000)),
            (2_000, Some(2_000)),
            (2_001, Some(4_000)),
            (1_000 << 23, Some(1_000 << 23)),
            ((1_000 << 23) + 1, None),
            (u64::MAX / 2, None),
        ] {
            let mut histogram = Histogram::default();
            histogram.note(Span(nanoseconds));
            let found = histogram.counts().find(|(_, count)| *count > 0).unwrap();
            assert_eq!(found.0.map(|span| span.0), bound, "{nanoseconds}");
            assert_eq!((histogram.count(), histogram.sum()), (1, Span(nanoseconds)));
        }
    }
}
