//! The log of the process: lines for people or JSON, to standard error.

use std::io::{IsTerminal as _, stderr};

use tracing_subscriber::EnvFilter;

use crate::error::NodeError;
use crate::settings::{LogFormat, Settings};

/// Begins to write the log as the settings say. Once a process.
pub fn start(settings: &Settings) -> Result<(), NodeError> {
    let filter = EnvFilter::try_new(&settings.log_level)
        .map_err(|error| NodeError::setting("log-level", error.to_string()))?;
    let log =
        tracing_subscriber::fmt().with_env_filter(filter).with_writer(stderr).with_target(false);
    let started = match settings.log {
        LogFormat::Text => log.with_ansi(stderr().is_terminal()).try_init(),
        LogFormat::Json => log.json().try_init(),
    };
    started.map_err(|error| NodeError::setting("log", error.to_string()))
}
