//! What a story may do to a world, beside what faults do.

use driftless_core::{Liveness, NodeId};

use super::World;
use super::effects::Effect;
use crate::network::{Links, NetworkSettings};
use crate::queue::{MS, Time};

/// Until a story says otherwise.
const FOR_GOOD: Time = Time::MAX / 4;

impl World {
    /// Cuts links until the network is healed.
    pub fn cut(&mut self, links: Links) {
        self.begin(Effect::Cut(links), FOR_GOOD);
    }

    /// Leaves only one node in sight of both sides.
    pub fn cut_bridge(&mut self, middle: usize) {
        let links = self.bridge(middle);
        self.cut(links);
    }

    /// Lets links come and go for some time.
    pub fn flap(&mut self, links: Links, span: Time) {
        self.begin(Effect::Flap(links, true, self.now + span), 200 * MS);
    }

    /// Lets links hold their messages until the network is healed.
    pub fn hold(&mut self, links: Links) {
        self.begin(Effect::Hold(links), FOR_GOOD);
    }

    /// Lets links carry little until the network is healed.
    pub fn slow_down(&mut self, links: Links) {
        self.begin(Effect::Slow(links), FOR_GOOD);
    }

    /// Breaks the connection between two nodes.
    pub fn break_connection(&mut self, a: usize, b: usize) {
        if a != b {
            self.reset(a, b);
        }
    }

    /// How all links behave.
    pub fn network_settings(&mut self) -> &mut NetworkSettings {
        &mut self.network.settings
    }

    /// A node hands over, stops and starts again.
    pub fn retire_and_restart(&mut self, node: usize) {
        self.retire(node);
        self.begin(Effect::Retiring(node, self.now + 2_000 * MS), 10 * MS);
    }

    /// Moves a wall clock.
    pub fn step_clock(&mut self, node: usize, milliseconds: i64) {
        self.nodes[node].clock.step(milliseconds);
    }

    /// Stops a wall clock, or lets it go on.
    pub fn freeze_clock(&mut self, node: usize, frozen: bool) {
        let (clock, now) = (&mut self.nodes[node].clock, self.now);
        if frozen { clock.freeze(now) } else { clock.thaw(now) }
    }

    /// Copies what is durable on the disks of a node.
    pub fn copy_disk(&mut self, node: usize) {
        self.nodes[node].lanes.iter_mut().for_each(|lane| lane.disk.copy());
    }

    /// Lets no sync of a node return for a while.
    pub fn stall_disk(&mut self, node: usize, span: Time) {
        self.nodes[node].disk_mood.stalled_until = self.now + span;
    }

    /// Lets the next sync of a node fail, or its next write find no space.
    pub fn fail_disk(&mut self, node: usize, no_space: bool) {
        let mood = &mut self.nodes[node].disk_mood;
        if no_space { mood.fail_write = true } else { mood.fail_sync = true }
    }

    /// Whether a node's process runs.
    pub fn is_up(&self, node: usize) -> bool {
        self.nodes[node].up
    }

    /// What a node thinks of another.
    pub fn opinion(&self, node: usize, other: usize) -> Option<Liveness> {
        let machine = self.nodes[node].gossip.machine.as_ref()?;
        let id = NodeId(other as u32 + 1);
        machine.members().find(|member| member.node == id).map(|member| member.liveness)
    }

    /// What a client of a story was last told since it last asked.
    pub fn last_told(&self, client: usize) -> Option<String> {
        self.clients[client].told.clone()
    }
}
