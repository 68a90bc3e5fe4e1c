//! The greeting of two nodes: who they are and what they must agree on, so that a mistake can be named.
//!
//! On the wire: magic `DRFT`, version (u16), length of the body (u16), the body, CRC-32C of all before. All
//! numbers are little-endian.

use std::io;
use std::net::SocketAddr;

use driftless_core::bytes::{
    Malformed, Reader, checksum, patch_u32, put_bytes, put_u8, put_u16, put_u32, put_u64,
};
use driftless_core::{LaneId, NodeId};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::net::Stream;
use crate::settings::Shared;

/// What a greeting begins with.
pub const MAGIC: [u8; 4] = *b"DRFT";
/// Version of everything that nodes say to each other.
pub const VERSION: u16 = 4;
const HEAD_BYTES: usize = 8;
const MOST_BODY_BYTES: usize = 32 << 10;
/// Stands for no engine. A node has fewer.
const NO_LANE: u8 = u8::MAX;

/// What a node says first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hello {
    /// Who speaks.
    pub node: NodeId,
    /// Which of its engines this connection is for; without one, it only asks who is there.
    pub lane: Option<LaneId>,
    /// The number of its data: another process with the same one is the same node, started again.
    pub instance: u64,
    /// Where other nodes reach it.
    pub address: SocketAddr,
    /// Where it last heard of the node that it speaks to.
    pub heard_at: Option<SocketAddr>,
    /// Milliseconds since it was started.
    pub uptime_ms: u64,
    /// Whether it has found its place in the cluster, or still asks who is there.
    pub serving: bool,
    /// The settings that all nodes share.
    pub shared: Shared,
}

/// Why two nodes do not come together.
#[derive(Debug, thiserror::Error)]
pub enum HelloError {
    /// The connection failed.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// It is no node of this kind, or the bytes were damaged.
    #[error("what answers there is no Driftless node")]
    Foreign,
    /// It speaks another version.
    #[error("it speaks version {0}, this node speaks {VERSION}")]
    Version(u16),
}

impl From<Malformed> for HelloError {
    fn from(_: Malformed) -> Self {
        Self::Foreign
    }
}

impl Hello {
    /// Says it.
    pub async fn send(&self, stream: &mut Stream) -> io::Result<()> {
        let mut bytes = Vec::new();
        self.put(&mut bytes);
        stream.write_all(&bytes).await?;
        stream.flush().await
    }

    /// Hears it. Takes no byte beyond it.
    pub async fn receive(stream: &mut Stream) -> Result<Self, HelloError> {
        let mut bytes = vec![0; HEAD_BYTES];
        stream.read_exact(&mut bytes).await?;
        let length = body_length(&bytes)?;
        bytes.resize(HEAD_BYTES + length + 4, 0);
        stream.read_exact(&mut bytes[HEAD_BYTES..]).await?;
        Self::take(&bytes)
    }

    /// Writes it to the end of `buffer`.
    pub fn put(&self, buffer: &mut Vec<u8>) {
        buffer.extend_from_slice(&MAGIC);
        put_u16(buffer, VERSION);
        put_u16(buffer, 0);
        put_u32(buffer, self.node.0);
        put_u8(buffer, self.lane.map_or(NO_LANE, |lane| lane.0));
        put_u64(buffer, self.instance);
        put_bytes(buffer, self.address.to_string().as_bytes());
        let heard_at = self.heard_at.map(|address| address.to_string());
        put_bytes(buffer, heard_at.unwrap_or_default().as_bytes());
        put_u64(buffer, self.uptime_ms);
        put_u8(buffer, u8::from(self.serving));
        put_bytes(buffer, self.shared.cluster.as_bytes());
        put_u32(buffer, self.shared.total_nodes);
        put_u32(buffer, self.shared.replication_factor);
        put_u32(buffer, self.shared.partitions);
        put_u8(buffer, self.shared.engines);
        put_u32(buffer, self.shared.zones.len() as u32);
        for zone in &self.shared.zones {
            put_bytes(buffer, zone.as_bytes());
        }
        let length = buffer.len() - HEAD_BYTES;
        assert!(length <= MOST_BODY_BYTES, "settings are checked to be short");
        buffer[6..8].copy_from_slice(&(length as u16).to_le_bytes());
        let sum = checksum(0, buffer);
        put_u32(buffer, 0);
        let at = buffer.len() - 4;
        patch_u32(buffer, at, sum);
    }

