//! What commands answer, by tables; and what random ones do, in [`model`].

mod model;
mod ops;

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::cell::Cell;

use crate::command::{Applying, Found, Outcome, Reading, Scope, apply, encode, read, resolve};
use crate::ids::Keyspace;
use crate::resp::{ArgsBuffer, Proto, Reply};
use crate::store::{Store, Version};
use crate::time::WallTime;

/// Bytes of changes that a group remembers.
const REMEMBERED: usize = 8 << 10;

/// One group on one node, at a time of its own.
struct Group {
    store: Store,
    keyspace: Keyspace,
    /// What the log's time and the clock are.
    log: u64,
    wall: u64,
    version: u64,
    /// The last op.
    op: Vec<u8>,
    /// Keys that reads looked up.
    found: Cell<Found>,
}

impl Group {
    fn new() -> Self {
        let mut store = Store::with_segments_of(7, 4);
        store.remember_changes(REMEMBERED, Version(0));
        Self {
            store,
            keyspace: Keyspace(0),
            log: 1000,
            wall: 1000,
            version: 0,
            op: Vec::new(),
            found: Cell::default(),
        }
    }

    /// Both clocks go on together.
    fn at(mut self, time: u64) -> Self {
        (self.log, self.wall) = (time, time);
        self
    }

    fn run(&mut self, parts: &[&[u8]]) -> String {
        let (mut buffer, mut bytes, mut out) = (ArgsBuffer::default(), Vec::new(), Vec::new());
        let args = buffer.compose(&mut bytes, parts);
        let spec = resolve(&args).unwrap_or_else(|_| panic!("{parts:?} is no command"));
        assert!(spec.accepts(args.len()), "{parts:?} has not the number of arguments it needs");
        let mut reply = Reply::new(&mut out, Proto::Resp2);
        if matches!(spec.scope, Scope::Write | Scope::SplitWrite(_) | Scope::EveryWrite(_)) {
            self.op = b"before".to_vec();
            let encoded = encode(spec, self.keyspace, &args, WallTime(self.wall), &mut self.op);
            if let Err(refusal) = encoded {
                assert_eq!(self.op, b"before", "a refused write leaves no bytes");
                refusal.put(&mut reply);
            } else {
                self.op.drain(..b"before".len());
                self.version += 1;
                let (now, version) = (WallTime(self.log), Version(self.version));
                let applying = Applying { now, version };
                apply(&self.op, applying, &mut self.store, &mut reply).expect("well formed");
            }
        } else {
            let (log, wall) = (WallTime(self.log), WallTime(self.wall));
            let reading = Reading { log, wall, chance: 5, found: &self.found };
            let outcome = read(spec, self.keyspace, &args, reading, &self.store, &mut reply);
            if outcome == Outcome::Overdue {
                assert!(out.is_empty(), "an overdue read answers nothing");
                return "overdue".to_string();
            }
        }
        String::from_utf8_lossy(&out).trim_end().replace("\r\n", " ")
    }

    /// A line of words; `''` is an empty one.
    fn line(&mut self, line: &str) -> String {
        let words = line.split(' ').map(|word| if word == "''" { "" } else { word });
        let parts: Vec<&[u8]> = words.map(str::as_bytes).collect();
        self.run(&parts)
    }
}

/// Runs lines of `command -> answer` one after the other.
fn check_in(group: &mut Group, story: &str) {
    for line in story.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let (command, answer) = line.split_once(" -> ").expect("a command and its answer");
        assert_eq!(group.line(command), answer, "{command}");
        group.store.check();
    }
}

fn check(story: &str) {
    check_in(&mut Group::new(), story);
}

