//! Three real processes, killed without warning: what was acknowledged is there afterwards.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use driftless_tests::cluster::{Cluster, until};
use redis::{Commands, Connection, RedisResult};

const WRITERS: usize = 4;

/// What the writers were told.
#[derive(Default)]
struct Told {
    /// By writer: keys `w{writer}:{0..count}` are acknowledged.
    counts: [AtomicU64; WRITERS],
    done: AtomicBool,
    /// The longest time in which nobody was told anything, and when it began.
    gap: Mutex<Option<(Instant, Duration)>>,
}

impl Told {
    fn all(&self) -> u64 {
        self.counts.iter().map(|count| count.load(Ordering::Acquire)).sum()
    }

    fn note(&self, writer: usize) {
        self.counts[writer].fetch_add(1, Ordering::AcqRel);
        let mut gap = self.gap.lock().expect("no writer panics while it holds this");
        let now = Instant::now();
        let (last, longest) = gap.unwrap_or((now, Duration::ZERO));
        *gap = Some((now, longest.max(now - last)));
    }

    fn longest_gap(&self) -> Duration {
        self.gap
            .lock()
            .expect("no writer panics while it holds this")
            .map_or(Duration::ZERO, |gap| gap.1)
    }
}

fn connect(url: &str) -> RedisResult<Connection> {
    let client = redis::Client::open(url)?;
    let connection = client.get_connection_with_timeout(Duration::from_secs(1))?;
    connection.set_read_timeout(Some(Duration::from_secs(10)))?;
    Ok(connection)
}

/// Writes one key after the other, each again and again, through whichever node answers.
fn write(writer: usize, urls: &[String], told: &Told) {
    let mut node = writer % urls.len();
    let mut connection = None;
    while !told.done.load(Ordering::Acquire) {
        let number = told.counts[writer].load(Ordering::Acquire);
        let answer = match &mut connection {
            None => connect(&urls[node]).map(|made| connection = Some(made)),
            Some(open) => open
                .set::<_, _, ()>(format!("w{writer}:{number}"), number)
                .map(|()| told.note(writer)),
        };
        if answer.is_err() {
            connection = None;
            node = (node + 1) % urls.len();
            std::thread::park_timeout(Duration::from_millis(5));
        }
    }
}

/// Runs `story` while four writers write, and returns what they were told.
fn under_load(cluster: &mut Cluster, story: impl FnOnce(&mut Cluster, &Told)) -> Told {
    let urls: Vec<String> = (0..cluster.len()).map(|at| cluster.url(at)).collect();
    let told = Told::default();
    std::thread::scope(|scope| {
        for writer in 0..WRITERS {
            let (urls, told) = (&urls, &told);
            scope.spawn(move || write(writer, urls, told));
        }
        let outcome =
            std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| story(cluster, &told)));
        told.done.store(true, Ordering::Release);
        if let Err(panic) = outcome {
            std::panic::resume_unwind(panic);
        }
    });
    told
}

/// Waits until the writers were told so many more times that their keys are safe.
fn progress(told: &Told, more: u64) {
    let goal = told.all() + more;
    until("writes are acknowledged", || (told.all() >= goal).then_some(()));
}

/// Reads every acknowledged key through a node.
fn all_there(url: &str, told: &Told) {
    let mut connection = until("the node takes connections", || connect(url).ok());
    for (writer, count) in told.counts.iter().enumerate() {
        let numbers: Vec<u64> = (0..count.load(Ordering::Acquire)).collect();
        for part in numbers.chunks(500) {
            let names: Vec<String> = part.iter().map(|n| format!("w{writer}:{n}")).collect();
            let values: Vec<Option<u64>> =
                until("a read is answered", || connection.mget(&names).ok());
            let expected: Vec<Option<u64>> = part.iter().copied().map(Some).collect();
            assert_eq!(values, expected, "an acknowledged write is lost");
        }
    }
}

#[test]
fn every_node_serves_the_same_keys() {
    let cluster = Cluster::start(3, &[]);
    for at in 0..3 {
        let mut here = connect(&cluster.url(at)).expect("the node takes connections");
        for key in 0..50 {
            here.set::<_, _, ()>(format!("{at}:{key}"), key).expect("any node takes any key");
        }
        let mut there = connect(&cluster.url((at + 1) % 3)).expect("the node takes connections");
        for key in 0..50 {
            let value: u32 = there.get(format!("{at}:{key}")).expect("any node reads any key");
            assert_eq!(value, key, "a write is seen through every node once it is acknowledged");
        }
    }
}

#[test]
fn acknowledged_writes_survive_the_death_of_any_node() {
    let mut cluster = Cluster::start(3, &[]);
    let told = under_load(&mut cluster, |cluster, told| {
        progress(told, 200);
        for at in 0..3 {
            // Each node leads a third of the groups, so each death is that of a leader.
            cluster.kill(at);
            progress(told, 200);
            cluster.restart(at);
            progress(told, 200);
        }
    });
    for at in 0..3 {
        all_there(&cluster.url(at), &told);
    }
    println!("{} writes acknowledged, longest gap {:?}", told.all(), told.longest_gap());
}

#[test]
fn acknowledged_writes_survive_the_death_of_all_nodes() {
    let mut cluster = Cluster::start(3, &[]);
    let told = under_load(&mut cluster, |cluster, told| {
        progress(told, 500);
        (0..3).for_each(|at| cluster.kill(at));
        (0..3).for_each(|at| cluster.restart(at));
        progress(told, 200);
    });
    (0..3).for_each(|at| cluster.kill(at));
    (0..3).for_each(|at| cluster.restart(at));
    all_there(&cluster.url(0), &told);
}

#[test]
fn a_node_that_is_asked_to_stop_does_so_cleanly() {
    let mut cluster = Cluster::start(3, &[]);
    let told = under_load(&mut cluster, |cluster, told| {
        progress(told, 200);
        let code = cluster.stop(1);
        assert_eq!(code, Some(0), "a clean end:\n{}", cluster.log(1));
        progress(told, 200);
    });
    all_there(&cluster.url(0), &told);
}
