//! Some hundred seeds of the simulator, so that every run of the tests meets some crashes; the swarm of the
//! command line meets many more.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use driftless_sim::personality::draw;
use driftless_sim::run::{Outcome, run};

const SEEDS: u64 = 300;
/// Seeds played twice.
const TWICE: u64 = 20;
/// After so long no further seed is begun: a slow machine plays fewer, but no fewer than [`TWICE`].
const ENOUGH: Duration = Duration::from_mins(2);
/// After so long a seed that was begun will never end. A usual one takes a fraction of a second.
const HANGS: Duration = Duration::from_mins(4);

/// Plays the seeds from 0 on, on all cores, and returns what became of them, seed after seed. A seed that
/// does not end is given up, not waited for.
fn play(count: u64) -> Vec<Outcome> {
    let begun = Instant::now();
    let next = Arc::new(AtomicU64::new(0));
    let (tell, told) = channel();
    for _ in 0..thread::available_parallelism().map_or(1, Into::into) {
        let (next, tell) = (Arc::clone(&next), tell.clone());
        // Not a scoped thread: those are waited for, even when the test has failed.
        thread::spawn(move || {
            loop {
                let seed = next.fetch_add(1, Ordering::Relaxed);
                if seed >= count || seed >= TWICE && begun.elapsed() > ENOUGH {
                    return;
                }
                let nobody_listens = tell.send((seed, None)).is_err();
                if nobody_listens || tell.send((seed, Some(run(draw(seed))))).is_err() {
                    return;
                }
            }
        });
    }
    drop(tell);
    let mut seeds: BTreeMap<u64, Option<Outcome>> = BTreeMap::new();
    loop {
        match told.recv_timeout(HANGS.saturating_sub(begun.elapsed())) {
            Ok((seed, outcome)) => drop(seeds.insert(seed, outcome)),
            Err(RecvTimeoutError::Disconnected) => break,
            Err(RecvTimeoutError::Timeout) => {
                let seed =
                    seeds.iter().find_map(|(seed, outcome)| outcome.is_none().then_some(seed));
                let seed = *seed.expect("whoever is waited for has begun a seed");
                panic!("seed {seed} does not end; {}", again(seed));
            }
        }
    }
    println!("{} seeds in {:?}", seeds.len(), begun.elapsed());
    seeds.into_values().map(|outcome| outcome.expect("who began a seed has ended it")).collect()
}

fn again(seed: u64) -> String {
    format!("to see it again:\ncargo run --release -p driftless-sim -- run --seed {seed} --trace")
}

#[test]
fn no_seed_breaks_a_promise() {
    for (seed, outcome) in (0..).zip(play(SEEDS)) {
        if let Some(finding) = outcome.failed {
            panic!("seed {seed}: {}: {}\n{}", finding.checker, finding.what, again(seed));
        }
    }
}

#[test]
fn the_same_seed_gives_the_same_bytes() {
    let (first, second) = (play(TWICE), play(TWICE));
    for (seed, (first, second)) in (0..).zip(first.iter().zip(&second)) {
        assert_eq!(first.hash, second.hash, "seed {seed} went two ways; {}", again(seed));
    }
    let mut hashes: Vec<u64> = first.iter().map(|outcome| outcome.hash).collect();
    hashes.sort_unstable();
    hashes.dedup();
    assert_eq!(hashes.len() as u64, TWICE, "every seed is a history of its own");
}
