//! What a log should hold: every state it went through, and from which on it is promised.

use alloc::vec::Vec;

use super::Bench;
use crate::ids::{GroupId, Index, NodeId, Term};
use crate::rng::Chance;
use crate::wal::{Durable, RecoveredGroup};

/// A term and a number that no other entry has.
pub(super) type Write = (u64, u64);

/// Index and term of an entry.
type Tag = (u64, u64);

/// The states of one group.
pub(super) struct Model {
    group: GroupId,
    /// All that a recovery may find, oldest first, each with the entry that led to it.
    states: Vec<(Vec<Write>, Option<Tag>)>,
    /// The first state that a recovery may still find.
    floor: usize,
    /// What becomes the floor when the life has begun.
    recovered: usize,
    /// Which state an image from a leader leads to, and its index.
    installing: Option<(usize, u64)>,
    /// What images of this replica reach up to: not to be replaced.
    committed: u64,
    making: Option<u64>,
    /// How many images are complete and not told durable.
    ended: u32,
    image_told: u64,
    ballots: Vec<(u64, Option<u32>)>,
    ballot_told: u64,
    term: u64,
}

impl Model {
    pub(super) fn new(group: u32) -> Self {
        Self {
            group: GroupId(group),
            states: [(Vec::new(), None)].into(),
            floor: 0,
            recovered: 0,
            installing: None,
            committed: 0,
            making: None,
            ended: 0,
            image_told: 0,
            ballots: [(0, None)].into(),
            ballot_told: 0,
            term: 1,
        }
    }

    fn log(&self) -> &Vec<Write> {
        &self.states.last().expect("there is a first").0
    }

    /// Does something that a group might do.
    pub(super) fn act(&mut self, bench: &mut Bench, unique: &mut u64, chance: &mut Chance) {
        match chance.up_to(19) {
            0 => {
                self.term += 1;
                let vote = chance.chance(1, 2).then_some(2);
                self.ballots.push((self.term, vote));
                bench.wal.ballot(self.group, Term(self.term), vote.map(NodeId));
            }
            1 => self.truncate(bench, unique, chance),
            2 | 3 => self.make_image(bench),
            // The model could not tell two images up to the same index apart.
            // The model could not tell two images up to the same index apart.
            4 if self.installing.is_none() && self.making.is_none() && self.ended == 0 => {
                self.install(bench, unique, chance);
            }
            5 if self.making.is_some() => {
                bench.wal.abort_image(self.group, &mut bench.batch);
                self.making = None;
            }
            _ => {
                for _ in 0..=chance.up_to(2) {
                    let filling = chance.up_to(900) as usize;
                    self.append(bench, unique, filling);
                }
            }
        }
    }

    fn append(&mut self, bench: &mut Bench, unique: &mut u64, filling: usize) {
        *unique += 1;
        let index = self.log().len() as u64 + 1;
        self.append_at(bench, index, (self.term, *unique), filling);
    }

    fn append_at(&mut self, bench: &mut Bench, index: u64, write: Write, filling: usize) {
        let mut log = self.log().clone();
        log.truncate(index as usize - 1);
        log.push(write);
        let mut bytes = write.1.to_le_bytes().to_vec();
        bytes.resize(8 + filling, 0xee);
        bench.wal.entry(self.group, Term(write.0), Index(index), &bytes);
        self.states.push((log, Some((index, write.0))));
    }

    fn truncate(&mut self, bench: &mut Bench, unique: &mut u64, chance: &mut Chance) {
        self.term += 1;
        *unique += 1;
        let last = self.log().len() as u64;
        let index = chance.between(self.committed, last) + 1;
        self.append_at(bench, index, (self.term, *unique), 5);
    }

    fn make_image(&mut self, bench: &mut Bench) {
        if let Some(index) = self.making.take() {
            let chunks = encode(&self.log()[..index as usize]);
            for chunk in chunks.chunks(100) {
                bench.wal.image_chunk(self.group, chunk, &mut bench.batch);
            }
            bench.wal.end_image(self.group, false, &mut bench.batch);
            self.ended += 1;
        } else if !self.log().is_empty() && self.installing.is_none() {
            let index = self.log().len();
            let term = self.log()[index - 1].0;
            (self.committed, self.making) = (index as u64, Some(index as u64));
            bench.wal.begin_image(self.group, Index(index as u64), Term(term), &mut bench.batch);
        }
    }

