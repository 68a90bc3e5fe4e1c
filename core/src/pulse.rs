//! What an engine believes of the engines of other nodes: who is heard, who is not. Made of beats, read
//! by every group: an idle group needs no timer of its own.

use alloc::vec::Vec;

use crate::ids::{Life, NodeId};
use crate::time::{Instant, Now, Span, WallTime};

/// Clocks that are compared, at most: more make the median no better.
const MOST_CLOCKS: usize = 16;

/// One other node.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Peer {
    pub(crate) node: NodeId,
    /// The run of its process that was heard last.
    pub(crate) life: Life,
    /// When something of it was last heard.
    pub(crate) heard: Option<Instant>,
    /// Heard within an election timeout.
    pub(crate) alive: bool,
    /// Says that its disk does not answer.
    pub(crate) stalled: bool,
    /// Says that it hears this node; believed until it says otherwise.
    pub(crate) hears: bool,
    /// When it last came, went, restarted or changed its mind about any of this.
    pub(crate) changed_at: Instant,
    /// What its clock showed, and when it said so.
    pub(crate) clock: Option<(WallTime, Instant)>,
    /// Bytes that wait to be sent to it, as the driver has said last.
    pub(crate) unsent: usize,
}

/// All other nodes, by id.
#[derive(Debug, Default)]
pub(crate) struct Pulse {
    peers: Vec<Peer>,
    /// Our own disk does not answer.
    pub(crate) stalled: bool,
}

impl Pulse {
    pub(crate) fn new(nodes: impl Iterator<Item = NodeId>) -> Self {
        let silent = |node| Peer {
            node,
            life: Life(0),
            heard: None,
            alive: false,
            stalled: false,
            hears: true,
            changed_at: Instant(0),
            clock: None,
            unsent: 0,
        };
        let mut peers: Vec<Peer> = nodes.map(silent).collect();
        peers.sort_by_key(|peer| peer.node);
        Self { peers, stalled: false }
    }

    pub(crate) fn peers(&self) -> &[Peer] {
        &self.peers
    }

    pub(crate) fn peer(&self, node: NodeId) -> Option<&Peer> {
        let at = self.peers.binary_search_by_key(&node, |peer| peer.node).ok()?;
        Some(&self.peers[at])
    }

    pub(crate) fn peer_mut(&mut self, node: NodeId) -> Option<&mut Peer> {
        let at = self.peers.binary_search_by_key(&node, |peer| peer.node).ok()?;
        Some(&mut self.peers[at])
    }

    /// Heard within an election timeout.
    pub(crate) fn alive(&self, node: NodeId) -> bool {
        self.peer(node).is_some_and(|peer| peer.alive)
    }

    /// The latest that a clock may show which is to be believed at `now`: the median of all clocks known,
    /// this node's `own` included, and `error_ms` more.
    pub(crate) fn latest_wall(&self, now: Now, error_ms: u64) -> WallTime {
        let known = |peer: &Peer| {
            let (wall, at) = peer.clock?;
            Some(wall.0 + now.mono.since(at).as_millis())
        };
        let mut walls = [u64::MAX; MOST_CLOCKS];
        let others = self.peers.iter().filter_map(known);
        let all = core::iter::once(now.wall.0).chain(others);
        let mut count = 0;
        for (slot, wall) in walls.iter_mut().zip(all) {
            *slot = wall;
            count += 1;
        }
        let walls = &mut walls[..count];
        walls.sort_unstable();
        WallTime(walls[(count - 1) / 2].saturating_add(error_ms))
    }

    /// Heard, and hears this node.
    pub(crate) fn connected(&self, node: NodeId) -> bool {
        self.peer(node).is_some_and(|peer| peer.alive && peer.hears)
    }

    /// Whether nothing about a node has changed for `span`.
    pub(crate) fn steady(&self, node: NodeId, now: Instant, span: Span) -> bool {
        self.peer(node).is_some_and(|peer| now.since(peer.changed_at) >= span)
    }

    /// Alive, and its disk answers: fit to lead.
    pub(crate) fn fit(&self, node: NodeId) -> bool {
        self.peer(node).is_some_and(|peer| peer.alive && !peer.stalled)
    }
}
