//! The bytes of writes in the log: stable, complete, and harmless when damaged.

use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;

use crate::command::data::op::Op;
use crate::command::data::tests::Group;
use crate::command::{Applying, apply, encode_expire, touched};
use crate::resp::Reply;
use crate::rng::{Chance, Seed};
use crate::store::{Store, Version};
use crate::time::WallTime;

/// Commands whose ops are all the kinds there are.
const EVERY_OP: &[&str] = &[
    "SET k v",
    "SET k v PX 5 NX GET",
    "GETEX k",
    "GETEX k EX 5",
    "GETEX k PERSIST",
    "GETDEL k",
    "APPEND k v",
    "SETRANGE k 5 v",
    "INCRBY k -7",
    "INCRBYFLOAT k 1.5",
    "MSET a 1 b 2",
    "MSETNX a 1 b 2",
    "DEL a b c",
    "RENAME a b",
    "RENAMENX a b",
    "COPY a b DB 3 REPLACE",
    "FLUSHDB",
    "FLUSHALL",
    "EXPIRE k 5 XX GT",
    "PERSIST k",
];

fn every_op() -> Vec<Vec<u8>> {
    let mut expire = Vec::new();
    encode_expire(9, &mut expire);
    let mut ops = vec![expire];
    for line in EVERY_OP {
        let mut group = Group::new();
        group.line(line);
        ops.push(group.op);
    }
    ops
}

#[test]
fn ops_keep_their_numbers() {
    let numbers: Vec<u8> = every_op().iter().map(|op| op[0]).collect();
    let expected = [17, 1, 1, 2, 2, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 11, 12, 13, 14, 15, 16];
    assert_eq!(numbers, expected);
    let mut group = Group::new();
    group.line("SET key value PX 5 XX");
    let bytes = b"\x01\x00\x03\x00\x00\x00key\x0a\xed\x03\0\0\0\0\0\0\x05\0\0\0value";
    assert_eq!(group.op, bytes);
}

#[test]
fn ops_say_which_keys_they_touch() {
    for (line, expected) in [
        ("SET k v", "k"),
        ("GETEX k", "k"),
        ("GETDEL k", "k"),
        ("APPEND k v", "k"),
        ("SETRANGE k 1 v", "k"),
        ("INCR k", "k"),
        ("INCRBYFLOAT k 1", "k"),
        ("MSET a 1 b 2", "a b"),
        ("DEL a b", "a b"),
        ("RENAME a b", "a b"),
        ("COPY a b", "b"),
        ("FLUSHDB", "any"),
        ("FLUSHALL", "any"),
        ("EXPIRE k 1", "k"),
        ("PERSIST k", "k"),
    ] {
        let mut group = Group::new();
        group.line(line);
        let mut names = Vec::new();
        touched(&group.op, &mut |key| {
            let name = key.map_or(&b"any"[..], |key| key.name);
            names.push(String::from_utf8_lossy(name).to_string());
        })
        .expect("well formed");
        assert_eq!(names.join(" "), expected, "{line}");
    }
}

#[test]
fn what_is_taken_is_what_was_put() {
    for op in every_op() {
        let mut again = Vec::new();
        Op::take(&op).expect("well formed").put(&mut again);
        assert_eq!(again, op);
    }
}

#[test]
fn damaged_ops_do_no_harm() {
    let mut chance = Chance::new(Seed::from_number(3), 0);
    let mut store = Store::with_segments_of(1, 2);
    let mut step = 0;
    for op in every_op() {
        for cut in 0..op.len() {
            assert!(Op::take(&op[..cut]).is_err(), "half an op is none");
        }
        let longer = [&op[..], &[0]].concat();
        assert!(Op::take(&longer).is_err(), "nothing may follow an op");
        for _ in 0..300 {
            let mut bytes = op.clone();
            for _ in 0..=chance.up_to(2) {
                let at = chance.up_to(bytes.len() as u64 - 1) as usize;
                bytes[at] = chance.bits() as u8;
            }
            // A large offset is well formed, and only makes this test slow.
            if matches!(Op::take(&bytes), Ok(Op::SetRange { offset, .. }) if offset > 1 << 20) {
                continue;
            }
            step += 1;
            let applying = Applying { now: WallTime(step), version: Version(step) };
            let known = touched(&bytes, &mut |_| {}).is_ok();
            let applied = apply(&bytes, applying, &mut store, &mut Reply::nowhere());
            assert_eq!(applied.is_ok(), known);
        }
        store.check();
    }
}
