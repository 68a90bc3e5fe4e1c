//! The groups of one lane, found by number.

use alloc::vec;
use alloc::vec::Vec;

use super::Partition;
use crate::ids::GroupId;

/// Stands for a group of another lane.
const NONE: u32 = u32::MAX;

/// Partitions in the order of their groups.
#[derive(Debug)]
pub(super) struct Partitions {
    list: Vec<Partition>,
    /// By group: where in the list. Several times a turn a group is looked for; a division by the number of lanes
    /// would be what takes longest about it.
    places: Vec<u32>,
}

impl Partitions {
    pub(super) fn new(list: Vec<Partition>) -> Self {
        let last = list.last().map_or(0, |last| last.id.0);
        let mut places = vec![NONE; last as usize + 1];
        for (place, partition) in (0..).zip(&list) {
            places[partition.id.0 as usize] = place;
        }
        Self { list, places }
    }

    #[inline]
    pub(super) fn get(&self, id: GroupId) -> Option<&Partition> {
        let place = *self.places.get(id.0 as usize)?;
        self.list.get(place as usize)
    }

    #[inline]
    pub(super) fn get_mut(&mut self, id: GroupId) -> Option<&mut Partition> {
        let place = *self.places.get(id.0 as usize)?;
        self.list.get_mut(place as usize)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Partition> {
        self.list.iter()
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Partition> {
        self.list.iter_mut()
    }
}
