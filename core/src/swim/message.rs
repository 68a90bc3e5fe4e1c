//! Datagrams of the membership protocol, byte by byte. All numbers are little-endian.
//!
//! ```text
//! checksum u32 (CRC-32C of all that follows) | version u8 | cluster u64 | sender u32
//! | sender's incarnation u64 | kind u8 | body of the kind | entries u8 | entry ...
//! ```

use alloc::vec::Vec;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::member::{ABOUT_MAX, ACCUSERS_MAX, Entry, INCARNATION_MAX, is_reachable, put_address};
use crate::bytes::{Malformed, Reader, checksum, patch_u32, put_u8, put_u16, put_u32, put_u64};
use crate::event::Liveness;
use crate::ids::{ClusterId, NodeId};

/// Longest datagram: it fits an Ethernet frame behind any usual tunnel.
pub(crate) const DATAGRAM_MAX: usize = 1_400;

/// Most lines of one summary and most nodes of one [`Message::Want`]: bounds what one datagram makes
/// its receiver send.
pub(crate) const LINES_MAX: usize = 64;

const VERSION: u8 = 1;

/// Who sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) cluster: ClusterId,
    pub(crate) node: NodeId,
    pub(crate) incarnation: u64,
}

/// What a datagram is for. Any of them carries entries behind it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Message {
    /// Are you alive? Answered by [`Message::Ack`], if the receiver is the target.
    Probe { sequence: u32, target: NodeId },
    /// Ask the target for me; tell me after a while if it does not answer you either.
    Relay { sequence: u32, target: NodeId, address: SocketAddr, wait_ms: u32 },
    /// The target is alive.
    Ack { sequence: u32, target: NodeId },
    /// The relay lives, the target has not answered yet.
    Nack { sequence: u32, target: NodeId },
    /// My whole view has this digest; if yours is another one, tell me what you have.
    Digest { digest: u64 },
    /// All that I have of the nodes from `first` to `last`, in short.
    Summary { first: NodeId, last: NodeId, lines: Vec<Line> },
    /// Send me what you have of these.
    Want { nodes: Vec<NodeId> },
    /// Nothing but the entries.
    Entries,
}

/// An entry in short.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Line {
    pub(crate) node: NodeId,
    pub(crate) incarnation: u64,
    pub(crate) liveness: Liveness,
    pub(crate) tag: u32,
}

/// A datagram, read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Datagram<'a> {
    pub(crate) header: Header,
    pub(crate) message: Message,
    pub(crate) entries: Vec<Entry<'a>>,
}

/// A datagram being written at the end of a buffer.
#[derive(Debug)]
pub(crate) struct Writer {
    start: usize,
    count_at: usize,
    count: u8,
}

impl Writer {
    pub(crate) fn begin(buffer: &mut Vec<u8>, header: Header, message: &Message) -> Self {
        let start = buffer.len();
        put_u32(buffer, 0);
        put_u8(buffer, VERSION);
        put_u64(buffer, header.cluster.0);
        put_u32(buffer, header.node.0);
        put_u64(buffer, header.incarnation);
        put_message(buffer, message);
        let count_at = buffer.len();
        put_u8(buffer, 0);
        assert!(buffer.len() - start <= DATAGRAM_MAX, "a message alone always fits");
        Self { start, count_at, count: 0 }
    }

    /// Appends an entry if there is room for it.
    pub(crate) fn entry(&mut self, buffer: &mut Vec<u8>, entry: &Entry<'_>) -> bool {
        let before = buffer.len();
        put_entry(buffer, entry);
        if buffer.len() - self.start > DATAGRAM_MAX || self.count == u8::MAX {
            buffer.truncate(before);
            return false;
        }
        self.count += 1;
        true
    }

    /// Completes the datagram and says where it begins.
    pub(crate) fn finish(self, buffer: &mut [u8]) -> usize {
        buffer[self.count_at] = self.count;
        let sum = checksum(0, &buffer[self.start + 4..]);
        patch_u32(buffer, self.start, sum);
        self.start
    }
}

