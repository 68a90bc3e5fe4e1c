//! From files to an engine. As pure as the rest: it is handed bytes.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::ToString as _;
use alloc::sync::Arc;
use alloc::vec::Vec;

use crate::command::CommandId;
use crate::command::connection::{Refusals, Settings};
use crate::config::EngineConfig;
use crate::engine::beats::Beats;
use crate::engine::cluster_mode::Directory;
use crate::engine::idle::Idle;
use crate::engine::lead_back::{Home, Strays};
use crate::engine::login::Logins;
use crate::engine::partitions::Partitions;
use crate::engine::users::Registry;
use crate::engine::{Engine, Partition};
use crate::group::{Counts, Group, Outbox};
use crate::ids::{GroupId, Life, NodeId, Term};
use crate::outputs::{FileId, Outputs};
use crate::placement::Placement;
use crate::pulse::Pulse;
use crate::rng::{Chance, Seed};
use crate::session::Sessions;
use crate::time::Now;
use crate::wal::{Beginning, Identity, Outline, RecoveredGroup, Scans, Wal, WalError, WalRecovery};

/// Turns files into an engine; an empty listing makes one that has never run.
#[derive(Debug)]
pub struct Recovery {
    config: EngineConfig,
    placement: Arc<Placement>,
    seed: Seed,
    wal: WalRecovery,
}

impl Recovery {
    /// Given what the directory holds (names and sizes in bytes), decides what to read.
    pub fn new(
        config: EngineConfig,
        placement: &Arc<Placement>,
        seed: Seed,
        listing: &[(FileId, u64)],
    ) -> Self {
        let identity = Identity {
            cluster: config.cluster,
            node: config.node,
            lane: config.lane,
            lanes: config.lanes,
        };
        let wal = WalRecovery::new(identity, config.limits.segment_bytes, listing, config.bug);
        Self { config, placement: Arc::clone(placement), seed, wal }
    }

    /// Only terms and votes are wanted: ask for [`Recovery::ballots`]. `earlier`: what an earlier reading of the same
    /// log has found, which has only grown since.
    #[must_use]
    pub fn ballots_only(self, earlier: Scans) -> Self {
        Self { wal: self.wal.ballots_only(earlier), ..self }
    }

    /// No entry's bytes are wanted: ask for [`Recovery::outlines`]. `earlier`: as for [`Recovery::ballots_only`].
    #[must_use]
    pub fn outlines_only(self, earlier: Scans) -> Self {
        Self { wal: self.wal.outlines_only(earlier), ..self }
    }

    /// The next file to feed, if any.
    pub fn wants(&self) -> Option<FileId> {
        self.wal.wants()
    }

    /// The whole content of the file asked for; `None` if it cannot be read.
    pub fn feed(&mut self, bytes: Option<&[u8]>) -> Result<(), WalError> {
        self.wal.feed(bytes)
    }

    /// The term and vote with which each group would begin that the log tells of; any other begins with none. And what
    /// was found in the log, for who reads it again when it has grown.
    pub fn ballots(self) -> (BTreeMap<GroupId, (Term, Option<NodeId>)>, Scans) {
        self.wal.ballots()
    }

    /// What the log says of each group, in short; of those that it does not mention, nothing. And what was found in
    /// it, for who reads it again when it has grown.
    pub fn outlines(self) -> (BTreeMap<GroupId, Outline>, Scans) {
        self.wal.outlines()
    }

    /// An engine, and in `out` what has to be written, synced and told. Then take a turn at once.
    pub fn finish(self, now: Now, out: &mut Outputs) -> Result<Engine, WalError> {
        let Self { config, placement, seed, wal } = self;
        let mut chance = Chance::new(seed, 1);
        let begin = Beginning { salt: chance.bits() as u32, peers: placement.factor() > 1 };
        let (mut found, wal) = wal.finish(begin, &mut out.disk);
        out.events.append(&mut found.events);
        let mut partitions = Vec::new();
        for number in 1..=placement.partitions() {
            let id = GroupId(number);
            if placement.lane_of(id, config.lanes) != config.lane {
                continue;
            }
            let holds = placement.replicas(id).contains(&config.node);
            let group = holds.then(|| {
                // A group of which nothing is left may have lost all of it.
                let lost = || RecoveredGroup { damaged: found.damaged, ..<_>::default() };
                let own = found.groups.remove(&id).unwrap_or_else(lost);
                Group::recover(id, &config, &placement, own, now)
            });
            let outbox = Outbox::default();
            partitions.push(Partition {
                id,
                group,
                outbox,
                listed: false,
                wake: None,
                known: None,
                home: Home::default(),
            });
        }
        Ok(assemble(config, placement, chance, partitions, wal, now))
    }
}

fn assemble(
    config: EngineConfig,
    placement: Arc<Placement>,
    chance: Chance,
    partitions: Vec<Partition>,
    wal: Wal,
    now: Now,
) -> Engine {
    let all = placement.nodes().iter().copied();
    let settings = settings(&config);
    let others: Vec<NodeId> = all.filter(|node| *node != config.node).collect();
    Engine {
        life: wal.life(),
        begun: false,
        partitions: Partitions::new(partitions),
        pulse: Pulse::new(others.iter().copied()),
        beats: Beats::new(&others),
        strays: Strays::default(),
        directory: Directory::new(&placement),
        wal,
        sessions: Sessions::default(),
        registry: Registry::new(now.mono, config.bug),
        logins: Logins::default(),
        refusals: Refusals::default(),
        waits: Vec::new(),
        idle: Idle::new(&settings, now.mono),
        settings,
        connections: 0,
        chance,
        outlived: Life(0),
        counts: Counts::default(),
        calls: alloc::vec![0; CommandId::COUNT],
        pause: None,
        datagrams: 0,
        touched: Vec::new(),
        finished: Vec::new(),
        timers: BTreeSet::new(),
        now,
        own_wall: now.wall,
        clock_ahead: false,
        begun_at: now.mono,
        started: false,
        stalls_at: None,
        failed: false,
        retiring: false,
        scratch: Vec::new(),
        durable: Vec::new(),
        config,
        placement,
    }
}

/// What CONFIG shows of what this engine is bound to.
fn settings(config: &EngineConfig) -> Settings {
    let mut settings = Settings::default();
    settings.define("proto-max-bulk-len", &config.limits.command_bytes.to_string());
    settings.define("maxclients", &config.server.most_clients.to_string());
    settings.define("timeout", &config.server.client_timeout.to_string());
    settings.define("client-output-bytes", &config.server.client_output_bytes.to_string());
    settings.define("loglevel", config.server.log_level);
    settings.define("port", &config.server.port.to_string());
    settings
}
