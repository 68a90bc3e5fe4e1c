//! The commands of an outbox, in order: which are on their way, which writes bear a number, which are done.
//! All positions only move over what has changed; nothing is walked every turn.

use alloc::collections::VecDeque;
use alloc::vec::Vec;

use crate::command::Spec;
use crate::group::Origin;
use crate::group::propose::Request;
use crate::ids::Keyspace;
use crate::resp::Proto;
use crate::time::Instant;

/// Buffers kept for later, at most, and how large.
const SPARE: usize = 64;
const SPARE_BYTES: usize = 4 << 10;

/// A command on its way to a leader.
#[derive(Debug)]
pub(super) struct Item {
    pub(super) origin: Origin,
    pub(super) spec: &'static Spec,
    pub(super) keyspace: Keyspace,
    pub(super) proto: Proto,
    /// [`crate::resp::Args::put`].
    pub(super) args: Vec<u8>,
    /// Its number among the writes: from when it is first sent, unless it was surely not taken.
    pub(super) number: Option<u64>,
    writes: bool,
    /// In which attempt it was last sent; 0 if in none that may have taken it.
    attempt: u64,
    /// An earlier attempt may have taken it.
    in_doubt: bool,
    done: bool,
    deadline: Instant,
}

/// Commands in the order they came. Each has an id, one more than the one before.
#[derive(Debug, Default)]
pub(super) struct Queue {
    items: VecDeque<Item>,
    /// The first item; it is not done.
    first: u64,
    /// What is to be sent next; everything before it is on its way.
    next: u64,
    /// No item from here on may have been taken by anyone: writes before it bear numbers, in order, writes
    /// behind it do not.
    reached: u64,
    /// Items before `next` that are not done.
    flying: usize,
    /// Bytes of all commands.
    bytes: usize,
    /// How many writes bear a number, or did until they were done.
    numbered: u64,
    /// Every write before it is done.
    unsettled: u64,
    /// Everything before it was looked at since its deadline.
    overdue: u64,
    spare: Vec<Vec<u8>>,
}

impl Queue {
    pub(super) fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// The id of the oldest that is not done.
    pub(super) fn first(&self) -> u64 {
        self.first
    }

