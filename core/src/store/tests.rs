//! The store against a plain map, through random histories.

use alloc::collections::BTreeMap;
use alloc::string::ToString;
use alloc::vec;
use alloc::vec::Vec;

use crate::bytes::Malformed;
use crate::ids::{KEYSPACES, Key, Keyspace};
use crate::rng::{Chance, Seed};
use crate::store::slots::{Slots, kept};
use crate::store::{Store, Version};
use crate::time::WallTime;

type Model = BTreeMap<(Keyspace, Vec<u8>), (Vec<u8>, Option<WallTime>, Version)>;

const SECRET: u64 = 42;

fn chance(seed: u64) -> Chance {
    Chance::new(Seed::from_number(seed), 0)
}

fn key(keyspace: Keyspace, name: &[u8]) -> Key<'_> {
    Key { keyspace, name }
}

/// Bytes of changes that are remembered: a few hundred.
const REMEMBERED: usize = 40_000;

/// A store with tiny segments whose hashes keep only the bits of `mask`.
fn masked_store(most: usize, mask: u64) -> Store {
    let mut store = Store::with_segments_of(SECRET, most);
    for table in &mut store.tables {
        table.hasher.mask = mask;
    }
    store.remember_changes(REMEMBERED, Version(0));
    store
}

fn contents(store: &Store) -> Model {
    let mut found = Model::new();
    for keyspace in (0..KEYSPACES).map(Keyspace) {
        let mut cursor = Some(0);
        while let Some(at) = cursor {
            cursor = store.scan(keyspace, at, 3, &mut |name, value| {
                let entry = (value.bytes.to_vec(), value.expires_at, value.version);
                let twice = found.insert((keyspace, name.to_vec()), entry);
                assert!(twice.is_none(), "a scan showed a key twice");
            });
        }
    }
    found
}

fn image(store: &mut Store, budget: usize) -> Vec<Vec<u8>> {
    let mut chunks = Vec::new();
    loop {
        let mut chunk = Vec::new();
        let done = store.image_chunk(&mut chunk, budget);
        chunks.push(chunk);
        if done {
            return chunks;
        }
    }
}

/// A store of an image of the moment after `version`.
fn loaded(mut store: Store, chunks: &[Vec<u8>], version: u64) -> Store {
    for chunk in chunks {
        store.load_chunk(chunk).expect("chunks of an image load");
    }
    store.remember_changes(REMEMBERED, Version(version));
    store
}

/// One random change, to the store and to the model alike.
fn change(chance: &mut Chance, version: u64, stores: &mut [Store], model: &mut Model) {
    let keyspace = Keyspace(chance.up_to(2) as u8);
    let name = chance.up_to(60).to_string().into_bytes();
    let size = match chance.up_to(30) {
        0 => chance.between(4000, 9000),
        1..=5 => chance.between(100, 400),
        _ => chance.up_to(20),
    };
    let bytes = vec![chance.bits() as u8; size as usize];
    let expires = (chance.chance(1, 2)).then(|| WallTime(chance.between(1, 20)));
    let version = Version(version);
    let place = (keyspace, name.clone());
    match chance.up_to(20) {
        0..=8 => {
            for store in stores.iter_mut() {
                store.set(key(keyspace, &name), &bytes, expires, version);
            }
            model.insert(place, (bytes, expires, version));
        }
        9..=12 => {
            let there = model.remove(&place).is_some();
            for store in stores.iter_mut() {
                assert_eq!(store.remove(key(keyspace, &name), version), there);
            }
        }
        13..=15 => {
            let entry = model.get_mut(&place);
            let there = entry.is_some();
            if let Some(entry) = entry {
                (entry.1, entry.2) = (expires, version);
            }
            for store in stores.iter_mut() {
                assert_eq!(store.set_expiry(key(keyspace, &name), expires, version), there);
            }
        }
        16..=19 => {
            let at = chance.up_to(50) as usize;
            let entry = model.get_mut(&place);
            let there = entry.is_some();
            if let Some(entry) = entry {
                entry.0.resize(entry.0.len().max(at + bytes.len()), 0);
                entry.0[at..at + bytes.len()].copy_from_slice(&bytes);
                (entry.1, entry.2) = (expires, version);
            }
            for store in stores.iter_mut() {
                let found = store.splice(key(keyspace, &name), at, &bytes, expires, version);
                assert_eq!(found, there);
            }
        }
        _ if chance.chance(1, 20) => {
            let all = chance.chance(1, 3);
            model.retain(|place, _| !all && place.0 != keyspace);
            for store in stores.iter_mut() {
                store.clear((!all).then_some(keyspace), version);
            }
        }
        _ => {}
    }
}

