//! Links between nodes: what becomes of a message, and which links are cut, held or slow.

use driftless_core::rng::Chance;

use crate::queue::{MS, Time};

/// Nodes a world can have: a set of links is one 64-bit number.
pub const MOST_NODES: usize = 8;

/// A set of directed links.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Links(pub u64);

impl Links {
    /// No link.
    pub const NONE: Self = Self(0);

    /// The link from one node to another; nodes count from 0.
    pub const fn one(from: usize, to: usize) -> Self {
        Self(1 << (from * MOST_NODES + to))
    }

    /// Both directions between two nodes.
    pub const fn both(a: usize, b: usize) -> Self {
        Self(Self::one(a, b).0 | Self::one(b, a).0)
    }

    /// All links between nodes of different sides; bit `n` of `side` says where node `n` stands.
    pub fn between(side: u8, nodes: usize) -> Self {
        let mut links = Self::NONE;
        for from in 0..nodes {
            for to in 0..nodes {
                if (side >> from & 1) != (side >> to & 1) {
                    links.add(Self::one(from, to));
                }
            }
        }
        links
    }

    /// All links of one node.
    pub fn of(node: usize, nodes: usize) -> Self {
        Self::between(1 << node, nodes)
    }

    /// Every link there is.
    pub fn all(nodes: usize) -> Self {
        let mut links = Self::NONE;
        for node in 0..nodes {
            links.add(Self::of(node, nodes));
        }
        links
    }

    /// Adds links.
    pub fn add(&mut self, others: Self) {
        self.0 |= others.0;
    }

    /// Takes links away.
    pub fn remove(&mut self, others: Self) {
        self.0 &= !others.0;
    }

    /// Whether the link from one node to another is among them.
    #[inline]
    pub const fn has(self, from: usize, to: usize) -> bool {
        self.0 >> (from * MOST_NODES + to) & 1 == 1
    }

    /// Whether there is none.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The links, one by one, in order.
    pub fn iter(self) -> impl Iterator<Item = (usize, usize)> {
        (0..MOST_NODES * MOST_NODES)
            .filter(move |&bit| self.0 >> bit & 1 == 1)
            .map(|bit| (bit / MOST_NODES, bit % MOST_NODES))
    }
}

/// How all links behave all the time. A zero switches a fault off entirely.
#[derive(Clone, Debug)]
pub struct NetworkSettings {
    /// The shortest way, in nanoseconds.
    pub latency: Time,
    /// How much longer a usual way may take.
    pub spread: Time,
    /// Arrivals fall on multiples of two to the power of it, so that some fall together.
    pub quantum_bits: u32,
    /// Messages in 10,000 that take a heavy-tailed time.
    pub tail: u64,
    /// The longest such time.
    pub tail_most: Time,
    /// Messages in 10,000 that are lost.
    pub loss: u64,
    /// Messages in 10,000 that arrive twice.
    pub duplication: u64,
    /// Whether messages may overtake each other; else each link keeps its order.
    pub reordering: bool,
    /// Messages in 10,000 that arrive in two pieces.
    pub splitting: u64,
    /// Messages in 10,000 in which a byte is changed on the way.
    pub corruption: u64,
    /// Bytes a millisecond that a slow link carries.
    pub slow_bytes: u64,
    /// Bytes that wait on a held link before it overflows.
    pub hold_bytes: usize,
}

impl NetworkSettings {
    /// The first moment from `at` on at which something may arrive.
    fn rounded(&self, at: Time) -> Time {
        let beyond = (1 << self.quantum_bits) - 1;
        (at + beyond) & !beyond
    }
}

impl Default for NetworkSettings {
    fn default() -> Self {
        Self {
            latency: MS / 5,
            spread: MS / 5,
            quantum_bits: 10,
            tail: 0,
            tail_most: 0,
            loss: 0,
            duplication: 0,
            reordering: false,
            splitting: 0,
            corruption: 0,
            slow_bytes: 64,
            hold_bytes: 1 << 20,
        }
    }
}

/// What becomes of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It is gone.
    Lost,
    /// It arrives.
    Arrives(Time),
    /// It arrives twice.
    Twice(Time, Time),
    /// So much of it arrives first, the rest later.
    Split(usize, Time, Time),
    /// It arrives with its byte at this place changed.
    Corrupt(usize, Time),
    /// It waits until the link is released.
    Held,
    /// So much waits already that the connection breaks.
    Overflow,
}