    pub(super) fn len(&self) -> usize {
        self.items.len()
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Whether one is on its way.
    pub(super) fn is_flying(&self, id: u64) -> bool {
        id < self.next
    }

    /// How many are on their way.
    pub(super) fn flying(&self) -> usize {
        self.flying
    }

    pub(super) fn push(&mut self, request: &Request<'_>, deadline: Instant) {
        let mut args = self.spare.pop().unwrap_or_default();
        args.clear();
        request.args.put(&mut args);
        self.bytes += args.len();
        self.items.push_back(Item {
            origin: request.origin,
            spec: request.spec,
            keyspace: request.keyspace,
            proto: request.proto,
            args,
            number: None,
            writes: crate::group::writes(request.spec),
            attempt: 0,
            in_doubt: false,
            done: false,
            deadline,
        });
    }

    /// What is sent next, and its id: from now on it is on its way. A write gets its number.
    pub(super) fn send_next(&mut self, attempt: u64) -> Option<(u64, &Item)> {
        let (id, at) = loop {
            let (id, at) = (self.next, (self.next - self.first) as usize);
            if !self.items.get(at)?.done {
                break (id, at);
            }
            self.next += 1;
        };
        self.next = id + 1;
        self.reached = self.reached.max(self.next);
        self.flying += 1;
        let item = &mut self.items[at];
        item.in_doubt |= item.attempt != 0;
        item.attempt = attempt;
        if item.writes && item.number.is_none() {
            self.numbered += 1;
            item.number = Some(self.numbered);
        }
        Some((id, item))
    }

    /// All numbered writes before the oldest that is not done.
    pub(super) fn settled(&mut self) -> u64 {
        self.seek_unsettled();
        let number = self.item(self.unsettled).and_then(|item| item.number);
        number.map_or(self.numbered, |number| number - 1)
    }

    fn seek_unsettled(&mut self) {
        self.unsettled = self.unsettled.max(self.first);
        while self.item(self.unsettled).is_some_and(|item| item.done || !item.writes) {
            self.unsettled += 1;
        }
    }

    /// The write of this number, if it is not done.
    pub(super) fn find(&mut self, number: u64) -> Option<u64> {
        self.seek_unsettled();
        let start = (self.unsettled - self.first) as usize;
        let reached = (self.reached - self.first) as usize;
        let numbered = self.items.range(start.min(reached)..reached);
        // Numbers rise along the queue: most often it is the first.
        let mut later = numbered.enumerate().skip_while(|(_, item)| item.number < Some(number));
        let (at, item) = later.next()?;
        (item.number == Some(number) && !item.done).then_some(self.unsettled + at as u64)
    }

    /// It is answered: by whom it was asked, unless that was so before.
    pub(super) fn finish(&mut self, id: u64) -> Option<Origin> {
        let at = id.checked_sub(self.first)? as usize;
        let item = self.items.get_mut(at).filter(|item| !item.done)?;
        item.done = true;
        let origin = item.origin;
        let args = core::mem::take(&mut item.args);
        self.bytes -= args.len();
        if self.spare.len() < SPARE && args.capacity() <= SPARE_BYTES {
            self.spare.push(args);
        }
        if id < self.next {
            self.flying -= 1;
        }
        while self.items.pop_front_if(|item| item.done).is_some() {
            self.first += 1;
        }
        self.next = self.next.max(self.first);
        self.reached = self.reached.max(self.first);
        Some(origin)
    }

    /// The oldest one is given up.
    pub(super) fn finish_first(&mut self) -> Option<Origin> {
        self.finish(self.first)
    }

    /// Everything is to be sent once more.
    pub(super) fn rewind(&mut self) {
        (self.next, self.flying) = (self.first, 0);
    }

    /// Everything from `id` on is to be sent once more, if that is what `attempt` has sent.
    pub(super) fn rewind_to(&mut self, id: u64, attempt: u64) -> bool {
        let sent = self.item(id).is_some_and(|item| !item.done && item.attempt == attempt);
        if !sent || id >= self.next {
            return false;
        }
        let flying =
            self.items.range((id - self.first) as usize..(self.next - self.first) as usize);
        self.flying -= flying.filter(|item| !item.done).count();
        self.next = id;
        true
    }

    /// Nothing that `attempt` has sent from `id` on was taken, nor will be: it is to be sent once more, and
    /// writes that nobody else may have taken bear no number any more. Tells whether there was any.
    pub(super) fn take_back(&mut self, id: u64, attempt: u64) -> bool {
        let from = id.max(self.first);
        let mut lowest = None;
        for id in from..self.reached {
            let item = &mut self.items[(id - self.first) as usize];
            if !item.done && item.attempt == attempt {
                lowest = lowest.or(Some(id));
            }
        }
        let Some(lowest) = lowest else {
            return false;
        };
        self.rewind_to(lowest, attempt);
        for id in lowest..self.reached {
            let item = &mut self.items[(id - self.first) as usize];
            if item.attempt == attempt {
                item.attempt = 0;
            }
        }
        self.overdue = self.overdue.min(lowest);
        self.take_numbers_back(lowest);
        true
    }

    /// Writes at the end of the numbered ones, back to `least`, lose their numbers if nobody may have taken them.
    fn take_numbers_back(&mut self, least: u64) {
        while self.reached > least {
            let item = &mut self.items[(self.reached - 1 - self.first) as usize];
            let used = item.done && item.number.is_some();
            if used || (!item.done && (item.attempt != 0 || item.in_doubt)) {
                return;
            }
            if let Some(number) = item.number.take() {
                assert_eq!(number, self.numbered, "numbers rise along the queue");
                self.numbered -= 1;
            }
            self.reached -= 1;
        }
    }

    /// The next command whose deadline is over and of which nothing is done: a read, or a write that nobody may
    /// have taken.
    pub(super) fn next_overdue(&mut self, now: Instant) -> Option<(u64, Proto)> {
        self.overdue = self.overdue.max(self.first);
        while let Some(item) = self.item(self.overdue).filter(|item| item.deadline <= now) {
            if !item.done && item.number.is_none() {
                return Some((self.overdue, item.proto));
            }
            self.overdue += 1;
        }
        None
    }

    /// When the next deadline is over.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.item(self.overdue.max(self.first)).map(|item| item.deadline)
    }

