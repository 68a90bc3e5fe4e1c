//! Carries out the disk work of one engine, on a thread of its own: whatever has piled up while the disk was
//! busy becomes one batch.

use std::collections::{BTreeSet, VecDeque};
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use driftless_core::latency::Histogram;
use driftless_core::{DiskBatch, DiskOp, FileId, Span, SyncToken};
use tokio::sync::Notify;

use super::Disk;
use crate::settings::Fsync;

/// Bytes of work that may wait while syncs are reported before they are done. Beyond it a sync is reported
/// once its batch is written, which makes the engine wait for the disk.
const UNWRITTEN_BYTES: usize = 64 << 20;
/// Bytes up to which waiting batches are merged into one.
const MERGE_BYTES: usize = 4 << 20;
/// How long writes that nobody waits for are gathered before they are written.
const GATHER: Duration = Duration::from_millis(10);
/// Between two syncs in the background.
const INTERVAL: Duration = Duration::from_secs(1);
/// Batches kept for reuse.
const SPARE: usize = 4;
/// A buffer above this is freed after use instead of being kept.
const KEEP_BYTES: usize = 8 << 20;

/// The way to the disk worker of an engine.
#[derive(Debug)]
pub struct DiskQueue {
    fsync: Fsync,
    state: Mutex<State>,
    work: Notify,
}

#[derive(Debug, Default)]
struct State {
    waiting: VecDeque<Work>,
    waiting_bytes: usize,
    spare: Vec<DiskBatch>,
    stopping: bool,
    /// How long syncs took.
    syncs: Histogram,
}

#[derive(Debug, Default)]
struct Work {
    batch: DiskBatch,
    /// Whether its syncs have been reported already.
    reported: bool,
}

impl DiskQueue {
    /// An empty queue.
    pub fn new(fsync: Fsync) -> Arc<Self> {
        Arc::new(Self { fsync, state: Mutex::default(), work: Notify::new() })
    }

    /// Takes the work out of `batch` and leaves an empty one. Syncs that are reported at once, because of the
    /// policy, are appended to `synced`.
    pub fn submit(&self, batch: &mut DiskBatch, synced: &mut Vec<SyncToken>) {
        if batch.ops.is_empty() {
            return;
        }
        let mut state = self.lock();
        let reported = self.fsync != Fsync::Always && state.waiting_bytes < UNWRITTEN_BYTES;
        if reported {
            synced.extend(tokens(&batch.ops));
        }
        state.waiting_bytes += batch.bytes.len();
        let idle = state.waiting.is_empty();
        match state.waiting.back_mut() {
            Some(last)
                if last.reported == reported
                    && last.batch.bytes.len() + batch.bytes.len() <= MERGE_BYTES =>
            {
                merge(&mut last.batch, batch);
            }
            _ => {
                let empty = state.spare.pop().unwrap_or_default();
                let batch = std::mem::replace(batch, empty);
                state.waiting.push_back(Work { batch, reported });
            }
        }
        drop(state);
        if idle {
            self.work.notify_one();
        }
    }

    /// How long syncs took so far.
    pub fn syncs(&self) -> Histogram {
        self.lock().syncs
    }

    /// Syncs a file, and counts how long that takes.
    fn sync(&self, disk: &mut dyn Disk, file: FileId) -> io::Result<()> {
        let begun = Instant::now();
        disk.sync(file)?;
        let took = u64::try_from(begun.elapsed().as_nanos()).unwrap_or(u64::MAX);
        self.lock().syncs.note(Span(took));
        Ok(())
    }

    fn sync_all(&self, disk: &mut dyn Disk, dirty: &mut BTreeSet<FileId>) -> io::Result<()> {
        while let Some(file) = dirty.pop_first() {
            self.sync(disk, file)?;
        }
        Ok(())
    }

