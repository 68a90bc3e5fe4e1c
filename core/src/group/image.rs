//! State images: made from memory while the group goes on, for its own disk or for a follower that the
//! log cannot help any more; and taken in from a leader.
//!
//! An image is its header (configuration, stamp, answers) and then the chunks of the store.

use alloc::collections::VecDeque;
use alloc::vec::Vec;

use crate::bytes::{Malformed, Reader, put_u64};
use crate::config::{Bug, EngineConfig};
use crate::event::Event;
use crate::group::{Answers, Group, Room};
use crate::ids::{Index, NodeId, Term};
use crate::message::{self, Chunk, ChunkTaken, Message};
use crate::quorum::Config;
use crate::store::Store;
use crate::time::{Instant, Span, Stamp};

/// What an image says.
#[derive(Debug)]
pub(crate) struct Image {
    pub(crate) store: Store,
    pub(crate) answers: Answers,
    pub(crate) config: Config,
    pub(crate) stamp: Stamp,
}

impl Image {
    pub(crate) fn empty(secret: u64, config: Config) -> Self {
        let (store, answers) = (Store::new(secret), Answers::default());
        Self { store, answers, config, stamp: Stamp(0) }
    }

    /// Reads an image back, its chunks in order.
    pub(crate) fn load(secret: u64, config: Config, chunks: &[Vec<u8>]) -> Result<Self, Malformed> {
        let mut image = Self::empty(secret, config);
        for (number, chunk) in chunks.iter().enumerate() {
            image.add(number as u32, chunk)?;
        }
        Ok(image)
    }

    fn add(&mut self, number: u32, chunk: &[u8]) -> Result<(), Malformed> {
        if number > 0 {
            return self.store.load_chunk(chunk);
        }
        let mut reader = Reader::new(chunk);
        self.stamp = Stamp(reader.u64()?);
        self.config = Config::take(&mut reader)?;
        self.answers = Answers::take(&mut reader)?;
        reader.end()
    }
}

/// The images a replica has to do with: one that it makes, one that it takes in.
#[derive(Debug, Default)]
pub(crate) struct Images {
    making: Option<Making>,
    taking: Option<Taking>,
    /// A follower whose keys are wrong.
    repair: Option<NodeId>,
    /// The disk should get an image.
    wanted: bool,
    /// Up to where the disk's newest image reaches: another one like it would free nothing.
    newest: Index,
    /// How many images were begun for followers.
    runs: u32,
    /// The follower that one was begun for last.
    last_to: Option<NodeId>,
}

/// An image on its way out.
#[derive(Debug)]
struct Making {
    /// `None`: to this node's own disk.
    to: Option<NodeId>,
    reign: Term,
    /// Tells it from other images of the same reign and index.
    run: u32,
    index: Index,
    term: Term,
    force: bool,
    /// The next chunk to make.
    next: u32,
    /// The last chunk has been made.
    done: bool,
    /// Sent and not acknowledged; `acked` is the number of the first.
    window: VecDeque<Vec<u8>>,
    acked: u32,
    moved_at: Instant,
    /// When the follower last took a chunk.
    taken_at: Instant,
}

/// An image on its way in.
#[derive(Debug)]
struct Taking {
    from: NodeId,
    reign: Term,
    run: u32,
    index: Index,
    term: Term,
    force: bool,
    next: u32,
    image: Image,
    /// All of it is here, and on its way to the disk.
    complete: bool,
}

impl Images {
    /// The disk should get an image of this group, which has come as far as `applied`.
    pub(crate) fn want(&mut self, applied: Index) {
        self.wanted |= self.making.is_none() && self.taking.is_none() && applied > self.newest;
    }

    /// A follower's keys are wrong: it gets an image, whatever its log says.
    pub(crate) fn repair(&mut self, node: NodeId) {
        self.repair = Some(node);
    }

    /// An image is on its way to a follower.
    pub(crate) fn sending(&self) -> bool {
        self.making.as_ref().is_some_and(|making| making.to.is_some())
    }

    /// An image is complete and not yet on disk: until it is, the old log takes no more.
    pub(crate) fn installing(&self) -> bool {
        self.taking.as_ref().is_some_and(|taking| taking.complete && !taking.force)
    }

    /// Entries beyond this one must stay in memory.
    pub(crate) fn hold(&self) -> Index {
        let forced = self.taking.as_ref().filter(|taking| taking.force);
        forced.map_or(Index(u64::MAX), |taking| taking.index)
    }

