//! Which commands of another node a replica takes.
//!
//! Invariant: of what one attempt sends, a replica takes a prefix, each command once: the first that it
//! refuses, or that did not arrive, is the end of the attempt. So a refusal speaks for everything behind it, and
//! a node that sends again what was refused never lets a later command pass an earlier one.

use crate::config::Bug;
use crate::ids::Life;
use crate::message::Forward;

/// What was taken of the latest attempt of one node.
#[derive(Debug, Default)]
pub(crate) struct Intake {
    life: Life,
    attempt: u64,
    /// The place of the next command to take.
    next: u64,
    /// Everything before this id was taken, as far as it belongs to the attempt.
    taken: u64,
    refused: bool,
}

/// What to do with a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Arrival {
    /// It is the next one: [`Intake::take`] or [`Intake::refuse`] it.
    Next,
    /// It came before, or its attempt is over.
    Late,
    /// One before it did not arrive: from this id on nothing is taken.
    Gap(u64),
}

impl Intake {
    pub(crate) fn arrive(&mut self, forward: &Forward<'_>, bug: Bug) -> Arrival {
        let attempt = (forward.life, forward.attempt);
        if attempt < (self.life, self.attempt) {
            return Arrival::Late;
        }
        if attempt > (self.life, self.attempt) {
            *self = Self { life: attempt.0, attempt: attempt.1, ..Self::default() };
        }
        if Bug::RefusalForgotten.active(bug) && forward.place >= self.next {
            self.next = forward.place;
            return Arrival::Next;
        }
        if self.refused || forward.place < self.next {
            return Arrival::Late;
        }
        if forward.place > self.next {
            self.refused = true;
            return Arrival::Gap(self.taken);
        }
        Arrival::Next
    }

    pub(crate) fn take(&mut self, id: u64) {
        self.next += 1;
        self.taken = id + 1;
    }

    pub(crate) fn refuse(&mut self) {
        self.refused = true;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::{GroupId, Keyspace, Term};
    use crate::resp::Proto;

    fn arrive(intake: &mut Intake, (life, attempt, place): (u64, u64, u64)) -> Arrival {
        let forward = Forward {
            group: GroupId(1),
            term: Term(1),
            life: Life(life),
            attempt,
            place,
            id: 10 + place,
            write: None,
            proto: Proto::Resp2,
            keyspace: Keyspace(0),
            args: b"",
        };
        let arrival = intake.arrive(&forward, Bug::None);
        if arrival == Arrival::Next && place != 3 {
            intake.take(forward.id);
        } else if arrival == Arrival::Next {
            intake.refuse();
        }
        arrival
    }

    #[test]
    fn a_prefix_of_an_attempt_is_taken_and_nothing_else() {
        let mut intake = Intake::default();
        // The fourth of every attempt is refused.
        for (sent, expected) in [
            ((1, 1, 0), Arrival::Next),
            ((1, 1, 1), Arrival::Next),
            ((1, 1, 1), Arrival::Late),
            ((1, 1, 2), Arrival::Next),
            ((1, 1, 3), Arrival::Next),
            ((1, 1, 3), Arrival::Late),
            ((1, 1, 4), Arrival::Late),
            ((1, 2, 1), Arrival::Gap(0)),
            ((1, 2, 0), Arrival::Late),
            ((1, 3, 0), Arrival::Next),
            ((1, 3, 2), Arrival::Gap(11)),
            ((1, 3, 1), Arrival::Late),
            ((1, 2, 1), Arrival::Late),
            ((2, 1, 0), Arrival::Next),
            ((1, 4, 0), Arrival::Late),
        ] {
            assert_eq!(arrive(&mut intake, sent), expected, "{sent:?}");
        }
    }
}
