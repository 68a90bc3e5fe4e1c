//! Messages on their way between engines.

use driftless_core::NodeId;
use driftless_core::engine::describe_frames;

use super::node::Input;
use super::{What, World};
use crate::hash::Sum;
use crate::network::{Fate, Links};
use crate::queue::Time;

/// A message on its way, or a datagram.
#[derive(Debug, Default)]
pub(super) struct Message {
    pub(super) from: u8,
    pub(super) to: u8,
    lane: u8,
    /// The run of the receiver's process it was sent to.
    pub(super) boot: u32,
    /// The connection it was sent on.
    epoch: u32,
    /// Bytes that arrive first, and how long the rest takes; (0, 0) if all arrives together.
    split: (u32, Time),
    pub(super) bytes: Vec<u8>,
    /// What they were hashed to when they were sent, if they are still the same.
    sum: Option<Sum>,
}

impl Message {
    /// A datagram belongs to no engine and no connection.
    pub(super) fn datagram(from: u8, to: u8, boot: u32, bytes: Vec<u8>) -> Self {
        Self { from, to, lane: 0, boot, epoch: 0, split: (0, 0), bytes, sum: None }
    }
}

/// Which messages are dropped for their kind.
#[derive(Debug)]
pub(super) enum DropClass {
    /// None.
    Off,
    /// One kind, to be chosen: that of the message after so many others.
    Choose(u32),
    /// Those whose description begins with this word.
    Named(String),
}

impl World {
    /// Sends bytes to the same lane of another node.
    pub(super) fn send(
        &mut self,
        (from, to): (usize, usize),
        lane: usize,
        bytes: Vec<u8>,
        sum: Sum,
    ) {
        self.counts.messages += 1;
        assert!(to < self.nodes.len() && to != from, "an engine sends to other nodes only");
        if !self.nodes[to].up || self.dropped_by_class(&bytes) {
            self.pool.give(bytes);
            return;
        }
        let message = Message {
            from: from as u8,
            to: to as u8,
            lane: lane as u8,
            boot: self.nodes[to].boot,
            epoch: self.epochs[from * self.nodes.len() + to],
            split: (0, 0),
            bytes,
            sum: Some(sum),
        };
        let length = message.bytes.len();
        match self.network.send((from, to), length, self.now, &mut self.chances.network) {
            Fate::Lost => self.pool.give(message.bytes),
            Fate::Arrives(at) => self.plan_delivery(at, message),
            Fate::Twice(first, second) => {
                let again = Message { bytes: self.pool.copy(&message.bytes), ..message };
                self.plan_delivery(first, message);
                self.plan_delivery(second, again);
            }
            Fate::Split(first, at, rest_at) => {
                let split = (first as u32, rest_at - at);
                self.plan_delivery(at, Message { split, sum: None, ..message });
            }
            Fate::Corrupt(place, at) => {
                let mut message = message;
                message.bytes[place] ^= 0x5A;
                message.sum = None;
                self.plan_delivery(at, message);
            }
            Fate::Held => self.held.push(message),
            Fate::Overflow => {
                self.pool.give(message.bytes);
                self.trace.note(self.now, format_args!("n{} -> n{} overflows", from + 1, to + 1));
                self.reset(from, to);
            }
        }
    }

    fn plan_delivery(&mut self, at: Time, message: Message) {
        let slot = self.on_its_way(message);
        self.queue.push(at, What::Deliver { slot });
    }

    /// Keeps a message until it has [`World::arrived`].
    pub(super) fn on_its_way(&mut self, message: Message) -> u32 {
        if let Some(slot) = self.free.pop() {
            self.messages[slot as usize] = message;
            return slot;
        }
        self.messages.push(message);
        self.messages.len() as u32 - 1
    }

    pub(super) fn arrived(&mut self, slot: u32) -> Message {
        self.free.push(slot);
        std::mem::take(&mut self.messages[slot as usize])
    }