/// Reads a datagram to its last byte. The cluster is not looked at.
pub(crate) fn read(bytes: &[u8]) -> Result<Datagram<'_>, Malformed> {
    if bytes.len() > DATAGRAM_MAX {
        return Err(Malformed);
    }
    let mut reader = Reader::new(bytes);
    if reader.u32()? != checksum(0, reader.rest()) || reader.u8()? != VERSION {
        return Err(Malformed);
    }
    let cluster = ClusterId(reader.u64()?);
    let node = NodeId(reader.u32()?);
    let header = Header { cluster, node, incarnation: take_incarnation(&mut reader)? };
    let message = take_message(&mut reader)?;
    let count = reader.u8()?;
    let mut entries = Vec::with_capacity(usize::from(count).min(bytes.len() / 16));
    for _ in 0..count {
        entries.push(take_entry(&mut reader)?);
    }
    reader.end()?;
    Ok(Datagram { header, message, entries })
}

fn put_message(buffer: &mut Vec<u8>, message: &Message) {
    match message {
        Message::Probe { sequence, target } => put_ping(buffer, 1, *sequence, *target),
        Message::Relay { sequence, target, address, wait_ms } => {
            put_ping(buffer, 2, *sequence, *target);
            put_address(buffer, *address);
            put_u32(buffer, *wait_ms);
        }
        Message::Ack { sequence, target } => put_ping(buffer, 3, *sequence, *target),
        Message::Nack { sequence, target } => put_ping(buffer, 4, *sequence, *target),
        Message::Digest { digest } => {
            put_u8(buffer, 5);
            put_u64(buffer, *digest);
        }
        Message::Summary { first, last, lines } => {
            assert!(lines.len() <= LINES_MAX, "a summary is cut into pages");
            put_u8(buffer, 6);
            put_u32(buffer, first.0);
            put_u32(buffer, last.0);
            put_u8(buffer, lines.len() as u8);
            for line in lines {
                put_u32(buffer, line.node.0);
                put_u64(buffer, line.incarnation);
                put_u8(buffer, line.liveness as u8);
                put_u32(buffer, line.tag);
            }
        }
        Message::Want { nodes } => {
            assert!(nodes.len() <= LINES_MAX, "one page of a summary is wanted at a time");
            put_u8(buffer, 7);
            put_u8(buffer, nodes.len() as u8);
            for node in nodes {
                put_u32(buffer, node.0);
            }
        }
        Message::Entries => put_u8(buffer, 8),
    }
}

fn put_ping(buffer: &mut Vec<u8>, kind: u8, sequence: u32, target: NodeId) {
    put_u8(buffer, kind);
    put_u32(buffer, sequence);
    put_u32(buffer, target.0);
}

fn take_message(reader: &mut Reader<'_>) -> Result<Message, Malformed> {
    let kind = reader.u8()?;
    Ok(match kind {
        1..=4 => {
            let sequence = reader.u32()?;
            let target = NodeId(reader.u32()?);
            match kind {
                1 => Message::Probe { sequence, target },
                2 => Message::Relay {
                    sequence,
                    target,
                    address: take_address(reader)?,
                    wait_ms: reader.u32()?,
                },
                3 => Message::Ack { sequence, target },
                _ => Message::Nack { sequence, target },
            }
        }
        5 => Message::Digest { digest: reader.u64()? },
        6 => take_summary(reader)?,
        7 => {
            let count = take_count(reader)?;
            let nodes = (0..count).map(|_| Ok(NodeId(reader.u32()?)));
            Message::Want { nodes: nodes.collect::<Result<_, Malformed>>()? }
        }
        8 => Message::Entries,
        _ => return Err(Malformed),
    })
}

fn take_summary(reader: &mut Reader<'_>) -> Result<Message, Malformed> {
    let (first, last) = (NodeId(reader.u32()?), NodeId(reader.u32()?));
    let count = take_count(reader)?;
    let mut lines: Vec<Line> = Vec::with_capacity(count);
    for _ in 0..count {
        let node = NodeId(reader.u32()?);
        let rising = lines.last().is_none_or(|line| line.node < node);
        if !rising || node < first || node > last {
            return Err(Malformed);
        }
        let incarnation = take_incarnation(reader)?;
        lines.push(Line {
            node,
            incarnation,
            liveness: take_liveness(reader)?,
            tag: reader.u32()?,
        });
    }
    Ok(Message::Summary { first, last, lines })
}

