//! All doors at once: whatever comes by one of them is what all others show, at every node, also while a node is killed.
#![cfg(not(madsim))]

use std::collections::BTreeMap;
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use driftless::proto::kv_client::KvClient;
use driftless::proto::{DeleteRequest, GetRequest, SetRequest};
use driftless_core::rng::{Chance, Seed};
use driftless_sim::check::search::{Verdict, search};
use driftless_sim::check::{Call, History, Kind, Moment, Reply};
use driftless_tests::cluster::{Cluster, PATIENCE, until};
use driftless_tests::http::Kept;
use serde_json::{Value, json};
use tokio::runtime::Runtime;
use tonic::transport::Channel;
use tonic::{Code, Status};
use xxhash_rust::xxh3::xxh3_128;

/// Operations of a run, unless the environment says another number by this name.
const OPERATIONS: u64 = 1_500;
const OPERATIONS_NAME: &str = "DRIFTLESS_TEST_OPERATIONS";
/// Few keys, so that many operations meet.
const KEYS: u64 = 25;
/// Who ask at the same time, and what they fight over while a node is killed.
const WORKERS: u64 = 8;
const DISPUTED: u64 = 4;
/// Steps of the search for an order of the operations on one key.
const MOST_STEPS: u64 = 20_000_000;

/// The doors there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Which {
    Redis,
    Lines,
    Http,
    Grpc,
}

const ALL: [Which; 4] = [Which::Redis, Which::Lines, Which::Http, Which::Grpc];

/// One way in, at one node.
enum Door {
    Redis(redis::Connection),
    Lines(BufReader<TcpStream>),
    Http(Kept),
    Grpc(KvClient<Channel>, Runtime),
}

/// Why something was not done, or may not have been.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Doubt {
    /// It was not.
    Refused,
    /// Nobody knows.
    Unknown,
}

impl From<io::Error> for Doubt {
    fn from(_: io::Error) -> Self {
        Self::Unknown
    }
}

impl From<redis::RedisError> for Doubt {
    fn from(error: redis::RedisError) -> Self {
        Self::of(error.code().unwrap_or_default())
    }
}

impl From<Status> for Doubt {
    fn from(status: Status) -> Self {
        // What does not come from the node has no code of its errors.
        if status.code() == Code::Unavailable { Self::of(status.message()) } else { Self::Unknown }
    }
}

impl Doubt {
    fn of(error: &str) -> Self {
        let surely = ["TRYAGAIN", "CLUSTERDOWN", "LOADING"].iter().any(|code| error.contains(code));
        if surely { Self::Refused } else { Self::Unknown }
    }
}

fn connect(address: SocketAddr) -> io::Result<BufReader<TcpStream>> {
    let stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    Ok(BufReader::new(stream))
}

/// Asks by a line.
fn line(lines: &mut BufReader<TcpStream>, asked: &Value) -> Result<Value, Doubt> {
    lines.get_mut().write_all(format!("{asked}\n").as_bytes())?;
    let mut answer = String::new();
    if lines.read_line(&mut answer)? == 0 {
        return Err(Doubt::Unknown);
    }
    let answer: Value = serde_json::from_str(&answer).expect("an answer is JSON");
    let message = answer["message"].as_str().unwrap_or_default();
    if answer["status"] == "error" && !message.contains("not found") {
        return Err(Doubt::of(message));
    }
    Ok(answer)
}

/// Asks by HTTP: the code and the body, which is JSON.
fn http(kept: &mut Kept, method: &str, path: &str, body: &str) -> Result<(u16, Value), Doubt> {
    let headers = [("content-type", "application/json")];
    let answer = kept.ask(method, path, &headers, body.as_bytes())?;
    match answer.status {
        503 => Err(Doubt::Refused),
        500.. => Err(Doubt::Unknown),
        code => Ok((code, serde_json::from_slice(&answer.body).unwrap_or(Value::Null))),
    }
}

