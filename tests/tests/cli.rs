//! The interactive client, fed by a pipe.

use std::fmt::Write as _;
use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use driftless::answer::Answer;
use driftless_tests::cluster::{Cluster, binary, until};
use driftless_tests::launched::Launched;

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

/// The commands of a saved file, each behind the number of its keyspace, in an order of their own.
fn saved(mut file: &[u8]) -> Vec<String> {
    let (mut commands, mut keyspace) = (Vec::new(), String::new());
    while !file.is_empty() {
        let (answer, used) = Answer::parse(file).expect("it is RESP").expect("it is whole");
        file = &file[used..];
        let text = format!("{answer:?}");
        if text.contains("Bulk([83, 69, 76, 69, 67, 84])") {
            keyspace = text;
        } else {
            commands.push(format!("{keyspace} {text}"));
        }
    }
    commands.sort_unstable();
    commands
}

#[test]
fn what_is_saved_is_there_again_once_it_is_loaded_elsewhere() {
    let (first, second) = (Cluster::start(3, &[]), Cluster::start(1, &["--partitions", "3"]));
    let (from, to) = (first.address(1).port().to_string(), second.address(0).port().to_string());
    let mut lines =
        "set {soon} gone px 1\nset {later} kept ex 1000\nset \"\\x00\\r\\n\\xff\" \"\\xfe\\n\"\n"
            .to_owned();
    let large = "v".repeat(3 << 20);
    let _ = write!(lines, "set large {large}\nselect 3\nset three 3\nselect 15\n");
    for at in 0..3_000 {
        let _ = writeln!(lines, "set key:{at} {at} ex {}", 500 + at);
    }
    // Who leads may have to be found out again while all that is written: what is refused is loaded once more.
    until("all is loaded", || load(first.address(0).port(), lines.as_bytes(), &[]).2.then_some(()));
    let directory = std::env::temp_dir().join(format!("driftless-save-{}", std::process::id()));
    fs::create_dir_all(&directory).expect("the system has a directory for temporary files");
    let path = |name: &str| directory.join(name).display().to_string();
    let (said, well) = session(&["-p", &from, "--json", "--save", &path("a")], "");
    assert_eq!((said.as_str(), well), ("{\"keys\":3004}\n", true));
    let file = fs::read(path("a")).expect("it is there");
    let (said, complaints, well) = load(second.address(0).port(), &file, &[]);
    assert!(well && said.starts_with("3007 commands: 3007 done, 0 failed"), "{said}{complaints}");
    let (_, well) = session(&["-p", &to, "--save", &path("b")], "");
    assert!(well);
    assert_eq!(saved(&file), saved(&fs::read(path("b")).expect("it is there")));
    let names: Vec<_> = fs::read_dir(&directory).expect("it is there").collect();
    assert_eq!(names.len(), 2, "nothing is left beside the files");
    let (_, well) = session(&["-p", &to, "--save", &path("no/such/directory")], "");
    assert!(!well);
    fs::remove_dir_all(&directory).expect("it is still there");
}

#[test]
fn changes_are_shown_as_they_come_also_over_the_death_of_the_node() {
    let mut cluster = Cluster::start(1, &[]);
    let port = cluster.address(0).port().to_string();
    let mut watching = Command::new(binary())
        .args(["cli", "-p", &port, "--json", "--watch", "w*"])
        .stdout(Stdio::piped())
        .spawn()
        .expect("the client starts");
    let mut shown =
        BufReader::new(watching.stdout.take().expect("it was asked to be piped")).lines();
    let mut next = || {
        let line = shown.next().expect("it goes on").expect("it says text");
        let mut change: serde_json::Value = serde_json::from_str(&line).expect("it says JSON");
        assert!(change["seen_ms"].as_u64().is_some_and(|seen| seen > 1_700_000_000_000), "{line}");
        change["seen_ms"].take();
        change
    };
    // What changes before it looks is not shown: it looks once one of these is.
    let (mut written, mut first) = (0, None);
    std::thread::scope(|scope| {
        let told = scope.spawn(&mut next);
        while !told.is_finished() {
            written += 1;
            let (said, well) = session(&["-p", &port], &format!("set w {written}\nset other 1\n"));
            assert!(well, "{said}");
        }
        first = Some(told.join().expect("it was told"));
    });
    let mut last: u64 =
        first.expect("it was told")["value"].as_str().expect("a text").parse().expect("a number");
    while last < written {
        let change = next();
        last += 1;
        let expected = serde_json::json!({"seen_ms": null, "change": "set", "key": "w", "value": last.to_string(), "ends_at_ms": null});
        assert_eq!(change, expected, "each once and in order");
    }
    cluster.kill(0);
    cluster.restart(0);
    let (_, well) = session(&["-p", &port], "del w\nset ww \"\\xff\"\n");
    assert!(well);
    let mut rest = [next()["change"].clone(), next()["change"].clone()];
    rest.sort_by_key(ToString::to_string);
    assert_eq!(rest, ["removed", "set"], "in two partitions, so in any order");
    watching.kill().expect("a child can be killed");
    watching.wait().expect("a killed child ends");
}

#[test]
fn the_status_of_a_cluster_that_wants_a_password_is_told_to_who_knows_it() {
    let launched = Launched::start(1);
    let port = launched.port(0).to_string();
    let (said, _) = session(&["-p", &port], "acl setuser default >swordfish\n");
    assert_eq!(said, "OK\n");
    let (said, well) = launched.status_for(&[]);
    assert!(
        said.contains(
            "driftless: node 1: NOAUTH Authentication required.: see --user and --password"
        ),
        "{said}"
    );
    assert!(!well && said.contains(" up "), "{said}");
    let (said, well) = launched.status_for(&["--password", "herring"]);
    assert!(!well && said.contains("node 1: WRONGPASS "), "{said}");
    let (said, well) = launched.status_for(&["--password", "swordfish"]);
    assert!(well && said.contains(" up "), "{said}");
}