fn take_count(reader: &mut Reader<'_>) -> Result<usize, Malformed> {
    let count = usize::from(reader.u8()?);
    if count > LINES_MAX { Err(Malformed) } else { Ok(count) }
}

/// `node u32 | incarnation u64 | liveness u8 | address | fingerprint u64 | length u16, about`, then
/// for a suspect `count u8, accuser u32 ...`, for a dead or gone one `seconds u32`.
fn put_entry(buffer: &mut Vec<u8>, entry: &Entry<'_>) {
    assert!(entry.about.len() <= ABOUT_MAX, "what members say of themselves is bounded");
    put_u32(buffer, entry.node.0);
    put_u64(buffer, entry.incarnation);
    put_u8(buffer, entry.liveness as u8);
    put_address(buffer, entry.address);
    put_u64(buffer, entry.fingerprint);
    put_u16(buffer, entry.about.len() as u16);
    buffer.extend_from_slice(entry.about);
    match entry.liveness {
        Liveness::Alive => {}
        Liveness::Suspect => {
            assert!(entry.accusers.len() <= ACCUSERS_MAX, "accusers are bounded");
            put_u8(buffer, entry.accusers.len() as u8);
            for accuser in &entry.accusers {
                put_u32(buffer, accuser.0);
            }
        }
        Liveness::Dead | Liveness::Left => put_u32(buffer, entry.gone_seconds),
    }
}

fn take_entry<'a>(reader: &mut Reader<'a>) -> Result<Entry<'a>, Malformed> {
    let node = NodeId(reader.u32()?);
    let incarnation = take_incarnation(reader)?;
    let liveness = take_liveness(reader)?;
    let address = take_address(reader)?;
    let fingerprint = reader.u64()?;
    let length = usize::from(reader.u16()?);
    if length > ABOUT_MAX {
        return Err(Malformed);
    }
    let about = reader.take(length)?;
    let (mut accusers, mut gone_seconds) = (Vec::new(), 0);
    match liveness {
        Liveness::Alive => {}
        Liveness::Suspect => {
            let count = usize::from(reader.u8()?);
            if count > ACCUSERS_MAX {
                return Err(Malformed);
            }
            for _ in 0..count {
                accusers.push(NodeId(reader.u32()?));
            }
        }
        Liveness::Dead | Liveness::Left => gone_seconds = reader.u32()?,
    }
    Ok(Entry { node, incarnation, liveness, address, fingerprint, about, accusers, gone_seconds })
}

fn take_incarnation(reader: &mut Reader<'_>) -> Result<u64, Malformed> {
    let incarnation = reader.u64()?;
    if incarnation > INCARNATION_MAX { Err(Malformed) } else { Ok(incarnation) }
}

fn take_liveness(reader: &mut Reader<'_>) -> Result<Liveness, Malformed> {
    match reader.u8()? {
        0 => Ok(Liveness::Alive),
        1 => Ok(Liveness::Suspect),
        2 => Ok(Liveness::Dead),
        3 => Ok(Liveness::Left),
        _ => Err(Malformed),
    }
}

fn take_address(reader: &mut Reader<'_>) -> Result<SocketAddr, Malformed> {
    let ip: IpAddr = match reader.u8()? {
        4 => Ipv4Addr::from(<[u8; 4]>::try_from(reader.take(4)?).map_err(|_| Malformed)?).into(),
        6 => Ipv6Addr::from(<[u8; 16]>::try_from(reader.take(16)?).map_err(|_| Malformed)?).into(),
        _ => return Err(Malformed),
    };
    let address = SocketAddr::new(ip, reader.u16()?);
    if is_reachable(address) { Ok(address) } else { Err(Malformed) }
}
