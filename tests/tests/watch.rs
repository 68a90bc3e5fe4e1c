//! Watching keys: every change, each once, in order, at whichever node, also over the death of the one that told.
#![cfg(not(madsim))]

use std::collections::BTreeMap;
use std::time::Duration;

use driftless::proto::change::Kind;
use driftless::proto::kv_client::KvClient;
use driftless::proto::watch_request::Keys;
use driftless::proto::{Change, Place, WatchRequest, WatchResponse};
use driftless_tests::cluster::{Cluster, PATIENCE};
use redis::Connection;
use tonic::transport::Channel;
use tonic::{Code, Status, Streaming};

/// Runs what a test does, on a runtime of its own.
fn run(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime can be built").block_on(test);
}

/// Where a watch is in each partition.
type Places = BTreeMap<u32, u64>;

/// A watch, and up to where it has been told.
struct Watching {
    stream: Streaming<WatchResponse>,
    places: Places,
    /// What came with the response that says where it begins.
    early: Vec<Change>,
}

impl Watching {
    /// Watches at a node; returns once it has said where it begins.
    async fn begin(
        cluster: &Cluster,
        at: usize,
        keys: Keys,
        after: &Places,
    ) -> Result<Self, Status> {
        let address = format!("http://{}", cluster.grpc_address(at));
        let channel = Channel::from_shared(address).expect("it is an address").connect().await;
        let after = after.iter();
        let after = after.map(|(partition, index)| Place { partition: *partition, index: *index });
        let asked = WatchRequest { keys: Some(keys), after: after.collect() };
        let mut client = KvClient::new(channel.expect("the door is open"));
        let mut stream = client.watch(asked).await?.into_inner();
        let first = stream.message().await?.expect("it begins by saying where it is");
        let mut watching = Self { stream, places: Places::new(), early: Vec::new() };
        watching.early = watching.note(first);
        Ok(watching)
    }

    fn note(&mut self, response: WatchResponse) -> Vec<Change> {
        for place in response.places {
            let before = self.places.insert(place.partition, place.index);
            assert!(before.is_none_or(|before| before < place.index), "places never go back");
        }
        response.changes
    }

    /// The next changes; several of one partition may come at once.
    async fn next(&mut self) -> Vec<Change> {
        let mut changes = std::mem::take(&mut self.early);
        while changes.is_empty() {
            let response = tokio::time::timeout(PATIENCE, self.stream.message()).await;
            let response = response.expect("changes are told").expect("the node is there");
            changes = self.note(response.expect("it does not end by itself"));
        }
        changes
    }

    /// So many changes.
    async fn take(&mut self, count: usize) -> Vec<Change> {
        let mut taken = Vec::new();
        while taken.len() < count {
            taken.extend(self.next().await);
        }
        taken
    }
}

fn connection(cluster: &Cluster, at: usize) -> Connection {
    let client = redis::Client::open(cluster.url(at)).expect("the address is well formed");
    client.get_connection().expect("the node takes connections")
}

fn send(connection: &mut Connection, command: &str) -> redis::Value {
    let mut words = command.split(' ');
    let mut asked = redis::cmd(words.next().expect("a command has a name"));
    words.for_each(|word| {
        asked.arg(word);
    });
    asked.query(connection).unwrap_or_else(|error| panic!("{command}: {error}"))
}

/// A change in a few words.
fn told(change: &Change) -> String {
    let key = String::from_utf8_lossy(&change.key);
    let value = change.value.as_deref().map(String::from_utf8_lossy).unwrap_or_default();
    let ends = if change.ends_at_ms.is_some() { " ends" } else { "" };
    format!("{key} {:?} {value}{ends}", change.kind()).replace("  ", " ").trim().to_owned()
}

const COMMANDS: [&str; 12] = [
    "SET {w}a 1",
    "INCR {w}a",
    "APPEND {w}a 5",
    "SET {other}a 1",
    "EXPIRE {w}a 1000",
    "PERSIST {w}a",
    "SET {w}a x NX",
    "MSET {w}b 1 {w}c 2",
    "DEL {w}a {w}none",
    "RENAME {w}b {w}d",
    "PSETEX {w}c 30 gone",
    "GET {w}a",
];

const TOLD: [&str; 12] = [
    "{w}a Set 1",
    "{w}a Set 2",
    "{w}a Set 25",
    "{w}a Expiry ends",
    "{w}a Expiry",
    "{w}b Set 1",
    "{w}c Set 2",
    "{w}a Removed",
    "{w}d Set 1",
    "{w}b Removed",
    "{w}c Set gone ends",
    "{w}c Expired",
];

