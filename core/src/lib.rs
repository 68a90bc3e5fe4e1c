#![doc = include_str!("../ARCHITECTURE.md")]
#![no_std]

extern crate alloc;

pub mod bytes;
pub mod cluster;
pub mod command;
pub mod config;
pub mod engine;
mod entry;
pub mod event;
mod group;
pub mod ids;
pub mod latency;
mod message;
pub mod outputs;
pub mod placement;
mod pulse;
mod quorum;
mod raft;
pub mod resp;
pub mod rng;
mod session;
pub mod store;
mod swim;
pub mod time;
pub mod wal;
mod window;

pub use engine::{Admission, Engine, GroupView, Recovery, Role, Turn};
pub use event::{Event, Liveness};
pub use ids::{ClientId, ClusterId, GroupId, Index, Key, Keyspace, LaneId, Life, NodeId, Term};
pub use outputs::{
    DiskBatch, DiskOp, FileId, Given, Lanes, Outputs, Secret, SecretOutcome, SecretWork, SyncToken,
};
pub use time::{Instant, Now, Span, Stamp, WallTime};
pub use wal::{Outline, Scans};
