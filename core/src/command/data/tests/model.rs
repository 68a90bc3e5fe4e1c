//! Random commands against a plain map, with images, reloads and expiry in between.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;

use crate::command::data::tests::Group;
use crate::command::{Applying, apply, encode_expire};
use crate::resp::Reply;
use crate::rng::{Chance, Seed};
use crate::store::{Store, Version};
use crate::time::WallTime;

/// What commands should do, said as simply as possible.
#[derive(Default)]
struct Model {
    keys: BTreeMap<String, (String, Option<u64>)>,
    now: u64,
}

fn bulk(value: Option<&str>) -> String {
    value.map_or("$-1".to_string(), |text| format!("${} {text}", text.len()).trim_end().to_string())
}

impl Model {
    fn get(&self, key: &str) -> Option<&str> {
        self.keys.get(key).map(|(value, _)| value.as_str())
    }

    fn tick(&mut self, now: u64) {
        self.now = now;
        self.keys.retain(|_, (_, ends)| ends.is_none_or(|at| at > now));
    }

    fn set(&mut self, key: &str, value: &str, ends: Option<u64>) {
        if ends.is_some_and(|at| at <= self.now) {
            self.keys.remove(key);
        } else {
            self.keys.insert(key.to_string(), (value.to_string(), ends));
        }
    }

    fn ends(&self, key: &str) -> Option<u64> {
        self.keys.get(key).and_then(|&(_, ends)| ends)
    }

    fn end_at(&mut self, key: &str, at: i64) -> String {
        let Some(value) = self.get(key).map(ToString::to_string) else { return ":0".to_string() };
        self.set(key, &value, Some(at.max(0).cast_unsigned()));
        ":1".to_string()
    }

    fn rename(&mut self, from: &str, to: &str, removes: bool) {
        if let Some(entry) = self.keys.get(from).cloned() {
            if removes {
                self.keys.remove(from);
            }
            self.keys.insert(to.to_string(), entry);
        }
    }

    fn add(&mut self, key: &str, by: i64) -> String {
        let old = self.get(key).unwrap_or("0");
        let plain = |number: &i64| number.to_string() == old;
        let Some(old) = old.parse::<i64>().ok().filter(plain) else {
            return "-ERR value is not an integer or out of range".to_string();
        };
        let ends = self.ends(key);
        self.set(key, &(old + by).to_string(), ends);
        format!(":{}", old + by)
    }

    fn run(&mut self, words: &[&str]) -> String {
        let ok = "+OK".to_string();
        let number = |at: usize| words[at].parse::<i64>().expect("the test writes numbers");
        match (words[0], words[1]) {
            ("GET", key) => bulk(self.get(key)),
            ("SET", key) => {
                let relative = words.get(4).map(|_| self.now + number(4).cast_unsigned());
                let keep = words.get(3) == Some(&"KEEPTTL");
                let ends = if keep { self.ends(key) } else { relative };
                self.set(key, words[2], ends);
                ok
            }
            ("SETNX", key) => {
                let there = self.get(key).is_some();
                if !there {
                    self.set(key, words[2], None);
                }
                format!(":{}", i32::from(!there))
            }
            ("GETSET", key) => {
                let old = bulk(self.get(key));
                self.set(key, words[2], None);
                old
            }
            ("GETDEL", key) => bulk(self.keys.remove(key).as_ref().map(|(value, _)| &value[..])),
            ("APPEND", key) => {
                let value = format!("{}{}", self.get(key).unwrap_or(""), words[2]);
                let ends = self.ends(key);
                self.set(key, &value, ends);
                format!(":{}", value.len())
            }
            ("SETRANGE", key) => {
                let mut value = self.get(key).unwrap_or("").as_bytes().to_vec();
                let (at, part) = (number(2).cast_unsigned() as usize, words[3].as_bytes());
                value.resize(value.len().max(at + part.len()), 0);
                value[at..at + part.len()].copy_from_slice(part);
                let (ends, len) = (self.ends(key), value.len());
                self.set(key, &String::from_utf8(value).expect("plain letters"), ends);
                format!(":{len}")
            }
            ("INCRBY", key) => self.add(key, number(2)),
            ("DEL", _) => {
                let gone = words[1..].iter().filter(|&&key| self.keys.remove(key).is_some());
                format!(":{}", gone.count())
            }
            ("MSET", _) => {
                words[1..].chunks(2).for_each(|pair| self.set(pair[0], pair[1], None));
                ok
            }
            ("MGET", _) => {
                let values: Vec<String> =
                    words[1..].iter().map(|key| bulk(self.get(key))).collect();
                format!("*{} {}", values.len(), values.join(" "))
            }
            _ => self.run_on_keys(words),
        }
    }