#[test]
fn every_change_is_told_in_order_and_again_from_any_place() {
    let cluster = Cluster::start(3, &[]);
    let mut redis = connection(&cluster, 0);
    run(async {
        let keys = || Keys::Prefix(b"{w}".to_vec());
        send(&mut redis, "SET {w}before 1");
        let mut all =
            Watching::begin(&cluster, 1, keys(), &Places::new()).await.expect("it begins");
        let one = Keys::Key(b"{w}c".to_vec());
        let mut one = Watching::begin(&cluster, 2, one, &Places::new()).await.expect("it begins");
        let begun = all.places.clone();
        assert_eq!(begun.len(), 1, "keys of one hash tag are in one partition");
        for command in COMMANDS {
            send(&mut redis, command);
        }
        let changes = all.take(TOLD.len()).await;
        assert_eq!(changes.iter().map(told).collect::<Vec<_>>(), TOLD);
        let own: Vec<_> = one.take(3).await.iter().map(told).collect();
        assert_eq!(own, ["{w}c Set 2", "{w}c Set gone ends", "{w}c Expired"]);

        // From any moment on the rest is told once more, by any node.
        let mut from = begun.clone();
        from.insert(changes[4].partition, changes[4].index);
        for at in 0..3 {
            let mut again = Watching::begin(&cluster, at, keys(), &from).await.expect("it begins");
            send(&mut redis, "SET {w}last 1");
            let (rest, mut last) = (&changes[5..], Vec::new());
            while last.last().is_none_or(|change: &Change| change.key != b"{w}last") {
                last.extend(again.next().await);
            }
            assert_eq!(&last[..rest.len()], rest);
            send(&mut redis, "DEL {w}last");
        }
        send(&mut redis, "FLUSHALL");
        while all.next().await.iter().all(|one| one.kind() != Kind::Cleared) {}
    });
}

#[test]
fn a_place_that_is_forgotten_and_a_partition_that_is_not_watched_are_refused() {
    let cluster = Cluster::start(1, &[]);
    let mut redis = connection(&cluster, 0);
    run(async {
        let refused = async |key: &[u8], partition, index| {
            let after = Places::from([(partition, index)]);
            let begun = Watching::begin(&cluster, 0, Keys::Key(key.to_vec()), &after).await;
            begun.err().map(|status| status.code())
        };
        send(&mut redis, "SET a 1");
        let (own, other) = (partition_of("a"), partition_of("a") % 16 + 1);
        assert_eq!(refused(b"a", own, 1).await, Some(Code::OutOfRange), "nobody remembers that");
        assert_eq!(refused(b"a", other, 1 << 20).await, Some(Code::InvalidArgument));
        assert_eq!(refused(b"a", 99, 1 << 20).await, Some(Code::InvalidArgument));
    });
}

/// The partition of a key, of 16.
fn partition_of(key: &str) -> u32 {
    u32::from(driftless_core::placement::slot_of(key.as_bytes())) * 16 / 16_384 + 1
}

/// Counters go up by one a write, each by a writer of its own, while nodes die and come back. Whoever watches and
/// goes on elsewhere when its node dies sees every number once, in order.
#[test]
fn a_watch_goes_on_at_another_node_without_loss_or_repeats() {
    const WRITES: u64 = 1_500;
    let mut cluster = Cluster::start(3, &[]);
    run(async {
        let keys = || Keys::Prefix(b"n:".to_vec());
        let first = Watching::begin(&cluster, 0, keys(), &Places::new()).await.expect("it begins");
        let places = first.places.clone();
        assert_eq!(places.len(), 16, "all partitions are watched");
        drop(first);
        let address = cluster.url(1);
        let writer = std::thread::spawn(move || count_up(&address, WRITES));
        let mut seen: BTreeMap<Vec<u8>, u64> = BTreeMap::new();
        let places = follow(&cluster, 0, &places, &mut seen, WRITES / 3).await;
        cluster.kill(0);
        let places = follow(&cluster, 1, &places, &mut seen, 2 * WRITES / 3).await;
        cluster.restart(0);
        follow(&cluster, 0, &places, &mut seen, WRITES).await;
        writer.join().expect("it writes to the end");
        assert_eq!(seen.values().sum::<u64>(), WRITES);
    });
}

/// Adds one to one of ten counters after the other, at whichever of the nodes answers.
fn count_up(address: &str, writes: u64) {
    let client = redis::Client::open(address).expect("the address is well formed");
    let mut redis = client.get_connection().expect("the node takes connections");
    for number in 0..writes {
        let key = format!("n:{}", number % 10);
        let wanted = number / 10 + 1;
        loop {
            match redis::cmd("INCR").arg(&key).query::<u64>(&mut redis) {
                Ok(value) => break assert_eq!(value, wanted),
                // What is refused was not done.
                Err(error) => assert!(error.to_string().contains("TRYAGAIN"), "{error}"),
            }
            std::thread::park_timeout(Duration::from_millis(5));
        }
    }
}

/// Watches at one node until so many changes were seen in all; returns from where to go on.
async fn follow(
    cluster: &Cluster,
    at: usize,
    places: &Places,
    seen: &mut BTreeMap<Vec<u8>, u64>,
    until: u64,
) -> Places {
    let keys = Keys::Prefix(b"n:".to_vec());
    let begun = Watching::begin(cluster, at, keys, places).await;
    let mut watching = begun.expect("the places are remembered");
    while seen.values().sum::<u64>() < until {
        for change in watching.next().await {
            let value = change.value.as_deref().and_then(|value| std::str::from_utf8(value).ok());
            let value: u64 = value.and_then(|value| value.parse().ok()).expect("it counts");
            let before = seen.insert(change.key, value).unwrap_or_default();
            assert_eq!(value, before + 1, "nothing is left out and nothing told twice");
        }
    }
    watching.places
}
