//! Keys and values too large for an arena, each in its own allocation.

use alloc::vec::Vec;

/// The large bodies of one segment.
#[derive(Debug, Default)]
pub(super) struct Elsewhere {
    bodies: Vec<Vec<u8>>,
    free: Vec<u32>,
    bytes: usize,
}

impl Elsewhere {
    pub(super) fn get(&self, place: u32) -> &[u8] {
        &self.bodies[place as usize]
    }

    pub(super) fn put(&mut self, body: Vec<u8>) -> u32 {
        self.bytes += body.capacity();
        if let Some(place) = self.free.pop() {
            self.bodies[place as usize] = body;
            return place;
        }
        self.bodies.push(body);
        (self.bodies.len() - 1) as u32
    }

    pub(super) fn take(&mut self, place: u32) -> Vec<u8> {
        let body = core::mem::take(&mut self.bodies[place as usize]);
        self.bytes -= body.capacity();
        self.free.push(place);
        if self.free.len() == self.bodies.len() {
            *self = Self::default();
        }
        body
    }

    /// Changes a body in its place.
    pub(super) fn edit(&mut self, place: u32, edit: impl FnOnce(&mut Vec<u8>)) {
        let body = &mut self.bodies[place as usize];
        self.bytes -= body.capacity();
        edit(body);
        // A value that has become much smaller gives its memory back.
        if body.capacity() / 2 > body.len() {
            body.shrink_to_fit();
        }
        self.bytes += body.capacity();
    }

    /// How many places are in use.
    pub(super) fn used(&self) -> usize {
        self.bodies.len() - self.free.len()
    }

    pub(super) fn memory(&self) -> usize {
        self.bytes
            + self.bodies.capacity() * size_of::<Vec<u8>>()
            + self.free.capacity() * size_of::<u32>()
    }

    /// Panics if the count of bytes is off.
    pub(super) fn check(&self) {
        let bytes: usize = self.bodies.iter().map(Vec::capacity).sum();
        assert_eq!(bytes, self.bytes, "the bytes of large values are counted wrongly");
    }
}
