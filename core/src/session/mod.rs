//! Clients: the order of their answers, whatever group answers first, and commands that were split.

mod gather;

use alloc::collections::VecDeque;
use alloc::vec::Vec;

use crate::command::Merge;
use crate::command::connection::Connection;
use crate::config::Limits;
use crate::event::Event;
use crate::ids::{ClientId, GroupId};
use crate::latency::Histogram;
use crate::message::Ticket;
use crate::outputs::{Lanes, Outputs};
use crate::resp::Proto;
use crate::session::gather::Gather;
use crate::time::Instant;
use crate::window::Window;

/// Commands of a new client that are open at once, at most.
const FIRST_OPEN: usize = 16;

/// An empty buffer above this is freed.
const KEEP_BYTES: usize = 4 << 10;

/// The clients of one engine.
#[derive(Debug, Default)]
pub(crate) struct Sessions {
    clients: Vec<Option<Client>>,
    generation: u32,
    count: usize,
    /// Where answers go whose client has left.
    lost: Vec<u8>,
    /// What the groups said to clients that wait for replicas.
    gathered: Vec<(Ticket, Vec<u8>)>,
    /// What groups said to the engine itself.
    own: Vec<Vec<u8>>,
    /// When this turn takes place.
    now: Instant,
    /// How long commands took, from the turn that took them to the turn that answered them.
    latency: [Histogram; Kind::COUNT],
}

/// What kind of command it is that somebody waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// It asks what is there.
    Read,
    /// It may change what is there.
    Write,
    /// Neither: no key is asked for.
    Other,
}

impl Kind {
    /// How many there are.
    pub const COUNT: usize = 3;
    /// All of them.
    pub const ALL: [Self; Self::COUNT] = [Self::Read, Self::Write, Self::Other];
}

/// One client.
#[derive(Debug)]
pub(crate) struct Client {
    pub(crate) connection: Connection,
    number: u32,
    generation: u32,
    /// Which of its commands the first slot belongs to.
    first: u64,
    /// Commands taken and not answered in full, oldest first.
    slots: VecDeque<Slot>,
    /// Answers that wait for earlier ones.
    stash: Vec<u8>,
    /// Slots that are answered and wait for earlier ones.
    stashed: usize,
    /// Reads that are open.
    reads: usize,
    /// Bytes in the parts of commands that were split.
    gathered: usize,
    window: Window,
    /// The groups that it has written, a bit each.
    written: Vec<u64>,
    /// Not heard until a password of its has been looked into.
    pub(crate) held: bool,
    /// Hung up on once everything taken is answered.
    pub(crate) closing: bool,
}

#[derive(Debug)]
struct Slot {
    /// The client asked not to be answered.
    mute: bool,
    /// The answer to a read may be large.
    kind: Kind,
    /// When it was taken.
    begun: Instant,
    state: State,
}

#[derive(Debug)]
enum State {
    Waiting,
    /// Answered; these bytes of the stash.
    Ready(usize, usize),
    Split(alloc::boxed::Box<Gather>),
}

impl Sessions {
    pub(crate) fn open(&mut self, client: ClientId, connection: Connection, budget: usize) {
        let at = client.0 as usize;
        if at >= self.clients.len() {
            self.clients.resize_with(at + 1, || None);
        }
        assert!(self.clients[at].is_none(), "{client:?} is open already");
        self.generation += 1;
        self.count += 1;
        self.clients[at] = Some(Client {
            connection,
            number: client.0,
            generation: self.generation,
            first: 0,
            slots: VecDeque::new(),
            stash: Vec::new(),
            stashed: 0,
            reads: 0,
            gathered: 0,
            window: Window::new(budget, FIRST_OPEN),
            written: Vec::new(),
            held: false,
            closing: false,
        });
    }

    pub(crate) fn close(&mut self, client: ClientId) {
        if self.clients.get_mut(client.0 as usize).and_then(Option::take).is_some() {
            self.count -= 1;
        }
    }

    /// A turn begins.
    pub(crate) fn begin_turn(&mut self, now: Instant) {
        self.now = now;
    }