/// What comes of a file of commands: what the client says, its complaints, and whether all went well.
fn load(port: u16, file: &[u8], arguments: &[&str]) -> (String, String, bool) {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let name = format!("driftless-load-{}-{number}", std::process::id());
    let path = std::env::temp_dir().join(name);
    fs::write(&path, file).expect("the system has a directory for temporary files");
    let mut client = Command::new(binary());
    client.args(["cli", "-p", &port.to_string(), "--load"]).arg(&path).args(arguments);
    let output = client.output().expect("the client starts and ends");
    fs::remove_file(&path).expect("the file is still there");
    let text = |bytes| String::from_utf8(bytes).expect("it says text");
    (text(output.stdout), text(output.stderr), output.status.success())
}

#[test]
fn a_file_of_commands_is_carried_out_many_at_a_time() {
    let cluster = Cluster::start(1, &[]);
    let port = cluster.address(0).port();
    let lines: Vec<_> = (0..50_000).map(|at| format!("set key:{at} \"value {at}\"\n")).collect();
    let (said, complaints, well) = load(port, lines.concat().as_bytes(), &[]);
    assert!(said.starts_with("50000 commands: 50000 done, 0 failed, in "), "{said}");
    assert_eq!((complaints.as_str(), well), ("", true));
    let asked = "dbsize\nget key:49999\n";
    let (said, _) = session(&["-p", &port.to_string()], asked);
    assert_eq!(said, "50000\nvalue 49999\n");

    // Arrays, as `redis-cli --pipe` takes them, from the standard input.
    let arrays = "*3\r\n$3\r\nset\r\n$1\r\na\r\n$3\r\n1\n2\r\n*2\r\n$4\r\nincr\r\n$1\r\nb\r\n";
    let (said, well) = session(&["-p", &port.to_string(), "--load", "-", "--json"], arrays);
    assert_eq!((said.as_str(), well), ("{\"commands\":2,\"done\":2,\"failed\":0}\n", true));
}

#[test]
fn what_fails_is_told_by_its_line() {
    let cluster = Cluster::start(1, &[]);
    let port = cluster.address(0).port();
    let file =
        b"set a text\n\nincr a\nset \"b\nget\nset c 1\n*1\r\n$4\r\nping\r\n*1\r\n:\r\nset d 1\n";
    let (said, complaints, well) = load(port, file, &[]);
    assert!(said.starts_with("7 commands: 3 done, 4 failed, in "), "{said}");
    assert!(!well, "who runs it is told that not all went well");
    let expected = "\
line 3: ERR value is not an integer or out of range
line 4: Invalid argument(s)
line 5: ERR wrong number of arguments for 'get' command
line 10: ERR Protocol error: expected '$', got ':': nothing from here on was sent
";
    assert_eq!(complaints, expected);
    let (_, complaints, _) = load(port, "incr a\n".repeat(1_000).as_bytes(), &[]);
    assert_eq!(complaints.lines().count(), 11);
    assert!(complaints.ends_with("\nand 990 more\n"), "{complaints}");
}

/// A server that takes one command after the other and answers each with so many bytes before it looks at the next.
/// It hangs up after so many.
fn slow_server(answer_bytes: usize, most: usize) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("the machine has a free port");
    let port = listener.local_addr().expect("it is bound").port();
    std::thread::spawn(move || {
        let (stream, _) = listener.accept().expect("the client comes");
        let mut commands = BufReader::new(stream.try_clone().expect("a stream has two handles"));
        let mut stream = stream;
        let answer = format!("${answer_bytes}\r\n{}\r\n", "x".repeat(answer_bytes));
        for _ in 0..most {
            // `*2`, `$4`, `echo`, `$N`, the word
            let mut line = String::new();
            for _ in 0..5 {
                line.clear();
                if commands.read_line(&mut line).expect("the client sends text") == 0 {
                    return;
                }
            }
            stream.write_all(answer.as_bytes()).expect("the client takes its answers");
        }
    });
    port
}

#[test]
fn a_server_that_reads_no_further_before_its_answers_are_taken_holds_nothing_up() {
    // Far more in both directions than sockets hold.
    let word = "y".repeat(32 << 10);
    let lines = format!("echo {word}\n").repeat(1_000);
    let port = slow_server(32 << 10, usize::MAX);
    let (said, complaints, well) = load(port, lines.as_bytes(), &[]);
    assert!(said.starts_with("1000 commands: 1000 done, 0 failed, in "), "{said}{complaints}");
    assert!(well);
}

#[test]
fn a_server_that_hangs_up_ends_the_load_and_it_is_told_where() {
    let port = slow_server(10, 700);
    let (said, complaints, well) = load(port, "echo y\n".repeat(100_000).as_bytes(), &[]);
    let done: u32 = said.split(' ').next().and_then(|word| word.parse().ok()).expect("a number");
    assert!(done <= 700, "no more was answered: {said}");
    assert!(said.starts_with(&format!("{done} commands: {done} done, 0 failed, in ")), "{said}");
    assert!(complaints.starts_with(&format!("Error: line {}: ", done + 1)), "{complaints}");
    assert!(!well);
}
