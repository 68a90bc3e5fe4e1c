//! One replica of one partition: consensus, keys, and the commands that wait for either. Thin: it puts
//! together what the machines do.

mod answers;
mod apply;
mod changes;
mod freshness;
mod image;
mod intake;
mod outbox;
mod propose;
mod queue;
mod reads;
mod room;
mod scan;
mod scrub;
mod users;
mod waits;

use alloc::collections::{BTreeMap, VecDeque};
use alloc::vec::Vec;

use crate::bytes::{Malformed, Reader};
use crate::config::{Bug, EngineConfig};
use crate::entry;
use crate::ids::{GroupId, Index, NodeId, Term};
use crate::message::{Append, take_entry};
use crate::placement::Placement;
use crate::quorum::{Config, Configs};
use crate::raft::{Log, Raft, Start};
use crate::resp::Proto;
use crate::store::Store;
use crate::time::{Instant, Now, Span, Stamp, WallTime};
use crate::wal::RecoveredGroup;
use crate::window::Window;

pub(crate) use answers::Answers;
pub(crate) use changes::{anyone_tells, group_of_changes};
pub(crate) use intake::{Arrival, Intake};
pub(crate) use outbox::Outbox;
pub(crate) use propose::{Request, writes};
pub use room::Counts;
pub(crate) use room::{Origin, Room};
pub(crate) use scan::{cursor_of, group_of_cursor, is_within_group};
pub(crate) use users::put_users;

use reads::WaitingRead;

/// Bytes that the first reads of a group are expected to find.
const FIRST_FIND: usize = 4 << 10;
/// Keys fall into so many buckets by which a group remembers the last entry that may touch them.
const BUCKETS: usize = 1024;

/// One replica.
#[derive(Debug)]
pub(crate) struct Group {
    pub(crate) id: GroupId,
    pub(crate) raft: Raft,
    pub(crate) store: Store,
    /// In so many bytes it remembers its changes.
    changes_bytes: usize,
    answers: Answers,
    /// By node that forwards commands here.
    pub(crate) intakes: BTreeMap<NodeId, Intake>,
    applied: Index,
    /// The largest stamp in the log, and of the entries applied.
    stamp: Stamp,
    applied_stamp: Stamp,
    /// Writes accepted in this turn: they become one entry.
    batch: propose::Batch,
    /// Whom to answer when entries are applied, in log order.
    waiters: VecDeque<Waiter>,
    reads: Vec<WaitingRead>,
    /// Bytes that waiting reads have found.
    found_bytes: usize,
    /// How much the next reads will find.
    finds: Window,
    waits: Vec<waits::WaitingAck>,
    /// The round that this turn's reads share; 0 if none was begun.
    turn_round: u64,
    /// Reads go on and the lease is old: append something.
    renew: bool,
    /// By bucket of keys, the last entry that may touch one of them. Empty until a write is taken here.
    touched: Vec<Index>,
    /// The last entry that may touch any key.
    touched_all: Index,
    /// The last entry of background expiry.
    expiry: Index,
    image: image::Images,
    scrub: scrub::Scrub,
}

/// Somebody who waits for an operation of an entry to be applied.
#[derive(Clone, Copy, Debug)]
struct Waiter {
    index: Index,
    term: Term,
    origin: Origin,
    proto: Proto,
}

