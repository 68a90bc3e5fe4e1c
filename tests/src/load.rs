//! Writers that keep a ledger: what they were told, and in which order.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use redis::{Commands, RedisResult};

use crate::cluster::until;
use crate::info::connect;

/// Keys that a writer writes in turn, so that each is overwritten again and again.
const KEYS: usize = 500;
/// Before a writer turns to the next node.
const PAUSE: Duration = Duration::from_millis(5);

/// Writers at work.
#[derive(Debug)]
pub struct Load {
    shared: Arc<Shared>,
    writers: Vec<JoinHandle<Ledger>>,
}

#[derive(Debug, Default)]
struct Shared {
    done: AtomicBool,
    acknowledged: AtomicU64,
}

/// What the writers wrote, once they have stopped.
#[derive(Debug)]
pub struct Ledgers(Vec<Ledger>);

/// What one writer wrote, and what it was told.
#[derive(Debug)]
struct Ledger {
    name: String,
    keys: Vec<Written>,
    acknowledged: u64,
    longest_gap: Duration,
}

/// What was written to a key. All values of a writer are numbered as they are sent, and none is sent twice.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Written {
    /// The last value that was acknowledged.
    last: Option<u64>,
    /// Values that were sent and never answered: they may be there, now or later.
    doubtful: Vec<u64>,
}

/// Keys whose value cannot be, by what is wrong with it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wrong {
    /// There is none, but one was acknowledged.
    pub lost: u64,
    /// It is older than one that was acknowledged.
    pub stale: u64,
    /// It was refused, or never sent.
    pub unheard_of: u64,
}

impl Load {
    /// Starts so many writers, whose keys begin with `name`. Each writes through whichever node answers.
    pub fn start(urls: &[String], writers: usize, name: &str) -> Self {
        let shared = Arc::new(Shared::default());
        let start = |writer: usize| {
            let ledger = Ledger::new(format!("{name}:w{writer}"));
            let (urls, shared) = (urls.to_vec(), shared.clone());
            std::thread::spawn(move || ledger.write(writer % urls.len(), &urls, &shared))
        };
        let writers = (0..writers).map(start).collect();
        Self { shared, writers }
    }

    /// How many writes were acknowledged so far.
    pub fn acknowledged(&self) -> u64 {
        self.shared.acknowledged.load(Ordering::Acquire)
    }

    /// Waits until so many more writes are acknowledged.
    pub fn progress(&self, more: u64) {
        let goal = self.acknowledged() + more;
        until("writes are acknowledged", || (self.acknowledged() >= goal).then_some(()));
    }

    /// Stops the writers.
    pub fn stop(mut self) -> Ledgers {
        self.shared.done.store(true, Ordering::Release);
        let writers = self.writers.drain(..);
        Ledgers(writers.map(|writer| writer.join().expect("no writer panics")).collect())
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.shared.done.store(true, Ordering::Release);
    }
}

impl Ledgers {
    /// How many writes were acknowledged.
    pub fn acknowledged(&self) -> u64 {
        self.0.iter().map(|ledger| ledger.acknowledged).sum()
    }

    /// The longest time in which any one writer was told nothing.
    pub fn longest_gap(&self) -> Duration {
        self.0.iter().map(|ledger| ledger.longest_gap).max().unwrap_or_default()
    }

    /// Reads every key through a node and compares.
    pub fn compare(&self, url: &str) -> Wrong {
        let mut wrong = Wrong::default();
        let mut connection = until("the node takes connections", || connect(url).ok());
        for ledger in &self.0 {
            let names: Vec<String> = (0..KEYS).map(|key| ledger.key(key)).collect();
            let values: Vec<Option<u64>> =
                until("a read is answered", || connection.mget(&names).ok());
            for (written, value) in ledger.keys.iter().zip(values) {
                written.compare(value, &mut wrong);
            }
        }
        wrong
    }
}

impl Ledger {
    fn new(name: String) -> Self {
        let keys = vec![Written::default(); KEYS];
        Self { name, keys, acknowledged: 0, longest_gap: Duration::ZERO }
    }

    fn key(&self, key: usize) -> String {
        format!("{}:{key}", self.name)
    }

    /// Writes until it is told to stop.
    fn write(mut self, mut node: usize, urls: &[String], shared: &Shared) -> Self {
        let mut connection = None;
        let mut value = 0;
        let mut told_at = Instant::now();
        while !shared.done.load(Ordering::Acquire) {
            let key = (self.acknowledged % KEYS as u64) as usize;
            let answer = match &mut connection {
                None => connect(&urls[node]).map(|made| connection = Some(made)),
                Some(open) => {
                    value += 1;
                    let answer = open.set::<_, _, ()>(self.key(key), value);
                    self.keys[key].note(value, &answer);
                    if answer.is_ok() {
                        self.acknowledged += 1;
                        shared.acknowledged.fetch_add(1, Ordering::AcqRel);
                        self.longest_gap = self.longest_gap.max(told_at.elapsed());
                        told_at = Instant::now();
                    }
                    answer
                }
            };
            if answer.is_err() {
                connection = None;
                node = (node + 1) % urls.len();
                std::thread::park_timeout(PAUSE);
            }
        }
        self.longest_gap = self.longest_gap.max(told_at.elapsed());
        self
    }
}

impl Written {
    fn note(&mut self, value: u64, answer: &RedisResult<()>) {
        match answer {
            Ok(()) => self.last = Some(value),
            // The one error that promises something: it was not done and never will be.
            Err(error) if error.code() == Some("TRYAGAIN") => (),
            Err(_) => self.doubtful.push(value),
        }
    }

    fn compare(&self, value: Option<u64>, wrong: &mut Wrong) {
        match value {
            None => wrong.lost += u64::from(self.last.is_some()),
            Some(value) if self.last == Some(value) || self.doubtful.contains(&value) => (),
            Some(value) if self.last.is_some_and(|last| value < last) => wrong.stale += 1,
            Some(_) => wrong.unheard_of += 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_is_told_apart() {
        let written = Written { last: Some(5), doubtful: vec![3, 7] };
        let compare = |written: &Written, value| {
            let mut wrong = Wrong::default();
            written.compare(value, &mut wrong);
            (wrong.lost, wrong.stale, wrong.unheard_of)
        };
        for value in [3, 5, 7] {
            assert_eq!(compare(&written, Some(value)), (0, 0, 0), "{value}");
        }
        assert_eq!(compare(&written, None), (1, 0, 0));
        assert_eq!(compare(&written, Some(4)), (0, 1, 0));
        assert_eq!(compare(&written, Some(6)), (0, 0, 1));
        assert_eq!(compare(&Written::default(), None), (0, 0, 0), "nothing was acknowledged");
        assert_eq!(compare(&Written::default(), Some(1)), (0, 0, 1));
    }
}
