//! Who is who: restarts, moves, namesakes, other clusters.

use super::*;

/// A node that comes back with a higher incarnation is seen so by all.
pub(super) fn a_restart_is_noticed(bug: Bug) -> Result<(), &'static str> {
    let mut world = World::cluster(1, bug, 3);
    world.kill(2);
    world.run(1_000);
    let mut again = config(2, &[1]);
    again.incarnation = 200;
    again.about = vec![9; 3];
    world.start_as(2, again);
    world.run(10_000);
    let new = |place| world.view(place, 2).is_some_and(|member| member.incarnation == 200);
    if !new(1) || !new(3) || world.lattice_broken {
        return Err("its new incarnation did not win");
    }
    if world.view(3, 2).is_none_or(|member| member.about != [9; 3]) {
        return Err("what it says of itself is old");
    }
    Ok(())
}

#[test]
fn a_restarted_node_is_known_by_its_higher_incarnation() {
    a_restart_is_noticed(Bug::None).expect("the higher incarnation wins");
}

#[test]
fn a_node_whose_clock_went_back_overtakes_its_own_past() {
    let mut world = World::cluster(2, Bug::None, 3);
    world.kill(2);
    world.run(30_000);
    assert!(world.all_see(2, Liveness::Dead));
    let mut again = config(2, &[1]);
    again.incarnation = 50;
    world.start_as(2, again);
    world.run(10_000);
    assert!(world.agree_alive(&[1, 2, 3]));
    assert!(world.view(3, 2).is_some_and(|member| member.incarnation > 100));
}

#[test]
fn a_node_may_come_up_at_another_address() {
    let mut world = World::cluster(3, Bug::None, 3);
    world.kill(2);
    let mut moved = config(2, &[1]);
    moved.incarnation = 200;
    moved.address = address(12);
    world.start_as(12, moved);
    world.run(10_000);
    for place in [1, 3, 12] {
        let member = world.view(place, 2).expect("2 is known");
        assert_eq!((member.address, member.liveness), (address(12), Liveness::Alive));
    }
    world.run(60_000);
    assert!(world.sees(1, 2, Liveness::Alive), "it is probed where it is now");
}

#[test]
fn of_two_processes_of_one_node_the_lower_incarnation_notices() {
    let mut world = World::cluster(4, Bug::None, 3);
    let mut namesake = config(2, &[1]);
    namesake.address = address(12);
    namesake.incarnation = 90;
    world.start_as(12, namesake);
    world.run(10_000);
    let duplicate = Event::DuplicateNode { node: NodeId(2) };
    assert!(world.has_event(12, duplicate), "the newcomer came with a lower one");
    assert!(!world.has_event(2, duplicate));
    for place in [1, 2, 3] {
        assert_eq!(world.view(place, 2).map(|member| member.address), Some(address(2)));
    }
    assert_eq!(world.count(Liveness::Suspect), 0, "the others hardly notice");
}

#[test]
fn a_process_that_was_superseded_is_the_node_again_when_the_other_dies() {
    let mut world = World::cluster(5, Bug::None, 3);
    let mut namesake = config(2, &[1]);
    namesake.address = address(12);
    namesake.incarnation = 200;
    world.start_as(12, namesake);
    world.run(30_000);
    assert!(world.has_event(2, Event::DuplicateNode { node: NodeId(2) }), "the old one notices");
    assert_eq!(world.view(1, 2).map(|member| member.address), Some(address(12)));
    world.kill(12);
    world.run(60_000);
    assert!(world.agree_alive(&[1, 2, 3]));
    assert_eq!(world.view(1, 2).map(|member| member.address), Some(address(2)));
}

#[test]
fn another_node_at_the_address_of_a_dead_one_does_not_answer_for_it() {
    let mut world = World::cluster(6, Bug::None, 3);
    world.kill(2);
    let mut other = config(4, &[1]);
    other.address = address(2);
    world.start_as(2, other);
    world.run(20_000);
    assert!(world.sees(1, 2, Liveness::Dead) && world.sees(1, 4, Liveness::Alive));
}

/// A node of another cluster that knocks here stays out.
pub(super) fn clusters_keep_apart(bug: Bug) -> Result<(), &'static str> {
    let mut world = World::cluster(7, bug, 2);
    let mut stranger = config(3, &[1]);
    stranger.cluster = ClusterId(8);
    world.start_as(3, stranger);
    world.run(10_000);
    if world.view(1, 3).is_some() || world.view(3, 1).is_some() {
        return Err("two clusters have merged");
    }
    if !world.has_event(1, Event::ForeignCluster) {
        return Err("nobody was told");
    }
    Ok(())
}

#[test]
fn a_datagram_of_another_cluster_is_refused() {
    clusters_keep_apart(Bug::None).expect("clusters keep apart");
}
