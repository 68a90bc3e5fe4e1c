//! What will happen, in the order in which it will.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// A moment of the world's own timeline, in nanoseconds since its beginning.
pub type Time = u64;

/// One millisecond of the world's timeline.
pub const MS: Time = 1_000_000;
/// One second of the world's timeline.
pub const SECOND: Time = 1_000 * MS;

/// Things that will happen. Equal moments keep the order in which they were planned.
#[derive(Debug)]
pub struct Queue<T> {
    heap: BinaryHeap<Reverse<Planned<T>>>,
    planned: u64,
}

#[derive(Debug)]
struct Planned<T> {
    /// The moment, and below it which one planned it was: one number, so that comparing it takes no branch.
    key: u128,
    what: T,
}

impl<T> Queue<T> {
    /// Nothing planned.
    pub fn new() -> Self {
        Self { heap: BinaryHeap::new(), planned: 0 }
    }

    /// Plans `what` for the moment `at`.
    #[inline]
    pub fn push(&mut self, at: Time, what: T) {
        self.planned += 1;
        let key = u128::from(at) << 64 | u128::from(self.planned);
        self.heap.push(Reverse(Planned { key, what }));
    }

    /// The moment of the next thing to happen.
    #[inline]
    pub fn next_at(&self) -> Option<Time> {
        self.heap.peek().map(|next| next.0.at())
    }

    /// Takes the next thing to happen.
    #[inline]
    pub fn pop(&mut self) -> Option<(Time, T)> {
        self.heap.pop().map(|next| (next.0.at(), next.0.what))
    }

    /// How many things were ever planned.
    pub fn planned(&self) -> u64 {
        self.planned
    }

    /// Whether nothing will happen any more.
    pub fn is_empty(&self) -> bool {
        self.heap.is_empty()
    }
}

impl<T> Default for Queue<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> Planned<T> {
    fn at(&self) -> Time {
        (self.key >> 64) as Time
    }
}

impl<T> PartialEq for Planned<T> {
    fn eq(&self, other: &Self) -> bool {
        self.key == other.key
    }
}

impl<T> Eq for Planned<T> {}

impl<T> PartialOrd for Planned<T> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl<T> Ord for Planned<T> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.key.cmp(&other.key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_moments_keep_their_order() {
        let mut queue = Queue::new();
        for (at, what) in [(5, 'a'), (3, 'b'), (5, 'c'), (3, 'd')] {
            queue.push(at, what);
        }
        let order: Vec<_> = std::iter::from_fn(|| queue.pop()).collect();
        assert_eq!(order, [(3, 'b'), (3, 'd'), (5, 'a'), (5, 'c')]);
    }
}
