//! Clients that have been silent for too long are hung up on, as Redis does by its setting `timeout`. A command that
//! comes a byte at a time counts as silence until it is there.

use crate::command::connection::Settings;
use crate::engine::turn::Turn;
use crate::ids::ClientId;
use crate::time::{Instant, Span};

/// Between two looks at all clients.
const LOOK_EVERY: Span = Span::millis(1_000);

/// How long clients may be silent, and when they are looked at next.
#[derive(Clone, Copy, Debug)]
pub(super) struct Idle {
    most: Span,
    /// Never, if they may be silent for ever.
    look_at: Option<Instant>,
}

impl Idle {
    /// As the settings have it.
    pub(super) fn new(settings: &Settings, now: Instant) -> Self {
        let most = Span::millis(settings.number("timeout").saturating_mul(1_000));
        let look_at = (most > Span(0)).then(|| now.plus(LOOK_EVERY));
        Self { most, look_at }
    }

    /// When it is time to look.
    pub(super) fn look_at(&self) -> Option<Instant> {
        self.look_at
    }
}

impl Turn<'_> {
    /// A client speaks for others, who may be silent as long as they like.
    pub fn client_within(&mut self, client: ClientId) {
        if let Some(state) = self.engine.sessions.client_mut(client) {
            state.connection.within = true;
        }
    }

    pub(super) fn hang_up_on_silent(&mut self) {
        let engine = &mut *self.engine;
        let now = engine.now.mono;
        if engine.idle.look_at.is_none_or(|at| at > now) {
            return;
        }
        engine.idle.look_at = Some(now.plus(LOOK_EVERY));
        for (id, client) in engine.sessions.iter() {
            let silent = now.since(client.connection.last_used) >= engine.idle.most;
            if silent && client.pending() == 0 && !client.connection.within && !client.closing {
                self.out.closes.push(id);
            }
        }
    }
}
