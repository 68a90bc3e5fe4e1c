//! **`PromiseIsDurable`**: what has left a node is honoured by its disk alone.
//!
//! Ongaro's thesis, section 3.8 (persisted state), and the reason for it in Alagappan et al.,
//! *Protocol-Aware Recovery* (FAST 2018): a node that forgets what it promised takes back a vote or an
//! acknowledgement that others have counted. Four moments are looked at:
//!
//! * A replica begins to lead: the disks of a majority, recovered at this very moment, hold a vote for it in
//!   its term, or a newer term. No more of them are looked at than it takes to know.
//! * Every k-th turn that sends something: the sender's disk, recovered at this moment, holds what its
//!   replicas say is durable, and the term of those that lead.
//! * A replica whose log was cut says that more is on its disk: the same, whose-ever turn it is.
//! * A restart: what was durable is there again, or the replica says that it has lost something; and a disk
//!   that no fault has harmed is not called damaged, unless it holds nothing of the group.
//!
//! Finds: `VoteBeforeDurable`, `TermNotDurable`, `StaleVoteCounted`, `VotesTwice`, `QuorumIsHalf`, `LostDiskIsNew`,
//! `SyncCreditedByIndex`, `SnapshotBeforeDurable`, `ImageVoidsNewer`, `ChecksumNotChained`, `DamageIsTorn`.

use driftless_core::{GroupId, Index, LaneId, NodeId, Outline, Term};
use std::collections::{BTreeSet, VecDeque};

use super::ledger::{Change, Found, Group, Replica};
use super::observe::{Observed, ReplicaState};

/// As violations name it.
pub const NAME: &str = "PromiseIsDurable";

/// How many of the newest durable entries are compared with an image.
const LOOKED_AT: u64 = 64;

/// What is to be recovered from a disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// All replicas of an engine.
    Replicas(NodeId, LaneId),
    /// The term and vote of one group.
    Ballot(NodeId, LaneId, GroupId),
}

/// Why a disk is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Why {
    /// Its turn has come.
    Sample,
    /// A replica has won an election.
    Election(Election),
}

/// Somebody begins to lead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Election {
    group: GroupId,
    term: Term,
    leader: NodeId,
    /// Voters still to be asked after this one.
    to_come: usize,
}

impl Election {
    fn is_same(&self, other: &Self) -> bool {
        (self.group, self.term, self.leader) == (other.group, other.term, other.leader)
    }
}

/// Which disks are to be looked at, and what came out so far.
#[derive(Debug, Default)]
pub struct PromiseIsDurable {
    wanted: VecDeque<(NodeId, LaneId, Why)>,
    current: Option<Why>,
    /// Whose disk was asked for last.
    asked: Option<NodeId>,
    votes: usize,
    sends: u32,
    /// Whose log was cut: what it says next of its disk is looked at, whose-ever turn it is.
    cut: BTreeSet<(NodeId, GroupId)>,
}

impl PromiseIsDurable {
    /// A replica has begun to lead: its voters' disks are to be looked at, those first that say they voted for it.
    pub fn leads(&mut self, change: &Change<'_>, lane: LaneId, group: &Group) {
        let term = change.new.state.term;
        let says = |replica: &Replica| {
            replica.state.term == term && replica.state.vote == Some(change.node)
        };
        let (first, rest): (Vec<_>, Vec<_>) = group.replicas.iter().partition(|one| says(one));
        let count = group.replicas.len();
        for (place, replica) in first.into_iter().chain(rest).enumerate() {
            let to_come = count - 1 - place;
            let election = Election { group: group.id, term, leader: change.node, to_come };
            self.wanted.push_back((replica.node, lane, Why::Election(election)));
        }
    }

    /// A node has sent something; every so often its disk is to be looked at.
    pub fn sent(&mut self, node: NodeId, lane: LaneId, every: u32) {
        self.sends += 1;
        if every > 0 && self.sends >= every {
            self.sends = 0;
            self.wanted.push_back((node, lane, Why::Sample));
        }
    }

    /// A node has replaced entries that may be on their way to its disk.
    pub fn replaced(&mut self, node: NodeId, group: GroupId) {
        self.cut.insert((node, group));
    }

    /// A replica says that more is on its disk than before; if its log was cut meanwhile, that is looked at.
    pub fn synced(&mut self, node: NodeId, lane: LaneId, group: GroupId) {
        if self.cut.remove(&(node, group)) {
            self.wanted.push_back((node, lane, Why::Sample));
        }
    }

