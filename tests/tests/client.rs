//! The client library and three real processes: what it was told is so, whatever happens to them.
#![cfg(not(madsim))]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use driftless::proto::SetRequest;
use driftless::proto::kv_client::KvClient;
use driftless_client::{Batch, Client, Error, Outcome, Put, Retry, What};
use driftless_tests::cluster::{Cluster, PATIENCE};
use driftless_tests::http;
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::time::timeout;
use tonic::transport::Channel;

/// Tasks that write at the same time, and the keys of each.
const WRITERS: usize = 8;
const KEYS: u32 = 50;
/// Writes that are acknowledged before and after a node is killed.
const WRITES: usize = 400;

/// Runs what a test does, on a runtime of its own.
fn run(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime can be built").block_on(test);
}

/// Tries again for as long as an election may take on a busy machine.
fn patient() -> driftless_client::Builder {
    Client::builder().retry(Retry { times: 20, deadline: PATIENCE, ..Retry::default() })
}

/// A client that was told of one node, and has found the others.
async fn connect(cluster: &Cluster, at: usize) -> Client {
    let client = patient().connect([cluster.grpc_address(at).to_string()]).await;
    let client = client.expect("one node is enough");
    let found = async |client: &Client| {
        let status = client.status().await.expect("it is asked");
        status.nodes.len() == cluster.len()
    };
    while !found(&client).await {
        // The nodes have yet to hear of each other.
        a_moment().await;
    }
    client
}

async fn a_moment() {
    let _ = timeout(Duration::from_millis(20), std::future::pending::<()>()).await;
}

/// What was written to a key.
#[derive(Debug, Default)]
struct Written {
    acknowledged: Option<u32>,
    /// How many values were acknowledged.
    count: usize,
    /// Values that may be there, now or later.
    doubtful: Vec<u32>,
}

/// Writes one value after the other, and tells of each that was acknowledged, until nobody listens.
async fn write(client: Client, writer: usize, told: mpsc::Sender<()>) -> BTreeMap<String, Written> {
    let mut ledger: BTreeMap<String, Written> = BTreeMap::new();
    for value in 0.. {
        let key = format!("{writer}:{}", value % KEYS);
        let written = ledger.entry(key.clone()).or_default();
        match client.put(key, value.to_string()).await {
            Ok(()) => {
                written.acknowledged = Some(value);
                written.count += 1;
            }
            Err(Error::Unknown(_)) => written.doubtful.push(value),
            Err(Error::NotDone(_)) => continue,
            Err(other) => panic!("{other}"),
        }
        if told.send(()).await.is_err() {
            break;
        }
    }
    ledger
}

async fn progress(told: &mut mpsc::Receiver<()>) {
    for _ in 0..WRITES {
        let one = timeout(PATIENCE, told.recv()).await;
        one.expect("writes go on").expect("the writers live");
    }
}

#[test]
fn what_was_acknowledged_survives_a_kill_and_what_is_doubtful_is_said_to_be() {
    let mut cluster = Cluster::start(3, &[]);
    run(async {
        // Found through the node that is about to die.
        let client = connect(&cluster, 0).await;
        let (tell, mut told) = mpsc::channel(1);
        let writers: Vec<_> = (0..WRITERS)
            .map(|writer| tokio::spawn(write(client.clone(), writer, tell.clone())))
            .collect();
        drop(tell);
        progress(&mut told).await;
        cluster.kill(0);
        progress(&mut told).await;
        cluster.restart(0);
        progress(&mut told).await;
        drop(told);
        let (mut acknowledged, mut doubtful) = (0, 0);
        for writer in writers {
            for (key, written) in writer.await.expect("no writer panics") {
                let value = client.get(key.as_str()).await.expect("it can be read");
                let value: Option<u32> = value
                    .map(|value| String::from_utf8_lossy(&value).parse().expect("it is a number"));
                let is_doubtful = value.is_some_and(|value| written.doubtful.contains(&value));
                let right = value == written.acknowledged || is_doubtful;
                assert!(right, "{key} is {value:?}, and should be {written:?}");
                acknowledged += written.count;
                doubtful += written.doubtful.len();
            }
        }
        // Each writer waits for one answer at a time, and one node was killed.
        assert!(doubtful * 10 < acknowledged, "{doubtful} and {acknowledged}");
    });
}