    pub(crate) fn deadline(&self, now: Instant, config: &EngineConfig) -> Option<Instant> {
        let making = self.making.as_ref()?;
        let soonest = Instant(now.0 + 1);
        if making.to.is_none() {
            return Some(soonest);
        }
        // With nothing left to send again, only the follower's silence ends the wait.
        let resend = config.timing.resend_every;
        let wait = if making.window.is_empty() { unheard_after(resend) } else { resend };
        let stuck = making.taken_at.plus(stuck_after(resend));
        Some(making.moved_at.plus(wait).min(stuck).max(soonest))
    }
}

impl Group {
    /// The disk should get an image of this group, so that old log can go; whether one is begun for it.
    pub(crate) fn want_image(&mut self) -> bool {
        self.image.want(self.applied);
        self.image.wanted && !self.image.sending()
    }

    /// Begins, continues or gives up an image, a little each turn.
    pub(super) fn work_on_image(&mut self, room: &mut Room<'_>) {
        self.drop_stale_image(room);
        if self.image.making.is_none() && !self.store.imaging() {
            self.begin_image(room);
        }
        let Some(mut making) = self.image.making.take() else { return };
        match making.to {
            None => {
                let mut chunk = Vec::new();
                self.make_chunk(&mut making, room.config, &mut chunk);
                room.wal.image_chunk(self.id, &chunk, &mut room.out.disk);
                if making.done {
                    room.wal.end_image(self.id, false, &mut room.out.disk);
                    return;
                }
            }
            Some(to) => self.send_image(to, &mut making, room),
        }
        self.image.making = Some(making);
    }

    fn begin_image(&mut self, room: &mut Room<'_>) {
        let behind = self.raft.wants_image(self.image.last_to, room.pulse);
        if behind.is_none() && self.image.repair.is_none() && !self.image.wanted {
            return;
        }
        let applied_term = self.raft.log.term(self.applied);
        let Some(term) = applied_term.filter(|_| self.applied > Index(0)) else { return };
        let repair = self.image.repair.take().filter(|_| self.raft.leads());
        let (to, force) = match (repair, behind) {
            (Some(node), _) => (Some(node), true),
            (None, Some(node)) => (Some(node), false),
            (None, None) => (None, false),
        };
        let own = to.is_none() && self.image.wanted && self.image.taking.is_none();
        if to.is_none() && !own {
            return;
        }
        self.image.wanted &= !own;
        if own {
            self.image.newest = self.applied;
        }
        let (index, reign) = (self.applied, self.raft.term());
        self.store.begin_image();
        match to {
            None => room.wal.begin_image(self.id, index, term, &mut room.out.disk),
            Some(to) => {
                room.out.events.push(Event::SnapshotSending { group: self.id, to, index });
            }
        }
        self.image.runs = self.image.runs.wrapping_add(1);
        self.image.last_to = to.or(self.image.last_to);
        self.image.making = Some(Making {
            to,
            reign,
            run: self.image.runs,
            index,
            term,
            force,
            next: 0,
            done: false,
            window: VecDeque::new(),
            acked: 0,
            moved_at: room.now.mono,
            taken_at: room.now.mono,
        });
        // The header is of this very moment, as the store's image is.
        let mut making = self.image.making.take().expect("it was just begun");
        let mut chunk = Vec::new();
        self.make_chunk(&mut making, room.config, &mut chunk);
        if to.is_none() {
            room.wal.image_chunk(self.id, &chunk, &mut room.out.disk);
        } else {
            making.window.push_back(chunk);
            self.send_window(&making, 0, room);
        }
        self.image.making = Some(making);
    }

    fn make_chunk(&mut self, making: &mut Making, config: &EngineConfig, chunk: &mut Vec<u8>) {
        if making.next == 0 {
            put_u64(chunk, self.applied_stamp.0);
            self.raft.config_at(making.index).put(chunk);
            self.answers.put(chunk);
        } else {
            making.done = self.store.image_chunk(chunk, config.limits.chunk_bytes);
        }
        making.next += 1;
    }

    /// Keeps the window to a follower full; begins it again if nothing is heard.
    fn send_image(&mut self, to: NodeId, making: &mut Making, room: &mut Room<'_>) {
        let most = room.config.limits.chunks_in_flight as usize;
        while !making.done && making.window.len() < most {
            let mut chunk = Vec::new();
            self.make_chunk(making, room.config, &mut chunk);
            making.window.push_back(chunk);
            let at = making.window.len() - 1;
            self.send_window(making, at, room);
        }
        let silent = making.moved_at.plus(room.config.timing.resend_every) <= room.now.mono;
        if silent && !making.window.is_empty() && room.pulse.alive(to) {
            making.moved_at = room.now.mono;
            self.send_window(making, 0, room);
        }
    }

