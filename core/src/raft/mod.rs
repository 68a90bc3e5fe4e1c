//! One replica's part in the consensus of one group: Raft with pre-vote, check-quorum and the log as
//! the lease (Ongaro's thesis; `LeaseGuard`).
//!
//! Invariant: nothing here knows what a key is, reads a clock or touches a disk. Entries are bytes; what
//! has to be durable goes through a [`Journal`] and comes back as [`Raft::entries_durable`] and
//! [`Raft::ballot_durable`]; promises leave only then.

mod birth;
mod election;
mod follow;
mod lead;
mod lease;
mod log;
mod resend;

use alloc::vec::Vec;

use crate::config::{Bug, EngineConfig};
use crate::event::{Event, StepDown};
use crate::ids::{GroupId, Index, Life, NodeId, Term};
use crate::outputs::Lanes;
use crate::pulse::Pulse;
use crate::rng::Chance;
use crate::time::{Instant, Span};

use crate::quorum::{Config, Configs};
pub(crate) use lead::Leading;
pub(crate) use log::Log;

/// What a replica does in its group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Takes entries from a leader, if it knows one.
    Follower,
    /// Asks whether an election could be won.
    PreCandidate,
    /// Asks for votes.
    Candidate,
    /// Leads.
    Leader,
}

/// Where a replica writes what must survive it.
pub(crate) trait Journal {
    /// Writes an entry over whatever was at its index and beyond; returns the number of the record.
    fn entry(&mut self, group: GroupId, term: Term, index: Index, bytes: &[u8]) -> u64;
    /// Writes a term and vote.
    fn ballot(&mut self, group: GroupId, term: Term, vote: Option<NodeId>);
    /// Writes that what damage took has been made up for.
    fn repaired(&mut self, group: GroupId);
}

/// What surrounds a replica during a turn.
pub(crate) struct Io<'a, J> {
    pub(crate) now: Instant,
    pub(crate) life: Life,
    pub(crate) config: &'a EngineConfig,
    pub(crate) pulse: &'a Pulse,
    pub(crate) chance: &'a mut Chance,
    pub(crate) journal: &'a mut J,
    pub(crate) sends: &'a mut Lanes,
    pub(crate) events: &'a mut Vec<Event>,
}

impl<J> Io<'_, J> {
    fn bug(&self, bug: Bug) -> bool {
        bug.active(self.config.bug)
    }
}

/// One replica.
#[derive(Debug)]
pub(crate) struct Raft {
    group: GroupId,
    me: NodeId,
    term: Term,
    vote: Option<NodeId>,
    /// The term and vote that are on disk.
    ballot_on_disk: (Term, Option<NodeId>),
    role: Role,
    leader: Option<NodeId>,
    pub(crate) log: Log,
    /// Up to here, entries are on this node's disk.
    durable: Index,
    commit: Index,
    configs: Configs,
    /// May have lost promises: neither votes nor is counted until it has made up for them.
    damaged: bool,
    /// Whether it was damaged and has been repaired since this process began.
    healed: bool,
    /// An image is about to replace the log: nothing may be added to the old one, so this replica may
    /// not lead.
    pub(crate) installing: bool,
    /// When to ask for votes, unless a leader is heard.
    campaign_at: Option<Instant>,
    /// When the newest entry of another leader arrived here (or this process began).
    foreign_at: Instant,
    following: follow::Following,
    birth: birth::Birth,
    electing: election::Electing,
    leading: Option<Leading>,
}

/// What a replica starts with: what its disk said.
pub(crate) struct Start {
    pub(crate) group: GroupId,
    pub(crate) me: NodeId,
    pub(crate) ballot: (Term, Option<NodeId>),
    /// The log, whose entries are all on disk; it begins where the image ends.
    pub(crate) log: Log,
    pub(crate) configs: Configs,
    pub(crate) damaged: bool,
    pub(crate) now: Instant,
}

impl Raft {
    pub(crate) fn new(start: Start) -> Self {
        let Start { group, me, ballot, log, configs, damaged, now } = start;
        // A term that only entries speak of was entered without a vote.
        let (term, vote) =
            if ballot.0 >= log.last_term() { ballot } else { (log.last_term(), None) };
        Self {
            group,
            me,
            term,
            vote,
            ballot_on_disk: (term, vote),
            role: Role::Follower,
            leader: None,
            durable: log.last(),
            commit: log.before(),
            log,
            configs,
            damaged,
            healed: false,
            installing: false,
            campaign_at: None,
            foreign_at: now,
            following: follow::Following::default(),
            birth: birth::Birth::default(),
            electing: election::Electing::default(),
            leading: None,
        }
    }

    pub(crate) fn term(&self) -> Term {
        self.term
    }

    pub(crate) fn vote(&self) -> Option<NodeId> {
        self.vote
    }

    pub(crate) fn role(&self) -> Role {
        self.role
    }

    pub(crate) fn leader(&self) -> Option<NodeId> {
        self.leader
    }

    pub(crate) fn leads(&self) -> bool {
        self.role == Role::Leader
    }

    pub(crate) fn commit(&self) -> Index {
        self.commit
    }

