//! Who votes, and what a majority of them agrees on. The configuration is part of the log: effective
//! when appended, falling back when the entry is truncated (Ongaro's thesis, section 4).

use alloc::vec::Vec;

use crate::bytes::{Malformed, Reader, put_u8, put_u32};
use crate::config::Bug;
use crate::ids::{Index, NodeId};

/// Voters at most: replication beyond this serves nobody.
pub(crate) const MOST_VOTERS: usize = 16;

/// Who takes part in a group.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Config {
    /// Vote and are counted.
    pub(crate) voters: Vec<NodeId>,
    /// While a change is under way: the voters before it. Both sets must agree.
    pub(crate) outgoing: Vec<NodeId>,
    /// Get the log and are never counted.
    pub(crate) learners: Vec<NodeId>,
}

impl Config {
    pub(crate) fn of(voters: &[NodeId]) -> Self {
        assert!(!voters.is_empty(), "a group without voters can decide nothing");
        assert!(voters.len() <= MOST_VOTERS, "more voters than a group can have");
        Self { voters: voters.to_vec(), ..Self::default() }
    }

    pub(crate) fn is_voter(&self, node: NodeId) -> bool {
        self.voters.contains(&node) || self.outgoing.contains(&node)
    }

    /// Whether there is nobody else.
    pub(crate) fn is_alone(&self) -> bool {
        self.voters.len() == 1 && self.outgoing.is_empty() && self.learners.is_empty()
    }

    /// Everyone who gets the log, each once, in order.
    pub(crate) fn members(&self) -> Vec<NodeId> {
        let mut all: Vec<NodeId> =
            [&self.voters[..], &self.outgoing[..], &self.learners[..]].concat();
        all.sort_unstable();
        all.dedup();
        all
    }

    /// Whether a majority (of both sets, during a change) satisfies `holds`.
    pub(crate) fn quorum(&self, bug: Bug, holds: impl Fn(NodeId) -> bool) -> bool {
        let majority = |nodes: &[NodeId]| {
            let yes = nodes.iter().filter(|node| holds(**node)).count();
            let enough = if Bug::QuorumIsHalf.active(bug) {
                nodes.len().div_ceil(2)
            } else {
                nodes.len() / 2 + 1
            };
            yes >= enough
        };
        majority(&self.voters) && (self.outgoing.is_empty() || majority(&self.outgoing))
    }

    /// The highest index that a majority (of both sets, during a change) has reached.
    pub(crate) fn agreed(&self, bug: Bug, reached: impl Fn(NodeId) -> Index) -> Index {
        let median = |nodes: &[NodeId]| {
            let mut indices = [Index(0); MOST_VOTERS];
            for (slot, node) in indices.iter_mut().zip(nodes) {
                *slot = reached(*node);
            }
            let indices = &mut indices[..nodes.len()];
            if !Bug::UnsortedQuorum.active(bug) {
                indices.sort_unstable_by(|a, b| b.cmp(a));
            }
            let enough = if Bug::QuorumIsHalf.active(bug) {
                nodes.len().div_ceil(2)
            } else {
                nodes.len() / 2 + 1
            };
            indices[enough - 1]
        };
        let agreed = median(&self.voters);
        if self.outgoing.is_empty() { agreed } else { agreed.min(median(&self.outgoing)) }
    }

    pub(crate) fn put(&self, buffer: &mut Vec<u8>) {
        for nodes in [&self.voters, &self.outgoing, &self.learners] {
            put_u8(buffer, nodes.len() as u8);
            for node in nodes {
                put_u32(buffer, node.0);
            }
        }
    }

