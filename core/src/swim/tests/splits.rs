//! Partitions, and the memory of the dead.

use super::*;
use crate::swim::member::Entry;
use crate::swim::message::{Header, Message, Writer};

#[test]
fn a_split_cluster_finds_together_again() {
    let mut world = World::cluster(1, Bug::None, 5);
    world.split(&[1, 2], &[3, 4, 5]);
    world.run(60_000);
    assert!(world.agree_alive(&[1, 2]) && world.agree_alive(&[3, 4, 5]), "each side goes on");
    world.cut.clear();
    let took = world.time_until(30_000, |world| world.agree_alive(&[1, 2, 3, 4, 5]));
    assert!(took < 30_000);
    world.run(60_000);
    assert!(world.agree_alive(&[1, 2, 3, 4, 5]), "and stays together");
    assert!(!world.lattice_broken);
}

#[test]
fn a_split_of_all_from_all_heals_without_seeds() {
    let mut world = World::new(2, Bug::None);
    for node in 1..=4 {
        world.start(node);
    }
    world.run(20_000);
    for node in 1..=4 {
        world.split(&[node], &[1, 2, 3, 4]);
    }
    world.run(120_000);
    world.cut.clear();
    let took = world.time_until(60_000, |world| world.agree_alive(&[1, 2, 3, 4]));
    assert!(took < 60_000);
}

/// An old rumour that a dead node lives changes nothing.
pub(super) fn the_dead_stay_dead(bug: Bug) -> Result<(), &'static str> {
    let mut world = World::cluster(3, bug, 3);
    world.kill(2);
    world.run(20_000);
    assert!(world.all_see(2, Liveness::Dead), "its death is noticed");
    let late = Entry {
        node: NodeId(2),
        incarnation: 100,
        liveness: Liveness::Alive,
        address: address(2),
        fingerprint: 1,
        about: &[2; 20],
        accusers: Vec::new(),
        gone_seconds: 0,
    };
    let header = Header { cluster: ClusterId(7), node: NodeId(3), incarnation: 100 };
    let mut bytes = Vec::new();
    let mut writer = Writer::begin(&mut bytes, header, &Message::Entries);
    assert!(writer.entry(&mut bytes, &late), "one entry fits");
    writer.finish(&mut bytes);
    world.host(1).inbox.push((address(3), bytes));
    world.run(100);
    if world.lattice_broken || !world.sees(1, 2, Liveness::Dead) {
        return Err("a rumour brought it back");
    }
    Ok(())
}

#[test]
fn a_rumour_does_not_bring_back_the_dead() {
    the_dead_stay_dead(Bug::None).expect("the dead are remembered");
}

#[test]
fn the_dead_are_forgotten_by_all_in_the_end() {
    let mut world = World::new(4, Bug::None);
    world.timing.forget_after = Span::millis(120_000);
    for node in 1..=4 {
        world.start(node);
    }
    world.run(20_000);
    world.kill(2);
    world.run(60_000);
    assert!(world.all_see(2, Liveness::Dead));
    world.start(5);
    world.run(20_000);
    assert!(world.sees(5, 2, Liveness::Dead), "one who joins later is told");
    world.run(100_000);
    assert!([1, 3, 4, 5].iter().all(|&place| world.view(place, 2).is_none()), "all have forgotten");
    world.run(60_000);
    assert!([1, 3, 4, 5].iter().all(|&place| world.view(place, 2).is_none()), "for good");
    assert!(world.agree_alive(&[1, 3, 4, 5]));
}

#[test]
fn a_seed_that_is_named_later_is_knocked_at() {
    let mut world = World::new(7, Bug::None);
    for node in [1, 2] {
        world.start_as(node, config(node, &[]));
    }
    world.run(20_000);
    assert!(!world.agree_alive(&[1, 2]), "nobody has told them of each other");
    let now = world.now;
    let host = world.host(2);
    let time = Now { mono: now.plus(Span(1)), wall: WallTime(0) };
    let mut turn = host.cluster.turn(time, &mut host.out);
    turn.seed(address(2));
    turn.seed(address(1));
    turn.finish();
    host.wake_at = Some(now.plus(Span::millis(1)));
    world.run(20_000);
    assert!(world.agree_alive(&[1, 2]));
}