#[test]
fn a_store_is_a_map() {
    for (seed, mask) in [(1, u64::MAX), (2, u64::MAX), (3, 0x7 << 61), (4, 0), (5, 0x3F << 58)] {
        let mut chance = chance(seed);
        let mut stores = [masked_store(3, mask)];
        let mut model = Model::new();
        for step in 1..=1500 {
            change(&mut chance, step, &mut stores, &mut model);
            if step % 16 == 0 {
                stores[0].check();
                assert_eq!(contents(&stores[0]), model);
            }
            for ((keyspace, name), (bytes, expires_at, version)) in model.iter().take(3) {
                let value = stores[0].get(key(*keyspace, name)).expect("the model has it");
                assert_eq!(value.bytes, bytes);
                assert_eq!((value.expires_at, value.version), (*expires_at, *version));
            }
        }
    }
}

#[test]
fn an_image_is_of_the_moment_it_began() {
    for (seed, mask) in [(1, u64::MAX), (2, 0x7 << 61), (3, 0), (4, u64::MAX), (5, u64::MAX)] {
        let mut chance = chance(seed);
        let mut stores = [masked_store(3, mask)];
        let mut model = Model::new();
        for round in 0..12u64 {
            for step in 1..=120 {
                change(&mut chance, round * 1000 + step, &mut stores, &mut model);
            }
            let (digest, moment) = (stores[0].digest(), model.clone());
            stores[0].begin_image();
            let mut chunks = vec![Vec::new()];
            let mut step = 500;
            while !stores[0].image_chunk(chunks.last_mut().expect("one was pushed"), 200) {
                chunks.push(Vec::new());
                for _ in 0..chance.up_to(6) {
                    step += 1;
                    change(&mut chance, round * 1000 + step, &mut stores, &mut model);
                }
            }
            assert!(!stores[0].imaging());
            let copy = loaded(masked_store(5, mask), &chunks, round * 1000 + 120);
            copy.check();
            assert_eq!(contents(&copy), moment);
            assert_eq!(copy.digest(), digest);
            stores[0].check();
            assert_eq!(contents(&stores[0]), model);
        }
    }
}

#[test]
fn replicas_expire_the_same_keys_however_they_were_built() {
    for (seed, mask) in [(1, u64::MAX), (2, u64::MAX), (3, 0x7 << 61), (4, 0), (5, 0x3F << 40)] {
        let mut chance = chance(seed);
        let mut stores = [masked_store(2, mask), masked_store(1000, mask), masked_store(7, mask)];
        let mut model = Model::new();
        for step in 1..=1500 {
            change(&mut chance, 2 * step, &mut stores, &mut model);
            if step % 100 == 50 {
                stores[0].begin_image();
                let chunks = image(&mut stores[0], 1000);
                stores[1] = loaded(masked_store(4, mask), &chunks, 2 * step);
            }
            if step % 20 == 10 {
                let (now, most) = (WallTime(chance.up_to(20)), chance.between(1, 4) as u32);
                let removed =
                    stores.each_mut().map(|store| store.expire(now, most, Version(2 * step + 1)));
                assert_eq!(removed, [removed[0]; 3]);
                let left = contents(&stores[0]);
                model.retain(|place, (_, expires_at, _)| {
                    let stays = left.contains_key(place);
                    assert!(stays || expires_at.is_some_and(|at| at <= now), "removed too early");
                    stays
                });
            }
            let digest = stores[0].digest();
            assert!(stores.iter().all(|store| store.digest() == digest), "replicas differ");
            let from = stores.iter().map(|store| store.changes().before()).max();
            let told = stores.each_ref().map(|store| {
                let told = store.changes().since(from.expect("there are three"));
                told.expect("it begins there at the latest").collect::<Vec<_>>()
            });
            assert!(told.iter().all(|one| *one == told[0]), "replicas remember different changes");
            let next = stores[0].next_deadline();
            assert!(stores.iter().all(|store| store.next_deadline() == next));
            assert_eq!(next, model.values().filter_map(|entry| entry.1).min());
        }
    }
}

#[test]
fn expiry_goes_by_deadline_and_is_bounded() {
    let mut store = Store::with_segments_of(SECRET, 4);
    for number in 0..100u64 {
        let name = number.to_string();
        let at = WallTime(1 + number % 10);
        store.set(key(Keyspace(0), name.as_bytes()), b"v", Some(at), Version(1));
    }
    assert_eq!(store.expire(WallTime(5), 10, Version(2)), 10);
    assert_eq!(store.next_deadline(), Some(WallTime(2)));
    assert_eq!(store.expire(WallTime(5), 1000, Version(2)), 40);
    assert_eq!(store.expire(WallTime(5), 1000, Version(2)), 0);
    assert_eq!((store.len(Keyspace(0)), store.len_expiring(Keyspace(0))), (50, 50));
}

