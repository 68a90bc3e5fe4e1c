//! The shell of the node in the simulated network of madsim: listeners, framing, reconnects, timers, shutdown,
//! hand-off; on disks that lose what was not synced when their node is killed. Clients check what they were
//! told.
//!
//! Runs with `cargo madsim`. `MADSIM_TEST_NUM=100` tries so many seeds, `MADSIM_TEST_SEED=7` a certain one.
#![cfg(madsim)]

mod client;
mod disk;
mod world;

use std::time::Duration;

use client::Client;
use world::{Load, World, client_node, pass};

const SECOND: Duration = Duration::from_secs(1);

#[madsim::test]
async fn every_node_answers_for_every_key() {
    let world = World::start(3).await;
    let addresses = world.addresses();
    let visitor = async move {
        for (node, &address) in addresses.iter().enumerate() {
            let mut client = Client::patient(address).await;
            client.set(&format!("from{node}"), "here").await.expect("all nodes are up");
        }
        for (node, &address) in addresses.iter().enumerate() {
            let mut client = Client::patient(address).await;
            for from in 0..addresses.len() {
                let value = client.get(&format!("from{from}")).await.expect("all nodes are up");
                assert_eq!(value.as_deref(), Some("here"), "written at {from}, read at {node}");
            }
        }
    };
    client_node("visitor", 40).spawn(visitor).await.expect("the visitor leaves");
}

#[madsim::test]
async fn acknowledged_writes_survive_the_kill_of_a_node() {
    let world = World::start(3).await;
    let load = Load::start(&world);
    pass(2 * SECOND).await;
    world.kill(1);
    pass(3 * SECOND).await;
    world.restart(1);
    pass(3 * SECOND).await;
    let told = load.stop().await;
    told.check(&world).await;
}

#[madsim::test]
async fn acknowledged_writes_survive_a_power_cut_of_all_nodes() {
    let world = World::start(3).await;
    let load = Load::start(&world);
    pass(2 * SECOND).await;
    for node in 1..=3 {
        world.kill(node);
    }
    pass(SECOND).await;
    for node in 1..=3 {
        world.restart(node);
    }
    pass(3 * SECOND).await;
    let told = load.stop().await;
    told.check(&world).await;
}

#[madsim::test]
async fn a_node_that_was_cut_off_catches_up() {
    let world = World::start(3).await;
    let load = Load::start(&world);
    pass(SECOND).await;
    world.cut_off(2);
    pass(5 * SECOND).await;
    world.rejoin(2);
    pass(15 * SECOND).await;
    let told = load.stop().await;
    told.check(&world).await;
}

#[madsim::test]
async fn a_link_clogged_one_way_stops_nobody() {
    let world = World::start(3).await;
    let load = Load::start(&world);
    pass(SECOND).await;
    world.clog(1, 3);
    pass(4 * SECOND).await;
    let before = load.acknowledged();
    pass(4 * SECOND).await;
    assert!(load.acknowledged() > before, "writes go on over the other links");
    world.unclog(1, 3);
    pass(15 * SECOND).await;
    let told = load.stop().await;
    told.check(&world).await;
}

#[madsim::test]
async fn a_node_that_is_asked_to_stop_loses_nothing() {
    let world = World::start(3).await;
    let load = Load::start(&world);
    pass(2 * SECOND).await;
    world.ask_to_stop(3);
    pass(5 * SECOND).await;
    assert_eq!(world.ending(3).as_deref(), Some("stopped"), "it ends by itself, and well");
    world.kill(3);
    world.restart(3);
    pass(3 * SECOND).await;
    let told = load.stop().await;
    told.check(&world).await;
}
