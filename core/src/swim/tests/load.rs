//! What it costs.

use super::*;

/// Thousandths of a datagram that a node of an idle cluster sends in a second.
fn idle_load(count: u32) -> u64 {
    let mut world = World::cluster(1, Bug::None, count);
    world.run(20_000);
    let sent = |world: &World| world.hosts.values().map(|host| host.sent).sum::<u64>();
    let before = sent(&world);
    world.run(60_000);
    (sent(&world) - before) * 1_000 / 60 / u64::from(count)
}

#[test]
fn a_node_of_a_small_idle_cluster_sends_less_than_three_datagrams_a_second() {
    let load = idle_load(3);
    assert!((1_900..3_000).contains(&load), "{load} thousandths");
}

#[test]
fn the_load_of_a_node_does_not_grow_with_the_cluster() {
    let small = idle_load(3);
    for count in [10, 50] {
        let load = idle_load(count);
        assert!(load < small * 11 / 10, "{load} against {small} thousandths at {count} nodes");
    }
}

#[test]
fn members_are_limited() {
    let mut world = World::new(2, Bug::None);
    world.timing.members_max = 6;
    for node in 1..=10 {
        world.start(node);
    }
    world.run(60_000);
    for host in world.hosts.values() {
        assert!(host.cluster.members().count() <= 6, "no more than were allowed");
        assert!(host.sent < 60 * 20, "and nobody argues about those who were not let in");
    }
}
