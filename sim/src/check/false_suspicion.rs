//! **`FalseSuspicion`**: once all is well but for datagrams that are lost between two nodes in one direction,
//! nobody is suspected: others can reach whom one can not.
//!
//! Das, Gupta, Motivala, *SWIM* (DSN 2002), section 3.1 (indirect probes).
//!
//! Finds: `NoIndirectProbe`.

use driftless_core::{Liveness, NodeId};

use super::ledger::Found;

/// As violations name it.
pub const NAME: &str = "FalseSuspicion";

/// Whether anybody may be suspected.
#[derive(Debug, Default)]
pub struct FalseSuspicion {
    well: bool,
}

impl FalseSuspicion {
    /// From now on all nodes run and reach each other, if not directly.
    pub fn all_is_well(&mut self) {
        self.well = true;
    }

    /// An observer has changed its mind.
    pub fn believes(
        &self,
        observer: NodeId,
        subject: NodeId,
        liveness: Liveness,
        found: &mut Found,
    ) {
        if self.well && liveness != Liveness::Alive {
            found.report(NAME, || {
                let (observer, subject) = (observer.0, subject.0);
                format!("node {observer} takes node {subject} for {liveness:?}, which others reach")
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_suspicion_is_false_once_all_is_well() {
        let mut checker = FalseSuspicion::default();
        let mut found = Found::default();
        checker.believes(NodeId(1), NodeId(2), Liveness::Suspect, &mut found);
        checker.all_is_well();
        checker.believes(NodeId(1), NodeId(2), Liveness::Alive, &mut found);
        assert!(found.list().is_empty());
        checker.believes(NodeId(1), NodeId(2), Liveness::Suspect, &mut found);
        assert_eq!(found.list()[0].checker, NAME);
    }
}
