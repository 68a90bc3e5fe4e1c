//! Clients that need not have their commands passed on: those in cluster mode, which go to the leader of a key
//! themselves, and those that are content with what the replica here knows.
//!
//! Both are advice. A leader that is not known, or cannot be told how to be reached, is no reason for an error: the command is
//! passed on, as for everybody else, or waits here until there is a next one. So a client is sent away only with a command
//! that nobody has taken, only while none waits that came before it, and only to a node that is heard.

use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

use crate::command;
use crate::command::connection::{ClusterFacts, Connection, NodeAddress, NodeFacts};
use crate::config::Bug;
use crate::engine::request::Asked;
use crate::engine::{Engine, Turn};
use crate::group::{Origin, Request, writes};
use crate::ids::{ClientId, GroupId, LaneId, NodeId};
use crate::message::{self, Agreed, Message};
use crate::placement::{Placement, slot_of};

/// Who leads which group, and where nodes are.
#[derive(Debug)]
pub(super) struct Directory {
    /// By group, less one: who leads it, as far as any engine of this node knows.
    leaders: Vec<Option<NodeId>>,
    /// Where clients in cluster mode find nodes.
    addresses: Vec<NodeAddress>,
}

impl Directory {
    pub(super) fn new(placement: &Placement) -> Self {
        let leaders = vec![None; placement.partitions() as usize];
        Self { leaders, addresses: Vec::new() }
    }

    /// Who leads a group now; whether that is news.
    pub(super) fn note(&mut self, group: GroupId, leader: Option<NodeId>) -> bool {
        let Some(known) = self.leaders.get_mut(group.0 as usize - 1) else { return false };
        core::mem::replace(known, leader) != leader
    }

    fn leader(&self, group: GroupId) -> Option<NodeId> {
        self.leaders[group.0 as usize - 1]
    }

    fn address(&self, node: NodeId) -> Option<&NodeAddress> {
        self.addresses.iter().find(|address| address.node == node)
    }
}

impl Turn<'_> {
    /// Where clients in cluster mode find nodes, as far as the driver knows: all of it. Holds until it is said anew.
    pub fn addresses(&mut self, addresses: &[NodeAddress]) {
        self.engine.directory.addresses = addresses.to_vec();
    }

    /// A client goes to the leader of a key itself, and follows `MOVED`, as clients of Redis Cluster do.
    pub fn client_in_cluster_mode(&mut self, client: ClientId) {
        if let Some(state) = self.engine.sessions.client_mut(client) {
            state.connection.in_cluster_mode = true;
        }
    }

    /// Who leads a group of this lane, as far as is known here: told to all lanes.
    pub(super) fn note_led(&mut self, group: GroupId, leader: Option<NodeId>) {
        if !self.engine.directory.note(group, leader) {
            return;
        }
        let own = self.engine.config.lane;
        for lane in (0..self.engine.config.lanes).map(LaneId).filter(|lane| *lane != own) {
            message::send(&mut self.out.handoffs, lane.0.into(), &Message::Led { group, leader });
        }
    }

    /// Whether this node leads a group, as far as is known.
    pub(super) fn leads_here(&self, group: GroupId) -> bool {
        self.engine.directory.leader(group) == Some(self.engine.config.node)
    }

    /// Whether the client asks each node of the cluster for its part, where others ask one node for everything. What is
    /// to be changed everywhere is changed everywhere, whomever they ask.
    pub(super) fn asks_for_part(&self, asked: &Asked<'_>) -> bool {
        let client = self.engine.sessions.client(asked.ticket.client);
        client.is_some_and(|client| client.connection.in_cluster_mode) && !writes(asked.spec)
    }

    /// Answers a command without its leader, if its client has agreed to that and it can be done.
    pub(super) fn answer_as_agreed(
        &mut self,
        id: GroupId,
        request: &Request<'_>,
        agreed: Agreed,
    ) -> bool {
        agreed.stale && self.tell_stale(id, request) || agreed.moves && self.send_away(id, request)
    }

    /// The replica here answers a read, if what it knows is young enough.
    fn tell_stale(&mut self, id: GroupId, request: &Request<'_>) -> bool {
        let (partitions, mut room) = self.engine.split(self.out);
        let Some(partition) = partitions.get_mut(id) else { return false };
        let Some(group) = &mut partition.group else { return false };
        if group.raft.leads() || group.raft.damaged() {
            return false;
        }
        let told = partition.outbox.is_fresh(id, group.applied(), &mut room)
            && group.tell_as_applied(request, &mut room);
        room.counts.stale_reads += u64::from(told);
        self.touch(id);
        told
    }

    /// The client is told where the leader is, if anybody knows.
    fn send_away(&mut self, id: GroupId, request: &Request<'_>) -> bool {
        let engine = &*self.engine;
        let Some((first, ..)) = command::key_positions(request.spec, &request.args) else {
            return false;
        };
        let Some(partition) = engine.partition(id).filter(|partition| partition.outbox.is_empty())
        else {
            return false;
        };
        let leader = match &partition.group {
            Some(group) => group.raft.leader(),
            None => partition.outbox.hint(),
        };
        let Some(address) = leader
            .filter(|leader| *leader != engine.config.node)
            .filter(|leader| engine.pulse.alive(*leader) && !engine.beats.doubts(*leader))
            .and_then(|leader| engine.directory.address(leader))
        else {
            return false;
        };
        let slot = slot_of(request.args.at(first));
        let (host, port) = (address.host.clone(), address.port);
        let taken = Bug::MovedThoughTaken.active(engine.config.bug);
        let (partitions, mut room) = self.engine.split(self.out);
        room.counts.moved += 1;
        room.answer(id, request.origin, request.proto, |reply| {
            reply.error_format(format_args!("MOVED {slot} {host}:{port}"));
        });
        if taken && let Some(partition) = partitions.get_mut(id) {
            partition.outbox.accept(id, &Request { origin: Origin::None, ..*request }, &mut room);
            self.touch(id);
        }
        true
    }
}