    /// A message arrives.
    pub(super) fn deliver(&mut self, slot: u32) {
        let message = self.arrived(slot);
        let (from, to, lane) = (message.from as usize, message.to as usize, message.lane as usize);
        let epoch = self.epochs[from * self.nodes.len() + to];
        let machine = &mut self.nodes[to];
        if !machine.up || machine.boot != message.boot || epoch != message.epoch {
            self.pool.give(message.bytes);
            return;
        }
        let tail = &mut machine.lanes[lane].tails[from];
        if !tail.is_empty() {
            // The rest of a split message comes first: a connection keeps its order.
            tail.extend_from_slice(&message.bytes);
            self.pool.give(message.bytes);
            return;
        }
        let mut bytes = message.bytes;
        let (first, later) = message.split;
        if later > 0 {
            tail.extend_from_slice(&bytes[first as usize..]);
            bytes.truncate(first as usize);
            let (from, to, lane, boot) = (message.from, message.to, message.lane, machine.boot);
            self.queue.push(self.now + later, What::Tail { from, to, lane, boot, epoch });
        }
        let from = NodeId(u32::from(message.from) + 1);
        self.input(to, lane, Input::Bytes(from, bytes, message.sum));
    }

    /// The rest of a split message arrives, and what came behind it.
    pub(super) fn deliver_tail(
        &mut self,
        (from, to): (usize, usize),
        lane: usize,
        boot: u32,
        epoch: u32,
    ) {
        let current = self.epochs[from * self.nodes.len() + to];
        let machine = &mut self.nodes[to];
        if !machine.up || machine.boot != boot || current != epoch {
            return;
        }
        let mut bytes = self.pool.take();
        std::mem::swap(&mut bytes, &mut machine.lanes[lane].tails[from]);
        if !bytes.is_empty() {
            self.input(to, lane, Input::Bytes(NodeId(from as u32 + 1), bytes, None));
        }
    }

    /// The connection between two nodes breaks: what is in flight is lost, and both are told.
    pub(super) fn reset(&mut self, a: usize, b: usize) {
        let nodes = self.nodes.len();
        self.epochs[a * nodes + b] += 1;
        self.epochs[b * nodes + a] += 1;
        self.held.retain(|message| {
            let ends = (message.from as usize, message.to as usize);
            ends != (a, b) && ends != (b, a)
        });
        for (here, there) in [(a, b), (b, a)] {
            for lane in 0..self.nodes[here].lanes.len() {
                self.nodes[here].lanes[lane].disconnect(there);
                self.input(here, lane, Input::Reset(NodeId(there as u32 + 1)));
            }
        }
    }

    /// Tells the other nodes that the connections to a node are gone.
    pub(super) fn reset_all(&mut self, node: usize) {
        for other in 0..self.nodes.len() {
            if other != node {
                self.reset(node, other);
            }
        }
    }

    /// Lets links carry what they held: all at once, possibly in another order.
    pub(super) fn release(&mut self, links: Links) {
        for (from, to) in self.network.release(links).iter() {
            self.reset(from, to);
        }
        let mut released = Vec::new();
        let mut kept = Vec::new();
        for message in self.held.drain(..) {
            let there = links.has(message.from as usize, message.to as usize);
            if there { released.push(message) } else { kept.push(message) }
        }
        self.held = kept;
        let spread = if self.options.network.reordering { self.options.network.spread } else { 0 };
        for message in released {
            let at = self.now + 1 + self.chances.network.up_to(spread);
            self.plan_delivery(at, message);
        }
    }

    fn dropped_by_class(&mut self, bytes: &[u8]) -> bool {
        match &mut self.drop_class {
            DropClass::Off => return false,
            DropClass::Choose(left) if *left > 0 => {
                *left -= 1;
                return false;
            }
            DropClass::Choose(_) | DropClass::Named(_) => {}
        }
        let frames = describe_frames(bytes);
        let Some(word) = frames.first().and_then(|frame| frame.split_whitespace().next()) else {
            return false;
        };
        if matches!(self.drop_class, DropClass::Choose(_)) {
            self.trace.note(self.now, format_args!("messages of kind {word} are lost from now on"));
            self.drop_class = DropClass::Named(word.to_string());
            return true;
        }
        matches!(&self.drop_class, DropClass::Named(name) if name == word)
    }
}