impl Group {
    /// A replica with what its disk said.
    pub(crate) fn recover(
        id: GroupId,
        config: &EngineConfig,
        placement: &Placement,
        found: RecoveredGroup,
        now: Now,
    ) -> Self {
        let mut damaged = found.damaged;
        let first = Config::of(placement.replicas(id));
        let mut image = image::Image::empty(config.secret, first.clone());
        let (mut index, mut term) = (Index(0), Term(0));
        if let Some((at, at_term, chunks)) = found.image {
            let cut = Bug::LastChunkLeftOut.active(config.bug) && chunks.len() > 1;
            let chunks = &chunks[..chunks.len() - usize::from(cut)];
            match image::Image::load(config.secret, first, chunks) {
                Ok(loaded) => {
                    image = loaded;
                    (index, term) = (at, at_term);
                }
                Err(Malformed) => damaged = true,
            }
        }
        let mut log = Log::after(index, term);
        let mut configs = Configs::new(index, image.config.clone());
        let mut stamp = image.stamp;
        for (term, at, bytes) in found.entries.iter() {
            if at != log.last().next() {
                damaged |= at > log.last();
                continue;
            }
            let Ok(entry_stamp) = verify(bytes) else {
                damaged = true;
                break;
            };
            stamp = stamp.max(entry_stamp);
            log.append(term, 0, bytes);
            if let Some(config) = entry::config_of(bytes) {
                configs.append(at, config);
            }
        }
        let (me, ballot, now) = (config.node, found.ballot, now.mono);
        let raft = Raft::new(Start { group: id, me, ballot, log, configs, damaged, now });
        let lanes = usize::from(config.lanes.max(1));
        let beside = (placement.partitions() as usize).div_ceil(lanes);
        let mut group = Self::with(id, raft, image);
        group.changes_bytes = config.limits.changes_bytes / beside;
        group.remember_changes(index);
        group.stamp = stamp;
        group.touched_all = group.raft.log.last();
        group
    }

    fn with(id: GroupId, raft: Raft, image: image::Image) -> Self {
        Self {
            id,
            applied: raft.commit(),
            changes_bytes: 0,
            raft,
            store: image.store,
            answers: image.answers,
            intakes: BTreeMap::new(),
            stamp: image.stamp,
            applied_stamp: image.stamp,
            batch: propose::Batch::default(),
            waiters: VecDeque::new(),
            reads: Vec::new(),
            found_bytes: 0,
            finds: Window::new(FIRST_FIND, 1),
            waits: Vec::new(),
            turn_round: 0,
            renew: false,
            touched: Vec::new(),
            touched_all: Index(0),
            expiry: Index(0),
            image: image::Images::default(),
            scrub: scrub::Scrub::default(),
        }
    }

    /// Goes on with an image, outside of the end of a turn.
    pub(crate) fn continue_image(&mut self, room: &mut Room<'_>) {
        self.work_on_image(room);
    }

    pub(crate) fn applied(&self) -> Index {
        self.applied
    }

    pub(crate) fn applied_at(&self) -> WallTime {
        self.applied_stamp.wall()
    }

    /// Whether this replica takes commands now.
    pub(crate) fn accepts(&self) -> bool {
        self.raft.leading().is_some_and(|leading| !leading.handing_over())
    }

    /// Whether it can take another command without growing beyond its limits.
    pub(crate) fn busy(&self, config: &EngineConfig) -> bool {
        let log = &self.raft.log;
        let open = log.position(log.last()) - log.position(self.raft.commit());
        open as usize + self.batch.bytes() > config.limits.uncommitted_bytes
            || self.reads.len() >= config.limits.waiting_reads
            || !self.finds.fits(self.reads.len(), self.found_bytes, config.limits.waiting_bytes)
    }

    /// Entries from a leader.
    pub(crate) fn on_append(
        &mut self,
        from: NodeId,
        append: &Append<'_>,
        room: &mut Room<'_>,
    ) -> Result<(), Malformed> {
        if self.image.installing() {
            return Ok(());
        }
        let stamp = newest_stamp(append)?;
        self.raft.on_append(from, append, &mut room.io())?;
        if append.term == self.raft.term() {
            self.stamp = self.stamp.max(stamp);
        }
        Ok(())
    }

    /// The engine's timer for this group has run out.
    pub(crate) fn tick(&mut self, room: &mut Room<'_>) {
        self.raft.tick(&mut room.io());
        self.expire_if_due(room);
        self.scrub_if_due(room);
    }

    /// Ends a turn in which something happened to this group: proposes, commits, applies, answers and
    /// sends, each once.
    pub(crate) fn finish(&mut self, outbox: &mut Outbox, room: &mut Room<'_>) {
        self.open_reign(room);
        outbox.flush_into(self, room);
        self.renew_lease(room);
        self.propose_batch(room);
        self.raft.advance_commit(&mut room.io());
        self.apply(outbox, room);
        self.serve_reads(outbox, room);
        self.serve_waits(room);
        self.raft.acknowledge(&mut room.io());
        self.raft.send_appends(&mut room.io());
        self.work_on_image(room);
        self.release_log(room.config);
        self.turn_round = 0;
    }

