//! **`MembersConverged`**: some time after the heal each node of the core sees all others of it alive, and
//! takes none that stays broken for one that lives.
//!
//! Das, Gupta, Motivala, *SWIM* (DSN 2002), section 3 (strong completeness: whoever fails is found by all
//! that do not), and section 4.2 (whoever was suspected wrongly can say so).
//!
//! Finds: `RefuteWithoutIncarnation`, `SuspicionForever`.

use driftless_core::{Liveness, NodeId};

use super::membership_lattice::MembershipLattice;

/// As violations name it.
pub const NAME: &str = "MembersConverged";

/// Who is mistaken about whom, if anybody is.
pub fn mistake(members: &MembershipLattice, core: &[NodeId], nodes: u32) -> Option<String> {
    for &observer in core {
        for subject in (1..=nodes).map(NodeId).filter(|subject| *subject != observer) {
            let lives = core.contains(&subject);
            let belief = members.belief(observer, subject);
            let right = match belief {
                Some(Liveness::Alive) => lives,
                Some(Liveness::Suspect) => false,
                Some(Liveness::Dead | Liveness::Left) | None => !lives,
            };
            if !right {
                let truth = if lives { "which lives" } else { "which is broken for good" };
                let (observer, subject) = (observer.0, subject.0);
                return Some(format!(
                    "node {observer} believes node {subject}, {truth}: {belief:?}"
                ));
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::super::ledger::Found;
    use super::*;

    fn seen(beliefs: &[(u32, u32, Liveness)], core: &[u32]) -> Option<String> {
        let mut members = MembershipLattice::default();
        let mut found = Found::default();
        for &(observer, subject, liveness) in beliefs {
            members.believes(NodeId(observer), NodeId(subject), (1, liveness), 3, &mut found);
        }
        let core: Vec<_> = core.iter().copied().map(NodeId).collect();
        mistake(&members, &core, 3)
    }

    #[test]
    fn the_living_are_seen_alive_and_the_broken_are_not() {
        use Liveness::{Alive, Dead, Suspect};
        let both = [(1, 2, Alive), (2, 1, Alive)];
        assert_eq!(seen(&both, &[1, 2]), None, "nobody need know whoever is broken");
        assert!(seen(&both, &[1, 2, 3]).is_some(), "but all that live");
        assert_eq!(seen(&[both[0], both[1], (1, 3, Dead)], &[1, 2]), None);
        assert!(seen(&[both[0], both[1], (1, 3, Suspect)], &[1, 2]).is_some());
        assert!(seen(&[both[0], (2, 1, Dead)], &[1, 2]).is_some());
    }
}