#[test]
fn a_ttl_refreshed_often_takes_no_more_memory() {
    let mut store = Store::new(SECRET);
    let name = key(Keyspace(0), b"session");
    store.set(name, b"value", Some(WallTime(1)), Version(1));
    let memory = store.memory();
    for step in 2..20_000 {
        store.set_expiry(name, Some(WallTime(step)), Version(step));
    }
    assert_eq!(store.memory(), memory);
    store.check();
}

#[test]
fn deadlines_beyond_what_fits_are_very_late() {
    let mut store = Store::new(SECRET);
    let name = key(Keyspace(0), b"k");
    store.set(name, b"v", Some(WallTime(u64::MAX)), Version(1));
    let latest = Some(WallTime((1 << 48) - 2));
    assert_eq!(store.get(name).and_then(|value| value.expires_at), latest);
}

#[test]
fn a_scan_misses_no_key_that_stays() {
    let mut chance = chance(9);
    let mut store = Store::with_segments_of(SECRET, 4);
    let space = Keyspace(3);
    for number in 0..200 {
        store.set(key(space, number.to_string().as_bytes()), b"stays", None, Version(1));
    }
    let mut seen = BTreeMap::new();
    let (mut cursor, mut calls) = (Some(0), 0);
    while let Some(at) = cursor {
        assert!(at < 1 << 48, "a cursor fits 48 bits");
        calls += 1;
        cursor = store.scan(space, at, 5, &mut |name, value| {
            *seen.entry(name.to_vec()).or_insert(0) += usize::from(value.bytes == b"stays");
        });
        for _ in 0..20 {
            let name = (1000 + chance.up_to(500)).to_string();
            if chance.chance(1, 2) {
                store.set(key(space, name.as_bytes()), b"comes and goes", None, Version(2));
            } else {
                store.remove(key(space, name.as_bytes()), Version(2));
            }
        }
    }
    assert!(calls >= 200 / 6, "pages are about as long as asked for");
    for number in 0..200 {
        assert_eq!(seen.get(number.to_string().as_bytes()), Some(&1), "{number}");
    }
    assert_eq!(store.scan(space, u64::MAX, 1, &mut |_, _| panic!("beyond the end")), None);
}

#[test]
fn random_keys_are_alive_and_any_may_come() {
    let mut store = Store::with_segments_of(SECRET, 3);
    let space = Keyspace(0);
    assert_eq!(store.random(space, 7, WallTime(0)), None);
    for number in 0..40 {
        let ends = (number % 2 == 0).then_some(WallTime(10));
        store.set(key(space, number.to_string().as_bytes()), b"v", ends, Version(1));
    }
    let mut chance = chance(1);
    let mut seen = BTreeMap::new();
    for _ in 0..2000 {
        let name = store.random(space, chance.bits(), WallTime(10)).expect("half are alive");
        *seen.entry(name).or_insert(0) += 1;
    }
    assert_eq!(seen.len(), 20);
    for number in (0..40).step_by(2) {
        assert!(!seen.contains_key(number.to_string().as_bytes()));
    }
    assert_eq!(store.random(Keyspace(1), 7, WallTime(0)), None);
}

#[test]
fn damaged_chunks_are_refused() {
    let mut chance = chance(11);
    let mut store = Store::with_segments_of(SECRET, 4);
    for number in 0..20u64 {
        let ends = (number % 3 == 0).then_some(WallTime(number + 1));
        store.set(key(Keyspace(1), number.to_string().as_bytes()), b"value", ends, Version(number));
    }
    store.begin_image();
    let chunks = image(&mut store, usize::MAX / 2);
    assert_eq!(chunks.len(), 1);
    for cut in 1..chunks[0].len() {
        let mut copy = Store::new(SECRET);
        if copy.load_chunk(&chunks[0][..cut]).is_ok() {
            copy.check();
            assert_ne!(copy.digest(), store.digest());
        }
    }
    for _ in 0..2000 {
        let mut bytes = chunks[0].clone();
        let at = chance.up_to(bytes.len() as u64 - 1) as usize;
        bytes[at] = chance.bits() as u8;
        let mut copy = Store::new(SECRET);
        if copy.load_chunk(&bytes).is_ok() {
            copy.check();
        }
    }
    assert_eq!(Store::new(SECRET).load_chunk(&[]), Err(Malformed));
    assert_eq!(Store::new(SECRET).load_chunk(&[2]), Err(Malformed));
    let twice = [&chunks[0][..], &chunks[0][1..]].concat();
    assert_eq!(Store::new(SECRET).load_chunk(&twice), Err(Malformed));
}

