//! The interactive client, fed by a pipe.

use std::io::Write as _;
use std::process::{Command, Stdio};

use driftless_tests::cluster::{Cluster, binary};

/// What the client says to these lines, and whether all of them were done.
fn session(arguments: &[&str], lines: &str) -> (String, bool) {
    let mut client = Command::new(binary())
        .arg("cli")
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the client starts");
    let mut input = client.stdin.take().expect("it was asked to be piped");
    input.write_all(lines.as_bytes()).expect("the client listens");
    drop(input);
    let output = client.wait_with_output().expect("the client ends");
    (String::from_utf8(output.stdout).expect("it says text"), output.status.success())
}

/// `text` with the number of a server replaced by `N`: which one leads a key is the cluster's choice.
fn numberless(text: &str) -> String {
    let mut parts = text.split("(Server ");
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |text, part| {
        let rest = part.trim_start_matches(|digit: char| digit.is_ascii_digit());
        format!("{text}(Server N{rest}")
    })
}

#[test]
fn a_session_goes_as_it_should() {
    let cluster = Cluster::start(3, &[]);
    let servers: Vec<_> = (0..3).map(|at| cluster.lines_address(at).to_string()).collect();
    let servers = servers.join(",");
    let arguments = ["--servers", servers.as_str()];
    let lines = "set user:alice Alice\nget user:alice\nexpire user:alice 300\nget user:alice\n\
                 set user:bob Bob B.\ndel user:bob\nget user:bob\nfly\nset a\nexit\n";
    let (said, well) = session(&arguments, lines);
    let expected = "\
✓ SUCCESS (Server N)
  Key set successfully

✓ SUCCESS (Server N)
  Key: user:alice
  Value: Alice
  TTL: No expiration

✓ SUCCESS (Server N)
  Expiration set successfully
  TTL: 300 seconds

✓ SUCCESS (Server N)
  Key: user:alice
  Value: Alice
  TTL: 300 seconds

✓ SUCCESS (Server N)
  Key set successfully

✓ SUCCESS (Server N)
  Key deleted successfully

✗ ERROR (Server N)
  Key not found

Unknown command: fly

Usage: set key value

Goodbye!
";
    assert_eq!(numberless(&said), expected);
    assert!(!well, "a pipe is told that not all went well");
    servers_by_number(&cluster, &arguments);
}

fn servers_by_number(cluster: &Cluster, arguments: &[&str]) {
    let (said, well) = session(arguments, "servers\nkeys\nstats 2\nkeys 4\n");
    assert!(!well, "there is no fourth server");
    let wide = "=".repeat(70);
    let narrow = "=".repeat(61);
    assert!(
        said.starts_with(&format!("{wide}\nSERVER CONFIGURATION\n{wide}\nServer 1: ")),
        "{said}"
    );
    assert!(said.contains("Total Servers: 3\nSharding: Enabled (Consistent Hashing)\n"), "{said}");
    assert!(said.contains("Retry Policy: 3 retries with 0.5s delay\n"), "{said}");
    for at in 0..3 {
        let (number, port) = (at + 1, cluster.lines_address(at).port());
        let title = format!(
            "{narrow}\nServer {number} (Port {port})\n{narrow}\n✓ SUCCESS (Server {number})\n  Keys ("
        );
        assert!(said.contains(&title), "{said}");
    }
    assert_eq!(said.matches("Keys (1): user:alice").count(), 1, "{said}");
    assert!(said.contains("✓ SUCCESS (Server 2)\n  Total Requests: "), "{said}");
    assert!(said.contains("  Keys with TTL: "), "{said}");
    assert!(said.contains("There is no server 4\n"), "{said}");
    let (said, _) = session(&[arguments, &["--json"]].concat(), "get user:alice\n");
    assert!(
        said.starts_with(r#"{"status":"success","key":"user:alice","value":"Alice","ttl":"#),
        "{said}"
    );
}

#[test]
fn a_server_that_is_gone_is_tried_again_and_then_another_one() {
    let mut cluster = Cluster::start(3, &[]);
    let servers: Vec<_> = (0..3).map(|at| cluster.lines_address(at).to_string()).collect();
    // The first server is asked for the key "c" first.
    assert_eq!(u32::from(b'c') % 3, 0);
    let all = servers.join(",");
    let (said, well) = session(&["--servers", &all], "set c 0\n");
    assert!(well, "{said}");
    cluster.kill(0);
    let quick = ["--retry-delay-ms", "10"];
    let (said, well) = session(&[&["--servers", &all], &quick[..]].concat(), "set c 1\n");
    assert!(well, "{said}");
    let begins = "[RETRY] Server 1 failed, retrying... (1/3)\n✓ SUCCESS (Server ";
    assert!(said.starts_with(begins), "{said}");
    let (said, well) = session(&[&["--servers", &servers[0]], &quick[..]].concat(), "get a\n");
    assert!(!well);
    let expected = "\
[RETRY] Server 1 failed, retrying... (1/3)
[RETRY] Server 1 failed, retrying... (2/3)
[RETRY] Server 1 failed, retrying... (3/3)
✗ ERROR (Server 1)
  Server 1 unavailable after 3 retries

";
    assert_eq!(said, expected);
}

#[test]
fn a_pipe_of_commands_is_carried_out() {
    let cluster = Cluster::start(1, &[]);
    let port = cluster.address(0).port().to_string();
    let (said, well) = session(&["-p", &port], "set a 1\nincr a\nmget a b\n");
    assert_eq!((said.as_str(), well), ("OK\n2\n2\n\n", true));
    let (said, well) = session(&["-p", &port, "--json"], "mget a b\nhget\n");
    assert_eq!(said.lines().next(), Some(r#"["2",null]"#));
    assert!(said.contains(r#"{"error":"ERR"#) && !well, "{said}");
}