/// Where the doors of a node are.
#[derive(Clone, Debug)]
struct Place {
    url: String,
    lines: SocketAddr,
    http: SocketAddr,
    grpc: SocketAddr,
}

fn places(cluster: &Cluster) -> Vec<Place> {
    let place = |at| Place {
        url: cluster.url(at),
        lines: cluster.lines_address(at),
        http: cluster.http_address(at),
        grpc: cluster.grpc_address(at),
    };
    (0..cluster.len()).map(place).collect()
}

impl Door {
    fn open(which: Which, place: &Place) -> Result<Self, Doubt> {
        Ok(match which {
            Which::Redis => {
                let client = redis::Client::open(place.url.as_str()).expect("an address");
                let connection = client.get_connection()?;
                connection.set_read_timeout(Some(PATIENCE))?;
                Self::Redis(connection)
            }
            Which::Lines => Self::Lines(connect(place.lines)?),
            Which::Http => Self::Http(Kept::connect(place.http)?),
            Which::Grpc => {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
                let address = format!("http://{}", place.grpc);
                let endpoint = Channel::from_shared(address).expect("an address");
                let channel = runtime.block_on(endpoint.connect()).map_err(|_| Doubt::Unknown)?;
                Self::Grpc(KvClient::new(channel), runtime)
            }
        })
    }

    fn set(&mut self, key: &str, value: &str) -> Result<(), Doubt> {
        match self {
            Self::Redis(redis) => Ok(redis::cmd("SET").arg(key).arg(value).exec(redis)?),
            Self::Lines(lines) => {
                line(lines, &json!({"command": "SET", "key": key, "value": value})).map(|_| ())
            }
            Self::Http(kept) => {
                let body = json!({"key": key, "value": value}).to_string();
                let (code, answer) = http(kept, "POST", "/put", &body)?;
                assert_eq!(code, 200, "{answer}");
                Ok(())
            }
            Self::Grpc(client, runtime) => {
                let asked =
                    SetRequest { key: key.into(), value: value.into(), ..SetRequest::default() };
                runtime.block_on(client.set(asked))?;
                Ok(())
            }
        }
    }

    fn get(&mut self, key: &str) -> Result<Option<String>, Doubt> {
        match self {
            Self::Redis(redis) => Ok(redis::cmd("GET").arg(key).query(redis)?),
            Self::Lines(lines) => {
                let answer = line(lines, &json!({"command": "GET", "key": key}))?;
                Ok(answer["value"].as_str().map(str::to_owned))
            }
            Self::Http(kept) => match http(kept, "GET", &format!("/get/{key}"), "")? {
                (404, _) => Ok(None),
                (200, answer) => Ok(answer["value"].as_str().map(str::to_owned)),
                other => panic!("{other:?}"),
            },
            Self::Grpc(client, runtime) => {
                let asked = runtime.block_on(client.get(GetRequest { key: key.into() }))?;
                let value = asked.into_inner().value;
                Ok(value.map(|value| String::from_utf8(value).expect("it is text")))
            }
        }
    }

    /// Whether it was there.
    fn delete(&mut self, key: &str) -> Result<bool, Doubt> {
        match self {
            Self::Redis(redis) => Ok(redis::cmd("DEL").arg(key).query(redis)?),
            Self::Lines(lines) => {
                let answer = line(lines, &json!({"command": "DELETE", "key": key}))?;
                Ok(answer["status"] == "success")
            }
            Self::Http(kept) => Ok(http(kept, "DELETE", &format!("/delete/{key}"), "")?.0 == 200),
            Self::Grpc(client, runtime) => {
                let keys = vec![key.into()];
                let asked = runtime.block_on(client.delete(DeleteRequest { keys }))?;
                Ok(asked.into_inner().deleted == 1)
            }
        }
    }
}

fn operations() -> u64 {
    let given = std::env::var(OPERATIONS_NAME).ok();
    given.map_or(OPERATIONS, |number| number.parse().expect("a number of operations"))
}