impl Engine {
    /// What CLUSTER tells a client: the slots of a group whose leader cannot be named are this node's, which
    /// passes commands on.
    pub(super) fn cluster_facts(&self, connection: &Connection) -> ClusterFacts {
        let own = self.config.node;
        let nodes: Vec<NodeFacts> = core::iter::once(self.own_address(connection))
            .chain(self.directory.addresses.iter().filter(|found| found.node != own).cloned())
            .map(|address| NodeFacts { alive: self.pulse.alive(address.node), address })
            .collect();
        let named = |node: &NodeId| nodes.iter().any(|known| known.address.node == *node);
        let mut slots: Vec<(u16, u16, NodeId)> = Vec::new();
        let mut whole = true;
        for group in self.placement.groups() {
            let replicas = self.placement.replicas(group);
            let known = self.directory.leader(group);
            // Where no replica is here, nobody may have asked yet who leads.
            let here = replicas.contains(&own);
            whole &= known.is_some() || !here;
            let likely = known.or(Some(replicas[0]).filter(|_| !here));
            let leader = likely.filter(named).unwrap_or(own);
            let (first, last) = self.placement.slots_of(group);
            match slots.last_mut() {
                Some((_, end, before)) if *before == leader => *end = last,
                _ => slots.push((first, last, leader)),
            }
        }
        let epoch = self.replicas().map(|group| group.raft.term().0).max().unwrap_or(0);
        ClusterFacts { cluster: self.config.cluster, own, epoch, whole, nodes, slots }
    }

    /// Where this node is: for a client, where it has knocked.
    fn own_address(&self, connection: &Connection) -> NodeAddress {
        let known = self.directory.address(self.config.node);
        let knocked = connection.local.rsplit_once(':').and_then(|(host, port)| {
            let host = host.trim_start_matches('[').trim_end_matches(']');
            Some((String::from(host), port.parse().ok()?))
        });
        let told = || known.map(|known| (known.host.clone(), known.port));
        let (host, port) =
            knocked.or_else(told).unwrap_or((String::new(), self.config.server.port));
        let node_port = known.map_or(0, |known| known.node_port);
        NodeAddress { node: self.config.node, host, port, node_port }
    }
}
