//! Names for things, so that two integers cannot be swapped by accident.

/// A node of the cluster; chosen once by its operator, never reused. The first one is 1; small, so
/// that it can index per-node buffers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(pub u32);

/// Which of a node's engines: engine `i` of one node speaks to engine `i` of another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LaneId(pub u8);

impl NodeId {
    /// The highest number of a node.
    pub const MOST: Self = Self(1_000);
}

/// A replication group: one partition of the keyspaces. Group 0 is kept for the meta group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GroupId(pub u32);

/// A client connection, as the driver of this engine numbers them; dense, reused after
/// [`crate::Turn::client_gone`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClientId(pub u32);

impl ClientId {
    /// Stands for the engine itself, where it asks a group something of its own accord.
    pub(crate) const ENGINE: Self = Self(u32::MAX);
}

/// A cluster. Frames, datagrams and files of another cluster are refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClusterId(pub u64);

/// A keyspace, as a client selects it with `SELECT n`. The same name in two keyspaces is two keys.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Keyspace(pub u8);

impl Keyspace {
    /// Where the first group keeps the users of the cluster. No client can select it.
    pub const USERS: Self = Self(KEYSPACES);
}

/// How many keyspaces there are to select.
pub const KEYSPACES: u8 = 16;

/// A position in a group's log. The first entry has index 1; 0 means "before the first".
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Index(pub u64);

impl Index {
    /// The index after this one.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0 + 1)
    }

    /// The index before this one; 0 stays 0.
    #[must_use]
    pub const fn previous(self) -> Self {
        Self(self.0.saturating_sub(1))
    }
}

/// A leader's reign. Terms only grow; messages of an older one are ignored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Term(pub u64);

/// A run of a node's process. Grows with every start; durable before any message bears it. Two runs that
/// got one number because the disk between them was lost are told apart by their lower 32 bits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Life(pub u64);

impl Life {
    /// The run of that number, less than 2^32; `salt` is drawn anew for each.
    #[must_use]
    pub const fn new(number: u64, salt: u32) -> Self {
        Self(number << 32 | salt as u64)
    }

    /// The number of the first segment of the log that this run wrote.
    #[must_use]
    pub const fn number(self) -> u64 {
        self.0 >> 32
    }
}

/// A key: a name within a keyspace.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key<'a> {
    /// Which keyspace.
    pub keyspace: Keyspace,
    /// Its name: any bytes, possibly none.
    pub name: &'a [u8],
}