    fn run_on_keys(&mut self, words: &[&str]) -> String {
        let ok = "+OK".to_string();
        let number = |at: usize| words[at].parse::<i64>().expect("the test writes numbers");
        match (words[0], words[1]) {
            ("RENAME", key) if self.get(key).is_none() => "-ERR no such key".to_string(),
            ("RENAME", key) => {
                self.rename(key, words[2], true);
                ok
            }
            ("COPY", key) if key == words[2] => {
                "-ERR source and destination objects are the same".to_string()
            }
            ("COPY", key) => {
                let copies = self.get(key).is_some();
                self.rename(key, words[2], false);
                format!(":{}", i32::from(copies))
            }
            ("PEXPIRE", key) => self.end_at(key, self.now.cast_signed() + number(2)),
            ("PERSIST", key) => {
                let ends = self.keys.get_mut(key).and_then(|entry| entry.1.take());
                format!(":{}", i32::from(ends.is_some()))
            }
            ("PTTL", key) => match self.keys.get(key) {
                None => ":-2".to_string(),
                Some((_, ends)) => {
                    ends.map_or(":-1".to_string(), |at| format!(":{}", at - self.now))
                }
            },
            ("DBSIZE", _) => format!(":{}", self.keys.len()),
            ("FLUSHDB", _) => {
                self.keys.clear();
                ok
            }
            (name, _) => panic!("the model does not know {name}"),
        }
    }
}

fn command(chance: &mut Chance) -> Vec<String> {
    let mut key = || format!("k{}", chance.up_to(40));
    let (one, two) = (key(), key());
    let value = match chance.up_to(9) {
        0..=3 => (chance.up_to(2000).cast_signed() - 1000).to_string(),
        4..=8 => "v".repeat(chance.between(1, 60) as usize),
        _ => "w".repeat(chance.between(4000, 6000) as usize),
    };
    let span = chance.between(1, 300).to_string();
    let words: Vec<&str> = match chance.up_to(40) {
        0..=4 => vec!["GET", &one],
        5..=9 => vec!["SET", &one, &value],
        10..=12 => vec!["SET", &one, &value, "PX", &span],
        13 => vec!["SET", &one, &value, "KEEPTTL"],
        14 => vec!["SETNX", &one, &value],
        15 => vec!["GETSET", &one, &value],
        16 => vec!["GETDEL", &one],
        17..=19 => vec!["APPEND", &one, &value],
        20..=21 => vec!["SETRANGE", &one, &span, &value],
        22..=24 => vec!["INCRBY", &one, &span],
        25..=26 => vec!["DEL", &one, &two],
        27..=28 => vec!["MSET", &one, &value, &two, "x"],
        29 => vec!["MGET", &one, &two],
        30..=31 => vec!["RENAME", &one, &two],
        32..=33 => vec!["COPY", &one, &two, "REPLACE"],
        34..=36 => vec!["PEXPIRE", &one, &span],
        37 => vec!["PERSIST", &one],
        38 => vec!["PTTL", &one],
        39 => vec!["DBSIZE", ""],
        _ if chance.chance(1, 10) => vec!["FLUSHDB", ""],
        _ => vec!["PEXPIRE", &one, "-5"],
    };
    words.into_iter().map(ToString::to_string).collect()
}

/// Applies to the replica what the group has just applied.
fn follow(group: &Group, replica: &mut Store) {
    let applying = Applying { now: WallTime(group.log), version: Version(group.version) };
    apply(&group.op, applying, replica, &mut Reply::nowhere()).expect("well formed");
}

fn reload(group: &mut Group, chance: &mut Chance) -> Store {
    let mut copy = Store::with_segments_of(7, chance.between(1, 30) as usize);
    loop {
        let mut chunk = Vec::new();
        let done = group.store.image_chunk(&mut chunk, 500);
        copy.load_chunk(&chunk).expect("chunks of an image load");
        if done {
            return copy;
        }
    }
}

#[test]
fn random_commands_do_what_the_model_does() {
    for seed in 1..=3 {
        let mut chance = Chance::new(Seed::from_number(seed), 0);
        let (mut group, mut model) = (Group::new(), Model::default());
        let mut replica = Store::with_segments_of(7, 1000);
        for step in 0..4000 {
            group = {
                let now = group.log + chance.up_to(5);
                group.at(now)
            };
            model.tick(group.log);
            let words = command(&mut chance);
            let mut words: Vec<&str> = words.iter().map(String::as_str).collect();
            let expected = model.run(&words);
            words.retain(|word| !word.is_empty());
            let parts: Vec<&[u8]> = words.iter().map(|word| word.as_bytes()).collect();
            group.op.clear();
            assert_eq!(group.run(&parts), expected, "seed {seed}, step {step}: {words:?}");
            if !group.op.is_empty() && group.op != b"before" {
                follow(&group, &mut replica);
            }
            if chance.chance(1, 20) {
                group.op.clear();
                encode_expire(chance.between(1, 5) as u32, &mut group.op);
                follow(&group, &mut replica);
                let applying =
                    Applying { now: WallTime(group.log), version: Version(group.version) };
                apply(&group.op, applying, &mut group.store, &mut Reply::nowhere())
                    .expect("well formed");
            }
            if chance.chance(1, 100) && !group.store.imaging() {
                group.store.begin_image();
                replica = reload(&mut group, &mut chance);
            }
            assert_eq!(group.store.digest(), replica.digest(), "seed {seed}, step {step}");
            if step % 100 == 0 {
                group.store.check();
                replica.check();
            }
        }
    }
}
