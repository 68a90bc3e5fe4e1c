//! All checkers over runs of a small cluster made by chance: an honest one raises no alarm, and one with a
//! mistake in it does.
//!
//! The cluster is no protocol: it jumps from one allowed state to another. Leaders are chosen
//! among the replicas whose logs a majority would vote for; followers copy the leader's log; whatever is not
//! synced is lost in a crash.

use driftless_core::rng::{Chance, Seed};
use driftless_core::{Index, NodeId, Role, Term};

use super::fake::{Fake, Stage};

/// What this cluster does wrong.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Mistake {
    None,
    /// Entries are committed that no majority has synced.
    CommitsUnsynced,
    /// Anyone may lead.
    AnyoneLeads,
    /// Two nodes lead in one term.
    TermUsedTwice,
    /// A follower keeps its own entries where the leader's are shorter.
    KeepsItsTail,
    /// What was synced is lost.
    LosesSynced,
    /// Applied state depends on the replica.
    StateDiffers,
}

const NODES: u32 = 5;

struct Cluster {
    stage: Stage,
    chance: Chance,
    mistake: Mistake,
    term: u64,
    leader: Option<u32>,
    down: Vec<u32>,
    entries: u64,
}

fn run(seed: u64, mistake: Mistake, steps: u32) -> Stage {
    let mut cluster = Cluster {
        stage: Stage::new(NODES),
        chance: Chance::new(Seed::from_number(seed), 2),
        mistake,
        term: 0,
        leader: None,
        down: Vec::new(),
        entries: 0,
    };
    for _ in 0..steps {
        cluster.step();
    }
    cluster.stage
}

impl Cluster {
    fn step(&mut self) {
        let node = self.chance.between(1, u64::from(NODES)) as u32;
        let up = !self.down.contains(&node);
        match (self.chance.up_to(99), self.leader) {
            (0..4, _) => self.elect(node),
            (4..7, _) if up && self.down.len() < 2 => self.crash(node),
            (7..17, _) if !up => self.recover(node),
            (17..40, Some(leader)) => self.propose(leader),
            (40..65, Some(leader)) if up && leader != node => self.copy(leader, node),
            (65..80, _) if up => self.stage.sync(node),
            (80..90, Some(leader)) => self.commit(leader),
            (90..100, Some(leader)) if up && leader != node => self.follow_commit(leader, node),
            _ => (),
        }
    }

    /// How recent a log is, as votes go.
    fn recent(fake: &Fake, upto: usize) -> (Term, usize) {
        (fake.entries[..upto].last().map_or(Term(0), |(term, _)| *term), upto)
    }

    fn elect(&mut self, node: u32) {
        let own = self.stage.replica(node);
        let own = Self::recent(own, own.entries.len());
        let voters: Vec<u32> = (1..=NODES)
            .filter(|voter| {
                let voter = self.stage.replica(*voter);
                Self::recent(voter, voter.entries.len()) <= own
            })
            .filter(|voter| !self.down.contains(voter))
            .collect();
        let honest = self.mistake != Mistake::AnyoneLeads;
        if self.down.contains(&node) || (honest && voters.len() <= NODES as usize / 2) {
            return;
        }
        let reused = self.mistake == Mistake::TermUsedTwice && self.chance.chance(1, 3);
        self.term += u64::from(!reused || self.term == 0);
        for voter in voters {
            let (term, candidate) = (Term(self.term), Some(NodeId(node)));
            self.stage.change(voter, |state| {
                (state.role, state.term, state.vote) = (Role::Follower, term, candidate);
            });
        }
        if let Some(leader) = self.leader.filter(|leader| *leader != node) {
            self.stage.change(leader, |state| state.role = Role::Follower);
        }
        self.stage.leads(node, self.term);
        self.leader = Some(node);
        self.propose(node);
    }

    fn propose(&mut self, leader: u32) {
        self.entries += 1;
        let bytes = self.entries.to_le_bytes();
        self.stage.append(leader, self.term, &bytes);
    }

    /// A follower takes the leader's log, up to somewhere.
    fn copy(&mut self, leader: u32, node: u32) {
        let source = self.stage.replica(leader).entries.clone();
        let term = Term(self.term);
        let own = self.stage.replica(node);
        let common =
            own.entries.iter().zip(&source).take_while(|(one, other)| one == other).count();
        let upto = self.chance.between(common as u64, source.len() as u64) as usize;
        let own = self.stage.replica(node);
        let conflict = common < own.entries.len() && common < upto;
        if conflict {
            let keeps = self.mistake == Mistake::KeepsItsTail;
            let tail =
                if keeps { own.entries.split_off(upto.min(own.entries.len())) } else { vec![] };
            own.entries.truncate(common);
            own.state.durable = own.state.durable.min(Index(common as u64));
            own.entries.extend_from_slice(&source[common..upto]);
            own.entries.extend(tail);
        } else if upto > own.entries.len() {
            let from = own.entries.len();
            own.entries.extend_from_slice(&source[from..upto]);
        }
        let last = Index(own.entries.len() as u64);
        self.stage.change(node, |state| {
            if state.term < term {
                (state.term, state.vote, state.role) = (term, None, Role::Follower);
            }
            state.last = last;
        });
    }

