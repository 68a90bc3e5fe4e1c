//! Random work, random crashes, random rot: what was promised is kept, and what is not known is said.

#[cfg(feature = "planted")]
use super::std::panic::catch_unwind;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::model::Model;
use super::{Bench, Disk};
use crate::config::Bug;
use crate::event::Event;
use crate::ids::{GroupId, NodeId, Term};
use crate::outputs::FileId;
use crate::rng::{Chance, Seed};
use crate::wal::Durable;

const GROUPS: u32 = 4;
const SEEDS: u64 = 200;

struct World {
    bench: Bench,
    models: Vec<Model>,
    chance: Chance,
    unique: u64,
    seed: u64,
    life_told: u64,
}

impl World {
    fn new(seed: u64, bug: Bug) -> Self {
        let mut chance = Chance::new(Seed::from_number(seed), 7);
        let segment_bytes = chance.between(1, 4) * chance.between(1, 2500);
        Self {
            bench: Bench::start(Disk::default(), segment_bytes, bug),
            models: (1..=GROUPS).map(Model::new).collect(),
            chance,
            unique: 0,
            seed,
            life_told: 0,
        }
    }

    /// A turn or a few, in which syncs end or not.
    fn work(&mut self) {
        for _ in 0..self.chance.up_to(25) {
            for _ in 0..self.chance.up_to(3) {
                let group = self.chance.up_to(u64::from(GROUPS) - 1) as usize;
                self.models[group].act(&mut self.bench, &mut self.unique, &mut self.chance);
            }
            self.bench.flush();
            while self.chance.chance(1, 2) {
                let told = self.bench.sync();
                self.note(&told);
            }
        }
    }

    fn note(&mut self, told: &[Durable]) {
        for &durable in told {
            if durable == Durable::Begun {
                self.life_told = self.bench.wal.life().0;
            }
            for model in &mut self.models {
                model.told(durable);
            }
        }
    }

    fn crash(&mut self) {
        if self.chance.chance(1, 3) {
            self.bench.disk.crash();
        } else {
            self.bench.disk.cut_power(&mut self.chance);
        }
        self.bench.restart();
    }

    fn check(&mut self) {
        let seed = self.seed;
        assert!(self.bench.wal.life().0 > self.life_told, "seed {seed}: a life was told twice");
        let damaged = self.bench.recovered.groups.values().any(|said| said.damaged);
        let events = &self.bench.recovered.events;
        let damaged = damaged || self.bench.recovered.damaged;
        assert!(!damaged, "seed {seed}: a tear taken for damage: {events:?}");
        for (group, model) in (1..).zip(&mut self.models) {
            model.check(self.bench.recovered.groups.get(&GroupId(group)), seed);
        }
    }

    /// Destroys one sector that was synced and is known to have been.
    fn rot(&mut self) -> FileId {
        // A full segment gets no mark while nothing follows.
        self.bench.wal.segment_bytes = 1 << 20;
        let told = self.bench.settle();
        self.models[0].act(&mut self.bench, &mut self.unique, &mut self.chance);
        self.note(&told);
        let told = self.bench.settle();
        self.note(&told);
        let wal = &self.bench.wal;
        let old = wal.segments.iter().filter(|old| old.0 >= wal.life.number().max(wal.oldest));
        let mut victims: Vec<(u64, u64)> = old.copied().collect();
        victims.last_mut().expect("there is a current segment").1 = wal.marked;
        victims.retain(|victim| victim.1 >= 512);
        let victim = victims[self.chance.up_to(victims.len() as u64 - 1) as usize];
        let file = FileId::Segment(victim.0);
        // In a gap there is nothing that could be destroyed.
        let is_gap = |bytes: &[u8], sector: usize| {
            bytes[sector * 512..(sector + 1) * 512].iter().all(|byte| *byte == 0)
        };
        let sector = loop {
            let sector = self.chance.up_to(victim.1 / 512 - 1);
            let bytes = self.bench.disk.read(file).expect("it is a sound file");
            if !is_gap(bytes, sector as usize) {
                break sector;
            }
        };
        let garbage: Vec<u8> = (0..512).map(|_| self.chance.bits() as u8).collect();
        self.bench.disk.rot(file, sector * 512, &garbage);
        file
    }

    fn check_damaged(&mut self, file: FileId) {
        let seed = self.seed;
        let events = &self.bench.recovered.events;
        let is_told =
            |event: &&Event| matches!(event, Event::Damaged { file: of, .. } if *of == file);
        assert!(events.iter().any(|event| is_told(&event)), "seed {seed}: {events:?}");
        for (group, model) in (1..).zip(&self.models) {
            let said = self.bench.recovered.groups.get(&GroupId(group));
            model.check_damaged(said, seed);
        }
    }
}

fn crashes(seed: u64, bug: Bug) {
    let mut world = World::new(seed, bug);
    for _ in 0..6 {
        world.work();
        world.crash();
        world.check();
    }
}

fn rots(seed: u64, bug: Bug) {
    let mut world = World::new(seed, bug);
    for _ in 0..world.chance.up_to(2) {
        world.work();
        world.crash();
        world.check();
    }
    world.work();
    let file = world.rot();
    world.bench.disk.crash();
    world.bench.restart();
    world.check_damaged(file);
    world.bench.settle();
    world.bench.disk.lose_unsynced();
    world.bench.restart();
    for group in 1..=GROUPS {
        assert!(world.bench.is_damaged(group), "seed {seed}: damage is forgotten");
        world.bench.wal.repaired(GroupId(group));
    }
    world.bench.settle();
    world.bench.restart();
    for group in 1..=GROUPS {
        assert!(!world.bench.is_damaged(group), "seed {seed}: a repair is forgotten");
    }
}

