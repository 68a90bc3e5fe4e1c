//! **`Linearizable`**, at the end: is there any order of a key's operations that explains all answers?
//!
//! Wing and Gong, *Testing and verifying concurrent objects* (JPDC 1993), with the memory of visited
//! configurations from Lowe, *Testing for linearizability* (CCPE 2017). Keys are independent, so each is
//! searched alone (Herlihy and Wing's locality theorem). Instead of a bit set, a configuration is remembered
//! by the sum (xor) of a random number an operation. The search counts its steps, not the time: it ends
//! the same way everywhere. Operations without a known answer may have happened at any time since, or
//! not at all; they are tried only after all others.
//!
//! Finds: what `linearizable` finds, `RetryNotDeduplicated` (a counter or an appended value that moved twice),
//! and lost increments.

use std::collections::HashSet;
use std::hash::{BuildHasherDefault, Hasher};

use super::hash::scatter;
use super::history::Operation;
use super::model::{Model, NOTHING, State, Step};
use super::observe::Moment;

/// How a search ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// There is an order; found after so many steps.
    Explained(u64),
    /// There is none; the answer of this operation (by place in what was given) was never reached.
    Contradiction(usize),
    /// Nobody knows: the steps ran out.
    OutOfSteps,
}

/// Looks for an order that explains all answers of one key, in at most `most` steps.
pub fn search(operations: &[&Operation], most: u64) -> Verdict {
    let mut search = Search::new(operations);
    for step in 0..most {
        if search.to_answer == 0 {
            return Verdict::Explained(step);
        }
        if !search.advance() {
            return Verdict::Contradiction(search.furthest.1);
        }
    }
    if search.to_answer == 0 { Verdict::Explained(most) } else { Verdict::OutOfSteps }
}

/// No node.
const END: usize = 0;

/// A place in one of the two lists: calls and returns of answered operations, and calls of open ones.
#[derive(Clone, Copy, Debug)]
struct Node {
    /// Which operation; unused in the two heads.
    operation: usize,
    is_return: bool,
    /// Rank in time.
    rank: usize,
    previous: usize,
    next: usize,
}

/// One choice that can be taken back.
#[derive(Clone, Copy, Debug)]
struct Choice {
    node: usize,
    before: State,
}

struct Search {
    model: Model,
    steps: Vec<Step>,
    nodes: Vec<Node>,
    /// By operation: its return, or [`END`] if it is open.
    returns: Vec<usize>,
    chosen: Vec<Choice>,
    visited: HashSet<u128, BuildHasherDefault<Folded>>,
    configuration: u128,
    state: State,
    cursor: usize,
    to_answer: usize,
    /// The latest return that held the search up, by rank, and whose it was.
    furthest: (usize, usize),
}

/// Head of the list of answered operations. (Node 0 is nobody.)
const ANSWERED: usize = 1;
/// Head of the list of open ones.
const OPEN: usize = 2;

impl Search {
    fn new(operations: &[&Operation]) -> Self {
        let mut model = Model::default();
        let steps = operations.iter().map(|operation| model.read(operation)).collect();
        let mut events: Vec<(Moment, bool, usize)> = Vec::with_capacity(operations.len() * 2);
        for (place, operation) in operations.iter().enumerate() {
            let open = !operation.is_known();
            if operation.refused() || (open && operation.kind.is_read()) {
                continue;
            }
            events.push((operation.earliest(), false, place));
            if let Some(completed_at) = operation.completed_at.filter(|_| !open) {
                events.push((completed_at, true, place));
            }
        }
        // At one moment calls come first: what touches is concurrent.
        events.sort_unstable();
        let blank = Node { operation: 0, is_return: false, rank: 0, previous: END, next: END };
        let mut search = Self {
            model,
            steps,
            nodes: vec![blank; 3],
            returns: vec![END; operations.len()],
            chosen: Vec::new(),
            visited: HashSet::default(),
            configuration: 0,
            state: NOTHING,
            cursor: END,
            to_answer: events.iter().filter(|(_, is_return, _)| *is_return).count(),
            furthest: (0, 0),
        };
        let mut tails = [ANSWERED, OPEN];
        for (rank, (_, is_return, operation)) in events.into_iter().enumerate() {
            let list = usize::from(!operations[operation].is_known());
            let node = search.nodes.len();
            search.nodes.push(Node {
                operation,
                is_return,
                rank,
                previous: tails[list],
                next: END,
            });
            search.nodes[tails[list]].next = node;
            tails[list] = node;
            if is_return {
                search.returns[operation] = node;
            }
        }
        search.cursor = search.nodes[ANSWERED].next;
        search
    }