/// Keys of a scan that no node can send in one go: nobody buffers so much.
const MANY: usize = 3_000;
const KEY_BYTES: usize = 3_000;

#[test]
fn a_scan_goes_on_when_the_node_that_tells_it_is_killed() {
    let mut cluster = Cluster::start(3, &[]);
    run(async {
        let opened: Arc<Mutex<Vec<String>>> = Arc::default();
        let log = opened.clone();
        let client = patient().connector(move |address: String| {
            log.lock().expect("nobody panics").push(address.clone());
            TcpStream::connect(address)
        });
        let client = client.connect([cluster.grpc_address(1).to_string()]).await;
        let client = client.expect("one node is enough to find all");
        let keys: BTreeSet<Vec<u8>> =
            (0..MANY).map(|number| format!("scan:{number:0KEY_BYTES$}").into_bytes()).collect();
        for some in keys.iter().collect::<Vec<_>>().chunks(200) {
            let batch = some.iter().fold(Batch::new(), |batch, key| batch.put(key.as_slice(), "x"));
            let outcomes = client.batch(batch).await.expect("it is asked");
            assert!(outcomes.iter().all(|outcome| *outcome == Ok(Outcome::Put(true))));
        }
        let before = opened.lock().expect("nobody panics").len();
        let mut scan = client.scan("scan:");
        let mut found = BTreeSet::new();
        found.insert(scan.next().await.expect("there are keys").expect("it goes well"));
        // A scan has a connection of its own: the last that was opened.
        let address = opened.lock().expect("nobody panics").last().cloned().expect("there is one");
        let mut nodes = 0..cluster.len();
        let at = nodes.find(|at| cluster.grpc_address(*at).to_string() == address);
        cluster.kill(at.expect("it is a node"));
        while let Some(key) = scan.next().await {
            found.insert(key.expect("another node goes on"));
        }
        assert!(found == keys, "{} of {} keys", found.len(), keys.len());
        let after = opened.lock().expect("nobody panics").len();
        assert!(after > before + 1, "another node went on: {before}, {after}");
    });
}

/// How many commands nodes had to pass on so far.
fn passed_on(cluster: &Cluster) -> u64 {
    let of = |at| {
        let page = http::get(cluster.http_address(at), "/metrics").body;
        let page = String::from_utf8(page).expect("it is text");
        let line = page.lines().find_map(|line| {
            line.strip_prefix("driftless_commands_forwarded_total ").map(str::to_owned)
        });
        line.expect("it is told").parse::<u64>().expect("it is a number")
    };
    (0..cluster.len()).map(of).sum()
}

/// Waits until every partition is led by the node that should.
async fn settled(client: &Client) {
    let settled = async {
        loop {
            let status = client.status().await.expect("it is asked");
            let mut partitions = status.partitions.iter();
            if partitions
                .all(|one| one.leader.is_some() && one.leader == one.replicas.first().copied())
            {
                return;
            }
            a_moment().await;
        }
    };
    timeout(PATIENCE, settled).await.expect("leaders are where they should be");
}

#[test]
fn commands_go_to_the_leader() {
    let cluster = Cluster::start(3, &[]);
    run(async {
        let client = connect(&cluster, 2).await;
        for at in 0..cluster.len() {
            settled(&connect(&cluster, at).await).await;
        }
        let before = passed_on(&cluster);
        let address = format!("http://{}", cluster.grpc_address(0));
        let channel = Channel::from_shared(address).expect("it is an address");
        let mut one = KvClient::new(channel.connect().await.expect("the door is open"));
        for number in 0..200 {
            let key = format!("route:{number}").into_bytes();
            let set = SetRequest { key, value: b"x".to_vec(), ..SetRequest::default() };
            one.set(set).await.expect("it is set");
        }
        let blind = passed_on(&cluster) - before;
        assert!(blind > 80, "one node leads a third, and passes on the rest: {blind}");
        // What it knows may be from before leaders had settled.
        client.status().await.expect("it is asked");
        let before = passed_on(&cluster);
        for number in 0..200 {
            client.put(format!("route:{number}"), "y").await.expect("it is set");
        }
        let keys = (0..200).map(|number| format!("route:{number}"));
        assert_eq!(client.delete_many(keys).await, Ok(200));
        let routed = passed_on(&cluster) - before;
        assert!(
            routed * 10 < blind,
            "{routed} commands were passed on, and {blind} of a blind client"
        );
    });
}