    fn install(&mut self, bench: &mut Bench, unique: &mut u64, chance: &mut Chance) {
        let mut log = self.log().clone();
        let old = log.clone();
        log.truncate(chance.between(self.committed, log.len() as u64) as usize);
        for _ in 0..chance.up_to(3) {
            self.term += 1;
            *unique += 1;
            log.push((self.term, *unique));
        }
        let Some(&(term, _)) = log.last() else { return };
        let index = log.len();
        bench.wal.begin_image(self.group, Index(index as u64), Term(term), &mut bench.batch);
        bench.wal.image_chunk(self.group, &encode(&log), &mut bench.batch);
        bench.wal.end_image(self.group, true, &mut bench.batch);
        // The next entry is in the log before the image is, and voids what lies beyond.
        let mut cut = old.clone();
        cut.truncate(index);
        self.ended += 1;
        self.states.push((cut, None));
        self.states.push((log.clone(), None));
        self.installing = Some((self.states.len() - 1, index as u64));
        self.committed = index as u64;
        // No two entries have the same index and term.
        self.term += 1;
        if old.starts_with(&log) && chance.chance(1, 2) {
            // Newer entries that are not in the image are kept.
            for (at, &write) in old.iter().enumerate().skip(index) {
                self.append_at(bench, at as u64 + 1, write, 0);
            }
        }
    }

    /// Takes note of what is promised.
    pub(super) fn told(&mut self, durable: Durable) {
        match durable {
            Durable::Begun => self.floor = self.floor.max(self.recovered),
            Durable::Entry { group, term, index, .. } if group == self.group => {
                let tag = Some((index.0, term.0));
                let later = self.states[self.floor..].iter().position(|state| state.1 == tag);
                self.floor += later.expect("only what was written is told");
            }
            Durable::Ballot { group, term, vote } if group == self.group => {
                let ballot = (term.0, vote.map(|node| node.0));
                assert!(self.ballots.contains(&ballot), "only what was written is told");
                self.ballot_told = term.0;
            }
            Durable::Image { group, index, .. } if group == self.group => {
                self.image_told = index.0;
                self.ended -= 1;
                if let Some((state, installed)) = self.installing
                    && installed == index.0
                {
                    self.floor = self.floor.max(state);
                    self.installing = None;
                }
            }
            Durable::Entry { .. }
            | Durable::Ballot { .. }
            | Durable::Image { .. }
            | Durable::Repaired { .. } => {}
        }
    }

    /// Whether a recovery may say this; goes on from there.
    pub(super) fn check(&mut self, said: Option<&RecoveredGroup>, seed: u64) {
        let (log, image, ballot) = read(said);
        let possible = self.states[self.floor..].iter().any(|state| state.0 == log);
        assert!(possible, "seed {seed}: {:?} is no state since {}", log, self.floor);
        assert!(image >= self.image_told, "seed {seed}: the image is older than told");
        assert!(ballot.0 >= self.ballot_told, "seed {seed}: the ballot went back");
        assert!(self.ballots.contains(&ballot), "seed {seed}: nobody cast this ballot");
        self.states.push((log, None));
        self.recovered = self.states.len() - 1;
        (self.installing, self.making, self.committed) = (None, None, image);
        self.ended = 0;
        self.ballots.push(ballot);
        self.term = self.term.max(ballot.0) + 1;
    }

    /// Whether a recovery from damage may say this: a part of the truth, and the whole ballot.
    pub(super) fn check_damaged(&self, said: Option<&RecoveredGroup>, seed: u64) {
        let (log, _, ballot) = read(said);
        let possible = self.states.iter().any(|state| state.0.starts_with(&log));
        assert!(possible, "seed {seed}: {log:?} never was");
        assert!(said.is_none_or(|said| said.damaged), "seed {seed}: the damage is not told");
        assert!(ballot.0 >= self.ballot_told, "seed {seed}: one sector took a ballot");
    }
}

fn encode(log: &[Write]) -> Vec<u8> {
    log.iter().flat_map(|write| [write.0.to_le_bytes(), write.1.to_le_bytes()]).flatten().collect()
}

fn number(bytes: &[u8]) -> u64 {
    u64::from_le_bytes(bytes[..8].try_into().expect("eight bytes"))
}

/// The whole log, what of it is in the image, and the ballot.
fn read(said: Option<&RecoveredGroup>) -> (Vec<Write>, u64, (u64, Option<u32>)) {
    let Some(said) = said else { return (Vec::new(), 0, (0, None)) };
    let mut log = Vec::new();
    if let Some((index, term, chunks)) = &said.image {
        for write in chunks.concat().chunks(16) {
            log.push((number(write), number(&write[8..])));
        }
        assert_eq!(log.len() as u64, index.0, "the image is whole");
        assert_eq!(log.last().map(|write| write.0), Some(term.0), "and the one that was named");
    }
    let image = log.len() as u64;
    for (term, index, bytes) in said.entries.iter() {
        assert_eq!(index.0, log.len() as u64 + 1, "entries are contiguous");
        log.push((term.0, number(bytes)));
    }
    (log, image, (said.ballot.0.0, said.ballot.1.map(|node| node.0)))
}
