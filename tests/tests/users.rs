//! Users are the cluster's: whoever is made at one node is let in at every door of every node and may do there what its
//! rules say, and whoever is removed is let in nowhere, also by nodes that were away meanwhile.
#![cfg(not(madsim))]

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{SocketAddr, TcpStream};

use driftless_client::{Client, Error, Retry};
use driftless_tests::cluster::{Cluster, PATIENCE, until};
use driftless_tests::http::{Kept, request};
use redis::{Connection, RedisResult, Value};

/// SHA-256 of "swordfish", as Redis keeps passwords.
const SWORDFISH: &str = "b9f195c5cc7ef6afadbfbc42892ad47d3b24c6bc94bb510c4564a90a14e8b799";
/// base64 of "alice:swordfish" and of "alice:herring".
const RIGHT: &str = "Basic YWxpY2U6c3dvcmRmaXNo";
const WRONG: &str = "Basic YWxpY2U6aGVycmluZw==";

fn connect(cluster: &Cluster, at: usize) -> Connection {
    open(&cluster.url(at))
}

fn open(url: &str) -> Connection {
    let client = redis::Client::open(url).expect("the address is well formed");
    let connected = client.get_connection().expect("the node takes connections");
    connected.set_read_timeout(Some(PATIENCE)).expect("a timeout can be set");
    connected
}

/// Says a command; the answer, or the code of the error.
fn say(connection: &mut Connection, line: &str) -> Result<Value, String> {
    let mut words = line.split(' ');
    let mut command = redis::cmd(words.next().expect("a command has a name"));
    words.for_each(|word| _ = command.arg(word));
    let answer: RedisResult<Value> = command.query(connection);
    answer.map_err(|error| error.code().unwrap_or("no answer").to_owned())
}

const OK: Result<Value, String> = Ok(Value::Okay);

fn refused(code: &str) -> Result<Value, String> {
    Err(code.to_owned())
}

/// Says lines at the door for lines; the answers.
fn lines(address: SocketAddr, said: &[&str]) -> Vec<String> {
    let stream = TcpStream::connect(address).expect("the door is open");
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout can be set");
    let mut reader = BufReader::new(&stream);
    let answer = |line: &&str| {
        writeln!(&stream, "{line}").expect("it is taken");
        let mut answer = String::new();
        reader.read_line(&mut answer).expect("it is answered");
        answer
    };
    said.iter().map(answer).collect()
}

/// Runs what asks by gRPC, on a runtime of its own.
fn run<T>(asks: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime can be built").block_on(asks)
}

async fn by_grpc(address: SocketAddr, user: &str, password: &str) -> Result<Client, Error> {
    let patient = Retry { times: 20, deadline: PATIENCE, ..Retry::default() };
    let builder = Client::builder().retry(patient).user(user).password(password);
    builder.connect([address.to_string()]).await
}

#[test]
fn a_user_made_at_one_node_is_let_in_at_every_door_of_all() {
    let cluster = Cluster::start(3, &["--engines", "2"]);
    let mut admin = connect(&cluster, 0);
    let rules = "on >swordfish ~app:* +@read +set +ping +auth";
    until("the cluster serves", || {
        (say(&mut admin, &format!("ACL SETUSER alice {rules}")) == OK).then_some(())
    });
    assert_eq!(say(&mut admin, "SET app:1 one"), OK);
    assert_eq!(say(&mut admin, "SET other two"), OK);
    for at in 0..cluster.len() {
        // At once: a node that has not heard of her asks before it turns her away.
        let mut alice = connect(&cluster, at);
        assert_eq!(say(&mut alice, "AUTH alice swordfish"), OK, "node {at}");
        assert_eq!(say(&mut alice, "ACL WHOAMI"), refused("NOPERM"));
        assert_eq!(say(&mut alice, "GET app:1"), Ok(Value::BulkString(b"one".to_vec())));
        assert_eq!(say(&mut alice, "GET other"), refused("NOPERM"));
        assert_eq!(say(&mut alice, "MGET app:1 other"), refused("NOPERM"));
        assert_eq!(say(&mut alice, "SET app:2 x"), OK);
        assert_eq!(say(&mut alice, "DEL app:2"), refused("NOPERM"));
        assert_eq!(say(&mut alice, "CONFIG GET *"), refused("NOPERM"));
        assert_eq!(say(&mut alice, "AUTH alice herring"), refused("WRONGPASS"));
        assert_eq!(say(&mut alice, "AUTH nobody swordfish"), refused("WRONGPASS"));

        let http = cluster.http_address(at);
        let ask = |path: &str, who: &str| {
            request(http, "GET", path, &[("authorization", who)], b"").status
        };
        assert_eq!(ask("/get/app:1", RIGHT), 200);
        assert_eq!(ask("/get/app:1", "Bearer alice:swordfish"), 200);
        assert_eq!(ask("/get/other", RIGHT), 403);
        assert_eq!(ask("/get/app:1", WRONG), 401);
        assert_eq!(ask("/membership", RIGHT), 200);

        let said = lines(
            cluster.lines_address(at),
            &[
                "AUTH alice swordfish",
                "GET other",
                "SHUTDOWN",
                r#"{"command":"AUTH","user":"alice","password":"herring"}"#,
                r#"{"command":"GET","key":"app:1"}"#,
            ],
        );
        assert!(said[0].contains("OK"), "{said:?}");
        assert!(said[1].contains("NOPERM") && said[2].contains("NOPERM"), "{said:?}");
        assert!(said[3].contains("Wrong password") && said[4].contains("one"), "{said:?}");

        let address = cluster.grpc_address(at);
        run(async {
            let alice = by_grpc(address, "alice", "swordfish").await.expect("she is let in");
            let value = alice.get("app:1").await.expect("she may");
            assert_eq!(value, Some(b"one".to_vec()));
            let denied = alice.get("other").await;
            assert!(matches!(&denied, Err(Error::NotAllowed(why)) if why.contains("NOPERM")));
            let wrong = by_grpc(address, "alice", "herring").await;
            assert!(matches!(wrong, Err(Error::NotAllowed(_))), "{wrong:?}");
        });
    }
}

