//! A follower: takes entries, acknowledges what is on its disk.

use crate::bytes::{Malformed, Reader};
use crate::config::{Bug, EngineConfig};
use crate::event::{Event, StepDown};
use crate::ids::{Index, NodeId, Term};
use crate::message::{self, Append, Appended, Behind, Message, take_entry};
use crate::raft::{Io, Journal, Log, Raft, Role};
use crate::time::Instant;

/// What a follower keeps about the leader of this term.
#[derive(Debug, Default)]
pub(crate) struct Following {
    /// Up to here, the log is known to be the leader's.
    agreed: Index,
    pub(crate) reply_due: bool,
    /// The newest round the leader asked to be confirmed.
    round: u64,
    /// Damaged: up to where the log must reach to have made up for what was lost.
    heal: Index,
    pub(super) repair_asked: bool,
    /// Damaged: when the leader was last told.
    told_at: Instant,
}

impl Following {
    /// The leader should know.
    pub(super) fn say_damaged(&mut self, now: Instant) {
        self.told_at = now;
        self.reply_due = true;
    }

    /// Another term, another leader: nothing is known.
    pub(crate) fn restart(&mut self) {
        let repair_asked = self.repair_asked;
        let told_at = self.told_at;
        *self = Self { repair_asked, told_at, ..Self::default() };
    }
}

impl Raft {
    /// Entries from a leader, or news from it.
    pub(crate) fn on_append<J: Journal>(
        &mut self,
        from: NodeId,
        append: &Append<'_>,
        io: &mut Io<'_, J>,
    ) -> Result<(), Malformed> {
        if !self.follows(from, append.term, io) {
            self.refuse(from, append, io);
            return Ok(());
        }
        let held = self.log.term(append.previous);
        let known = append.previous < self.log.before();
        let fits = held == Some(append.previous_term)
            || (io.bug(Bug::PreviousTermIgnored) && held.is_some());
        if !known && !fits {
            self.refuse(from, append, io);
            return Ok(());
        }
        let agreed = self.take_entries(append, io)?;
        self.following.agreed = self.following.agreed.max(agreed);
        let bound =
            if io.bug(Bug::CommitUnbounded) { self.log.last() } else { self.following.agreed };
        self.commit = self.commit.max(append.commit.min(bound));
        self.following.round = self.following.round.max(append.round);
        self.following.reply_due |= append.reply;
        if append.heal > Index(0) && self.damaged {
            self.following.heal = append.heal;
        }
        self.heal_if_whole(io);
        Ok(())
    }

    /// Whether a message of a leader in `term` makes (or finds) this replica its follower.
    pub(crate) fn follows<J: Journal>(
        &mut self,
        from: NodeId,
        term: Term,
        io: &mut Io<'_, J>,
    ) -> bool {
        if term < self.term {
            return false;
        }
        assert!(
            term > self.term || self.role != Role::Leader,
            "two leaders in one term: {from:?} and this one"
        );
        if term > self.term || self.role != Role::Follower {
            self.follow(term, StepDown::HigherTerm, io);
        }
        if self.leader != Some(from) {
            self.leader = Some(from);
            io.events.push(Event::Following { group: self.group, term, leader: from });
        }
        self.campaign_at = None;
        self.electing.lost = 0;
        true
    }

    /// Adds what is new of the entries; returns up to where the log agrees with the leader's.
    fn take_entries<J: Journal>(
        &mut self,
        append: &Append<'_>,
        io: &mut Io<'_, J>,
    ) -> Result<Index, Malformed> {
        let mut reader = Reader::new(append.entries);
        let mut index = append.previous;
        while let Some((term, bytes)) = take_entry(&mut reader)? {
            index = index.next();
            if index <= self.log.before() {
                continue;
            }
            match self.log.term(index) {
                Some(held) if held == term => continue,
                Some(_) => self.cut(index, io),
                None => {}
            }
            let record = io.journal.entry(self.group, term, index, bytes);
            let appended = self.log.append(term, record, bytes);
            debug_assert_eq!(appended, index, "entries are taken in order");
            self.note_config(index, bytes);
            self.foreign_at = io.now;
        }
        if io.bug(Bug::TruncateOnOverlap) && index < self.log.last() && !append.entries.is_empty() {
            self.log.truncate(index);
            self.durable = self.durable.min(index);
        }
        Ok(if io.bug(Bug::AckOwnLast) { self.log.last() } else { index })
    }

    /// Drops the entry at `index` and all behind it: a leader has another one there.
    fn cut<J: Journal>(&mut self, index: Index, io: &mut Io<'_, J>) {
        assert!(index > self.commit, "a committed entry may not be replaced");
        self.log.truncate(index.previous());
        self.configs.truncate(index.previous());
        self.durable = self.durable.min(index.previous());
        io.events.push(Event::Truncated { group: self.group, from: index });
    }

