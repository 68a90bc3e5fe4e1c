//! From files to an engine. As pure as the rest: it is handed bytes.

use alloc::collections::BTreeSet;
use alloc::sync::Arc;
use alloc::vec::Vec;

use crate::command::connection::Settings;
use crate::config::EngineConfig;
use crate::engine::beats::Beats;
use crate::engine::{Engine, Partition};
use crate::group::{Counts, Group, Outbox};
use crate::ids::{GroupId, NodeId};
use crate::outputs::{FileId, Outputs};
use crate::placement::Placement;
use crate::pulse::Pulse;
use crate::rng::{Chance, Seed};
use crate::session::Sessions;
use crate::time::Now;
use crate::wal::{Identity, RecoveredGroup, Wal, WalError, WalRecovery};

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

    /// The next file to feed, if any.
    pub fn wants(&self) -> Option<FileId> {
        self.wal.wants()
    }

    /// The whole content of the file asked for; `None` if it cannot be read.
    pub fn feed(&mut self, bytes: Option<&[u8]>) -> Result<(), WalError> {
        self.wal.feed(bytes)
    }

    /// An engine, and in `out` what has to be written, synced and told. Then take a turn at once.
    pub fn finish(self, now: Now, out: &mut Outputs) -> Result<Engine, WalError> {
        let Self { config, placement, seed, wal } = self;
        let (mut found, wal) = wal.finish(&mut out.disk);
        out.events.append(&mut found.events);
        let lanes = u32::from(config.lanes);
        let places = placement.partitions() / lanes + 1;
        let mut partitions: Vec<Option<Partition>> = (0..places).map(|_| None).collect();
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
            partitions[(number / lanes) as usize] =
                Some(Partition { id, group, outbox, listed: false, wake: None, known: None });
        }
        Ok(assemble(config, placement, seed, partitions, wal, now))
    }
}

fn assemble(
    config: EngineConfig,
    placement: Arc<Placement>,
    seed: Seed,
    partitions: Vec<Option<Partition>>,
    wal: Wal,
    now: Now,
) -> Engine {
    let all = placement.nodes().iter().copied();
    let others: Vec<NodeId> = all.filter(|node| *node != config.node).collect();
    Engine {
        life: wal.life(),
        begun: false,
        partitions,
        pulse: Pulse::new(others.iter().copied()),
        beats: Beats::new(&others),
        wal,
        sessions: Sessions::default(),
        settings: Settings::default(),
        connections: 0,
        chance: Chance::new(seed, 1),
        counts: Counts::default(),
        datagrams: 0,
        touched: Vec::new(),
        timers: BTreeSet::new(),
        now,
        own_wall: now.wall,
        clock_ahead: false,
        begun_at: now.mono,
        started: false,
        syncing_since: None,
        failed: false,
        retiring: false,
        scratch: Vec::new(),
        durable: Vec::new(),
        config,
        placement,
    }
}
