//! What an engine believes of the engines of other nodes: who is heard, who is not. Made of beats, read
//! by every group: an idle group needs no timer of its own.

use alloc::vec::Vec;

use crate::ids::{Life, NodeId};
use crate::time::{Instant, Now, Span, WallTime};

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
    /// Says that there are users of the cluster.
    pub(crate) users: bool,
    /// When it last came, went, restarted or changed its mind about any of this.
    pub(crate) changed_at: Instant,
    /// What its wall clock showed, less what the monotonic clock here showed when it said so, in nanoseconds.
    clock: Option<i64>,
    /// Bytes that wait to be sent to it, as the driver has said last.
    pub(crate) unsent: usize,
}

/// All other nodes, by id.
#[derive(Debug, Default)]
pub(crate) struct Pulse {
    peers: Vec<Peer>,
    /// The clocks of all peers that are known, in order.
    clocks: Vec<i64>,
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
            users: false,
            changed_at: Instant(0),
            clock: None,
            unsent: 0,
        };
        let mut peers: Vec<Peer> = nodes.map(silent).collect();
        peers.sort_by_key(|peer| peer.node);
        Self { peers, clocks: Vec::new(), stalled: false }
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

    /// A peer has said what its wall clock shows.
    pub(crate) fn clock(&mut self, node: NodeId, wall: WallTime, now: Instant) {
        if let Some(peer) = self.peer_mut(node) {
            peer.clock = Some(ahead(wall, now));
            self.clocks.clear();
            self.clocks.extend(self.peers.iter().filter_map(|peer| peer.clock));
            self.clocks.sort_unstable();
        }
    }

    /// The latest that a clock may show which is to be believed at `now`: the median of all clocks known,
    /// this node's own included, and `error_ms` more.
    pub(crate) fn latest_wall(&self, now: Now, error_ms: u64) -> WallTime {
        // With its own clock among the others, the middle one is its own or a neighbour of it; of two in the
        // middle the earlier one counts.
        let others = &self.clocks;
        let middle = others.len() / 2;
        let mut median = ahead(now.wall, now.mono);
        if let Some(&above) = others.get(middle) {
            median = median.min(above);
        }
        if let Some(&below) = middle.checked_sub(1).and_then(|below| others.get(below)) {
            median = median.max(below);
        }
        let nanoseconds = u64::try_from(median.saturating_add_unsigned(now.mono.0)).unwrap_or(0);
        WallTime(Span(nanoseconds).as_millis().saturating_add(error_ms))
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

/// How far a wall clock is ahead of a monotonic one, in nanoseconds. A clock beyond the year 2262 shows no more.
fn ahead(wall: WallTime, mono: Instant) -> i64 {
    let wall = i64::try_from(wall.0.saturating_mul(Span::millis(1).0)).unwrap_or(i64::MAX);
    wall.saturating_sub_unsigned(mono.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Now = Now { mono: Instant(5_000_000_000), wall: WallTime(1_000_000) };

    /// What is believed when this node's clock shows `NOW`, and others show as much more, in milliseconds.
    fn latest(others: &[i64]) -> u64 {
        let mut pulse = Pulse::new((2..).map(NodeId).take(others.len()));
        for (node, ahead) in (2..).map(NodeId).zip(others) {
            // Said a second ago.
            let wall = WallTime((NOW.wall.0 - 1_000).strict_add_signed(*ahead));
            pulse.clock(node, wall, Instant(NOW.mono.0 - 1_000_000_000));
        }
        pulse.latest_wall(NOW, 0).0
    }

    #[test]
    fn the_median_of_all_clocks_is_believed() {
        let table: [(&[i64], i64); 9] = [
            (&[], 0),
            (&[90], 0),
            (&[-90], -90),
            (&[10, 90], 10),
            (&[-10, 90], 0),
            (&[-10, -90], -10),
            (&[10, 20, 30], 10),
            (&[-10, 20, 30], 0),
            (&[40, -10, 30, -20], 0),
        ];
        for (others, median) in table {
            let believed = NOW.wall.0.strict_add_signed(median);
            assert_eq!(latest(others), believed, "{others:?}");
        }
    }

    #[test]
    fn a_clock_that_shows_nonsense_is_one_voice() {
        let mut pulse = Pulse::new((2..=3).map(NodeId));
        pulse.clock(NodeId(2), WallTime(u64::MAX), NOW.mono);
        pulse.clock(NodeId(3), WallTime(0), NOW.mono);
        assert_eq!(pulse.latest_wall(NOW, 7), WallTime(NOW.wall.0 + 7));
    }

    #[test]
    fn a_clock_is_known_by_what_it_said_last() {
        let mut pulse = Pulse::new((2..=3).map(NodeId));
        for wall in [50, 70] {
            pulse.clock(NodeId(2), WallTime(NOW.wall.0 + wall), NOW.mono);
            pulse.clock(NodeId(3), WallTime(NOW.wall.0 + wall), NOW.mono);
            assert_eq!(pulse.latest_wall(NOW, 0), WallTime(NOW.wall.0 + wall));
        }
    }
}
