//! Who has something to say: sockets and other threads ring, and the engine's task wakes once for all of them.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Wake, Waker};

/// Who rings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Token {
    /// The door has a new connection.
    Door,
    /// Another thread left a note.
    Inbox,
    /// The connection to a node.
    Peer(u32),
    /// A client.
    Client(u32),
}

/// All that rang since it was last asked.
#[derive(Debug, Default)]
pub(super) struct Doorbell {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    rung: Vec<Token>,
    waker: Option<Waker>,
}

/// One bell at the door: a waker that says who woke.
#[derive(Debug)]
pub(super) struct Bell {
    token: Token,
    doorbell: Arc<Doorbell>,
    /// Whether it is among `rung` already.
    pressed: AtomicBool,
}

impl Doorbell {
    /// A bell that says `token`.
    pub(super) fn bell(self: &Arc<Self>, token: Token) -> Arc<Bell> {
        Arc::new(Bell { token, doorbell: self.clone(), pressed: AtomicBool::new(false) })
    }

    /// Moves all that rang to the end of `tokens`; if nothing did and `tokens` is empty, the waker is called
    /// once something does.
    pub(super) fn poll(&self, waker: &Waker, tokens: &mut Vec<Token>) -> Poll<()> {
        let mut state = self.lock();
        tokens.append(&mut state.rung);
        if !tokens.is_empty() {
            return Poll::Ready(());
        }
        if state.waker.as_ref().is_none_or(|known| !known.will_wake(waker)) {
            state.waker = Some(waker.clone());
        }
        Poll::Pending
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Bell {
    /// Rings.
    pub(super) fn ring(&self) {
        if self.pressed.swap(true, Ordering::AcqRel) {
            return;
        }
        let mut state = self.doorbell.lock();
        state.rung.push(self.token);
        let waker = if state.rung.len() == 1 { state.waker.take() } else { None };
        drop(state);
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// It was heard: from now on it rings anew. To be called before looking at what it rang for.
    pub(super) fn heard(&self) {
        self.pressed.store(false, Ordering::Release);
    }
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.ring();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.ring();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bell_is_heard_once_however_often_it_rings() {
        let doorbell = Arc::new(Doorbell::default());
        let bell = doorbell.bell(Token::Client(7));
        let mut tokens = Vec::new();
        assert_eq!(doorbell.poll(Waker::noop(), &mut tokens), Poll::Pending);
        bell.ring();
        bell.ring();
        assert_eq!(doorbell.poll(Waker::noop(), &mut tokens), Poll::Ready(()));
        assert_eq!(tokens, [Token::Client(7)]);
        tokens.clear();
        bell.ring();
        assert_eq!(
            doorbell.poll(Waker::noop(), &mut tokens),
            Poll::Pending,
            "not heard yet, so not rung anew"
        );
        bell.heard();
        bell.ring();
        assert_eq!(doorbell.poll(Waker::noop(), &mut tokens), Poll::Ready(()));
    }
}
