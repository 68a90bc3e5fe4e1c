//! Everything that turns outside bytes into something: fed with any bytes, it answers, and never panics.
//! Each decoder is a function of bytes, so that a fuzzer and a seeded test can drive the same code, and
//! each has samples of what it is meant for, to begin from.

mod entries;
mod texts;

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use driftless_core::bytes::{Reader, put_u32};
use driftless_core::cluster::{Cluster, ClusterConfig, ClusterOutputs, GossipTiming};
use driftless_core::command::{self, Applying};
use driftless_core::config::{Bug, EngineConfig};
use driftless_core::engine::describe_frames;
use driftless_core::outputs::DiskBatch;
use driftless_core::placement::{Placement, Site};
use driftless_core::resp::{ArgsBuffer, Parsed, Reply, parse};
use driftless_core::rng::Seed;
use driftless_core::store::{Store, Version};
use driftless_core::wal::{Identity, Wal, WalRecovery};
use driftless_core::{
    ClusterId, DiskOp, Engine, FileId, GroupId, Index, Instant, Key, Keyspace, LaneId, NodeId, Now,
    Outputs, Recovery, Span, Term, WallTime,
};
use xxhash_rust::xxh3::xxh3_64;

pub use entries::entries;
pub use texts::{answers, greeting, settings, stories};

