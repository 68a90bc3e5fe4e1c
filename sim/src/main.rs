//! `driftless-sim`: seeds, stories and planted bugs from the command line.
#![allow(
    clippy::cast_possible_wrap,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "virtual times and counts stay far below 2^52"
)]

use std::io::{IsTerminal as _, Write as _};
use std::ops::Range;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use driftless_sim::check::planted::expected;
use driftless_sim::fault::Fault;
use driftless_sim::options::Options;
use driftless_sim::queue::SECOND;
use driftless_sim::run::{Outcome, run};
use driftless_sim::swarm::{Sum, swarm, usage};
use driftless_sim::{personality, planted, scenario};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// A world makes many small things and lets them go: the system's allocator would take a tenth of the time.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Shakes the core of Driftless in a simulated world.
#[derive(Parser, Debug)]
#[command(version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand, Debug)]
enum Command {
    /// Plays one seed; fails and says why if a checker objects.
    Run {
        /// The seed.
        #[arg(long)]
        seed: u64,
        #[command(flatten)]
        changes: Changes,
        /// With this planted bug.
        #[arg(long)]
        bug: Option<String>,
        /// Prints what changed.
        #[arg(long)]
        trace: bool,
    },
    /// Plays many seeds and stops at the first one that fails.
    Swarm {
        /// Which, as `A..B`: B is not played.
        #[arg(long, value_parser = seed_range)]
        seeds: Range<u64>,
        /// Threads; as many as there are processors by default.
        #[arg(long)]
        jobs: Option<usize>,
        #[command(flatten)]
        changes: Changes,
    },
    /// Plays a story and prints its trace.
    Replay {
        /// The story.
        file: PathBuf,
    },
    /// Looks for each planted bug and prints which seed finds it first.
    Planted {
        /// Only this one.
        #[arg(long)]
        only: Option<String>,
        /// The most seeds for each.
        #[arg(long, default_value_t = 20_000)]
        seeds: u64,
        /// Threads; as many as there are processors by default.
        #[arg(long)]
        jobs: Option<usize>,
    },
}

/// What the command line changes about the world of a seed.
#[derive(clap::Args, Clone, Debug)]
struct Changes {
    /// So many nodes instead of what a seed draws.
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..=8))]
    nodes: Option<u64>,
    /// So many virtual seconds of faults instead of what a seed draws.
    #[arg(long)]
    seconds: Option<u64>,
    /// This fault is among those of every seed, and a frequent one. May be given again.
    #[arg(long = "fault", value_parser = fault_name)]
    faults: Vec<Fault>,
}

/// How often a fault happens that is asked for: as often as the most frequent ones that are drawn.
const FREQUENT: u32 = 10;

impl Changes {
    /// The world of a seed.
    fn world(&self, seed: u64) -> Options {
        let mut options = personality::draw(seed);
        if let Some(nodes) = self.nodes {
            options.nodes = nodes as usize;
            options.factor = options.factor.clamp(options.nodes.min(3), options.nodes);
            options.phases.core_only &= options.nodes >= 3;
        }
        if let Some(seconds) = self.seconds {
            options.phases.faults = seconds * SECOND;
        }
        for &fault in &self.faults {
            options.faults.weights[fault as usize] = FREQUENT;
        }
        options
    }

    /// As given on the command line.
    fn words(&self) -> String {
        let nodes = self.nodes.map(|nodes| format!(" --nodes {nodes}"));
        let seconds = self.seconds.map(|seconds| format!(" --seconds {seconds}"));
        let faults = self.faults.iter().map(|fault| format!(" --fault {}", fault.name()));
        nodes.into_iter().chain(seconds).chain(faults).collect()
    }
}

fn fault_name(text: &str) -> Result<Fault, String> {
    let found = Fault::ALL.into_iter().find(|fault| fault.name() == text);
    found.ok_or_else(|| {
        let names: Vec<_> = Fault::ALL.iter().map(|fault| fault.name()).collect();
        format!("there is no such fault; there are {}", names.join(", "))
    })
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let result = match arguments.command {
        Command::Run { seed, changes, bug, trace } => one(seed, &changes, bug.as_deref(), trace),
        Command::Swarm { seeds, jobs, changes } => Ok(many(seeds, jobs, &changes)),
        Command::Replay { file } => replay(&file),
        Command::Planted { only, seeds, jobs } => bugs(only.as_deref(), seeds, jobs),
    };
    match result {
        Ok(code) => code,
        Err(what) => {
            eprintln!("driftless-sim: {what}");
            ExitCode::from(2)
        }
    }
}

fn seed_range(text: &str) -> Result<Range<u64>, String> {
    let (first, last) = text.split_once("..").ok_or("seeds are given as A..B")?;
    let number = |text: &str| text.parse::<u64>().map_err(|_| format!("`{text}` is no seed"));
    let (first, last) = (number(first)?, number(last)?);
    if first < last { Ok(first..last) } else { Err("no seed is in that range".into()) }
}