#[test]
fn set_and_get() {
    check(
        "GET k -> $-1
         SET k one -> +OK
         GET k -> $3 one
         set k two nx -> $-1
         SET k two XX -> +OK
         SET other two XX -> $-1
         SET other two NX -> +OK
         SET k three GET -> $3 two
         SET new three GET -> $-1
         SET new four NX GET -> $5 three
         GET new -> $5 three
         SET k v NX XX -> -ERR syntax error
         SET k v EX -> -ERR syntax error
         SET k v EX 10 PX 10 -> -ERR syntax error
         SET k v EX 10 KEEPTTL -> -ERR syntax error
         SET k v KEEPTTL PXAT 10 -> -ERR syntax error
         SET k v nonsense -> -ERR syntax error
         SET k v EX ten -> -ERR value is not an integer or out of range
         SET k v EX 0 -> -ERR invalid expire time in 'set' command
         SET k v PX -5 -> -ERR invalid expire time in 'set' command
         SET k v EX 9223372036854775807 -> -ERR invalid expire time in 'set' command
         SETEX k 0 v -> -ERR invalid expire time in 'setex' command
         PSETEX k -1 v -> -ERR invalid expire time in 'psetex' command
         GETEX k EX 0 -> -ERR invalid expire time in 'getex' command
         GETEX k EX 10 PX 10 -> -ERR syntax error
         GETEX k EX 10 PERSIST -> -ERR syntax error
         GETEX k PERSIST EX 10 -> -ERR syntax error
         GETEX k EX 10 ex 20 -> $5 three
         GETEX k PERSIST persist -> $5 three
         GET k -> $5 three
         SETNX k v -> :0
         SETNX fresh v -> :1
         GETSET k w -> $5 three
         GETSET nothing w -> $-1
         GETDEL k -> $1 w
         GETDEL k -> $-1
         GET nothing -> $1 w
         MSET a 1 b 2 a 3 -> +OK
         MGET a b c a -> *4 $1 3 $1 2 $-1 $1 3
         MSETNX c 1 a 2 -> :0
         MSETNX c 1 d 2 -> :1
         MSET a 1 b -> -ERR wrong number of arguments for 'mset' command
         MSETNX a 1 b -> -ERR wrong number of arguments for 'msetnx' command",
    );
}

#[test]
fn parts_of_strings() {
    check(
        "APPEND k Hello -> :5
         APPEND k World -> :10
         STRLEN k -> :10
         STRLEN nothing -> :0
         GETRANGE k 0 3 -> $4 Hell
         GETRANGE k -3 -1 -> $3 rld
         GETRANGE k 0 -1 -> $10 HelloWorld
         GETRANGE k 5 100 -> $5 World
         GETRANGE k 8 2 -> $0
         GETRANGE k -2 -5 -> $0
         GETRANGE k -100 1 -> $2 He
         GETRANGE k -100 -50 -> $1 H
         GETRANGE nothing 0 -1 -> $0
         SUBSTR k 1 2 -> $2 el
         GETRANGE k a 2 -> -ERR value is not an integer or out of range
         SETRANGE k 5 Redis -> :10
         SETRANGE k 8 forever -> :15
         GET k -> $15 HelloRedforever
         SETRANGE k -1 x -> -ERR offset is out of range
         SETRANGE k x x -> -ERR value is not an integer or out of range
         SETRANGE k 536870912 x -> -ERR string exceeds maximum allowed size (proto-max-bulk-len)
         SETRANGE nothing 3 '' -> :0
         EXISTS nothing -> :0
         SETRANGE k 3 '' -> :15
         SETRANGE padded 2 x -> :3
         GET padded -> $3 \0\0x",
    );
}

