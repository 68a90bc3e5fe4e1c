//! Every seed draws its own world: its size, its knobs, its faults and what its clients do. Each fault is
//! truly absent in about half of the seeds, because a fault that is always there hides what others find.

use driftless_core::cluster::GossipTiming;
use driftless_core::config::{Bug, Limits, Reads, Timing};
use driftless_core::rng::{Chance, Seed};
use driftless_core::time::Span;

use crate::fault::Fault;
use crate::network::NetworkSettings;
use crate::options::{ClockSettings, DiskSettings, FaultSettings, Options, Phases, Workload};
use crate::queue::{MS, SECOND, Time};

/// Streams of chance, one a concern.
pub mod stream {
    /// What kind of world it is.
    pub const SHAPE: u64 = 1;
    /// Limits and timeouts.
    pub const KNOBS: u64 = 2;
    /// Which faults there are.
    pub const FAULTS: u64 = 3;
    /// What clients do.
    pub const WORKLOAD: u64 = 4;
    /// What happens to messages.
    pub const NETWORK: u64 = 5;
    /// How long disks take, and what they lose.
    pub const DISK: u64 = 6;
    /// When faults happen, and to whom.
    pub const PLAN: u64 = 7;
    /// What clocks show.
    pub const CLOCKS: u64 = 8;
    /// Which events set a fault off.
    pub const TRIGGERS: u64 = 9;
    /// How members watch each other.
    pub const MEMBERS: u64 = 10;
    /// How closely the checkers look.
    pub const CHECKS: u64 = 11;
}

/// The world of a seed.
pub fn draw(seed: u64) -> Options {
    let root = Seed::from_number(seed);
    let shape = &mut Chance::new(root, stream::SHAPE);
    let nodes = pick(shape, &[3, 3, 3, 3, 3, 3, 5, 5, 5, 5, 5, 5, 5, 4, 4, 1, 2, 7]);
    let mut options = Options::quiet(seed, nodes);
    options.factor = match nodes {
        4 | 5 => pick(shape, &[nodes, nodes, 3]),
        7 => pick(shape, &[3, 5, 7]),
        few => few,
    };
    options.partitions = pick(shape, &[1, 1, 1, 1, 1, 2, 2, 3, 8]);
    options.lanes = if options.partitions > 1 && shape.chance(1, 3) { 2 } else { 1 };
    options.turn_cost = pick(shape, &[1_000, 5_000, 20_000, 100_000]);
    let knobs = &mut Chance::new(root, stream::KNOBS);
    draw_limits(knobs, &mut options.limits);
    draw_timing(knobs, &mut options.timing);
    options.reads = pick(knobs, &[Reads::Lease, Reads::Lease, Reads::Lease, Reads::Quorum]);
    let members = &mut Chance::new(root, stream::MEMBERS);
    draw_gossip(members, &mut options.gossip);
    let faults = &mut Chance::new(root, stream::FAULTS);
    options.network = draw_network(faults);
    options.disk = draw_disk(faults);
    options.clocks = draw_clocks(faults, options.reads, &options.timing);
    options.faults = draw_faults(faults, nodes);
    options.workload = draw_workload(&mut Chance::new(root, stream::WORKLOAD), &options);
    options.phases = Phases {
        warm_up: SECOND,
        faults: pick(faults, &[4, 8, 8, 12]) * SECOND,
        settle: 60 * SECOND,
        core_only: options.nodes >= 3 && faults.chance(1, 4),
        muted: options.nodes >= 3 && members.chance(1, 4),
    };
    options.image_every = draw_image_every(&mut Chance::new(root, stream::CHECKS));
    options
}

/// The world of a seed in which a planted bug is looked for: the same as that of the seed itself.
pub fn draw_with(seed: u64, bug: Bug) -> Options {
    Options { bug, ..draw(seed) }
}

fn pick<T: Copy>(chance: &mut Chance, from: &[T]) -> T {
    from[chance.up_to(from.len() as u64 - 1) as usize]
}

/// Zero in half of the cases, else one of `from`.
fn sometimes(chance: &mut Chance, from: &[u64]) -> u64 {
    let value = pick(chance, from);
    if chance.chance(1, 2) { value } else { 0 }
}

/// Bytes that each segment of a log begins with. A bound that leaves no room for them makes images without end.
const HEADERS: u64 = 9 << 10;