    pub(crate) fn durable(&self) -> Index {
        self.durable
    }

    pub(crate) fn damaged(&self) -> bool {
        self.damaged
    }

    pub(crate) fn config(&self) -> &Config {
        self.configs.current()
    }

    pub(crate) fn config_at(&self, index: Index) -> &Config {
        self.configs.at(index)
    }

    pub(crate) fn leading(&self) -> Option<&Leading> {
        self.leading.as_ref()
    }

    /// A record of the write-ahead log has become durable: the entry at `index`, and all before it, if
    /// that record is still the one that holds it.
    pub(crate) fn entries_durable<J: Journal>(
        &mut self,
        index: Index,
        record: u64,
        io: &mut Io<'_, J>,
    ) {
        // The same entry may have been cut off and written again since: only the record that holds it
        // now counts (an ABA race otherwise).
        let held = self.log.record(index);
        let same = held == Some(record) || (io.bug(Bug::SyncCreditedByIndex) && held.is_some());
        if same && index > self.durable {
            self.durable = index;
            self.following.reply_due |= self.role != Role::Leader && self.leader.is_some();
        }
        self.heal_if_whole(io);
    }

    /// A term and vote have become durable.
    pub(crate) fn ballot_durable<J: Journal>(
        &mut self,
        term: Term,
        vote: Option<NodeId>,
        io: &mut Io<'_, J>,
    ) {
        assert!(term >= self.ballot_on_disk.0, "ballots reach the disk in order");
        self.ballot_on_disk = (term, vote);
        self.release_promises(io);
    }

    /// Whether the present term and vote are on disk.
    fn ballot_is_durable(&self) -> bool {
        self.ballot_on_disk == (self.term, self.vote)
    }

    /// What had to be durable before it could be said is durable now.
    fn release_promises<J: Journal>(&mut self, io: &mut Io<'_, J>) {
        if !self.ballot_is_durable() {
            return;
        }
        match self.role {
            Role::Candidate => self.ask_for_votes(io),
            Role::Follower | Role::PreCandidate => self.grant_vote_due(io),
            Role::Leader => {}
        }
    }

    /// Enters a term, or gives up a role within one.
    fn follow<J: Journal>(&mut self, term: Term, why: StepDown, io: &mut Io<'_, J>) {
        assert!(term >= self.term, "terms never go back");
        let led = self.role == Role::Leader;
        if led {
            let (group, term) = (self.group, self.term);
            io.events.push(Event::SteppedDown { group, term, why });
        }
        let clears = io.bug(Bug::StepDownClearsVote) && self.role != Role::Follower;
        if term > self.term {
            self.term = term;
            self.vote = None;
            self.write_ballot(io);
        } else if clears {
            self.vote = None;
            self.write_ballot(io);
        }
        self.role = Role::Follower;
        self.leader = None;
        self.leading = None;
        self.electing.votes.clear();
        self.following.restart();
        self.plan_campaign(io.config.timing.election_timeout, io);
    }

    fn write_ballot<J: Journal>(&mut self, io: &mut Io<'_, J>) {
        io.journal.ballot(self.group, self.term, self.vote);
    }

    /// When something has to happen here even if nothing arrives.
    pub(crate) fn deadline(
        &self,
        now: Instant,
        config: &EngineConfig,
        pulse: &Pulse,
    ) -> Option<Instant> {
        let leading = self.leading.as_ref();
        let lead = leading.and_then(|leading| leading.deadline(self, now, config, pulse));
        let damage = self.damage_due(config);
        let birth = self.birth_due(config);
        [self.campaign_at, lead, damage, birth].into_iter().flatten().min()
    }

    /// Does what is due.
    pub(crate) fn tick<J: Journal>(&mut self, io: &mut Io<'_, J>) {
        if self.campaign_at.is_some_and(|at| at <= io.now) {
            self.campaign(io);
        }
        if self.damage_due(io.config).is_some_and(|at| at <= io.now) {
            self.following.say_damaged(io.now);
        }
        if self.birth_due(io.config).is_some_and(|at| at <= io.now) {
            self.ask_if_blank(None, io);
        }
        self.resend(io);
    }

    /// How long after its creation an entry may still let an old leader read, by this node's clock.
    fn lease_bound(config: &EngineConfig) -> Span {
        let lease = config.timing.lease.0;
        Span(lease + lease / 1_000_000 * config.timing.drift_ppm * 2 + 1)
    }

    /// Panics if anything that must always hold does not.
    pub(crate) fn check(&self) {
        assert!(self.commit <= self.log.last(), "cannot commit what is not in the log");
        assert!(self.durable <= self.log.last(), "cannot have on disk what is not in the log");
        assert!(self.log.last_term() <= self.term, "no entry comes from a later term");
        assert_eq!(
            self.leading.is_some(),
            self.role == Role::Leader,
            "a leader knows its followers"
        );
        assert!(
            self.role != Role::Leader || self.leader == Some(self.me),
            "a leader follows itself"
        );
        assert!(!(self.installing && self.role == Role::Leader), "a leader's log is its own");
        assert!(!(self.damaged && self.role != Role::Follower), "a damaged replica only follows");
    }
}
