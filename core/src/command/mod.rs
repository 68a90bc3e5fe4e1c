//! Commands: one table as data, what each does to the store, and what each says.

pub mod access;
pub mod connection;
mod data;
pub mod glob;
mod id;
mod merge;
pub mod spec;
mod table;

pub use data::{
    Applying, ChangesOptions, Found, Outcome, Reading, Refusal, ScanOptions, Scanned, apply,
    encode, encode_expire, kept_users, read, scan, scan_cursor, touched,
};
pub use id::{CommandId, Merge, Scope};
pub use merge::merge;
pub use spec::Spec;
pub use table::{COUNT, Unresolved, all, every, key_positions, lookup, resolve, subcommand};
