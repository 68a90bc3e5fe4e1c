//! What an engine is told once: who it is, its limits, its timeouts.

use alloc::string::String;
use alloc::vec::Vec;

use crate::ids::{ClusterId, LaneId, NodeId};
use crate::time::Span;

/// What an engine is told once.
#[derive(Clone, Debug)]
pub struct EngineConfig {
    /// The cluster.
    pub cluster: ClusterId,
    /// This node.
    pub node: NodeId,
    /// Which of the node's engines this is.
    pub lane: LaneId,
    /// Of how many; the same on every node.
    pub lanes: u8,
    /// Key of every hash that replicas must agree on (tables, digests, scan order). A secret of the
    /// cluster, so that nobody can choose keys that collide.
    pub secret: u64,
    /// Upper bounds of every queue and buffer.
    pub limits: Limits,
    /// Every timeout.
    pub timing: Timing,
    /// How linearizable reads are confirmed.
    pub reads: Reads,
    /// What clients are told of the server.
    pub server: Server,
    /// Which planted bug is active. Without the feature `planted` there is none to choose.
    pub bug: Bug,
}

/// What clients are told of the server, and what they must know to be let in.
#[derive(Clone, Debug, Default)]
pub struct Server {
    /// The port they connect to.
    pub port: u16,
    /// The operating system's number of the process.
    pub process: u32,
    /// Forty hexadecimal digits that differ for every run of the process.
    pub run_id: String,
    /// Name and version of the operating system.
    pub system: String,
    /// The password they must give first, if any.
    pub password: Option<Vec<u8>>,
    /// How many may be connected at once.
    pub most_clients: u64,
    /// Seconds of silence after which one is hung up on; 0: never.
    pub client_timeout: u64,
    /// Bytes of answers that one may leave unread before it is hung up on.
    pub client_output_bytes: u64,
    /// How much the log tells, in Redis's words.
    pub log_level: &'static str,
}

impl EngineConfig {
    /// The usual settings for one engine of a node: one lane, no password.
    pub fn new(cluster: ClusterId, node: NodeId) -> Self {
        Self {
            cluster,
            node,
            lane: LaneId(0),
            lanes: 1,
            secret: cluster.0,
            limits: Limits::default(),
            timing: Timing::default(),
            reads: Reads::default(),
            server: Server::default(),
            bug: Bug::None,
        }
    }
}

/// How linearizable reads are confirmed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Reads {
    /// By the log as the lease: no message while writes flow. Safe while monotonic clocks drift apart
    /// by at most [`Timing::drift_ppm`].
    #[default]
    Lease,
    /// By a round to a majority for each batch of reads. Safe whatever clocks do.
    Quorum,
}

/// Upper bounds; one field a queue.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Bytes of entries in one append message: a few milliseconds at 1 Gbit/s.
    pub append_bytes: usize,
    /// Bytes of entries sent to a follower and not acknowledged: the pipeline.
    pub in_flight_bytes: usize,
    /// Bytes of entries proposed and not committed before a group says Busy.
    pub uncommitted_bytes: usize,
    /// Bytes of entries a group keeps in memory for followers that lag; beyond it they get a snapshot.
    pub log_bytes: usize,
    /// Bytes of one log segment before the next one is begun.
    pub segment_bytes: u64,
    /// Bytes of all log segments before the group that holds the oldest one back makes a snapshot.
    pub wal_bytes: u64,
    /// Bytes of one snapshot chunk.
    pub chunk_bytes: usize,
    /// Chunks sent to a follower and not acknowledged.
    pub chunks_in_flight: u32,
    /// Commands of one client taken and not answered before it is Busy.
    pub client_pending: usize,
    /// Reads among them, before it is Busy: what they will find may be large.
    pub client_reads: usize,
    /// Bytes of answers of one client that its driver has not taken, or that are expected of its open
    /// commands, before it is Busy: a few milliseconds at 10 Gbit/s.
    pub client_bytes: usize,
    /// Commands forwarded from here and not answered, a group, before it is Busy.
    pub outbox: usize,
    /// Their bytes, before it is Busy.
    pub outbox_bytes: usize,
    /// Bytes of answers that are expected of the commands at another node, a group: a few milliseconds at
    /// 10 Gbit/s. More is not asked for.
    pub forwarded_bytes: usize,
    /// Bytes that wait for another node before its commands are refused: they share the connection with the
    /// log, which is not to be held up for long.
    pub peer_bytes: usize,
    /// Reads of one group that wait for a round, a lease or an entry, before it is Busy.
    pub waiting_reads: usize,
    /// Bytes that they have found, or are expected to find, before it is Busy.
    pub waiting_bytes: usize,
    /// Largest command, in bytes.
    pub command_bytes: usize,
    /// Keys that one entry of background expiry removes.
    pub expire_batch: u32,
    /// Bytes in which all groups of an engine remember what has changed lately, for those who watch. With none, nobody can
    /// watch, and READONLY clients are answered by leaders.
    pub changes_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            append_bytes: 256 << 10,
            in_flight_bytes: 4 << 20,
            uncommitted_bytes: 64 << 20,
            log_bytes: 8 << 20,
            segment_bytes: 64 << 20,
            wal_bytes: 512 << 20,
            chunk_bytes: 256 << 10,
            chunks_in_flight: 4,
            client_pending: 4096,
            client_reads: 128,
            client_bytes: 4 << 20,
            outbox: 65_536,
            outbox_bytes: 64 << 20,
            forwarded_bytes: 4 << 20,
            peer_bytes: 32 << 20,
            waiting_reads: 65_536,
            waiting_bytes: 16 << 20,
            command_bytes: 64 << 20,
            expire_batch: 256,
            changes_bytes: 32 << 20,
        }
    }
}