/// The links between all nodes.
#[derive(Debug)]
pub struct Network {
    nodes: usize,
    /// How all links behave.
    pub settings: NetworkSettings,
    /// Links that carry nothing.
    pub cut: Links,
    /// Links whose messages wait.
    pub held: Links,
    /// Links that carry little.
    pub slow: Links,
    /// Links that carry no datagrams.
    pub muted: Links,
    /// Held links on which so much waited that the connection broke: there is none until they are released.
    broken: Links,
    /// For each link: when its last message arrives, when it is free again, how much waits on it.
    state: Vec<LinkState>,
}

#[derive(Clone, Debug, Default)]
struct LinkState {
    last_at: Time,
    free_at: Time,
    waiting: usize,
}

impl Network {
    /// Links between so many nodes, all whole.
    pub fn new(nodes: usize, settings: NetworkSettings) -> Self {
        assert!(nodes <= MOST_NODES, "a set of links is one 64-bit number");
        let state = vec![LinkState::default(); MOST_NODES * MOST_NODES];
        let none = Links::NONE;
        let broken = none;
        Self { nodes, settings, cut: none, held: none, slow: none, muted: none, broken, state }
    }

    /// How many nodes there are.
    pub fn nodes(&self) -> usize {
        self.nodes
    }

    /// Decides what becomes of a message of an engine to another.
    pub fn send(
        &mut self,
        (from, to): (usize, usize),
        length: usize,
        now: Time,
        chance: &mut Chance,
    ) -> Fate {
        if self.cut.has(from, to) {
            return Fate::Lost;
        }
        let settings = &self.settings;
        let state = &mut self.state[from * MOST_NODES + to];
        if self.held.has(from, to) {
            if self.broken.has(from, to) {
                return Fate::Lost;
            }
            if state.waiting + length > settings.hold_bytes {
                state.waiting = 0;
                self.broken.add(Links::one(from, to));
                return Fate::Overflow;
            }
            state.waiting += length;
            return Fate::Held;
        }
        let dice = chance.bits();
        if hit(dice, settings.loss) {
            return Fate::Lost;
        }
        let mut at = now + delay(settings, dice, chance);
        if self.slow.has(from, to) {
            state.free_at = state.free_at.max(now) + length as u64 * MS / settings.slow_bytes;
            at = at.max(state.free_at);
        }
        at = settings.rounded(at);
        if !settings.reordering {
            at = at.max(state.last_at);
            state.last_at = at;
        }
        let faults = settings.duplication + settings.splitting + settings.corruption;
        if faults == 0 {
            return Fate::Arrives(at);
        }
        let other = chance.bits();
        if hit(other, settings.duplication) {
            return Fate::Twice(at, at + chance.up_to(settings.spread * 4));
        }
        if length > 1 && hit(other >> 16, settings.splitting) {
            let first = chance.between(1, length as u64 - 1) as usize;
            return Fate::Split(first, at, at + chance.up_to(settings.spread));
        }
        if hit(other >> 32, settings.corruption) {
            return Fate::Corrupt(chance.up_to(length as u64 - 1) as usize, at);
        }
        Fate::Arrives(at)
    }

    /// Decides when a datagram arrives, if it does.
    pub fn datagram(
        &mut self,
        (from, to): (usize, usize),
        now: Time,
        chance: &mut Chance,
    ) -> Option<Time> {
        if self.cut.has(from, to) || self.held.has(from, to) || self.muted.has(from, to) {
            return None;
        }
        let dice = chance.bits();
        if hit(dice, self.settings.loss) {
            return None;
        }
        let at = now + delay(&self.settings, dice, chance);
        Some(self.settings.rounded(at))
    }

    /// Links are whole again; nothing waits on them. Between the ends of those that are told a connection is
    /// made anew.
    pub fn release(&mut self, links: Links) -> Links {
        self.held.remove(links);
        let mut anew = self.broken;
        self.broken.remove(links);
        anew.remove(self.broken);
        for (from, to) in links.iter() {
            self.state[from * MOST_NODES + to].waiting = 0;
        }
        anew
    }

    /// Everything works from now on.
    pub fn heal(&mut self) {
        self.cut = Links::NONE;
        self.held = Links::NONE;
        self.slow = Links::NONE;
        self.muted = Links::NONE;
        self.broken = Links::NONE;
        let settings = &mut self.settings;
        (settings.loss, settings.duplication, settings.corruption) = (0, 0, 0);
        (settings.tail, settings.splitting) = (0, 0);
        for state in &mut self.state {
            state.waiting = 0;
            state.free_at = 0;
        }
    }
}

