//! The faults there are, by name. What they do is in the world.

macro_rules! faults {
    ($($(#[doc = $doc:literal])+ $name:ident = $text:literal,)+) => {
        /// Something that goes wrong at some moment, for some time.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        #[repr(u8)]
        pub enum Fault {
            $($(#[doc = $doc])+ $name,)+
        }

        impl Fault {
            /// All faults, in order.
            pub const ALL: [Self; FAULTS] = [$(Self::$name,)+];

            /// What it is called in traces.
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$name => $text,)+
                }
            }
        }

        const COUNT: usize = [$(stringify!($name),)+].len();
    };
}

faults! {
    /// The nodes fall into two halves.
    Halves = "halves",
    /// Each node stands on a random side.
    RandomSides = "random-sides",
    /// One node is cut off.
    Isolate = "isolate",
    /// A leader is cut off, with at most one companion.
    IsolateLeader = "isolate-leader",
    /// Messages between two nodes pass in one direction only.
    OneWay = "one-way",
    /// Two sides see one node in the middle, and not each other.
    Bridge = "bridge",
    /// A link comes and goes.
    Flap = "flap",
    /// Links hold their messages and release them later, in one burst.
    Hold = "hold",
    /// Half of the links are clogged one by one and released in another order.
    Swizzle = "swizzle",
    /// Links carry little.
    SlowLink = "slow-link",
    /// A connection breaks, with what was on it.
    Reset = "reset",
    /// Datagrams between two nodes are lost in one direction; connections carry theirs.
    Mute = "mute",
    /// A node hears datagrams of another cluster.
    Stranger = "stranger",
    /// Messages of one kind are lost.
    DropClass = "drop-class",
    /// Syncs do not return for a while.
    DiskStall = "disk-stall",
    /// Syncs take long for a while.
    DiskSlow = "disk-slow",
    /// A sync fails: the node stops.
    SyncError = "sync-error",
    /// A write finds no space: the node stops.
    NoSpace = "no-space",
    /// Power goes at one node, and bits have flipped when it comes back.
    Rot = "rot",
    /// Power goes, and a write that was acknowledged is not there when it comes back.
    LostWrite = "lost-write",
    /// Power goes, and a block stands in the wrong place when it comes back.
    Misdirected = "misdirected",
    /// Power goes, and a file cannot be read when it comes back.
    Unreadable = "unreadable",
    /// Power goes, and an old copy of a file is there when it comes back.
    OldCopy = "old-copy",
    /// Power goes, and the disk is empty when it comes back.
    Wiped = "wiped",
    /// A wall clock jumps forward.
    StepForward = "step-forward",
    /// A wall clock jumps back.
    StepBack = "step-back",
    /// A wall clock stands still.
    Freeze = "freeze",
    /// A monotonic clock runs fast or slow.
    Drift = "drift",
    /// A time daemon sets a wall clock right.
    Correct = "correct",
    /// A process is killed.
    Crash = "crash",
    /// A leader's process is killed.
    CrashLeader = "crash-leader",
    /// Power goes at one node.
    PowerCut = "power-cut",
    /// Power goes at several nodes, or all, at one moment.
    PowerCutAll = "power-cut-all",
    /// A process stands still, and goes on later as if nothing had been.
    Pause = "pause",
    /// A leader's process stands still.
    PauseLeader = "pause-leader",
    /// A leader's process stands still and is cut off; it goes on while it still is, and clients ask it;
    /// or the others forget it, by a new start, while it is cut off.
    StaleLeader = "stale-leader",
    /// A leader that appends is cut off with one companion, whose answers are held until the leader has been replaced
    /// and, perhaps, leads again.
    StaleAnswers = "stale-answers",
    /// Each turn takes a node long.
    SlowCpu = "slow-cpu",
    /// A process is killed again and again.
    RestartLoop = "restart-loop",
    /// A node hands its leaderships over, stops and starts again.
    Retire = "retire",
    /// Triggered: a node that just asked for votes is killed.
    CrashCandidate = "crash-candidate",
    /// Triggered: a node that just took a leader is cut from power.
    CutVoter = "cut-voter",
    /// Triggered: a new leader is cut off with at most one companion.
    IsolateNewLeader = "isolate-new-leader",
    /// Triggered: what a new leader hears and says is held until after another term.
    HoldAcrossTerm = "hold-across-term",
    /// Triggered: what one node says to a new leader is held until after some terms.
    HoldAnswers = "hold-answers",
    /// Triggered: a node whose log was just cut, and its leader, are cut off together.
    IsolateCut = "isolate-cut",
    /// Triggered: a leader that has just appended is cut off.
    CutAppender = "cut-appender",
    /// Triggered: power goes at a node that just made or installed a snapshot.
    CutAfterSnapshot = "cut-after-snapshot",
    /// Triggered: a node whose log was just cut is killed.
    CrashTruncated = "crash-truncated",
    /// Triggered: a node in the middle of sending a snapshot is killed.
    CrashSender = "crash-sender",
    /// Triggered: a node that was just repaired loses power again.
    CutRepaired = "cut-repaired",
}

/// How many faults there are.
pub const FAULTS: usize = COUNT;

impl Fault {
    /// Whether an event sets it off, instead of a plan.
    pub fn triggered(self) -> bool {
        self >= Self::CrashCandidate
    }

    /// Whether it damages what a disk had acknowledged.
    pub fn damages(self) -> bool {
        (Self::Rot..=Self::Wiped).contains(&self)
    }
}
