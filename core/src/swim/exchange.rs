//! Comparing whole views: a digest first; if it differs, all entries in short, in pages; then what
//! differs, in both directions. This is how a node joins, how those learn whom the rumours have left
//! out, and, as a dead member is tried now and then, how the parts of a split cluster find together.

use alloc::vec::Vec;
use core::net::SocketAddr;

use super::Swim;
use super::config::ClusterOutputs;
use super::member::{Member, Standing};
use super::message::{LINES_MAX, Line, Message, Writer};
use crate::event::Liveness;
use crate::ids::NodeId;

impl Swim {
    /// Compares with a random live member, and tries a dead one.
    pub(super) fn compare_due(&mut self, out: &mut ClusterOutputs) {
        if self.compare_at.is_none_or(|at| at > self.now) {
            return;
        }
        let every = self.config.timing.digest_every;
        self.compare_at = Some(self.now.plus(every));
        let own = self.config.node;
        let live = self.view.pick(&mut self.peers, 1, Member::is_live);
        let dead = |liveness| liveness == Liveness::Dead;
        let dead = self.view.pick(&mut self.peers, 1, |member| dead(member.liveness));
        for node in live.into_iter().chain(dead) {
            let member = self.view.member(node).expect("picked among members");
            let (to, liveness) = (member.address, member.liveness);
            let lead = if liveness == Liveness::Alive { own } else { node };
            self.send(to, Some(lead), &Message::Digest { digest: self.view.digest() }, out);
        }
    }

    /// Knocks at seeds behind which nobody is known yet.
    pub(super) fn knock_due(&mut self, out: &mut ClusterOutputs) {
        let every = self.config.timing.knock_every;
        for to in self.seeds.due(self.now, &self.view, every, &mut self.peers) {
            let message = Message::Digest { digest: self.view.digest() };
            self.send(to, Some(self.config.node), &message, out);
        }
    }

    pub(super) fn on_digest(
        &mut self,
        from: SocketAddr,
        lead: Option<NodeId>,
        digest: u64,
        out: &mut ClusterOutputs,
    ) {
        if digest == self.view.digest() {
            return;
        }
        let mut first = NodeId(0);
        loop {
            let lines = self.view.lines(first, LINES_MAX);
            let full = lines.len() == LINES_MAX;
            let end = lines.last().filter(|_| full).map_or(u32::MAX, |line| line.node.0);
            self.send(from, lead, &Message::Summary { first, last: NodeId(end), lines }, out);
            match end.checked_add(1) {
                Some(next) => first = NodeId(next),
                None => return,
            }
        }
    }

    pub(super) fn on_summary(
        &mut self,
        from: SocketAddr,
        range: (NodeId, NodeId),
        lines: &[Line],
        out: &mut ClusterOutputs,
    ) {
        let theirs = |line: &Line| Standing {
            incarnation: line.incarnation,
            liveness: line.liveness,
            tag: line.tag,
        };
        let bug = self.config.bug;
        let mut wanted = Vec::new();
        for line in lines {
            if self.view.standing(line.node).is_none_or(|held| theirs(line).beats(held, bug)) {
                wanted.push(line.node);
            }
        }
        let mut missing = Vec::new();
        for (node, held) in self.view.between(range.0, range.1) {
            let line = lines.binary_search_by_key(&node, |line| line.node);
            if line.map_or(true, |at| held.beats(theirs(&lines[at]), bug)) {
                missing.push(node);
            }
        }
        if !wanted.is_empty() {
            self.send(from, None, &Message::Want { nodes: wanted }, out);
        }
        self.send_entries(from, &missing, out);
    }

    /// Sends whole entries, in as many datagrams as they take.
    pub(super) fn send_entries(
        &mut self,
        to: SocketAddr,
        nodes: &[NodeId],
        out: &mut ClusterOutputs,
    ) {
        let header = self.header();
        let entries = nodes.iter().filter_map(|&node| self.view.entry(node, self.now));
        let mut entries = entries.peekable();
        while entries.peek().is_some() {
            let mut writer = Writer::begin(&mut out.bytes, header, &Message::Entries);
            let mut packed = 0;
            while entries.next_if(|entry| writer.entry(&mut out.bytes, entry)).is_some() {
                packed += 1;
            }
            assert!(packed > 0, "a single entry always fits");
            let start = writer.finish(&mut out.bytes);
            out.datagrams.push((to, start as u32..out.bytes.len() as u32));
        }
    }
}
