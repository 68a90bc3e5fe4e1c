//! What a client reads when it says hello, looks around and says goodbye.

use alloc::string::{String, ToString as _};
use alloc::vec::Vec;

use super::*;
use crate::command::{Scope, resolve};
use crate::ids::NodeId;
use crate::resp::{ArgsBuffer, Items, Value, decode};
use crate::time::WallTime;

/// One client at a server, which remembers nothing but its settings.
struct Client {
    connection: Connection,
    settings: Settings,
    password: Option<&'static [u8]>,
    users: Users,
    refusals: Refusals,
    effect: Effect,
}

fn now(seconds: u64) -> Now {
    Now {
        mono: Instant(seconds * 1_000_000_000),
        wall: WallTime(1_700_000_000_123 + seconds * 1_000),
    }
}

impl Client {
    fn new(password: Option<&'static [u8]>) -> Self {
        let connection = Connection::new(7, now(0));
        Self {
            connection,
            settings: Settings::default(),
            password,
            users: Users::default(),
            refusals: Refusals::default(),
            effect: Effect::None,
        }
    }

    /// Says a line of words and returns the bytes of the answer.
    fn say(&mut self, line: &str) -> Vec<u8> {
        let parts: Vec<&[u8]> = line.split(' ').map(str::as_bytes).collect();
        let (mut buffer, mut bytes, mut out) = (ArgsBuffer::default(), Vec::new(), Vec::new());
        let args = buffer.compose(&mut bytes, &parts);
        let mut reply = Reply::new(&mut out, self.connection.proto);
        self.effect = Effect::None;
        let spec = match resolve(&args) {
            Ok(spec) => spec,
            Err(error) => {
                error.put(&args, &mut reply);
                return out;
            }
        };
        if !self.connection.begin(spec, &args, now(5)) {
            reply = Reply::nowhere();
        }
        if permitted(spec, &self.connection, &self.users, self.password, &mut reply) {
            assert_eq!(spec.scope, Scope::Connection, "{line}");
            let mut facts = Facts::new(NodeId(1), &self.settings, &self.users, &self.refusals);
            facts.password = self.password;
            facts.keyspaces[3] = KeyspaceFacts { keys: 5, expiring: 2 };
            facts.memory = 1_572_864;
            let connection = &mut self.connection;
            self.effect = execute(spec, &args, connection, &facts, now(5), &mut reply);
            if matches!(self.effect, Effect::CheckLogin(_)) {
                // No password is any of none.
                facts.login = Some(None);
                self.effect = execute(spec, &args, connection, &facts, now(5), &mut reply);
            }
        }
        if let Effect::SetConfig(changes) = &self.effect {
            self.settings.apply(changes);
        }
        out
    }

    fn text(&mut self, line: &str) -> String {
        self.say(line).escape_ascii().to_string()
    }

    /// What INFO, CLIENT INFO and the like say.
    fn read(&mut self, line: &str) -> String {
        let answer = self.say(line);
        match decode(&answer) {
            Ok(Some((Value::Bulk(text) | Value::Verbatim(_, text), used))) => {
                assert_eq!(used, answer.len());
                String::from_utf8(text.to_vec()).expect("text")
            }
            other => panic!("{line}: {other:?}"),
        }
    }
}

/// A conversation: what is said, and what the answer is.
fn check(password: Option<&'static [u8]>, lines: &[(&str, &str)]) {
    let mut client = Client::new(password);
    for (line, wanted) in lines {
        assert_eq!(client.text(line), *wanted, "{line}");
    }
}

