//! Notes from other threads to an engine.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use driftless_core::command::connection::NodeAddress;
use driftless_core::{LaneId, Liveness, NodeId, SecretOutcome, SyncToken};
use tokio::io::DuplexStream;
use tokio::sync::{OwnedSemaphorePermit, oneshot};

use super::ready::{Bell, Doorbell, Token};
use crate::net::Detached;

/// A note to an engine.
#[derive(Debug)]
pub enum Note {
    /// The disk has finished a sync.
    Synced(SyncToken),
    /// The disk has failed.
    DiskFailed(io::Error),
    /// The disk worker has ended, as asked.
    DiskStopped,
    /// A connection to a node was made; `held` is dropped when it is lost.
    Connected {
        /// To whom.
        node: NodeId,
        /// The connection; greetings have been exchanged.
        stream: Detached,
        /// Dropped when the connection is lost.
        held: oneshot::Sender<()>,
    },
    /// A client that was let in at a door of another thread.
    Client {
        /// The connection.
        stream: Detached,
        /// Its place among all clients of the node, until it leaves.
        place: OwnedSemaphorePermit,
        /// Whether it goes to the leader of a key itself.
        in_cluster_mode: bool,
    },
    /// Where clients that do so find the nodes of the cluster: all that is known.
    Addresses(Arc<[NodeAddress]>),
    /// The membership layer has changed its mind about a node.
    Liveness(NodeId, Liveness),
    /// Bytes from another engine of this node.
    Handoff(LaneId, Vec<u8>),
    /// A task of this process speaks for somebody who has connected to it.
    Caller {
        /// Commands come from it, and answers go into it.
        pipe: DuplexStream,
        /// From where to where they have connected.
        addresses: (String, String),
    },
    /// Passwords that were handed out under a number have been looked into; or there are too many.
    Secrets {
        /// The number.
        number: u64,
        /// What became of each.
        outcomes: Option<Vec<SecretOutcome>>,
    },
    /// Somebody wants to see on the board how it is now.
    Show(oneshot::Sender<()>),
    /// The node is about to stop; `now`: without waiting until its leaderships are handed over.
    Retire {
        /// Without waiting.
        now: bool,
    },
}

/// Where other threads leave notes for an engine. Its length is bounded by what the senders may have on their
/// way: one sync, one connection a node, as many clients as there are places, what the limits of the core allow in hand-offs.
#[derive(Debug)]
pub struct Inbox {
    notes: Mutex<Vec<Note>>,
    bell: Arc<Bell>,
    doorbell: Arc<Doorbell>,
    /// Datagrams of gossip so far; not worth a ring.
    datagrams: AtomicU64,
}

impl Inbox {
    /// An empty inbox.
    pub fn new() -> Arc<Self> {
        let doorbell = Arc::new(Doorbell::default());
        let bell = doorbell.bell(Token::Inbox);
        Arc::new(Self { notes: Mutex::default(), bell, doorbell, datagrams: AtomicU64::new(0) })
    }

    /// Leaves a note.
    pub fn push(&self, note: Note) {
        self.notes.lock().unwrap_or_else(PoisonError::into_inner).push(note);
        self.bell.ring();
    }

    /// Moves all notes to the end of `notes`.
    pub fn take(&self, notes: &mut Vec<Note>) {
        self.bell.heard();
        notes.append(&mut self.notes.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// Counts a datagram of gossip.
    pub fn count_datagram(&self) {
        self.datagrams.fetch_add(1, Ordering::Relaxed);
    }

    /// How many datagrams of gossip have come so far.
    pub(super) fn datagrams(&self) -> u64 {
        self.datagrams.load(Ordering::Relaxed)
    }

    /// What rings when there are notes; sockets ring it too.
    pub(super) fn doorbell(&self) -> &Arc<Doorbell> {
        &self.doorbell
    }
}
