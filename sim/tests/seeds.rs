//! Whole runs: the same seed gives the same bytes, and nothing is found in the core as it should be.

use driftless_sim::personality::draw;
use driftless_sim::run::run;

#[test]
fn the_same_seed_gives_the_same_bytes() {
    for seed in 0..12 {
        let (first, second) = (run(draw(seed)), run(draw(seed)));
        assert_eq!(first.hash, second.hash, "seed {seed}");
        assert_eq!(first.failed, second.failed, "seed {seed}");
    }
    assert_ne!(run(draw(1)).hash, run(draw(2)).hash);
}

#[test]
fn a_trace_changes_nothing() {
    for seed in 0..4 {
        let mut traced = draw(seed);
        traced.trace = true;
        let (plain, traced) = (run(draw(seed)), run(traced));
        assert_eq!(plain.hash, traced.hash, "seed {seed}");
        assert!(plain.trace.is_empty() && !traced.trace.is_empty());
    }
}

#[test]
fn no_checker_objects_to_the_core_as_it_should_be() {
    for seed in 0..24 {
        let outcome = run(draw(seed));
        assert_eq!(outcome.failed, None, "seed {seed}");
    }
}
