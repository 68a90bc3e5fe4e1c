//! Decoders outside of the protocol: answers that clients read, the greeting of two nodes, files that people
//! write.

use std::path::Path;

use driftless::link::Hello;
use driftless::settings::{Flags, Settings};
use driftless_core::bytes::checksum;
use driftless_core::resp::{Value, decode};
use driftless_core::{LaneId, NodeId};
use driftless_sim::scenario;

use crate::cargo::root;

/// Answers of a node to a client.
pub fn answers(bytes: &[u8]) {
    let mut rest = bytes;
    while let Ok(Some((value, used))) = decode(rest) {
        assert!((1..=rest.len()).contains(&used), "an answer takes some of the bytes there");
        let early = decode(&rest[..used - 1]);
        assert!(!matches!(early, Ok(Some(_))), "an answer is taken once all of it is there");
        walk(value);
        rest = &rest[used..];
    }
}

fn walk(value: Value<'_>) {
    match value {
        Value::Array(items) | Value::Map(items) | Value::Set(items) | Value::Push(items) => {
            items.for_each(walk);
        }
        Value::Simple(_)
        | Value::Error(_)
        | Value::Integer(_)
        | Value::Bulk(_)
        | Value::Null
        | Value::Boolean(_)
        | Value::Double(_)
        | Value::BigNumber(_)
        | Value::Verbatim(..) => {}
    }
}

pub(super) fn answers_samples() -> Vec<Vec<u8>> {
    [
        "+OK\r\n-ERR no\r\n:42\r\n$5\r\nhello\r\n$-1\r\n*-1\r\n",
        "*3\r\n:1\r\n*2\r\n+a\r\n$0\r\n\r\n_\r\n",
        "%2\r\n+k\r\n#t\r\n+l\r\n,1.5\r\n~1\r\n(12345678901234567890\r\n",
        "=7\r\ntxt:abc\r\n>2\r\n+message\r\n!3\r\nERR\r\n",
    ]
    .map(|text| text.as_bytes().to_vec())
    .to_vec()
}

/// What another node says first; with a checksum that fits, which damage never has.
pub fn greeting(bytes: &[u8]) {
    let _ = Hello::take(bytes);
    let said = &bytes[..bytes.len().saturating_sub(4)];
    let mut summed = said.to_vec();
    summed.extend_from_slice(&checksum(0, said).to_le_bytes());
    if let Ok(hello) = Hello::take(&summed) {
        let mut again = Vec::new();
        hello.put(&mut again);
        assert_eq!(again, summed, "there is one way to write a greeting");
    }
}

pub(super) fn greeting_samples() -> Vec<Vec<u8>> {
    let sample = |flags: &Flags| {
        let shared = Settings::check(flags).expect("these settings are right").shared;
        let hello = Hello {
            node: NodeId(2),
            lane: flags.total_nodes.is_some().then_some(LaneId(0)),
            instance: 7,
            address: "[::1]:16380".parse().expect("it is an address"),
            heard_at: "127.0.0.1:16381".parse().ok(),
            uptime_ms: 99,
            serving: true,
            shared,
        };
        let mut bytes = Vec::new();
        hello.put(&mut bytes);
        bytes
    };
    let zones = ["east", "west"].map(str::to_owned).to_vec();
    vec![
        sample(&Flags::default()),
        sample(&Flags { total_nodes: Some(2), zones: Some(zones), ..Flags::default() }),
    ]
}

/// A file of settings.
pub fn settings(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let read = Flags::from_toml(Path::new("settings.toml"), text);
    let checked = read.and_then(|flags| Settings::check(&flags));
    if let Err(error) = checked {
        let line = error.to_string();
        assert!(line.contains("setting"), "the error says where to look: {line}");
    }
}

pub(super) fn settings_samples() -> Vec<Vec<u8>> {
    [
        "node-num = 2\ntotal-nodes = 3\npeers = [\"a:16379\", \"[::1]:16380\"]\n",
        "partitions = 4\nengines = 2\nzones = [\"a\"]\nfsync = \"never\"\nbind = \"127.0.0.1\"\n",
        "heartbeat-ms = 50\nelection-timeout-ms = 450\nlease-ms = 400\ndrift-ppm = 1000\n",
        "bind = \"0.0.0.0\"\npassword = \"p\"\nlog = \"json\"\nport = 7000\ngossip-port = 7001\n",
    ]
    .map(|text| text.as_bytes().to_vec())
    .to_vec()
}

/// A story for the simulator.
pub fn stories(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Err(error) = scenario::check(text) {
        let lines = text.lines().count().max(1);
        assert!((1..=lines).contains(&error.line), "the error names a line that is there");
    }
}

pub(super) fn stories_samples() -> Vec<Vec<u8>> {
    let directory = std::fs::read_dir(root().join("scenarios")).expect("there are stories");
    let mut paths: Vec<_> = directory.map(|entry| entry.expect("it can be read").path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "scn"));
    paths.sort();
    paths.iter().map(|path| std::fs::read(path).expect("it can be read")).collect()
}