#[test]
fn an_image_can_be_given_up() {
    let mut store = Store::new(SECRET);
    store.set(key(Keyspace(0), b"k"), b"v", None, Version(1));
    store.begin_image();
    store.set(key(Keyspace(0), b"k"), b"w", None, Version(2));
    store.abort_image();
    assert!(!store.imaging());
    store.begin_image();
    let copy = loaded(Store::new(SECRET), &image(&mut store, 100), 2);
    assert_eq!(copy.digest(), store.digest());
}

#[test]
fn keys_cost_at_most_36_bytes_beside_key_and_value() {
    let mut store = Store::new(SECRET);
    let count = 100_000u64;
    for number in 0..count {
        let name = alloc::format!("key:{number:012}");
        store.set(key(Keyspace(0), name.as_bytes()), &[b'v'; 64], None, Version(number));
    }
    let beside = store.memory() as u64 / count - 80;
    assert!(beside <= 36, "{beside} bytes beside key and value");
    let memory = store.memory();
    for number in 0..count {
        let name = alloc::format!("key:{number:012}");
        store.set(key(Keyspace(0), name.as_bytes()), &[b'w'; 64], None, Version(count + number));
    }
    assert_eq!(store.memory(), memory, "values of equal size are overwritten in place");
}

#[test]
fn memory_comes_back() {
    let mut store = Store::new(SECRET);
    for number in 0..5000u64 {
        store.set(key(Keyspace(0), &number.to_le_bytes()), &[1; 500], None, Version(1));
    }
    let large = key(Keyspace(0), b"large");
    store.set(large, &vec![2; 100_000], None, Version(1));
    assert!(store.memory_of(large).is_some_and(|bytes| bytes > 100_000));
    let full = store.memory();
    for number in 0..5000u64 {
        assert!(store.remove(key(Keyspace(0), &number.to_le_bytes()), Version(2)));
    }
    store.set(large, b"small", None, Version(2));
    assert!(store.memory_of(large).is_some_and(|bytes| bytes < 200));
    assert!(store.memory() < full / 20, "{} of {full}", store.memory());
    store.check();
}

#[test]
fn the_digest_does_not_depend_on_where_values_lie() {
    let table = crate::store::Table::new(SECRET, Keyspace(1), 10);
    let whole: Vec<u8> = (0..3000u32).map(|at| at as u8).collect();
    for len in [16, 17, 100, 250, 3000] {
        let (header, body) = whole[..len].split_at(16);
        let parts = table.hasher.item_of_parts(9, header, body);
        assert_eq!(parts, table.hasher.item(9, &whole[..len]));
    }
}

#[test]
fn a_segment_that_outgrows_its_arena_goes_on_elsewhere() {
    let mut one = Store::with_segments_of(SECRET, 1 << 20);
    let mut many = Store::with_segments_of(SECRET, 100);
    for round in 0..2u64 {
        for number in 0..2600u64 {
            let name = number.to_le_bytes();
            let value = vec![round as u8; 3900 + (number % 100) as usize + round as usize];
            for store in [&mut one, &mut many] {
                store.set(key(Keyspace(0), &name), &value, None, Version(round << 20 | number));
            }
        }
        one.check();
        many.check();
        assert_eq!(one.digest(), many.digest());
    }
    for number in 0..2600u64 {
        let name = number.to_le_bytes();
        for store in [&mut one, &mut many] {
            assert!(store.splice(key(Keyspace(0), &name), 2, b"part", None, Version(2 << 20)));
        }
    }
    one.check();
    assert_eq!(one.digest(), many.digest());
}

#[test]
fn tables_stay_in_order_through_inserts_and_removals() {
    let mut chance = chance(21);
    for depth in [0, 3] {
        let mut slots = Slots::new(depth);
        let mut model: Vec<(u64, usize)> = Vec::new();
        for step in 0..3000 {
            if chance.chance(3, 5) {
                // Few different hashes, crowded together at the end: runs beyond the last bucket.
                let hash = kept(u64::MAX >> depth) - (chance.up_to(40) << 24);
                slots.insert(hash, step);
                model.push((kept(hash), step));
            } else if !model.is_empty() {
                let at = chance.up_to(model.len() as u64 - 1) as usize;
                let (hash, record) = model.swap_remove(at);
                let slot = slots.find(hash, |offset| offset == record).expect("it was put in");
                slots.remove(slot.index);
            }
            if step % 50 == 0 {
                slots.check();
                let mut found: Vec<_> = slots.iter().map(|slot| (slot.hash, slot.offset)).collect();
                found.sort_unstable();
                model.sort_unstable();
                assert_eq!(found, model);
            }
        }
    }
}
