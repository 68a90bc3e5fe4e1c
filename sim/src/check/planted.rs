//! Which checkers can find each planted bug, and what brings it out. `driftless-sim planted` prints it
//! beside what was really found.

use driftless_core::config::Bug;

use super::{
    applied_monotonic, at_end, changes_told, commit_is_final, committed_immutable, durable_quorum,
    election_safety, exactly_once, false_suspicion, leader_completeness, life_grows, linearizable,
    log_matching, members_converged, membership_lattice, promise_is_durable, reply_matches_commit,
    shadow_match, state_equal, state_machine_safety, term_monotonic, ttl_bounds, users_known,
};

const ELECTION: &str = election_safety::NAME;
const TERM: &str = term_monotonic::NAME;
const APPLIED: &str = applied_monotonic::NAME;
const MATCHING: &str = log_matching::NAME;
const COMPLETE: &str = leader_completeness::NAME;
const IMMUTABLE: &str = committed_immutable::NAME;
const MACHINE: &str = state_machine_safety::NAME;
const FINAL: &str = commit_is_final::NAME;
const QUORUM: &str = durable_quorum::NAME;
const SHADOW: &str = shadow_match::NAME;
const PROMISE: &str = promise_is_durable::NAME;
const REPLY: &str = reply_matches_commit::NAME;
const LINEARIZABLE: &str = linearizable::NAME;
const ONCE: &str = exactly_once::NAME;
const STATE: &str = state_equal::NAME;
const RECOVERY: &str = state_equal::RECOVERY;
const TTL: &str = ttl_bounds::NAME;
const CHANGES: &str = changes_told::NAME;
const USERS: &str = users_known::NAME;
const MEMBERS: &str = membership_lattice::NAME;
const TOGETHER: &str = members_converged::NAME;
const SUSPICION: &str = false_suspicion::NAME;
const LIFE: &str = life_grows::NAME;
const CONVERGED: &str = at_end::CONVERGED;
const LIVENESS: &str = at_end::LIVENESS;

/// Every checker, as violations name it.
pub const CHECKERS: [&str; 26] = [
    ELECTION,
    TERM,
    APPLIED,
    MATCHING,
    COMPLETE,
    IMMUTABLE,
    MACHINE,
    QUORUM,
    FINAL,
    SHADOW,
    PROMISE,
    REPLY,
    LINEARIZABLE,
    ONCE,
    STATE,
    RECOVERY,
    TTL,
    CHANGES,
    USERS,
    MEMBERS,
    TOGETHER,
    SUSPICION,
    LIFE,
    CONVERGED,
    LIVENESS,
    at_end::TERM_GROWTH,
];

/// What is known of a planted bug beforehand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Planted {
    /// Which.
    pub bug: Bug,
    /// The checkers that can find it, the likeliest first.
    pub finders: &'static [&'static str],
    /// Which workload and faults bring it out.
    pub helped_by: &'static str,
}

/// All planted bugs, in the order of their declaration.
pub const ALL: [Bug; 49] = [
    Bug::VoteBeforeDurable,
    Bug::TermNotDurable,
    Bug::NoUpToDateCheck,
    Bug::OldTermCommit,
    Bug::AckBeforeDurable,
    Bug::LeaderCountsUndurable,
    Bug::TruncateOnOverlap,
    Bug::CommitUnbounded,
    Bug::StaleVoteCounted,
    Bug::StaleAckCounted,
    Bug::AckOwnLast,
    Bug::StepDownClearsVote,
    Bug::QuorumIsHalf,
    Bug::UnsortedQuorum,
    Bug::ReadWithoutLease,
    Bug::ReadBeforeCommit,
    Bug::NoCommitWait,
    Bug::DoubtfulTailIgnored,
    Bug::WaiterByIndex,
    Bug::RetryNotDeduplicated,
    Bug::SnapshotDropsNewer,
    Bug::SnapshotWrongTerm,
    Bug::SnapshotBeforeDurable,
    Bug::DamageIsTorn,
    Bug::SyncCreditedByIndex,
    Bug::ChecksumNotChained,
    Bug::ExpireByOwnClock,
    Bug::StampGoesBack,
    Bug::RefuteWithoutIncarnation,
    Bug::LowerIncarnationWins,
    Bug::ClustersMerge,
    Bug::ReplyBeforeCommit,
    Bug::DamagedVotes,
    Bug::LifeReused,
    Bug::NoIndirectProbe,
    Bug::SuspicionForever,
    Bug::DeadRevivedByRumour,
    Bug::RefusalForgotten,
    Bug::ImageVoidsNewer,
    Bug::VotesTwice,
    Bug::PreviousTermIgnored,
    Bug::HandsOnward,
    Bug::LostDiskIsNew,
    Bug::LastChunkLeftOut,
    Bug::ChangesJumped,
    Bug::UsersGuessed,
    Bug::StaleUnbounded,
    Bug::FreshWhenTold,
    Bug::MovedThoughTaken,
];

