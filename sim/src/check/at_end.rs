//! What can only be said at the end, once faults have ceased for all nodes or for a core of them.
//!
//! **`Converged`**: the replicas on the core are alike: same last entry, same commit, same state.
//!
//! **`Liveness`**: the groups that have a majority on the core have a leader there that all of them know,
//! and every operation of a client that still waits was answered, if it was asked long enough ago. Ongaro's
//! thesis, sections 9.6 and 3.9; Alpern and Schneider, *Defining liveness* (1985), on why this needs an end
//! to the faults. A group that has lost its majority of undamaged disks is excused: to refuse is right there.
//!
//! **`TermGrowthBound`**: terms do not grow after the heal beyond what a few elections need (thesis,
//! section 9.6: pre-vote exists so that nobody disturbs a leader that works), nor ever faster than one a
//! replica an election timeout.
//!
//! Find: everything that hangs, `SnapshotWrongTerm` (a follower that never fits again), `HandsOnward` (terms that
//! run away).

use driftless_core::{NodeId, Role, Span, Term};

use super::history::{History, Reply};
use super::ledger::{Found, Group, Ledger, Replica};
use super::observe::Moment;

/// As violations name it.
pub const CONVERGED: &str = "Converged";
/// As violations name it.
pub const LIVENESS: &str = "Liveness";
/// As violations name it.
pub const TERM_GROWTH: &str = "TermGrowthBound";

/// How much a group's term may grow after the heal, besides what starts cost. The election that is under way
/// takes one term. So does each one that fails because two replicas stood at once: the spread of timeouts
/// may be shorter than a slow disk takes for a vote. And so does the way back to the replica that should lead.
/// Nothing else may: pre-vote keeps terms as they are while a leader is heard.
const TERMS_AFTER_HEAL: u64 = 8;

/// The end of all faults.
#[derive(Clone, Debug)]
pub struct Heal {
    /// When.
    pub at: Moment,
    /// For whom.
    pub core: Vec<NodeId>,
    /// The newest term of each group then, and how often its replicas had started, in their order.
    pub terms: Vec<(Term, u64)>,
}

impl Heal {
    /// Faults end now.
    pub fn new(at: Moment, core: &[NodeId], ledger: &Ledger) -> Self {
        let terms = ledger.groups().map(|group| (newest_term(group), group.starts())).collect();
        Self { at, core: core.to_vec(), terms }
    }
}

/// Looks at every group. `everyone`: whether the core is the whole cluster.
pub fn check(heal: &Heal, everyone: bool, ledger: &Ledger, found: &mut Found) {
    for (place, group) in ledger.groups().enumerate() {
        let core: Vec<&Replica> =
            group.replicas.iter().filter(|replica| heal.core.contains(&replica.node)).collect();
        let sound = core.iter().filter(|replica| replica.up && !excused(replica)).count();
        if sound < group.majority() {
            continue;
        }
        led(group, &core, found);
        alike(group, &core, found);
        let (term, starts) = heal.terms[place];
        let grown = newest_term(group).0.saturating_sub(term.0);
        // A replica that starts may win an election, and is handed back what it should lead.
        let most = TERMS_AFTER_HEAL + 2 * (group.starts() - starts);
        if everyone && grown > most {
            found.report(TERM_GROWTH, || {
                format!("group {}: its term grew by {grown} after the heal", group.id.0)
            });
        }
    }
}

/// Looks at operations that wait. `patience`: how long they may.
pub fn answered(
    history: &History,
    ledger: &Ledger,
    heal: &Heal,
    patience: Span,
    found: &mut Found,
) {
    if ledger.groups().any(|group| !has_sound_core(group, heal)) {
        return;
    }
    let waits = history.operations().iter().find(|operation| {
        let since = operation.invoked_at.max(heal.at);
        let answered = operation.completed_at.is_some();
        !answered && !operation.gone && since.0.saturating_add(patience.0) < found.at.0
    });
    if let Some(operation) = waits {
        debug_assert_eq!(operation.reply, Reply::Unknown, "no answer came");
        found.report(LIVENESS, || {
            format!(
                "client {} has waited for {:?} of {:?} since {} ms",
                operation.client,
                operation.kind,
                history.name(operation.key),
                operation.invoked_at.0 / 1_000_000
            )
        });
    }
}

/// Looks at the speed of terms over the whole run.
pub fn terms_bounded(ledger: &Ledger, election_timeout: Span, found: &mut Found) {
    for group in ledger.groups() {
        let rounds = found.at.0 / election_timeout.0.max(1) + 1;
        // A replica that starts stands sooner than others do, at once if it votes alone.
        let most = (rounds + TERMS_AFTER_HEAL) * group.replicas.len() as u64 + group.starts();
        let term = newest_term(group).0;
        if term > most {
            found.report(TERM_GROWTH, || {
                format!("group {}: term {term}; {most} would be fast already", group.id.0)
            });
        }
    }
}

