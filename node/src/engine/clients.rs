//! The clients of one engine: their bytes in, their answers out.

use std::sync::Arc;

use driftless_core::resp::{ArgsBuffer, ParseError, Parsed, parse, parse_more};
use driftless_core::{Admission, ClientId, Turn};
use slab::Slab;
use tokio::sync::OwnedSemaphorePermit;

use super::arena::Arena;
use super::ready::{Doorbell, Token};
use super::wire::{Arrived, READ_BYTES, Stream, Wire};

/// Bytes of unread answers beyond which a client's commands are not read any more.
const PAUSE_BYTES: usize = 1 << 20;
/// Of a command with more bytes than this the parser's progress is kept, so that none is looked at twice.
const PARTIAL_BYTES: usize = 64 << 10;
/// A buffer for answers above this is not kept.
const KEEP_REPLY_BYTES: usize = 16 << 10;

/// Commands of one client that a turn takes at most, so that it leaves time for others.
const MOST_COMMANDS: usize = 1_024;

/// Limits on clients.
#[derive(Clone, Copy, Debug)]
pub struct ClientLimits {
    /// Most clients of this engine at a time.
    pub count: usize,
    /// Bytes of unread answers before one is hung up on.
    pub output_bytes: usize,
    /// Largest command.
    pub command_bytes: usize,
}

/// The clients of one engine.
#[derive(Debug)]
pub(super) struct Clients {
    limits: ClientLimits,
    open: Slab<Client>,
    args: ArgsBuffer,
    /// Those that the engine has to be told of, and whether they go to the leaders of keys themselves.
    opened: Vec<(u32, bool)>,
    gone: Vec<u32>,
    arrived: Vec<(u32, Source)>,
    /// Clients that will send no more; the engine is told once it has all they sent.
    ended: Vec<u32>,
    /// Clients with commands that were left for a later turn.
    halted: Vec<u32>,
    /// One of them may go on.
    resume: bool,
}

/// A client that has just connected.
#[derive(Debug)]
pub(super) struct Newcomer {
    pub(super) stream: Stream,
    /// Given back when it leaves, if it was let in by another thread.
    pub(super) place: Option<OwnedSemaphorePermit>,
    /// Whether it goes to the leader of a key itself.
    pub(super) in_cluster_mode: bool,
}

impl Newcomer {
    /// One that has knocked at the engine itself, where commands are passed on.
    pub(super) fn at_the_door(stream: Stream) -> Self {
        Self { stream, place: None, in_cluster_mode: false }
    }
}

#[derive(Debug)]
struct Client {
    /// Nothing once it is lost; the engine is told in the next turn.
    wire: Option<Wire>,
    /// Some of its commands were left for a later turn.
    halted: bool,
    /// It sends no more, or nothing that is understood.
    ended: bool,
    /// Its last answer is on its way.
    closing: bool,
    /// The first unused command is looked at again once there are so many bytes of it.
    needs: usize,
    /// How far the parser got with it, if it is large.
    partial: Option<Box<ArgsBuffer>>,
    /// Given back when it leaves, if it was let in by another thread.
    _place: Option<OwnedSemaphorePermit>,
}

#[derive(Clone, Copy, Debug)]
enum Source {
    Arena(usize, usize),
    Unused,
}

/// Why the commands of a client were not all taken.
enum Halt {
    /// The next one is not all there; it is worth another look once there are so many bytes of it.
    Incomplete(usize),
    /// The next one was refused for now.
    Busy,
    /// The turn takes no more of them.
    Enough,
    Broken(ParseError),
}

impl Client {
    fn new(wire: Wire, place: Option<OwnedSemaphorePermit>) -> Self {
        Self {
            wire: Some(wire),
            halted: false,
            ended: false,
            closing: false,
            needs: 0,
            partial: None,
            _place: place,
        }
    }
}

impl Clients {
    /// No clients yet.
    pub(super) fn new(limits: ClientLimits) -> Self {
        Self {
            limits,
            open: Slab::new(),
            args: ArgsBuffer::default(),
            opened: Vec::new(),
            gone: Vec::new(),
            arrived: Vec::new(),
            ended: Vec::new(),
            halted: Vec::new(),
            resume: false,
        }
    }

    /// From now on, these are their limits.
    pub(super) fn limit(&mut self, limits: ClientLimits) {
        self.limits = limits;
    }