/// A decoder: its name, what it does with any bytes, and samples of good ones.
pub type Decoder = (&'static str, fn(&[u8]), fn() -> Vec<Vec<u8>>);

/// All of them.
pub const DECODERS: [Decoder; 14] = [
    ("resp", resp, resp_samples),
    ("arguments", arguments, arguments_samples),
    ("frames", frames, frames_samples),
    ("messages", messages, messages_samples),
    ("datagrams", datagrams, datagrams_samples),
    ("wal", wal, wal_samples),
    ("image", image, image_samples),
    ("ops", ops, ops_samples),
    ("snapshot", snapshot, snapshot_samples),
    ("entries", entries, entries::samples),
    ("answers", answers, texts::answers_samples),
    ("greeting", greeting, texts::greeting_samples),
    ("settings", settings, texts::settings_samples),
    ("stories", stories, texts::stories_samples),
];

const WALL: WallTime = WallTime(1_800_000_000_000);
const SEGMENT_BYTES: u64 = 1 << 16;

/// Commands of a client.
pub fn resp(bytes: &[u8]) {
    const MOST: usize = 1 << 20;
    let mut args = ArgsBuffer::default();
    let mut rest = bytes;
    loop {
        let used = match parse(rest, &mut args, MOST) {
            Ok(Parsed::Command { used }) => used,
            Ok(Parsed::Incomplete { at_least }) => {
                assert!(at_least > rest.len(), "more bytes are needed than are there");
                return;
            }
            Err(error) => {
                assert!(error.to_string().starts_with("ERR "), "the client is told why");
                return;
            }
        };
        assert!(
            (1..=rest.len()).contains(&used),
            "a command takes some of the bytes that are there"
        );
        let length: usize = args.args(rest).iter().map(<[u8]>::len).sum();
        assert!(length < used, "arguments stand in the bytes that were used");
        let early = parse(&rest[..used - 1], &mut args, MOST);
        assert!(
            !matches!(early, Ok(Parsed::Command { .. })),
            "a command is taken once all of it is there"
        );
        rest = &rest[used..];
    }
}

fn resp_samples() -> Vec<Vec<u8>> {
    [
        "*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$5\r\nvalue\r\n*2\r\n$3\r\nGET\r\n$1\r\nk\r\n",
        "PING\r\nSET k \"a \\x00 b\" EX 10\r\n\r\nGET 'k'\n",
        "*1\r\n$4\r\nPING\r\n*0\r\n*-1\r\n*2\r\n$4\r\nECHO\r\n$0\r\n\r\n",
    ]
    .map(|text| text.as_bytes().to_vec())
    .to_vec()
}

/// Arguments of a forwarded command.
pub fn arguments(bytes: &[u8]) {
    let mut buffer = ArgsBuffer::default();
    if let Ok(args) = buffer.decode(bytes) {
        let mut again = Vec::new();
        args.put(&mut again);
        assert_eq!(again, bytes, "there is one way to write arguments");
    }
}

fn arguments_samples() -> Vec<Vec<u8>> {
    let sample = |parts: &[&[u8]]| {
        let (mut buffer, mut text, mut bytes) = (ArgsBuffer::default(), Vec::new(), Vec::new());
        buffer.compose(&mut text, parts).put(&mut bytes);
        bytes
    };
    vec![sample(&[]), sample(&[b"GET", b"k"]), sample(&[b"SET", b"", &[7; 300]])]
}

/// Frames of another node, to an engine that has just started.
pub fn frames(bytes: &[u8]) {
    let _ = describe_frames(bytes);
    let (mut engine, mut out, mut now) = engine(1);
    for _ in 0..2 {
        now.mono = now.mono.plus(Span::millis(1));
        out.clear();
        let mut turn = engine.turn(now, &mut out);
        let used = turn.receive(NodeId(2), bytes);
        assert!(used <= bytes.len(), "no more is used than is there");
        turn.finish();
        engine.check();
    }
}

fn frames_samples() -> Vec<Vec<u8>> {
    // What an engine says while it looks for others: beats and pleas for votes.
    let (mut engine, mut out, mut now) = engine(2);
    let mut samples = Vec::new();
    for _ in 0..100 {
        let syncs: Vec<_> = out.disk.ops.iter().filter_map(sync_of).collect();
        now.mono = now.mono.plus(Span::millis(50));
        out.clear();
        let mut turn = engine.turn(now, &mut out);
        for token in syncs {
            turn.disk_synced(token);
        }
        turn.finish();
        samples
            .extend(out.sends.filled().filter(|(to, _)| *to == 1).map(|(_, sent)| sent.to_vec()));
    }
    assert!(!samples.is_empty(), "an engine that is alone calls for others");
    samples
}

/// Bodies of frames: decoded behind a length and a checksum that fit them, which damage never has.
pub fn messages(body: &[u8]) {
    let said = describe_frames(&frame_of(body));
    assert!(said.len() <= 1, "a frame is one message");
}

fn messages_samples() -> Vec<Vec<u8>> {
    let mut bodies = Vec::new();
    for sent in frames_samples() {
        let mut reader = Reader::new(&sent);
        while let (Ok(length), Ok(_), Ok(_)) = (reader.u32(), reader.u32(), reader.u32()) {
            bodies.push(reader.take(length as usize).expect("what is sent is whole").to_vec());
        }
    }
    for body in &bodies {
        assert_eq!(
            describe_frames(&frame_of(body)).len(),
            1,
            "a frame that was taken apart and put together again"
        );
    }
    bodies
}

fn frame_of(body: &[u8]) -> Vec<u8> {
    let mut frame = Vec::new();
    put_u32(&mut frame, body.len() as u32);
    put_u32(&mut frame, !(body.len() as u32));
    put_u32(&mut frame, xxh3_64(body) as u32);
    frame.extend_from_slice(body);
    frame
}

fn sync_of(op: &DiskOp) -> Option<driftless_core::SyncToken> {
    match op {
        DiskOp::Sync { token, .. } => Some(*token),
        DiskOp::Write { .. } | DiskOp::Remove { .. } => None,
    }
}

/// One of three engines, on an empty disk.
fn engine(node: u32) -> (Engine, Outputs, Now) {
    let site = |node| Site { node: NodeId(node), weight: 100, zone: 0 };
    let sites: Vec<Site> = (1..=3).map(site).collect();
    let placement = Arc::new(Placement::first(&sites, 4, 3));
    let config = EngineConfig::new(ClusterId(7), NodeId(node));
    let now = Now { mono: Instant(1), wall: WALL };
    let mut out = Outputs::default();
    let recovery = Recovery::new(config, &placement, Seed::from_number(u64::from(node)), &[]);
    let engine = recovery.finish(now, &mut out).expect("an empty disk is no error");
    (engine, out, now)
}

/// Datagrams of other members.
pub fn datagrams(bytes: &[u8]) {
    let (mut cluster, mut out, mut now) = member(1);
    for _ in 0..2 {
        now.mono = now.mono.plus(Span::millis(100));
        out.clear();
        let mut turn = cluster.turn(now, &mut out);
        turn.receive(address_of(2), bytes);
        turn.finish();
        cluster.check();
        assert!(out.datagrams.iter().all(|(_, range)| range.len() <= 1_400), "datagrams are small");
    }
}

fn datagrams_samples() -> Vec<Vec<u8>> {
    let (mut cluster, mut out, mut now) = member(2);
    let mut samples = Vec::new();
    for _ in 0..50 {
        now.mono = now.mono.plus(Span::millis(200));
        out.clear();
        cluster.turn(now, &mut out).finish();
        let bytes = |range: &std::ops::Range<u32>| {
            out.bytes[range.start as usize..range.end as usize].to_vec()
        };
        samples.extend(out.datagrams.iter().map(|(_, range)| bytes(range)));
    }
    assert!(!samples.is_empty(), "a member that is alone knocks at its seeds");
    samples
}

fn address_of(node: u32) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, 16_378 + node as u16))
}

