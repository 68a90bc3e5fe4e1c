//! What a node refuses to start with: one line that names it, a bad exit code, and nothing left behind.
#![cfg(not(madsim))]

use std::fs::{self, File};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn free_port() -> u16 {
    driftless::ports::free_port().expect("the machine has free ports")
}

/// A directory that is gone after the test.
struct Place(PathBuf);

impl Place {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("driftless-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir(&path).unwrap();
        Self(path)
    }

    fn data(&self) -> PathBuf {
        self.0.join("deep/node1")
    }

    fn is_untouched(&self) -> bool {
        fs::read_dir(&self.0).unwrap().next().is_none()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn serve(data: &Path, flags: &[&str], variables: &[(&str, &str)]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_driftless"));
    command.env_clear().arg("serve").arg("--data-dir").arg(data).args(flags);
    for door in
        ["DRIFTLESS_CLUSTER_PORT", "DRIFTLESS_LINES_PORT", "DRIFTLESS_HTTP_PORT", "GRPC_PORT"]
    {
        command.env(door, "0");
    }
    command.envs(variables.iter().copied()).output().unwrap()
}

/// The line that a refused node says.
fn refusal(output: &Output) -> String {
    assert!(!output.status.success(), "it should be refused");
    let said = String::from_utf8(output.stderr.clone()).unwrap();
    assert_eq!(said.lines().count(), 1, "one line: {said}");
    said.trim().to_owned()
}

#[test]
fn a_wrong_setting_is_named_and_nothing_is_created() {
    let place = Place::new("wrong");
    let cases: [(&[&str], &str); 4] = [
        (&["--replication-factor", "2"], "driftless: setting replication-factor: 2 copies"),
        (&["--node-num", "0"], "driftless: setting node-num: 0 is not a number from 1"),
        (&["--bind", "0.0.0.0"], "driftless: setting bind: 0.0.0.0 can be reached"),
        (&["--config", "/nowhere.toml"], "driftless: settings file /nowhere.toml: "),
    ];
    for (flags, begins) in cases {
        let line = refusal(&serve(&place.data(), flags, &[]));
        assert!(line.starts_with(begins), "{line}");
        assert!(place.is_untouched(), "{begins} left something");
    }
}

#[test]
fn a_port_in_use_is_named_and_nothing_is_created() {
    let place = Place::new("port");
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = taken.local_addr().unwrap().port().to_string();
    let free = free_port().to_string();
    let cases = [("port", [&taken, &free]), ("gossip-port", [&free, &taken])];
    for (name, [port, gossip]) in cases {
        let line = refusal(&serve(&place.data(), &["--port", port, "--gossip-port", gossip], &[]));
        assert!(
            line.starts_with(&format!(
                "driftless: setting {name}: cannot listen on 127.0.0.1:{taken}"
            )),
            "{line}"
        );
        assert!(place.is_untouched());
    }
}

#[test]
fn a_directory_that_another_process_holds_is_refused() {
    let place = Place::new("locked");
    fs::create_dir_all(place.data()).unwrap();
    let lock = File::create(place.data().join("lock")).unwrap();
    lock.lock().unwrap();
    let line = refusal(&serve(&place.data(), &[], &[]));
    assert!(line.contains("another process uses it"), "{line}");
}

#[test]
fn a_directory_of_another_node_is_refused() {
    let place = Place::new("foreign");
    fs::create_dir_all(place.data()).unwrap();
    let identity = "format = 1\ncluster = \"driftless\"\nnode = 2\nengines = 1\npartitions = 16\n";
    fs::write(place.data().join("node.toml"), identity).unwrap();
    let line = refusal(&serve(&place.data(), &[], &[]));
    assert!(line.ends_with("it was made for node 2, this node has node 1"), "{line}");
}

#[test]
fn a_directory_that_cannot_be_made_is_named() {
    let place = Place::new("file");
    fs::write(place.0.join("deep"), "a file, not a directory").unwrap();
    let port = free_port().to_string();
    let gossip = free_port().to_string();
    let line = refusal(&serve(&place.data(), &["--port", &port, "--gossip-port", &gossip], &[]));
    assert!(line.starts_with("driftless: data directory "), "{line}");
}

#[test]
fn a_flag_beats_a_variable_and_a_variable_beats_the_file() {
    let place = Place::new("order");
    let file = place.0.join("settings.toml");
    fs::write(&file, "total-nodes = 5\npartitions = 4\nnode-num = 1\ncluster = \"file\"\n")
        .unwrap();
    let flags = ["--check", "--node-num", "3", "--config", file.to_str().unwrap()];
    let variables = [
        ("NODE_NUM", "2"),
        ("PEERS", "a:1,b:2"),
        ("TOTAL_NODES", "7"),
        ("REPLICATION_FACTOR", "2"),
        ("GOSSIP_PORT", "19000"),
        ("GRPC_PORT", "19001"),
    ];
    let output = serve(&place.data(), &flags, &variables);
    assert!(output.status.success());
    let said = String::from_utf8(output.stdout).unwrap();
    let expected = [
        "node-num = 3",
        "total-nodes = 7",
        "partitions = 4",
        "cluster = file",
        "replication-factor = 2",
        "peers = a:1,b:2",
        "gossip-port = 19000",
        "port = 6381",
    ];
    for line in expected {
        assert!(said.lines().any(|said| said == line), "{line} is not in\n{said}");
    }
}
