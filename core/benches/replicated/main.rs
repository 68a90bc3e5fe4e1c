//! Replicated SET and GET per second of processor time, the work of all three replicas counted: engines,
//! log, elections and command parsing, without sockets and disks. Prints one table.
//!
//! `cargo bench -p driftless-core` measures everything; a number after `--` is the milliseconds of
//! processor time for each cell (300 without it).
//!
//! To count instructions, four words after `--` play one cell for a fixed number of rounds and print how
//! many operations that were: `set 16 8 5000` is SET, 16 groups, 8 commands a turn and 5000 rounds; `get` is
//! GET, `forward` is SET at a node that does not lead the group, `mset` is MSET of eight keys of any group, and
//! `select` is SELECT. With `--toggle-collect='*rounds*'`
//! callgrind counts those rounds alone.

mod world;

use std::time::Duration;

use cpu_time::ProcessTime;
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use world::World;

#[global_allocator]
static ALLOCATOR: &StatsAlloc<std::alloc::System> = &INSTRUMENTED_SYSTEM;

const GROUPS: [u32; 3] = [1, 16, 300];
const COMMANDS_A_TURN: [u32; 4] = [1, 8, 64, 256];
const KEYS: usize = 20_000;
const VALUE: [u8; 64] = [b'v'; 64];
/// How often each key is set before anything is measured.
const FILLS: usize = 18;

/// What one cell of the table says.
struct Measured {
    per_second: u64,
    /// Allocations in a thousand operations.
    allocations: u64,
}

fn main() {
    let words: Vec<String> = std::env::args().skip(1).filter(|word| word != "--bench").collect();
    if let [kind, groups, count, rounds] = &words[..] {
        let number = |word: &String| word.parse().expect("a cell is a word and three numbers");
        return play(kind, number(groups), number(count), number(rounds));
    }
    let milliseconds = words.iter().find_map(|word| word.parse().ok()).unwrap_or(300);
    let span = Duration::from_millis(milliseconds);
    println!(
        "operations a second of processor time (three replicas), and allocations an operation"
    );
    println!(
        "{:>7} {:>15} {:>10} {:>8} {:>10} {:>8} {:>10} {:>8}",
        "groups", "commands a turn", "SET", "alloc", "GET", "alloc", "forwarded", "alloc"
    );
    for groups in GROUPS {
        let mut world = World::new(groups);
        let load = Load::new(&world);
        load.fill(&mut world);
        for count in COMMANDS_A_TURN {
            print!("{groups:>7} {count:>15}");
            for commands in [&load.sets, &load.gets, &load.forwards] {
                let Measured { per_second, allocations } =
                    measure(&mut world, commands, count, span);
                print!(" {per_second:>10} {:>8}", thousandths(allocations));
            }
            println!();
        }
    }
}

/// Plays one cell of the table for a number of rounds.
fn play(kind: &str, groups: u32, count: u32, rounds: u32) {
    let mut world = World::new(groups);
    let load = Load::new(&world);
    load.fill(&mut world);
    let commands = match kind {
        "set" => &load.sets,
        "get" => &load.gets,
        "forward" => &load.forwards,
        "mset" => &load.multiple_sets,
        "select" => &load.selects,
        _ => panic!("{kind} is none of the kinds of commands that are measured"),
    };
    let mut caller = Caller { commands, count, cursors: [0; 3], asked: world.answered() };
    let before = world.answered();
    caller.rounds(&mut world, rounds);
    println!("{} operations", world.answered() - before);
}

fn thousandths(count: u64) -> String {
    format!("{}.{:03}", count / 1000, count % 1000)
}

/// Commands for each node. Sets and gets are on keys whose group it leads; forwards are sets that another leads.
struct Load {
    sets: Vec<Vec<Vec<u8>>>,
    gets: Vec<Vec<Vec<u8>>>,
    forwards: Vec<Vec<Vec<u8>>>,
    multiple_sets: Vec<Vec<Vec<u8>>>,
    selects: Vec<Vec<Vec<u8>>>,
}