    fn carry_out(
        &self,
        disk: &mut dyn Disk,
        batch: &DiskBatch,
        dirty: &mut BTreeSet<FileId>,
    ) -> io::Result<()> {
        let mut at = 0;
        while at < batch.ops.len() {
            match &batch.ops[at] {
                DiskOp::Write { file, offset, bytes } => {
                    let (end, ops) = run_of_writes(&batch.ops[at..], *offset, bytes.end);
                    disk.write(*file, *offset, &batch.bytes[bytes.start as usize..end as usize])?;
                    at += ops;
                    continue;
                }
                DiskOp::Sync { file, .. } => match self.fsync {
                    Fsync::Always => self.sync(disk, *file)?,
                    Fsync::Interval => drop(dirty.insert(*file)),
                    Fsync::Never => (),
                },
                DiskOp::Remove { file } => {
                    dirty.remove(file);
                    disk.remove(*file)?;
                }
            }
            at += 1;
        }
        Ok(())
    }

    /// Lets the worker end once all work is done and durable.
    pub fn stop(&self) {
        self.lock().stopping = true;
        self.work.notify_one();
    }

    /// The worker: carries out work until it is told to stop, and reports each finished sync. An error is final:
    /// what the disk holds after a failed sync cannot be known, so it is never tried again.
    pub async fn run(&self, disk: &mut dyn Disk, report: impl Fn(SyncToken)) -> io::Result<()> {
        let mut dirty = BTreeSet::new();
        let mut synced_at = Instant::now();
        loop {
            let (work, stopping) = self.take();
            if work.is_empty() {
                if stopping {
                    return self.sync_all(disk, &mut dirty);
                }
                self.idle(!dirty.is_empty()).await;
            }
            for work in work {
                let delay = disk.delay();
                if !delay.is_zero() {
                    tokio::time::sleep(delay).await;
                }
                self.carry_out(disk, &work.batch, &mut dirty)?;
                if !work.reported {
                    tokens(&work.batch.ops).for_each(&report);
                }
                self.recycle(work.batch);
            }
            if self.fsync == Fsync::Interval && synced_at.elapsed() >= INTERVAL {
                synced_at = Instant::now();
                self.sync_all(disk, &mut dirty)?;
            }
        }
    }

    /// Waits for work; with writes that are not synced, at most until the next sync in the background.
    async fn idle(&self, unsynced: bool) {
        if unsynced && self.fsync == Fsync::Interval {
            let _ = tokio::time::timeout(INTERVAL, self.work.notified()).await;
        } else {
            self.work.notified().await;
        }
        if self.fsync != Fsync::Always && !self.lock().stopping {
            tokio::time::sleep(GATHER).await;
        }
    }

    fn take(&self) -> (VecDeque<Work>, bool) {
        let mut state = self.lock();
        state.waiting_bytes = 0;
        (std::mem::take(&mut state.waiting), state.stopping)
    }