/// Timeouts; one field each.
#[derive(Clone, Debug)]
pub struct Timing {
    /// How often an engine tells the same engine of each other node that it lives.
    pub beat_every: Span,
    /// The shortest time without a leader's beats before a follower campaigns.
    pub election_timeout: Span,
    /// How much longer a follower may wait, drawn for each campaign.
    pub election_spread: Span,
    /// How long a committed entry lets its leader read without a message. At most `election_timeout`.
    pub lease: Span,
    /// How far two monotonic clocks may drift apart, in parts per million.
    pub drift_ppm: u64,
    /// How long before unacknowledged messages of a group are sent again.
    pub resend_every: Span,
    /// Bytes that a connection or a disk moves in a millisecond, if it is a slow one: so much longer may
    /// whatever is large take before it counts as lost.
    pub slow_bytes: u64,
    /// How long a command waits for a leader before it is answered with an error.
    pub patience: Span,
    /// How long a sync may take before the engine hands its leaderships over.
    pub disk_stall: Span,
    /// How long a node must have been well before the groups that it should lead are handed back to it.
    pub lead_back_after: Span,
    /// How often the replicas of a group that changed compare their digests.
    pub scrub_every: Span,
    /// How old what a read of a READONLY client finds may be, at most: everything that was acknowledged so long before
    /// the answer is in it. Zero: such reads are answered by leaders like all others.
    pub max_staleness: Span,
    /// How far a node's clock may run ahead of those of a majority before it goes by theirs, in
    /// milliseconds: one broken clock must not drag the cluster into the future.
    pub clock_error_ms: u64,
}

impl Timing {
    /// How long so many bytes may be on their way.
    #[must_use]
    pub(crate) fn way_of(&self, bytes: u64) -> Span {
        Span(bytes.saturating_mul(Span::millis(1).0) / self.slow_bytes.max(1))
    }
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            beat_every: Span::millis(150),
            election_timeout: Span::millis(450),
            election_spread: Span::millis(250),
            lease: Span::millis(400),
            drift_ppm: 1_000,
            resend_every: Span::millis(250),
            slow_bytes: 8_000,
            patience: Span::millis(5_000),
            disk_stall: Span::millis(1_000),
            lead_back_after: Span::millis(5_000),
            scrub_every: Span::millis(30_000),
            max_staleness: Span::millis(1_000),
            clock_error_ms: 60_000,
        }
    }
}

