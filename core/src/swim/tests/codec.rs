//! Datagrams: what is written is read, and nothing else is.

use super::*;
use crate::bytes::{Malformed, patch_u32};
use crate::swim::member::Entry;
use crate::swim::message::{Datagram, Header, Line, Message, Writer, read};

fn entries() -> Vec<Entry<'static>> {
    let entry = |node, liveness, accusers, gone_seconds| Entry {
        node: NodeId(node),
        incarnation: 1 << 40,
        liveness,
        address: if node == 2 { "[::1]:7".parse().expect("valid") } else { address(node) },
        fingerprint: u64::MAX,
        about: b"zone=a",
        accusers,
        gone_seconds,
    };
    vec![
        entry(1, Liveness::Alive, vec![], 0),
        entry(2, Liveness::Suspect, vec![NodeId(1), NodeId(9)], 0),
        entry(3, Liveness::Dead, vec![], 17),
        entry(4, Liveness::Left, vec![], u32::MAX),
    ]
}

fn messages() -> Vec<Message> {
    let (sequence, target) = (u32::MAX, NodeId(3));
    let line = |node| Line { node: NodeId(node), incarnation: 5, liveness: Liveness::Dead, tag: 8 };
    vec![
        Message::Probe { sequence, target },
        Message::Relay { sequence, target, address: address(3), wait_ms: 600 },
        Message::Ack { sequence, target },
        Message::Nack { sequence, target },
        Message::Digest { digest: u64::MAX },
        Message::Summary { first: NodeId(0), last: NodeId(9), lines: vec![line(0), line(9)] },
        Message::Want { nodes: vec![NodeId(1), NodeId(2)] },
        Message::Entries,
    ]
}

fn write(message: &Message, entries: &[Entry<'_>]) -> (Header, Vec<u8>) {
    let header = Header { cluster: ClusterId(7), node: NodeId(5), incarnation: 12 };
    let mut bytes = Vec::new();
    let mut writer = Writer::begin(&mut bytes, header, message);
    for entry in entries {
        assert!(writer.entry(&mut bytes, entry), "a few entries fit");
    }
    writer.finish(&mut bytes);
    (header, bytes)
}

#[test]
fn what_is_written_is_read() {
    for message in messages() {
        let (header, bytes) = write(&message, &entries());
        assert_eq!(read(&bytes), Ok(Datagram { header, message, entries: entries() }));
    }
}

#[test]
fn any_changed_or_missing_byte_is_noticed() {
    for message in messages() {
        let (_, bytes) = write(&message, &entries());
        for at in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[at] ^= 0x10;
            assert_eq!(read(&changed), Err(Malformed), "byte {at} of {message:?}");
            assert_eq!(read(&bytes[..at]), Err(Malformed), "{at} bytes of {message:?}");
        }
    }
}

#[test]
fn a_datagram_holds_as_many_entries_as_fit() {
    let long = Entry { about: &[7; 256], ..entries().remove(1) };
    let header = Header { cluster: ClusterId(7), node: NodeId(5), incarnation: 12 };
    let mut bytes = vec![1, 2, 3];
    let mut writer = Writer::begin(&mut bytes, header, &Message::Entries);
    let mut count = 0;
    while writer.entry(&mut bytes, &long) {
        count += 1;
    }
    let start = writer.finish(&mut bytes);
    assert_eq!(start, 3);
    assert!(bytes.len() - start <= 1_400);
    assert_eq!(count, 4);
    assert_eq!(read(&bytes[start..]).map(|datagram| datagram.entries.len()), Ok(4));
}

/// With a right checksum too, nothing that arrives may break a node.
#[test]
fn no_datagram_breaks_a_node() {
    let mut chance = Chance::new(Seed::from_number(1), 0);
    let mut world = World::cluster(1, Bug::None, 2);
    for _ in 0..300 {
        for message in messages() {
            let (_, mut bytes) = write(&message, &entries());
            for _ in 0..=chance.up_to(3) {
                let at = chance.between(13, bytes.len() as u64 - 1);
                bytes[at as usize] = chance.bits() as u8;
            }
            let sum = checksum(0, &bytes[4..]);
            patch_u32(&mut bytes, 0, sum);
            world.host(1).inbox.push((address(50), bytes));
        }
        let at = world.now.plus(Span::millis(1));
        world.now = at;
        world.turn(1, false);
        world.flying.clear();
    }
    let told = world.hosts[&1].events.iter();
    let malformed = Event::DatagramMalformed { from: address(50) };
    assert!(told.filter(|(_, event)| *event == malformed).count() > 100, "malformed ones are told");
    assert!(!world.lattice_broken);
}