    /// The next disk to look at.
    pub fn wanted(&mut self) -> Option<Wanted> {
        let (node, lane, why) = self.wanted.pop_front()?;
        self.current = Some(why);
        self.asked = Some(node);
        Some(match why {
            Why::Sample => Wanted::Replicas(node, lane),
            Why::Election(election) => Wanted::Ballot(node, lane, election.group),
        })
    }

    /// Whether it is a disk of this node that was asked for.
    pub fn asked(&self, node: NodeId) -> bool {
        self.asked == Some(node)
    }

    /// The group whose votes are being counted, if that is why a disk is being looked at.
    pub fn electing(&self) -> Option<GroupId> {
        match self.current {
            Some(Why::Election(election)) => Some(election.group),
            _ => None,
        }
    }

    /// One replica on the disk that was asked for.
    pub fn image(&self, group: &Group, at: usize, recovered: &Outline, found: &mut Found) {
        let replica = &group.replicas[at];
        if !replica.harmed {
            let Outline { before, ref terms, .. } = *recovered;
            let last = Index(before.0 + terms.len() as u64);
            let term = |index: Index| terms.get((index.0 - before.0 - 1) as usize).copied();
            let log = Log { before, last, term: &term, place: "its disk" };
            durable(group, replica, &log, found);
            ballot(replica, recovered.ballot, found);
        }
    }

    /// Term and vote on the disk that was asked for; `None` if nothing can be demanded of it.
    pub fn voter(
        &mut self,
        group: &mut Group,
        place: usize,
        ballot: Option<(Term, Option<NodeId>)>,
        found: &mut Found,
    ) {
        let Some(Why::Election(election)) = self.current.take() else { return };
        let counts = ballot.is_none_or(|(term, vote)| {
            let granted = term == election.term && vote == Some(election.leader);
            if granted {
                group.replicas[place].prove(term, vote);
            }
            granted || term > election.term || group.replicas[place].harmed
        });
        self.votes += usize::from(counts);
        if self.votes >= group.majority() {
            // Nothing that the others know can make it wrong.
            let more = |why| matches!(why, Why::Election(other) if election.is_same(&other));
            self.wanted.retain(|&(.., why)| !more(why));
        } else if election.to_come > 0 {
            return;
        }
        let votes = std::mem::take(&mut self.votes);
        if votes < group.majority() {
            found.report(NAME, || {
                format!(
                    "group {}: node {} leads in term {}, but only {votes} of {} disks know that they \
                     voted for it",
                    group.id.0,
                    election.leader.0,
                    election.term.0,
                    group.replicas.len()
                )
            });
        }
    }
}

/// A replica comes back from its disk.
pub fn restarted(group: &Group, at: usize, recovered: &Observed<'_>, found: &mut Found) {
    let replica = &group.replicas[at];
    if replica.harmed && (recovered.state.damaged || replica.put_back) {
        return;
    }
    // A disk without a trace of the group may be a new one, for all that the replica can know.
    let blank = recovered.state.term == Term(0) && recovered.state.last == Index(0);
    if recovered.state.damaged && !replica.state.damaged && !blank {
        found.report(NAME, || {
            format!("{}: claims damage, though no fault has harmed its disk", who(replica))
        });
    }
    restarted_whole(group, replica, recovered, found);
}

/// Whether a replica that comes back from its disk still has all it is known to have promised.
pub fn intact(group: &Group, at: usize, recovered: &Observed<'_>) -> bool {
    let mut found = Found::default();
    restarted_whole(group, &group.replicas[at], recovered, &mut found);
    found.list().is_empty() && !recovered.state.damaged
}

fn restarted_whole(group: &Group, replica: &Replica, recovered: &Observed<'_>, found: &mut Found) {
    let term = |index| recovered.log.entry(index).map(|(term, _)| term);
    let ReplicaState { before, last, .. } = recovered.state;
    durable(group, replica, &Log { before, last, term: &term, place: "the restart" }, found);
    ballot(replica, (recovered.state.term, recovered.state.vote), found);
}

/// A log that was recovered.
struct Log<'a> {
    before: Index,
    last: Index,
    /// Of an entry behind `before`.
    term: &'a dyn Fn(Index) -> Option<Term>,
    /// Where it was found, for messages.
    place: &'static str,
}