#[test]
fn whoever_is_removed_is_let_in_nowhere() {
    let mut cluster = Cluster::start(3, &[]);
    let mut admin = connect(&cluster, 0);
    until("the cluster serves", || {
        (say(&mut admin, "ACL SETUSER root on >toor ~* +@all") == OK).then_some(())
    });
    // Whoever is in stays in, also once others have to say who they are.
    assert_eq!(say(&mut admin, &format!("ACL SETUSER alice on #{SWORDFISH} ~* +@all")), OK);
    assert_eq!(say(&mut admin, "ACL SETUSER default off"), OK);
    assert_eq!(say(&mut admin, "SET k v"), OK);
    let mut alices: Vec<_> = (0..3).map(|at| connect(&cluster, at)).collect();
    for alice in &mut alices {
        assert_eq!(say(alice, "AUTH alice swordfish"), OK);
        assert_eq!(say(alice, "GET k"), Ok(Value::BulkString(b"v".to_vec())));
    }
    // Other rules count at once, also for connections that are there already.
    assert_eq!(say(&mut admin, "ACL SETUSER alice -get"), OK);
    for alice in &mut alices {
        until("the rule is known", || (say(alice, "GET k") == refused("NOPERM")).then_some(()));
    }
    // One connection of HTTP, by which others may ask as well, is no longer good for what was right once.
    let mut kept = Kept::connect(cluster.http_address(1)).expect("the door is open");
    let mut ask = |who: &str| {
        let answer = kept.ask("GET", "/get/k", &[("authorization", who)], b"");
        answer.expect("it is answered").status
    };
    assert_eq!(say(&mut admin, "ACL SETUSER alice +get"), OK);
    until("she may", || (ask(RIGHT) == 200).then_some(()));
    assert_eq!(say(&mut admin, "ACL SETUSER alice <swordfish >herring"), OK);
    until("it is known", || (ask(RIGHT) == 401).then_some(()));
    assert_eq!(ask(WRONG), 200, "her password is another one now");
    assert_eq!(say(&mut admin, "AUTH alice swordfish"), refused("WRONGPASS"));
    cluster.kill(2);
    assert_eq!(say(&mut admin, "ACL DELUSER alice"), Ok(Value::Int(1)));
    for alice in &mut alices[..2] {
        until("she is hung up on", || (say(alice, "PING") == refused("no answer")).then_some(()));
    }
    // The node that was away has her in its log, and not her removal.
    cluster.restart(2);
    for at in 0..3 {
        let mut stranger = connect(&cluster, at);
        let turned_away = until("the node knows who may come in", || {
            let answer = say(&mut stranger, "AUTH alice herring");
            (answer != refused("LOADING")).then_some(answer)
        });
        assert_eq!(turned_away, refused("WRONGPASS"), "node {at}");
        assert_eq!(say(&mut stranger, "GET k"), refused("NOAUTH"), "default is off at node {at}");
    }
    // All at once: what they know is on their disks, and nobody is let in before it is known.
    (0..3).for_each(|at| cluster.kill(at));
    (0..3).for_each(|at| cluster.restart(at));
    for at in 0..3 {
        let mut stranger = connect(&cluster, at);
        let answer = until("the node knows who may come in", || {
            let answer = say(&mut stranger, "GET k");
            (answer != refused("LOADING")).then_some(answer)
        });
        assert_eq!(answer, refused("NOAUTH"), "node {at}");
        assert_eq!(say(&mut stranger, "AUTH root toor"), OK);
        assert_eq!(say(&mut stranger, "GET k"), Ok(Value::BulkString(b"v".to_vec())));
        let in_cluster_mode = format!("redis://{}/", cluster.cluster_address(at));
        let mut other = open(&in_cluster_mode);
        for line in ["GET k", "CLUSTER SLOTS"] {
            assert_eq!(say(&mut other, line), refused("NOAUTH"), "node {at}");
        }
    }
}

