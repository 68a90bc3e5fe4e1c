//! What happened in the core, as structured log lines: what an operator should act on is a warning, what changes
//! who does what is info, the rest is debug.

use driftless_core::{Event, LaneId};
use tracing::{debug, error, info, warn};

/// Writes one event to the log.
pub fn tell(lane: LaneId, event: &Event) {
    let engine = lane.0;
    match *event {
        Event::Campaigning { group, term } => {
            debug!(engine, group = group.0, term = term.0, "asks for votes");
        }
        Event::Leading { group, term } => info!(engine, group = group.0, term = term.0, "leads"),
        Event::Following { group, term, leader } => {
            debug!(engine, group = group.0, term = term.0, leader = leader.0, "follows");
        }
        Event::SteppedDown { group, term, why } => {
            info!(engine, group = group.0, term = term.0, ?why, "leads no more");
        }
        Event::SnapshotInstalled { group, index } => {
            info!(engine, group = group.0, index = index.0, "took over the leader's state");
        }
        Event::SnapshotSending { group, to, index } => {
            info!(engine, group = group.0, to = to.0, index = index.0, "sends its state");
        }
        Event::Diverged { group, node, index } => {
            error!(engine, group = group.0, node = node.0, index = index.0, "replicas differ");
        }
        Event::DiskStalled { stalled: true } => warn!(engine, "the disk does not answer"),
        Event::DiskStalled { stalled: false } => info!(engine, "the disk answers again"),
        Event::PeerSilent { node, silent: true } => {
            warn!(engine, node = node.0, "a node is silent");
        }
        Event::PeerSilent { node, silent: false } => {
            info!(engine, node = node.0, "a node is heard again");
        }
        Event::Member { node, liveness, incarnation } => {
            info!(node = node.0, ?liveness, incarnation, "member");
        }
        Event::UsersChanged { as_of } => info!(engine, as_of = as_of.0, "other users than before"),
        Event::TornTail { .. } | Event::Repaired { .. } | Event::PeerRestarted { .. } => {
            info!(engine, ?event, "noted");
        }
        Event::Forgot { told_by, .. } => warn!(
            engine,
            told_by = told_by.0,
            "the data directory was wiped or put back to an older state: what it lacks is fetched before this node votes again"
        ),
        Event::Outlived { .. }
        | Event::Damaged { .. }
        | Event::ClockAhead { .. }
        | Event::PeerMalformed { .. }
        | Event::AnswerLost { .. }
        | Event::ForeignCluster => warn!(engine, ?event, "noted"),
        Event::DiskFailed => error!(engine, "the disk has failed"),
        _ => debug!(engine, ?event, "noted"),
    }
}

/// An event in a few words, if people want to know of it.
pub fn notable(event: &Event) -> Option<String> {
    Some(match *event {
        Event::Leading { group, term } => {
            format!("partition {}: this node leads, term {}", group.0, term.0)
        }
        Event::SteppedDown { group, why, .. } => {
            format!("partition {}: this node leads no more ({why:?})", group.0)
        }
        Event::SnapshotInstalled { group, .. } => {
            format!("partition {}: took over the leader's state", group.0)
        }
        Event::Diverged { group, node, .. } => {
            format!("partition {}: the replica of node {} differs", group.0, node.0)
        }
        Event::Damaged { .. } => "damage was found in the log or an image".to_owned(),
        Event::Repaired { group, .. } => format!("partition {}: repaired", group.0),
        Event::DiskStalled { stalled: true } => "the disk does not answer".to_owned(),
        Event::DiskStalled { stalled: false } => "the disk answers again".to_owned(),
        Event::DiskFailed => "the disk has failed".to_owned(),
        Event::PeerSilent { node, silent: true } => format!("node {} is silent", node.0),
        Event::PeerSilent { node, silent: false } => format!("node {} is heard again", node.0),
        Event::Member { node, liveness, .. } => {
            format!("node {} is {}", node.0, format!("{liveness:?}").to_ascii_lowercase())
        }
        _ => return None,
    })
}