#[test]
fn clients_shake_hands() {
    check(
        None,
        &[
            ("PING", "+PONG\\r\\n"),
            ("ping hi", "$2\\r\\nhi\\r\\n"),
            ("ping a b", "-ERR wrong number of arguments for \\'ping\\' command\\r\\n"),
            ("ECHO x", "$1\\r\\nx\\r\\n"),
            ("HELLO 4", "-NOPROTO unsupported protocol version\\r\\n"),
            ("HELLO x", "-ERR Protocol version is not an integer or out of range\\r\\n"),
            ("HELLO 3 FOO", "-ERR Syntax error in HELLO option \\'FOO\\'\\r\\n"),
            (
                "HELLO 2",
                "*14\\r\\n$6\\r\\nserver\\r\\n$5\\r\\nredis\\r\\n$7\\r\\nversion\\r\\n$5\\r\\n7.4.2\\r\\n\
             $5\\r\\nproto\\r\\n:2\\r\\n$2\\r\\nid\\r\\n:7\\r\\n$4\\r\\nmode\\r\\n$10\\r\\nstandalone\\r\\n\
             $4\\r\\nrole\\r\\n$6\\r\\nmaster\\r\\n$7\\r\\nmodules\\r\\n*0\\r\\n",
            ),
            (
                "HELLO 3 AUTH default x SETNAME me",
                "%7\\r\\n$6\\r\\nserver\\r\\n$5\\r\\nredis\\r\\n$7\\r\\nversion\\r\\n$5\\r\\n7.4.2\\r\\n\
             $5\\r\\nproto\\r\\n:3\\r\\n$2\\r\\nid\\r\\n:7\\r\\n$4\\r\\nmode\\r\\n$10\\r\\nstandalone\\r\\n\
             $4\\r\\nrole\\r\\n$6\\r\\nmaster\\r\\n$7\\r\\nmodules\\r\\n*0\\r\\n",
            ),
            ("CLIENT GETNAME", "$2\\r\\nme\\r\\n"),
            ("CLIENT MAINT_NOTIFICATIONS ON moving-endpoint-type internal-fqdn", "+OK\\r\\n"),
            ("CLIENT SETINFO LIB-NAME redis-py", "+OK\\r\\n"),
            ("client setinfo lib-ver 8.1.0", "+OK\\r\\n"),
            ("CLIENT SETINFO LIB-X y", "-ERR Unrecognized option \\'LIB-X\\'\\r\\n"),
            ("CLIENT CAPA redirect", "+OK\\r\\n"),
            (
                "CLIENT TRACKINGINFO",
                "%3\\r\\n$5\\r\\nflags\\r\\n~1\\r\\n$3\\r\\noff\\r\\n$8\\r\\nredirect\\r\\n:-1\\r\\n$8\\r\\nprefixes\\r\\n*0\\r\\n",
            ),
            ("CLIENT ID", ":7\\r\\n"),
            ("SELECT 15", "+OK\\r\\n"),
            ("SELECT 16", "-ERR DB index is out of range\\r\\n"),
            ("SELECT -1", "-ERR DB index is out of range\\r\\n"),
            ("SELECT 01", "-ERR value is not an integer or out of range\\r\\n"),
            ("READONLY", "+OK\\r\\n"),
            ("RESET", "+RESET\\r\\n"),
            ("CLIENT GETNAME", "$-1\\r\\n"),
        ],
    );
}

#[test]
fn a_password_is_asked_for_and_checked() {
    let wrong = "-WRONGPASS invalid username-password pair or user is disabled.\\r\\n";
    let denied = "-NOAUTH Authentication required.\\r\\n";
    let called = "-NOAUTH HELLO must be called with the client already authenticated, otherwise \
                  the HELLO <proto> AUTH <user> <pass> option can be used to authenticate the \
                  client and select the RESP protocol version at the same time\\r\\n";
    check(
        Some(b"secret"),
        &[
            ("PING", denied),
            ("INFO", denied),
            ("HELLO 3", called),
            ("AUTH secre", wrong),
            ("AUTH secrets", wrong),
            ("AUTH secretsecret", wrong),
            ("AUTH other secret", wrong),
            ("HELLO 2 AUTH default no", wrong),
            ("AUTH a b c", "-ERR syntax error\\r\\n"),
            ("PING", denied),
            ("AUTH default secret", "+OK\\r\\n"),
            ("PING", "+PONG\\r\\n"),
            ("RESET", "+RESET\\r\\n"),
            ("PING", denied),
            ("AUTH secret", "+OK\\r\\n"),
            ("PING", "+PONG\\r\\n"),
            ("QUIT", "+OK\\r\\n"),
        ],
    );
    check(
        None,
        &[
            (
                "AUTH x",
                "-ERR AUTH <password> called without any password configured for the default user. \
             Are you sure your configuration is correct?\\r\\n",
            ),
            ("AUTH default x", "+OK\\r\\n"),
            ("AUTH other x", wrong),
        ],
    );
}