#[test]
fn numbers() {
    check(
        "INCR n -> :1
         INCRBY n 41 -> :42
         DECR n -> :41
         DECRBY n 43 -> :-2
         GET n -> $2 -2
         INCRBY n x -> -ERR value is not an integer or out of range
         INCRBY n 9223372036854775808 -> -ERR value is not an integer or out of range
         DECRBY n -9223372036854775808 -> -ERR decrement would overflow
         DECRBY n 9223372036854775806 -> :-9223372036854775808
         DECR n -> -ERR increment or decrement would overflow
         INCRBY n 9223372036854775807 -> :-1
         SET n 9223372036854775807 -> +OK
         INCR n -> -ERR increment or decrement would overflow
         SET n 01 -> +OK
         INCR n -> -ERR value is not an integer or out of range
         SET n '' -> +OK
         INCR n -> -ERR value is not an integer or out of range
         SET n -0 -> +OK
         INCR n -> -ERR value is not an integer or out of range
         SET f 10.50 -> +OK
         INCRBYFLOAT f 0.1 -> $4 10.6
         INCRBYFLOAT f -5 -> $3 5.6
         SET f 5.0e3 -> +OK
         INCRBYFLOAT f 2.0e2 -> $4 5200
         SET f 0.1 -> +OK
         INCRBYFLOAT f 0.2 -> $3 0.3
         INCRBYFLOAT f -0.3 -> $1 0
         INCRBYFLOAT f 3.0e3 -> $4 3000
         INCRBYFLOAT f -.5 -> $6 2999.5
         INCRBYFLOAT fresh +1.25 -> $4 1.25
         INCRBYFLOAT f x -> -ERR value is not a valid float
         INCRBYFLOAT f nan -> -ERR value is not a valid float
         INCRBYFLOAT f '' -> -ERR value is not a valid float
         INCRBYFLOAT f inf -> -ERR increment would produce NaN or Infinity
         SET f abc -> +OK
         INCRBYFLOAT f 1 -> -ERR value is not a valid float
         INCRBYFLOAT large 9223372036854775807 -> $19 9223372036854775807
         INCRBYFLOAT large -1 -> $19 9223372036854775806
         GET f -> $3 abc",
    );
}

#[test]
fn keys() {
    check(
        "MSET a 1 b 2 c 3 -> +OK
         DBSIZE -> :3
         EXISTS a b nothing a -> :3
         TOUCH a nothing -> :1
         TYPE a -> +string
         TYPE nothing -> +none
         DEL a nothing a -> :1
         UNLINK b -> :1
         RENAME nothing x -> -ERR no such key
         RENAME c d -> +OK
         RENAME d d -> +OK
         RENAMENX d d -> :0
         GET d -> $1 3
         SET e 5 -> +OK
         RENAMENX d e -> :0
         RENAMENX d f -> :1
         RENAMENX d f -> -ERR no such key
         COPY e e -> -ERR source and destination objects are the same
         COPY e f -> :0
         COPY e f REPLACE -> :1
         COPY nothing f REPLACE -> :0
         COPY e e DB 3 -> :1
         COPY e e DB 16 -> -ERR DB index is out of range
         COPY e e DB x -> -ERR value is not an integer or out of range
         COPY e e DB -> -ERR syntax error
         COPY e f nonsense -> -ERR syntax error
         MGET e f -> *2 $1 5 $1 5
         FLUSHDB nonsense -> -ERR syntax error
         FLUSHDB ASYNC SYNC -> -ERR syntax error
         FLUSHDB ASYNC -> +OK
         DBSIZE -> :0",
    );
    let mut group = Group::new();
    check_in(&mut group, "SET k v -> +OK\nCOPY k k DB 3 -> :1\nFLUSHDB -> +OK");
    group.keyspace = Keyspace(3);
    check_in(&mut group, "GET k -> $1 v\nFLUSHALL SYNC -> +OK\nGET k -> $-1");
}

#[test]
fn deadlines() {
    check(
        "SET k v -> +OK
         TTL k -> :-1
         GETTTL k -> *2 $1 v :-1
         TTL nothing -> :-2
         EXPIRETIME k -> :-1
         PEXPIRETIME nothing -> :-2
         EXPIRE nothing 10 -> :0
         EXPIRE k 10 -> :1
         TTL k -> :10
         PTTL k -> :10000
         GETTTL k -> *2 $1 v :10000
         GETTTL nothing -> $-1
         EXPIRETIME k -> :11
         PEXPIRETIME k -> :11000
         EXPIRE k 5 GT -> :0
         EXPIRE k 20 GT -> :1
         EXPIRE k 30 LT -> :0
         EXPIRE k 15 LT -> :1
         EXPIRE k 15 NX -> :0
         EXPIRE k 16 XX GT -> :1
         PTTL k -> :16000
         PERSIST k -> :1
         PERSIST k -> :0
         EXPIRE k 10 XX -> :0
         EXPIRE k 10 GT -> :0
         EXPIRE k 10 LT -> :1
         PERSIST k -> :1
         EXPIRE k 10 NX -> :1
         EXPIRE k 10 NX XX -> -ERR NX and XX, GT or LT options at the same time are not compatible
         EXPIRE k 10 GT LT -> -ERR GT and LT options at the same time are not compatible
         EXPIRE k 10 nonsense -> -ERR Unsupported option nonsense
         EXPIREAT k 10 NX GT x -> -ERR Unsupported option x
         EXPIRE k x -> -ERR value is not an integer or out of range
         EXPIRE k 9223372036854775807 -> -ERR invalid expire time in 'expire' command
         PEXPIRE k 9223372036854775807 -> -ERR invalid expire time in 'pexpire' command
         EXPIREAT k -9223372036854775808 -> -ERR invalid expire time in 'expireat' command
         PTTL k -> :10000",
    );
}