    /// Reads one of which all bytes are there, and no others.
    pub fn take(bytes: &[u8]) -> Result<Self, HelloError> {
        if bytes.len() != HEAD_BYTES + body_length(bytes)? + 4 {
            return Err(HelloError::Foreign);
        }
        let (said, sum) = bytes.split_last_chunk::<4>().ok_or(HelloError::Foreign)?;
        if checksum(0, said) != u32::from_le_bytes(*sum) {
            return Err(HelloError::Foreign);
        }
        let mut reader = Reader::new(&said[HEAD_BYTES..]);
        let hello = Self {
            node: NodeId(reader.u32()?),
            lane: Some(reader.u8()?).filter(|&lane| lane != NO_LANE).map(LaneId),
            instance: reader.u64()?,
            address: address(&take_text(&mut reader)?)?,
            heard_at: match take_text(&mut reader)?.as_str() {
                "" => None,
                text => Some(address(text)?),
            },
            uptime_ms: reader.u64()?,
            serving: match reader.u8()? {
                0 => false,
                1 => true,
                _ => return Err(HelloError::Foreign),
            },
            shared: Shared {
                cluster: take_text(&mut reader)?,
                total_nodes: reader.u32()?,
                replication_factor: reader.u32()?,
                partitions: reader.u32()?,
                engines: reader.u8()?,
                zones: (0..reader.u32()?)
                    .map(|_| take_text(&mut reader))
                    .collect::<Result<_, _>>()?,
            },
        };
        reader.end()?;
        Ok(hello)
    }
}

fn take_text(reader: &mut Reader<'_>) -> Result<String, Malformed> {
    String::from_utf8(reader.bytes()?.to_vec()).map_err(|_| Malformed)
}

/// An address as [`Hello::put`] writes it.
fn address(text: &str) -> Result<SocketAddr, Malformed> {
    let address: SocketAddr = text.parse().map_err(|_| Malformed)?;
    if address.to_string() == text { Ok(address) } else { Err(Malformed) }
}

fn body_length(head: &[u8]) -> Result<usize, HelloError> {
    let mut reader = Reader::new(head);
    if reader.take(4)? != MAGIC {
        return Err(HelloError::Foreign);
    }
    let version = reader.u16()?;
    if version != VERSION {
        return Err(HelloError::Version(version));
    }
    let length = usize::from(reader.u16()?);
    if length > MOST_BODY_BYTES { Err(HelloError::Foreign) } else { Ok(length) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::{Flags, Settings};

    fn hello() -> Hello {
        let flags = Flags {
            total_nodes: Some(2),
            zones: Some(vec!["east".to_owned(), "west".to_owned()]),
            ..Flags::default()
        };
        let shared = Settings::check(&flags).unwrap().shared;
        Hello {
            node: NodeId(2),
            lane: Some(LaneId(1)),
            instance: 77,
            address: "10.0.0.2:16380".parse().unwrap(),
            heard_at: Some("[::1]:16379".parse().unwrap()),
            uptime_ms: 12_345,
            serving: true,
            shared,
        }
    }

    #[test]
    fn a_greeting_is_read_back() {
        let mut bytes = Vec::new();
        hello().put(&mut bytes);
        assert_eq!(body_length(&bytes[..HEAD_BYTES]).unwrap(), bytes.len() - HEAD_BYTES - 4);
        assert_eq!(Hello::take(&bytes).unwrap(), hello());
        let question = Hello { lane: None, heard_at: None, ..hello() };
        bytes.clear();
        question.put(&mut bytes);
        assert_eq!(Hello::take(&bytes).unwrap(), question);
    }

    #[test]
    fn no_damaged_greeting_is_believed() {
        let mut bytes = Vec::new();
        hello().put(&mut bytes);
        for at in HEAD_BYTES..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[at] ^= 1;
            assert!(Hello::take(&damaged).is_err(), "byte {at}");
        }
    }

    #[test]
    fn strangers_and_other_versions_are_told_apart() {
        assert!(matches!(body_length(b"GET / HT"), Err(HelloError::Foreign)));
        assert!(matches!(body_length(b"DRFT\x63\x00\x10\x00"), Err(HelloError::Version(99))));
    }
}
