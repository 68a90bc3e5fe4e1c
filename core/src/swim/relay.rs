//! Probes made for others: what to pass back to whom, and when to say that nothing came.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::net::SocketAddr;

use crate::ids::NodeId;
use crate::time::{Instant, Span};

/// Most probes made for others at once; more are not made, and the asker takes that for our silence.
const RELAYS_MAX: usize = 256;

/// Longest that an asker may make us wait.
const WAIT_MAX: Span = Span::millis(30_000);

/// Probes under way for others, by our own sequence.
#[derive(Debug, Default)]
pub(crate) struct Relays {
    open: BTreeMap<u32, Relay>,
}

/// One probe made for another node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Relay {
    /// Who asked.
    pub(crate) asker: SocketAddr,
    /// The asker's own number of the probe.
    pub(crate) sequence: u32,
    /// Who is probed.
    pub(crate) target: NodeId,
    /// When to say that it has not answered; none once that is said.
    nack_at: Option<Instant>,
    ends_at: Instant,
}

impl Relays {
    /// Whether there is room for this probe of ours, made for `asker` who waits for `wait`.
    pub(crate) fn open(
        &mut self,
        now: Instant,
        ours: u32,
        asker: (SocketAddr, u32),
        target: NodeId,
        wait: Span,
    ) -> bool {
        if self.open.len() >= RELAYS_MAX {
            return false;
        }
        let wait = wait.min(WAIT_MAX);
        // Late enough for an answer, early enough for the nack to arrive in time.
        let nack_at = Some(now.plus(Span(wait.0 / 3 * 2)));
        let ends_at = now.plus(wait);
        let (asker, sequence) = asker;
        self.open.insert(ours, Relay { asker, sequence, target, nack_at, ends_at });
        true
    }

    /// The target has answered our probe.
    pub(crate) fn close(&mut self, ours: u32, target: NodeId) -> Option<Relay> {
        if self.open.get(&ours)?.target != target {
            return None;
        }
        self.open.remove(&ours)
    }

    /// Drops what is over, and says whom to tell now that nothing came.
    pub(crate) fn due(&mut self, now: Instant) -> Vec<Relay> {
        let mut silent = Vec::new();
        for relay in self.open.values_mut() {
            if relay.nack_at.take_if(|at| *at <= now).is_some() {
                silent.push(*relay);
            }
        }
        self.open.retain(|_, relay| relay.ends_at > now);
        silent
    }

    pub(crate) fn wake_at(&self) -> Option<(Instant, &'static str)> {
        let at = self.open.values().map(|relay| relay.nack_at.unwrap_or(relay.ends_at)).min();
        at.map(|at| (at, "relayed probe"))
    }

    pub(crate) fn check(&self) {
        assert!(self.open.len() <= RELAYS_MAX, "relayed probes are limited");
    }
}
