//! Replicated SET and GET per second of processor time, the work of all three replicas counted: engines,
//! log, elections and command parsing, without sockets and disks. Prints one table.
//!
//! `cargo bench -p driftless-core` measures everything; a number after `--` is the milliseconds of
//! processor time for each cell (300 without it).

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

/// What one cell of the table says.
struct Measured {
    per_second: u64,
    /// Allocations in a thousand operations.
    allocations: u64,
}

fn main() {
    let milliseconds = std::env::args().skip(1).find_map(|word| word.parse().ok()).unwrap_or(300);
    let span = Duration::from_millis(milliseconds);
    println!(
        "operations a second of processor time (three replicas), and allocations an operation"
    );
    println!(
        "{:>7} {:>15} {:>10} {:>8} {:>10} {:>8}",
        "groups", "commands a turn", "SET", "alloc", "GET", "alloc"
    );
    for groups in GROUPS {
        let mut world = World::new(groups);
        let load = Load::new(&world);
        load.fill(&mut world);
        for count in COMMANDS_A_TURN {
            let set = measure(&mut world, &load.sets, count, span);
            let get = measure(&mut world, &load.gets, count, span);
            let (set_rate, get_rate) = (set.per_second, get.per_second);
            let (set_alloc, get_alloc) =
                (thousandths(set.allocations), thousandths(get.allocations));
            println!(
                "{groups:>7} {count:>15} {set_rate:>10} {set_alloc:>8} {get_rate:>10} {get_alloc:>8}"
            );
        }
    }
}

fn thousandths(count: u64) -> String {
    format!("{}.{:03}", count / 1000, count % 1000)
}

/// Commands for each node, on keys whose group it leads: nothing is forwarded.
struct Load {
    sets: Vec<Vec<Vec<u8>>>,
    gets: Vec<Vec<Vec<u8>>>,
}

impl Load {
    fn new(world: &World) -> Self {
        let leaders = world.leaders().expect("a new world has leaders");
        let mut load = Self { sets: vec![Vec::new(); 3], gets: vec![Vec::new(); 3] };
        for number in 0..KEYS {
            let key = format!("key:{number:012}");
            let node = leaders[world.group_of(key.as_bytes())];
            load.sets[node].push(command(&[b"SET", key.as_bytes(), &VALUE]));
            load.gets[node].push(command(&[b"GET", key.as_bytes()]));
        }
        load
    }

    /// Sets every key twice, so that what follows overwrites and finds its memory warm.
    fn fill(&self, world: &mut World) {
        let mut expected = world.answered();
        for _ in 0..2 {
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
    let mut cursors = [0_usize; 3];
    let mut asked = world.answered();
    let first = asked;
    let mut round = |world: &mut World| {
        world.turns(|node, place| {
            if place == count || commands[node].is_empty() {
                return None;
            }
            asked += 1;
            cursors[node] = (cursors[node] + 1) % commands[node].len();
            Some(commands[node][cursors[node]].as_slice())
        });
    };
    // The first rounds bring queues to the length that they keep.
    for _ in 0..200 {
        round(world);
    }
    let before = world.answered();
    let region = Region::new(ALLOCATOR);
    let begun = ProcessTime::now();
    while begun.elapsed() < span {
        for _ in 0..16 {
            round(world);
        }
    }
    let elapsed = begun.elapsed();
    let change = region.change();
    let done = world.answered() - before;
    assert!(done > 0 && before >= first, "commands were answered while time was taken");
    settle(world, asked);
    let nanos = u64::try_from(elapsed.as_nanos()).expect("a bench takes less than centuries");
    let allocations = (change.allocations + change.reallocations) as u64 * 1000 / done;
    let per_second = u64::try_from(u128::from(done) * 1_000_000_000 / u128::from(nanos));
    Measured { per_second: per_second.expect("a rate fits"), allocations }
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