    /// How long commands took, by [`Kind`].
    pub(crate) fn latency(&self) -> &[Histogram; Kind::COUNT] {
        &self.latency
    }

    pub(crate) fn count(&self) -> usize {
        self.count
    }

    pub(crate) fn client(&self, client: ClientId) -> Option<&Client> {
        self.clients.get(client.0 as usize)?.as_ref()
    }

    pub(crate) fn client_mut(&mut self, client: ClientId) -> Option<&mut Client> {
        self.clients.get_mut(client.0 as usize)?.as_mut()
    }

    /// All clients, by number.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (ClientId, &Client)> {
        let numbered = self.clients.iter().enumerate();
        numbered.filter_map(|(at, client)| Some((ClientId(at as u32), client.as_ref()?)))
    }

    /// The same, to be changed.
    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = (ClientId, &mut Client)> {
        let numbered = self.clients.iter_mut().enumerate();
        numbered.filter_map(|(at, client)| Some((ClientId(at as u32), client.as_mut()?)))
    }

    /// Takes a command into the order of answers.
    pub(crate) fn begin(&mut self, client: ClientId, mute: bool, kind: Kind) -> Ticket {
        let begun = self.now;
        let state = self.client_mut(client).expect("only a client that is open asks");
        let sequence = state.first + state.slots.len() as u64;
        state.slots.push_back(Slot { mute, kind, begun, state: State::Waiting });
        state.reads += usize::from(kind == Kind::Read);
        Ticket { client, generation: state.generation, sequence, part: 0 }
    }

    /// The command is answered in so many parts; `order` says for each of its keys which part speaks of it.
    pub(crate) fn split(
        &mut self,
        ticket: Ticket,
        merge: Merge,
        proto: Proto,
        parts: usize,
        order: Vec<u16>,
    ) {
        let gather = Gather::new(merge, proto, parts, order);
        if let Some(slot) = self.slot(ticket) {
            slot.state = State::Split(alloc::boxed::Box::new(gather));
        }
    }

    /// Writes (part of) an answer; it leaves once all earlier ones of the client have.
    pub(crate) fn answer(
        &mut self,
        ticket: Ticket,
        lanes: &mut Lanes,
        closes: &mut Vec<ClientId>,
        write: impl FnOnce(&mut Vec<u8>),
    ) {
        self.lost.clear();
        if ticket.client == ClientId::ENGINE {
            let mut answer = Vec::new();
            write(&mut answer);
            self.own.push(answer);
            return;
        }
        let current = self
            .clients
            .get_mut(ticket.client.0 as usize)
            .and_then(Option::as_mut)
            .filter(|client| client.generation == ticket.generation);
        let Some(client) = current else {
            write(&mut self.lost);
            return;
        };
        let at = ticket.sequence.checked_sub(client.first).expect("it is answered once") as usize;
        let slot = &mut client.slots[at];
        if let State::Split(gather) = &mut slot.state {
            client.gathered += gather.add(ticket.part, write);
            if !gather.complete() {
                return;
            }
            let State::Split(gather) = core::mem::replace(&mut slot.state, State::Waiting) else {
                return;
            };
            client.gathered -= gather.bytes();
            if gather.merges(Merge::Least) {
                let mut answer = Vec::new();
                gather.merge(&mut answer);
                self.gathered.push((Ticket { part: 0, ..ticket }, answer));
                return;
            }
            self.latency[slot.kind as usize].note(self.now.since(slot.begun));
            client.put(at, lanes, &mut self.lost, |out| gather.merge(out));
        } else {
            self.latency[slot.kind as usize].note(self.now.since(slot.begun));
            client.put(at, lanes, &mut self.lost, write);
        }
        if client.closing && client.slots.is_empty() {
            closes.push(ticket.client);
        }
    }

    /// What groups have said to clients that wait for replicas, since this was last asked for.
    pub(crate) fn take_gathered(&mut self) -> Vec<(Ticket, Vec<u8>)> {
        core::mem::take(&mut self.gathered)
    }

    /// What groups have said to the engine itself, since this was last asked for.
    pub(crate) fn take_own(&mut self) -> Vec<Vec<u8>> {
        core::mem::take(&mut self.own)
    }

    /// Whether the client that a command came from is still there.
    pub(crate) fn is_open(&self, ticket: Ticket) -> bool {
        self.client(ticket.client).is_some_and(|client| client.generation == ticket.generation)
    }

    pub(crate) fn has_gathered(&self) -> bool {
        !self.gathered.is_empty()
    }

    /// The answer to a write cannot be known any more: its client, if it is still there, is hung up on.
    pub(crate) fn lose(&mut self, ticket: Ticket, out: &mut Outputs) {
        if ticket.client == ClientId::ENGINE {
            // No answer is an answer: the engine asks again.
            self.own.push(Vec::new());
            return;
        }
        let client = self.client(ticket.client);
        if client.is_some_and(|client| client.generation == ticket.generation) {
            out.events.push(Event::AnswerLost { client: ticket.client });
            out.closes.push(ticket.client);
        }
    }

    fn slot(&mut self, ticket: Ticket) -> Option<&mut Slot> {
        let client = self.client_mut(ticket.client)?;
        if client.generation != ticket.generation {
            return None;
        }
        let at = ticket.sequence.checked_sub(client.first)? as usize;
        client.slots.get_mut(at)
    }
}

