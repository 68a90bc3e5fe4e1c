//! The planted bugs: which there are, and the first seed that finds each.

use std::ops::Range;

use driftless_core::config::Bug;

use crate::check::planted::ALL;
use crate::personality::draw_with;
use crate::swarm::{Sum, swarm};

/// The bugs that a name given by a person selects; all, if none is given.
pub fn select(name: Option<&str>) -> Vec<Bug> {
    let wanted = |bug: &Bug| {
        name.is_none_or(|name| {
            format!("{bug:?}").eq_ignore_ascii_case(&name.replace(['-', '_'], ""))
        })
    };
    ALL.into_iter().filter(|&bug| bug != Bug::None).filter(wanted).collect()
}

/// Looks for a bug in a range of seeds.
pub fn hunt(bug: Bug, seeds: Range<u64>, jobs: usize, told: &(dyn Fn(u64) + Sync)) -> Sum {
    swarm(seeds, jobs, &|seed| draw_with(seed, bug), told)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bugs_are_found_by_name_however_it_is_written() {
        assert_eq!(select(Some("quorum-is-half")), [Bug::QuorumIsHalf]);
        assert_eq!(select(Some("QuorumIsHalf")), [Bug::QuorumIsHalf]);
        assert_eq!(select(Some("none")), []);
        // `MovedThoughTaken` is the last variant: the numbers below it are all taken.
        assert_eq!(select(None).len(), Bug::MovedThoughTaken as usize);
    }
}
