//! How old what a replica knows may be, for clients that are content with less than the newest (READONLY).
//!
//! Invariant: everything that was acknowledged before `as_of` is applied here. A replica that does not lead learns it
//! by asking its leader for the newest place in the log, as a linearizable read: whatever was acknowledged before the
//! question was put stands no later. Once this replica has applied as much, it is as fresh as the moment of
//! the question, whatever the clocks of others show. It asks as long as somebody reads, once half of the bound is used up.

use crate::ids::Index;
use crate::resp::{Value, decode};
use crate::time::{Instant, Span};

/// What a replica knows of how fresh it is.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Freshness {
    as_of: Option<Instant>,
    /// The newest question that is answered and not made use of yet: when it was put, and what must be applied.
    told: Option<(Instant, Index)>,
    /// When the last one was put.
    asked: Option<Instant>,
}

impl Freshness {
    /// How old the state of the replica is at most, if it is known.
    pub(super) fn age(&mut self, applied: Index, now: Instant) -> Option<Span> {
        if let Some((asked, _)) = self.told.filter(|(_, needed)| applied >= *needed) {
            self.as_of = self.as_of.max(Some(asked));
            self.told = None;
        }
        self.as_of.map(|as_of| now.since(as_of))
    }

    /// Whether a question is still on its way (after `patience` it is no more), or answered and of use once more is
    /// applied, that is younger than `most`. Else a replica that is always a little behind would ask for something newer each time,
    /// and never have it.
    pub(super) fn is_asking(&self, now: Instant, patience: Span, most: Span) -> bool {
        self.asked.is_some_and(|asked| now.since(asked) < patience)
            || self.told.is_some_and(|(asked, _)| now.since(asked) < most)
    }

    /// A question is put.
    pub(super) fn ask(&mut self, now: Instant) {
        self.asked = Some(now);
    }

    /// The leader has answered the question that was put at `asked`.
    pub(super) fn answered(&mut self, asked: Instant, answer: &[u8]) {
        if self.asked == Some(asked) {
            self.asked = None;
        }
        let Some(needed) = place_in(answer) else { return };
        if self.told.is_none_or(|(before, _)| before < asked) {
            self.told = Some((asked, needed));
        }
    }
}

/// The entry that an answer of `CHANGES partition $` speaks of: the last one that has changed anything. None if it is an error,
/// as where no changes are remembered.
fn place_in(answer: &[u8]) -> Option<Index> {
    let Ok(Some((Value::Array(items), _))) = decode(answer) else { return None };
    match items.into_iter().next() {
        Some(Value::Integer(version)) => u64::try_from(version).ok().map(|bits| Index(bits >> 16)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANSWER: &[u8] = b"*2\r\n:458752\r\n*0\r\n";

    #[test]
    fn a_replica_is_as_fresh_as_its_question_once_it_has_caught_up() {
        let mut known = Freshness::default();
        let asks = |known: &Freshness, at| known.is_asking(Instant(at), Span(60), Span(200));
        known.ask(Instant(100));
        assert!(asks(&known, 150) && !asks(&known, 160));
        known.answered(Instant(100), ANSWER);
        assert!(asks(&known, 299) && !asks(&known, 300), "the answer may still come to be of use");
        assert_eq!(known.age(Index(6), Instant(200)), None);
        assert_eq!(known.age(Index(7), Instant(200)), Some(Span(100)));
        assert_eq!(known.age(Index(7), Instant(300)), Some(Span(200)));
        assert!(!asks(&known, 201));
    }

    #[test]
    fn errors_and_late_answers_make_nothing_fresher() {
        let mut known = Freshness::default();
        known.ask(Instant(100));
        known.answered(Instant(100), b"-CLUSTERDOWN no leader\r\n");
        assert_eq!(known.age(Index(9), Instant(200)), None);
        known.answered(Instant(300), ANSWER);
        known.answered(Instant(100), ANSWER);
        assert_eq!(known.age(Index(9), Instant(350)), Some(Span(50)));
    }
}
