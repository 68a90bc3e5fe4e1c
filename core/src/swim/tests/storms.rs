//! Many faults at random, then peace: whatever has happened, all agree in the end.

use super::*;

const NODES: u32 = 5;

#[test]
fn after_any_faults_all_agree_again() {
    for seed in 0..12 {
        let mut world = World::cluster(seed, Bug::None, NODES);
        world.loss = [0, 100, 300][seed as usize % 3];
        let mut incarnation = 1_000;
        for _ in 0..25 {
            fault(&mut world, &mut incarnation);
            let span = world.chance.between(100, 9_000);
            world.run(span);
        }
        make_peace(&mut world, &mut incarnation);
        let all: Vec<u32> = (1..=NODES).collect();
        let took = world.time_until(60_000, |world| world.agree_alive(&all));
        assert!(took < 60_000, "all agree after the storm of seed {seed}");
        assert!(!world.lattice_broken, "entries moved only up in seed {seed}");
        // Suspicions from the storm may still be on their way.
        world.run(20_000);
        let suspicions = world.count(Liveness::Suspect);
        world.run(60_000);
        assert!(world.agree_alive(&all), "and go on agreeing in seed {seed}");
        assert_eq!(world.count(Liveness::Suspect), suspicions, "in peace nobody is suspected");
    }
}

fn fault(world: &mut World, incarnation: &mut u64) {
    let node = world.chance.between(1, u64::from(NODES)) as u32;
    let other = world.chance.between(1, u64::from(NODES)) as u32;
    match world.chance.up_to(6) {
        0 if world.hosts.len() > 1 => world.kill(node),
        1 if world.hosts.contains_key(&node) => {
            let span = world.chance.between(100, 15_000);
            world.pause(node, span);
        }
        2 => {
            world.cut.insert((node, other));
        }
        3 => world.split(&[node], &[1, 2, 3, 4, 5]),
        4 => world.cut.clear(),
        5 => restart(world, node, incarnation),
        _ => {}
    }
}

fn restart(world: &mut World, node: u32, incarnation: &mut u64) {
    *incarnation += 1_000;
    let mut again = config(node, &[1, 2]);
    again.incarnation = *incarnation;
    world.start_as(node, again);
}

fn make_peace(world: &mut World, incarnation: &mut u64) {
    world.cut.clear();
    world.loss = 0;
    for node in 1..=NODES {
        if !world.hosts.contains_key(&node) {
            restart(world, node, incarnation);
        }
        world.host(node).paused_until = Instant(0);
    }
}
