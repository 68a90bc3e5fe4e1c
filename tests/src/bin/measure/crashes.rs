//! `measure crashes`: what `kill -9` costs, and that it costs no acknowledged write.

use std::time::{Duration, Instant};

use driftless_tests::cluster::until;
use driftless_tests::info::Info;
use driftless_tests::launched::Launched;
use driftless_tests::load::{Ledgers, Load};

use crate::Failure;
use crate::table::{Table, pause};

const NODES: usize = 3;
/// The longest that a writer may be told nothing when one node dies.
const LONGEST_GAP: Duration = Duration::from_secs(1);
/// How long the writers write before a kill, and after all is well again.
const LOAD: Duration = Duration::from_secs(1);
/// How long a node stays away.
const AWAY: Duration = Duration::from_secs(2);

#[derive(clap::Args, Debug)]
pub(crate) struct Crashes {
    /// How often each kind of crash is tried
    #[arg(long, default_value_t = 10)]
    tries: u32,
    /// Clients that write, each waiting for its answers
    #[arg(long, default_value_t = 4)]
    writers: usize,
}

/// What one crash did.
struct Crash {
    what: String,
    ledgers: Ledgers,
    /// From the start of the process, or processes, until clients were served.
    back: Duration,
    /// Until it knew of all that the others had committed.
    caught_up: Duration,
}

pub(crate) fn run(arguments: &Crashes) -> Result<(), Failure> {
    println!(
        "{} writers at {NODES} nodes, --fsync always; every ledger is compared through every node",
        arguments.writers
    );
    let headings = [
        "try",
        "kill -9 of          ",
        "acknowledged",
        "lost",
        "stale",
        "longest gap",
        "serves again",
        "caught up",
    ];
    let table = Table::new(&headings, u64::from(arguments.tries) * 2);
    let mut cluster = Launched::start(NODES);
    await_healthy(&cluster);
    let mut kept = Vec::new();
    for number in 1..=arguments.tries {
        for all in [false, true] {
            let name = format!("{}{number}", if all { "all" } else { "one" });
            table.doing("under load");
            let load = Load::start(&cluster.urls(), arguments.writers, &name);
            let crash =
                if all { kill_all(&mut cluster, load) } else { kill_one(&mut cluster, load) };
            table.doing("comparing");
            show(&table, number, &crash, &cluster)?;
            let gap = crash.ledgers.longest_gap();
            if !all && gap >= LONGEST_GAP {
                return Err(format!("a writer waited {gap:?}, limit {LONGEST_GAP:?}").into());
            }
            kept.push(crash.ledgers);
            table.step();
        }
    }
    drop(table);
    check_again(&cluster, &kept)
}

/// Kills the node that leads the most groups, and starts it again.
fn kill_one(cluster: &mut Launched, load: Load) -> Crash {
    warm_up(&load);
    let leads = |at: usize| cluster.status()[at].leads;
    let victim = (0..NODES).max_by_key(|&at| leads(at)).expect("there are nodes");
    let led = leads(victim).unwrap_or(0);
    cluster.kill(victim);
    let is_down = || (cluster.status()[victim].state == "down").then_some(());
    until("`cluster status` shows that the node is down", is_down);
    pause(AWAY);
    let before = others(cluster, victim);
    let begun = Instant::now();
    cluster.start_missing();
    let back = begun.elapsed();
    let url = cluster.url(victim);
    until("the node catches up", || (committed(&url)? >= before).then_some(()));
    let caught_up = begun.elapsed();
    pause(LOAD);
    let ledgers = load.stop();
    await_healthy(cluster);
    Crash { what: format!("node {} (leads {led})", victim + 1), ledgers, back, caught_up }
}

/// Kills all nodes, one right after the other, and starts them again.
fn kill_all(cluster: &mut Launched, load: Load) -> Crash {
    warm_up(&load);
    (0..NODES).for_each(|at| cluster.kill(at));
    let begun = Instant::now();
    cluster.start_missing();
    let back = begun.elapsed();
    load.progress(100);
    let caught_up = begun.elapsed();
    pause(LOAD);
    let ledgers = load.stop();
    await_healthy(cluster);
    Crash { what: "all three".to_owned(), ledgers, back, caught_up }
}

fn warm_up(load: &Load) {
    load.progress(100);
    pause(LOAD);
}

fn show(table: &Table, number: u32, crash: &Crash, cluster: &Launched) -> Result<(), Failure> {
    let ledgers = &crash.ledgers;
    let wrong: Vec<_> = cluster.urls().iter().map(|url| ledgers.compare(url)).collect();
    let (lost, stale) = wrong.iter().fold((0, 0), |(lost, stale), wrong| {
        (lost.max(wrong.lost), stale.max(wrong.stale + wrong.unheard_of))
    });
    table.row(&[
        number.to_string(),
        crash.what.clone(),
        ledgers.acknowledged().to_string(),
        lost.to_string(),
        stale.to_string(),
        millis(ledgers.longest_gap()),
        millis(crash.back),
        millis(crash.caught_up),
    ]);
    if lost + stale > 0 {
        return Err(format!("what was acknowledged is not there: {wrong:?}, by node").into());
    }
    Ok(())
}

/// What was there after its own crash is there after all that followed.
fn check_again(cluster: &Launched, kept: &[Ledgers]) -> Result<(), Failure> {
    for url in cluster.urls() {
        for ledgers in kept {
            let wrong = ledgers.compare(&url);
            if wrong != <_>::default() {
                return Err(format!("{wrong:?} at {url} at the end").into());
            }
        }
    }
    let acknowledged: u64 = kept.iter().map(Ledgers::acknowledged).sum();
    println!("{acknowledged} acknowledged writes, none lost at any node at the end");
    Ok(())
}

/// Waits until `cluster status` shows all nodes up, all groups led, and nobody behind.
fn await_healthy(cluster: &Launched) {
    until("`cluster status` shows that all is well", || {
        let rows = cluster.status();
        let led: Option<u64> = rows.iter().map(|row| row.leads).sum();
        let groups = Info::ask(&cluster.url(0)).ok()?.number("driftless_groups");
        let well = rows.iter().all(|row| row.state == "up" && row.lag == Some(0));
        (well && led == Some(groups)).then_some(())
    });
}

fn others(cluster: &Launched, victim: usize) -> u64 {
    let others = (0..NODES).filter(|&at| at != victim);
    others.filter_map(|at| committed(&cluster.url(at))).max().expect("the others are up")
}

/// Entries committed in all groups of a node together, as far as it knows.
fn committed(url: &str) -> Option<u64> {
    Some(Info::ask(url).ok()?.number("master_repl_offset"))
}

fn millis(length: Duration) -> String {
    format!("{} ms", length.as_millis())
}
