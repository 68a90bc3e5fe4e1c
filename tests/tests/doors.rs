//! All doors at once: whatever comes by one of them is what all others show, at every node.
#![cfg(not(madsim))]

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpStream;

use driftless::proto::kv_client::KvClient;
use driftless::proto::{DeleteRequest, GetRequest, SetRequest};
use driftless_core::rng::{Chance, Seed};
use driftless_tests::cluster::{Cluster, PATIENCE};
use driftless_tests::http::request;
use serde_json::{Value, json};
use tokio::runtime::Runtime;
use tonic::transport::Channel;

/// Operations of a run.
const OPERATIONS: u64 = 1_500;
/// Few keys, so that many operations meet.
const KEYS: u64 = 25;

/// One way in, at one node.
enum Door {
    Redis(redis::Connection),
    Lines(BufReader<TcpStream>),
    Http(std::net::SocketAddr),
    Grpc(KvClient<Channel>),
}

/// All of them, at all nodes.
fn doors(cluster: &Cluster, runtime: &Runtime) -> Vec<Door> {
    let mut doors = Vec::new();
    for at in 0..cluster.len() {
        let redis = redis::Client::open(cluster.url(at)).expect("the address is well formed");
        let redis = redis.get_connection().expect("the node takes connections");
        let lines = TcpStream::connect(cluster.lines_address(at)).expect("the door is open");
        lines.set_read_timeout(Some(PATIENCE)).expect("a timeout can be set");
        let grpc = Channel::from_shared(format!("http://{}", cluster.grpc_address(at)));
        let grpc = runtime.block_on(grpc.expect("it is an address").connect());
        doors.extend([
            Door::Redis(redis),
            Door::Lines(BufReader::new(lines)),
            Door::Http(cluster.http_address(at)),
            Door::Grpc(KvClient::new(grpc.expect("the door is open"))),
        ]);
    }
    doors
}

fn line(lines: &mut BufReader<TcpStream>, asked: &Value) -> Value {
    lines.get_mut().write_all(format!("{asked}\n").as_bytes()).expect("the node listens");
    let mut answer = String::new();
    lines.read_line(&mut answer).expect("the node answers in time");
    serde_json::from_str(&answer).expect("an answer is JSON")
}

impl Door {
    fn set(&mut self, runtime: &Runtime, key: &str, value: &str) {
        match self {
            Self::Redis(redis) => {
                redis::cmd("SET").arg(key).arg(value).exec(redis).expect("it is set");
            }
            Self::Lines(lines) => {
                let answer = line(lines, &json!({"command": "SET", "key": key, "value": value}));
                assert_eq!(answer["status"], "success", "{answer}");
            }
            Self::Http(address) => {
                let body = json!({"key": key, "value": value}).to_string();
                let head = [("content-type", "application/json")];
                let answer = request(*address, "POST", "/put", &head, body.as_bytes());
                assert_eq!(answer.status, 200, "{answer:?}");
            }
            Self::Grpc(client) => {
                let asked =
                    SetRequest { key: key.into(), value: value.into(), ..SetRequest::default() };
                runtime.block_on(client.set(asked)).expect("it is set");
            }
        }
    }

    fn get(&mut self, runtime: &Runtime, key: &str) -> Option<String> {
        match self {
            Self::Redis(redis) => redis::cmd("GET").arg(key).query(redis).expect("it is asked"),
            Self::Lines(lines) => {
                let answer = line(lines, &json!({"command": "GET", "key": key}));
                answer["value"].as_str().map(str::to_owned)
            }
            Self::Http(address) => {
                let answer = request(*address, "GET", &format!("/get/{key}"), &[], b"");
                match answer.status {
                    200 => answer.json()["value"].as_str().map(str::to_owned),
                    404 => None,
                    _ => panic!("{answer:?}"),
                }
            }
            Self::Grpc(client) => {
                let asked = runtime.block_on(client.get(GetRequest { key: key.into() }));
                let value = asked.expect("it is asked").into_inner().value;
                value.map(|value| String::from_utf8(value).expect("it is text"))
            }
        }
    }

    /// Whether it was there.
    fn delete(&mut self, runtime: &Runtime, key: &str) -> bool {
        match self {
            Self::Redis(redis) => redis::cmd("DEL").arg(key).query(redis).expect("it is asked"),
            Self::Lines(lines) => {
                let answer = line(lines, &json!({"command": "DELETE", "key": key}));
                answer["status"] == "success"
            }
            Self::Http(address) => {
                let path = format!("/delete/{key}");
                request(*address, "DELETE", &path, &[], b"").status == 200
            }
            Self::Grpc(client) => {
                let keys = vec![key.into()];
                let asked = runtime.block_on(client.delete(DeleteRequest { keys }));
                asked.expect("it is asked").into_inner().deleted == 1
            }
        }
    }
}

#[test]
fn what_comes_by_one_door_is_what_all_others_show() {
    let cluster = Cluster::start(3, &[]);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.expect("a runtime can be built");
    let mut doors = doors(&cluster, &runtime);
    let mut chance = Chance::new(Seed::from_number(3), 0);
    let mut model: BTreeMap<String, String> = BTreeMap::new();
    for number in 0..OPERATIONS {
        let at = chance.up_to(doors.len() as u64 - 1) as usize;
        let key = format!("key:{}", chance.up_to(KEYS - 1));
        let door = &mut doors[at];
        match chance.up_to(9) {
            0..4 => {
                // Some of them look like JSON.
                let shapes = [format!("value {number}"), number.to_string(), format!("[{number}]")];
                let value = &shapes[chance.up_to(2) as usize];
                // By HTTP a string stays a string only if it does not read as other JSON.
                let value = if matches!(door, Door::Http(_)) { &shapes[0] } else { value };
                door.set(&runtime, &key, value);
                model.insert(key, value.clone());
            }
            4 => {
                let there = model.remove(&key).is_some();
                assert_eq!(door.delete(&runtime, &key), there, "operation {number}: {key}");
            }
            _ => {
                let expected = model.get(&key);
                // JSON that is no string is shown as what it is.
                let odd = expected.is_some_and(|value| !value.starts_with("value"));
                if !(odd && matches!(door, Door::Http(_))) {
                    let found = door.get(&runtime, &key);
                    assert_eq!(found.as_ref(), expected, "operation {number}: {key}");
                }
            }
        }
    }
    for number in 0..KEYS {
        let key = format!("key:{number}");
        for door in doors.iter_mut().filter(|door| !matches!(door, Door::Http(_))) {
            assert_eq!(door.get(&runtime, &key).as_ref(), model.get(&key), "{key} at the end");
        }
    }
}