    /// Tries the operation at the cursor, or takes a choice back. False if none is left.
    fn advance(&mut self) -> bool {
        let node = self.nodes[self.cursor];
        if node.is_return {
            // All answered operations that could come first have been tried; now the open ones.
            self.furthest = self.furthest.max((node.rank, node.operation));
            self.cursor = self.nodes[OPEN].next;
        } else if self.cursor == END || (self.is_open(node) && node.rank > self.first_return()) {
            return self.take_back();
        } else {
            self.try_choice(node);
        }
        true
    }

    fn try_choice(&mut self, node: Node) {
        let step = self.steps[node.operation];
        if let Some(after) = self.model.apply(self.state, &step) {
            let configuration = self.configuration ^ random(node.operation);
            let key = configuration ^ random(usize::MAX - after as usize);
            if self.visited.insert(key) {
                self.chosen.push(Choice { node: self.cursor, before: self.state });
                self.lift(self.cursor);
                (self.configuration, self.state) = (configuration, after);
                self.cursor = self.nodes[ANSWERED].next;
                return;
            }
        }
        self.cursor = node.next;
    }

    fn take_back(&mut self) -> bool {
        let Some(choice) = self.chosen.pop() else { return false };
        self.unlift(choice.node);
        self.configuration ^= random(self.nodes[choice.node].operation);
        self.state = choice.before;
        self.cursor = self.nodes[choice.node].next;
        true
    }

    fn is_open(&self, node: Node) -> bool {
        self.returns[node.operation] == END
    }

    /// Rank of the first answer that is not explained yet.
    fn first_return(&self) -> usize {
        let mut at = self.nodes[ANSWERED].next;
        while at != END {
            let node = self.nodes[at];
            if node.is_return {
                return node.rank;
            }
            at = node.next;
        }
        usize::MAX
    }

    /// Takes an operation out of the lists.
    fn lift(&mut self, call: usize) {
        self.unlink(call);
        let answer = self.returns[self.nodes[call].operation];
        if answer != END {
            self.unlink(answer);
            self.to_answer -= 1;
        }
    }

    /// Puts it back, in the opposite order.
    fn unlift(&mut self, call: usize) {
        let answer = self.returns[self.nodes[call].operation];
        if answer != END {
            self.link(answer);
            self.to_answer += 1;
        }
        self.link(call);
    }

    fn unlink(&mut self, at: usize) {
        let Node { previous, next, .. } = self.nodes[at];
        self.nodes[previous].next = next;
        if next != END {
            self.nodes[next].previous = previous;
        }
    }

    fn link(&mut self, at: usize) {
        let Node { previous, next, .. } = self.nodes[at];
        self.nodes[previous].next = at;
        if next != END {
            self.nodes[next].previous = at;
        }
    }
}

fn random(number: usize) -> u128 {
    u128::from(scatter(number as u64, 1)) << 64 | u128::from(scatter(number as u64, 2))
}

/// A hasher for numbers that are random already; without chance, so that runs are alike.
#[derive(Default)]
struct Folded(u64);

impl Hasher for Folded {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(byte);
        }
    }

    fn write_u128(&mut self, number: u128) {
        self.0 = number as u64;
    }
}

#[cfg(test)]
#[path = "search_tests.rs"]
mod tests;
