//! A leader that is not answered: when it sends again.

use crate::config::EngineConfig;
use crate::ids::NodeId;
use crate::pulse::Pulse;
use crate::raft::lead::{Progress, State};
use crate::raft::{Io, Journal, Raft};
use crate::time::Instant;

impl Raft {
    /// Sends again what was not acknowledged for too long, and lets hand-overs lapse.
    pub(super) fn resend<J: Journal>(&mut self, io: &mut Io<'_, J>) {
        let Some(mut leading) = self.leading.take() else {
            return;
        };
        if leading.transfer.is_some_and(|transfer| transfer.until <= io.now) {
            leading.transfer = None;
        }
        let last = self.log.last();
        for follower in &mut leading.progress {
            if follower.owes(last, self.commit)
                && follower.state != State::Image
                && self.resend_at(follower, io.config, io.pulse) <= io.now
            {
                follower.start_over(io.now);
            }
        }
        self.leading = Some(leading);
    }

    /// What was in flight to a node is lost: it is looked for anew where it stands.
    pub(crate) fn peer_reset(&mut self, node: NodeId, now: Instant) {
        if let Some(follower) = self.leading.as_mut().and_then(|leading| leading.of(node))
            && follower.state != State::Image
        {
            follower.start_over(now);
        }
    }

    /// When a follower is sent to again unless it gets further: the more is on its way to it, the later. To send
    /// a large entry twice because it takes its time makes it take longer still.
    pub(super) fn resend_at(
        &self,
        follower: &Progress,
        config: &EngineConfig,
        pulse: &Pulse,
    ) -> Instant {
        let unsent = pulse.peer(follower.node).map_or(0, |peer| peer.unsent) as u64;
        let first = self.log.entry(follower.next).filter(|_| follower.waiting);
        let probe = first.map_or(0, |(_, entry)| entry.len()) as u64;
        let bytes = self.in_flight(follower) + probe + unsent;
        follower.moved_at.plus(config.timing.resend_every).plus(config.timing.way_of(bytes))
    }
}