/// What is known of a bug; for [`Bug::None`], nothing finds it. A new bug has to be added here, to a group
/// below, and to [`ALL`].
pub fn expected(bug: Bug) -> Planted {
    let row = match bug {
        Bug::None => None,
        Bug::VoteBeforeDurable
        | Bug::TermNotDurable
        | Bug::NoUpToDateCheck
        | Bug::StaleVoteCounted
        | Bug::StepDownClearsVote
        | Bug::DamagedVotes
        | Bug::LifeReused
        | Bug::VotesTwice
        | Bug::HandsOnward
        | Bug::LostDiskIsNew => elections(bug),
        Bug::OldTermCommit
        | Bug::AckBeforeDurable
        | Bug::LeaderCountsUndurable
        | Bug::TruncateOnOverlap
        | Bug::CommitUnbounded
        | Bug::StaleAckCounted
        | Bug::AckOwnLast
        | Bug::QuorumIsHalf
        | Bug::UnsortedQuorum
        | Bug::SyncCreditedByIndex
        | Bug::PreviousTermIgnored => replication(bug),
        Bug::ReadWithoutLease
        | Bug::ReadBeforeCommit
        | Bug::NoCommitWait
        | Bug::DoubtfulTailIgnored
        | Bug::WaiterByIndex
        | Bug::RetryNotDeduplicated
        | Bug::ReplyBeforeCommit
        | Bug::RefusalForgotten
        | Bug::UsersGuessed
        | Bug::StaleUnbounded
        | Bug::FreshWhenTold
        | Bug::MovedThoughTaken => answers(bug),
        Bug::SnapshotDropsNewer
        | Bug::SnapshotWrongTerm
        | Bug::SnapshotBeforeDurable
        | Bug::ImageVoidsNewer
        | Bug::DamageIsTorn
        | Bug::ChecksumNotChained
        | Bug::LastChunkLeftOut
        | Bug::ChangesJumped => files(bug),
        Bug::ExpireByOwnClock
        | Bug::StampGoesBack
        | Bug::RefuteWithoutIncarnation
        | Bug::LowerIncarnationWins
        | Bug::ClustersMerge
        | Bug::NoIndirectProbe
        | Bug::SuspicionForever
        | Bug::DeadRevivedByRumour => time_and_members(bug),
    };
    let (finders, helped_by) = row.unwrap_or((&[], "nothing: the clean core"));
    Planted { bug, finders, helped_by }
}

type Row = (&'static [&'static str], &'static str);

fn elections(bug: Bug) -> Option<Row> {
    Some(match bug {
        Bug::VoteBeforeDurable => (
            &[PROMISE, ELECTION],
            "any election with slow syncs: the voters' disks are looked at when somebody wins; for the \
             harm itself, a crash of a voter just after its vote left",
        ),
        Bug::TermNotDurable => (
            &[PROMISE, TERM, ELECTION],
            "any election; for the harm itself, a voter restarts while the election is under way",
        ),
        Bug::NoUpToDateCheck => (
            &[COMPLETE, IMMUTABLE],
            "a follower cut off while writes flow, then joined again with the leader cut off instead",
        ),
        Bug::StaleVoteCounted => (
            &[PROMISE, ELECTION],
            "votes held on a link across a term; elections that fail and begin again (equal timeouts)",
        ),
        Bug::StepDownClearsVote => (
            &[TERM, ELECTION],
            "two candidates of one term: equal election timeouts, delays of about a timeout",
        ),
        Bug::DamagedVotes => (
            &[COMPLETE, IMMUTABLE, ELECTION, LIVENESS, QUORUM],
            "bit rot in the newest segment of a follower that has acknowledged, restart, then an \
             election with the leader cut off",
        ),
        Bug::LifeReused => (
            &[LIFE, LINEARIZABLE],
            "restarts; for the harm itself, forwarded counters around the restart of the forwarder",
        ),
        Bug::VotesTwice => (
            &[ELECTION, PROMISE],
            "two candidates of one term that reach the same voter: small spread, delays of about a timeout",
        ),
        Bug::HandsOnward => (
            &[at_end::TERM_GROWTH],
            "leaders that are handed back soon, and nothing else going wrong",
        ),
        Bug::LostDiskIsNew => (
            &[PROMISE, COMPLETE, IMMUTABLE, ELECTION],
            "a disk wiped that has voted and acknowledged, then an election with a holder cut off",
        ),
        _ => return None,
    })
}

