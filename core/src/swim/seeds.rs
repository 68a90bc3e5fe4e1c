//! The addresses a node knocks at to find its cluster. Nodes may start in any order, so it knocks
//! until it has heard of a live member behind each, often while it is alone, seldom after.

use alloc::vec::Vec;
use core::net::SocketAddr;

use super::view::View;
use crate::event::Liveness;
use crate::ids::NodeId;
use crate::rng::Chance;
use crate::time::{Instant, Span};

/// Most seeds that are used.
const SEEDS_MAX: usize = 64;

/// Most seeds knocked at at once.
const KNOCKS_MAX: usize = 3;

/// The seeds and who was found behind them.
#[derive(Debug)]
pub(crate) struct Seeds {
    seeds: Vec<Seed>,
    next_at: Option<Instant>,
}

#[derive(Debug)]
struct Seed {
    address: SocketAddr,
    /// Who answered from there last; it may call itself by another address.
    node: Option<NodeId>,
}

impl Seeds {
    pub(crate) fn new(addresses: &[SocketAddr], own: SocketAddr) -> Self {
        let mut seeds = Self { seeds: Vec::new(), next_at: None };
        for &address in addresses {
            seeds.add(address, own, Instant(0));
        }
        seeds
    }

    /// One more to knock at, from `now` on. If there are too many, the oldest one makes room.
    pub(crate) fn add(&mut self, address: SocketAddr, own: SocketAddr, now: Instant) {
        let known = self.seeds.iter().any(|seed| seed.address == address);
        if address == own || known {
            return;
        }
        if self.seeds.len() == SEEDS_MAX {
            self.seeds.remove(0);
        }
        self.seeds.push(Seed { address, node: None });
        self.next_at = Some(self.next_at.map_or(now, |at| at.min(now)));
    }

    /// Something came from `from`, sent by `node`.
    pub(crate) fn heard(&mut self, from: SocketAddr, node: NodeId) {
        for seed in self.seeds.iter_mut().filter(|seed| seed.address == from) {
            seed.node = Some(node);
        }
    }

    /// Where to knock now.
    pub(crate) fn due(
        &mut self,
        now: Instant,
        view: &View,
        every: Span,
        chance: &mut Chance,
    ) -> Vec<SocketAddr> {
        if self.next_at.is_none_or(|at| at > now) {
            return Vec::new();
        }
        let alone = view.live() <= 1;
        self.next_at = Some(now.plus(if alone { every } else { Span(every.0 * 4) }));
        let unmet = self.seeds.iter().filter(|seed| !seed.is_met(view)).map(|seed| seed.address);
        let mut unmet: Vec<SocketAddr> = unmet.collect();
        let most = if alone { KNOCKS_MAX } else { 1 };
        while unmet.len() > most {
            let dropped = chance.up_to(unmet.len() as u64 - 1);
            unmet.swap_remove(dropped as usize);
        }
        unmet
    }

    pub(crate) fn stop(&mut self) {
        self.next_at = None;
    }

    pub(crate) fn wake_at(&self) -> Option<(Instant, &'static str)> {
        self.next_at.map(|at| (at, "seeds"))
    }
}

impl Seed {
    /// Whether a member is known there. One that left on purpose is not looked for.
    fn is_met(&self, view: &View) -> bool {
        let found = match self.node {
            Some(node) => view.member(node),
            None => view.members().find(|member| member.address == self.address),
        };
        found.is_some_and(|member| member.liveness != Liveness::Dead)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_seed_makes_room_for_one_too_many() {
        let at = |port: u16| SocketAddr::from(([127, 0, 0, 1], port));
        let mut seeds = Seeds::new(&[], at(1));
        let most = SEEDS_MAX as u16;
        (1..=most + 3).for_each(|port| seeds.add(at(port), at(1), Instant(0)));
        seeds.add(at(9), at(1), Instant(0));
        let kept: Vec<_> = seeds.seeds.iter().map(|seed| seed.address.port()).collect();
        // Its own address is none, and one that is there already stays where it is.
        assert_eq!(kept, (4..=most + 3).collect::<Vec<_>>());
    }
}