#[test]
fn answers_can_be_switched_off() {
    check(
        None,
        &[
            ("CLIENT REPLY SKIP", ""),
            ("PING", ""),
            ("PING", "+PONG\\r\\n"),
            ("CLIENT REPLY OFF", ""),
            ("PING", ""),
            ("CLIENT REPLY SKIP", ""),
            ("CLIENT REPLY X", ""),
            ("PING", ""),
            ("CLIENT REPLY ON", "+OK\\r\\n"),
            ("PING", "+PONG\\r\\n"),
            ("CLIENT REPLY X", "-ERR syntax error\\r\\n"),
        ],
    );
}

#[test]
fn settings_are_shown_and_changed() {
    check(
        None,
        &[
            ("CONFIG GET save", "*2\\r\\n$4\\r\\nsave\\r\\n$0\\r\\n\\r\\n"),
            ("CONFIG GET appendonly", "*2\\r\\n$10\\r\\nappendonly\\r\\n$3\\r\\nyes\\r\\n"),
            (
                "config get SLAVE-read-only",
                "*2\\r\\n$15\\r\\nslave-read-only\\r\\n$3\\r\\nyes\\r\\n",
            ),
            ("CONFIG GET nothing", "*0\\r\\n"),
            ("CONFIG SET maxmemory 1mb timeout 5", "+OK\\r\\n"),
            (
                "CONFIG GET maxmemory t*t",
                "*4\\r\\n$9\\r\\nmaxmemory\\r\\n$7\\r\\n1048576\\r\\n$7\\r\\ntimeout\\r\\n$1\\r\\n5\\r\\n",
            ),
            ("CONFIG SET notify-keyspace-events Ex", "+OK\\r\\n"),
            ("CONFIG SET maxclients 100 client-output-bytes 2mb loglevel DEBUG", "+OK\\r\\n"),
            (
                "CONFIG GET maxclients client-output-bytes loglevel",
                "*6\\r\\n$19\\r\\nclient-output-bytes\\r\\n$7\\r\\n2097152\\r\\n$8\\r\\nloglevel\\r\\n\
                 $5\\r\\ndebug\\r\\n$10\\r\\nmaxclients\\r\\n$3\\r\\n100\\r\\n",
            ),
            (
                "CONFIG SET maxclients 0",
                "-ERR CONFIG SET failed (possibly related to argument \\'maxclients\\') - argument \
                 must be between 1 and 2147483647 inclusive\\r\\n",
            ),
            (
                "CONFIG SET client-output-bytes 1000",
                "-ERR CONFIG SET failed (possibly related to argument \\'client-output-bytes\\') - \
                 argument must be at least 1048576 bytes\\r\\n",
            ),
            (
                "CONFIG SET databases 1",
                "-ERR CONFIG SET failed (possibly related to argument \\'databases\\') - can\\'t set \
             immutable config\\r\\n",
            ),
            (
                "CONFIG SET timeout x",
                "-ERR CONFIG SET failed (possibly related to argument \\'timeout\\') - argument \
             couldn\\'t be parsed into an integer\\r\\n",
            ),
            (
                "CONFIG SET foo 1",
                "-ERR Unknown option or number of arguments for CONFIG SET - \\'foo\\'\\r\\n",
            ),
            ("CONFIG SET hz 1 timeout", "-ERR syntax error\\r\\n"),
            (
                "CONFIG SET timeout -1",
                "-ERR CONFIG SET failed (possibly related to argument \\'timeout\\') - argument \
             must be between 0 and 2147483647 inclusive\\r\\n",
            ),
            (
                "CONFIG SET maxmemory-policy foo",
                "-ERR CONFIG SET failed (possibly related to argument \\'maxmemory-policy\\') - \
             argument(s) must be one of the following: noeviction\\r\\n",
            ),
            ("CONFIG GET timeout", "*2\\r\\n$7\\r\\ntimeout\\r\\n$1\\r\\n5\\r\\n"),
            ("CONFIG REWRITE", "-ERR The server is running without a config file\\r\\n"),
            ("CONFIG RESETSTAT", "+OK\\r\\n"),
        ],
    );
}

