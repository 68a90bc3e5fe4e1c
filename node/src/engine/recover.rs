//! An engine out of the files it left.

use std::sync::Arc;

use driftless_core::config::EngineConfig;
use driftless_core::placement::Placement;
use driftless_core::rng::Seed;
use driftless_core::wal::WalError;
use driftless_core::{Engine, Outputs, Recovery};

use crate::clock::Clock;
use crate::disk::Disk;

/// Reads the files of an engine and makes it go on from where it was. `Err` is one line that says why it cannot.
pub fn recover(
    config: EngineConfig,
    placement: &Arc<Placement>,
    seed: Seed,
    disk: &mut dyn Disk,
    clock: &mut Clock,
) -> Result<(Engine, Outputs), String> {
    let listing = disk.list().map_err(|error| format!("its files cannot be listed: {error}"))?;
    let mut recovery = Recovery::new(config, placement, seed, &listing);
    while let Some(file) = recovery.wants() {
        let bytes = disk.read(file);
        if let Err(error) = &bytes {
            tracing::warn!(?file, %error, "a file cannot be read");
        }
        recovery.feed(bytes.ok().as_deref()).map_err(|error| explain(&error))?;
    }
    let mut outputs = Outputs::default();
    let engine = recovery.finish(clock.now(), &mut outputs).map_err(|error| explain(&error))?;
    Ok((engine, outputs))
}

fn explain(error: &WalError) -> String {
    match error {
        WalError::Foreign(identity) => format!("its log belongs to somebody else: {identity:?}"),
        WalError::Version(version) => {
            format!("its log has version {version}, which this program cannot read")
        }
    }
}