    /// Says no to an append, and what could go before it instead.
    fn refuse<J: Journal>(&mut self, to: NodeId, append: &Append<'_>, io: &mut Io<'_, J>) {
        let mut last = self.log.last().min(append.previous.previous());
        // Whole terms at a step: no entry of a later term than the leader's can be in common.
        while last > self.commit
            && self.log.term(last).is_some_and(|term| term > append.previous_term)
        {
            last = last.previous();
        }
        let behind = Behind {
            group: self.group,
            term: self.term,
            life: io.life,
            refused: append.previous,
            last: last.max(self.commit.min(append.previous)),
            damaged: self.damaged,
        };
        message::send(io.sends, to.0, &Message::Behind(behind));
    }

    /// A leader that is in an older term, and sends nothing but an image: it has to learn of the newer one.
    pub(crate) fn tell_term<J: Journal>(&self, to: NodeId, io: &mut Io<'_, J>) {
        let behind = Behind {
            group: self.group,
            term: self.term,
            life: io.life,
            refused: Index(0),
            last: Index(0),
            damaged: self.damaged,
        };
        message::send(io.sends, to.0, &Message::Behind(behind));
    }

    /// When a damaged replica has to say so again: its leader may be idle, and may not know.
    pub(super) fn damage_due(&self, config: &EngineConfig) -> Option<Instant> {
        let due = self.following.told_at.plus(config.timing.resend_every);
        (self.damaged && self.leader.is_some()).then_some(due)
    }

    /// Answers the leader, at the end of a turn: what it has sent, as far as it is on this disk.
    pub(crate) fn acknowledge<J: Journal>(&mut self, io: &mut Io<'_, J>) {
        let Some(leader) = self.leader.filter(|_| self.role == Role::Follower) else {
            return;
        };
        if !self.following.reply_due || !self.ballot_is_durable() {
            return;
        }
        self.following.reply_due = false;
        let durable = if io.bug(Bug::AckBeforeDurable) { self.log.last() } else { self.durable };
        let appended = Appended {
            group: self.group,
            term: self.term,
            life: io.life,
            matched: self.following.agreed.min(durable),
            commit: self.commit,
            round: self.following.round,
            damaged: self.damaged && !io.bug(Bug::DamagedVotes),
        };
        message::send(io.sends, leader.0, &Message::Appended(appended));
    }

    /// An image of the state at `index` has replaced everything this replica had, and is on its disk.
    pub(crate) fn installed<J: Journal>(
        &mut self,
        index: Index,
        term: Term,
        config: crate::quorum::Config,
        io: &Io<'_, J>,
    ) {
        let drops = io.bug(Bug::SnapshotDropsNewer);
        assert!(index > self.commit || drops, "an image may not take committed entries back");
        assert!(self.role != Role::Leader, "nobody replaces a leader's log");
        self.log = Log::after(index, term);
        self.configs = crate::quorum::Configs::new(index, config);
        self.durable = index;
        self.commit = index;
        // What the image holds may have given its leader a lease until a moment ago.
        self.foreign_at = io.now;
        self.following.agreed = index;
        self.following.reply_due = true;
    }

    /// An image from this term's leader is of use only beyond what is committed here, and only if the
    /// log does not hold its last entry already: then it need not replace anything.
    pub(crate) fn image_is_news(&mut self, index: Index, term: Term, bug: Bug) -> bool {
        if Bug::SnapshotDropsNewer.active(bug) && self.log.term(index).is_some() {
            return true;
        }
        if index <= self.commit {
            // What is committed on both sides is the same.
            self.following.agreed = self.following.agreed.max(index);
            self.following.reply_due = true;
            return false;
        }
        if self.log.term(index) == Some(term) {
            self.commit = index;
            self.following.agreed = self.following.agreed.max(index);
            self.following.reply_due = true;
            return false;
        }
        true
    }

    /// A damaged replica that holds all the leader had when it learnt of the damage has made up for every
    /// promise it may have forgotten: whatever it had acknowledged is in that leader's log.
    pub(super) fn heal_if_whole<J: Journal>(&mut self, io: &mut Io<'_, J>) {
        let following = &mut self.following;
        if !self.damaged || following.heal == Index(0) || following.repair_asked {
            return;
        }
        if self.durable.min(following.agreed) >= following.heal {
            following.repair_asked = true;
            io.journal.repaired(self.group);
        }
    }

    /// An earlier life has made promises that the disk knows nothing of. What has been repaired since this life
    /// began has made up for them; tells whether this replica has yet to.
    pub(crate) fn forget<J: Journal>(&mut self, io: &mut Io<'_, J>) -> bool {
        if self.healed {
            return false;
        }
        if self.role == Role::Leader {
            self.resign(StepDown::Forgot, io);
        }
        self.damaged = true;
        self.role = Role::Follower;
        self.leader = None;
        self.campaign_at = None;
        self.electing = super::election::Electing::default();
        self.following = Following::default();
        true
    }

    /// The record that says so is on disk.
    pub(crate) fn repaired<J: Journal>(&mut self, io: &mut Io<'_, J>) {
        if self.damaged && self.following.repair_asked {
            (self.damaged, self.healed) = (false, true);
            if self.is_blank() {
                io.events.push(Event::Born { group: self.group });
                self.begin(io);
                return;
            }
            io.events.push(Event::Repaired { group: self.group, index: self.durable });
            self.following.reply_due = true;
            if self.leader.is_none() {
                self.plan_campaign(io.config.timing.election_timeout, io);
            }
        }
    }
}