#[test]
fn the_server_says_what_it_does_not_do() {
    check(
        None,
        &[
            ("TIME", "*2\\r\\n$10\\r\\n1700000005\\r\\n$6\\r\\n123000\\r\\n"),
            ("LASTSAVE", ":1700000005\\r\\n"),
            ("BGSAVE", "+Background saving started\\r\\n"),
            ("SAVE", "+OK\\r\\n"),
            ("ROLE", "*3\\r\\n$6\\r\\nmaster\\r\\n:0\\r\\n*0\\r\\n"),
            ("SLOWLOG GET", "*0\\r\\n"),
            ("LATENCY LATEST", "*0\\r\\n"),
            ("MONITOR", "-ERR MONITOR is not supported\\r\\n"),
            (
                "REPLICAOF h 1",
                "-ERR replication of Redis is not supported: this cluster replicates by itself\\r\\n",
            ),
            ("CLUSTER INFO", "-ERR This instance has cluster support disabled\\r\\n"),
            ("DEBUG SLEEP 1", "-ERR DEBUG SLEEP would stop the whole node: not allowed\\r\\n"),
            ("SHUTDOWN SAVE NOSAVE", "-ERR syntax error\\r\\n"),
            ("SHUTDOWN ABORT", "-ERR No shutdown in progress.\\r\\n"),
            ("CLIENT TRACKING ON", "-ERR CLIENT TRACKING is not supported\\r\\n"),
            ("CLIENT PAUSE -1", "-ERR timeout is negative\\r\\n"),
            ("CLIENT KILL ID 0", "-ERR client-id should be greater than 0\\r\\n"),
            ("CLIENT KILL TYPE x", "-ERR Unknown client type \\'x\\'\\r\\n"),
            ("CLIENT LIST TYPE x", "-ERR Unknown client type \\'x\\'\\r\\n"),
        ],
    );
}

#[test]
fn what_is_left_to_the_session_is_said_as_data() {
    let mut client = Client::new(None);
    for (line, wanted) in [
        ("QUIT", Effect::Close),
        ("SHUTDOWN NOSAVE", Effect::Shutdown { now: false }),
        ("SHUTDOWN NOW FORCE", Effect::Shutdown { now: true }),
        ("CLIENT PAUSE 100", Effect::Pause { span: Span::millis(100), reads: true }),
        ("CLIENT PAUSE 100 WRITE", Effect::Pause { span: Span::millis(100), reads: false }),
        ("CLIENT UNPAUSE", Effect::Unpause),
        ("CONFIG RESETSTAT", Effect::ResetCounters),
        ("PING", Effect::None),
    ] {
        client.say(line);
        assert_eq!(client.effect, wanted, "{line}");
    }
}

#[test]
fn connections_are_listed_and_closed_as_the_filter_says() {
    let mut client = Client::new(None);
    client.connection.address = "127.0.0.1:5000".into();
    client.say("CLIENT SETNAME me");
    let line = client.read("CLIENT INFO");
    assert!(line.starts_with(
        "id=7 addr=127.0.0.1:5000 laddr=0.0.0.0:0 fd=-1 name=me age=5 idle=0 flags=N db=0 "
    ));
    assert!(line.ends_with(" cmd=client|info user=default redir=-1 resp=2 lib-name= lib-ver=\n"));
    let other = Connection::new(9, now(4));
    for (said, own, others) in [
        ("CLIENT KILL 127.0.0.1:5000", true, false),
        ("CLIENT KILL 127.0.0.1:5001", false, false),
        ("CLIENT KILL TYPE normal", false, true),
        ("CLIENT KILL TYPE normal SKIPME no", true, true),
        ("CLIENT KILL TYPE pubsub SKIPME no", false, false),
        ("CLIENT KILL ID 9", false, true),
        ("CLIENT KILL MAXAGE 3 SKIPME no", true, false),
        ("CLIENT KILL ADDR 127.0.0.1:5000 SKIPME no USER default", true, false),
    ] {
        client.say(said);
        let Effect::Kill(filter) = &client.effect else { panic!("{said}: {:?}", client.effect) };
        assert_eq!(filter.matches(&client.connection, now(5)), own, "{said}");
        assert_eq!(filter.matches(&other, now(5)), others, "{said}");
    }
    for (said, wanted) in
        [("CLIENT LIST", 2), ("CLIENT LIST ID 9 10", 1), ("CLIENT LIST TYPE pubsub", 0)]
    {
        client.say(said);
        let Effect::List(filter) = &client.effect else { panic!("{said}: {:?}", client.effect) };
        let mut out = Vec::new();
        let all = [client.connection.clone(), other.clone()];
        put_list(filter, all.iter(), now(5), &mut Reply::new(&mut out, Proto::Resp2));
        let Ok(Some((Value::Bulk(text), _))) = decode(&out) else { panic!("{said}") };
        assert_eq!(text.split(|&byte| byte == b'\n').count() - 1, wanted, "{said}");
    }
}

