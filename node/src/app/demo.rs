//! `driftless demo`: the story of a cluster, told by running it.

mod load;
mod map;
mod stage;

use std::time::{Duration, Instant};

use driftless::settings::{Flags, Settings};

use super::Failure;
use super::resp::Answer;
use super::voice::Voice;
use load::Load;
use map::Map;
use stage::{COPIES, NODES, PARTITIONS, Stage, await_true};

/// Keys that are written to show how they spread.
const KEYS: usize = 2_000;
/// Keys whose places are shown; the leader of the first one is killed. What stands in braces decides alone.
const SHOWN: [&str; 6] =
    ["user:alice", "user:bob", "order:7", "{order:7}:total", "colour", "visits"];
const WRITERS: usize = 4;
const BEFORE_THE_KILL: Duration = Duration::from_secs(2);
const AFTER_THE_KILL: Duration = Duration::from_secs(4);
/// Between two looks at the writers.
const LOOK: Duration = Duration::from_millis(50);
/// Keys that are read back at a time.
const AT_ONCE: usize = 200;

/// Tells the story; whatever happens, no process and no file of it is left.
pub(crate) fn run() -> Result<(), Failure> {
    let voice = Voice::new();
    let begun = Instant::now();
    let mut story = Story { stage: Stage::new()?, map: Map::new(&shared()?), voice: &voice };
    let told = story.tell();
    if told.is_err() {
        story.stage.print_logs();
    }
    drop(story);
    if told.is_ok() {
        voice.good(&format!(
            "all of it took {} s; nothing of it is left",
            begun.elapsed().as_secs()
        ));
    }
    told
}

struct Story<'a> {
    stage: Stage,
    map: Map,
    voice: &'a Voice,
}