fn member(node: u32) -> (Cluster, ClusterOutputs, Now) {
    let config = ClusterConfig {
        cluster: ClusterId(7),
        node: NodeId(node),
        address: address_of(node),
        fingerprint: 3,
        about: b"zone a".to_vec(),
        seeds: vec![address_of(1), address_of(2)],
        incarnation: 5,
        timing: GossipTiming::default(),
        bug: Bug::None,
    };
    let cluster = Cluster::new(config, Seed::from_number(u64::from(node)));
    (cluster, ClusterOutputs::default(), Now { mono: Instant(1), wall: WALL })
}

/// A log segment, and a state image that it names if it still does.
pub fn wal(bytes: &[u8]) {
    recover_with(is_segment, bytes);
}

/// A file with a state image that the log names.
pub fn snapshot(bytes: &[u8]) {
    recover_with(is_snapshot, bytes);
}

fn is_segment(file: &FileId) -> bool {
    matches!(file, FileId::Segment(_))
}

fn is_snapshot(file: &FileId) -> bool {
    matches!(file, FileId::Snapshot { .. })
}

/// Recovers from good files, of which the first of a kind has these bytes instead.
fn recover_with(kind: fn(&FileId) -> bool, bytes: &[u8]) {
    let mut files = wal_files();
    let first = *files.keys().find(|file| kind(file)).expect("a log has such a file");
    files.insert(first, bytes.to_vec());
    let listing: Vec<(FileId, u64)> =
        files.iter().map(|(&file, content)| (file, content.len() as u64)).collect();
    let mut recovery = WalRecovery::new(identity(), SEGMENT_BYTES, &listing, Bug::None);
    while let Some(file) = recovery.wants() {
        if recovery.feed(files.get(&file).map(Vec::as_slice)).is_err() {
            return;
        }
    }
    let mut disk = DiskBatch::default();
    let (recovered, wal) = recovery.finish(driftless_core::wal::Beginning::default(), &mut disk);
    for group in recovered.groups.values() {
        for (entry, next) in group.entries.iter().zip(group.entries.iter().skip(1)) {
            assert_eq!(entry.1.next(), next.1, "entries follow each other");
        }
    }
    assert!(wal.life().0 > 0, "a life has a number");
}

fn wal_samples() -> Vec<Vec<u8>> {
    wal_files().into_iter().filter(|(file, _)| is_segment(file)).map(|(_, bytes)| bytes).collect()
}

fn snapshot_samples() -> Vec<Vec<u8>> {
    wal_files().into_iter().filter(|(file, _)| is_snapshot(file)).map(|(_, bytes)| bytes).collect()
}

fn identity() -> Identity {
    Identity { cluster: ClusterId(7), node: NodeId(1), lane: LaneId(0), lanes: 1 }
}

/// The files of a short life: votes, entries, one image.
fn wal_files() -> BTreeMap<FileId, Vec<u8>> {
    let mut wal = Wal::new(identity(), SEGMENT_BYTES, Bug::None);
    let mut files = BTreeMap::new();
    let mut disk = DiskBatch::default();
    let group = GroupId(1);
    for step in 1..=6_u64 {
        disk.clear();
        wal.ballot(group, Term(step), Some(NodeId(1)));
        wal.entry(group, Term(step), Index(step), &[step as u8; 40]);
        if step == 4 {
            wal.begin_image(group, Index(2), Term(2), &mut disk);
            wal.image_chunk(group, b"an image", &mut disk);
            wal.end_image(group, false, &mut disk);
        }
        flush(&mut wal, &mut disk, &mut files);
    }
    files
}