/// Whether sixteen bits of a throw of dice hit a chance of `parts` in 10,000.
#[inline]
fn hit(dice: u64, parts: u64) -> bool {
    (dice & 0xFFFF) * 10_000 < parts << 16
}

#[inline]
fn delay(settings: &NetworkSettings, dice: u64, chance: &mut Chance) -> Time {
    if hit(dice >> 16, settings.tail) {
        // Each halving of the longest time is as likely as the next: few are long, some very.
        let halvings = chance.up_to(7);
        return settings.latency + chance.up_to(settings.tail_most >> halvings);
    }
    settings.latency + (((dice >> 32) * (settings.spread + 1)) >> 32)
}

#[cfg(test)]
mod tests {
    use driftless_core::rng::Seed;

    use super::*;

    fn chance() -> Chance {
        Chance::new(Seed::from_number(1), 0)
    }

    #[test]
    fn a_cut_is_one_way_unless_both_are_cut() {
        let mut network = Network::new(3, NetworkSettings::default());
        network.cut.add(Links::one(0, 1));
        let mut chance = chance();
        assert_eq!(network.send((0, 1), 10, 0, &mut chance), Fate::Lost);
        assert!(matches!(network.send((1, 0), 10, 0, &mut chance), Fate::Arrives(_)));
        assert_eq!(Links::between(0b001, 3).iter().count(), 4);
        assert_eq!(Links::all(5).iter().count(), 20);
    }

    #[test]
    fn links_keep_order_unless_told_otherwise() {
        for reordering in [false, true] {
            let settings = NetworkSettings { reordering, spread: MS, ..Default::default() };
            let mut network = Network::new(2, settings);
            let mut chance = chance();
            let times: Vec<_> = (0..100)
                .map(|now| match network.send((0, 1), 10, now, &mut chance) {
                    Fate::Arrives(at) => at,
                    other => panic!("{other:?}"),
                })
                .collect();
            assert_eq!(times.is_sorted(), !reordering);
        }
    }

    #[test]
    fn faults_come_as_often_as_they_should() {
        let settings = NetworkSettings {
            loss: 1_000,
            duplication: 500,
            splitting: 500,
            corruption: 500,
            ..Default::default()
        };
        let mut network = Network::new(2, settings);
        let mut chance = chance();
        let mut counts = [0_u32; 4];
        for now in 0..20_000 {
            match network.send((0, 1), 10, now, &mut chance) {
                Fate::Lost => counts[0] += 1,
                Fate::Twice(..) => counts[1] += 1,
                Fate::Split(..) => counts[2] += 1,
                Fate::Corrupt(..) => counts[3] += 1,
                _ => {}
            }
        }
        assert!((1_800..2_200).contains(&counts[0]), "{counts:?}");
        for count in &counts[1..] {
            assert!((700..1_100).contains(count), "{counts:?}");
        }
    }

    #[test]
    fn a_clogged_link_overflows() {
        let mut network = Network::new(2, NetworkSettings { hold_bytes: 25, ..Default::default() });
        network.held.add(Links::one(0, 1));
        let mut chance = chance();
        let mut send = || network.send((0, 1), 10, 0, &mut chance);
        assert_eq!([send(), send(), send()], [Fate::Held, Fate::Held, Fate::Overflow]);
        assert_eq!(send(), Fate::Lost, "there is no connection");
        let link = Links::one(0, 1);
        assert_eq!(network.release(Links(u64::MAX)), link);
        assert_eq!(network.release(Links(u64::MAX)), Links::NONE);
        network.held.add(link);
        assert_eq!(network.send((0, 1), 10, 0, &mut chance), Fate::Held);
    }

    #[test]
    fn a_slow_link_makes_messages_queue() {
        let settings = NetworkSettings { slow_bytes: 1, spread: 0, ..Default::default() };
        let mut network = Network::new(2, settings);
        network.slow.add(Links::one(0, 1));
        let mut chance = chance();
        let mut last = 0;
        for round in 1..5 {
            let Fate::Arrives(at) = network.send((0, 1), 10, 0, &mut chance) else { panic!() };
            assert!(at >= round * 10 * MS && at > last);
            last = at;
        }
    }
}