#[test]
fn what_comes_by_one_door_is_what_all_others_show() {
    let cluster = Cluster::start(3, &[]);
    let places = places(&cluster);
    let all = places.iter().flat_map(|place| ALL.map(|which| (which, place)));
    let open = |(which, place)| (which, Door::open(which, place).expect("the door is open"));
    let mut doors: Vec<_> = all.map(open).collect();
    let mut chance = Chance::new(Seed::from_number(3), 0);
    let mut model: BTreeMap<String, String> = BTreeMap::new();
    for number in 0..operations() {
        let at = chance.up_to(doors.len() as u64 - 1) as usize;
        let key = format!("key:{}", chance.up_to(KEYS - 1));
        let (which, door) = &mut doors[at];
        match chance.up_to(9) {
            0..4 => {
                // Some of them look like JSON.
                let shapes = [format!("value {number}"), number.to_string(), format!("[{number}]")];
                let value = &shapes[chance.up_to(2) as usize];
                // By HTTP a string stays a string only if it does not read as other JSON.
                let value = if *which == Which::Http { &shapes[0] } else { value };
                door.set(&key, value).expect("it is set");
                model.insert(key, value.clone());
            }
            4 => {
                let there = model.remove(&key).is_some();
                assert_eq!(door.delete(&key), Ok(there), "operation {number}: {key}");
            }
            _ => {
                let expected = model.get(&key);
                // JSON that is no string is shown as what it is.
                let odd = expected.is_some_and(|value| !value.starts_with("value"));
                if !(odd && *which == Which::Http) {
                    let found = door.get(&key).expect("it is asked");
                    assert_eq!(found.as_ref(), expected, "operation {number}: {key}");
                }
            }
        }
    }
    for number in 0..KEYS {
        let key = format!("key:{number}");
        for (_, door) in doors.iter_mut().filter(|(which, _)| *which != Which::Http) {
            let found = door.get(&key).expect("it is asked");
            assert_eq!(found.as_ref(), model.get(&key), "{key} at the end");
        }
    }
}

/// What all keys hold, as one number.
fn digest(cluster: &Cluster) -> (usize, u128) {
    let client = redis::Client::open(cluster.url(0)).expect("an address");
    let mut redis = client.get_connection().expect("the node takes connections");
    let mut keys: Vec<String> = redis::cmd("KEYS").arg("*").query(&mut redis).expect("it is asked");
    keys.sort_unstable();
    let mut bytes = Vec::new();
    for key in &keys {
        let value: Vec<u8> = redis::cmd("GET").arg(key).query(&mut redis).expect("it is asked");
        for part in [key.as_bytes(), &value] {
            bytes.extend_from_slice(&(part.len() as u64).to_le_bytes());
            bytes.extend_from_slice(part);
        }
    }
    (keys.len(), xxh3_128(&bytes))
}

/// The same operations as for any other door: each worker has keys of its own, and so an order of its own.
fn operate(which: Which, place: &Place, worker: u64, count: u64) {
    let mut door = Door::open(which, place).expect("the door is open");
    let mut chance = Chance::new(Seed::from_number(worker), 0);
    for number in 0..count {
        let key = format!("{worker}:{}", chance.up_to(KEYS - 1));
        match chance.up_to(9) {
            0..5 => door.set(&key, &format!("value {number}")).expect("it is set"),
            5 | 6 => _ = door.delete(&key).expect("it is asked"),
            _ => _ = door.get(&key).expect("it is asked"),
        }
    }
}

#[test]
fn the_same_operations_leave_the_same_state_by_whichever_door() {
    let count = operations() / WORKERS;
    let digests: Vec<_> = ALL
        .iter()
        .map(|&which| {
            let cluster = Cluster::start(3, &[]);
            let places = places(&cluster);
            std::thread::scope(|scope| {
                for worker in 0..WORKERS {
                    let place = &places[worker as usize % places.len()];
                    scope.spawn(move || operate(which, place, worker, count));
                }
            });
            digest(&cluster)
        })
        .collect();
    assert!(digests[0].0 > 0, "something is left");
    assert!(digests.iter().all(|digest| *digest == digests[0]), "{digests:?}");
}

