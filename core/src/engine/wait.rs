//! WAIT and WAITAOF: the leader of each group that the connection has written is asked how many replicas
//! have it all, and asked again until enough do or the time is over.

use alloc::string::ToString;
use alloc::vec::Vec;

use crate::command::{self, CommandId, Merge, Spec};
use crate::engine::Turn;
use crate::engine::request::Asked;
use crate::ids::{ClientId, GroupId, Keyspace};
use crate::message::{Agreed, Ticket};
use crate::resp::{ArgsBuffer, Proto, Value, decode};
use crate::time::{Instant, Span};

/// How long a leader may take to answer: well below the time after which it is asked again in any case.
const HOLD: Span = Span::millis(200);

/// A client that waits for replicas.
#[derive(Clone, Debug)]
pub(super) struct Wait {
    ticket: Ticket,
    spec: &'static Spec,
    keyspace: Keyspace,
    proto: Proto,
    wanted: i64,
    /// What it has written.
    groups: Vec<GroupId>,
    /// `None`: as long as it takes.
    until: Option<Instant>,
}

impl Wait {
    /// Whether it is a command of this client.
    pub(super) fn is_of(&self, client: ClientId) -> bool {
        self.ticket.client == client
    }
}

impl Turn<'_> {
    /// WAIT numreplicas timeout; WAITAOF numlocal numreplicas timeout. Every write that was answered before
    /// is on the disks of a majority, and answers leave in order: so much is certain at once.
    pub(super) fn on_wait(&mut self, asked: &Asked<'_>) {
        let Asked { spec, args, ticket, keyspace, proto, .. } = *asked;
        let number = |at| -> Option<i64> {
            args.get(at).and_then(|text| core::str::from_utf8(text).ok()?.parse().ok())
        };
        let first = args.len() - 2;
        let counts: Option<Vec<i64>> = (1..=first).map(number).collect();
        let (wanted, timeout) = match (counts, number(first + 1)) {
            (None, _) => {
                return self.refuse_wait(asked, "ERR value is not an integer or out of range");
            }
            (_, None) => {
                return self.refuse_wait(asked, "ERR timeout is not an integer or out of range");
            }
            (_, Some(timeout)) if timeout < 0 => {
                return self.refuse_wait(asked, "ERR timeout is negative");
            }
            (Some(counts), Some(timeout)) => (counts[first - 1], timeout.cast_unsigned()),
        };
        let state = self.engine.sessions.client(ticket.client).expect("it has just asked");
        let groups: Vec<GroupId> = state.written().collect();
        let until = (timeout > 0).then(|| self.engine.now.mono.plus(Span::millis(timeout)));
        let wait = Wait { ticket, spec, keyspace, proto, wanted, groups, until };
        let others = i64::from(self.factor()) - 1;
        if wait.groups.is_empty() {
            self.end_wait(&wait, others);
        } else if wanted <= self.surely_reached() {
            self.end_wait(&wait, self.surely_reached());
        } else {
            self.ask_replicas(&wait);
            self.engine.waits.push(wait);
        }
    }

    fn refuse_wait(&mut self, asked: &Asked<'_>, text: &str) {
        self.reply(asked.ticket, asked.proto, |reply| reply.error(text));
    }

    /// How many other replicas a majority takes.
    fn surely_reached(&self) -> i64 {
        i64::from(self.factor() / 2)
    }

    fn factor(&self) -> u32 {
        self.engine.placement.factor() as u32
    }

    fn end_wait(&mut self, wait: &Wait, reached: i64) {
        self.reply(wait.ticket, wait.proto, |reply| {
            if wait.spec.id == CommandId::WaitAof {
                reply.array(2);
                reply.integer(1);
            }
            reply.integer(reached);
        });
    }

    fn ask_replicas(&mut self, wait: &Wait) {
        let Wait { ticket, keyspace, proto, .. } = *wait;
        let now = self.engine.now.mono;
        let hold = wait.until.map_or(HOLD, |until| until.since(now).min(HOLD)).as_millis();
        let (mut buffer, mut bytes) = (ArgsBuffer::default(), Vec::new());
        let words = [b"WAIT".to_vec(), wait.wanted.to_string().into(), hold.to_string().into()];
        let args = buffer.compose(&mut bytes, &words.each_ref().map(Vec::as_slice));
        let Ok(spec) = command::resolve(&args) else { unreachable!("WAIT is a command") };
        let agreed = Agreed::default();
        let asked = Asked { spec, args, ticket, keyspace, proto, agreed };
        self.engine.sessions.split(ticket, Merge::Least, proto, wait.groups.len(), Vec::new());
        for (part, group) in wait.groups.iter().enumerate() {
            self.ask(*group, &asked, part as u16, &args);
        }
    }

    /// The leaders have answered: so has the client to be, or they are asked again.
    pub(super) fn go_on_waiting(&mut self) {
        for (ticket, answer) in self.engine.sessions.take_gathered() {
            let Some(at) = self.engine.waits.iter().position(|wait| wait.ticket == ticket) else {
                continue;
            };
            let reached = match decode(&answer) {
                Ok(Some((Value::Integer(least), _))) => least,
                // Some group has no leader.
                _ => 0,
            };
            let reached = reached.max(self.surely_reached());
            let wait = &self.engine.waits[at];
            let over = wait.until.is_some_and(|until| until <= self.engine.now.mono);
            let closing =
                self.engine.sessions.client(ticket.client).is_none_or(|client| client.closing);
            if reached >= wait.wanted || over || closing {
                let wait = self.engine.waits.swap_remove(at);
                self.end_wait(&wait, reached);
            } else {
                let wait = wait.clone();
                self.ask_replicas(&wait);
            }
        }
    }
}
