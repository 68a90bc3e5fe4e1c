//! Three real processes, killed without warning: what was acknowledged is there afterwards.

use driftless_tests::cluster::Cluster;
use driftless_tests::info::connect;
use driftless_tests::load::{Ledgers, Load, Wrong};
use redis::Commands as _;

const WRITERS: usize = 4;

/// Runs `story` while four writers write, and returns what they were told.
fn under_load(cluster: &mut Cluster, story: impl FnOnce(&mut Cluster, &Load)) -> Ledgers {
    let urls: Vec<String> = (0..cluster.len()).map(|at| cluster.url(at)).collect();
    let load = Load::start(&urls, WRITERS, "k");
    story(cluster, &load);
    load.stop()
}

/// What was acknowledged is there through a node, and nothing newer or older.
fn all_there(url: &str, ledgers: &Ledgers) {
    assert!(ledgers.acknowledged() > 0, "something was written");
    assert_eq!(ledgers.compare(url), Wrong::default());
}

#[test]
fn every_node_serves_the_same_keys() {
    let cluster = Cluster::start(3, &[]);
    for at in 0..3 {
        let mut here = connect(&cluster.url(at)).expect("the node takes connections");
        for key in 0..50 {
            here.set::<_, _, ()>(format!("{at}:{key}"), key).expect("any node takes any key");
        }
        let mut there = connect(&cluster.url((at + 1) % 3)).expect("the node takes connections");
        for key in 0..50 {
            let value: u32 = there.get(format!("{at}:{key}")).expect("any node reads any key");
            assert_eq!(value, key, "a write is seen through every node once it is acknowledged");
        }
    }
}

#[test]
fn acknowledged_writes_survive_the_death_of_any_node() {
    let mut cluster = Cluster::start(3, &[]);
    let ledgers = under_load(&mut cluster, |cluster, load| {
        load.progress(200);
        for at in 0..3 {
            // Each node leads a third of the groups, so each death is that of a leader.
            cluster.kill(at);
            load.progress(200);
            cluster.restart(at);
            load.progress(200);
        }
    });
    for at in 0..3 {
        all_there(&cluster.url(at), &ledgers);
    }
}

#[test]
fn acknowledged_writes_survive_the_death_of_all_nodes() {
    let mut cluster = Cluster::start(3, &[]);
    let ledgers = under_load(&mut cluster, |cluster, load| {
        load.progress(500);
        (0..3).for_each(|at| cluster.kill(at));
        (0..3).for_each(|at| cluster.restart(at));
        load.progress(200);
    });
    (0..3).for_each(|at| cluster.kill(at));
    (0..3).for_each(|at| cluster.restart(at));
    all_there(&cluster.url(0), &ledgers);
}

#[test]
fn a_node_that_is_asked_to_stop_does_so_cleanly() {
    let mut cluster = Cluster::start(3, &[]);
    let ledgers = under_load(&mut cluster, |cluster, load| {
        load.progress(200);
        let code = cluster.stop(1);
        assert_eq!(code, Some(0), "a clean end:\n{}", cluster.log(1));
        load.progress(200);
    });
    all_there(&cluster.url(0), &ledgers);
}