impl Story<'_> {
    fn tell(&mut self) -> Result<(), Failure> {
        let voice = self.voice;
        voice.heading("A cluster of five nodes, each key on three of them");
        self.start_all()?;
        voice.heading("Any node answers for any key");
        self.operate()?;
        voice.heading("Where the keys are");
        self.show_places()?;
        self.distribute()?;
        voice
            .heading(&format!("The leader of \"{}\" is killed while four clients write", SHOWN[0]));
        let victim = self.kill_under_load()?;
        voice.heading("It comes back");
        self.bring_back(victim)?;
        voice.heading("The end");
        self.stop_all()
    }

    fn start_all(&mut self) -> Result<(), Failure> {
        let begun = Instant::now();
        for node in 1..=NODES {
            self.stage.start(node)?;
            self.voice.say(&format!("node {node} listens on port {}", self.stage.port(node)));
        }
        let mut connection = self.stage.connect(1)?;
        await_true("no leader was elected", || {
            let answer = connection.call(&["SET", "demo", "ready"])?;
            Ok(answer == Answer::Simple("OK".to_owned()))
        })?;
        self.voice.good(&format!(
            "the first write was acknowledged after {} ms",
            begun.elapsed().as_millis()
        ));
        Ok(())
    }

    fn operate(&self) -> Result<(), Failure> {
        let ok = || Answer::Simple("OK".to_owned());
        let story: [(u32, &[&str], Answer); 8] = [
            (1, &["SET", "colour", "blue"], ok()),
            (5, &["GET", "colour"], Answer::Bulk(b"blue".to_vec())),
            (3, &["INCR", "visits"], Answer::Integer(1)),
            (4, &["INCR", "visits"], Answer::Integer(2)),
            (2, &["SET", "greeting", "hello", "EX", "60"], ok()),
            (1, &["PERSIST", "greeting"], Answer::Integer(1)),
            (2, &["DEL", "colour"], Answer::Integer(1)),
            (5, &["GET", "colour"], Answer::Null),
        ];
        for (node, command, expected) in story {
            let answer = self.stage.connect(node)?.call(command)?;
            let shown = super::show::typed(&answer);
            let line = format!("node {node}> {:<26} {}", command.join(" "), shown.trim_end());
            self.voice.say(&line);
            if answer != expected {
                let text = format!("{command:?} at node {node} should have answered {expected:?}");
                return Err(text.into());
            }
        }
        Ok(())
    }

    /// A table of some keys: which partition each is in, who leads that, and who holds it.
    fn show_places(&self) -> Result<(), Failure> {
        let leaders = self.stage.leaders()?;
        self.voice.columns("key              partition  leader  replicas");
        for key in SHOWN {
            let partition = self.map.partition(key);
            let replicas = self.map.replicas(partition).into_iter().map(|node| node.to_string());
            let replicas = replicas.collect::<Vec<_>>().join(", ");
            let leader = leaders[&partition];
            self.voice.say(&format!("{key:<15}  {partition:>9}  {leader:>6}  {replicas}"));
        }
        Ok(())
    }

    /// Writes many keys and shows how many of them each node leads.
    fn distribute(&self) -> Result<(), Failure> {
        let mut connection = self.stage.connect(1)?;
        let progress = self.voice.progress("of the keys are written", KEYS as u64);
        let keys: Vec<_> = (0..KEYS).map(|at| format!("key:{at}")).collect();
        for key in &keys {
            let answer = connection.call(&["SET", key, "value"])?;
            if answer != Answer::Simple("OK".to_owned()) {
                return Err(format!("SET {key} was answered with {answer:?}").into());
            }
            progress.inc(1);
        }
        progress.finish_and_clear();
        let leaders = self.stage.leaders()?;
        for node in 1..=NODES {
            let places = keys.iter().map(|key| self.map.partition(key));
            let (mut led, mut held) = (0, 0);
            for partition in places {
                led += usize::from(leaders[&partition] == node);
                held += usize::from(self.map.replicas(partition).contains(&node));
            }
            let bar = "#".repeat(led * 60 / KEYS);
            self.voice.say(&format!(
                "node {node} leads {led:>3} of {KEYS} keys and holds {held:>4}  {bar}"
            ));
        }
        Ok(())
    }

    fn kill_under_load(&mut self) -> Result<u32, Failure> {
        let partition = self.map.partition(SHOWN[0]);
        let ports: Vec<_> =
            self.stage.running().into_iter().map(|node| self.stage.port(node)).collect();
        let load = Load::start(&ports, WRITERS, SHOWN[0]);
        self.watch(&load, BEFORE_THE_KILL, "");
        // Not sooner: a node that should lead may have been handed its partitions meanwhile.
        let victim = self.stage.leaders()?[&partition];
        self.stage.kill(victim)?;
        let killed = Instant::now();
        self.voice.bad(&format!("kill -9 of node {victim}"));
        self.watch(&load, AFTER_THE_KILL, ", one node is dead");
        let story = load.stop();
        let leader = self.stage.leaders()?[&partition];
        self.voice.say(&format!("node {leader} leads partition {partition} now"));
        self.voice.say(&format!("{} writes were acknowledged", story.acknowledged().count()));
        let (near, all) = (story.gap_near(killed), story.longest_gap(killed));
        self.voice.say(&format!(
            "longest wait between two acknowledgements: {} ms in that partition, {} ms in any",
            near.as_millis(),
            all.as_millis()
        ));
        let written: Vec<_> = story.acknowledged().collect();
        let lost = self.count_lost(leader, &written)?;
        if lost > 0 {
            return Err(format!("{lost} acknowledged writes were lost").into());
        }
        self.voice.good("lost writes: 0");
        Ok(victim)
    }

    /// Lets the writers write for a while.
    fn watch(&self, load: &Load, long: Duration, how: &str) {
        let begun = Instant::now();
        let progress = self.voice.progress("", long.as_millis() as u64);
        while begun.elapsed() < long {
            progress.set_position(begun.elapsed().as_millis() as u64);
            progress.set_message(format!("{} writes{how}", load.count()));
            std::thread::sleep(LOOK);
        }
        progress.finish_and_clear();
    }

    fn count_lost(&self, node: u32, written: &[&(String, String)]) -> Result<usize, Failure> {
        let mut connection = self.stage.connect(node)?;
        let progress = self.voice.progress("of the writes are read back", written.len() as u64);
        let mut lost = 0;
        for some in written.chunks(AT_ONCE) {
            let keys = some.iter().map(|(key, _)| key.as_str());
            let command: Vec<_> = std::iter::once("MGET").chain(keys).collect();
            let answer = connection.call(&command)?;
            let Answer::Array(values) = answer else {
                return Err(format!("MGET was answered with {answer:?}").into());
            };
            let pairs = some.iter().zip(&values);
            let found = pairs
                .filter(|((_, value), found)| **found == Answer::Bulk(value.clone().into_bytes()));
            lost += some.len() - found.count();
            progress.inc(some.len() as u64);
        }
        progress.finish_and_clear();
        Ok(lost)
    }

    fn bring_back(&mut self, node: u32) -> Result<(), Failure> {
        let begun = Instant::now();
        self.stage.start(node)?;
        self.voice
            .say(&format!("node {node} serves again after {} ms", begun.elapsed().as_millis()));
        let mut held = 0;
        await_true("the node does not catch up", || {
            let own = self.stage.committed(node)?;
            let others = (1..=NODES).map(|node| self.stage.committed(node));
            let others = others.collect::<Result<Vec<_>, _>>()?;
            let furthest = |partition| others.iter().filter_map(|node| node.get(partition)).max();
            held = own.len();
            Ok(held > 0 && own.iter().all(|(partition, count)| furthest(partition) == Some(count)))
        })?;
        self.voice.good(&format!(
            "and has caught up in all its {held} partitions after {} ms",
            begun.elapsed().as_millis()
        ));
        Ok(())
    }

    fn stop_all(&mut self) -> Result<(), Failure> {
        for (node, status) in self.stage.stop_all()? {
            self.voice.say(&format!("node {node} handed over and stopped: {status}"));
            if !status.success() {
                return Err(format!("node {node} did not stop as it should: {status}").into());
            }
        }
        Ok(())
    }
}

/// What the nodes of the story agree on.
fn shared() -> Result<driftless::settings::Shared, Failure> {
    let flags = Flags {
        total_nodes: Some(NODES),
        replication_factor: Some(COPIES),
        partitions: Some(PARTITIONS),
        ..Flags::default()
    };
    Ok(Settings::check(&flags)?.shared)
}