fn led(group: &Group, core: &[&Replica], found: &mut Found) {
    let term = core.iter().map(|replica| replica.state.term).max();
    // Nobody outside of the core can lead it: who does not run, or hears nobody, has no majority.
    let leads = |replica: &&&Replica| {
        let state = &replica.state;
        replica.up && state.role == Role::Leader && Some(state.term) == term
    };
    let Some(leader) = core.iter().find(leads) else {
        found.report(LIVENESS, || format!("group {}: nobody leads after the heal", group.id.0));
        return;
    };
    let follows = |replica: &Replica| replica.state.leader == Some(leader.node);
    let astray = core.iter().find(|replica| replica.up && !follows(replica));
    if let Some(astray) = astray {
        found.report(LIVENESS, || {
            format!(
                "group {}: node {} leads, but node {} follows {:?}",
                group.id.0, leader.node.0, astray.node.0, astray.state.leader
            )
        });
    }
}

fn alike(group: &Group, core: &[&Replica], found: &mut Found) {
    let sees = |replica: &Replica| {
        let state = &replica.state;
        (state.last, state.commit, state.applied, state.digest)
    };
    let sound: Vec<_> = core.iter().filter(|replica| replica.up && !excused(replica)).collect();
    for pair in sound.windows(2) {
        if sees(pair[0]) != sees(pair[1]) {
            found.report(CONVERGED, || {
                let text = |replica: &Replica| {
                    let state = &replica.state;
                    format!(
                        "node {} (last {}, commit {}, applied {}, digest {:x})",
                        replica.node.0, state.last.0, state.commit.0, state.applied.0, state.digest
                    )
                };
                format!("group {}: {} against {}", group.id.0, text(pair[0]), text(pair[1]))
            });
        }
    }
}

fn has_sound_core(group: &Group, heal: &Heal) -> bool {
    let sound = group
        .replicas
        .iter()
        .filter(|replica| replica.up && heal.core.contains(&replica.node) && !excused(replica));
    sound.count() >= group.majority()
}

/// Whether nothing can be demanded of a replica: its disk was harmed and it says so.
fn excused(replica: &Replica) -> bool {
    replica.harmed && replica.state.damaged
}

fn newest_term(group: &Group) -> Term {
    group.replicas.iter().map(|replica| replica.state.term).max().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use driftless_core::Index;

    use super::super::fake::Stage;
    use super::super::history::Kind;
    use super::*;

    fn settled() -> Stage {
        let mut stage = Stage::new(3);
        stage.leads(1, 1);
        for node in 1..=3 {
            stage.append(node, 1, b"a");
            stage.sync(node);
            stage.change(node, |state| {
                (state.term, state.leader) = (Term(1), Some(NodeId(1)));
            });
        }
        for node in 1..=3 {
            stage.commit(node, 1, 7);
        }
        stage.heal();
        stage
    }

    #[test]
    fn a_settled_cluster_is_fine() {
        let mut stage = settled();
        stage.pass_ms(60_000);
        stage.end();
        stage.clean();
    }

    #[test]
    fn a_replica_left_behind_is_found() {
        let mut stage = settled();
        stage.append(1, 1, b"b");
        stage.append(2, 1, b"b");
        stage.end();
        stage.violates(CONVERGED);
    }

    #[test]
    fn a_state_that_differs_is_found() {
        let mut stage = settled();
        stage.change(3, |state| state.digest = 8);
        stage.end();
        stage.violates(CONVERGED);
    }

    #[test]
    fn a_group_without_a_leader_is_found() {
        let mut stage = settled();
        stage.change(1, |state| state.role = Role::Follower);
        stage.end();
        stage.violates(LIVENESS);
    }

    #[test]
    fn a_group_that_has_lost_its_disks_is_excused() {
        let mut stage = settled();
        for node in 1..=2 {
            stage.harm(node);
            stage.change(node, |state| (state.damaged, state.role) = (true, Role::Follower));
        }
        stage.end();
        stage.clean();
    }

    #[test]
    fn an_operation_that_waits_for_ever_is_found() {
        let mut stage = settled();
        let _ = stage.asks(Kind::Get, "k", b"");
        stage.pass_ms(60_000);
        stage.end();
        stage.violates(LIVENESS);
    }

    #[test]
    fn a_client_that_is_gone_waits_for_nothing() {
        let mut stage = settled();
        let _ = stage.asks(Kind::Get, "k", b"");
        stage.gone();
        stage.pass_ms(60_000);
        stage.end();
        stage.clean();
    }

    #[test]
    fn who_votes_alone_may_win_a_term_a_start() {
        let mut stage = Stage::new(1);
        for term in 1..=40 {
            stage.crash(1);
            stage.recover(1);
            stage.change(1, |state| state.term = Term(term));
        }
        stage.end();
        stage.clean();
        stage.change(1, |state| state.term = Term(60));
        stage.end();
        stage.violates(TERM_GROWTH);
    }

    #[test]
    fn terms_that_run_away_are_found() {
        let mut stage = settled();
        stage.pass_ms(600_000);
        for node in 1..=3 {
            stage.change(node, |state| state.term = Term(30));
        }
        stage.replica(1).matched = vec![(NodeId(2), Index(0))];
        stage.show(1);
        stage.end();
        stage.violates(TERM_GROWTH);
    }
}