/// Damage again and again, repaired in between: of what is known nothing is told again, and what a life has found is
/// what the next one finds, even if more is readable by then.
fn rots_again(seed: u64) {
    let mut world = World::new(seed, Bug::None);
    for _ in 0..world.chance.between(1, 3) {
        world.work();
        world.crash();
        world.check();
    }
    let World { bench, chance, .. } = &mut world;
    bench.settle();
    for _ in 0..4 {
        harm(bench, chance);
        bench.restart();
        let events = bench.recovered.events.clone();
        let found = contents(bench);
        for group in 1..=GROUPS {
            bench.wal.repaired(GroupId(group));
        }
        bench.settle();
        for _ in 0..2 {
            if chance.chance(1, 2) {
                bench.disk.mend();
            }
            bench.disk.cut_power(chance);
            bench.restart();
            let (now, again) = (contents(bench), &bench.recovered.events);
            let damaged = (1..=GROUPS).any(|group| bench.is_damaged(group));
            assert!(!damaged, "seed {seed}: {events:?}, {again:?}");
            assert_eq!(found, now, "seed {seed}: {events:?}, {again:?}");
            bench.settle();
        }
    }
}

/// Damages an image, or a segment that is complete, if there is one.
fn harm(bench: &mut Bench, chance: &mut Chance) {
    let current = bench.wal.number;
    // Images come before segments.
    let is_old = |(file, size): &(FileId, u64)| *size > 0 && *file < FileId::Segment(current);
    let victims: Vec<_> = bench.disk.listing().into_iter().filter(is_old).collect();
    if victims.is_empty() {
        return;
    }
    let (file, size) = victims[chance.up_to(victims.len() as u64 - 1) as usize];
    let at = chance.up_to(size - 1);
    match chance.up_to(3) {
        0 => bench.disk.break_file(file),
        1 => bench.disk.shorten(file, at),
        2 => bench.disk.lose_file(file),
        _ => bench.disk.rot(file, at, &[!0; 100][..(size - at).min(100) as usize]),
    }
}

/// Ballots, images and entries of all groups.
fn contents(bench: &Bench) -> Vec<String> {
    let groups = (1..=GROUPS).map(|group| match bench.recovered.groups.get(&GroupId(group)) {
        Some(said) => format!("{:?} {:?} {:?}", said.ballot, said.image, said.entries),
        None => format!("{:?} None []", (Term(0), None::<NodeId>)),
    });
    groups.collect()
}

/// A synced record is overwritten with another one of the same length: a misdirected write.
fn misdirects(seed: u64, bug: Bug) {
    let mut bench = Bench::start(Disk::default(), 1 << 20, bug);
    bench.settle();
    let mut chance = Chance::new(Seed::from_number(seed), 8);
    let mut places = Vec::new();
    for index in 1..=6 {
        places.push(bench.wal.end().offset);
        bench.entry(1, 1, index, &[index as u8; 40]);
        bench.flush();
    }
    bench.settle();
    let file = FileId::Segment(1);
    let (from, to) = (chance.up_to(2) as usize, chance.between(3, 5) as usize);
    let length = (places[1] - places[0]) as usize;
    let from = places[from] as usize;
    let bytes = bench.disk.read(file).expect("it is readable")[from..from + length].to_vec();
    bench.disk.rot(file, places[to], &bytes);
    bench.restart();
    assert!(bench.is_damaged(1), "seed {seed}: a record in another's place passes");
    assert_eq!(bench.indexes(1), (1..=to as u64).collect::<Vec<_>>());
}

#[test]
fn a_misdirected_write_is_damage() {
    for seed in 0..20 {
        misdirects(seed, Bug::None);
    }
}

#[test]
fn what_was_promised_survives_any_crash() {
    for seed in 0..SEEDS {
        crashes(seed, Bug::None);
    }
}

#[test]
fn a_lost_sector_is_told_and_takes_no_ballot() {
    for seed in 0..SEEDS {
        rots(seed, Bug::None);
    }
}

#[test]
fn damage_is_told_once_however_often_it_comes() {
    for seed in 0..SEEDS {
        rots_again(seed);
    }
}

#[cfg(feature = "planted")]
mod planted {
    use super::{Bug, SEEDS, catch_unwind, crashes, misdirects, rots};

    fn is_found(bug: Bug, run: fn(u64, Bug)) {
        let found = (0..SEEDS).any(|seed| catch_unwind(|| run(seed, bug)).is_err());
        assert!(found, "{bug:?} was not found");
    }

    #[test]
    fn an_unwritten_term_is_found() {
        is_found(Bug::TermNotDurable, crashes);
    }

    #[test]
    fn an_image_named_before_it_is_durable_is_found() {
        is_found(Bug::SnapshotBeforeDurable, crashes);
    }

    #[test]
    fn a_life_told_twice_is_found() {
        is_found(Bug::LifeReused, crashes);
    }

    #[test]
    fn records_that_pass_in_any_place_are_found() {
        is_found(Bug::ChecksumNotChained, misdirects);
    }

    #[test]
    fn damage_taken_for_a_torn_tail_is_found() {
        is_found(Bug::DamageIsTorn, rots);
    }
}
