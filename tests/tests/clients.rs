//! A real client against a real node: what it is told is what Redis would have told it.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::Duration;

use driftless_tests::cluster::Cluster;
use redis::{Commands, Connection, ErrorKind, RedisResult, ServerErrorKind, Value, cmd, pipe};

fn connect(url: &str) -> Connection {
    let client = redis::Client::open(url).expect("the address is well formed");
    client.get_connection().expect("the node takes connections")
}

/// Sends bytes as they are and returns what comes back until the node, or this side, is done.
fn raw(cluster: &Cluster, bytes: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect(cluster.address(0)).expect("the node takes connections");
    stream.set_read_timeout(Some(Duration::from_secs(20))).expect("a timeout can be set");
    // The node may hang up on nonsense before all of it is written.
    let _ = stream.write_all(bytes);
    let _ = stream.shutdown(Shutdown::Write);
    let mut answer = Vec::new();
    if let Err(error) = stream.read_to_end(&mut answer) {
        assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset, "the node says something");
    }
    answer
}

#[test]
fn one_node_serves_an_unmodified_client() {
    let cluster = Cluster::start(1, &["--partitions", "1"]);
    for protocol in ["", "?protocol=resp3"] {
        let mut client = connect(&format!("{}{protocol}", cluster.url(0)));
        strings(&mut client).expect("strings work");
        many_keys(&mut client).expect("commands on many keys work");
        deadlines(&mut client).expect("deadlines work");
        errors(&mut client);
        pipelines(&mut client).expect("pipelines work");
        keyspaces(&mut client).expect("keyspaces work");
        cmd("FLUSHALL").exec(&mut client).expect("FLUSHALL works");
    }
    protocols_differ_where_they_should(&cluster);
    bytes_are_answered_as_redis_does(&cluster);
    nonsense_is_refused_and_disturbs_nobody(&cluster);
}

fn strings(client: &mut Connection) -> RedisResult<()> {
    assert_eq!(client.get::<_, Option<String>>("s")?, None);
    client.set::<_, _, ()>("s", "one")?;
    assert_eq!(client.get::<_, String>("s")?, "one");
    assert_eq!(client.append::<_, _, u64>("s", "two")?, 6);
    assert_eq!(client.strlen::<_, u64>("s")?, 6);
    assert_eq!(client.getrange::<_, String>("s", -3, -1)?, "two");
    assert_eq!(client.setrange::<_, _, u64>("s", 3, "TWO")?, 6);
    assert_eq!(client.getset::<_, _, String>("s", "three")?, "oneTWO");
    assert!(!client.set_nx::<_, _, bool>("s", "four")?);
    assert_eq!(client.get_del::<_, String>("s")?, "three");
    assert_eq!(client.incr::<_, _, i64>("n", 5)?, 5);
    assert_eq!(client.decr::<_, _, i64>("n", 7)?, -2);
    assert_eq!(cmd("INCRBYFLOAT").arg("f").arg("1.5").query::<String>(client)?, "1.5");
    let every_byte: Vec<u8> = (0..=255).collect();
    client.set::<_, _, ()>(&every_byte, &every_byte)?;
    assert_eq!(client.get::<_, Vec<u8>>(&every_byte)?, every_byte);
    let large = vec![b'x'; 3 << 20];
    client.set::<_, _, ()>("large", &large)?;
    assert_eq!(client.get::<_, Vec<u8>>("large")?, large);
    Ok(())
}

fn many_keys(client: &mut Connection) -> RedisResult<()> {
    client.mset::<_, _, ()>(&[("a", 1), ("b", 2), ("c", 3)])?;
    let got: Vec<Option<i64>> = client.mget(&["c", "none", "a"])?;
    assert_eq!(got, [Some(3), None, Some(1)]);
    assert_eq!(client.exists::<_, u64>(&["a", "a", "none"])?, 2);
    client.rename::<_, _, ()>("a", "d")?;
    assert_eq!(cmd("TYPE").arg("d").query::<String>(client)?, "string");
    assert!(cmd("COPY").arg("d").arg("e").query::<bool>(client)?);
    let mut names: Vec<String> = client.keys("[b-e]")?;
    names.sort();
    assert_eq!(names, ["b", "c", "d", "e"]);
    let mut scanned: Vec<String> = client.scan_match("?")?.collect::<RedisResult<_>>()?;
    scanned.retain(|name| "bcde".contains(name.as_str()));
    scanned.sort();
    scanned.dedup();
    assert_eq!(scanned, ["b", "c", "d", "e"]);
    assert_eq!(client.del::<_, u64>(&["b", "c", "d", "e", "none"])?, 4);
    Ok(())
}

