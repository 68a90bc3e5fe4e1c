//! A client of Driftless. It finds all nodes through any one of them, asks the one that leads a key, tries again what was not
//! done, and says of everything else what became of it.
//!
//! ```
//! # mod node { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/node/mod.rs")); }
//! # node::Node::start().run(async |node| {
//! # let address = node.address();
//! use std::time::Duration;
//! use driftless_client::{Client, Put};
//!
//! let client = Client::connect([address]).await?;
//!
//! client.put("user:1", "Alice").await?;
//! assert_eq!(client.get("user:1").await?, Some(b"Alice".to_vec()));
//!
//! let visit = Put::new().ttl(Duration::from_secs(60)).if_absent();
//! assert!(client.put_with("visit:1", "now", visit).await?);
//!
//! let mut keys = client.scan("user:");
//! while let Some(key) = keys.next().await {
//!     client.delete(key?).await?;
//! }
//! # assert_eq!(client.get("user:1").await?, None);
//! # Ok(()) });
//! ```
//!
//! Keys and values are bytes; anything that becomes a `Vec<u8>` will do.
//!
//! # Which node is asked
//!
//! The one that leads the partition of the key, as far as is known; then those that hold it too, then any. A wrong guess is no error,
//! since every node passes on what it does not lead. A node that has just failed is asked last. What is known of the cluster is
//! looked up when something fails, and every ten seconds.
//!
//! # What is tried again
//!
//! An [`Error`] says what became of what was asked, and that decides:
//!
//! | | | tried again |
//! |---|---|---|
//! | [`Error::NotDone`] | No node could be reached, or one said that nothing was done and never will be. | Three times, half a second apart and then longer: [`Retry`]. |
//! | [`Error::Unknown`] | A node took it, and the connection broke, or its answer did not come in time. | Reads only, where it is the same as not done. |
//! | [`Error::NotAllowed`], [`Error::Refused`] | Nothing was done, nor ever would be. | Never. |
//!
//! No write is sent twice unless it is certain that it was not done the first time. Even [`Client::put`] without a condition is not:
//! if it was done, and somebody else has written the key since, the second would undo that. The same holds for deleting a key that
//! somebody has set again, and for changing when it ends; and a second put of a key that is not to be there yet would be told that
//! it is, though nobody but the caller has put it there. Who knows that nobody else writes the key may do it again.
//!
//! A call ends by itself after at most [`Retry::deadline`]. One that is dropped earlier may have been done or not.
//!
//! # TLS
//!
//! [`Builder::connector`] takes whatever makes a connection.

mod batch;
mod builder;
mod call;
mod client;
mod error;
mod link;
mod map;
mod proto;
mod resume;
mod scan;
mod types;
mod watch;

pub use batch::{Batch, Outcome};
pub use builder::{Builder, Retry};
pub use client::Client;
pub use error::Error;
pub use resume::Places;
pub use scan::Keys;
pub use types::{Entry, Node, Partition, Ports, Put, State, Status};
pub use watch::{Change, Watch, Watched, What};
