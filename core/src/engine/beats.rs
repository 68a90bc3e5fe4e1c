//! Beats: one stream for a pair of nodes, whatever the number of groups. An idle group sends nothing.
//!
//! A beat carries a sum over the groups that its sender leads and its receiver holds. Two that differ
//! twice in a row are put right by asking.

use alloc::vec::Vec;

use crate::bytes::{Malformed, Reader, put_u32, put_u64};
use crate::config::Bug;
use crate::engine::{Engine, Turn};
use crate::event::Event;
use crate::ids::{GroupId, Life, NodeId, Term};
use crate::message::{self, Beat, Message};
use crate::outputs::Lanes;
use crate::time::{Instant, Span};

/// What is kept for the beats to and from one other node.
#[derive(Clone, Copy, Debug)]
struct Stream {
    node: NodeId,
    /// Sum over the groups led here that it holds.
    ours: u64,
    /// Sum over the groups held here that it is believed to lead.
    theirs: u64,
    /// Beats in a row whose sum was another one.
    differs: u8,
    /// Its connection was lost: silence is believed sooner.
    hastened: bool,
}

/// The beats of one engine.
#[derive(Debug, Default)]
pub(super) struct Beats {
    /// By node, like the peers of [`crate::pulse::Pulse`].
    streams: Vec<Stream>,
    next: Instant,
    /// Before then no silence becomes too long. It may be later than this says.
    silence: Instant,
}

impl Beats {
    pub(super) fn new(nodes: &[NodeId]) -> Self {
        let stream = |&node| Stream { node, ours: 0, theirs: 0, differs: 0, hastened: false };
        let mut streams: Vec<Stream> = nodes.iter().map(stream).collect();
        streams.sort_by_key(|stream| stream.node);
        Self { streams, next: Instant(0), silence: Instant(0) }
    }

    pub(super) fn begin(&mut self, now: Instant) {
        self.next = now;
    }

    /// Whether there is reason to believe that a node is gone, and nothing was heard of it since.
    pub(super) fn doubts(&self, node: NodeId) -> bool {
        self.streams.iter().any(|stream| stream.node == node && stream.hastened)
    }

    fn of(&mut self, node: NodeId) -> Option<&mut Stream> {
        self.streams.iter_mut().find(|stream| stream.node == node)
    }
}

/// A number that stands for one leadership in the sums.
fn mix(group: GroupId, term: Term) -> u64 {
    let seed = u64::from(group.0) << 40 ^ term.0;
    xxhash_rust::xxh3::xxh3_64(&seed.to_le_bytes())
}

impl Engine {
    fn send_beat(&self, stream: &Stream, sends: &mut Lanes) {
        let peer = self.pulse.peer(stream.node).expect("each other node has a stream");
        let beat = Beat {
            life: self.life,
            knows: peer.life,
            stalled: self.pulse.stalled,
            hears: peer.alive,
            users: self.has_users(),
            leads: stream.ours,
            wall: self.own_wall,
        };
        message::send(sends, stream.node.0, &Message::Beat(beat));
    }
}