impl Load {
    fn new(world: &World) -> Self {
        let leaders = world.leaders().expect("a new world has leaders");
        let empty = || vec![Vec::new(); 3];
        let mut load = Self {
            sets: empty(),
            gets: empty(),
            forwards: empty(),
            multiple_sets: empty(),
            selects: vec![vec![command(&[b"SELECT", b"0"])]; 3],
        };
        for number in 0..KEYS {
            let key = format!("key:{number:012}");
            let node = leaders[world.group_of(key.as_bytes())];
            load.sets[node].push(command(&[b"SET", key.as_bytes(), &VALUE]));
            load.gets[node].push(command(&[b"GET", key.as_bytes()]));
            load.forwards[(node + 1) % 3].push(command(&[b"SET", key.as_bytes(), &VALUE]));
        }
        for number in 0..KEYS / 8 {
            let keys: Vec<String> =
                (0..8).map(|at| format!("key:{:012}", number * 8 + at)).collect();
            let pairs = keys.iter().flat_map(|key| [key.as_bytes(), &VALUE]);
            let words: Vec<&[u8]> = core::iter::once(&b"MSET"[..]).chain(pairs).collect();
            load.multiple_sets[number % 3].push(command(&words));
        }
        load
    }

    /// Sets every key again and again, so that what follows overwrites and finds its memory warm: tables, logs, and the
    /// history of changes, which takes a third of a million of them to fill.
    fn fill(&self, world: &mut World) {
        let mut expected = world.answered();
        for _ in 0..FILLS {
            let mut cursors = [0_usize; 3];
            while (0..3).any(|node| cursors[node] < self.sets[node].len()) {
                let mut ends = cursors;
                world.turns(|node, place| {
                    let command = self.sets[node].get(cursors[node] + place as usize)?;
                    (place < 64).then(|| {
                        ends[node] += 1;
                        command.as_slice()
                    })
                });
                cursors = ends;
            }
            expected += KEYS as u64;
            settle(world, expected);
        }
    }
}

/// Takes turns without commands until all those asked for are answered.
fn settle(world: &mut World, expected: u64) {
    for _ in 0..1_000_000 {
        if world.answered() == expected {
            return;
        }
        world.turns(|_, _| None);
    }
    panic!("{} of {expected} commands were answered", world.answered());
}

fn measure(world: &mut World, commands: &[Vec<Vec<u8>>], count: u32, span: Duration) -> Measured {
    let mut caller = Caller { commands, count, cursors: [0; 3], asked: world.answered() };
    let first = caller.asked;
    // The first rounds bring queues to the length that they keep.
    caller.rounds(world, 200);
    let before = world.answered();
    let region = Region::new(ALLOCATOR);
    let begun = ProcessTime::now();
    while begun.elapsed() < span {
        caller.rounds(world, 16);
    }
    let elapsed = begun.elapsed();
    let change = region.change();
    let done = world.answered() - before;
    assert!(done > 0 && before >= first, "commands were answered while time was taken");
    settle(world, caller.asked);
    let nanos = u64::try_from(elapsed.as_nanos()).expect("a bench takes less than centuries");
    let allocations = (change.allocations + change.reallocations) as u64 * 1000 / done;
    let per_second = u64::try_from(u128::from(done) * 1_000_000_000 / u128::from(nanos));
    Measured { per_second: per_second.expect("a rate fits"), allocations }
}

/// Who asks each node for the same number of commands in each of its turns.
struct Caller<'c> {
    commands: &'c [Vec<Vec<u8>>],
    count: u32,
    cursors: [usize; 3],
    asked: u64,
}

impl Caller<'_> {
    /// A function of its own, so that a profiler can tell it from what went before.
    #[inline(never)]
    fn rounds(&mut self, world: &mut World, count: u32) {
        for _ in 0..count {
            self.round(world);
        }
    }

    fn round(&mut self, world: &mut World) {
        let Self { commands, count, cursors, asked } = self;
        world.turns(|node, place| {
            if place == *count || commands[node].is_empty() {
                return None;
            }
            *asked += 1;
            cursors[node] = (cursors[node] + 1) % commands[node].len();
            Some(commands[node][cursors[node]].as_slice())
        });
    }
}

/// A command as a client sends it.
fn command(arguments: &[&[u8]]) -> Vec<u8> {
    let mut bytes = format!("*{}\r\n", arguments.len()).into_bytes();
    for argument in arguments {
        bytes.extend_from_slice(format!("${}\r\n", argument.len()).as_bytes());
        bytes.extend_from_slice(argument);
        bytes.extend_from_slice(b"\r\n");
    }
    bytes
}
