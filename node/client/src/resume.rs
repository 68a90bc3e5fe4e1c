//! What of a watch was told already, so that it can go on elsewhere without loss or repetition.

use std::collections::BTreeMap;

use crate::proto;

/// Up to where changes were told, partition by partition. Can be kept, and handed to
/// [`Client::watch_after`](crate::Client::watch_after) later.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Places(BTreeMap<u32, u64>);

impl Places {
    /// The partitions, and the index in the history of each.
    pub fn iter(&self) -> impl Iterator<Item = (u32, u64)> {
        self.0.iter().map(|(partition, index)| (*partition, *index))
    }

    fn reached(&self, partition: u32) -> u64 {
        self.0.get(&partition).copied().unwrap_or(0)
    }
}

impl FromIterator<(u32, u64)> for Places {
    fn from_iter<I: IntoIterator<Item = (u32, u64)>>(places: I) -> Self {
        Self(places.into_iter().collect())
    }
}

/// What was told. Changes of one partition come in the same order from every node, so it is enough to count: some changes of one
/// index may have been told, and others not.
#[derive(Debug, Default)]
pub(crate) struct Told {
    places: Places,
    /// Of each partition, the index of the last change and how many of that index were told.
    last: BTreeMap<u32, (u64, u32)>,
    /// The same, where an older node's account is being heard again: how many are still to be passed over.
    again: BTreeMap<u32, (u64, u32)>,
}

impl Told {
    pub(crate) fn from(places: Places) -> Self {
        Self { places, ..Self::default() }
    }

    pub(crate) fn places(&self) -> &Places {
        &self.places
    }

    /// A node begins to tell what came after the places.
    pub(crate) fn begin(&mut self) {
        self.again = self.last.clone();
    }

    /// Whether a change that is told now was not told before.
    pub(crate) fn is_new(&mut self, partition: u32, index: u64) -> bool {
        if index <= self.places.reached(partition) {
            return false;
        }
        if let Some((at, left)) = self.again.get_mut(&partition) {
            if index < *at {
                return false;
            }
            if index == *at && *left > 0 {
                *left -= 1;
                return false;
            }
            self.again.remove(&partition);
        }
        let last = self.last.entry(partition).or_default();
        *last = if last.0 == index { (index, last.1 + 1) } else { (index, 1) };
        true
    }

    /// Everything up to these places has been told.
    pub(crate) fn reach(&mut self, places: &[proto::Place]) {
        for place in places {
            let reached = self.places.0.entry(place.partition).or_default();
            *reached = place.index.max(*reached);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Tells changes of (partition, index); which of them are new.
    fn told(told: &mut Told, changes: &[(u32, u64)]) -> Vec<bool> {
        changes.iter().map(|(partition, index)| told.is_new(*partition, *index)).collect()
    }

    fn reach(told: &mut Told, partition: u32, index: u64) {
        told.reach(&[proto::Place { partition, index }]);
    }

    #[test]
    fn what_a_second_node_repeats_is_passed_over_and_nothing_else() {
        let mut all = Told::default();
        all.begin();
        reach(&mut all, 1, 4);
        reach(&mut all, 2, 9);
        assert_eq!(told(&mut all, &[(1, 5), (1, 5), (2, 10)]), [true; 3]);
        reach(&mut all, 2, 10);
        assert_eq!(all.places().iter().collect::<Vec<_>>(), [(1, 4), (2, 10)]);
        // The first node broke off amid index 5: the second tells all of it.
        all.begin();
        let again = [(1, 5), (1, 5), (1, 5), (2, 10), (2, 11), (1, 6)];
        assert_eq!(told(&mut all, &again), [false, false, true, false, true, true]);
    }

    #[test]
    fn a_watch_may_break_again_before_it_has_caught_up() {
        let mut all = Told::from([(1, 1)].into_iter().collect());
        all.begin();
        assert_eq!(told(&mut all, &[(1, 2), (1, 3), (1, 3)]), [true; 3]);
        all.begin();
        assert_eq!(told(&mut all, &[(1, 2), (1, 3)]), [false; 2]);
        all.begin();
        assert_eq!(told(&mut all, &[(1, 2), (1, 3), (1, 3), (1, 3)]), [false, false, false, true]);
        reach(&mut all, 1, 3);
        all.begin();
        assert_eq!(told(&mut all, &[(1, 4)]), [true]);
    }
}