fn draw_limits(chance: &mut Chance, limits: &mut Limits) {
    limits.append_bytes = pick(chance, &[1, 200, 4 << 10, 256 << 10]);
    limits.in_flight_bytes = pick(chance, &[1 << 10, 64 << 10, 4 << 20]);
    limits.uncommitted_bytes = pick(chance, &[4 << 10, 64 << 10, 1 << 20]);
    limits.log_bytes = pick(chance, &[16 << 10, 64 << 10, 1 << 20]);
    limits.segment_bytes = pick(chance, &[2 << 10, 8 << 10, 64 << 10, 1 << 20]);
    limits.wal_bytes = (limits.segment_bytes + HEADERS) * pick(chance, &[3, 6, 12]);
    limits.chunk_bytes = pick(chance, &[64, 1 << 10, 64 << 10]);
    limits.chunks_in_flight = pick(chance, &[1, 4]);
    limits.client_pending = pick(chance, &[2, 16, 4096]);
    limits.outbox = pick(chance, &[4, 64, 65_536]);
    limits.waiting_reads = pick(chance, &[2, 64, 65_536]);
    limits.command_bytes = 1 << 20;
    limits.expire_batch = pick(chance, &[1, 16, 256]);
    limits.changes_bytes = limits.log_bytes;
    limits.client_reads = limits.client_pending.min(128);
    limits.client_bytes = pick(chance, &[64, 4 << 10, 4 << 20]);
    limits.outbox_bytes = pick(chance, &[1 << 10, 64 << 20]);
    limits.forwarded_bytes = pick(chance, &[64, 4 << 10, 4 << 20]);
    limits.peer_bytes = pick(chance, &[4 << 10, 32 << 20]);
    limits.waiting_bytes = pick(chance, &[256, 16 << 20]);
}

fn draw_timing(chance: &mut Chance, timing: &mut Timing) {
    match chance.up_to(5) {
        0 => {
            timing.beat_every = Span::millis(40);
            timing.election_timeout = Span::millis(150);
            timing.election_spread = Span::millis(150);
            timing.lease = Span::millis(130);
            timing.resend_every = Span::millis(80);
        }
        1 => timing.election_spread = Span::millis(50),
        2 => timing.lease = Span::millis(100),
        3 => {
            // Whoever starts anew stands long before an old leader notices that nobody hears it.
            timing.beat_every = Span::millis(400);
            timing.election_timeout = Span::millis(900);
            timing.election_spread = Span::millis(100);
            timing.lease = Span::millis(850);
        }
        _ => {}
    }
    timing.patience = Span::millis(pick(chance, &[500, 2_000, 5_000]));
    timing.disk_stall = Span::millis(pick(chance, &[200, 1_000]));
    timing.scrub_every = Span::millis(pick(chance, &[500, 5_000, 30_000]));
    timing.lead_back_after = Span::millis(pick(chance, &[200, 1_000, 5_000]));
    timing.clock_error_ms = pick(chance, &[500, 60_000, 60_000]);
    timing.max_staleness = Span::millis(pick(chance, &[2, 10, 50, 1_000]));
}

/// Verdicts must come within the longest fault in some worlds, so that they are false ones.
fn draw_gossip(chance: &mut Chance, timing: &mut GossipTiming) {
    if chance.chance(1, 2) {
        timing.probe_every = Span::millis(300);
        timing.probe_timeout = Span::millis(120);
        timing.digest_every = Span::millis(pick(chance, &[1_000, 3_000]));
        timing.knock_every = Span::millis(300);
    }
}

fn draw_network(chance: &mut Chance) -> NetworkSettings {
    NetworkSettings {
        latency: pick(chance, &[MS / 20, MS / 5, MS / 2, 5 * MS]),
        spread: pick(chance, &[MS / 20, MS / 2, 3 * MS, 20 * MS]),
        quantum_bits: pick(chance, &[0, 13, 17, 20]) as u32,
        tail: sometimes(chance, &[10, 100, 1_000]),
        tail_most: pick(chance, &[50, 300, 2_000]) * MS,
        loss: sometimes(chance, &[10, 100, 1_000, 3_000]),
        duplication: sometimes(chance, &[10, 100, 1_000]),
        reordering: chance.chance(1, 2),
        splitting: sometimes(chance, &[10, 300]),
        corruption: sometimes(chance, &[5, 50]),
        slow_bytes: pick(chance, &[2, 20, 200]),
        hold_bytes: pick(chance, &[4 << 10, 64 << 10, 1 << 20]),
    }
}