    /// The leader commits what a majority has synced, if it is of its term.
    fn commit(&mut self, leader: u32) {
        let log = self.stage.replica(leader).entries.clone();
        let unsynced = self.mistake == Mistake::CommitsUnsynced;
        let mut synced: Vec<usize> = (1..=NODES)
            .map(|node| {
                let fake = self.stage.replica(node);
                let durable = fake.state.durable.0 as usize;
                let upto = if unsynced { fake.entries.len() } else { durable };
                let same = fake.entries.iter().zip(&log).take_while(|(one, other)| one == other);
                same.count().min(upto)
            })
            .collect();
        synced.sort_unstable();
        let upto = synced[NODES as usize / 2];
        let own_term = log[..upto].last().is_some_and(|(term, _)| term.0 == self.term);
        if own_term && Index(upto as u64) > self.stage.replica(leader).state.commit {
            self.apply(leader, upto);
        }
    }

    /// A follower hears what is committed, as far as its log is the leader's.
    fn follow_commit(&mut self, leader: u32, node: u32) {
        let known = self.stage.replica(leader).state.commit.0 as usize;
        let log = self.stage.replica(leader).entries.clone();
        let own = self.stage.replica(node);
        let same = own.entries.iter().zip(&log).take_while(|(one, other)| one == other).count();
        let upto = same.min(known);
        if Index(upto as u64) > own.state.commit {
            self.apply(node, upto);
        }
    }

    fn apply(&mut self, node: u32, upto: usize) {
        let differs = self.mistake == Mistake::StateDiffers && self.chance.chance(1, 20);
        let digest = upto as u128 * 31 + u128::from(differs);
        self.stage.commit(node, upto as u64, digest);
    }

    fn crash(&mut self, node: u32) {
        self.stage.crash(node);
        self.down.push(node);
        self.leader = self.leader.filter(|leader| *leader != node);
    }

    /// Comes back with what was synced; it has to hear again what is committed.
    fn recover(&mut self, node: u32) {
        self.down.retain(|down| *down != node);
        let lost = u64::from(self.mistake == Mistake::LosesSynced);
        let fake = self.stage.replica(node);
        let durable = fake.state.durable.0.saturating_sub(lost);
        fake.lose_from(durable + 1);
        let state = &mut fake.state;
        state.role = Role::Follower;
        (state.commit, state.applied, state.digest) = (Index(0), Index(0), 0);
        self.stage.recover(node);
    }
}

#[test]
fn an_honest_cluster_raises_no_alarm() {
    let mut committed = 0;
    for seed in 0..100 {
        let stage = run(seed, Mistake::None, 1_000);
        let all = stage.checkers.violations();
        assert!(all.is_empty(), "seed {seed}: {:?}", all[0]);
        let group = stage.checkers.ledger().groups().next().expect("there is one");
        committed += group.commit().0;
    }
    assert!(committed > 5_000, "the runs are about something: {committed} entries committed");
}

/// How many of a hundred seeds find the mistake, and by which checkers first.
fn finders(mistake: Mistake) -> (u32, Vec<&'static str>) {
    let mut names = Vec::new();
    let mut seeds = 0;
    for seed in 0..50 {
        let stage = run(seed, mistake, 1_000);
        if let Some(first) = stage.checkers.violations().first() {
            seeds += 1;
            names.push(first.checker);
        }
    }
    names.sort_unstable();
    names.dedup();
    (seeds, names)
}

#[test]
fn every_mistake_is_found_by_the_checker_it_belongs_to() {
    let cases = [
        (Mistake::CommitsUnsynced, "DurableQuorum"),
        (Mistake::AnyoneLeads, "LeaderCompleteness"),
        (Mistake::TermUsedTwice, "ElectionSafety"),
        (Mistake::KeepsItsTail, "LogMatching"),
        (Mistake::LosesSynced, "PromiseIsDurable"),
        (Mistake::StateDiffers, "StateEqual"),
    ];
    for (mistake, checker) in cases {
        let (seeds, names) = finders(mistake);
        assert!(names.contains(&checker), "{checker} is not among {names:?}");
        assert!(seeds >= 10, "{checker}: found in {seeds} of 50 seeds");
    }
}

#[test]
fn looking_at_a_turn_costs_little() {
    let mut stage = run(3, Mistake::None, 1_000);
    let rounds = 20_000;
    let begin = std::time::Instant::now();
    for _ in 0..rounds {
        stage.show(1);
    }
    let idle = begin.elapsed() / rounds;
    stage.leads(1, 1_000);
    let begin = std::time::Instant::now();
    for _ in 0..rounds {
        stage.append(1, 1_000, &[7; 100]);
    }
    println!(
        "a turn that changed nothing: {idle:?}; one entry more: {:?}",
        begin.elapsed() / rounds
    );
    assert!(stage.checkers.violations().is_empty());
}