fn one(seed: u64, changes: &Changes, bug: Option<&str>, trace: bool) -> Result<ExitCode, String> {
    let mut options = changes.world(seed);
    options.trace = trace;
    if let Some(name) = bug {
        options.bug = *planted::select(Some(name)).first().ok_or("there is no such bug")?;
    }
    let outcome = run(options);
    if trace {
        print!("{}", outcome.trace);
    }
    print_counts(seed, &outcome);
    let Some(finding) = outcome.failed else { return Ok(ExitCode::SUCCESS) };
    println!("VIOLATION {}: {}", finding.checker, finding.what);
    Ok(ExitCode::FAILURE)
}

fn print_counts(seed: u64, outcome: &Outcome) {
    let counts = &outcome.counts;
    println!(
        "seed {seed} hash {:016x}: {:.3} virtual s, {} events, {} turns, {} messages, {} of {} commands \
         answered, {} faults, {} elections, {} snapshots, {} received, {} torn tails, {} damaged, {} repaired",
        outcome.hash,
        outcome.took as f64 / SECOND as f64,
        counts.events,
        counts.turns,
        counts.messages,
        counts.answers,
        counts.commands,
        counts.faults,
        counts.elections,
        counts.snapshots,
        counts.installs,
        counts.torn,
        counts.damage,
        counts.repairs,
    );
}

fn threads(jobs: Option<usize>) -> usize {
    jobs.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, usize::from)).max(1)
}

fn progress(length: u64, what: &str) -> ProgressBar {
    let target = if std::io::stderr().is_terminal() {
        ProgressDrawTarget::stderr()
    } else {
        ProgressDrawTarget::hidden()
    };
    let style = "{msg} {wide_bar} {pos}/{len} {per_sec} {eta}";
    let bar = ProgressBar::with_draw_target(Some(length), target);
    bar.set_style(ProgressStyle::with_template(style).unwrap_or(ProgressStyle::default_bar()));
    bar.set_message(what.to_string());
    bar
}

fn many(seeds: Range<u64>, jobs: Option<usize>, changes: &Changes) -> ExitCode {
    let bar = progress(seeds.end - seeds.start, "seeds");
    let drawn = |seed| changes.world(seed);
    let before = usage().0;
    let sum = swarm(seeds, threads(jobs), &drawn, &|_| bar.inc(1));
    bar.finish_and_clear();
    let (after, peak) = usage();
    print_sum(&sum, after - before, peak);
    let Some((seed, finding)) = sum.failed else {
        println!("no violation");
        return ExitCode::SUCCESS;
    };
    println!("VIOLATION in seed {seed}, {}: {}", finding.checker, finding.what);
    println!(
        "to see it again: cargo run --release -p driftless-sim -- run --seed {seed} --trace{}",
        changes.words()
    );
    ExitCode::FAILURE
}

fn print_sum(sum: &Sum, cpu: f64, peak: f64) {
    let cpu = cpu.max(0.01);
    let virtual_seconds = sum.took as f64 / SECOND as f64;
    println!(
        "{} seeds, {virtual_seconds:.0} virtual s, {cpu:.1} CPU s: {:.1} seeds, {:.0} virtual s, {:.2} M \
         events and {:.2} M turns a CPU second; peak memory {peak:.0} MiB",
        sum.seeds,
        sum.seeds as f64 / cpu,
        virtual_seconds / cpu,
        sum.events as f64 / cpu / 1e6,
        sum.turns as f64 / cpu / 1e6,
    );
    let [elections, snapshots, installs, torn, damage, repairs] = sum.protocol;
    println!(
        "{} commands, {} answered, {} faults, {elections} elections, {snapshots} snapshots, {installs} \
         received, {torn} torn tails, {damage} damaged, {repairs} repaired; hash {:016x}",
        sum.commands.0, sum.commands.1, sum.faults, sum.hash
    );
}

fn replay(file: &PathBuf) -> Result<ExitCode, String> {
    let text =
        std::fs::read_to_string(file).map_err(|error| format!("{}: {error}", file.display()))?;
    let report = scenario::replay(&text).map_err(|error| format!("{}: {error}", file.display()))?;
    print!("{}", report.trace);
    println!("hash {:016x}", report.hash);
    let Some(what) = report.failed else { return Ok(ExitCode::SUCCESS) };
    println!("FAILED {what}");
    Ok(ExitCode::FAILURE)
}

fn bugs(only: Option<&str>, seeds: u64, jobs: Option<usize>) -> Result<ExitCode, String> {
    let bugs = planted::select(only);
    if bugs.is_empty() {
        return Err("there is no such bug".into());
    }
    println!("{:<26} {:>8}  checker", "bug", "seed");
    let mut missed = 0;
    for bug in bugs {
        let name = format!("{bug:?}");
        let bar = progress(seeds, &name);
        let sum = planted::hunt(bug, 0..seeds, threads(jobs), &|_| bar.inc(1));
        bar.finish_and_clear();
        if let Some((seed, finding)) = sum.failed {
            let expected = expected(bug).finders.contains(&finding.checker.as_str());
            let note = if expected { "" } else { "  (not the one expected)" };
            println!("{name:<26} {seed:>8}  {}{note}", finding.checker);
        } else {
            println!("{name:<26} {:>8}  not found in {seeds} seeds", "-");
            missed += 1;
        }
        std::io::stdout().flush().map_err(|error| error.to_string())?;
    }
    Ok(if missed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