    fn item(&self, id: u64) -> Option<&Item> {
        self.items.get(id.checked_sub(self.first)? as usize)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resp::ArgsBuffer;

    fn push(queue: &mut Queue, words: &[&[u8]]) {
        let (mut buffer, mut bytes) = (ArgsBuffer::default(), Vec::new());
        let args = buffer.compose(&mut bytes, words);
        let Ok(spec) = crate::command::resolve(&args) else { panic!("it is a command") };
        let (origin, keyspace, proto) = (Origin::None, Keyspace(0), Proto::Resp2);
        let request = Request { origin, spec, keyspace, proto, args, forwarded: None };
        queue.push(&request, Instant(9));
    }

    /// Reads and writes as `r` and `w`.
    fn queue(commands: &str) -> Queue {
        let mut queue = Queue::default();
        for command in commands.chars() {
            match command {
                'r' => push(&mut queue, &[b"GET", b"k"]),
                _ => push(&mut queue, &[b"SET", b"k", b"v"]),
            }
        }
        queue
    }

    /// Sends so many: their ids, and the numbers of writes.
    fn send(queue: &mut Queue, attempt: u64, count: usize) -> Vec<(u64, Option<u64>)> {
        let next = |_| queue.send_next(attempt).map(|(id, item)| (id, item.number));
        (0..count).map_while(next).collect()
    }

    #[test]
    fn writes_are_numbered_when_they_are_sent_and_keep_their_numbers_while_in_doubt() {
        let mut queue = queue("wrww");
        assert_eq!(send(&mut queue, 1, 3), [(0, Some(1)), (1, None), (2, Some(2))]);
        assert_eq!((queue.flying(), queue.settled()), (3, 0));
        // To the next leader, which refuses the third: the last was never sent before.
        queue.rewind();
        assert_eq!(send(&mut queue, 2, 9).len(), 4);
        assert!(queue.take_back(2, 2));
        assert_eq!((queue.flying(), queue.numbered), (2, 2), "the first leader may have taken 2");
        assert_eq!(send(&mut queue, 3, 9), [(2, Some(2)), (3, Some(3))]);
        assert!(!queue.take_back(2, 2), "that attempt is over");
        assert!(queue.take_back(3, 3));
        assert_eq!(queue.numbered, 2, "nobody has taken the last one");
    }

    #[test]
    fn what_is_done_is_let_go_of_in_order_and_settled_once() {
        let mut queue = queue("wwrw");
        send(&mut queue, 1, 9);
        assert_eq!(queue.find(2), Some(1));
        assert!(queue.finish(1).is_some());
        assert!(queue.finish(1).is_none(), "it is answered once");
        assert_eq!((queue.len(), queue.settled(), queue.find(2)), (4, 0, None));
        assert!(queue.finish(0).is_some());
        assert_eq!((queue.len(), queue.settled(), queue.flying()), (2, 2, 2));
        assert!(queue.rewind_to(2, 1));
        assert_eq!(queue.flying(), 0);
        assert!(queue.finish(2).is_some(), "an answer may be late");
        assert_eq!(send(&mut queue, 2, 9), [(3, Some(3))]);
        assert!(queue.finish(3).is_some());
        assert_eq!((queue.is_empty(), queue.bytes(), queue.settled()), (true, 0, 3));
    }

    #[test]
    fn what_is_overdue_is_given_up_unless_somebody_may_have_taken_it() {
        let mut queue = queue("wrww");
        send(&mut queue, 1, 3);
        let overdue = |queue: &mut Queue, now| queue.next_overdue(Instant(now)).map(|(id, _)| id);
        assert_eq!(overdue(&mut queue, 8), None, "there is time left");
        for id in [1, 3] {
            assert_eq!(overdue(&mut queue, 9), Some(id), "behind a write in doubt");
            assert!(queue.finish(id).is_some());
        }
        assert_eq!(overdue(&mut queue, 9), None);
        assert!(queue.take_back(2, 1));
        assert_eq!(overdue(&mut queue, 9), Some(2), "it was surely not taken");
        assert!(queue.finish(2).is_some());
        push(&mut queue, &[b"SET", b"k", b"v"]);
        assert_eq!(send(&mut queue, 2, 9), [(4, Some(2))], "its number is free again");
    }
}