fn replication(bug: Bug) -> Option<Row> {
    Some(match bug {
        Bug::OldTermCommit => (
            &[FINAL, IMMUTABLE, COMPLETE, MACHINE],
            "figure 8: leaders crash or are cut off just after they have appended, five nodes, append \
             batches of one",
        ),
        Bug::AckBeforeDurable => (
            &[SHADOW, QUORUM, COMPLETE],
            "any write with slow syncs; for the harm itself, a power cut of several nodes",
        ),
        Bug::LeaderCountsUndurable => (
            &[QUORUM, COMPLETE],
            "a leader whose disk is slower than its followers'; then a power cut of it",
        ),
        Bug::TruncateOnOverlap => (
            &[IMMUTABLE, SHADOW, QUORUM, APPLIED],
            "duplicated and reordered appends, small append batches, many writes in flight",
        ),
        Bug::CommitUnbounded => (
            &[APPLIED, IMMUTABLE, MACHINE, QUORUM],
            "a follower with a tail of an old term that hears a beat before the append that cuts it",
        ),
        Bug::StaleAckCounted => (
            &[SHADOW, QUORUM, COMPLETE],
            "a leader cut off with one companion while it appends, whose answers are held until it leads again \
             after both logs were cut; five nodes, for two of three are a majority",
        ),
        Bug::AckOwnLast => (
            &[SHADOW, QUORUM, COMPLETE, IMMUTABLE],
            "a deposed leader with a tail of its own joins again; append batches of one",
        ),
        Bug::QuorumIsHalf => (
            &[QUORUM, PROMISE, ELECTION, LINEARIZABLE],
            "an even number of replicas, or any partition by halves",
        ),
        Bug::UnsortedQuorum => {
            (&[QUORUM, COMPLETE], "followers of unequal speed: one slow disk or link, five nodes")
        }
        Bug::PreviousTermIgnored => (
            &[MATCHING, IMMUTABLE, APPLIED],
            "a deposed leader with a tail of its own that hears more than an entry of its successor",
        ),
        Bug::SyncCreditedByIndex => (
            &[PROMISE, SHADOW, QUORUM],
            "slow syncs at a follower whose tail is replaced while its sync is under way; images often",
        ),
        _ => return None,
    })
}

fn answers(bug: Bug) -> Option<Row> {
    Some(match bug {
        Bug::ReadWithoutLease => (
            &[LINEARIZABLE],
            "a leader cut off together with a client that reads, while others write few keys",
        ),
        Bug::ReadBeforeCommit => (
            &[LINEARIZABLE],
            "reads at a new leader whose commit index lags; few keys, frequent elections",
        ),
        Bug::NoCommitWait => (
            &[LINEARIZABLE],
            "a leader that is cut off but holds its lease, with a client that reads there and another \
             that writes to its successor; leadership that changes faster than a lease ends",
        ),
        Bug::DoubtfulTailIgnored => (
            &[LINEARIZABLE],
            "a leader that dies with entries on their way, then reads of just these keys at the next \
             one while the old lease lasts",
        ),
        Bug::WaiterByIndex => (
            &[REPLY, LINEARIZABLE, LIVENESS],
            "a leader cut off with clients that write, then joined again: its tail is replaced under \
             the clients that wait",
        ),
        Bug::RetryNotDeduplicated => (
            &[ONCE, LINEARIZABLE, STATE, TTL],
            "counters and appended values through nodes that forward; replies between nodes lost, \
             leaders that crash just after they have committed",
        ),
        Bug::ReplyBeforeCommit => (
            &[REPLY, LINEARIZABLE],
            "any write with delays; for the harm itself, a leader that dies just after it has appended",
        ),
        Bug::RefusalForgotten => (
            &[ONCE, LINEARIZABLE, LIVENESS, CONVERGED],
            "clients at nodes that forward, small limits, so that a leader is busy for some of the \
             writes of an attempt and not for the ones behind them",
        ),
        Bug::UsersGuessed => (&[USERS], "a restart, or a start after others have begun to write"),
        Bug::StaleUnbounded => (
            &[LINEARIZABLE],
            "READONLY clients of a replica that is cut off or lags, writes elsewhere",
        ),
        Bug::FreshWhenTold => (
            &[LINEARIZABLE],
            "READONLY clients, a small bound, and answers of a leader that are held for longer than it",
        ),
        Bug::MovedThoughTaken => (
            &[REPLY, LINEARIZABLE, ONCE],
            "clients in cluster mode that write where the leader is not, and others that read",
        ),
        _ => return None,
    })
}

