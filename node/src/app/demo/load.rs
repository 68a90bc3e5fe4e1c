//! Clients that write without pause, go on at another node when theirs fails, and remember what they were told.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::super::resp::{Answer, Connection};

/// How long a write may take before its client tries another node.
const PATIENCE: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_millis(10);

/// Writers at work.
pub(super) struct Load {
    stop: Arc<AtomicBool>,
    writers: Vec<JoinHandle<Told>>,
}

/// What one writer was told, and when.
#[derive(Default)]
struct Told {
    acknowledged: Vec<(String, String)>,
    moments: Vec<Instant>,
}

/// What all writers were told.
pub(super) struct Story {
    /// Keys and values.
    pub(super) acknowledged: Vec<(String, String)>,
    moments: Vec<Vec<Instant>>,
}

impl Load {
    /// Starts writers; each begins at one of `ports`.
    pub(super) fn start(ports: &[u16], writers: usize) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let start = |writer: usize| {
            let (stop, ports) = (stop.clone(), ports.to_vec());
            std::thread::spawn(move || write(writer, &ports, &stop))
        };
        Self { writers: (0..writers).map(start).collect(), stop }
    }

    /// Stops them and collects what they were told.
    pub(super) fn stop(self) -> Story {
        self.stop.store(true, Ordering::Relaxed);
        let told: Vec<_> =
            self.writers.into_iter().filter_map(|writer| writer.join().ok()).collect();
        let mut story = Story { acknowledged: Vec::new(), moments: Vec::new() };
        for told in told {
            story.acknowledged.extend(told.acknowledged);
            story.moments.push(told.moments);
        }
        story
    }
}

impl Story {
    /// The longest time that one writer waited between two acknowledgements, the later after `from`.
    pub(super) fn longest_gap_from(&self, from: Instant) -> Duration {
        let pairs = self.moments.iter().flat_map(|moments| moments.windows(2));
        let gaps = pairs.filter(|pair| pair[1] >= from).map(|pair| pair[1] - pair[0]);
        gaps.max().unwrap_or_default()
    }
}

fn write(writer: usize, ports: &[u16], stop: &AtomicBool) -> Told {
    let mut told = Told::default();
    let mut connection = None;
    let mut at = writer;
    let mut count = 0_u64;
    while !stop.load(Ordering::Relaxed) {
        let Some(open) = &mut connection else {
            connection = Connection::open("127.0.0.1", ports[at % ports.len()], PATIENCE).ok();
            if connection.is_none() {
                at += 1;
                std::thread::sleep(PAUSE);
            }
            continue;
        };
        let (key, value) = (format!("load:{writer}:{count}"), count.to_string());
        count += 1;
        match open.call(&["SET", &key, &value]) {
            Ok(Answer::Simple(_)) => {
                told.acknowledged.push((key, value));
                told.moments.push(Instant::now());
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
