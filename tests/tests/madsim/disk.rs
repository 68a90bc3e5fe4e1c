//! Disks in memory: what was not synced is gone when the node is killed.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use driftless::NodeError;
use driftless::disk::{Disk, Disks};
use driftless_core::{FileId, LaneId};

/// How long a batch takes.
const DELAY: Duration = Duration::from_millis(1);

/// All disks of one node. They outlive its processes.
#[derive(Clone, Default)]
pub(crate) struct NodeDisks {
    lanes: Arc<Mutex<BTreeMap<LaneId, Arc<Mutex<Files>>>>>,
}

/// The files of one engine.
#[derive(Default)]
struct Files {
    files: BTreeMap<FileId, Contents>,
    /// Counts crashes: a process that was killed can write no more.
    life: u32,
}

#[derive(Default)]
struct Contents {
    durable: Vec<u8>,
    /// Whether the name is durable.
    named: bool,
    unsynced: Vec<(u64, Vec<u8>)>,
}

/// The disk of one engine, as one process sees it.
struct Handle {
    files: Arc<Mutex<Files>>,
    life: u32,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl NodeDisks {
    /// The node is killed, as by a power cut: what was not synced is gone.
    pub(crate) fn crash(&self) {
        for files in lock(&self.lanes).values() {
            let mut files = lock(files);
            files.life += 1;
            files.files.retain(|_, contents| {
                contents.unsynced.clear();
                contents.named
            });
        }
    }
}

impl Disks for NodeDisks {
    fn peek(&mut self) -> Result<u64, NodeError> {
        // As good as a number drawn at random: the place in memory stays, and no other node has it.
        Ok(Arc::as_ptr(&self.lanes).addr() as u64)
    }

    fn claim(&mut self) -> Result<(), NodeError> {
        Ok(())
    }

    fn open(&mut self, lane: LaneId) -> Result<Box<dyn Disk>, NodeError> {
        let files = lock(&self.lanes).entry(lane).or_default().clone();
        let life = lock(&files).life;
        Ok(Box::new(Handle { files, life }))
    }
}

impl Handle {
    fn files(&self) -> io::Result<MutexGuard<'_, Files>> {
        let files = lock(&self.files);
        if files.life == self.life { Ok(files) } else { Err(io::ErrorKind::BrokenPipe.into()) }
    }
}

impl Disk for Handle {
    fn list(&mut self) -> io::Result<Vec<(FileId, u64)>> {
        let files = self.files()?;
        Ok(files.files.iter().map(|(&id, contents)| (id, contents.durable.len() as u64)).collect())
    }

    fn read(&mut self, file: FileId) -> io::Result<Vec<u8>> {
        let files = self.files()?;
        files
            .files
            .get(&file)
            .map(|contents| contents.durable.clone())
            .ok_or(io::ErrorKind::NotFound.into())
    }

    fn write(&mut self, file: FileId, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.files()?.files.entry(file).or_default().unsynced.push((offset, bytes.to_vec()));
        Ok(())
    }

    fn sync(&mut self, file: FileId) -> io::Result<()> {
        let mut files = self.files()?;
        let contents = files.files.entry(file).or_default();
        contents.named = true;
        for (offset, bytes) in std::mem::take(&mut contents.unsynced) {
            let start = offset as usize;
            let end = start + bytes.len();
            if contents.durable.len() < end {
                contents.durable.resize(end, 0);
            }
            contents.durable[start..end].copy_from_slice(&bytes);
        }
        Ok(())
    }

    fn remove(&mut self, file: FileId) -> io::Result<()> {
        self.files()?.files.remove(&file);
        Ok(())
    }

    fn delay(&mut self) -> Duration {
        DELAY
    }
}