fn files(bug: Bug) -> Option<Row> {
    Some(match bug {
        Bug::SnapshotDropsNewer => (
            &[PROMISE, IMMUTABLE, APPLIED, QUORUM],
            "tiny logs in memory and small chunks, so that entries overtake an image on its way",
        ),
        Bug::ChangesJumped => {
            (&[CHANGES], "tiny logs in memory, so that a follower needs an image")
        }
        Bug::ImageVoidsNewer => (
            &[PROMISE],
            "small chunks, so that entries overtake an image on its way, and a restart afterwards",
        ),
        Bug::SnapshotWrongTerm => (
            &[LIVENESS, CONVERGED, COMPLETE, MATCHING],
            "a node away long enough to need an image, several terms in between, then an election that \
             needs its vote",
        ),
        Bug::SnapshotBeforeDurable => (
            &[PROMISE, RECOVERY, IMMUTABLE],
            "tiny segments and images, slow syncs of image files, power cuts just after a segment is \
             removed; images of the disk often",
        ),
        Bug::DamageIsTorn => (
            &[PROMISE, COMPLETE, IMMUTABLE, QUORUM],
            "damage to a segment below the synced end; for the harm itself, an election with the other \
             holder cut off",
        ),
        Bug::LastChunkLeftOut => (
            &[RECOVERY, STATE],
            "restarts of replicas that have made or installed images: tiny segments",
        ),
        Bug::ChecksumNotChained => (
            &[PROMISE, MATCHING, IMMUTABLE],
            "a whole write that is found in the place of a later one of the same length",
        ),
        _ => return None,
    })
}

fn time_and_members(bug: Bug) -> Option<Row> {
    Some(match bug {
        Bug::ExpireByOwnClock => (
            &[STATE, TTL],
            "keys with a time to live, clocks with offsets of more than it, elections",
        ),
        Bug::StampGoesBack => (
            &[APPLIED, TTL, STATE],
            "keys with a time to live and clocks that step back under a leader, or a next leader that \
             lags behind",
        ),
        Bug::RefuteWithoutIncarnation => (
            &[TOGETHER],
            "loss or pauses long enough for suspicion, then answers: false suspicion refuted",
        ),
        Bug::LowerIncarnationWins => (
            &[MEMBERS, TOGETHER],
            "delayed and duplicated datagrams around restarts and refutations",
        ),
        Bug::DeadRevivedByRumour => {
            (&[MEMBERS], "rumours held on a link until their subject has been declared dead")
        }
        Bug::SuspicionForever => {
            (&[TOGETHER], "a node that stays broken after the heal while the others go on")
        }
        Bug::NoIndirectProbe => (
            &[SUSPICION],
            "at the end of a run, once all is well: datagrams lost between two nodes in one direction",
        ),
        Bug::ClustersMerge => (
            &[MEMBERS],
            "a stranger knocks: a node of another cluster, whose id lies beyond this one's",
        ),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_planted_bug_has_a_checker_that_can_find_it() {
        for (place, bug) in ALL.into_iter().enumerate() {
            let planted = expected(bug);
            assert_eq!(bug as usize, place + 1, "the order is that of the declaration");
            assert!(!planted.finders.is_empty(), "{bug:?} needs a checker");
            for finder in planted.finders {
                assert!(CHECKERS.contains(finder), "{bug:?}: {finder} is no checker");
            }
        }
        assert!(expected(Bug::None).finders.is_empty(), "nothing is wrong with the clean core");
    }
}
