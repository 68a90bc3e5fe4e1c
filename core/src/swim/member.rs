//! One member as a node sees it, and the order in which claims about it win.

use alloc::vec::Vec;
use core::net::{IpAddr, SocketAddr};

use xxhash_rust::xxh3::xxh3_64;

use crate::bytes::{put_u8, put_u16, put_u32, put_u64};
use crate::config::Bug;
use crate::event::Liveness;
use crate::ids::NodeId;
use crate::time::Instant;

/// Longest [`Member::about`]: four entries of full length fit in a datagram.
pub(crate) const ABOUT_MAX: usize = 256;

/// How many accusers travel with a suspicion; more would not shorten it.
pub(crate) const ACCUSERS_MAX: usize = 8;

/// Incarnations end here, so that raising one can never overflow. A clock in nanoseconds gets there
/// in the year 2116.
pub(crate) const INCARNATION_MAX: u64 = 1 << 62;

/// One member, as this node sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Who.
    pub node: NodeId,
    /// Where its gossip and engines are reached.
    pub address: SocketAddr,
    /// What this node thinks of it.
    pub liveness: Liveness,
    /// Of which of its incarnations.
    pub incarnation: u64,
    /// Hash of its settings: another one than ours may not be talked to.
    pub fingerprint: u64,
    /// What it says of itself.
    pub about: Vec<u8>,
    /// When the view of it last changed.
    pub since: Instant,
}

impl Member {
    /// Whether it takes part: it is probed, compared with, and asked to probe others.
    pub(crate) fn is_live(&self) -> bool {
        self.liveness <= Liveness::Suspect
    }

    /// Where this view of it stands in the order of claims.
    pub(crate) fn standing(&self) -> Standing {
        Standing {
            incarnation: self.incarnation,
            liveness: self.liveness,
            tag: tag(self.address, self.fingerprint, &self.about),
        }
    }
}

/// A claim about a member, as it travels.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry<'a> {
    pub(crate) node: NodeId,
    pub(crate) incarnation: u64,
    pub(crate) liveness: Liveness,
    pub(crate) address: SocketAddr,
    pub(crate) fingerprint: u64,
    pub(crate) about: &'a [u8],
    /// Who found that it does not answer; only for suspects.
    pub(crate) accusers: Vec<NodeId>,
    /// For how many seconds it has been dead or gone, so that all forget it at about the same time.
    pub(crate) gone_seconds: u32,
}

impl Entry<'_> {
    pub(crate) fn standing(&self) -> Standing {
        Standing {
            incarnation: self.incarnation,
            liveness: self.liveness,
            tag: tag(self.address, self.fingerprint, self.about),
        }
    }
}

/// Of two claims about a member the greater one wins, everywhere: by incarnation, which only the
/// member itself raises, then by liveness, then (two processes of one incarnation) by content.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Standing {
    pub(crate) incarnation: u64,
    pub(crate) liveness: Liveness,
    pub(crate) tag: u32,
}

impl Standing {
    /// Whether this claim replaces `held`.
    pub(crate) fn beats(self, held: Self, bug: Bug) -> bool {
        if Bug::LowerIncarnationWins.active(bug) && self.incarnation != held.incarnation {
            return self.incarnation < held.incarnation;
        }
        let revives = self.liveness == Liveness::Alive && held.liveness == Liveness::Dead;
        if Bug::DeadRevivedByRumour.active(bug) && revives {
            return self.incarnation >= held.incarnation;
        }
        self > held
    }

    /// Its part in the digest of a view.
    pub(crate) fn hash(self, node: NodeId) -> u64 {
        let mut bytes = [0; 17];
        bytes[..4].copy_from_slice(&node.0.to_le_bytes());
        bytes[4..12].copy_from_slice(&self.incarnation.to_le_bytes());
        bytes[12] = self.liveness as u8;
        bytes[13..].copy_from_slice(&self.tag.to_le_bytes());
        xxh3_64(&bytes)
    }
}

/// Whether others can send to it.
pub(crate) fn is_reachable(address: SocketAddr) -> bool {
    address.port() != 0 && !address.ip().is_unspecified() && !address.ip().is_multicast()
}

/// Appends an address: 4 or 6, the bytes of the address, the port.
pub(crate) fn put_address(buffer: &mut Vec<u8>, address: SocketAddr) {
    match address.ip() {
        IpAddr::V4(ip) => {
            put_u8(buffer, 4);
            buffer.extend_from_slice(&ip.octets());
        }
        IpAddr::V6(ip) => {
            put_u8(buffer, 6);
            buffer.extend_from_slice(&ip.octets());
        }
    }
    put_u16(buffer, address.port());
}

/// Short hash of what a member says of itself.
fn tag(address: SocketAddr, fingerprint: u64, about: &[u8]) -> u32 {
    let mut bytes = Vec::with_capacity(32 + about.len());
    put_address(&mut bytes, address);
    put_u64(&mut bytes, fingerprint);
    put_u32(&mut bytes, about.len() as u32);
    bytes.extend_from_slice(about);
    xxh3_64(&bytes) as u32
}