    /// Sends the chunks of the window from place `at` on.
    fn send_window(&self, making: &Making, at: usize, room: &mut Room<'_>) {
        let Some(to) = making.to else { return };
        for (place, bytes) in making.window.iter().enumerate().skip(at) {
            let number = making.acked + place as u32;
            let wrong_term = Bug::SnapshotWrongTerm.active(room.config.bug);
            let chunk = Chunk {
                group: self.id,
                term: making.reign,
                run: making.run,
                index: making.index,
                index_term: if wrong_term { making.reign } else { making.term },
                number,
                done: making.done && number + 1 == making.next,
                force: making.force,
                bytes,
            };
            message::send(&mut room.out.sends, to.0, &Message::Chunk(chunk));
        }
    }

    /// An image for a follower ends with the reign, or when the follower is gone or needs none.
    fn drop_stale_image(&mut self, room: &mut Room<'_>) {
        let reign = self.raft.term();
        let commit = self.raft.commit();
        let drops = Bug::SnapshotDropsNewer.active(room.config.bug);
        let stale = |taking: &mut Taking| {
            let superfluous = commit >= taking.index && !taking.force && !drops;
            !taking.complete && (taking.reign != reign || superfluous)
        };
        if self.image.taking.take_if(stale).is_some() {
            room.wal.abort_image(self.id, &mut room.out.disk);
        }
        let Some(making) = &self.image.making else { return };
        let Some(to) = making.to else { return };
        let reign_over = self.raft.reign() != Some(making.reign);
        let caught_up = self.raft.leading().is_some_and(|leading| {
            let known = leading.progress.iter().find(|follower| follower.node == to);
            known.is_none_or(|follower| follower.matched >= making.index && !making.force)
        });
        let taken = making.done && making.window.is_empty() && making.force;
        let silent = !room.pulse.alive(to);
        // The follower has it all, and should long have said so: its word may be lost.
        let resend = room.config.timing.resend_every;
        let unheard = making.done
            && making.window.is_empty()
            && making.moved_at.plus(unheard_after(resend)) <= room.now.mono;
        let stuck = making.taken_at.plus(stuck_after(resend)) <= room.now.mono;
        if reign_over || caught_up || silent || taken || unheard || stuck {
            self.store.abort_image();
            self.image.making = None;
            if !reign_over && !taken && !caught_up {
                self.raft.image_over(to, room.now.mono);
            }
        }
    }

    /// A follower says which chunk it waits for.
    pub(crate) fn on_chunk_taken(&mut self, from: NodeId, taken: &ChunkTaken, room: &Room<'_>) {
        let Some(making) = &mut self.image.making else { return };
        let same = making.to == Some(from) && making.run == taken.run;
        if !same || taken.term != making.reign {
            return;
        }
        if taken.wanted == 0 && making.acked > 0 {
            self.store.abort_image();
            self.image.making = None;
            self.raft.image_over(from, room.now.mono);
            return;
        }
        while making.acked < taken.wanted && making.window.pop_front().is_some() {
            making.acked += 1;
            (making.moved_at, making.taken_at) = (room.now.mono, room.now.mono);
        }
    }

    /// A chunk of an image, from a leader.
    pub(crate) fn on_chunk(
        &mut self,
        from: NodeId,
        chunk: &Chunk<'_>,
        room: &mut Room<'_>,
    ) -> Result<(), Malformed> {
        if !self.raft.follows(from, chunk.term, &mut room.io()) {
            self.raft.tell_term(from, &mut room.io());
            return Ok(());
        }
        if chunk.number == 0 && !self.takes(from, chunk) {
            self.begin_taking(from, chunk, room);
        }
        if !self.takes(from, chunk) {
            if chunk.number > 0 {
                // This process knows nothing of the chunks before: it has to begin again.
                self.say_wanted(from, chunk, 0, room);
            }
            return Ok(());
        }
        let taking = self.image.taking.as_mut().expect("it takes this image");
        if chunk.number == taking.next && !taking.complete {
            taking.image.add(chunk.number, chunk.bytes)?;
            taking.next += 1;
            taking.complete = chunk.done;
            let force = taking.force;
            room.wal.image_chunk(self.id, chunk.bytes, &mut room.out.disk);
            if chunk.done {
                // Entries may have come in the meantime that make it superfluous: they must not be voided.
                let news = self.raft.image_is_news(chunk.index, chunk.index_term, room.config.bug);
                let voids = Bug::ImageVoidsNewer.active(room.config.bug);
                if !force && !news && !voids {
                    self.image.taking = None;
                    room.wal.abort_image(self.id, &mut room.out.disk);
                    return Ok(());
                }
                self.raft.installing = !force;
                room.wal.end_image(self.id, !force, &mut room.out.disk);
            }
        }
        let wanted = self.image.taking.as_ref().map_or(0, |taking| taking.next);
        self.say_wanted(from, chunk, wanted, room);
        Ok(())
    }