fn deadlines(client: &mut Connection) -> RedisResult<()> {
    client.set_ex::<_, _, ()>("t", "v", 100)?;
    let left: i64 = client.ttl("t")?;
    assert!((90..=100).contains(&left), "{left}");
    assert!(client.persist::<_, bool>("t")?);
    assert_eq!(client.ttl::<_, i64>("t")?, -1);
    assert!(client.pexpire::<_, bool>("t", 1)?);
    driftless_tests::cluster::until("a key ends at its deadline", || {
        let there: bool = client.exists("t").expect("EXISTS works");
        (!there).then_some(())
    });
    assert_eq!(client.ttl::<_, i64>("t")?, -2);
    Ok(())
}

fn errors(client: &mut Connection) {
    let text = |result: RedisResult<Value>| {
        let error = result.expect_err("this is an error");
        format!("{} {}", error.code().unwrap_or("?"), error.detail().unwrap_or("?"))
    };
    client.set::<_, _, ()>("word", "x").expect("SET works");
    let not_a_number = cmd("INCR").arg("word").query(client);
    assert_eq!(text(not_a_number), "ERR value is not an integer or out of range");
    let arity = cmd("GET").query(client);
    assert_eq!(text(arity), "ERR wrong number of arguments for 'get' command");
    let syntax = cmd("SET").arg("a").arg("b").arg("NO").query(client);
    assert_eq!(text(syntax), "ERR syntax error");
    let unknown: RedisResult<Value> = cmd("NOSUCH").arg("a").query(client);
    let error = unknown.expect_err("there is no such command");
    assert_eq!(error.kind(), ErrorKind::Server(ServerErrorKind::ResponseError), "{error}");
}

fn pipelines(client: &mut Connection) -> RedisResult<()> {
    let mut pipeline = pipe();
    for number in 0..5_000 {
        pipeline.set(format!("p{number}"), number).ignore();
        pipeline.get(format!("p{number}"));
    }
    let answers: Vec<u32> = pipeline.query(client)?;
    assert!(answers.into_iter().eq(0..5_000), "answers come in the order of the commands");
    Ok(())
}

fn keyspaces(client: &mut Connection) -> RedisResult<()> {
    client.set::<_, _, ()>("k", "zero")?;
    cmd("SELECT").arg(3).exec(client)?;
    assert_eq!(client.get::<_, Option<String>>("k")?, None);
    client.set::<_, _, ()>("k", "three")?;
    assert_eq!(cmd("DBSIZE").query::<u64>(client)?, 1);
    cmd("FLUSHDB").exec(client)?;
    cmd("SELECT").arg(0).exec(client)?;
    assert_eq!(client.get::<_, String>("k")?, "zero");
    Ok(())
}

fn protocols_differ_where_they_should(cluster: &Cluster) {
    let old = raw(cluster, b"GET none\r\n");
    assert_eq!(old, b"$-1\r\n");
    let new = raw(cluster, b"HELLO 3\r\nGET none\r\n");
    assert!(new.starts_with(b"%") && new.ends_with(b"_\r\n"), "{}", String::from_utf8_lossy(&new));
}

fn bytes_are_answered_as_redis_does(cluster: &Cluster) {
    let table: [(&[u8], &[u8]); 5] = [
        (b"PING\r\n", b"+PONG\r\n"),
        (b"*1\r\n$4\r\nPING\r\n", b"+PONG\r\n"),
        (b"\r\n\r\nECHO \"a b\"\r\n", b"$3\r\na b\r\n"),
        (b"SET i 1\r\nINCR i\r\nGET i\r\n", b"+OK\r\n:2\r\n$1\r\n2\r\n"),
        (b"QUIT\r\nPING\r\n", b"+OK\r\n"),
    ];
    for (sent, expected) in table {
        let got = raw(cluster, sent);
        let (sent, text) = (String::from_utf8_lossy(sent), String::from_utf8_lossy(&got));
        assert_eq!(got, expected, "{sent:?} was answered by {text:?}");
    }
}

fn nonsense_is_refused_and_disturbs_nobody(cluster: &Cluster) {
    let mut bystander = connect(&cluster.url(0));
    let nested = b"*1\r\n".repeat(100_000);
    let noise: Vec<u8> =
        (0..100_000_u32).map(|at| (at.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    let table: [(&str, &[u8], bool); 6] = [
        ("a length of 1 GB", b"*2\r\n$3\r\nGET\r\n$1073741824\r\n", false),
        ("a negative length", b"*1\r\n$-5\r\n", true),
        ("a million million arguments", b"*1000000000000\r\n", true),
        ("arrays in arrays", &nested, true),
        ("an endless line", &vec![b'a'; 1 << 20], true),
        ("noise", &noise, false),
    ];
    for (what, bytes, says_so) in table {
        let answer = raw(cluster, bytes);
        let text = String::from_utf8_lossy(&answer);
        assert!(!says_so || text.contains("-ERR"), "{what} was answered by {text:?}");
        let pong: String = cmd("PING").query(&mut bystander).expect("others are served");
        assert_eq!(pong, "PONG", "after {what}");
    }
}