#[test]
fn info_has_what_software_reads() {
    let mut client = Client::new(None);
    let text = client.read("INFO");
    for field in [
        "# Server\r\nredis_version:7.4.2\r\n",
        "\r\nredis_mode:standalone\r\n",
        "\r\nrun_id:0000",
        "\r\ntcp_port:6379\r\n",
        "\r\nuptime_in_seconds:0\r\n",
        "\r\nloading:0\r\n",
        "\r\nrole:master\r\n",
        "\r\nconnected_slaves:0\r\n",
        "\r\nmaster_repl_offset:0\r\n",
        "\r\ndriftless_groups_led:0\r\ndriftless_term:0\r\ndriftless_commit_lag:0\r\n",
        "\r\nconnected_clients:0\r\n",
        "\r\nblocked_clients:0\r\n",
        "\r\nused_memory:1572864\r\n",
        "\r\nused_memory_human:1.50M\r\n",
        "\r\nused_memory_rss:0\r\n",
        "\r\nused_memory_peak:0\r\n",
        "\r\nmaxmemory:0\r\n",
        "\r\nmaxmemory_policy:noeviction\r\n",
        "\r\ntotal_commands_processed:0\r\n",
        "\r\ntotal_connections_received:0\r\n",
        "\r\ninstantaneous_ops_per_sec:0\r\n",
        "\r\nexpired_keys:0\r\n",
        "\r\nevicted_keys:0\r\n",
        "\r\nkeyspace_hits:0\r\n",
        "\r\nkeyspace_misses:0\r\n",
        "\r\n# Cluster\r\ncluster_enabled:0\r\n",
        "\r\n\r\n# Keyspace\r\ndb3:keys=5,expires=2,",
    ] {
        assert!(text.contains(field), "{field:?} is not in {text}");
    }
    assert!(!text.contains("valkey_version") && !text.contains("# Commandstats"));
    assert_eq!(client.read("INFO cluster"), "# Cluster\r\ncluster_enabled:0\r\n");
    assert!(client.read("INFO all").contains("# Commandstats"));
    assert_eq!(client.read("INFO nothing"), "");
}

/// Counts the values of an answer, down to the innermost.
fn count(items: Items<'_>) -> usize {
    items
        .map(|value| match value {
            Value::Array(items) | Value::Map(items) | Value::Set(items) => 1 + count(items),
            _ => 1,
        })
        .sum()
}

#[test]
fn the_table_is_told_in_a_form_that_decodes() {
    for version in ["HELLO 2", "HELLO 3"] {
        let mut client = Client::new(None);
        client.say(version);
        for line in
            ["COMMAND", "COMMAND INFO", "COMMAND DOCS", "COMMAND LIST", "COMMAND INFO get foo"]
        {
            let answer = client.say(line);
            let Ok(Some((value, used))) = decode(&answer) else { panic!("{line} does not decode") };
            assert_eq!(used, answer.len(), "{line}: counts are right");
            let (Value::Array(items) | Value::Map(items)) = value else { panic!("{line}") };
            assert!(count(items) > 10, "{line}");
        }
    }
}

