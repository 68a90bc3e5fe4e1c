//! Elections: pre-vote, vote, and who may have them.

use alloc::vec::Vec;

use crate::config::Bug;
use crate::event::{Event, StepDown};
use crate::ids::{Index, NodeId, Term};
use crate::message::{self, Ballot, Message, Vote};
use crate::raft::{Io, Journal, Leading, Raft, Role};
use crate::time::Span;

/// What a replica keeps while it asks for votes or owes one.
#[derive(Debug, Default)]
pub(crate) struct Electing {
    /// Who has granted what is asked for now.
    pub(crate) votes: Vec<NodeId>,
    /// Who waits for a vote that is not on disk yet.
    vote_due: Option<NodeId>,
    /// The old leader asked for this campaign, and its lease is over.
    handed_over: bool,
    /// Elections lost in a row: disks may be too slow for the timeout.
    pub(super) lost: u32,
}

impl Raft {
    /// The leader is not heard any more, or none is known: a campaign begins unless one appears.
    pub(crate) fn leader_lost<J: Journal>(&mut self, io: &mut Io<'_, J>) {
        if self.role == Role::Follower {
            self.leader = None;
            self.plan_campaign(Span(0), io);
        }
    }

    /// A node is heard again: if that is what a campaign waited for, it goes on.
    pub(crate) fn node_heard<J: Journal>(&mut self, io: &mut Io<'_, J>) {
        if self.role != Role::Leader && self.leader.is_none() && self.campaign_at.is_none() {
            self.plan_campaign(Span(0), io);
        }
    }

    /// Sets the time of the next campaign: `least` from now, staggered by rank, with some chance.
    pub(crate) fn plan_campaign<J: Journal>(&mut self, least: Span, io: &mut Io<'_, J>) {
        let config = self.configs.current();
        if self.damaged || !config.is_voter(self.me) {
            self.campaign_at = None;
            return;
        }
        if config.voters.len() == 1 && config.outgoing.is_empty() {
            self.campaign_at = Some(io.now.plus(least));
            return;
        }
        let rank = config.voters.iter().position(|node| *node == self.me).unwrap_or_default();
        // Whoever stands while another one asks for votes takes a vote from it: the oftener that happened, the
        // further apart the next try. Disks may take longer than the usual spread.
        let spread = io.config.timing.election_spread.0 << self.electing.lost.min(4);
        let stagger = spread / 2 * rank as u64 / config.voters.len() as u64;
        let wait = stagger + io.chance.up_to(spread / 2);
        self.campaign_at = Some(io.now.plus(least).plus(Span(wait)));
    }

    /// The first campaign of a process: soon, for nobody is known to lead.
    pub(crate) fn begin<J: Journal>(&mut self, io: &mut Io<'_, J>) {
        let alone = self.config().is_alone();
        let least = if alone { 0 } else { io.config.timing.election_timeout.0 / 4 };
        self.plan_campaign(Span(least), io);
    }

    /// Asks whether an election could be won. Nobody's state changes by it, not even the term here.
    pub(crate) fn campaign<J: Journal>(&mut self, io: &mut Io<'_, J>) {
        if self.role == Role::Leader || self.damaged || !self.config().is_voter(self.me) {
            self.campaign_at = None;
            return;
        }
        if !self.config().quorum(Bug::None, |node| node == self.me || io.pulse.alive(node)) {
            // Nobody could answer: another try follows once somebody is heard.
            self.campaign_at = None;
            return;
        }
        self.plan_campaign(io.config.timing.election_timeout, io);
        let voting_for_itself = self.role == Role::Candidate && !self.ballot_is_durable();
        if io.pulse.stalled || voting_for_itself || self.installing {
            return;
        }
        self.role = Role::PreCandidate;
        self.leader = None;
        self.electing.votes.clear();
        self.electing.votes.push(self.me);
        if self.won(io) {
            self.stand(false, io);
            return;
        }
        self.send_ballots(true, Term(self.term.0 + 1), io);
    }

    /// Stands for election in a new term. The requests leave once this node's own vote is on disk: so
    /// that after a crash it never stands again in a term in which it may have been voted for.
    fn stand<J: Journal>(&mut self, handed_over: bool, io: &mut Io<'_, J>) {
        self.term = Term(self.term.0 + 1);
        self.vote = Some(self.me);
        self.role = Role::Candidate;
        self.leader = None;
        self.electing.votes.clear();
        self.electing.handed_over = handed_over;
        self.electing.lost += 1;
        self.following.restart();
        self.plan_campaign(io.config.timing.election_timeout, io);
        self.write_ballot(io);
        io.events.push(Event::Campaigning { group: self.group, term: self.term });
        if io.bug(Bug::VoteBeforeDurable) {
            self.ask_for_votes(io);
        }
    }

    pub(super) fn ask_for_votes<J: Journal>(&mut self, io: &mut Io<'_, J>) {
        if !self.electing.votes.contains(&self.me) {
            self.electing.votes.push(self.me);
        }
        if self.won(io) {
            self.lead(io);
            return;
        }
        // The disk may have taken its time: the others have theirs from now on, and the more of it the
        // oftener that was not enough.
        let patience = io.config.timing.election_timeout.0 << self.electing.lost.min(4) >> 1;
        self.plan_campaign(Span(patience), io);
        self.send_ballots(false, self.term, io);
    }

