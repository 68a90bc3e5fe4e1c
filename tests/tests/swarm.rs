//! Some hundred seeds of the simulator, so that every run of the tests meets some crashes; the swarm of the
//! command line meets many more.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use driftless_sim::personality::draw;
use driftless_sim::run::{Outcome, run};

const SEEDS: u64 = 200;
const TWICE: u64 = 20;

/// Plays seeds `0..count`, on all cores.
fn play(count: u64) -> Vec<Outcome> {
    let next = AtomicU64::new(0);
    let outcomes = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(1, Into::into) {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= count {
                        break;
                    }
                    let outcome = run(draw(seed));
                    outcomes
                        .lock()
                        .expect("nobody panics while holding this")
                        .push((seed, outcome));
                }
            });
        }
    });
    let mut outcomes = outcomes.into_inner().expect("nobody panics while holding this");
    outcomes.sort_by_key(|(seed, _)| *seed);
    outcomes.into_iter().map(|(_, outcome)| outcome).collect()
}

#[test]
fn no_seed_breaks_a_promise() {
    for (seed, outcome) in play(SEEDS).into_iter().enumerate() {
        if let Some(finding) = outcome.failed {
            panic!(
                "seed {seed}: {}: {}\nto see it again:\n\
                 cargo run --release -p driftless-sim -- run --seed {seed} --trace",
                finding.checker, finding.what
            );
        }
    }
}

#[test]
fn the_same_seed_gives_the_same_bytes() {
    let (first, second) = (play(TWICE), play(TWICE));
    for (seed, (first, second)) in first.iter().zip(&second).enumerate() {
        assert_eq!(first.hash, second.hash, "seed {seed} went two ways");
    }
    let mut hashes: Vec<u64> = first.iter().map(|outcome| outcome.hash).collect();
    hashes.sort_unstable();
    hashes.dedup();
    assert_eq!(hashes.len() as u64, TWICE, "every seed is a history of its own");
}