    /// Whether the engine has to be told something.
    pub(super) fn has_news(&self) -> bool {
        let whole = |&id: &u32| self.open.get(id as usize).is_none_or(|client| !client.halted);
        self.resume
            || self.ended.iter().any(whole)
            || !(self.opened.is_empty() && self.gone.is_empty() && self.arrived.is_empty())
    }

    /// A new connection.
    pub(super) fn open(&mut self, client: Newcomer, doorbell: &Arc<Doorbell>) {
        let Newcomer { stream, place, in_cluster_mode } = client;
        let full = self.open.len() >= self.limits.count;
        let entry = self.open.vacant_entry();
        let id = entry.key() as u32;
        let bell = doorbell.bell(Token::Client(id));
        let mut wire = Wire::new(stream, bell.clone());
        if full {
            let _ = wire.send(b"-ERR max number of clients reached\r\n");
            wire.hang_up();
            return;
        }
        entry.insert(Client::new(wire, place));
        self.opened.push((id, in_cluster_mode));
        // Its first command may be there already.
        bell.ring();
    }

    /// A client's bell was rung: sends what waits, reads what is there. Tells whether it should be looked at again
    /// without being rung for.
    pub(super) fn gather(&mut self, id: u32, arena: &mut Arena) -> bool {
        let Some(client) = self.open.get_mut(id as usize) else { return false };
        let Some(wire) = &mut client.wire else { return false };
        wire.bell().heard();
        if wire.unsent_len() > 0 {
            let flushed = wire.flush();
            if flushed.is_err() || (client.closing && wire.unsent_len() == 0) {
                self.lose(id);
                return false;
            }
        }
        if client.closing || wire.unsent_len() > PAUSE_BYTES {
            return false;
        }
        if client.ended && !client.halted {
            return false;
        }
        if client.halted {
            self.resume = true;
            return false;
        }
        if !arena.has_room(READ_BYTES) {
            return true;
        }
        let (arrived, more) = wire.read(arena);
        match arrived {
            Arrived::Nothing => (),
            Arrived::InArena(start) => self.arrived.push((id, Source::Arena(start, arena.len()))),
            Arrived::InUnused => self.arrived.push((id, Source::Unused)),
            Arrived::Ended => {
                client.ended = true;
                self.ended.push(id);
            }
            Arrived::Lost => self.lose(id),
        }
        more
    }

    /// Who a client is, by its address; empty if it is gone.
    pub(super) fn peer(&self, id: u32) -> String {
        let wire = self.open.get(id as usize).and_then(|client| client.wire.as_ref());
        wire.map(|wire| wire.addresses().0).unwrap_or_default()
    }

    /// Plays all that was gathered into a turn. `again` gets the clients that should be looked at again.
    pub(super) fn play(&mut self, turn: &mut Turn<'_>, arena: &Arena, again: &mut Vec<Token>) {
        for (id, in_cluster_mode) in self.opened.drain(..) {
            turn.client_opened(ClientId(id));
            if in_cluster_mode {
                turn.client_in_cluster_mode(ClientId(id));
            }
            if let Some(Some(wire)) = self.open.get(id as usize).map(|client| &client.wire) {
                let (peer, local) = wire.addresses();
                turn.client_address(ClientId(id), &peer, &local);
                if wire.is_within() {
                    turn.client_within(ClientId(id));
                }
            }
        }
        self.resume = false;
        for id in std::mem::take(&mut self.halted) {
            let Some(client) = self.open.get(id as usize) else { continue };
            if client.wire.as_ref().is_some_and(|wire| wire.unsent_len() > PAUSE_BYTES) {
                self.halted.push(id);
                continue;
            }
            self.feed(turn, id, arena, Source::Unused);
            if self.open.get(id as usize).is_some_and(|client| !client.halted) {
                again.push(Token::Client(id));
            }
        }
        let mut arrived = std::mem::take(&mut self.arrived);
        for (id, source) in arrived.drain(..) {
            self.feed(turn, id, arena, source);
        }
        self.arrived = arrived;
        for id in std::mem::take(&mut self.ended) {
            match self.open.get(id as usize) {
                Some(client) if client.halted => self.ended.push(id),
                Some(_) => turn.client_ended(ClientId(id), None),
                None => (),
            }
        }
        for id in self.gone.drain(..) {
            turn.client_gone(ClientId(id));
            self.open.remove(id as usize);
        }
    }