#[test]
fn commands_are_described_as_redis_does() {
    check(
        None,
        &[
            (
                "COMMAND INFO get",
                "*1\\r\\n*10\\r\\n$3\\r\\nget\\r\\n:2\\r\\n*2\\r\\n+readonly\\r\\n+fast\\r\\n:1\\r\\n:1\\r\\n:1\\r\\n\
             *3\\r\\n+@read\\r\\n+@string\\r\\n+@fast\\r\\n*0\\r\\n*1\\r\\n*6\\r\\n$5\\r\\nflags\\r\\n*2\\r\\n+RO\\r\\n\
             +access\\r\\n$12\\r\\nbegin_search\\r\\n*4\\r\\n$4\\r\\ntype\\r\\n$5\\r\\nindex\\r\\n$4\\r\\nspec\\r\\n*2\\r\\n\
             $5\\r\\nindex\\r\\n:1\\r\\n$9\\r\\nfind_keys\\r\\n*4\\r\\n$4\\r\\ntype\\r\\n$5\\r\\nrange\\r\\n$4\\r\\nspec\\r\\n\
             *6\\r\\n$7\\r\\nlastkey\\r\\n:0\\r\\n$7\\r\\nkeystep\\r\\n:1\\r\\n$5\\r\\nlimit\\r\\n:0\\r\\n*0\\r\\n",
            ),
            ("COMMAND INFO nothing", "*1\\r\\n$-1\\r\\n"),
            ("COMMAND DOCS nothing", "*0\\r\\n"),
            ("COMMAND GETKEYS MSET a 1 b 2", "*2\\r\\n$1\\r\\na\\r\\n$1\\r\\nb\\r\\n"),
            ("COMMAND GETKEYS OBJECT ENCODING k", "*1\\r\\n$1\\r\\nk\\r\\n"),
            ("COMMAND GETKEYS PING x", "-ERR The command has no key arguments\\r\\n"),
            ("COMMAND GETKEYS nothing x", "-ERR Invalid command specified\\r\\n"),
            ("COMMAND GETKEYS GET", "-ERR Invalid number of arguments specified for command\\r\\n"),
            (
                "COMMAND GETKEYSANDFLAGS RENAME a b",
                "*2\\r\\n*2\\r\\n$1\\r\\na\\r\\n*3\\r\\n+RW\\r\\n+access\\r\\n+delete\\r\\n\
             *2\\r\\n$1\\r\\nb\\r\\n*2\\r\\n+OW\\r\\n+update\\r\\n",
            ),
            (
                "COMMAND LIST FILTERBY PATTERN s[ae]*t",
                "*2\\r\\n$6\\r\\nselect\\r\\n$3\\r\\nset\\r\\n",
            ),
            ("COMMAND LIST FILTERBY MODULE x", "*0\\r\\n"),
            ("COMMAND LIST FILTERBY X x", "-ERR syntax error\\r\\n"),
            ("COMMAND NOTHING", "-ERR unknown subcommand \\'NOTHING\\'. Try COMMAND HELP.\\r\\n"),
        ],
    );
    let mut client = Client::new(None);
    assert!(client.text("CLIENT HELP").starts_with("*37\\r\\n+CLIENT <subcommand> [<arg>"));
    let keyspace = client.text("COMMAND LIST FILTERBY ACLCAT keyspace");
    assert!(keyspace.contains("\\r\\ndel\\r\\n") && !keyspace.contains("\\r\\nget\\r\\n"));
}

#[test]
fn what_the_operator_defined_cannot_be_set() {
    let mut client = Client::new(None);
    client.settings.define("port", "7000");
    assert_eq!(client.settings.value("PORT"), Some("7000"));
    assert_eq!(client.text("CONFIG GET port"), "*2\\r\\n$4\\r\\nport\\r\\n$4\\r\\n7000\\r\\n");
    assert!(client.text("CONFIG SET port 1").contains("immutable"));
    assert_eq!(client.settings.value("port"), Some("7000"));
}

#[test]
fn what_is_refused_is_refused_as_redis_does() {
    let count = "-ERR count should be greater than or equal to -1\\r\\n";
    let range = "-ERR value is out of range, value must between -2147483648 and 2147483647\\r\\n";
    check(
        None,
        &[
            ("SLOWLOG GET", "*0\\r\\n"),
            ("SLOWLOG GET -1", "*0\\r\\n"),
            ("SLOWLOG GET -2", count),
            ("SLOWLOG GET x", count),
            (
                "SLOWLOG get 1 2",
                "-ERR unknown subcommand or wrong number of arguments for \\'get\\'. Try SLOWLOG HELP.\\r\\n",
            ),
            (
                "CLIENT pause 1 all x",
                "-ERR unknown subcommand or wrong number of arguments for \\'pause\\'. Try CLIENT HELP.\\r\\n",
            ),
            ("CLIENT PAUSE x", "-ERR timeout is not an integer or out of range\\r\\n"),
            ("CLIENT PAUSE 1 x", "-ERR CLIENT PAUSE mode must be WRITE or ALL\\r\\n"),
            ("SELECT 99999999999", range),
            ("BGSAVE x", "-ERR syntax error\\r\\n"),
            ("BGSAVE SCHEDULE", "+Background saving started\\r\\n"),
        ],
    );
}