    /// When something has to happen here even if nothing arrives.
    pub(crate) fn deadline(&self, room: &Room<'_>) -> Option<Instant> {
        let Room { now, config, .. } = *room;
        let mut at = self.raft.deadline(now.mono, config, room.pulse);
        let mut sooner = |other: Instant| at = Some(at.map_or(other, |at| at.min(other)));
        if self.accepts() {
            if let Some(deadline) =
                self.store.next_deadline().filter(|_| self.expiry <= self.applied)
            {
                // The wall clock may jump: look again after a while whatever it says.
                let wait = (deadline.0 + 1).saturating_sub(now.wall.0).clamp(1, 10_000);
                sooner(now.mono.plus(Span::millis(wait)));
            }
            if let Some(scrub) = self.scrub.deadline(now.mono, config) {
                sooner(scrub);
            }
        }
        if let Some(until) = self.waits_until() {
            sooner(until);
        }
        if let Some(image) = self.image.deadline(now.mono, config) {
            sooner(image);
        }
        at
    }

    /// Lets go of entries that nobody here needs: they are on disk, applied, and the followers that can
    /// be reached have them, or the log has grown too long to wait for those.
    fn release_log(&mut self, config: &EngineConfig) {
        let done = self.applied.min(self.raft.durable()).min(self.image.hold());
        let most = config.limits.log_bytes as u64;
        if !self.raft.leads() {
            // Whoever leads next finds here what the others may lack.
            if self.raft.log.bytes() > most / 2 {
                self.raft.log.shrink(most / 4, done);
            }
            return;
        }
        // While an image is on its way, the follower will need what comes after it.
        let most = if self.image.sending() { most * 4 } else { most };
        if self.raft.log.bytes() > most {
            self.raft.log.shrink(most / 2, done);
        }
        let needed = self.raft.needed_from().min(done);
        // A few entries more than needed spare a follower that was just replaced an image.
        self.raft.log.release(Index(needed.0.saturating_sub(64)));
    }

    /// Panics if anything that must always hold does not.
    pub(crate) fn check(&self) {
        self.raft.check();
        assert!(self.applied <= self.raft.commit(), "only what is committed is applied");
        assert!(self.applied >= self.raft.log.before(), "what is not applied is held");
        assert!(
            self.applied_stamp <= self.stamp,
            "the newest stamp is at least the newest applied"
        );
        assert!(self.batch.is_empty(), "between turns every write taken is in the log");
    }
}

/// The largest stamp of the entries of an append; reading them all shows that they can be read.
fn newest_stamp(append: &Append<'_>) -> Result<Stamp, Malformed> {
    let mut reader = Reader::new(append.entries);
    let mut stamp = Stamp(0);
    while let Some((_, bytes)) = take_entry(&mut reader)? {
        stamp = stamp.max(verify(bytes)?);
    }
    Ok(stamp)
}

/// Whether bytes from a peer may enter the log: everything in them can be read.
fn verify(bytes: &[u8]) -> Result<Stamp, Malformed> {
    let entry = entry::decode(bytes)?;
    let mut reader = Reader::new(entry.body);
    match entry.kind {
        entry::Kind::Open | entry::Kind::Check => reader.end()?,
        entry::Kind::Config => drop(Config::take(&mut reader)?),
        entry::Kind::Batch => {
            while let Some(operation) = entry::take_operation(&mut reader)? {
                // Only a forwarded one is ever refused after it has been numbered.
                let refused = operation.forwarded.is_some() && operation.bytes.is_empty();
                if !refused {
                    crate::command::touched(operation.bytes, &mut |_| ())?;
                }
            }
        }
    }
    Ok(entry.stamp)
}

/// Which bucket a key falls into.
fn bucket_of(name: &[u8]) -> usize {
    xxhash_rust::xxh3::xxh3_64(name) as usize % BUCKETS
}