/// What clients ask by all doors, and when.
struct Asked {
    begun: Instant,
    history: Mutex<History>,
    done: AtomicU64,
    tokens: AtomicU64,
}

impl Asked {
    fn now(&self) -> Moment {
        Moment(self.begun.elapsed().as_nanos() as u64)
    }

    /// Asks something of a disputed key, and notes it; whether the connection is still good.
    fn ask(&self, client: u32, door: &mut Door, chance: &mut Chance) -> bool {
        let key = format!("key:{}", chance.up_to(DISPUTED - 1));
        let kind = match chance.up_to(9) {
            0..4 => Kind::Set,
            4 => Kind::Delete,
            _ => Kind::Get,
        };
        let token = self.tokens.fetch_add(1, Ordering::Relaxed);
        let value = if kind == Kind::Set { format!("value {token}") } else { String::new() };
        let call = Call { kind, key: key.as_bytes(), argument: value.as_bytes(), number: 0 };
        let id = self.history.lock().expect("nobody panicked").invoked(self.now(), client, &call);
        let told = match kind {
            Kind::Set => door.set(&key, &value).map(|()| Reply::Ok),
            Kind::Delete => door.delete(&key).map(|there| Reply::Integer(there.into())),
            _ => door
                .get(&key)
                .map(|found| found.map_or(Reply::Nil, |value| Reply::Value(value.into_bytes()))),
        };
        let now = self.now();
        let mut history = self.history.lock().expect("nobody panicked");
        match told {
            Ok(reply) => {
                history.completed(now, id, reply);
                self.done.fetch_add(1, Ordering::Relaxed);
            }
            Err(Doubt::Refused) => history.completed(now, id, Reply::Refused),
            Err(Doubt::Unknown) => history.gone(id),
        }
        !history.operation(id).gone
    }

    /// Asks again and again, at another node whenever a connection is no good any more, until so much is answered.
    fn go_on(&self, worker: u64, places: &[Place], until: u64) {
        let mut chance = Chance::new(Seed::from_number(worker), 0);
        let which = ALL[worker as usize % ALL.len()];
        let mut at = worker as usize;
        while self.done.load(Ordering::Relaxed) < until {
            at += 1;
            let Ok(mut door) = Door::open(which, &places[at % places.len()]) else { continue };
            while self.done.load(Ordering::Relaxed) < until
                && self.ask(worker as u32, &mut door, &mut chance)
            {}
        }
    }

    fn until_done(&self, count: u64) {
        until("so much is answered", || (self.done.load(Ordering::Relaxed) >= count).then_some(()));
    }
}

#[test]
fn a_history_by_all_doors_has_an_order_though_a_node_is_killed() {
    let mut cluster = Cluster::start(3, &[]);
    let places = places(&cluster);
    let asked = Asked {
        begun: Instant::now(),
        history: Mutex::default(),
        done: AtomicU64::new(0),
        tokens: AtomicU64::new(0),
    };
    let count = operations();
    std::thread::scope(|scope| {
        for worker in 0..WORKERS {
            let (asked, places) = (&asked, &places);
            scope.spawn(move || asked.go_on(worker, places, count));
        }
        asked.until_done(count / 3);
        cluster.kill(1);
        asked.until_done(2 * count / 3);
        cluster.restart(1);
    });
    let history = asked.history.into_inner().expect("nobody panicked");
    let mut reads = 0;
    for (place, ids) in history.by_key().iter().enumerate() {
        let operations: Vec<_> = ids.iter().map(|id| history.operation(*id)).collect();
        reads += operations.iter().filter(|operation| operation.kind == Kind::Get).count();
        match search(&operations, MOST_STEPS) {
            Verdict::Explained(_) => {}
            Verdict::OutOfSteps => panic!("key {place}: nobody knows"),
            Verdict::Contradiction(at) => panic!("key {place}: {:?}", operations[at]),
        }
    }
    assert!(reads > 0, "what was written was read");
}
