//! Connections of one engine to the same engine of other nodes.

use std::sync::Arc;

use driftless_core::{NodeId, Turn};
use tokio::sync::oneshot;

use super::arena::Arena;
use super::ready::{Doorbell, Token};
use super::wire::{Arrived, READ_BYTES, Stream, Wire};
use crate::net;

/// Bytes that wait for a node before its connection is given up: the protocol sends again what it misses, and a
/// connection that lags so far behind is as good as none.
const UNSENT_BYTES: usize = 128 << 20;
/// A buffer above this is freed after use.
const KEEP_BYTES: usize = 1 << 20;

/// Connections to other nodes, by node.
#[derive(Debug, Default)]
pub(super) struct Peers {
    by_node: Vec<Option<Peer>>,
    arrived: Vec<(u32, Source)>,
    resets: Vec<NodeId>,
}

#[derive(Debug)]
struct Peer {
    wire: Wire,
    /// Dropped with the connection, which lets the dialer know.
    _held: oneshot::Sender<()>,
}

#[derive(Clone, Copy, Debug)]
enum Source {
    Arena(usize, usize),
    Unused,
}

impl Peers {
    /// Whether the engine has to be told something.
    pub(super) fn has_news(&self) -> bool {
        !(self.arrived.is_empty() && self.resets.is_empty())
    }

    /// A connection to a node, in place of any before.
    pub(super) fn connected(
        &mut self,
        node: NodeId,
        stream: net::Stream,
        held: oneshot::Sender<()>,
        doorbell: &Arc<Doorbell>,
    ) {
        let at = node.0 as usize;
        if at >= self.by_node.len() {
            self.by_node.resize_with(at + 1, || None);
        }
        let bell = doorbell.bell(Token::Peer(node.0));
        self.by_node[at] =
            Some(Peer { wire: Wire::new(Stream::Socket(stream), bell.clone()), _held: held });
        self.arrived.retain(|&(from, _)| from != node.0);
        self.resets.push(node);
        bell.ring();
    }

    /// A node's bell was rung: sends what waits, reads what is there. Tells whether it should be looked at again
    /// without being rung for.
    pub(super) fn gather(&mut self, node: u32, arena: &mut Arena) -> bool {
        let Some(Some(peer)) = self.by_node.get_mut(node as usize) else { return false };
        peer.wire.bell().heard();
        if peer.wire.unsent_len() > 0 && peer.wire.flush().is_err() {
            self.lose(NodeId(node));
            return false;
        }
        if !arena.has_room(READ_BYTES) {
            return true;
        }
        let (arrived, more) = peer.wire.read(arena);
        match arrived {
            Arrived::Nothing => (),
            Arrived::InArena(start) => self.arrived.push((node, Source::Arena(start, arena.len()))),
            Arrived::InUnused => self.arrived.push((node, Source::Unused)),
            Arrived::Ended | Arrived::Lost => self.lose(NodeId(node)),
        }
        more
    }

    /// Plays all that was gathered into a turn.
    pub(super) fn play(&mut self, turn: &mut Turn<'_>, arena: &Arena) {
        for node in self.resets.drain(..) {
            turn.peer_reset(node);
        }
        for (node, source) in self.arrived.drain(..) {
            let Some(Some(peer)) = self.by_node.get_mut(node as usize) else { continue };
            turn.peer_unsent(NodeId(node), peer.wire.unsent_len());
            match source {
                Source::Arena(start, end) => {
                    let bytes = &arena.bytes()[start..end];
                    let used = turn.receive(NodeId(node), bytes);
                    peer.wire.unused.extend_from_slice(&bytes[used..]);
                }
                Source::Unused => {
                    let used = turn.receive(NodeId(node), &peer.wire.unused);
                    peer.wire.used(used);
                }
            }
        }
    }

    /// Sends frames; without a connection they are dropped, as a network may.
    pub(super) fn send(&mut self, node: u32, bytes: &mut Vec<u8>) {
        let Some(Some(peer)) = self.by_node.get_mut(node as usize) else { return };
        let sent = peer.wire.send(bytes);
        if bytes.capacity() > KEEP_BYTES {
            *bytes = Vec::new();
        }
        if sent.is_err() {
            self.lose(NodeId(node));
        } else if peer.wire.unsent_len() > UNSENT_BYTES {
            tracing::warn!(node, "gave up a connection that does not keep up");
            self.lose(NodeId(node));
        }
    }

    /// Gives up the connection to a node.
    pub(super) fn lose(&mut self, node: NodeId) {
        if let Some(peer) = self.by_node.get_mut(node.0 as usize)
            && peer.take().is_some()
        {
            self.arrived.retain(|&(from, _)| from != node.0);
            self.resets.push(node);
        }
    }
}
