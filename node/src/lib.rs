//! The node of Driftless: sockets, files, threads and settings around the deterministic core.

pub mod answer;
pub mod board;
pub mod clock;
pub mod disk;
pub mod doors;
pub mod engine;
pub mod error;
pub mod events;
pub mod gate;
pub mod gossip;
pub mod link;
pub mod live;
pub mod log;
pub mod net;
pub mod node;
pub mod ports;
pub mod proto;
pub mod settings;
pub mod tls;
pub mod vault;

pub use error::NodeError;
