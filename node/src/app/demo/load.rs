//! Clients that write without pause, go on at another node when theirs fails, and remember what they were told.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::super::resp::{Answer, Connection};

/// How long a write may take before its client tries another node.
const PATIENCE: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_millis(10);

/// Writers at work.
pub(super) struct Load {
    control: Arc<Control>,
    writers: Vec<JoinHandle<Told>>,
}

/// What the writers share.
struct Control {
    ports: Vec<u16>,
    /// The first writer stays in the partition of this key.
    near: String,
    stop: AtomicBool,
    count: AtomicU64,
}

/// What one writer was told, and when.
#[derive(Default)]
struct Told {
    acknowledged: Vec<(String, String)>,
    moments: Vec<Instant>,
}

/// What all writers were told.
pub(super) struct Story(Vec<Told>);

impl Load {
    /// Starts writers; each begins at one of `ports`. The first one writes beside the key `near`, the others anywhere.
    pub(super) fn start(ports: &[u16], writers: usize, near: &str) -> Self {
        let control = Arc::new(Control {
            ports: ports.to_vec(),
            near: near.to_owned(),
            stop: AtomicBool::new(false),
            count: AtomicU64::new(0),
        });
        let start = |writer: usize| {
            let control = control.clone();
            std::thread::spawn(move || write(writer, &control))
        };
        Self { writers: (0..writers).map(start).collect(), control }
    }

    /// How many writes were acknowledged so far.
    pub(super) fn count(&self) -> u64 {
        self.control.count.load(Ordering::Relaxed)
    }

    /// Stops them and collects what they were told.
    pub(super) fn stop(self) -> Story {
        self.control.stop.store(true, Ordering::Relaxed);
        let told = self.writers.into_iter().map(JoinHandle::join);
        Story(told.map(|told| told.expect("a writer does not panic")).collect())
    }
}

impl Story {
    /// Keys and values that were acknowledged.
    pub(super) fn acknowledged(&self) -> impl Iterator<Item = &(String, String)> {
        self.0.iter().flat_map(|told| &told.acknowledged)
    }

    /// The longest time that one writer waited between two acknowledgements, the later after `from`.
    pub(super) fn longest_gap(&self, from: Instant) -> Duration {
        self.0.iter().map(|told| told.longest_gap(from)).max().unwrap_or_default()
    }

    /// The same for the writer that stayed in one partition.
    pub(super) fn gap_near(&self, from: Instant) -> Duration {
        self.0.first().map(|told| told.longest_gap(from)).unwrap_or_default()
    }
}

impl Told {
    fn longest_gap(&self, from: Instant) -> Duration {
        let pairs = self.moments.windows(2).filter(|pair| pair[1] >= from);
        pairs.map(|pair| pair[1] - pair[0]).max().unwrap_or_default()
    }
}

fn write(writer: usize, control: &Control) -> Told {
    let ports = &control.ports;
    let mut told = Told::default();
    let mut connection = None;
    let mut at = writer;
    let mut count = 0_u64;
    while !control.stop.load(Ordering::Relaxed) {
        let Some(open) = &mut connection else {
            connection = Connection::open("127.0.0.1", ports[at % ports.len()], PATIENCE).ok();
            if connection.is_none() {
                at += 1;
                std::thread::sleep(PAUSE);
            }
            continue;
        };
        let tag = if writer == 0 { format!("{{{}}}", control.near) } else { "load".to_owned() };
        let (key, value) = (format!("{tag}:{writer}:{count}"), count.to_string());
        count += 1;
        match open.call(&["SET", &key, &value]) {
            Ok(Answer::Simple(_)) => {
                told.acknowledged.push((key, value));
                told.moments.push(Instant::now());
                control.count.fetch_add(1, Ordering::Relaxed);
            }
            Ok(_) => std::thread::sleep(PAUSE),
            Err(_) => {
                connection = None;
                at += 1;
            }
        }
    }
    told
}