#[test]
fn users_are_managed_as_redis_does() {
    let cluster = Cluster::start(1, &["--password", "secret"]);
    let mut admin = connect(&cluster, 0);
    assert_eq!(say(&mut admin, "ACL LIST"), refused("NOAUTH"));
    assert_eq!(say(&mut admin, "AUTH secret"), OK);
    let text = |value: Result<Value, String>| match value {
        Ok(Value::BulkString(bytes)) => String::from_utf8(bytes).expect("text"),
        other => panic!("{other:?}"),
    };
    let texts = |value: Result<Value, String>| match value {
        Ok(Value::Array(values)) => values.into_iter().map(|value| text(Ok(value))).collect(),
        other => panic!("{other:?}"),
    };
    let list: Vec<String> = texts(say(&mut admin, "ACL LIST"));
    assert_eq!(list, ["user default on settingspass ~* &* +@all"]);
    assert_eq!(text(say(&mut admin, "ACL WHOAMI")), "default");
    assert_eq!(text(say(&mut admin, "ACL GENPASS")).len(), 64);
    assert_eq!(text(say(&mut admin, "ACL GENPASS 5")).len(), 2);
    assert!(texts(say(&mut admin, "ACL CAT")).contains(&"dangerous".to_owned()));
    assert!(texts(say(&mut admin, "ACL CAT string")).contains(&"append".to_owned()));
    for (line, code) in [
        ("ACL SETUSER bob +nosuch", "ERR"),
        ("ACL SETUSER bob <swordfish", "ERR"),
        ("ACL DELUSER default", "ERR"),
        ("ACL CAT nosuch", "ERR"),
        ("ACL SAVE", "ERR"),
        ("ACL GENPASS 0", "ERR"),
    ] {
        assert_eq!(say(&mut admin, line), refused(code), "{line}");
    }
    assert_eq!(say(&mut admin, "ACL GETUSER bob"), Ok(Value::Nil), "nothing was half done");
    assert_eq!(say(&mut admin, "ACL SETUSER bob on >swordfish ~b:* +get"), OK);
    let list: Vec<String> = texts(say(&mut admin, "ACL LIST"));
    assert!(list[0].starts_with("user bob on #$argon2id$v=19$"), "{list:?}");
    assert_eq!(say(&mut admin, &format!("ACL SETUSER bob >swordfish #{SWORDFISH}")), OK);
    assert_eq!(texts(say(&mut admin, "ACL LIST")), list, "no password is kept twice");
    assert_eq!(say(&mut admin, "ACL DRYRUN bob GET b:1"), OK);
    let why = text(say(&mut admin, "ACL DRYRUN bob GET a:1"));
    assert_eq!(why, "User bob has no permissions to access the 'a:1' key");
    // What was listed makes the same user again.
    let hash = list[0].split(' ').find(|word| word.starts_with('#')).expect("there is one");
    assert_eq!(say(&mut admin, &format!("ACL SETUSER carol on {hash} +ping")), OK);
    let mut carol = connect(&cluster, 0);
    assert_eq!(say(&mut carol, "AUTH carol swordfish"), OK);
    assert_eq!(say(&mut carol, "GET b:1"), refused("NOPERM"));
    let Ok(Value::Array(log)) = say(&mut admin, "ACL LOG") else { panic!("it is a list") };
    assert_eq!(log.len(), 1, "what carol was refused");
    assert_eq!(say(&mut admin, "ACL LOG RESET"), OK);
    // The settings' password counts until `default` is given another.
    assert_eq!(say(&mut admin, "ACL SETUSER default >other"), OK);
    let mut anybody = connect(&cluster, 0);
    assert_eq!(say(&mut anybody, "AUTH secret"), refused("WRONGPASS"));
    assert_eq!(say(&mut anybody, "AUTH other"), OK);
    // Users are no keys.
    assert_eq!(say(&mut anybody, "DBSIZE"), Ok(Value::Int(0)));
    assert_eq!(say(&mut anybody, "FLUSHALL"), OK);
    assert_eq!(texts(say(&mut anybody, "ACL USERS")), ["bob", "carol", "default"]);
}
