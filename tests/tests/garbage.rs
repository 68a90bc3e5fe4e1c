//! Every decoder, fed with samples that were damaged by a seeded hand. The fuzz targets drive the same
//! functions without end: see `fuzz/`.

use std::panic::{AssertUnwindSafe, catch_unwind};

use driftless_core::rng::{Chance, Seed};
use driftless_tests::cargo::root;
use driftless_tests::decoders::{DECODERS, Decoder};

const ROUNDS: u64 = 1_500;

fn check(name: &str) {
    let &(_, decode, samples): &Decoder =
        DECODERS.iter().find(|decoder| decoder.0 == name).expect("the decoder is in the list");
    let samples = samples();
    for sample in &samples {
        decode(sample);
    }
    for round in 0..ROUNDS {
        let mut chance = Chance::new(Seed::from_number(round), 0);
        let mut bytes = pick(&samples, &mut chance).clone();
        for _ in 0..chance.between(1, 4) {
            damage(&mut bytes, &samples, &mut chance);
        }
        let outcome = catch_unwind(AssertUnwindSafe(|| decode(&bytes)));
        assert!(outcome.is_ok(), "{name} panics in round {round} on {bytes:02x?}");
    }
}

fn pick<'a>(samples: &'a [Vec<u8>], chance: &mut Chance) -> &'a Vec<u8> {
    &samples[chance.up_to(samples.len() as u64 - 1) as usize]
}

fn place(bytes: &[u8], chance: &mut Chance) -> usize {
    chance.up_to(bytes.len() as u64) as usize
}

fn damage(bytes: &mut Vec<u8>, samples: &[Vec<u8>], chance: &mut Chance) {
    let at = place(bytes, chance);
    match chance.up_to(7) {
        0 => bytes.truncate(at),
        1 => drop(bytes.drain(..at)),
        2 => bytes.insert(at, chance.bits() as u8),
        3 => bytes.splice(at..at, pick(samples, chance).iter().copied()).for_each(drop),
        4 => overwrite(bytes, at, &u32::MAX.to_le_bytes()),
        5 => overwrite(bytes, at, &[0; 8]),
        6 => overwrite(bytes, at, &chance.bits().to_le_bytes()),
        7 if at < bytes.len() => bytes[at] ^= 1 << chance.up_to(7),
        _ => bytes.push(0),
    }
}

fn overwrite(bytes: &mut [u8], at: usize, with: &[u8]) {
    for (byte, new) in bytes[at..].iter_mut().zip(with) {
        *byte = *new;
    }
}

#[test]
fn every_decoder_has_a_fuzz_target_and_a_seeded_test() {
    let tests = include_str!("garbage.rs");
    let targets = root().join("fuzz/Cargo.toml");
    let targets = std::fs::read_to_string(targets).expect("the targets are listed");
    for (name, _, _) in DECODERS {
        assert!(tests.contains(&format!("check(\"{name}\")")), "{name} has no test here");
        assert!(targets.contains(&format!("name = \"{name}\"")), "{name} is no target");
        let target = root().join(format!("fuzz/fuzz_targets/{name}.rs"));
        let text = std::fs::read_to_string(&target).expect("the target exists");
        assert!(text.contains(&format!("decoders::{name}(bytes)")), "{name}");
    }
}

#[test]
fn commands_of_clients() {
    check("resp");
}

#[test]
fn arguments_of_forwarded_commands() {
    check("arguments");
}

#[test]
fn frames_of_other_nodes() {
    check("frames");
}

#[test]
fn messages_of_other_nodes() {
    check("messages");
}

#[test]
fn datagrams_of_other_members() {
    check("datagrams");
}

#[test]
fn segments_of_the_log() {
    check("wal");
}

#[test]
fn chunks_of_state_images() {
    check("image");
}

#[test]
fn writes_out_of_entries() {
    check("ops");
}

#[test]
fn files_of_state_images() {
    check("snapshot");
}

#[test]
fn entries_of_a_log() {
    check("entries");
}

#[test]
fn answers_of_nodes() {
    check("answers");
}

#[test]
fn greetings_of_other_nodes() {
    check("greeting");
}

#[test]
fn files_of_settings() {
    check("settings");
}

#[test]
fn stories_of_the_simulator() {
    check("stories");
}