#[test]
fn deadlines_stay_or_go_with_the_value() {
    check(
        "SET k v -> +OK
         PEXPIRE k 1700 -> :1
         TTL k -> :2
         PEXPIREAT k 5000 -> :1
         PTTL k -> :4000
         SET k w KEEPTTL -> +OK
         PTTL k -> :4000
         APPEND k x -> :2
         SETRANGE k 0 y -> :2
         PTTL k -> :4000
         GETEX k -> $2 yx
         PTTL k -> :4000
         GETEX k PERSIST -> $2 yx
         TTL k -> :-1
         GETEX k EXAT 9 -> $2 yx
         PTTL k -> :8000
         GETEX k PERSIST EX 9 -> -ERR syntax error
         GETEX k EX -> -ERR syntax error
         GETEX k nonsense 3 -> -ERR syntax error
         GETEX nothing EX 3 -> $-1
         RENAME k l -> +OK
         PTTL l -> :8000
         COPY l k -> :1
         PTTL k -> :8000
         SET k v -> +OK
         TTL k -> :-1
         SETEX n 7 5 -> +OK
         INCR n -> :6
         INCRBYFLOAT n 0.5 -> $3 6.5
         TTL n -> :7
         EXPIREAT n 1 -> :1
         EXISTS n -> :0
         EXPIRE l -1 -> :1
         EXISTS l -> :0
         SET k v PXAT 500 GET -> $1 v
         EXISTS k -> :0",
    );
}

#[test]
fn keys_that_have_ended_are_not_there() {
    let write = "SET k 5 PX 100 -> +OK\nSET other v -> +OK";
    for (command, answer) in [
        ("GET k", "$-1"),
        ("INCR k", ":1"),
        ("INCRBYFLOAT k 1", "$1 1"),
        ("APPEND k x", ":1"),
        ("SETRANGE k 1 x", ":2"),
        ("SET k v XX", "$-1"),
        ("SET k v NX", "+OK"),
        ("SET k v GET", "$-1"),
        ("SETNX k v", ":1"),
        ("GETDEL k", "$-1"),
        ("GETEX k PERSIST", "$-1"),
        ("PERSIST k", ":0"),
        ("EXPIRE k 10", ":0"),
        ("DEL k", ":0"),
        ("RENAME k l", "-ERR no such key"),
        ("RENAMENX other k", ":1"),
        ("COPY k l", ":0"),
        ("COPY other k", ":1"),
        ("MSETNX k 1 l 2", ":1"),
        ("EXISTS k other", ":1"),
        ("TTL k", ":-2"),
        ("GETTTL k", "$-1"),
        ("MGET k other", "*2 $-1 $1 v"),
        ("KEYS *", "*1 $5 other"),
        ("SCAN 0", "*2 $1 0 *1 $5 other"),
        ("RANDOMKEY", "$5 other"),
        ("DBSIZE", ":1"),
        ("OBJECT ENCODING k", "$-1"),
        ("MEMORY USAGE k", "$-1"),
    ] {
        let mut group = Group::new();
        check_in(&mut group, write);
        let mut group = group.at(1100);
        assert_eq!(group.line(command), answer, "{command}");
        group.store.check();
        // Whatever was made anew has no deadline.
        assert!(["-2", "-1"].map(|left| format!(":{left}")).contains(&group.line("TTL k")));
        let mut reads_at_1099 = Group::new();
        check_in(&mut reads_at_1099, write);
        check_in(&mut reads_at_1099.at(1099), "EXISTS k -> :1");
    }
}