    /// Gives the engine the commands of one client.
    fn feed(&mut self, turn: &mut Turn<'_>, id: u32, arena: &Arena, source: Source) {
        let Some(client) = self.open.get_mut(id as usize) else { return };
        let Some(wire) = &mut client.wire else { return };
        let most = self.limits.command_bytes;
        let client_id = ClientId(id);
        let halt = match source {
            Source::Arena(start, end) => {
                let bytes = &arena.bytes()[start..end];
                let (used, halt) = request_all(turn, client_id, bytes, &mut self.args, most);
                wire.unused.extend_from_slice(&bytes[used..]);
                halt
            }
            Source::Unused if wire.unused.len() < client.needs => return,
            Source::Unused => {
                let mut partial = client.partial.take();
                let resumed = partial.is_some();
                let args = partial.as_deref_mut().unwrap_or(&mut self.args);
                let (used, halt) = if resumed {
                    resume(turn, client_id, &wire.unused, args, most)
                } else {
                    request_all(turn, client_id, &wire.unused, args, most)
                };
                if let (Halt::Incomplete(_), true) =
                    (&halt, wire.unused.len() - used > PARTIAL_BYTES)
                {
                    client.partial =
                        Some(partial.unwrap_or_else(|| Box::new(std::mem::take(&mut self.args))));
                }
                wire.used(used);
                halt
            }
        };
        client.halted = matches!(halt, Halt::Busy | Halt::Enough);
        client.needs = 0;
        if client.halted {
            self.halted.push(id);
        }
        match halt {
            Halt::Incomplete(at_least) => client.needs = at_least,
            Halt::Busy => (),
            Halt::Enough => self.resume = true,
            Halt::Broken(error) => {
                client.ended = true;
                turn.client_ended(client_id, Some(&error.to_string()));
            }
        }
    }

    /// Sends an answer.
    pub(super) fn reply(&mut self, id: u32, bytes: &mut Vec<u8>) {
        let Some(client) = self.open.get_mut(id as usize) else { return };
        let Some(wire) = &mut client.wire else { return };
        let sent = wire.send(bytes);
        // It may have been halted because these answers were still to be taken.
        self.resume |= client.halted && wire.unsent_len() <= PAUSE_BYTES;
        if bytes.capacity() > KEEP_REPLY_BYTES {
            *bytes = Vec::new();
        }
        if sent.is_err() {
            self.lose(id);
        } else if wire.unsent_len() > self.limits.output_bytes {
            tracing::warn!(client = id, "hung up on a client that does not read its answers");
            self.lose(id);
        }
    }

    /// Hangs up, once what waits is sent.
    pub(super) fn close(&mut self, id: u32) {
        let Some(client) = self.open.get_mut(id as usize) else { return };
        client.closing = true;
        if client.wire.as_ref().is_some_and(|wire| wire.unsent_len() == 0) {
            self.lose(id);
        }
    }

    fn lose(&mut self, id: u32) {
        let client = &mut self.open[id as usize];
        if let Some(wire) = client.wire.take() {
            wire.hang_up();
            self.gone.push(id);
        }
        self.ended.retain(|&ended| ended != id);
        if client.halted {
            client.halted = false;
            self.halted.retain(|&halted| halted != id);
        }
    }
}

/// Takes up a large command where the parser stopped, then goes on as usual.
fn resume(
    turn: &mut Turn<'_>,
    client: ClientId,
    bytes: &[u8],
    args: &mut ArgsBuffer,
    most: usize,
) -> (usize, Halt) {
    match parse_more(bytes, args, most) {
        Ok(Parsed::Incomplete { at_least }) => (0, Halt::Incomplete(at_least)),
        Err(error) => (bytes.len(), Halt::Broken(error)),
        Ok(Parsed::Command { used }) => {
            if turn.request(client, &args.args(bytes)) == Admission::Busy {
                return (0, Halt::Busy);
            }
            let (more, halt) = request_all(turn, client, &bytes[used..], args, most);
            (used + more, halt)
        }
    }
}

fn request_all(
    turn: &mut Turn<'_>,
    client: ClientId,
    bytes: &[u8],
    args: &mut ArgsBuffer,
    most: usize,
) -> (usize, Halt) {
    let mut used = 0;
    for _ in 0..MOST_COMMANDS {
        match parse(&bytes[used..], args, most) {
            Ok(Parsed::Incomplete { at_least }) => return (used, Halt::Incomplete(at_least)),
            Err(error) => return (bytes.len(), Halt::Broken(error)),
            Ok(Parsed::Command { used: count }) => {
                let command = args.args(&bytes[used..]);
                if !command.is_empty() && turn.request(client, &command) == Admission::Busy {
                    return (used, Halt::Busy);
                }
                used += count;
            }
        }
    }
    (used, Halt::Enough)
}