#[test]
fn each_method_does_what_it_says() {
    let cluster = Cluster::start(3, &["--password", "secret"]);
    run(async {
        let address = [cluster.grpc_address(0).to_string()];
        let nobody = Client::connect(address.clone()).await;
        assert!(matches!(nobody, Err(Error::NotAllowed(_))), "{nobody:?}");
        let wrong = Client::builder().password("wrong").connect(address.clone()).await;
        assert!(matches!(wrong, Err(Error::NotAllowed(_))), "{wrong:?}");
        let user = patient().user("default").password("secret").connect(address.clone()).await;
        user.expect("it is right").get("a").await.expect("it is asked");
        let client = patient().password("secret").connect(address).await.expect("it is right");

        let minute = Duration::from_mins(1);
        let present = Put::new().if_present().ttl(minute);
        assert_eq!(client.put_with("a", "1", present).await, Ok(false));
        assert_eq!(client.put("a", [0, 255]).await, Ok(()));
        assert_eq!(client.put_with("a", "2", present).await, Ok(true));
        assert_eq!(client.put_with("a", "3", Put::new().if_absent()).await, Ok(false));
        let entry = client.get_with_ttl("a").await.expect("it is asked").expect("it is there");
        assert_eq!(entry.value, b"2");
        assert!(entry.ttl.is_some_and(|ttl| ttl <= minute), "{entry:?}");
        assert_eq!(client.persist("a").await, Ok(true));
        assert_eq!(client.expire("b", minute).await, Ok(false));
        let endless = client.put_with("a", "4", Put::new().ttl(Duration::ZERO)).await;
        assert!(matches!(endless, Err(Error::Refused(_))), "{endless:?}");

        let batch = Batch::new().put("b", "1").expire("b", minute).persist("c").delete("a");
        let outcomes = client.batch(batch.get("a").expire("b", Duration::ZERO)).await;
        let outcomes = outcomes.expect("it is asked");
        let [put, expire, persist, delete, get, Err(Error::Refused(_))] = outcomes.as_slice()
        else {
            panic!("{outcomes:?}");
        };
        assert_eq!((put, expire), (&Ok(Outcome::Put(true)), &Ok(Outcome::ExpiryChanged(true))));
        assert_eq!(persist, &Ok(Outcome::ExpiryChanged(false)));
        assert_eq!((delete, get), (&Ok(Outcome::Deleted(true)), &Ok(Outcome::Got(None))));
        let status = client.status().await.expect("it is asked");
        assert_eq!((status.nodes.len(), status.partitions.len()), (3, 16));
    });
}

/// One counter goes up while the node that its changes are told by dies and comes back: each number is told once.
#[test]
fn a_watch_goes_on_at_another_node() {
    const LAST: u32 = 300;
    let mut cluster = Cluster::start(3, &[]);
    run(async {
        let client = connect(&cluster, 0).await;
        let mut changes = client.watch("counter").await.expect("it begins");
        let writer = tokio::spawn(async move {
            for value in 1..=LAST {
                // It is the only one that writes, so it may write again what may have been written.
                while client.put("counter", value.to_string()).await.is_err() {}
            }
        });
        let mut last = 0;
        while last < LAST {
            let change = timeout(PATIENCE, changes.next()).await.expect("changes are told");
            let change = change.expect("a watch does not end").expect("some node is there");
            let What::Set { value: Some(value), .. } = change.what else { panic!("{change:?}") };
            let value: u32 = String::from_utf8_lossy(&value).parse().expect("it is a number");
            assert!(value == last || value == last + 1, "{value} was told after {last}");
            if value == LAST / 3 && last < value {
                cluster.kill(0);
            }
            if value == 2 * LAST / 3 && last < value {
                cluster.restart(0);
            }
            last = value;
        }
        writer.await.expect("it writes to the end");
    });
}