    fn say_wanted(&self, to: NodeId, chunk: &Chunk<'_>, wanted: u32, room: &mut Room<'_>) {
        let (group, term, run) = (self.id, chunk.term, chunk.run);
        let answer = Message::ChunkTaken(ChunkTaken { group, term, run, wanted });
        message::send(&mut room.out.sends, to.0, &answer);
    }

    /// Whether a chunk belongs to the image being taken in.
    fn takes(&self, from: NodeId, chunk: &Chunk<'_>) -> bool {
        self.image.taking.as_ref().is_some_and(|taking| {
            (taking.from, taking.reign, taking.run) == (from, chunk.term, chunk.run)
        })
    }

    fn begin_taking(&mut self, from: NodeId, chunk: &Chunk<'_>, room: &mut Room<'_>) {
        let busy = self.image.taking.as_ref().is_some_and(|taking| taking.complete);
        let held = self.raft.log.term(chunk.index) == Some(chunk.index_term);
        let news = if chunk.force {
            held
        } else {
            self.raft.image_is_news(chunk.index, chunk.index_term, room.config.bug)
        };
        if busy || !news {
            return;
        }
        let own = self.image.making.take().is_some_and(|making| making.to.is_none());
        let partial = self.image.taking.take().is_some();
        if own || partial {
            room.wal.abort_image(self.id, &mut room.out.disk);
        }
        self.store.abort_image();
        room.wal.begin_image(self.id, chunk.index, chunk.index_term, &mut room.out.disk);
        let config = self.raft.config().clone();
        self.image.taking = Some(Taking {
            from,
            reign: chunk.term,
            run: chunk.run,
            index: chunk.index,
            term: chunk.index_term,
            force: chunk.force,
            next: 0,
            image: Image::empty(room.config.secret, config),
            complete: false,
        });
    }

    /// An image, made here or taken in, is on disk and named in the log.
    pub(crate) fn image_durable(&mut self, index: Index, room: &mut Room<'_>) {
        let ready = self.image.taking.take_if(|taking| taking.complete && taking.index == index);
        let Some(taking) = ready else {
            room.out.events.push(Event::SnapshotMade { group: self.id, index });
            return;
        };
        self.raft.installing = false;
        let Taking { image, force, term, .. } = taking;
        let Image { store, answers, config, stamp } = image;
        if force {
            if self.raft.log.term(index) != Some(term) || index > self.raft.commit() {
                return;
            }
            self.lose_waiters(index, room);
        } else {
            if !self.raft.image_is_news(index, term, room.config.bug) {
                return;
            }
            self.lose_waiters(index, room);
            self.raft.installed(index, term, config, &room.io());
        }
        self.image.newest = index;
        self.store = store;
        let jumps = Bug::ChangesJumped.active(room.config.bug);
        self.remember_changes(if jumps { Index(0) } else { index });
        self.answers = answers;
        self.applied = index;
        self.scrub.note_change(index);
        self.applied_stamp = stamp;
        self.stamp = self.stamp.max(stamp);
        room.out.events.push(Event::SnapshotInstalled { group: self.id, index });
    }

    /// Whoever sent the image is gone: what was taken of it is no use.
    pub(crate) fn sender_gone(&mut self, node: NodeId, room: &mut Room<'_>) {
        let partial =
            self.image.taking.take_if(|taking| taking.from == node && !taking.complete).is_some();
        if partial {
            room.wal.abort_image(self.id, &mut room.out.disk);
        }
    }
}

/// How long a follower that was sent all of an image may take to say that it has it.
fn unheard_after(resend_every: Span) -> Span {
    Span(resend_every.0 * 4)
}

/// How long a follower may take no chunk before its image is given up.
fn stuck_after(resend_every: Span) -> Span {
    Span(resend_every.0 * 16)
}
