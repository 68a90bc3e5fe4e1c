//! A suspicion and the time it leaves its suspect (Lifeguard, section 4): long while only one member
//! has found it silent, shrinking logarithmically as others find the same on their own.

use alloc::vec::Vec;

use super::config::GossipTiming;
use super::member::ACCUSERS_MAX;
use super::scale::{log2_milli, log10_milli};
use crate::ids::NodeId;
use crate::time::{Instant, Span};

/// One suspicion, as one node holds it.
#[derive(Clone, Debug)]
pub(crate) struct Suspicion {
    since: Instant,
    shortest: Span,
    longest: Span,
    /// With so many accusers besides the first it is at its shortest.
    enough: u32,
    accusers: Vec<NodeId>,
}

impl Suspicion {
    /// Begins now, in a cluster of so many live members, the suspect and this node included.
    pub(crate) fn new(since: Instant, live: u32, timing: &GossipTiming) -> Self {
        let scale = log10_milli(u64::from(live.max(1))).max(1_000);
        let periods = timing.probe_every.0.saturating_mul(u64::from(timing.suspicion_min));
        let shortest = Span((u128::from(periods) * u128::from(scale) / 1_000) as u64);
        let longest = Span(shortest.0.saturating_mul(u64::from(timing.suspicion_max.max(1))));
        // Neither the suspect nor the first accuser confirms.
        let others = live.saturating_sub(2);
        let enough = timing.confirmations.min(others).min(ACCUSERS_MAX as u32 - 1);
        Self { since, shortest, longest, enough, accusers: Vec::new() }
    }

    /// Someone found it silent. Whether that is news that shortens the suspicion.
    pub(crate) fn accuse(&mut self, by: NodeId) -> bool {
        if self.accusers.contains(&by) || self.is_confirmed() {
            return false;
        }
        self.accusers.push(by);
        true
    }

    /// Whether more accusers would not shorten it further.
    pub(crate) fn is_confirmed(&self) -> bool {
        self.accusers.len() > self.enough as usize
    }

    pub(crate) fn accusers(&self) -> &[NodeId] {
        &self.accusers
    }

    /// When it becomes a verdict.
    pub(crate) fn deadline(&self) -> Instant {
        self.since.plus(self.span())
    }

    /// This node slept: what it slept through is not held against the suspect.
    pub(crate) fn postpone(&mut self, by: Span) {
        self.since = self.since.plus(by);
    }

    fn span(&self) -> Span {
        if self.enough == 0 {
            return self.shortest;
        }
        let confirmed = u64::try_from(self.accusers.len()).expect("a few").saturating_sub(1);
        let range = u128::from(self.longest.0 - self.shortest.0);
        let part = u128::from(log2_milli(confirmed.min(u64::from(self.enough)) + 1));
        let whole = u128::from(log2_milli(u64::from(self.enough) + 1));
        Span(self.longest.0 - (range * part / whole) as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spans(live: u32, accusers: u32) -> Vec<u64> {
        let mut suspicion = Suspicion::new(Instant(0), live, &GossipTiming::default());
        (1..=accusers)
            .map(|by| {
                suspicion.accuse(NodeId(by));
                suspicion.deadline().0 / 1_000_000
            })
            .collect()
    }

    #[test]
    fn each_confirmation_shortens_less_than_the_one_before() {
        assert_eq!(spans(10, 5), [6_000, 4_500, 3_624, 3_000, 3_000]);
        assert_eq!(spans(3, 3), [6_000, 3_000, 3_000]);
    }

    #[test]
    fn with_nobody_to_confirm_it_is_short_at_once() {
        assert_eq!(spans(2, 1), [3_000]);
    }

    #[test]
    fn the_same_accuser_counts_once() {
        let mut suspicion = Suspicion::new(Instant(0), 10, &GossipTiming::default());
        assert!(suspicion.accuse(NodeId(1)));
        assert!(!suspicion.accuse(NodeId(1)));
        assert_eq!(suspicion.accusers(), [NodeId(1)]);
    }

    #[test]
    fn a_large_cluster_waits_longer() {
        assert_eq!(spans(1_000, 4)[3], 8_997);
    }
}
