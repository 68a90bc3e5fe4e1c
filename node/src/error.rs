//! Why a node cannot start or go on: each error is one line that names what to change.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

/// Why a node cannot start or go on.
#[derive(Debug, thiserror::Error)]
pub enum NodeError {
    /// A setting is wrong, or two do not fit together.
    #[error("setting {name}: {problem}")]
    Setting {
        /// The long name of the flag, without dashes.
        name: &'static str,
        /// What is wrong and what would be right.
        problem: String,
    },
    /// The file of settings cannot be used.
    #[error("settings file {}: {problem}", path.display())]
    File {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// An address cannot be listened on.
    #[error("setting {name}: cannot listen on {address}: {problem}")]
    Listen {
        /// The setting that chose the port.
        name: &'static str,
        /// Where.
        address: SocketAddr,
        /// What the system says.
        problem: String,
    },
    /// The data directory cannot be used.
    #[error("data directory {}: {problem}", path.display())]
    Directory {
        /// Which directory.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// The log in the data directory cannot be read.
    #[error("data directory {}: engine {lane}: {problem}", path.display())]
    Log {
        /// Which directory.
        path: PathBuf,
        /// Which of the engines.
        lane: u8,
        /// What is wrong with it.
        problem: String,
    },
    /// A write or sync failed while the node ran.
    #[error("disk of engine {lane} failed, the node stops and trusts nothing unsynced: {problem}")]
    Disk {
        /// Which of the engines.
        lane: u8,
        /// What the system says.
        problem: io::Error,
    },
    /// The cluster that is already there goes by other settings.
    #[error(
        "setting {name}: this node has {ours}, node {peer} of the running cluster has {theirs}: use {theirs}"
    )]
    Disagreement {
        /// Which setting differs.
        name: &'static str,
        /// Its value here.
        ours: String,
        /// Its value there.
        theirs: String,
        /// Who has it.
        peer: u32,
    },
    /// Another process with data of its own bears the number of this node.
    #[error(
        "setting node-num: {node} is taken: node {node} of this cluster runs at {address} with another data directory: \
         choose another node-num, or stop that one"
    )]
    NumberTaken {
        /// The number.
        node: u32,
        /// Where the other is.
        address: SocketAddr,
    },
    /// The system refused something basic.
    #[error("{what}: {problem}")]
    System {
        /// What was tried.
        what: &'static str,
        /// What the system says.
        problem: io::Error,
    },
}

impl NodeError {
    /// A wrong setting.
    pub fn setting(name: &'static str, problem: impl Into<String>) -> Self {
        Self::Setting { name, problem: problem.into() }
    }

    /// A failed call to the system, for `map_err`.
    pub fn system(what: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |problem| Self::System { what, problem }
    }
}