    fn send_ballots<J: Journal>(&mut self, pre: bool, term: Term, io: &mut Io<'_, J>) {
        let ballot = Ballot {
            group: self.group,
            term,
            last: self.log.last(),
            last_term: self.log.last_term(),
            pre,
            transfer: !pre && self.electing.handed_over,
        };
        for node in self.config().members() {
            if node != self.me && self.config().is_voter(node) {
                message::send(io.sends, node.0, &Message::Ballot(ballot));
            }
        }
    }

    /// Somebody asks for this replica's vote.
    pub(crate) fn on_ballot<J: Journal>(
        &mut self,
        from: NodeId,
        ballot: &Ballot,
        io: &mut Io<'_, J>,
    ) {
        if self.damaged && !io.bug(Bug::DamagedVotes) {
            return;
        }
        if ballot.term < self.term {
            self.send_vote(from, self.term, ballot.pre, false, io);
            return;
        }
        let hears_leader = self
            .leader
            .is_some_and(|leader| leader == self.me || (leader != from && io.pulse.fit(leader)));
        if hears_leader && !ballot.transfer {
            return;
        }
        let own = (self.log.last_term(), self.log.last());
        let up_to_date = (ballot.last_term, ballot.last) >= own || io.bug(Bug::NoUpToDateCheck);
        if ballot.pre {
            let possible = ballot.term > self.term;
            let term = if possible && up_to_date { ballot.term } else { self.term };
            self.send_vote(from, term, true, possible && up_to_date, io);
            return;
        }
        if ballot.term > self.term {
            self.follow(ballot.term, StepDown::HigherTerm, io);
        }
        let twice = io.bug(Bug::VotesTwice);
        let free = self.vote.is_none_or(|vote| vote == from) || twice;
        if !(free && up_to_date) {
            self.send_vote(from, self.term, false, false, io);
            return;
        }
        if self.vote.is_none() {
            self.vote = Some(from);
            self.write_ballot(io);
            self.plan_campaign(io.config.timing.election_timeout, io);
        }
        self.electing.vote_due = Some(from);
        if io.bug(Bug::VoteBeforeDurable) || self.ballot_is_durable() {
            self.grant_vote_due(io);
        }
    }

    /// Says yes to whom this replica has voted for, now that the vote is on disk.
    pub(super) fn grant_vote_due<J: Journal>(&mut self, io: &mut Io<'_, J>) {
        if let Some(to) = self.electing.vote_due.take()
            && (self.vote == Some(to) || io.bug(Bug::VotesTwice))
        {
            self.plan_campaign(io.config.timing.election_timeout, io);
            self.send_vote(to, self.term, false, true, io);
        }
    }

    fn send_vote<J: Journal>(
        &self,
        to: NodeId,
        term: Term,
        pre: bool,
        granted: bool,
        io: &mut Io<'_, J>,
    ) {
        let vote = Vote { group: self.group, term, pre, granted };
        message::send(io.sends, to.0, &Message::Vote(vote));
    }

    /// Somebody has answered.
    pub(crate) fn on_vote<J: Journal>(&mut self, from: NodeId, vote: &Vote, io: &mut Io<'_, J>) {
        if !vote.granted {
            if vote.term > self.term {
                self.follow(vote.term, StepDown::HigherTerm, io);
            }
            return;
        }
        let counts = if self.installing {
            false
        } else if vote.pre {
            self.role == Role::PreCandidate && vote.term == Term(self.term.0 + 1)
        } else {
            let term = vote.term == self.term || io.bug(Bug::StaleVoteCounted);
            self.role == Role::Candidate && term && self.electing.votes.contains(&self.me)
        };
        if !counts {
            return;
        }
        if !self.electing.votes.contains(&from) {
            self.electing.votes.push(from);
        }
        if self.won(io) {
            if vote.pre { self.stand(false, io) } else { self.lead(io) }
        }
    }

    fn won<J: Journal>(&self, io: &Io<'_, J>) -> bool {
        if self.is_blank() && self.role == Role::PreCandidate {
            // The first term ends the time in which replicas are born: all of them have to be.
            return self.config().members().iter().all(|node| self.electing.votes.contains(node));
        }
        self.config().quorum(io.config.bug, |node| self.electing.votes.contains(&node))
    }

    /// The leader hands over to this replica.
    pub(crate) fn on_take_over<J: Journal>(
        &mut self,
        from: NodeId,
        term: Term,
        last: Index,
        io: &mut Io<'_, J>,
    ) {
        let fit = self.role == Role::Follower
            && !self.damaged
            && !self.installing
            && !io.pulse.stalled
            && self.config().is_voter(self.me);
        let meant = term == self.term && self.leader == Some(from) && self.log.last() == last;
        if fit && meant {
            self.stand(true, io);
        }
    }

    /// The leader has stopped leading.
    pub(crate) fn on_resigned<J: Journal>(&mut self, from: NodeId, term: Term, io: &mut Io<'_, J>) {
        if term == self.term && self.leader == Some(from) {
            self.leader_lost(io);
        }
    }

    /// Leads from now on.
    fn lead<J: Journal>(&mut self, io: &mut Io<'_, J>) {
        assert!(!self.damaged, "a damaged replica cannot lead");
        self.role = Role::Leader;
        self.leader = Some(self.me);
        self.campaign_at = None;
        self.electing.lost = 0;
        let alone = self.config().is_alone();
        let at_once = alone || self.electing.handed_over || io.bug(Bug::NoCommitWait);
        let hold_until =
            if at_once { io.now } else { self.foreign_at.plus(Self::lease_bound(io.config)) };
        self.leading = Some(Leading::new(self, hold_until, io.now));
        self.electing.votes.clear();
        io.events.push(Event::Leading { group: self.group, term: self.term });
    }
}
