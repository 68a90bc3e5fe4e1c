//! Drives the membership machine: datagrams in and out, addresses for the dialer, verdicts for the engines.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use driftless_core::cluster::{Cluster, ClusterOutputs};
use driftless_core::command::connection::NodeAddress;
use driftless_core::{Event, LaneId, NodeId};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::sleep_until;

use crate::board::{About, Board};
use crate::clock::Clock;
use crate::engine::{Inbox, Note};
use crate::events;
use crate::link::{Addresses, Links};
use crate::net::Datagrams;

const DATAGRAM_BYTES: usize = 65_536;
/// When nothing is due, a turn is taken all the same after this long.
const IDLE: Duration = Duration::from_secs(1);
/// How old what is shown of the members may be.
const SHOW_EVERY: Duration = Duration::from_secs(1);

/// The membership machine with all it needs.
pub struct Gossip {
    /// The machine.
    pub cluster: Cluster,
    /// Its socket.
    pub socket: Datagrams,
    /// Who is told about verdicts.
    pub engines: Vec<Arc<Inbox>>,
    /// Where addresses are told.
    pub addresses: watch::Sender<Addresses>,
    /// Who asks another process that bears this node's number.
    pub links: Arc<Links>,
    /// This node.
    pub node: NodeId,
    /// Where it is shown who the members are.
    pub board: Arc<Board>,
    /// Where nodes were found that had not answered before.
    pub found: mpsc::Receiver<SocketAddr>,
}

impl Gossip {
    /// Gossips until told to leave, says goodbye, and ends.
    pub async fn run(mut self, mut leave: oneshot::Receiver<()>) {
        let mut clock = Clock::new();
        let mut out = ClusterOutputs::default();
        let mut buffer = vec![0; DATAGRAM_BYTES];
        let mut received: Option<(usize, SocketAddr)> = None;
        let mut leaving = false;
        let (mut seed, mut shown) = (None, None);
        let mut told = Vec::new();
        loop {
            out.clear();
            let mut turn = self.cluster.turn(clock.now(), &mut out);
            if let Some((length, from)) = received.take() {
                self.engines.iter().for_each(|engine| engine.count_datagram());
                turn.receive(from, &buffer[..length]);
            }
            if let Some(address) = seed.take() {
                turn.seed(address);
            }
            if leaving {
                turn.leave();
            }
            turn.finish();
            self.carry_out(&out).await;
            // Every datagram is a turn: what has not changed is only shown to be still so, now and then.
            if !out.events.is_empty() || shown.is_none_or(|at: Instant| at.elapsed() >= SHOW_EVERY)
            {
                shown = Some(Instant::now());
                self.board.show_members(&self.cluster);
                self.tell_addresses(&mut told);
            }
            if leaving {
                return;
            }
            let due = out.wake_at.map_or_else(|| Instant::now() + IDLE, |(at, _)| clock.system(at));
            tokio::select! {
                biased;
                _ = &mut leave => leaving = true,
                datagram = self.socket.receive(&mut buffer) => match datagram {
                    Ok(datagram) => received = Some(datagram),
                    // The system reports here that an earlier datagram found no one; probes find that out anyway.
                    Err(error) => tracing::debug!(%error, "gossip"),
                },
                Some(address) = self.found.recv() => seed = Some(address),
                () = sleep_until(due.into()) => (),
            }
        }
    }

    /// Tells the engines where clients find nodes, if it is not what they were `told` before.
    fn tell_addresses(&self, told: &mut Vec<NodeAddress>) {
        let members = self.cluster.members();
        let addresses = members.filter_map(|member| {
            let (host, node_port) = (member.address.ip().to_string(), member.address.port());
            let port = About::from_bytes(&member.about).cluster;
            (port > 0).then_some(NodeAddress { node: member.node, host, port, node_port })
        });
        let addresses: Vec<_> = addresses.collect();
        if addresses == *told {
            return;
        }
        let shared: Arc<[NodeAddress]> = addresses.as_slice().into();
        *told = addresses;
        for engine in &self.engines {
            engine.push(Note::Addresses(shared.clone()));
        }
    }

    async fn carry_out(&mut self, out: &ClusterOutputs) {
        for (to, range) in &out.datagrams {
            self.socket.send(*to, &out.bytes[range.start as usize..range.end as usize]).await;
        }
        for &(node, liveness) in &out.liveness {
            for engine in &self.engines {
                engine.push(Note::Liveness(node, liveness));
            }
        }
        for event in &out.events {
            events::tell(LaneId(0), event);
            if let Some(what) = events::notable(event) {
                self.board.note(what);
            }
            if let Event::DuplicateNode { node } = *event
                && let Some(member) = self.cluster.members().find(|member| member.node == node)
            {
                self.links.ask_namesake(member.address);
            }
        }
        let known: BTreeMap<_, _> = self
            .cluster
            .members()
            .filter(|member| member.node != self.node)
            .map(|member| (member.node, member.address))
            .collect();
        self.addresses.send_if_modified(|addresses| {
            let changed = **addresses != known;
            if changed {
                *addresses = Arc::new(known);
            }
            changed
        });
    }
}
