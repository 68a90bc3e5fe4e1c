//! Finding each other, and leaving.

use super::*;

#[test]
fn all_find_each_other_by_one_seed_in_any_order_of_start() {
    for order in [[1, 2, 3, 4], [4, 3, 2, 1], [3, 1, 4, 2]] {
        let mut world = World::new(1, Bug::None);
        for node in order {
            world.start(node);
            world.run(3_000);
        }
        let took = world.time_until(5_000, |world| world.agree_alive(&[1, 2, 3, 4]));
        assert!(took < 5_000, "started in order {order:?}");
        assert!(!world.lattice_broken);
    }
}

#[test]
fn fifty_nodes_started_at_once_find_each_other() {
    let mut world = World::new(2, Bug::None);
    world.loss = 50;
    for node in 1..=50 {
        world.start(node);
    }
    let all: Vec<u32> = (1..=50).collect();
    let took = world.time_until(30_000, |world| world.agree_alive(&all));
    assert!(took < 30_000, "all agree");
}

/// More members than one page of a summary holds.
#[test]
fn one_more_node_learns_of_all_of_a_large_cluster_at_once() {
    let mut world = World::new(8, Bug::None);
    let mut all: Vec<u32> = (1..=100).collect();
    for &node in &all {
        world.start(node);
    }
    let took = world.time_until(60_000, |world| world.agree_alive(&all));
    assert!(took < 60_000, "the large cluster is there");
    world.run(10_000);
    all.push(101);
    world.start(101);
    world.run(500);
    assert_eq!(world.hosts[&101].cluster.members().count(), 101, "by pages, not by rumours");
    assert!(world.time_until(20_000, |world| world.agree_alive(&all)) < 20_000, "all know it");
}

#[test]
fn a_seed_that_comes_late_is_still_found() {
    let mut world = World::new(3, Bug::None);
    world.start(2);
    world.start(3);
    world.run(60_000);
    assert!(world.agree_alive(&[2]), "nobody can be found without the seed");
    world.start_as(1, config(1, &[]));
    let took = world.time_until(5_000, |world| world.agree_alive(&[1, 2, 3]));
    assert!(took < 5_000, "they serve within five seconds of the last start");
}

#[test]
fn a_node_that_names_itself_as_seed_is_not_confused() {
    let mut world = World::new(4, Bug::None);
    let mut alias = config(1, &[8, 2]);
    alias.seeds.push(address(1));
    world.start_as(1, alias);
    world.start_as(2, config(2, &[1, 2]));
    world.run(10_000);
    assert!(world.agree_alive(&[1, 2]));
    assert_eq!(world.count(Liveness::Suspect), 0);
}

#[test]
fn what_a_node_says_of_itself_reaches_all() {
    let world = World::cluster(5, Bug::None, 4);
    let told = world.view(4, 3).expect("4 knows 3");
    assert_eq!((told.fingerprint, told.about.as_slice()), (1, [3; 20].as_slice()));
}

#[test]
fn a_node_that_leaves_is_gone_at_once_and_stays_gone() {
    let mut world = World::cluster(6, Bug::None, 5);
    world.leave(3);
    world.run(100);
    assert!(world.all_see(3, Liveness::Left), "told by the leaving node itself");
    world.run(30_000);
    assert!(world.all_see(3, Liveness::Left));
    assert_eq!(world.count(Liveness::Suspect), 0, "it still answered, and then nobody asked");
    world.kill(3);
    world.run(60_000);
    assert!(world.all_see(3, Liveness::Left));
}

#[test]
fn a_node_that_left_comes_back_by_a_higher_incarnation() {
    let mut world = World::cluster(7, Bug::None, 3);
    world.leave(2);
    world.run(500);
    world.kill(2);
    let mut again = config(2, &[1]);
    again.incarnation = 200;
    world.start_as(2, again);
    world.run(5_000);
    assert!(world.agree_alive(&[1, 2, 3]));
}
