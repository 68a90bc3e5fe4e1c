//! Clients that go to the leaders of keys themselves, and those that are content with what replicas know, against three
//! real nodes.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use driftless_tests::cluster::{Cluster, until};
use driftless_tests::http::get;
use driftless_tests::info::connect;
use redis::Commands as _;
use redis::cluster::ClusterClient;
use redis::{Connection, RedisResult, cmd};

fn open(address: SocketAddr) -> Connection {
    connect(&format!("redis://{address}/")).expect("the node takes connections")
}

fn clients(cluster: &Cluster) -> ClusterClient {
    let all = (0..cluster.len()).map(|at| format!("redis://{}/", cluster.cluster_address(at)));
    ClusterClient::new(all.collect::<Vec<_>>()).expect("these are addresses")
}

/// Leaders of slots as a node tells them: first and last slot, and the leader's port.
fn slots(at: SocketAddr) -> Vec<(u16, u16, u16)> {
    type Leader = (String, u16, String, Vec<String>);
    let ranges: Vec<(u16, u16, Leader)> =
        cmd("CLUSTER").arg("SLOTS").query(&mut open(at)).expect("it tells its clients");
    ranges.into_iter().map(|(first, last, (_, port, ..))| (first, last, port)).collect()
}

/// What a counter of a node has come to.
fn counted(cluster: &Cluster, at: usize, name: &str) -> u64 {
    let page = get(cluster.http_address(at), "/metrics").body;
    let page = String::from_utf8(page).expect("a page of text");
    let line = page.lines().find_map(|line| line.strip_prefix(name)).expect("it is counted");
    line.trim().parse().expect("a counter is a number")
}

#[test]
fn an_unmodified_cluster_client_is_served_by_the_leaders_and_through_their_deaths() {
    let mut cluster = Cluster::start(3, &[]);
    let ports: BTreeSet<u16> = (0..3).map(|at| cluster.cluster_address(at).port()).collect();
    // Each node leads a third of the partitions before long, and all of them know.
    until("all nodes tell of the same leaders", || {
        let told: Vec<_> = (0..3).map(|at| slots(cluster.cluster_address(at))).collect();
        let leaders: BTreeSet<u16> = told[0].iter().map(|(.., port)| *port).collect();
        (told.iter().all(|other| *other == told[0]) && leaders == ports).then_some(())
    });
    let client = clients(&cluster);
    let mut connection = client.get_connection().expect("it finds its way");
    for key in 0..200 {
        connection.set::<_, _, ()>(format!("key{key}"), key).expect("its leader takes it");
    }
    // Some partitions may still be handed to whoever should lead them, and cost one answer each.
    let moved = (0..3).map(|at| counted(&cluster, at, "driftless_commands_moved_total "));
    assert!(moved.sum::<u64>() <= 16, "each went where it belonged");
    for key in 0..200 {
        let there: u32 = open(cluster.address(key % 3)).get(format!("key{key}")).expect("a read");
        assert_eq!(there as usize, key, "both doors show the same");
    }
    until("each node tells its part, and together they are the whole", || {
        let size = |at| cmd("DBSIZE").query(&mut open(cluster.cluster_address(at)));
        let sizes: Vec<u64> = (0..3).map(|at| size(at).expect("a number")).collect();
        (sizes.iter().sum::<u64>() == 200).then_some(())
    });
    for at in 0..3 {
        cluster.kill(at);
        for key in 0..30 {
            // This client asks anew where leaders are when it is sent away or opened, not when one is dead.
            until("the counter is moved", || {
                let added = connection.incr::<_, _, u64>(format!("count{key}"), 1);
                if added.is_err()
                    && let Ok(another) = client.get_connection()
                {
                    connection = another;
                }
                added.ok()
            });
        }
        cluster.restart(at);
    }
    for key in 0..30 {
        let count: u64 = open(cluster.address(0)).get(format!("count{key}")).expect("a read");
        // Whose connection broke does not know, and adds again.
        assert!((3..10).contains(&count), "count{key} is {count}");
    }
}

#[test]
fn a_client_is_told_where_to_go() {
    let cluster = Cluster::start(3, &[]);
    let mut away = BTreeSet::new();
    for key in ["a", "b", "c", "d", "e", "f", "g", "h"] {
        // A leader may be replaced by one that was asked just before.
        until("somebody takes it, and who does not says where to go", || {
            let answers = (0..3).map(|at| {
                let mut here = open(cluster.cluster_address(at));
                cmd("SET").arg(key).arg("1").query::<String>(&mut here)
            });
            let refused: Vec<_> = answers.filter_map(Result::err).collect();
            for error in &refused {
                let (address, _) = error.redirect_node().expect("it says where to go");
                away.insert(address.to_owned());
            }
            (refused.len() < 3).then_some(())
        });
    }
    let known = (0..3).map(|at| cluster.cluster_address(at).to_string()).collect();
    assert!(away.is_subset(&known) && !away.is_empty(), "{away:?}");
    // At the other door everything is served, and there is no cluster.
    let mut here = open(cluster.address(0));
    let said: RedisResult<Vec<String>> = cmd("CLUSTER").arg("SLOTS").query(&mut here);
    assert!(said.expect_err("there is none").to_string().contains("cluster support disabled"));
}

#[test]
fn a_readonly_client_is_served_by_a_replica_as_long_as_it_is_young_enough() {
    let mut cluster = Cluster::start(3, &["--partitions", "1", "--max-staleness-ms", "1500"]);
    open(cluster.address(0)).set::<_, _, ()>("k", "old").expect("any node takes it");
    // At either door: what it finds is not asked of the leader each time.
    let doors = [cluster.address(0), cluster.cluster_address(1), cluster.address(2)];
    let mut readers = doors.map(open);
    for reader in &mut readers {
        cmd("READONLY").exec(reader).expect("it is agreed");
    }
    until("two nodes have answered without their leader", || {
        for reader in &mut readers {
            // In cluster mode the first one is sent to the leader.
            let value: RedisResult<String> = reader.get("k");
            assert!(value.as_ref().map_or(true, |value| value == "old"), "{value:?}");
        }
        let counts = (0..3).map(|at| counted(&cluster, at, "driftless_stale_reads_total "));
        (counts.filter(|count| *count >= 20).count() >= 2).then_some(())
    });
    let info: String =
        cmd("INFO").arg("replication").query(&mut readers[0]).expect("a text, not an error");
    assert!(info.contains("driftless_max_staleness_ms:1500"), "the bound is said: {info}");
    // Without the other two, nothing that is too old is told: at last nobody answers.
    cluster.kill(1);
    cluster.kill(2);
    let alone_since = Instant::now();
    let refused = until("it falls silent", || readers[0].get::<_, String>("k").err());
    assert_eq!(refused.code(), Some("CLUSTERDOWN"));
    assert!(alone_since.elapsed() > Duration::from_secs(5), "it has waited for a leader");
}
