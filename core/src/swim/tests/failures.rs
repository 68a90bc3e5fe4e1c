//! Death, bad links, slow nodes.

use super::*;

/// A dead node is declared dead by all within ten seconds.
pub(super) fn the_dead_are_found(seed: u64, count: u32, bug: Bug) -> Result<u64, &'static str> {
    let mut world = World::cluster(seed, bug, count);
    world.run(seed * 137 % 1_000);
    world.kill(2);
    let suspected =
        |world: &World| world.hosts.keys().any(|&p| world.sees(p, 2, Liveness::Suspect));
    if world.time_until(10_000, suspected) >= 10_000 {
        return Err("never suspected");
    }
    let suspected_at = world.now;
    let took = world.time_until(20_000, |world| world.all_see(2, Liveness::Dead));
    let took = took + suspected_at.0 / 1_000_000 - 20_000 - seed * 137 % 1_000;
    if took >= 10_000 {
        return Err("too late");
    }
    if world.count(Liveness::Dead) != world.hosts.len() {
        return Err("someone else was declared dead");
    }
    Ok(took)
}

#[test]
fn a_dead_node_is_declared_dead_by_all_within_ten_seconds() {
    for count in [2, 3, 5, 10] {
        for seed in 0..8 {
            let took = the_dead_are_found(seed, count, Bug::None);
            assert!(took.is_ok(), "{took:?} with {count} nodes, seed {seed}");
        }
    }
}

#[test]
fn when_all_others_die_at_once_the_last_one_finds_out() {
    let mut world = World::cluster(1, Bug::None, 3);
    world.kill(2);
    world.kill(3);
    let dead = |world: &World| world.all_see(2, Liveness::Dead) && world.all_see(3, Liveness::Dead);
    assert!(world.time_until(20_000, dead) < 20_000);
}

/// A node that cannot be reached from one other is not even suspected: others reach it.
pub(super) fn others_speak_for_the_unreached(bug: Bug) -> Result<(), &'static str> {
    let mut world = World::cluster(2, bug, 5);
    world.cut.insert((1, 2));
    world.cut.insert((4, 1));
    world.run(120_000);
    if world.count(Liveness::Suspect) + world.count(Liveness::Dead) > 0 {
        return Err("a live node was suspected");
    }
    Ok(())
}

#[test]
fn a_live_node_behind_a_one_way_link_is_not_suspected() {
    others_speak_for_the_unreached(Bug::None).expect("others speak for it");
}

#[test]
fn nobody_dies_of_a_lossy_network() {
    let mut world = World::cluster(3, Bug::None, 5);
    world.loss = 200;
    world.run(300_000);
    assert_eq!(world.count(Liveness::Dead), 0);
    world.loss = 0;
    world.run(20_000);
    assert!(world.agree_alive(&[1, 2, 3, 4, 5]));
    assert!(!world.lattice_broken);
}

/// A node cut off for a moment is suspected, objects, and lives on under a higher incarnation.
pub(super) fn a_suspect_can_object(bug: Bug) -> Result<(), &'static str> {
    let mut world = World::cluster(4, bug, 3);
    world.split(&[2], &[1, 3]);
    let suspected = |world: &World| world.sees(1, 2, Liveness::Suspect);
    assert!(world.time_until(10_000, suspected) < 10_000, "silence is noticed");
    world.cut.clear();
    world.run(20_000);
    if world.count(Liveness::Dead) > 0 {
        return Err("it was declared dead though it lives");
    }
    let raised = world.view(1, 2).is_some_and(|member| member.incarnation > 100);
    if !raised || !world.agree_alive(&[1, 2, 3]) {
        return Err("it did not object by a higher incarnation");
    }
    Ok(())
}

#[test]
fn a_false_suspicion_is_refuted_by_a_higher_incarnation() {
    a_suspect_can_object(Bug::None).expect("it objects");
}

#[test]
fn a_node_that_was_suspended_does_not_declare_others_dead() {
    let mut world = World::cluster(5, Bug::None, 5);
    world.host(1).events.clear();
    world.pause(1, 20_000);
    world.run(20_100);
    assert!(world.host(1).cluster.health() > 0, "it knows that it was not well");
    world.run(30_000);
    let blamed = |event: &Event| match event {
        Event::Member { node, liveness, .. } => *node != NodeId(1) && *liveness == Liveness::Dead,
        _ => false,
    };
    assert!(!world.host(1).events.iter().any(|(_, event)| blamed(event)));
    assert!(world.agree_alive(&[1, 2, 3, 4, 5]), "and it is back in everyone's view");
    assert_eq!(world.host(1).cluster.health(), 0, "and well again");
}

#[test]
fn a_slow_node_does_not_declare_others_dead() {
    let mut world = World::cluster(6, Bug::None, 5);
    for _ in 0..60 {
        world.pause(1, 1_500);
        world.run(1_550);
    }
    assert!(world.host(1).cluster.health() > 0, "it stretches its timeouts");
    for node in 2..=5 {
        assert!(!world.sees(1, node, Liveness::Dead), "{node} lives");
    }
    let dead = world.hosts[&1]
        .events
        .iter()
        .any(|(_, event)| matches!(event, Event::Member { liveness: Liveness::Dead, .. }));
    assert!(!dead, "nobody was declared dead by the slow one");
}

#[test]
fn the_same_seed_sends_the_same_bytes() {
    let run = |seed| {
        let mut world = World::cluster(seed, Bug::None, 5);
        world.loss = 100;
        world.kill(3);
        world.run(30_000);
        world.trace
    };
    assert_eq!(run(8), run(8));
    assert_ne!(run(8), run(9));
}