impl Client {
    /// Commands taken and not answered in full.
    pub(crate) fn pending(&self) -> usize {
        self.slots.len()
    }

    /// Whether another command can be taken: the answers of this client that its driver has not taken, and
    /// those that its open commands are expected to bring, stay within the limits.
    pub(crate) fn has_room(&self, lanes: &Lanes, limits: &Limits) -> bool {
        if self.slots.len() >= limits.client_pending || self.reads >= limits.client_reads {
            return false;
        }
        let held = lanes.len(self.number) + self.stash.len() + self.gathered;
        self.window.fits(self.slots.len(), held, limits.client_bytes)
    }

    /// It has written something in a group.
    pub(crate) fn wrote(&mut self, group: GroupId) {
        let at = group.0 as usize / 64;
        if at >= self.written.len() {
            self.written.resize(at + 1, 0);
        }
        self.written[at] |= 1 << (group.0 % 64);
    }

    /// The groups that it has written, in order.
    pub(crate) fn written(&self) -> impl Iterator<Item = GroupId> {
        let bits = self.written.iter().enumerate();
        bits.flat_map(|(at, bits)| {
            let set = (0..64).filter(move |bit| bits & (1 << bit) != 0);
            set.map(move |bit| GroupId(at as u32 * 64 + bit))
        })
    }

    /// Answers slot `at`: into the lane if it is its turn, into the stash otherwise.
    fn put(
        &mut self,
        at: usize,
        lanes: &mut Lanes,
        lost: &mut Vec<u8>,
        write: impl FnOnce(&mut Vec<u8>),
    ) {
        let number = self.number;
        let state = if self.slots[at].mute {
            write(lost);
            State::Ready(0, 0)
        } else if at == 0 {
            let lane = lanes.lane(number);
            let start = lane.len();
            write(lane);
            self.window.note(lane.len() - start);
            State::Ready(0, 0)
        } else {
            let start = self.stash.len();
            write(&mut self.stash);
            self.window.note(self.stash.len() - start);
            State::Ready(start, self.stash.len())
        };
        self.slots[at].state = state;
        self.reads -= usize::from(self.slots[at].kind == Kind::Read);
        self.stashed += 1;
        while let Some(State::Ready(start, end)) = self.slots.front().map(|slot| &slot.state) {
            if start < end {
                lanes.lane(number).extend_from_slice(&self.stash[*start..*end]);
            }
            self.slots.pop_front();
            self.stashed -= 1;
            self.first += 1;
        }
        if self.stashed == 0 {
            self.stash.clear();
            self.stash.shrink_to(KEEP_BYTES);
        }
    }
}