    fn recycle(&self, mut batch: DiskBatch) {
        if batch.bytes.capacity() > KEEP_BYTES {
            return;
        }
        batch.clear();
        let mut state = self.lock();
        if state.spare.len() < SPARE {
            state.spare.push(batch);
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn tokens(ops: &[DiskOp]) -> impl Iterator<Item = SyncToken> {
    ops.iter().filter_map(|op| match op {
        DiskOp::Sync { token, .. } => Some(*token),
        DiskOp::Write { .. } | DiskOp::Remove { .. } => None,
    })
}

/// Appends `from` to `into` and empties it.
fn merge(into: &mut DiskBatch, from: &mut DiskBatch) {
    let shift = into.bytes.len() as u32;
    into.bytes.extend_from_slice(&from.bytes);
    into.ops.extend(from.ops.drain(..).map(|op| match op {
        DiskOp::Write { file, offset, bytes } => {
            DiskOp::Write { file, offset, bytes: bytes.start + shift..bytes.end + shift }
        }
        other @ (DiskOp::Sync { .. } | DiskOp::Remove { .. }) => other,
    }));
    from.clear();
}

/// How far the writes at the front of `ops` go on without a gap, in the file and in the batch: where their bytes
/// end, and how many there are. One call to the system is enough for them.
fn run_of_writes(ops: &[DiskOp], start: u64, first_end: u32) -> (u32, usize) {
    let DiskOp::Write { file: first, bytes: first_bytes, .. } = &ops[0] else {
        unreachable!("a run begins with a write");
    };
    let mut end = first_end;
    let mut count = 1;
    for op in &ops[1..] {
        match op {
            DiskOp::Write { file, offset, bytes }
                if file == first
                    && bytes.start == end
                    && *offset == start + u64::from(end - first_bytes.start) =>
            {
                end = bytes.end;
                count += 1;
            }
            _ => break,
        }
    }
    (end, count)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Remembers what it was asked for.
    #[derive(Default)]
    struct Notes(Vec<String>);

    impl Disk for Notes {
        fn list(&mut self) -> io::Result<Vec<(FileId, u64)>> {
            Ok(Vec::new())
        }
        fn read(&mut self, _file: FileId) -> io::Result<Vec<u8>> {
            Err(io::ErrorKind::NotFound.into())
        }
        fn write(&mut self, file: FileId, offset: u64, bytes: &[u8]) -> io::Result<()> {
            self.0.push(format!("write {file:?} {offset} {}", String::from_utf8_lossy(bytes)));
            Ok(())
        }
        fn sync(&mut self, file: FileId) -> io::Result<()> {
            self.0.push(format!("sync {file:?}"));
            Ok(())
        }
        fn remove(&mut self, file: FileId) -> io::Result<()> {
            self.0.push(format!("remove {file:?}"));
            Ok(())
        }
    }

    const LOG: FileId = FileId::Segment(1);

    /// What the disk is asked for, and which syncs are reported at once and later, when two turns' work piles up.
    fn pile_up(fsync: Fsync) -> (Vec<String>, Vec<SyncToken>, Vec<SyncToken>) {
        let queue = DiskQueue::new(fsync);
        let mut at_once = Vec::new();
        let mut batch = DiskBatch::default();
        batch.write(LOG, 0, b"ab");
        batch.write(LOG, 2, b"cd");
        batch.ops.push(DiskOp::Sync { file: LOG, token: SyncToken(1) });
        queue.submit(&mut batch, &mut at_once);
        assert!(batch.ops.is_empty() && batch.bytes.is_empty(), "the work was taken");
        batch.write(LOG, 4, b"ef");
        batch.write(LOG, 9, b"gh");
        batch.ops.push(DiskOp::Remove { file: FileId::Segment(0) });
        queue.submit(&mut batch, &mut at_once);
        queue.stop();
        let mut disk = Notes::default();
        let later = Mutex::new(Vec::new());
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(queue.run(&mut disk, |token| later.lock().unwrap().push(token))).unwrap();
        (disk.0, at_once, later.into_inner().unwrap())
    }

    #[test]
    fn a_sync_is_reported_when_it_is_done() {
        let (asked, at_once, later) = pile_up(Fsync::Always);
        let expected = [
            "write Segment(1) 0 abcd",
            "sync Segment(1)",
            "write Segment(1) 4 ef",
            "write Segment(1) 9 gh",
            "remove Segment(0)",
        ];
        assert_eq!(asked, expected);
        assert_eq!((at_once, later), (vec![], vec![SyncToken(1)]));
    }

    #[test]
    fn without_fsync_a_sync_is_reported_at_once() {
        let (asked, at_once, later) = pile_up(Fsync::Never);
        assert!(asked.iter().all(|line| !line.starts_with("sync")), "{asked:?}");
        assert_eq!((at_once, later), (vec![SyncToken(1)], vec![]));
    }

    #[test]
    fn a_clean_stop_syncs_what_the_interval_left() {
        let (asked, at_once, later) = pile_up(Fsync::Interval);
        assert_eq!(asked.last().unwrap(), "sync Segment(1)");
        assert_eq!((at_once, later), (vec![SyncToken(1)], vec![]));
    }
}