#[test]
fn reads_wait_for_the_log_where_the_clock_is_ahead() {
    for command in [
        "GET k",
        "STRLEN k",
        "GETRANGE k 0 1",
        "MGET other k",
        "EXISTS other k",
        "TYPE k",
        "TTL k",
        "PTTL k",
        "EXPIRETIME k",
        "KEYS k*",
        "SCAN 0",
        "DBSIZE",
        "OBJECT ENCODING k",
        "MEMORY USAGE k",
        "DEBUG OBJECT k",
    ] {
        let mut group = Group::new();
        check_in(&mut group, "SET k v PX 100 -> +OK\nSET other v -> +OK");
        group.wall = 1100;
        assert_eq!(group.line(command), "overdue", "{command}");
        check_in(&mut group, "GET other -> $1 v\nKEYS o* -> *1 $5 other");
        group.log = 1100;
        assert_ne!(group.line(command), "overdue", "{command}");
    }
}

#[test]
fn scans() {
    let mut group = Group::new();
    assert_eq!(group.line("SCAN 0"), "*2 $1 0 *0");
    assert_eq!(group.line("RANDOMKEY"), "$-1");
    for number in 0..50 {
        group.line(&format!("SET key:{number} v"));
    }
    let (mut cursor, mut seen, mut calls) = ("0".to_string(), Vec::new(), 0);
    loop {
        let answer = group.line(&format!("SCAN {cursor} COUNT 7 MATCH key:*"));
        let words: Vec<&str> = answer.split(' ').collect();
        cursor = words[2].to_string();
        let names = words[4..].iter().skip(1).step_by(2);
        seen.extend(names.map(ToString::to_string));
        calls += 1;
        if cursor == "0" {
            break;
        }
    }
    assert!(calls >= 7, "pages are of about the size asked for");
    seen.sort();
    seen.dedup();
    assert_eq!(seen.len(), 50);
    assert_eq!(group.line("KEYS *").split(' ').next(), Some("*50"));
    check_in(
        &mut group,
        "KEYS key:4[0] -> *1 $6 key:40
         KEYS nothing* -> *0
         SCAN 0 COUNT 1000 MATCH key:7 -> *2 $1 0 *1 $5 key:7
         SCAN 0 COUNT 1000 TYPE list -> *2 $1 0 *0
         SCAN x -> -ERR invalid cursor
         SCAN -1 -> -ERR invalid cursor
         SCAN +1 -> -ERR invalid cursor
         SCAN 18446744073709551615 -> *2 $1 0 *0
         SCAN 0 COUNT 0 -> -ERR syntax error
         SCAN 0 COUNT x -> -ERR value is not an integer or out of range
         SCAN 0 COUNT -> -ERR syntax error
         SCAN 0 nonsense 1 -> -ERR syntax error",
    );
    assert!(group.line("RANDOMKEY").contains("key:"));
}

#[test]
fn looks_inside() {
    let mut group = Group::new();
    group.line(&format!("SET long {}", "x".repeat(45)));
    check_in(
        &mut group,
        "SET n 12 -> +OK
         SET s abc -> +OK
         OBJECT ENCODING n -> $3 int
         OBJECT ENCODING s -> $6 embstr
         OBJECT ENCODING long -> $3 raw
         OBJECT REFCOUNT s -> :1
         OBJECT IDLETIME s -> :0
         OBJECT IDLETIME nothing -> $-1
         MEMORY USAGE nothing -> $-1
         MEMORY USAGE s SAMPLES -> -ERR syntax error
         MEMORY USAGE s SAMPLES -1 -> -ERR syntax error
         MEMORY USAGE s SAMPLES x -> -ERR value is not an integer or out of range
         DEBUG OBJECT nothing -> -ERR no such key",
    );
    assert!(group.line("OBJECT FREQ s").starts_with("-ERR An LFU maxmemory policy"));
    assert!(group.line("MEMORY USAGE long SAMPLES 5").starts_with(':'));
    assert!(group.line("DEBUG OBJECT s").contains("encoding:embstr serializedlength:3"));
}

