//! Many seeds, over several threads; what is reported does not depend on how many there are.

use std::fs;
use std::ops::Range;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::options::Options;
use crate::run::{Finding, Outcome, run};

/// What many seeds came to.
#[derive(Clone, Debug, Default)]
pub struct Sum {
    /// Seeds played.
    pub seeds: u64,
    /// Virtual nanoseconds played.
    pub took: u64,
    /// Things that happened.
    pub events: u64,
    /// Turns taken.
    pub turns: u64,
    /// Commands of clients, and answers that were no errors.
    pub commands: (u64, u64),
    /// Faults that set in.
    pub faults: u64,
    /// Elections won, snapshots made, snapshots received, torn tails, damage met, repairs of it.
    pub protocol: [u64; 6],
    /// Hashes of all runs, folded in the order of the seeds.
    pub hash: u64,
    /// The first seed that failed, and how.
    pub failed: Option<(u64, Finding)>,
}

impl Sum {
    fn add(&mut self, outcome: &Outcome) {
        let counts = &outcome.counts;
        self.seeds += 1;
        self.took += outcome.took;
        self.events += counts.events;
        self.turns += counts.turns;
        self.commands.0 += counts.commands;
        self.commands.1 += counts.answers;
        self.faults += counts.faults;
        let protocol = [
            counts.elections,
            counts.snapshots,
            counts.installs,
            counts.torn,
            counts.damage,
            counts.repairs,
        ];
        for (sum, count) in self.protocol.iter_mut().zip(protocol) {
            *sum += count;
        }
    }
}

/// Plays a range of seeds. `told` hears of each seed that is done. Stops soon after a seed fails; the one
/// reported is the lowest.
pub fn swarm(
    seeds: Range<u64>,
    jobs: usize,
    world: &(dyn Fn(u64) -> Options + Sync),
    told: &(dyn Fn(u64) + Sync),
) -> Sum {
    let next = AtomicU64::new(seeds.start);
    let end = AtomicU64::new(seeds.end);
    let sum = Mutex::new(Sum::default());
    std::thread::scope(|scope| {
        for _ in 0..jobs.max(1) {
            scope.spawn(|| {
                let mut own = Sum::default();
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= end.load(Ordering::Relaxed) {
                        break;
                    }
                    let outcome = run(world(seed));
                    own.add(&outcome);
                    // Order does not matter to a sum of scrambled hashes.
                    own.hash = own.hash.wrapping_add(scramble(seed, outcome.hash));
                    if let Some(finding) = outcome.failed {
                        end.fetch_min(seed, Ordering::Relaxed);
                        if own.failed.as_ref().is_none_or(|(first, _)| seed < *first) {
                            own.failed = Some((seed, finding));
                        }
                    }
                    told(seed);
                }
                merge(&mut sum.lock().expect("no thread panics while it adds"), own);
            });
        }
    });
    sum.into_inner().expect("no thread panics while it adds")
}

fn merge(sum: &mut Sum, own: Sum) {
    sum.seeds += own.seeds;
    sum.took += own.took;
    sum.events += own.events;
    sum.turns += own.turns;
    sum.commands.0 += own.commands.0;
    sum.commands.1 += own.commands.1;
    sum.faults += own.faults;
    sum.hash = sum.hash.wrapping_add(own.hash);
    for (sum, own) in sum.protocol.iter_mut().zip(own.protocol) {
        *sum += own;
    }
    if let Some((seed, finding)) = own.failed
        && sum.failed.as_ref().is_none_or(|(first, _)| seed < *first)
    {
        sum.failed = Some((seed, finding));
    }
}

fn scramble(seed: u64, hash: u64) -> u64 {
    (hash ^ seed.rotate_left(32)).wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(29) ^ hash
}

/// Seconds that this process has spent on processors, and the most memory it ever had, in MiB.
pub fn usage() -> (f64, f64) {
    let text = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // The name of the process may hold anything, but ends with the last parenthesis.
    let rest = text.rsplit(')').next().unwrap_or_default();
    let ticks: u64 =
        rest.split_whitespace().skip(11).take(2).filter_map(|word| word.parse::<u64>().ok()).sum();
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let peak = status.lines().find_map(|line| {
        line.strip_prefix("VmHWM:")?.split_whitespace().next()?.parse::<u64>().ok()
    });
    (ticks as f64 / 100.0, peak.unwrap_or(0) as f64 / 1024.0)
}
