//! Files of the operating system.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use driftless_core::FileId;

use super::Disk;
use super::names::{file_name, parse_name};

/// Files kept open at a time.
const OPEN_FILES: usize = 16;

/// One directory with the files of one engine.
#[derive(Debug)]
pub struct Directory {
    path: PathBuf,
    open: BTreeMap<FileId, File>,
    /// Files whose names are not durable yet.
    nameless: BTreeSet<FileId>,
    /// Files with writes that were not synced: they stay open, so that no error of theirs is lost.
    dirty: BTreeSet<FileId>,
}

impl Directory {
    /// The directory at `path`, created if it is not there.
    pub fn open(path: &Path) -> io::Result<Self> {
        fs::create_dir_all(path)?;
        if let Some(parent) = path.parent() {
            File::open(parent)?.sync_all()?;
        }
        Ok(Self {
            path: path.to_owned(),
            open: BTreeMap::new(),
            nameless: BTreeSet::new(),
            dirty: BTreeSet::new(),
        })
    }

    fn file(&mut self, id: FileId) -> io::Result<&File> {
        if !self.open.contains_key(&id) {
            if self.open.len() >= OPEN_FILES {
                let dirty = &self.dirty;
                self.open.retain(|open, _| dirty.contains(open));
            }
            let path = self.path.join(file_name(id));
            if !path.exists() {
                self.nameless.insert(id);
            }
            let file = OpenOptions::new().write(true).create(true).truncate(false).open(path)?;
            self.open.insert(id, file);
        }
        Ok(&self.open[&id])
    }
}

impl Disk for Directory {
    fn list(&mut self) -> io::Result<Vec<(FileId, u64)>> {
        let mut files = Vec::new();
        for entry in fs::read_dir(&self.path)? {
            let entry = entry?;
            if let Some(id) = entry.file_name().to_str().and_then(parse_name) {
                files.push((id, entry.metadata()?.len()));
            }
        }
        files.sort_unstable();
        Ok(files)
    }

    fn read(&mut self, file: FileId) -> io::Result<Vec<u8>> {
        fs::read(self.path.join(file_name(file)))
    }

    fn write(&mut self, file: FileId, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.dirty.insert(file);
        self.file(file)?.write_all_at(bytes, offset)
    }

    fn sync(&mut self, file: FileId) -> io::Result<()> {
        self.file(file)?.sync_data()?;
        if self.nameless.remove(&file) {
            File::open(&self.path)?.sync_all()?;
        }
        self.dirty.remove(&file);
        Ok(())
    }

    fn remove(&mut self, file: FileId) -> io::Result<()> {
        self.open.remove(&file);
        self.nameless.remove(&file);
        self.dirty.remove(&file);
        match fs::remove_file(self.path.join(file_name(file))) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }
}
