//! One replica after one turn: what has changed, and which checkers want to know.

use driftless_core::{Index, LaneId, NodeId, Role, Term};

use super::ledger::{Change, Found, Group, Replica};
use super::log_matching::LogMatching;
use super::observe::Observed;
use super::reply_matches_commit::ReplyMatchesCommit;
use super::{
    Checkers, applied_monotonic, commit_is_final, committed_immutable, durable_quorum,
    leader_completeness, promise_is_durable, shadow_match, state_equal, state_machine_safety,
    term_monotonic,
};

impl Checkers {
    /// Looks at a replica. `fresh`: it was recovered just now.
    pub(super) fn look(&mut self, node: NodeId, lane: LaneId, new: &Observed<'_>, fresh: bool) {
        let Some(group) = self.ledger.group_mut(new.state.group) else { return };
        let Some(place) = group.place(node) else { return };
        let old = group.replicas[place].state;
        if !fresh && unchanged(&group.replicas[place], new) {
            return;
        }
        if fresh && promise_is_durable::intact(group, place, new) {
            // Whatever was harmed on the disk, it was nothing of this group's.
            group.replicas[place].harmed = false;
        }
        let change = Change { node, place, old, new, fresh };
        let found = &mut self.found;
        term_monotonic::check(&change, &group.replicas[place], found);
        applied_monotonic::check(&change, found);
        if fresh {
            promise_is_durable::restarted(group, place, new, found);
        }
        follow_log(&change, group, &mut self.log_matching, &mut self.replies, found);
        take_note(&change, &mut group.replicas[place]);
        if change.leads_newly() {
            leader_completeness::check(&change, group, found);
            let life = group.replicas[place].life;
            self.election_safety.leads(group.id, new.state.term, node, life, found);
            self.promises.leads(&change, lane, group);
        }
        follow_commit(&change, group, &mut self.replies, found);
        if fresh || new.state.applied != old.applied {
            state_machine_safety::check(&change, group, found);
        }
        state_equal::check(&change, group, found);
        shadow_match::check(&change, group, found);
        if new.state.durable > old.durable && !fresh {
            self.promises.synced(node, lane, group.id);
        }
        let matched = &mut group.replicas[place].matched;
        matched.clear();
        matched.extend_from_slice(new.matched);
    }
}

/// Whether a replica looks as it did. A log that was rewritten to the same length shows in the term of its
/// last entry.
fn unchanged(replica: &Replica, new: &Observed<'_>) -> bool {
    let last = new.state.last;
    replica.state == new.state
        && (new.state.role != Role::Leader || replica.matched == new.matched)
        && (last <= new.state.before
            || new.log.entry(last).map(|(term, _)| term) == replica.terms.at(last))
}

/// Brings the mirror of a log up to date; entries that are new to it are compared.
fn follow_log(
    change: &Change<'_>,
    group: &mut Group,
    log_matching: &mut LogMatching,
    replies: &mut ReplyMatchesCommit,
    found: &mut Found,
) {
    let new = &change.new.state;
    let keep = agreed(change, &group.replicas[change.place]);
    if !change.fresh && keep < group.replicas[change.place].terms.last() {
        committed_immutable::given_up(change, group, keep.next(), found);
    }
    let terms = &mut group.replicas[change.place].terms;
    if change.fresh || new.before > terms.last() {
        terms.restart(new.before);
    } else {
        terms.cut(keep.next());
    }
    let committed = group.commit();
    let replica = &mut group.replicas[change.place];
    replica.kept = if change.fresh && !replica.harmed {
        replica.promised().min(new.last)
    } else if change.fresh {
        Index(0)
    } else {
        replica.kept.min(keep.max(new.before))
    };
    let terms = &mut replica.terms;
    while terms.last() < new.last {
        let index = terms.last().next();
        let Some((term, bytes)) = change.new.log.entry(index) else {
            found.report(applied_monotonic::NAME, || {
                format!("{}: has no entry at {} between its first and last", change.who(), index.0)
            });
            terms.restart(new.last);
            return;
        };
        let previous = terms.at(terms.last());
        terms.push(term);
        log_matching.entered(group.id, index, term, previous, bytes, found);
        if index > committed {
            replies.entered(group.id, index, term, bytes);
        }
    }
}

/// Up to where a replica's log is what it was: the mirror's terms tell, from the end on.
fn agreed(change: &Change<'_>, replica: &Replica) -> Index {
    let new = &change.new.state;
    let terms = &replica.terms;
    let mut keep = terms.last().min(new.last);
    let floor = terms.before().max(new.before);
    while keep > floor && change.new.log.entry(keep).map(|(term, _)| term) != terms.at(keep) {
        keep = keep.previous();
    }
    keep
}

/// Remembers what a replica looks like now.
fn take_note(change: &Change<'_>, replica: &mut Replica) {
    let new = change.new.state;
    if change.fresh {
        replica.put_back = false;
        replica.replay_until = replica.replay_until.max(change.old.applied);
        if replica.harmed {
            replica.proven = (Term(0), None);
        }
    } else if change.old.damaged && !new.damaged {
        replica.harmed = false;
    }
    // Who leads has its ballot on disk, and with it all that came before.
    let synced = new.role == Role::Leader || new.durable > change.old.durable;
    replica.trusted = !change.fresh && (replica.trusted || synced);
    replica.up = true;
    replica.state = new;
    if new.role == Role::Leader {
        replica.prove(new.term, new.vote);
    }
}

/// Compares what a replica now knows to be committed with what is known, or makes it known.
fn follow_commit(
    change: &Change<'_>,
    group: &mut Group,
    replies: &mut ReplyMatchesCommit,
    found: &mut Found,
) {
    let new = &change.new.state;
    let known = group.commit();
    let from = if change.fresh { new.before } else { change.old.commit.max(new.before) };
    for index in (from.min(known).0 + 1..=new.commit.min(new.last).0).map(Index) {
        let entry = change.new.log.entry(index);
        if let Some(known) = group.committed(index) {
            if let Some(entry) = entry {
                committed_immutable::same(change, index, known, entry, found);
            }
            continue;
        }
        let mirrored = group.replicas[change.place].terms.at(index);
        if entry.is_none() && mirrored.is_none() {
            found.report(state_machine_safety::NAME, || {
                format!("{}: has an image up to {}, which nobody committed", change.who(), index.0)
            });
        }
        group.commit_next(entry, mirrored.unwrap_or_default(), new.term);
        let term = entry.map(|(term, _)| term).or(mirrored);
        replies.committed(group.id, index, term.unwrap_or_default(), term.is_some());
    }
    if group.commit() > known {
        durable_quorum::check(change, group, found);
        commit_is_final::check(change, group, found);
    }
}
