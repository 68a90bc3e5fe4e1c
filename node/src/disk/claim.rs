//! The data directory belongs to one process, and to one node of one cluster for ever.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use driftless_core::LaneId;
use serde::{Deserialize, Serialize};

use super::{Directory, Disk, Disks};
use crate::error::NodeError;
use crate::settings::Settings;

/// Version of the layout of the directory.
const FORMAT: u32 = 1;
const LOCK: &str = "lock";
const IDENTITY: &str = "node.toml";

/// Whose directory it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Identity {
    format: u32,
    cluster: String,
    node: u32,
    engines: u8,
    partitions: u32,
    /// Drawn when the directory was made: tells it from all others.
    #[serde(default)]
    instance: u64,
}

/// A claim on a data directory; held as long as it lives.
#[derive(Debug)]
pub struct Claim {
    path: PathBuf,
    identity: Identity,
    lock: Option<File>,
}

impl Claim {
    /// A claim that is yet to be made.
    pub fn new(settings: &Settings) -> Self {
        let identity = Identity {
            format: FORMAT,
            cluster: settings.shared.cluster.clone(),
            node: settings.node.0,
            engines: settings.shared.engines,
            partitions: settings.shared.partitions,
            instance: 0,
        };
        Self { path: settings.data_dir.clone(), identity, lock: None }
    }

    fn problem(&self, problem: impl Into<String>) -> NodeError {
        NodeError::Directory { path: self.path.clone(), problem: problem.into() }
    }

    fn failed(&self, what: &str) -> impl Fn(io::Error) -> NodeError {
        let path = self.path.clone();
        let what = what.to_owned();
        move |error| NodeError::Directory {
            path: path.clone(),
            problem: format!("{what}: {error}"),
        }
    }

    fn take_lock(&mut self, create: bool) -> Result<(), NodeError> {
        if self.lock.is_some() {
            return Ok(());
        }
        let opened = OpenOptions::new()
            .write(true)
            .create(create)
            .truncate(false)
            .open(self.path.join(LOCK));
        let file = opened.map_err(self.failed("cannot be locked"))?;
        match file.try_lock() {
            Ok(()) => self.lock = Some(file),
            Err(TryLockError::WouldBlock) => {
                return Err(self.problem(
                    "another process uses it: stop that one, or choose another data-dir",
                ));
            }
            Err(TryLockError::Error(error)) => return Err(self.failed("cannot be locked")(error)),
        }
        Ok(())
    }

    /// Whether the directory has an owner already, which is this node; if not, it will be.
    fn check_identity(&mut self) -> Result<bool, NodeError> {
        let text = match fs::read_to_string(self.path.join(IDENTITY)) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            Err(error) => return Err(self.failed("cannot be read")(error)),
        };
        let theirs: Identity = toml::from_str(&text).map_err(|error| {
            self.problem(format!("{IDENTITY} cannot be read: {}", error.message()))
        })?;
        let differences = [
            ("format", theirs.format.to_string(), self.identity.format.to_string()),
            ("cluster", theirs.cluster.clone(), self.identity.cluster.clone()),
            ("node", theirs.node.to_string(), self.identity.node.to_string()),
            ("engines", theirs.engines.to_string(), self.identity.engines.to_string()),
            ("partitions", theirs.partitions.to_string(), self.identity.partitions.to_string()),
        ];
        match differences.into_iter().find(|(_, theirs, ours)| theirs != ours) {
            Some((name, theirs, ours)) => Err(self
                .problem(format!("it was made for {name} {theirs}, this node has {name} {ours}"))),
            None if theirs.instance == 0 => Ok(false),
            None => {
                self.identity.instance = theirs.instance;
                Ok(true)
            }
        }
    }

    fn write_identity(&self) -> io::Result<()> {
        let text = toml::to_string(&self.identity).map_err(io::Error::other)?;
        let draft = self.path.join("node.toml.new");
        let mut file = File::create(&draft)?;
        let written = file.write_all(text.as_bytes()).and_then(|()| file.sync_all());
        if let Err(error) = written.and_then(|()| fs::rename(&draft, self.path.join(IDENTITY))) {
            let _ = fs::remove_file(&draft);
            return Err(error);
        }
        File::open(&self.path)?.sync_all()
    }
}

impl Disks for Claim {
    fn peek(&mut self) -> Result<u64, NodeError> {
        self.identity.instance = draw()?;
        match fs::read_dir(&self.path) {
            Ok(_) => (),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Ok(self.identity.instance);
            }
            Err(error) => return Err(self.failed("cannot be read")(error)),
        }
        if self.path.join(LOCK).exists() {
            self.take_lock(false)?;
        }
        self.check_identity()?;
        Ok(self.identity.instance)
    }

    fn claim(&mut self) -> Result<(), NodeError> {
        let first = first_missing(&self.path);
        let claimed = fs::create_dir_all(&self.path)
            .map_err(self.failed("cannot be created"))
            .and_then(|()| self.take_lock(true))
            .and_then(|()| {
                if self.check_identity()? {
                    Ok(())
                } else {
                    self.write_identity().map_err(self.failed("cannot be written"))
                }
            });
        if let (Err(_), Some(first)) = (&claimed, first) {
            // Only what this call created, and only if the claim on it failed.
            let _ = fs::remove_dir_all(first);
        }
        claimed
    }

    fn open(&mut self, lane: LaneId) -> Result<Box<dyn Disk>, NodeError> {
        let directory = Directory::open(&self.path.join(format!("engine-{}", lane.0)))
            .map_err(self.failed("cannot be opened"))?;
        Ok(Box::new(directory))
    }
}

/// A number that no other directory has, and that fits the file.
fn draw() -> Result<u64, NodeError> {
    let number = getrandom::u64().map_err(|error| {
        NodeError::system("random numbers")(io::Error::other(error.to_string()))
    })?;
    Ok((number >> 1).max(1))
}

/// The topmost directory that would have to be created for `path`.
fn first_missing(path: &Path) -> Option<PathBuf> {
    path.ancestors()
        .take_while(|above| !above.as_os_str().is_empty() && !above.exists())
        .last()
        .map(Path::to_owned)
}