#[test]
fn keys_and_values_are_any_bytes() {
    let mut group = Group::new();
    let (name, value) = (&b"\0\r\n\xff"[..], &b"\xfe\0 \r\n"[..]);
    assert_eq!(group.run(&[b"SET", name, value]), "+OK");
    assert_eq!(group.run(&[b"STRLEN", name]), ":5");
    assert_eq!(group.run(&[b"SET", b"", b""]), "+OK");
    assert_eq!(group.run(&[b"GET", b""]), "$0");
    assert_eq!(group.run(&[b"EXISTS", b"", name]), ":2");
}

#[test]
fn reads_count_the_keys_that_they_find_and_miss() {
    let mut group = Group::new();
    let table = [
        ("SET a 1", 0, 0),
        ("GET a", 1, 0),
        ("GET b", 0, 1),
        ("MGET a b a", 2, 1),
        ("EXISTS a b", 1, 1),
        ("TTL a", 1, 0),
        ("STRLEN b", 0, 1),
        ("GETRANGE b 0 1", 0, 1),
        ("TYPE b", 0, 1),
        ("DBSIZE", 0, 0),
        ("RANDOMKEY", 0, 0),
        ("KEYS *", 0, 0),
    ];
    for (line, hits, misses) in table {
        group.found.set(Found::default());
        group.line(line);
        assert_eq!(group.found.get(), Found { hits, misses }, "{line}");
    }
}

#[test]
fn changes_are_told_from_any_place_and_those_of_one_write_together() {
    check(
        "CHANGES 1 $ -> *2 :0 *0
         SET a 1 -> +OK
         MSET b 2 ab 3 -> +OK
         PEXPIRE a 500 -> :1
         DEL b none -> :1
         CHANGES 1 1 COUNT 1 -> *2 :2 *2 *5 :2 $3 set $1 b $1 2 :-1 *5 :2 $3 set $2 ab $1 3 :-1
         CHANGES 1 2 -> *2 :4 *2 *5 :3 $6 expiry $1 a $-1 :1500 *5 :4 $7 removed $1 b $-1 :-1
         CHANGES 1 0 MATCH ab -> *2 :4 *1 *5 :2 $3 set $2 ab $1 3 :-1
         CHANGES 1 4 -> *2 :4 *0
         CHANGES 1 9 -> *2 :9 *0
         CHANGES 1 $ -> *2 :4 *0
         FLUSHDB -> +OK
         CHANGES 1 4 MATCH x* -> *2 :5 *1 *5 :5 $7 cleared $0  $-1 :-1
         CHANGES 1 -1 -> -ERR invalid place
         CHANGES 1 x -> -ERR invalid place
         CHANGES 1 4 COUNT 0 -> -ERR syntax error
         CHANGES 1 4 TYPE string -> -ERR syntax error
         CHANGES 1 4 MATCH -> -ERR syntax error",
    );
}

#[test]
fn who_asks_for_forgotten_changes_is_told_so() {
    let mut group = Group::new();
    for number in 0..200 {
        group.line(&format!("SET key:{number} {}", "x".repeat(100)));
    }
    let from = group.store.changes().before().0;
    assert!((100..200).contains(&from), "some are forgotten, and some are not: {from}");
    let text =
        format!("CHANGES 1 0 -> -GONE changes after 0 are not remembered, only those after {from}");
    check_in(&mut group, &text);
    assert!(
        group.line(&format!("CHANGES 1 {from}")).starts_with(&format!("*2 :200 *{}", 200 - from))
    );
    // Too large a value is told without its bytes, too large a key not at all.
    group.line(&format!("SET large {}", "x".repeat(REMEMBERED / 8)));
    check_in(&mut group, "CHANGES 1 200 -> *2 :201 *1 *5 :201 $3 set $5 large $-1 :-1");
    group.line(&format!("SET {} x", "k".repeat(REMEMBERED / 8)));
    check_in(
        &mut group,
        "CHANGES 1 201 -> -GONE changes after 201 are not remembered, only those after 202
         CHANGES 1 202 -> *2 :202 *0",
    );
}
