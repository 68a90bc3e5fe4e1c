//! The log of the process: lines for people or JSON, to standard error.

use std::io::{IsTerminal as _, stderr};
use std::sync::OnceLock;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::reload::Handle;

use crate::error::NodeError;
use crate::settings::{LogFormat, Settings};

/// Begins to write the log as the settings say. Once a process.
pub fn start(settings: &Settings) -> Result<(), NodeError> {
    let filter = EnvFilter::try_new(&settings.log_level)
        .map_err(|error| NodeError::setting("log-level", error.to_string()))?;
    let log = tracing_subscriber::fmt().with_writer(stderr).with_target(false);
    let started = match settings.log {
        LogFormat::Text => {
            let log = log.with_ansi(stderr().is_terminal());
            let log = log.with_env_filter(filter).with_filter_reloading();
            keep(log.reload_handle());
            log.try_init()
        }
        LogFormat::Json => {
            let log = log.json().with_env_filter(filter).with_filter_reloading();
            keep(log.reload_handle());
            log.try_init()
        }
    };
    started.map_err(|error| NodeError::setting("log", error.to_string()))
}

/// What the log of this process tells can be changed by this.
static FILTER: OnceLock<Box<dyn Fn(EnvFilter) + Send + Sync>> = OnceLock::new();

fn keep<S: 'static>(filter: Handle<EnvFilter, S>) {
    // Without the log there is nobody to be told.
    let _ = FILTER.set(Box::new(move |next| drop(filter.reload(next))));
}

/// What the log tells from now on, in Redis's words.
pub fn set_level(word: &str) {
    let level = match word {
        "debug" | "verbose" => "debug",
        "warning" => "warn",
        "nothing" => "off",
        _ => "info",
    };
    if let Some(change) = FILTER.get() {
        change(EnvFilter::new(level));
    }
}

/// What the log tells by a setting of this node, as near as Redis's words come to it.
pub fn level_in_redis_words(level: &str) -> &'static str {
    match level.to_ascii_lowercase().as_str() {
        "trace" | "debug" => "debug",
        "warn" | "error" => "warning",
        "off" => "nothing",
        _ => "notice",
    }
}
