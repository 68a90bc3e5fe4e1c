//! What changed, one line each, in virtual milliseconds: for people, and stable enough to be compared.

use std::fmt::{Arguments, Write as _};

use driftless_core::Event;

use crate::queue::{MS, Time};

/// Lines of what changed, if anybody wants them.
#[derive(Debug, Default)]
pub struct Trace {
    wanted: bool,
    hushed: bool,
    text: String,
}

impl Trace {
    /// A trace; one that nobody wants costs nothing.
    pub fn new(wanted: bool) -> Self {
        Self { wanted, hushed: false, text: String::new() }
    }

    /// Whether anybody reads it.
    pub fn wanted(&self) -> bool {
        self.wanted
    }

    /// Adds a line.
    #[inline]
    pub fn note(&mut self, now: Time, what: Arguments<'_>) {
        if self.wanted() {
            writeln!(self.text, "{:>8} {what}", now / MS).expect("a string takes it");
        }
    }

    /// Whether answers and commits are worth a line at the moment.
    pub fn chatty(&self) -> bool {
        self.wanted && !self.hushed
    }

    /// Leaves answers and commits out for a while: for stretches in which there are many.
    pub fn hush(&mut self, hushed: bool) {
        self.hushed = hushed;
    }

    /// Whether some line, other than those of the story itself, has this text.
    pub fn happened(&self, text: &str) -> bool {
        self.text.lines().any(|line| !line.contains("> ") && line.contains(text))
    }

    /// All lines.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Takes all lines.
    pub fn take(&mut self) -> String {
        std::mem::take(&mut self.text)
    }
}

/// An event as a line of a trace.
pub fn describe(event: &Event) -> String {
    match *event {
        Event::Campaigning { group, term } => format!("g{} campaigns in term {}", group.0, term.0),
        Event::Leading { group, term } => format!("g{} leads term {}", group.0, term.0),
        Event::Following { group, term, leader } => {
            format!("g{} follows n{} in term {}", group.0, leader.0, term.0)
        }
        Event::SteppedDown { group, term, why } => {
            format!("g{} steps down in term {}: {why:?}", group.0, term.0)
        }
        Event::Truncated { group, from } => format!("g{} drops entries from {}", group.0, from.0),
        Event::TornTail { file, offset } => format!("torn tail: {file:?} at {offset}"),
        Event::Damaged { file, offset } => format!("damage: {file:?} at {offset}"),
        Event::Born { group } => format!("g{} is new", group.0),
        Event::Forgot { told_by, life, known } => format!(
            "life {} has forgotten life {} that n{} knows",
            life.number(),
            known.number(),
            told_by.0
        ),
        Event::Outlived { life, later } => {
            format!("life {} meets writes of life {}", life.number(), later.number())
        }
        Event::Repaired { group, index } => format!("g{} repaired up to {}", group.0, index.0),
        Event::SnapshotMade { group, index } => format!("g{} snapshot up to {}", group.0, index.0),
        Event::SnapshotInstalled { group, index } => {
            format!("g{} installed a snapshot up to {}", group.0, index.0)
        }
        Event::SnapshotSending { group, to, index } => {
            format!("g{} sends n{} a snapshot up to {}", group.0, to.0, index.0)
        }
        Event::Diverged { group, node, index } => {
            format!("g{} differs from n{} at {}", group.0, node.0, index.0)
        }
        Event::ClockAhead { ahead: true, .. } => "goes by the clocks of others".into(),
        Event::ClockAhead { ahead: false, .. } => "goes by its own clock again".into(),
        Event::DiskStalled { stalled: true } => "disk stalls".into(),
        Event::DiskStalled { stalled: false } => "disk answers again".into(),
        Event::DiskFailed => "disk failed".into(),
        Event::PeerMalformed { from } => format!("malformed bytes from n{}", from.0),
        Event::PeerRestarted { node } => format!("sees n{} restarted", node.0),
        Event::PeerSilent { node, silent: true } => format!("hears no beats of n{}", node.0),
        Event::PeerSilent { node, silent: false } => format!("hears n{} again", node.0),
        Event::AnswerLost { client } => format!("cannot answer client {}", client.0),
        Event::UsersChanged { as_of } => format!("goes by the users of {}", as_of.0),
        Event::LoginFailed { client } => format!("client {} was not let in", client.0),
        Event::Member { node, liveness, .. } => format!("holds n{} to be {liveness:?}", node.0),
        Event::DatagramMalformed { .. } => "drops a malformed datagram".into(),
        Event::DuplicateNode { node } => format!("finds another process that is n{}", node.0),
        Event::ForeignCluster => "refuses a datagram of another cluster".into(),
    }
}
