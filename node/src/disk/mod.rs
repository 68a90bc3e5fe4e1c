//! The disk: a seam between the worker that carries out what an engine asks for, and the files.

mod claim;
mod directory;
mod names;
mod worker;

use std::io;
use std::time::Duration;

use driftless_core::{FileId, LaneId};

pub use claim::Claim;
pub use directory::Directory;
pub use names::{file_name, parse_name};
pub use worker::DiskQueue;

use crate::error::NodeError;

/// The files of one engine.
pub trait Disk: Send {
    /// Names and sizes of all files.
    fn list(&mut self) -> io::Result<Vec<(FileId, u64)>>;
    /// The whole content of a file.
    fn read(&mut self, file: FileId) -> io::Result<Vec<u8>>;
    /// Writes at an offset; the first write creates the file.
    fn write(&mut self, file: FileId, offset: u64, bytes: &[u8]) -> io::Result<()>;
    /// Makes all earlier writes to the file durable, and its name.
    fn sync(&mut self, file: FileId) -> io::Result<()>;
    /// Deletes a file; one that is not there is no error.
    fn remove(&mut self, file: FileId) -> io::Result<()>;
    /// How long the next batch waits before it is carried out: a simulated disk takes its time.
    fn delay(&mut self) -> Duration {
        Duration::ZERO
    }
}

/// Where the disks of a node's engines come from.
pub trait Disks: Send {
    /// Refuses a place that somebody else uses, without creating anything. Returns the number of the data in it,
    /// or that it will get: no other place has the same.
    fn peek(&mut self) -> Result<u64, NodeError>;
    /// Claims the place for this node, creating what is not there.
    fn claim(&mut self) -> Result<(), NodeError>;
    /// The disk of one engine.
    fn open(&mut self, lane: LaneId) -> Result<Box<dyn Disk>, NodeError>;
}