impl Turn<'_> {
    /// Sends what is due, and notices who is not heard any more.
    pub(super) fn tick_beats(&mut self) {
        let now = self.engine.now.mono;
        if now >= self.engine.beats.silence {
            self.notice_silence();
        }
        if now < self.engine.beats.next || !self.engine.begun {
            return;
        }
        self.engine.beats.next = now.plus(self.engine.config.timing.beat_every);
        for stream in &self.engine.beats.streams {
            self.engine.send_beat(stream, &mut self.out.sends);
        }
        self.expect_silence();
        self.lead_back();
    }

    pub(super) fn beats_wake(&self) -> (Instant, &'static str) {
        let engine = &*self.engine;
        let mut next = engine.beats.next;
        if !engine.begun {
            next = engine.now.mono.plus(engine.config.timing.beat_every);
        }
        let silence = engine.beats.silence;
        if silence < next { (silence, "silence") } else { (next, "beat") }
    }

    /// Finds out when the next silence will have become too long, if nothing is heard until then.
    fn expect_silence(&mut self) {
        let engine = &*self.engine;
        let mut first = Instant(u64::MAX);
        for (peer, stream) in engine.pulse.peers().iter().zip(&engine.beats.streams) {
            if peer.alive {
                first = first.min(peer.heard.unwrap_or_default().plus(self.patience(stream)));
            }
        }
        self.engine.beats.silence = first;
    }

    /// How long a node may be silent before it counts as gone.
    fn patience(&self, stream: &Stream) -> Span {
        let timing = &self.engine.config.timing;
        if stream.hastened {
            Span((timing.beat_every.0 * 2).min(timing.election_timeout.0))
        } else {
            timing.election_timeout
        }
    }

    /// There is reason to believe that a node is gone: its next silence is believed sooner.
    pub(super) fn hasten(&mut self, node: NodeId) {
        if let Some(stream) = self.engine.beats.of(node) {
            stream.hastened = true;
            self.expect_silence();
        }
    }

    fn notice_silence(&mut self) {
        let now = self.engine.now.mono;
        let count = self.engine.pulse.peers().len();
        for at in 0..count {
            let peer = &self.engine.pulse.peers()[at];
            let stream = &self.engine.beats.streams[at];
            assert!(stream.node == peer.node, "peers and streams stand in the same order");
            let silence = now.since(peer.heard.unwrap_or_default());
            if !peer.alive || silence < self.patience(stream) {
                continue;
            }
            let node = peer.node;
            let peer = self.engine.pulse.peer_mut(node).expect("it was just seen");
            (peer.alive, peer.changed_at) = (false, now);
            self.out.events.push(Event::PeerSilent { node, silent: true });
            self.each_group(|group, room| {
                let (lost, led) = (group.raft.leader() == Some(node), group.raft.leads());
                if lost {
                    group.raft.leader_lost(&mut room.io());
                    group.sender_gone(node, room);
                }
                // Nothing is sent to it until it is heard again.
                group.raft.peer_reset(node, now);
                group.raft.check_quorum(&mut room.io());
                lost || led
            });
        }
        self.expect_silence();
    }

    /// Something has come from a node: it is there.
    pub(super) fn hear(&mut self, from: NodeId) {
        let now = self.engine.now.mono;
        let peer = self.engine.pulse.peer_mut(from).expect("only nodes of the placement are heard");
        peer.heard = Some(now);
        if peer.alive {
            return;
        }
        (peer.alive, peer.changed_at) = (true, now);
        self.expect_silence();
        self.out.events.push(Event::PeerSilent { node: from, silent: false });
        // Commands on their way to it, or answers to them, may have been lost meanwhile.
        self.each_partition(|partition, room| {
            partition.outbox.peer_reset(from);
            let waiting = !partition.outbox.is_empty();
            let Some(group) = &mut partition.group else { return waiting };
            group.raft.node_heard(&mut room.io());
            waiting || group.raft.leads() || group.raft.leader().is_none()
        });
    }

    pub(super) fn on_beat(&mut self, from: NodeId, beat: Beat) {
        let now = self.engine.now.mono;
        let own = self.engine.life;
        if beat.knows != own && beat.knows.number() >= own.number() {
            // Numbers of lives only grow on one disk: this one has forgotten a later life.
            if !self.engine.begun {
                return;
            }
            self.forget(from, beat.knows);
        }
        let peer = self.engine.pulse.peer_mut(from).expect("only nodes of the placement are heard");
        let known = peer.life;
        if beat.life != known && beat.life.number() <= known.number() {
            // A run that is over, or one that does not know how many there were: the next beat will tell it.
            return;
        }
        let restarted = beat.life > peer.life;
        let known_before = peer.life != Life(0);
        let newly_stalled = beat.stalled && !peer.stalled;
        let (deaf, cured) = (peer.hears && !beat.hears, !peer.hears && beat.hears);
        if restarted || beat.stalled != peer.stalled || deaf || cured {
            peer.changed_at = now;
        }
        peer.life = beat.life;
        peer.stalled = beat.stalled;
        peer.hears = beat.hears;
        peer.users = beat.users;
        self.engine.pulse.clock(from, beat.wall, now);
        if let Some(stream) = self.engine.beats.of(from) {
            stream.hastened = false;
        }
        if restarted && known_before {
            self.out.events.push(Event::PeerRestarted { node: from });
        }
        if restarted || newly_stalled {
            self.leader_unfit(from, restarted);
        }
        if restarted {
            self.greet(from);
        }
        if deaf {
            // It does not hear this node any more: neither do the appends get there.
            self.each_group(|group, room| {
                let led = group.raft.leads();
                group.raft.check_quorum(&mut room.io());
                led && !group.raft.leads()
            });
        }
        if cured {
            self.each_group(|group, _| group.raft.leads());
        }
        self.compare_sums(from, beat.leads);
    }

    /// A run of a node is heard for the first time. It takes nothing from here before it has heard which life of
    /// it is known here.
    fn greet(&mut self, node: NodeId) {
        if !self.engine.begun {
            return;
        }
        if let Some(stream) = self.engine.beats.streams.iter().find(|stream| stream.node == node) {
            self.engine.send_beat(stream, &mut self.out.sends);
        }
        self.ask_if_blank(Some(node));
    }

    /// Groups that nothing is held of here may be new: the others are asked, or one of them.
    pub(super) fn ask_if_blank(&mut self, only: Option<NodeId>) {
        self.each_group(|group, room| {
            group.raft.ask_if_blank(only, &mut room.io());
            group.raft.is_unborn()
        });
    }

    /// This disk was put back to an older state, or is not the one it was: `from` has heard a later life of this node.
    /// What was promised since is not known here, so groups make up for it before they take part again; those that
    /// were repaired since this life began have done so.
    fn forget(&mut self, from: NodeId, known: Life) {
        let engine = &mut *self.engine;
        self.out.events.push(Event::Forgot { told_by: from, life: engine.life, known });
        let others = engine.placement.factor() > 1;
        self.rise(known, others);
        self.each_group(|group, room| {
            if others && group.raft.forget(&mut room.io()) {
                room.wal.doubt(group.id);
            }
            true
        });
    }

    /// Writes of this node are not applied any more, because a later life of it has written before: the disk was
    /// lost, and so were the memories of all that had heard of it. Its replicas have been repaired since.
    pub(super) fn rise_if_outlived(&mut self) {
        let engine = &*self.engine;
        let (own, later) = (engine.life, engine.outlived);
        if engine.begun && later != own && later.number() >= own.number() {
            self.out.events.push(Event::Outlived { life: own, later });
            self.rise(later, false);
        }
    }

    /// Begins a life above one that was known. Commands on their way bear numbers of the life that ends: nobody can
    /// learn what becomes of them.
    fn rise(&mut self, above: Life, damaged: bool) {
        let engine = &mut *self.engine;
        let salt = engine.chance.bits() as u32;
        engine.wal.rise(above, salt, damaged);
        engine.life = engine.wal.life();
        engine.begun = false;
        self.each_partition(|partition, room| {
            partition.outbox.lose_all(partition.id, room);
            false
        });
    }

    /// A node that restarted, or whose disk does not answer, leads no more as far as this one cares.
    fn leader_unfit(&mut self, node: NodeId, restarted: bool) {
        let now = self.engine.now.mono;
        self.each_partition(|partition, room| {
            if restarted {
                partition.outbox.peer_reset(node);
            }
            let waiting = !partition.outbox.is_empty();
            let Some(group) = &mut partition.group else { return waiting };
            let lost = group.raft.leader() == Some(node);
            if lost {
                group.raft.leader_lost(&mut room.io());
            }
            if restarted {
                group.sender_gone(node, room);
                group.raft.peer_reset(node, now);
            }
            lost || waiting || (restarted && group.raft.leads())
        });
    }

    fn compare_sums(&mut self, from: NodeId, leads: u64) {
        let Some(stream) = self.engine.beats.of(from) else { return };
        if stream.theirs == leads {
            stream.differs = 0;
            return;
        }
        stream.differs = stream.differs.saturating_add(1);
        let unanswered = stream.differs >= 8;
        if stream.differs % 2 == 0 {
            message::send(&mut self.out.sends, from.0, &Message::AskLeads);
        }
        if unanswered {
            // It speaks and does not hear: nothing is known of what it leads.
            stream.differs = 0;
            self.leader_unfit(from, false);
        }
    }

    /// A node wants to know what this one leads: told at once, and each group speaks for itself as well.
    pub(super) fn on_ask_leads(&mut self, from: NodeId) {
        let now = self.engine.now.mono;
        let mut pairs = Vec::new();
        self.each_group(|group, room| {
            let Some(term) = group.raft.reign() else { return false };
            if !room.placement.replicas(group.id).contains(&from) {
                return false;
            }
            put_u32(&mut pairs, group.id.0);
            put_u64(&mut pairs, term.0);
            group.raft.peer_reset(from, now);
            true
        });
        let life = self.engine.life;
        message::send(&mut self.out.sends, from.0, &Message::Leads { life, pairs: &pairs });
    }

    /// What a node leads; whatever else it was believed to lead has no leader.
    pub(super) fn on_leads(
        &mut self,
        from: NodeId,
        life: Life,
        pairs: &[u8],
    ) -> Result<(), Malformed> {
        let mut leads = Vec::new();
        let mut reader = Reader::new(pairs);
        while !reader.is_empty() {
            leads.push((GroupId(reader.u32()?), Term(reader.u64()?)));
        }
        if self.engine.pulse.peer(from).is_none_or(|peer| peer.life != life) {
            return Ok(());
        }
        leads.sort_unstable();
        self.each_group(|group, room| {
            let believed = (group.id, group.raft.term());
            let wrong =
                group.raft.leader() == Some(from) && leads.binary_search(&believed).is_err();
            if wrong {
                group.raft.leader_lost(&mut room.io());
            }
            wrong
        });
        Ok(())
    }

    /// Brings the sums up to date after a group's turn.
    pub(super) fn note_leader(&mut self, id: GroupId) {
        let engine = &mut *self.engine;
        let Some(partition) = engine.partitions.get_mut(id) else { return };
        let Some(group) = &partition.group else {
            let hint = partition.outbox.hint();
            return self.note_led(id, hint);
        };
        let leader = group.raft.leader().map(|leader| (leader, group.raft.term()));
        let before = core::mem::replace(&mut partition.known, leader);
        if before == leader {
            return;
        }
        let me = engine.config.node;
        let replicas = engine.placement.replicas(id);
        if leader.is_some_and(|(node, _)| node == me) {
            partition.home.arrive(engine.now.mono, engine.config.timing.lead_back_after);
            let onward = Bug::HandsOnward.active(engine.config.bug);
            engine.strays.note(id, replicas[0] != me || onward);
        } else {
            engine.strays.note(id, false);
        }
        for stream in &mut engine.beats.streams {
            let shares = replicas.contains(&stream.node);
            for (known, sign) in [(before, false), (leader, true)] {
                let Some((node, term)) = known else { continue };
                let sum = if node == me && shares {
                    &mut stream.ours
                } else if node == stream.node {
                    &mut stream.theirs
                } else {
                    continue;
                };
                let value = mix(id, term);
                *sum = if sign { sum.wrapping_add(value) } else { sum.wrapping_sub(value) };
            }
        }
        self.note_led(id, leader.map(|(node, _)| node));
    }
}
