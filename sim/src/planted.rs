//! The planted bugs: which there are, and the first seed that finds each.

use std::ops::Range;

use driftless_core::config::Bug;

use crate::personality::draw_with;
use crate::swarm::{Sum, swarm};

/// All planted bugs.
pub const BUGS: [Bug; 34] = [
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
];

/// The bugs that a name given by a person selects; all, if none is given.
pub fn select(name: Option<&str>) -> Vec<Bug> {
    let wanted = |bug: &Bug| {
        name.is_none_or(|name| {
            format!("{bug:?}").eq_ignore_ascii_case(&name.replace(['-', '_'], ""))
        })
    };
    BUGS.into_iter().filter(wanted).collect()
}

/// Looks for a bug in a range of seeds.
pub fn hunt(bug: Bug, seeds: Range<u64>, jobs: usize, told: &(dyn Fn(u64) + Sync)) -> Sum {
    swarm(seeds, jobs, &|seed| draw_with(seed, bug), told)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_bug_of_the_core_is_hunted() {
        let mut sorted = BUGS.to_vec();
        sorted.sort_unstable();
        sorted.dedup();
        // `LifeReused` is the last variant: the numbers below it are all taken.
        assert_eq!(sorted.len(), Bug::LifeReused as usize);
        assert_eq!(select(None).len(), Bug::LifeReused as usize);
        assert_eq!(select(Some("quorum-is-half")), [Bug::QuorumIsHalf]);
    }
}