fn draw_disk(chance: &mut Chance) -> DiskSettings {
    DiskSettings {
        latency: pick(chance, &[MS / 20, MS / 2, 2 * MS, 8 * MS]),
        spread: pick(chance, &[MS / 20, MS, 10 * MS]),
        hiccups: sometimes(chance, &[20, 200]),
        tearing: chance.chance(3, 4),
    }
}

fn draw_clocks(chance: &mut Chance, reads: Reads, timing: &Timing) -> ClockSettings {
    // Two clocks that are each half of the allowance off are the whole of it apart.
    let allowed = timing.drift_ppm / 2;
    let beyond = pick(chance, &[5_000, 50_000, 300_000]);
    ClockSettings {
        offset_ms: sometimes(chance, &[5, 100, 400]),
        ppm: if chance.chance(1, 2) { allowed } else { 0 },
        fault_ppm: if reads == Reads::Quorum { beyond } else { allowed },
        step_ms: pick(chance, &[20, 400, 3_000, 90_000]),
    }
}

fn draw_faults(chance: &mut Chance, nodes: usize) -> FaultSettings {
    let mut settings = FaultSettings::none();
    for fault in Fault::ALL {
        let weight = pick(chance, &[1, 2, 4, 10]);
        let there = chance.chance(1, 2);
        // A damaged disk is only fair where a majority of others holds good copies.
        let fair = !fault.damages() || nodes >= 3;
        settings.weights[fault as usize] = if there && fair { weight } else { 0 };
    }
    settings.gap = pick(chance, &[100, 300, 600, 1_000, 2_000]) * MS;
    settings.longest = pick(chance, &[300, 1_000, 2_000, 4_000]) * MS;
    settings.trigger = sometimes(chance, &[5, 20, 60]);
    settings
}

fn draw_workload(chance: &mut Chance, options: &Options) -> Workload {
    let heavy = chance.chance(1, 8);
    let think: Time = if heavy { 10 * MS } else { pick(chance, &[60, 200, 400]) * MS };
    Workload {
        clients: pick(chance, &[1, 2, 3, 4]) + options.nodes.min(3) - 1,
        keys: pick(chance, &[1, 3, 8, 40]),
        burst: pick(chance, &[1, 1, 2, 5]),
        think,
        reads: pick(chance, &[10, 40, 40, 70]),
        expiring: sometimes(chance, &[10, 40]),
        multi: sometimes(chance, &[5, 25]),
        value_bytes: pick(chance, &[8, 40, 300]),
        roaming: pick(chance, &[0, 10, 50]),
        lost_answers: sometimes(chance, &[5, 50]),
        patience: pick(chance, &[1, 4, 9]) * SECOND,
        users: pick(chance, &[0, 0, 0, 3, 15]),
        in_cluster_mode: pick(chance, &[0, 0, 30, 100]),
        read_only: pick(chance, &[0, 0, 50, 100]),
    }
}

/// To recover a disk takes as long as many turns. So a few seeds look nearly all the time, and most rarely look.
fn draw_image_every(chance: &mut Chance) -> u32 {
    match chance.up_to(255) {
        0 => 4,
        1..=7 => 16,
        8..=31 => 64,
        _ => pick(chance, &[256, 1_024, 4_096]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_fault_is_truly_absent_in_about_half_of_the_seeds() {
        let worlds: Vec<_> = (0..400).map(draw).collect();
        for fault in Fault::ALL {
            let there = worlds.iter().filter(|world| world.may(fault)).count();
            assert!((130..270).contains(&there), "{}: in {there} of 400", fault.name());
        }
    }

    #[test]
    fn clocks_drift_beyond_the_allowance_only_where_reads_do_not_trust_them() {
        for world in (0..400).map(draw) {
            let apart = 2 * world.clocks.fault_ppm.max(world.clocks.ppm);
            assert!(world.reads == Reads::Quorum || apart <= world.timing.drift_ppm);
            assert!(
                world.factor <= world.nodes && world.timing.lease <= world.timing.election_timeout
            );
        }
    }
}
