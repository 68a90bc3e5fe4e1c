//! Drives one engine of the core: gathers what has arrived, reads both clocks, takes one turn, carries out what
//! it asks for.

mod arena;
mod clients;
mod inbox;
mod peers;
mod ready;
mod recover;
mod wire;

use std::future::{Future as _, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use driftless_core::command::connection::NodeAddress;
use driftless_core::{
    Engine, Event, Instant as Moment, LaneId, Liveness, NodeId, Now, Outputs, SecretOutcome, Span,
    SyncToken,
};
use tokio::sync::mpsc;
use tokio::time::Sleep;

pub use clients::ClientLimits;
pub use inbox::{Inbox, Note};
pub use recover::recover;

use crate::board::{self, Board};
use crate::clock::Clock;
use crate::disk::DiskQueue;
use crate::error::NodeError;
use crate::events;
use crate::live::Live;
use crate::net::{self, Listener};
use crate::vault::Vault;
use arena::Arena;
use clients::{Clients, Newcomer};
use peers::Peers;
use ready::{Bell, Token};
use wire::Stream;

/// How long leaderships are handed over before the node stops all the same.
const RETIRE: Span = Span::millis(3_000);
/// Turns taken one after the other before sockets are looked at again.
const TURNS_IN_A_ROW: u32 = 4;
/// Connections accepted in one turn.
const ACCEPTS: usize = 64;
/// How long no connection is accepted after the system has refused one.
const DOOR_PAUSE: Duration = Duration::from_millis(100);

/// All that an engine's driver works with.
pub struct Lane {
    /// Which engine.
    pub lane: LaneId,
    /// The engine, recovered.
    pub engine: Engine,
    /// What recovery left to be done.
    pub outputs: Outputs,
    /// The clock that recovery has read.
    pub clock: Clock,
    /// Where clients knock, if at this engine.
    pub door: Option<Listener>,
    /// Where other threads leave notes.
    pub inbox: Arc<Inbox>,
    /// The inboxes of all engines of this node, by lane.
    pub engines: Vec<Arc<Inbox>>,
    /// The disk.
    pub disk: Arc<DiskQueue>,
    /// Settings that clients may change.
    pub live: Arc<Live>,
    /// Where passwords are looked into.
    pub vault: Vault,
    /// Where it is shown what the engine does.
    pub board: Arc<Board>,
    /// Where a client's SHUTDOWN is told, and whether at once.
    pub shutdown: mpsc::Sender<bool>,
}

/// Drives an engine until it is told to stop or its disk fails.
pub async fn drive(lane: Lane) -> Result<(), NodeError> {
    let mut driver = Driver::new(lane);
    driver.carry_out();
    driver.soon = true;
    loop {
        driver.wait().await;
        driver.gather();
        let now = driver.clock.now();
        if driver.has_input() || driver.due.is_some_and(|due| due <= now.mono) {
            driver.play(now);
            driver.carry_out();
            driver.show(now);
        }
        if let Some(error) = driver.disk_error.take() {
            return Err(NodeError::Disk { lane: driver.lane.0, problem: error });
        }
        if driver.has_retired(now) {
            driver.stop_disk().await;
            return Ok(());
        }
        driver.arm();
    }
}

/// What an engine has to be told that is not bytes.
#[derive(Debug, Default)]
struct News {
    synced: Vec<SyncToken>,
    liveness: Vec<(NodeId, Liveness)>,
    handoffs: Vec<(LaneId, Vec<u8>)>,
    secrets: Vec<(u64, Option<Vec<SecretOutcome>>)>,
    /// Where nodes are now.
    addresses: Option<Arc<[NodeAddress]>>,
    /// The node is about to stop: how long it may take to hand over.
    retire: Option<Span>,
}

struct Driver {
    lane: LaneId,
    engine: Engine,
    out: Outputs,
    clock: Clock,
    door: Option<Listener>,
    door_bell: Arc<Bell>,
    inbox: Arc<Inbox>,
    engines: Vec<Arc<Inbox>>,
    disk: Arc<DiskQueue>,
    disk_error: Option<std::io::Error>,
    disk_stopped: bool,
    clients: Clients,
    live: Arc<Live>,
    peers: Peers,
    arena: Arena,
    notes: Vec<Note>,
    news: News,
    /// Who rang, or should be looked at again.
    tokens: Vec<Token>,
    again: Vec<Token>,
    /// A turn should be taken whether or not anybody rings.
    soon: bool,
    turns_in_a_row: u32,
    /// When the engine wants a turn, and when the timer rings at the latest.
    due: Option<Moment>,
    armed: Option<Moment>,
    timer: Pin<Box<Sleep>>,
    retire_by: Option<Moment>,
    shutdown: mpsc::Sender<bool>,
    vault: Vault,
    board: Arc<Board>,
    /// When the board may be brought up to date next, and whether there is news for it.
    board_due: Moment,
    board_stale: bool,
}

impl Driver {
    fn new(lane: Lane) -> Self {
        let door_bell = lane.inbox.doorbell().bell(Token::Door);
        door_bell.ring();
        Self {
            lane: lane.lane,
            engine: lane.engine,
            out: lane.outputs,
            clock: lane.clock,
            door: lane.door,
            door_bell,
            inbox: lane.inbox,
            engines: lane.engines,
            disk: lane.disk,
            disk_error: None,
            disk_stopped: false,
            clients: Clients::new(lane.live.client_limits()),
            live: lane.live,
            peers: Peers::default(),
            arena: Arena::new(),
            notes: Vec::new(),
            news: News::default(),
            tokens: Vec::new(),
            again: Vec::new(),
            soon: false,
            turns_in_a_row: 0,
            due: None,
            armed: None,
            timer: Box::pin(tokio::time::sleep(Duration::ZERO)),
            retire_by: None,
            shutdown: lane.shutdown,
            vault: lane.vault,
            board: lane.board,
            board_due: Moment(0),
            board_stale: true,
        }
    }

    /// Waits until somebody rings or the timer does.
    async fn wait(&mut self) {
        self.tokens.append(&mut self.again);
        if !self.news.synced.is_empty() && self.turns_in_a_row < TURNS_IN_A_ROW {
            self.turns_in_a_row += 1;
            let _ = self.inbox.doorbell().poll(Waker::noop(), &mut self.tokens);
            return;
        }
        self.turns_in_a_row = 0;
        if self.soon || !self.tokens.is_empty() || !self.news.synced.is_empty() {
            // Lets the reactor see to the sockets of others meanwhile.
            tokio::task::yield_now().await;
            let _ = self.inbox.doorbell().poll(Waker::noop(), &mut self.tokens);
            return;
        }
        poll_fn(|context| self.poll_wait(context)).await;
    }

    fn poll_wait(&mut self, context: &mut Context<'_>) -> Poll<()> {
        if self.inbox.doorbell().poll(context.waker(), &mut self.tokens).is_ready() {
            return Poll::Ready(());
        }
        if self.armed.is_some() && self.timer.as_mut().poll(context).is_ready() {
            self.armed = None;
            return Poll::Ready(());
        }
        Poll::Pending
    }

    /// Arms the timer for when the engine wants a turn. An earlier ring than that does no harm, so the timer is
    /// left alone unless it would ring too late.
    fn arm(&mut self) {
        let due = match (self.due, self.retire_by) {
            (Some(due), Some(by)) => Some(due.min(by)),
            (due, by) => due.or(by),
        };
        if let Some(due) = due
            && self.armed.is_none_or(|armed| due < armed)
        {
            self.timer.as_mut().reset(self.clock.system(due).into());
            self.armed = Some(due);
        }
    }

    fn gather(&mut self) {
        self.arena.clear();
        let mut tokens = std::mem::take(&mut self.tokens);
        for token in tokens.drain(..) {
            let more = match token {
                Token::Client(id) => self.clients.gather(id, &mut self.arena),
                Token::Peer(node) => self.peers.gather(node, &mut self.arena),
                Token::Inbox => self.gather_notes(),
                Token::Door => self.accept(),
            };
            if more {
                self.again.push(token);
            }
        }
        self.tokens = tokens;
    }

    fn gather_notes(&mut self) -> bool {
        self.inbox.take(&mut self.notes);
        for note in self.notes.drain(..) {
            match note {
                Note::Synced(token) => self.news.synced.push(token),
                Note::DiskFailed(error) => self.disk_error = Some(error),
                Note::DiskStopped => self.disk_stopped = true,
                Note::Connected { node, stream, held } => match net::attach(stream) {
                    Ok(stream) => self.peers.connected(node, stream, held, self.inbox.doorbell()),
                    Err(error) => {
                        tracing::warn!(node = node.0, %error, "a connection was lost at once");
                    }
                },
                Note::Client { stream, place, in_cluster_mode } => {
                    if let Ok(stream) = net::attach(stream) {
                        let client = Newcomer {
                            stream: Stream::Socket(stream),
                            place: Some(place),
                            in_cluster_mode,
                        };
                        self.clients.open(client, self.inbox.doorbell());
                    }
                }
                Note::Addresses(addresses) => self.news.addresses = Some(addresses),
                Note::Liveness(node, liveness) => self.news.liveness.push((node, liveness)),
                Note::Handoff(from, bytes) => self.news.handoffs.push((from, bytes)),
                Note::Secrets { number, outcomes } => self.news.secrets.push((number, outcomes)),
                Note::Caller { pipe, addresses } => {
                    let client = Newcomer::at_the_door(Stream::Within { pipe, addresses });
                    self.clients.open(client, self.inbox.doorbell());
                }
                Note::Show(shown) => {
                    self.board.show(self.lane.0, &self.engine, self.disk.syncs());
                    // Who asked may have gone.
                    let _ = shown.send(());
                }
                Note::Retire { now } => {
                    self.news.retire = Some(if now { Span(0) } else { RETIRE });
                }
            }
        }
        false
    }

    fn accept(&mut self) -> bool {
        self.door_bell.heard();
        let Some(door) = &mut self.door else { return false };
        let waker = Waker::from(self.door_bell.clone());
        for _ in 0..ACCEPTS {
            match door.poll_accept(&mut Context::from_waker(&waker)) {
                Poll::Ready(Ok(stream)) => {
                    let _ = stream.set_nodelay(true);
                    let stream = Stream::Socket(net::Stream::Plain(stream));
                    let client = Newcomer::at_the_door(stream);
                    self.clients.open(client, self.inbox.doorbell());
                }
                Poll::Ready(Err(error)) => {
                    tracing::warn!(%error, "a client could not be accepted");
                    let bell = self.door_bell.clone();
                    tokio::spawn(async move {
                        tokio::time::sleep(DOOR_PAUSE).await;
                        bell.ring();
                    });
                    return false;
                }
                Poll::Pending => return false,
            }
        }
        true
    }

    fn has_input(&self) -> bool {
        self.soon
            || self.clients.has_news()
            || self.peers.has_news()
            || self.disk_error.is_some()
            || self.news.retire.is_some()
            || self.news.addresses.is_some()
            || !(self.news.synced.is_empty()
                && self.news.liveness.is_empty()
                && self.news.handoffs.is_empty()
                && self.news.secrets.is_empty())
    }

    fn play(&mut self, now: Now) {
        self.soon = false;
        self.out.clear();
        let mut turn = self.engine.turn(now, &mut self.out);
        turn.datagrams(self.inbox.datagrams());
        for token in self.news.synced.drain(..) {
            turn.disk_synced(token);
        }
        if self.disk_error.is_some() {
            turn.disk_failed();
        }
        for (node, liveness) in self.news.liveness.drain(..) {
            turn.liveness(node, liveness);
        }
        self.peers.play(&mut turn, &self.arena);
        for (from, bytes) in self.news.handoffs.drain(..) {
            turn.handoff(from, &bytes);
        }
        if let Some(addresses) = self.news.addresses.take() {
            turn.addresses(&addresses);
        }
        for (number, outcomes) in self.news.secrets.drain(..) {
            turn.secrets_done(number, outcomes.as_deref());
        }
        self.clients.play(&mut turn, &self.arena, &mut self.again);
        if let Some(patience) = self.news.retire.take() {
            turn.retire();
            self.door = None;
            self.retire_by = Some(now.mono.plus(patience));
        }
        turn.finish();
    }

    fn carry_out(&mut self) {
        // First, so that they count once the answer is read.
        for (name, value) in self.out.settings.drain(..) {
            self.live.set(name, &value);
            self.clients.limit(self.live.client_limits());
        }
        self.disk.submit(&mut self.out.disk, &mut self.news.synced);
        self.out.sends.drain(|node, bytes| self.peers.send(node, bytes));
        self.out.handoffs.drain(|lane, bytes| {
            if let Some(inbox) = self.engines.get(lane as usize) {
                inbox.push(Note::Handoff(self.lane, std::mem::take(bytes)));
            }
        });
        self.out.replies.drain(|client, bytes| self.clients.reply(client, bytes));
        for work in self.out.secrets.drain(..) {
            self.vault.ask(&self.inbox, &self.clients.peer(work.client.0), work);
        }
        for client in self.out.closes.drain(..) {
            self.clients.close(client.0);
        }
        for event in self.out.events.drain(..) {
            if matches!(event, Event::Leading { .. } | Event::Following { .. }) {
                // Who leads is shown at once: doors tell it with their answers.
                self.board_due = Moment(0);
            }
            if let Event::PeerMalformed { from } = event {
                self.peers.lose(from);
            }
            if let Event::LoginFailed { client } = event {
                let peer = self.clients.peer(client.0);
                tracing::warn!(%peer, "a login failed");
                self.board.note(format!("a login from {peer} failed"));
            }
            events::tell(self.lane, &event);
            if let Some(what) = events::notable(&event) {
                self.board.note(what);
            }
        }
        if let Some(now) = self.out.shutdown.take() {
            // One is enough: a full channel holds one already.
            let _ = self.shutdown.try_send(now);
        }
        self.due = self.out.wake_at.map(|(at, _)| at);
        self.soon = self.clients.has_news() || self.peers.has_news();
    }

    fn show(&mut self, now: Now) {
        self.board.show_changes(&self.engine);
        self.board_stale |= !self.engine.finished().is_empty();
        if self.board_stale && now.mono >= self.board_due {
            self.board_stale = false;
            self.board_due = now.mono.plus(board::EVERY);
            self.board.show(self.lane.0, &self.engine, self.disk.syncs());
        }
    }

    fn has_retired(&self, now: Now) -> bool {
        let Some(by) = self.retire_by else { return false };
        by <= now.mono || !self.engine.leads()
    }

    /// Waits until all that was written is durable.
    async fn stop_disk(&mut self) {
        self.disk.stop();
        while !self.disk_stopped && self.disk_error.is_none() {
            poll_fn(|context| self.inbox.doorbell().poll(context.waker(), &mut self.tokens)).await;
            self.tokens.clear();
            self.gather_notes();
        }
    }
}