/// Whether what a replica said to be durable is in its image.
fn durable(group: &Group, replica: &Replica, there: &Log<'_>, found: &mut Found) {
    let claim = replica.promised();
    if replica.state.damaged || claim.0 == 0 {
        return;
    }
    let place = there.place;
    if there.before > replica.state.commit {
        // An image from a leader has come, which holds what is committed. It replaces a log that does not
        // hold its last entry: what was acknowledged to an earlier leader beyond that never will be.
        let Some(last) = group.committed(there.before) else {
            found.report(NAME, || {
                let index = there.before.0;
                format!("{}: {place} shows an image up to {index}, not committed", who(replica))
            });
            return;
        };
        if replica.terms.at(there.before) != Some(last.term) {
            return;
        }
    }
    if there.last < claim {
        found.report(NAME, || {
            format!(
                "{}: said to have entries up to {} on disk; {place} shows {}",
                who(replica),
                claim.0,
                there.last.0
            )
        });
        return;
    }
    // The newest ones tell: what is before them agrees by `LogMatching`, or did when it was looked at last.
    let first = replica.terms.before().max(there.before).0.max(claim.0.saturating_sub(LOOKED_AT));
    let wrong = (first + 1..=claim.0).rev().map(Index).find(|&index| {
        match ((there.term)(index), replica.terms.at(index)) {
            (Some(term), Some(said)) => term != said,
            _ => false,
        }
    });
    if let Some(index) = wrong {
        found.report(NAME, || {
            format!("{}: {place} shows another entry at index {}", who(replica), index.0)
        });
    }
}

/// Whether what is proven of a replica's term and vote is in its image.
fn ballot(replica: &Replica, there: (Term, Option<NodeId>), found: &mut Found) {
    let (term, vote) = replica.proven;
    if there.0 < term || (there.0 == term && vote.is_some() && there.1 != vote) {
        found.report(NAME, || {
            format!(
                "{}: voted for {vote:?} in term {}; its disk shows {:?} in term {}",
                who(replica),
                term.0,
                there.1,
                there.0.0
            )
        });
    }
}

fn who(replica: &Replica) -> String {
    format!("group {}, node {}", replica.state.group.0, replica.node.0)
}

#[cfg(test)]
mod tests {
    use driftless_core::Index;

    use super::super::fake::Stage;
    use super::*;

    #[test]
    fn an_election_won_with_durable_votes_is_fine() {
        let mut stage = Stage::new(3);
        stage.vote(1, 3, 1);
        stage.vote(2, 3, 1);
        stage.wins(1, 3);
        stage.clean();
    }

    #[test]
    fn a_vote_that_is_not_on_disk_is_found() {
        let mut stage = Stage::new(3);
        stage.vote(1, 3, 1);
        stage.wins(1, 3);
        stage.violates(NAME);
    }

    #[test]
    fn a_voter_that_has_moved_on_still_counts() {
        let mut stage = Stage::new(3);
        stage.vote(1, 3, 1);
        stage.vote(2, 4, 2);
        stage.wins(1, 3);
        stage.clean();
    }

    #[test]
    fn durable_entries_that_the_restart_does_not_show_are_found() {
        let mut stage = Stage::new(3);
        stage.append(1, 1, b"a");
        stage.sync(1);
        stage.crash(1);
        stage.replica(1).lose_from(1);
        stage.recover(1);
        stage.violates(NAME);
    }

    #[test]
    fn what_a_new_life_read_from_a_cache_may_be_lost_before_it_speaks() {
        let mut stage = Stage::new(3);
        stage.append(1, 1, b"a");
        for _ in 0..2 {
            stage.crash(1);
            stage.replica(1).state.durable = Index(1);
            stage.recover(1);
        }
        stage.clean();
        stage.crash(1);
        stage.replica(1).lose_from(1);
        stage.recover(1);
        stage.clean();
    }

    #[test]
    fn a_harmed_disk_may_lose_them() {
        let mut stage = Stage::new(3);
        stage.append(1, 1, b"a");
        stage.sync(1);
        stage.crash(1);
        stage.harm(1);
        stage.replica(1).lose_from(1);
        stage.replica(1).state.damaged = true;
        stage.recover(1);
        stage.clean();
    }

    #[test]
    fn damage_that_is_not_noticed_is_found() {
        let mut stage = Stage::new(3);
        stage.append(1, 1, b"a");
        stage.sync(1);
        stage.crash(1);
        stage.harm(1);
        stage.replica(1).lose_from(1);
        stage.recover(1);
        stage.violates(NAME);
    }

    #[test]
    fn damage_that_nobody_did_is_found() {
        let mut stage = Stage::new(3);
        stage.append(1, 1, b"a");
        stage.sync(1);
        stage.crash(1);
        stage.replica(1).state.damaged = true;
        stage.recover(1);
        stage.violates(NAME);
    }

    #[test]
    fn a_sync_credited_to_another_entry_is_found_by_a_sample() {
        let mut stage = Stage::new(3);
        stage.append(1, 1, b"a");
        stage.sync(1);
        stage.sample(1);
        stage.clean();
        stage.replace(1, 1, 2, b"b");
        stage.change(1, |state| state.durable = Index(1));
        stage.sample(1);
        stage.violates(NAME);
    }
}
