//! When a leader may answer reads: by the log as the lease, or by a round that a majority confirms
//! (`LeaseGuard`; Ongaro's thesis, section 6.4).

use crate::config::Bug;
use crate::ids::{Index, NodeId};
use crate::raft::{Io, Journal, Raft};
use crate::time::{Instant, Span};

impl Raft {
    /// Whether this leader may answer reads from applied state without asking anyone.
    pub(crate) fn lease_holds<J: Journal>(&self, io: &Io<'_, J>) -> bool {
        let Some(leading) = self.leading.as_ref() else {
            return false;
        };
        if io.bug(Bug::ReadWithoutLease) || self.config().is_alone() {
            return leading.lease_from.is_some();
        }
        !leading.handing_over()
            && self.lease_age(io.now).is_some_and(|age| age < io.config.timing.lease)
    }

    /// How long ago the entry was made that the lease rests on.
    pub(crate) fn lease_age(&self, now: Instant) -> Option<Span> {
        Some(now.since(self.leading.as_ref()?.lease_from?))
    }

    /// Begins a round: once it is confirmed, this replica still led after now.
    pub(crate) fn begin_round(&mut self) -> u64 {
        let leading = self.leading.as_mut().expect("only a leader asks");
        leading.round += 1;
        leading.round
    }

    /// The newest round that a majority has confirmed.
    pub(crate) fn confirmed_round(&self) -> u64 {
        let Some(leading) = self.leading.as_ref() else {
            return 0;
        };
        let reached = |node: NodeId| {
            if node == self.me {
                return Index(leading.round);
            }
            let known = leading.progress.iter().find(|follower| follower.node == node);
            Index(known.map_or(0, |follower| follower.round))
        };
        self.config().agreed(Bug::None, reached).0
    }
}