    pub(crate) fn take(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        let mut list = || -> Result<Vec<NodeId>, Malformed> {
            let count = reader.u8()?;
            if usize::from(count) > MOST_VOTERS {
                return Err(Malformed);
            }
            // Whatever else it may be, a node's number indexes buffers.
            let node = |number| match NodeId(number) {
                node if (NodeId(1)..=NodeId::MOST).contains(&node) => Ok(node),
                _ => Err(Malformed),
            };
            (0..count).map(|_| reader.u32().and_then(node)).collect()
        };
        let config = Self { voters: list()?, outgoing: list()?, learners: list()? };
        if config.voters.is_empty() { Err(Malformed) } else { Ok(config) }
    }
}

/// The configurations of the log held, newest last; the first is the one everything began with.
#[derive(Clone, Debug)]
pub(crate) struct Configs {
    history: Vec<(Index, Config)>,
}

impl Configs {
    pub(crate) fn new(at: Index, first: Config) -> Self {
        Self { history: alloc::vec![(at, first)] }
    }

    /// The one in force: the last appended.
    pub(crate) fn current(&self) -> &Config {
        &self.history.last().expect("there is always one").1
    }

    /// The one in force at `index`.
    pub(crate) fn at(&self, index: Index) -> &Config {
        let found = self.history.iter().rev().find(|(at, _)| *at <= index);
        &found.unwrap_or(&self.history[0]).1
    }

    pub(crate) fn append(&mut self, at: Index, config: Config) {
        self.history.push((at, config));
    }

    /// Entries after `index` are gone.
    pub(crate) fn truncate(&mut self, index: Index) {
        while self.history.len() > 1 && self.history.last().is_some_and(|(at, _)| *at > index) {
            self.history.pop();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nodes(ids: &[u32]) -> Vec<NodeId> {
        ids.iter().map(|&id| NodeId(id)).collect()
    }

    #[test]
    fn a_majority_of_both_sets_decides() {
        let config = Config {
            voters: nodes(&[1, 2, 3]),
            outgoing: nodes(&[3, 4, 5]),
            learners: nodes(&[6]),
        };
        let check = |yes: &[u32], expected: bool| {
            assert_eq!(config.quorum(Bug::None, |node| yes.contains(&node.0)), expected, "{yes:?}");
        };
        check(&[1, 2], false);
        check(&[1, 3, 4], true);
        check(&[4, 5, 3], false);
        check(&[1, 2, 4, 5], true);
        check(&[6, 1, 4], false);
        let reached = |node: NodeId| Index([0, 9, 4, 7, 2, 3, 100][node.0 as usize]);
        assert_eq!(config.agreed(Bug::None, reached), Index(3));
        assert_eq!(Config::of(&nodes(&[1, 2])).agreed(Bug::None, reached), Index(4));
        assert_eq!(config.members(), nodes(&[1, 2, 3, 4, 5, 6]));
    }

    #[test]
    fn a_configuration_comes_back_as_it_was() {
        let config = Config { learners: nodes(&[9]), ..Config::of(&nodes(&[1, 2, 3])) };
        let mut buffer = Vec::new();
        config.put(&mut buffer);
        assert_eq!(Config::take(&mut Reader::new(&buffer)), Ok(config));
    }

    #[test]
    fn a_configuration_of_numbers_that_no_node_has_is_malformed() {
        for (number, is_known) in [(0, false), (1, true), (1_000, true), (1_001, false)] {
            let config = Config { outgoing: nodes(&[number]), ..Config::of(&nodes(&[1])) };
            let mut buffer = Vec::new();
            config.put(&mut buffer);
            assert_eq!(Config::take(&mut Reader::new(&buffer)).is_ok(), is_known, "{number}");
        }
    }

    #[test]
    fn a_truncated_configuration_falls_back() {
        let mut configs = Configs::new(Index(0), Config::of(&nodes(&[1])));
        configs.append(Index(5), Config::of(&nodes(&[1, 2])));
        assert_eq!(configs.current().voters.len(), 2);
        assert_eq!(configs.at(Index(4)).voters.len(), 1);
        configs.truncate(Index(4));
        assert_eq!(configs.current().voters.len(), 1);
    }
}