/// Has the log write what it holds, and all that follows from that.
fn flush(wal: &mut Wal, disk: &mut DiskBatch, files: &mut BTreeMap<FileId, Vec<u8>>) {
    wal.flush(disk);
    while !disk.ops.is_empty() {
        write_files(files, disk);
        let syncs: Vec<_> = disk.ops.iter().filter_map(sync_of).collect();
        disk.clear();
        for token in syncs {
            wal.synced(token, disk, &mut |_| ());
        }
    }
}

fn write_files(files: &mut BTreeMap<FileId, Vec<u8>>, disk: &DiskBatch) {
    for op in &disk.ops {
        match op {
            DiskOp::Write { file, offset, bytes } => {
                let content = files.entry(*file).or_default();
                let bytes = &disk.bytes[bytes.start as usize..bytes.end as usize];
                let end = *offset as usize + bytes.len();
                content.resize(content.len().max(end), 0);
                content[*offset as usize..end].copy_from_slice(bytes);
            }
            DiskOp::Sync { .. } => {}
            DiskOp::Remove { file } => {
                files.remove(file);
            }
        }
    }
}

/// A chunk of a state image.
pub fn image(bytes: &[u8]) {
    let mut store = Store::new(11);
    let _ = store.load_chunk(bytes);
    store.check();
    assert_eq!(store.digest(), store.recompute_digest(), "the digest is that of what was taken in");
}

fn image_samples() -> Vec<Vec<u8>> {
    let mut store = Store::new(11);
    for number in 0..50_u64 {
        let name = format!("key {number}");
        let key = Key { keyspace: Keyspace((number % 3) as u8), name: name.as_bytes() };
        let expires_at = (number % 4 == 0).then_some(WallTime(WALL.0 + number));
        store.set(key, &vec![b'v'; number as usize * 7], expires_at, Version(number << 16));
    }
    store.begin_image();
    let mut samples = Vec::new();
    let mut last = false;
    while !last {
        let mut chunk = Vec::new();
        last = store.image_chunk(&mut chunk, 1_000);
        samples.push(chunk);
    }
    samples
}

/// A write out of an entry, applied to a store that holds something.
pub fn ops(bytes: &[u8]) {
    let mut store = Store::new(11);
    let mut version = 0;
    let mut apply = |op: &[u8]| {
        version += 1;
        let applying = Applying { now: WALL, version: Version(version << 16) };
        command::apply(op, applying, &mut store, &mut Reply::nowhere())
    };
    for op in ops_samples().iter().take(3) {
        apply(op).expect("a sample is well formed");
    }
    let touched = command::touched(bytes, &mut |_| ());
    let applied = apply(bytes);
    assert!(applied.is_err() || touched.is_ok(), "what can be applied can tell what it touches");
    store.check();
    assert_eq!(store.digest(), store.recompute_digest(), "the digest follows every write");
}

fn ops_samples() -> Vec<Vec<u8>> {
    let lines = [
        "SET k value EX 100",
        "MSET a 1 b 2 c 3",
        "SET n 12",
        "SET k other XX KEEPTTL GET",
        "INCRBY n 5",
        "INCRBYFLOAT n 1.5",
        "APPEND k more",
        "SETRANGE k 10 x",
        "GETEX k PX 500",
        "GETDEL a",
        "DEL a b c",
        "RENAME k q",
        "COPY n m REPLACE",
        "PEXPIRE n 1000 GT",
        "PERSIST k",
        "MSETNX y 1 z 2",
        "FLUSHDB",
        "FLUSHALL",
    ];
    let mut samples: Vec<Vec<u8>> = lines.iter().map(|line| encode(line)).collect();
    let mut expire = Vec::new();
    command::encode_expire(16, &mut expire);
    samples.push(expire);
    samples
}

fn encode(line: &str) -> Vec<u8> {
    let parts: Vec<&[u8]> = line.split(' ').map(str::as_bytes).collect();
    let (mut buffer, mut text, mut op) = (ArgsBuffer::default(), Vec::new(), Vec::new());
    let args = buffer.compose(&mut text, &parts);
    let spec = command::lookup(parts[0]).expect("the command exists");
    command::encode(spec, Keyspace(0), &args, WALL, &mut op).expect("the command is well formed");
    op
}
