//! WAIT at the leader: how many other replicas have on disk whatever this one had taken when it was asked.

use crate::group::propose::Request;
use crate::group::{Group, Origin, Room};
use crate::ids::Index;
use crate::resp::Proto;
use crate::time::{Instant, Span};

/// Somebody who waits for replicas.
#[derive(Clone, Copy, Debug)]
pub(super) struct WaitingAck {
    origin: Origin,
    proto: Proto,
    index: Index,
    wanted: i64,
    until: Instant,
}

impl Group {
    /// WAIT numreplicas milliseconds: answered by [`Group::serve_waits`] in this turn at the earliest.
    pub(super) fn accept_wait(&mut self, request: &Request<'_>, room: &Room<'_>) {
        let number = |at| -> Option<i64> {
            request.args.get(at).and_then(|text| core::str::from_utf8(text).ok()?.parse().ok())
        };
        let wanted = number(1).unwrap_or(i64::MAX);
        let until = room
            .now
            .mono
            .plus(Span::millis(number(2).map_or(0, |hold| hold.clamp(0, 1_000).unsigned_abs())));
        let last = self.raft.log.last();
        let index = if self.batch.is_empty() { last } else { last.next() };
        let Request { origin, proto, .. } = *request;
        self.waits.push(WaitingAck { origin, proto, index, wanted, until });
    }

    /// Answers those whose replicas have come as far, or whose time is over. A leader no more knows of
    /// none.
    pub(super) fn serve_waits(&mut self, room: &mut Room<'_>) {
        if self.waits.is_empty() {
            return;
        }
        let mut waits = core::mem::take(&mut self.waits);
        waits.retain(|wait| {
            let leading = self.raft.leading();
            let reached = leading.map_or(0, |leading| {
                let has = |&&(_, matched): &&(_, Index)| matched >= wait.index;
                leading.matched.iter().filter(has).fold(0, |count, _| count + 1)
            });
            let over = leading.is_none() || wait.until <= room.now.mono;
            if reached < wait.wanted && !over {
                return true;
            }
            room.answer(self.id, wait.origin, wait.proto, |reply| reply.integer(reached));
            false
        });
        self.waits = waits;
    }

    /// When the time of one of them is over.
    pub(super) fn waits_until(&self) -> Option<Instant> {
        self.waits.iter().map(|wait| wait.until).min()
    }
}