/// A mistake planted on purpose, so that a simulation can show that it would find it. Selected at run
/// time where the feature `planted` is on; elsewhere [`Bug::active`] is `false` at compile time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Bug {
    /// None: the protocol as it should be.
    #[default]
    None,
    /// The answer to a vote request leaves before the vote is on disk.
    VoteBeforeDurable,
    /// The term and vote are never written.
    TermNotDurable,
    /// Votes are given to candidates whose log is behind.
    NoUpToDateCheck,
    /// Entries of an earlier term are committed by counting replicas, without waiting for one of this term.
    OldTermCommit,
    /// A follower acknowledges entries before its disk has them.
    AckBeforeDurable,
    /// A leader counts itself before its disk has the entry.
    LeaderCountsUndurable,
    /// A follower cuts its log at the end of every append that overlaps it.
    TruncateOnOverlap,
    /// A follower takes the leader's commit index without bound.
    CommitUnbounded,
    /// Votes of an earlier term are counted.
    StaleVoteCounted,
    /// Acknowledgements of an earlier term move `match`.
    StaleAckCounted,
    /// A follower acknowledges its own last index instead of what it was sent.
    AckOwnLast,
    /// Stepping down within a term forgets the vote.
    StepDownClearsVote,
    /// Half of the voters pass for a majority.
    QuorumIsHalf,
    /// The commit index is taken from progress that was not sorted.
    UnsortedQuorum,
    /// A leader answers reads without a lease.
    ReadWithoutLease,
    /// A new leader reads before an entry of its own term is committed.
    ReadBeforeCommit,
    /// A new leader commits without waiting for the old lease to end.
    NoCommitWait,
    /// A new leader's reads ignore the doubtful tail.
    DoubtfulTailIgnored,
    /// A waiter is answered by its index alone, whatever the entry's term.
    WaiterByIndex,
    /// A forwarded write that is sent again is applied again.
    RetryNotDeduplicated,
    /// Installing a snapshot drops newer entries, though the log holds the snapshot's last one.
    SnapshotDropsNewer,
    /// A snapshot is sent with the wrong last term.
    SnapshotWrongTerm,
    /// A snapshot is named in the log before its file is durable.
    SnapshotBeforeDurable,
    /// Damage is treated as a torn tail.
    DamageIsTorn,
    /// A sync is credited to whatever entry now has the index (ABA).
    SyncCreditedByIndex,
    /// Checksums are not chained, so that old records pass for new ones.
    ChecksumNotChained,
    /// A key expires by the replica's own clock.
    ExpireByOwnClock,
    /// A stamp may go back with the clock.
    StampGoesBack,
    /// A suspicion is refuted without a higher incarnation.
    RefuteWithoutIncarnation,
    /// A lower incarnation wins over a higher one.
    LowerIncarnationWins,
    /// Datagrams of another cluster are taken.
    ClustersMerge,
    /// Writes of one batch are answered when they are appended, not when they commit.
    ReplyBeforeCommit,
    /// A damaged replica votes and acknowledges at once.
    DamagedVotes,
    /// A restarted node's epoch is the one it had before.
    LifeReused,
    /// Nobody else is asked to try a member that does not answer.
    NoIndirectProbe,
    /// A suspicion never becomes a verdict.
    SuspicionForever,
    /// A rumour that a dead member lives, of the same incarnation, is believed.
    DeadRevivedByRumour,
    /// A leader that has refused a forwarded command takes later ones of the same attempt.
    RefusalForgotten,
    /// A snapshot that entries have overtaken while it came voids them in the log on disk.
    ImageVoidsNewer,
    /// A voter says yes to whoever asks, though it has voted for another one in that term.
    VotesTwice,
    /// A follower takes entries without looking at the term of the one before them.
    PreviousTermIgnored,
    /// A leader hands back to the replica behind it, whichever should lead.
    HandsOnward,
    /// A disk that holds nothing is taken for a new one.
    LostDiskIsNew,
    /// A restarted replica leaves out the last chunk of its image.
    LastChunkLeftOut,
    /// After a snapshot was installed, the changes that it jumped over count as remembered.
    ChangesJumped,
    /// A node that has just started takes it that there are no users, without asking.
    UsersGuessed,
    /// A replica answers READONLY clients however old what it knows is.
    StaleUnbounded,
    /// A replica takes itself to be as fresh as the moment at which the leader's answer arrives.
    FreshWhenTold,
    /// A client is sent away to the leader with a command that is passed on all the same.
    MovedThoughTaken,
}

impl Bug {
    /// Whether `self` is the bug that was chosen.
    #[inline]
    #[must_use]
    pub fn active(self, chosen: Self) -> bool {
        cfg!(feature = "planted") && self as u8 == chosen as u8
    }
}
