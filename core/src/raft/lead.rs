//! A leader: sends entries, counts acknowledgements, commits, hands over.

use alloc::collections::VecDeque;
use alloc::vec::Vec;

use crate::config::{Bug, EngineConfig};
use crate::event::StepDown;
use crate::ids::{Index, Life, NodeId, Term};
use crate::message::{self, Append, Appended, Behind, Message};
use crate::pulse::Pulse;
use crate::raft::{Io, Journal, Raft, Role};
use crate::time::Instant;

/// How a leader sends to one follower.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// Looking for where the logs agree: one append at a time.
    Probe,
    /// In step: appends flow without waiting.
    Pipeline,
    /// Too far behind for the log held: it gets an image, from the group.
    Image,
}

/// What a leader knows of one follower.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Progress {
    pub(crate) node: NodeId,
    pub(crate) state: State,
    /// What it is known to have on disk.
    pub(crate) matched: Index,
    /// The next entry to send.
    pub(super) next: Index,
    /// Its word about what it knows to be committed.
    commit: Index,
    commit_sent: Index,
    /// The newest round it has confirmed, and been asked.
    pub(super) round: u64,
    round_sent: u64,
    /// A probe is on its way.
    pub(super) waiting: bool,
    /// When it last got further, or was last sent to again.
    pub(super) moved_at: Instant,
    /// The run of its process that spoke last.
    life: Life,
    /// It has lost promises: not counted until it holds everything up to `heal`.
    damaged: bool,
    heal: Index,
    /// It is told so once this round is confirmed: only a leader that a whole majority still followed
    /// after the damage knows of everything that was promised before it.
    heal_round: u64,
}

/// What a leader keeps.
#[derive(Debug)]
pub(crate) struct Leading {
    pub(crate) progress: Vec<Progress>,
    /// The same `matched`, for those who look from outside.
    pub(crate) matched: Vec<(NodeId, Index)>,
    /// The first entry of this reign has still to be proposed.
    pub(crate) opening: bool,
    /// The last entry of earlier reigns: what lies between the commit index and it is in doubt.
    pub(crate) inherited: Index,
    /// When own entries that are not committed yet were made.
    created: VecDeque<(Index, Instant)>,
    /// When the newest committed own entry was made: the lease counts from here.
    pub(super) lease_from: Option<Instant>,
    /// Until then an earlier leader may still answer reads: nothing is committed before.
    hold_until: Instant,
    pub(super) round: u64,
    pub(super) transfer: Option<Transfer>,
}

/// The newest round, and the newest that a majority has confirmed.
#[derive(Clone, Copy, Debug)]
struct Round {
    newest: u64,
    confirmed: u64,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Transfer {
    to: NodeId,
    pub(super) until: Instant,
    ordered: bool,
}

impl Leading {
    pub(super) fn new(raft: &Raft, hold_until: Instant, now: Instant) -> Self {
        let last = raft.log.last();
        let follower = |node| Progress {
            node,
            state: State::Probe,
            matched: Index(0),
            next: last.next(),
            commit: Index(0),
            commit_sent: Index(0),
            round: 0,
            round_sent: 0,
            waiting: false,
            moved_at: now,
            life: Life(0),
            damaged: false,
            heal: Index(0),
            heal_round: 0,
        };
        let others = raft.config().members().into_iter().filter(|node| *node != raft.me);
        let progress: Vec<Progress> = others.map(follower).collect();
        Self {
            matched: progress.iter().map(|follower| (follower.node, Index(0))).collect(),
            progress,
            opening: true,
            inherited: last,
            created: VecDeque::new(),
            lease_from: None,
            hold_until,
            round: 0,
            transfer: None,
        }
    }

    pub(super) fn deadline(
        &self,
        raft: &Raft,
        now: Instant,
        config: &EngineConfig,
        pulse: &Pulse,
    ) -> Option<Instant> {
        let mut at: Option<Instant> = None;
        let mut sooner = |other: Instant| at = Some(at.map_or(other, |at| at.min(other)));
        let last = raft.log.last();
        for follower in &self.progress {
            // One that does not hear this node is tried again once it does.
            let waits = follower.state == State::Image || !pulse.connected(follower.node);
            if follower.owes(last, raft.commit) && !waits {
                sooner(raft.resend_at(follower, config, pulse));
            }
        }
        if self.hold_until > now {
            sooner(self.hold_until);
        }
        if let Some(transfer) = &self.transfer {
            sooner(transfer.until);
        }
        at
    }

    /// Whether a hand-over is under way: no new writes are taken meanwhile.
    pub(crate) fn handing_over(&self) -> bool {
        self.transfer.is_some()
    }

    pub(super) fn of(&mut self, node: NodeId) -> Option<&mut Progress> {
        self.progress.iter_mut().find(|follower| follower.node == node)
    }
}

impl Progress {
    /// Whether this follower has still something to say.
    pub(super) fn owes(&self, last: Index, commit: Index) -> bool {
        self.matched < last || self.commit < commit || self.round < self.round_sent || self.damaged
    }
}

impl Raft {
    /// Appends an entry to the log of this reign; returns its index.
    pub(crate) fn propose<J: Journal>(&mut self, bytes: &[u8], io: &mut Io<'_, J>) -> Index {
        assert_eq!(self.role, Role::Leader, "only a leader proposes");
        let index = self.log.last().next();
        let record = io.journal.entry(self.group, self.term, index, bytes);
        self.log.append(self.term, record, bytes);
        self.note_config(index, bytes);
        let leading = self.leading.as_mut().expect("a leader knows its followers");
        leading.opening = false;
        leading.created.push_back((index, io.now));
        index
    }

    /// A follower's word about what it has on disk.
    pub(crate) fn on_appended<J: Journal>(
        &mut self,
        from: NodeId,
        appended: &Appended,
        io: &mut Io<'_, J>,
    ) {
        if appended.term > self.term {
            self.follow(appended.term, StepDown::HigherTerm, io);
            return;
        }
        let stale = appended.term < self.term && !io.bug(Bug::StaleAckCounted);
        let last = self.log.last();
        let Some(leading) = self.leading.as_mut().filter(|_| !stale) else {
            return;
        };
        let Some(at) = leading.progress.iter().position(|follower| follower.node == from) else {
            return;
        };
        let follower = &mut leading.progress[at];
        if !follower.hears(appended.life, appended.damaged, last, &mut leading.round) {
            return;
        }
        let before = (follower.matched, follower.commit, follower.round);
        follower.matched = follower.matched.max(appended.matched);
        follower.commit = follower.commit.max(appended.commit);
        if !appended.damaged {
            follower.round = follower.round.max(appended.round);
        }
        follower.next = follower.next.max(follower.matched.next());
        if (follower.matched, follower.commit, follower.round) != before {
            follower.moved_at = io.now;
        }
        follower.waiting = false;
        if follower.state != State::Image || self.log.term(follower.matched).is_some() {
            follower.state = State::Pipeline;
        }
        leading.matched[at].1 = follower.counted();
    }

    /// A follower lacks the entry before those it was sent.
    pub(crate) fn on_behind<J: Journal>(
        &mut self,
        from: NodeId,
        behind: &Behind,
        io: &mut Io<'_, J>,
    ) {
        if behind.term > self.term {
            self.follow(behind.term, StepDown::HigherTerm, io);
            return;
        }
        if behind.term < self.term {
            return;
        }
        let last = self.log.last();
        let Some(leading) = self.leading.as_mut() else { return };
        let Some(at) = leading.progress.iter().position(|follower| follower.node == from) else {
            return;
        };
        let follower = &mut leading.progress[at];
        if !follower.hears(behind.life, behind.damaged, last, &mut leading.round) {
            return;
        }
        leading.matched[at].1 = leading.progress[at].counted();
        let follower = &mut leading.progress[at];
        // Told by what was refused: a stale refusal speaks of something long since agreed on.
        let current = match follower.state {
            State::Probe => behind.refused == follower.next.previous(),
            State::Pipeline => behind.refused > follower.matched,
            State::Image => false,
        };
        if current && behind.refused <= follower.matched {
            // It had acknowledged this very entry: its disk has lost it without a sign.
            follower.matched = Index(0);
            leading.matched[at].1 = Index(0);
        }
        let follower = &mut leading.progress[at];
        if current {
            follower.state = State::Probe;
            follower.next = behind.last.next().min(follower.next).max(follower.matched.next());
            follower.waiting = false;
            follower.moved_at = io.now;
        }
    }

    /// Leads no more, of its own accord, and says so.
    pub(crate) fn resign<J: Journal>(&mut self, why: StepDown, io: &mut Io<'_, J>) {
        assert_eq!(self.role, Role::Leader, "only a leader can resign");
        let (group, term) = (self.group, self.term);
        for node in self.config().members() {
            if node != self.me {
                message::send(io.sends, node.0, &Message::Resigned { group, term });
            }
        }
        self.follow(term, why, io);
    }

    /// A leader that a majority does not hear may already have been replaced.
    pub(crate) fn check_quorum<J: Journal>(&mut self, io: &mut Io<'_, J>) {
        if self.role == Role::Leader
            && !self.config().quorum(Bug::None, |node| node == self.me || io.pulse.connected(node))
        {
            // Others may hear this node though it does not hear them: they should know.
            self.resign(StepDown::NoQuorum, io);
        }
    }

    /// Commits what a majority has on disk: entries of this term, and with them all before (Raft, section
    /// 5.4.2), once no earlier leader can still answer reads. Returns whether anything was.
    pub(crate) fn advance_commit<J: Journal>(&mut self, io: &mut Io<'_, J>) -> bool {
        let Some(leading) = self.leading.as_ref().filter(|_| self.commit < self.log.last()) else {
            return false;
        };
        let own = if io.bug(Bug::LeaderCountsUndurable) { self.log.last() } else { self.durable };
        let reached = |node: NodeId| {
            if node == self.me {
                return own;
            }
            let known = leading.progress.iter().find(|follower| follower.node == node);
            known.map_or(Index(0), Progress::counted)
        };
        let agreed = self.config().agreed(io.config.bug, reached);
        let of_term = self.log.term(agreed) == Some(self.term);
        let may = if of_term { io.now >= leading.hold_until } else { io.bug(Bug::OldTermCommit) };
        if agreed <= self.commit || !may {
            return false;
        }
        self.commit = agreed.min(self.log.last());
        let leading = self.leading.as_mut().expect("it led a moment ago");
        while let Some((_, at)) = leading.created.pop_front_if(|(index, _)| *index <= agreed) {
            leading.lease_from = Some(at);
        }
        true
    }

    /// Sends what each follower lacks, at the end of a turn.
    pub(crate) fn send_appends<J: Journal>(&mut self, io: &mut Io<'_, J>) {
        let Some(leading) = self.leading.as_ref() else {
            return;
        };
        // Nobody else asks for it.
        let healing = leading.progress.iter().any(|follower| follower.heal > Index(0));
        let confirmed = if healing { self.confirmed_round() } else { 0 };
        let mut leading = self.leading.take().expect("it was just looked at");
        let round = Round { newest: leading.round, confirmed };
        for follower in &mut leading.progress {
            self.send_to(follower, round, io);
        }
        self.hand_over_if_ready(&mut leading, io);
        self.leading = Some(leading);
    }

    fn send_to<J: Journal>(&self, follower: &mut Progress, round: Round, io: &mut Io<'_, J>) {
        if self.log.term(follower.next.previous()).is_none() {
            follower.state = State::Image;
        }
        let last = self.log.last();
        match follower.state {
            State::Probe if !follower.waiting && io.pulse.alive(follower.node) => {
                follower.waiting = true;
                follower.moved_at = io.now;
                self.send_append(follower, round, true, io);
            }
            State::Pipeline => {
                let limit = io.config.limits.in_flight_bytes as u64;
                let mut sent = false;
                while follower.next <= last && self.in_flight(follower) < limit {
                    if !sent && follower.matched.next() == follower.next {
                        follower.moved_at = io.now;
                    }
                    self.send_append(follower, round, false, io);
                    sent = true;
                }
                if !sent
                    && (follower.commit_sent < self.commit || follower.round_sent < round.newest)
                {
                    self.send_empty(follower, round, io);
                }
            }
            State::Probe | State::Image => {
                if follower.round_sent < round.newest {
                    self.send_empty(follower, round, io);
                }
            }
        }
    }

    pub(super) fn in_flight(&self, follower: &Progress) -> u64 {
        let sent = self.log.position(follower.next.previous());
        sent - self.log.position(follower.matched.max(self.log.before())).min(sent)
    }

    fn header(&self, follower: &mut Progress, previous: Index, round: Round) -> Append<'static> {
        let Round { newest: round, confirmed } = round;
        let asks = round > follower.round_sent;
        follower.round_sent = round;
        follower.commit_sent = self.commit;
        Append {
            group: self.group,
            term: self.term,
            previous,
            previous_term: self.log.term(previous).unwrap_or_default(),
            commit: self.commit,
            round,
            reply: asks,
            heal: if confirmed >= follower.heal_round { follower.heal } else { Index(0) },
            entries: &[],
        }
    }

    fn send_append<J: Journal>(
        &self,
        follower: &mut Progress,
        round: Round,
        reply: bool,
        io: &mut Io<'_, J>,
    ) {
        let previous = follower.next.previous();
        let mut append = self.header(follower, previous, round);
        append.reply |= reply;
        let lane = io.sends.lane(follower.node.0);
        let start = message::begin_append(lane, &append);
        let most = io.config.limits.append_bytes;
        let mut bytes = 0;
        let mut next = follower.next;
        while let Some((term, entry)) = self.log.entry(next).filter(|_| bytes < most.max(1)) {
            message::push_entry(lane, term, entry);
            bytes += entry.len();
            next = next.next();
        }
        message::finish(lane, start);
        if follower.state == State::Pipeline {
            follower.next = next;
        }
    }

    /// News without entries, after what the follower is known to have.
    fn send_empty<J: Journal>(&self, follower: &mut Progress, round: Round, io: &mut Io<'_, J>) {
        let previous = match follower.state {
            State::Pipeline => follower.next.previous(),
            State::Probe | State::Image => follower.matched,
        };
        // What stands before the first entry is the same everywhere.
        let held = self.log.term(previous).is_some();
        let previous = if held { previous } else { Index(0) };
        let append = self.header(follower, previous, round);
        message::send(io.sends, follower.node.0, &Message::Append(append));
    }

    /// The group has no more image to send to a node: back to the log.
    pub(crate) fn image_over(&mut self, node: NodeId, now: Instant) {
        if let Some(follower) = self.leading.as_mut().and_then(|leading| leading.of(node)) {
            let last = self.log.last();
            follower.start_over(now);
            follower.next = last.next();
        }
    }

    /// A follower that the log held cannot help any more.
    /// If there are several, they take turns: the first one behind `last` in the order of nodes.
    pub(crate) fn wants_image(&self, last: Option<NodeId>, pulse: &Pulse) -> Option<NodeId> {
        let leading = self.leading.as_ref()?;
        let waits =
            |follower: &&Progress| follower.state == State::Image && pulse.connected(follower.node);
        let waiting = leading.progress.iter().filter(waits).map(|follower| follower.node);
        waiting.min_by_key(|node| (Some(*node) <= last, *node))
    }

    /// Hands leadership to the most advanced follower that is fit; whether there is one.
    pub(crate) fn hand_over<J: Journal>(&mut self, io: &mut Io<'_, J>) -> bool {
        let until = io.now.plus(io.config.timing.election_timeout);
        let config = self.configs.current();
        let Some(leading) = self.leading.as_mut() else {
            return false;
        };
        if leading.transfer.is_some() {
            return true;
        }
        let fit = |follower: &&Progress| {
            config.is_voter(follower.node)
                && io.pulse.fit(follower.node)
                && !follower.damaged
                && follower.state == State::Pipeline
        };
        let best = leading.progress.iter().filter(fit).max_by_key(|follower| follower.matched);
        let Some(to) = best.map(|follower| follower.node) else {
            return false;
        };
        leading.transfer = Some(Transfer { to, until, ordered: false });
        true
    }

    /// Hands leadership to `to`, which should lead, if that takes but a moment; whether it is under way.
    pub(crate) fn hand_back<J: Journal>(&mut self, to: NodeId, io: &mut Io<'_, J>) -> bool {
        let last = self.log.position(self.log.last());
        let voter = self.configs.current().is_voter(to);
        let Some(leading) = self.leading.as_mut().filter(|_| voter) else {
            return false;
        };
        // Only a leader that has committed in its own term knows that earlier leases are over.
        if leading.transfer.is_some() || leading.lease_from.is_none() {
            return false;
        }
        let Some(follower) = leading.of(to) else { return false };
        let lacks = last - self.log.position(follower.matched.max(self.log.before())).min(last);
        let ready = io.pulse.fit(to)
            && io.pulse.connected(to)
            && !follower.damaged
            && follower.state == State::Pipeline
            && lacks <= io.config.limits.append_bytes as u64;
        if ready {
            // Clients wait meanwhile: unless the order is given soon, they have waited long enough.
            let until = io.now.plus(io.config.timing.beat_every);
            leading.transfer = Some(Transfer { to, until, ordered: false });
        }
        ready
    }

    fn hand_over_if_ready<J: Journal>(&self, leading: &mut Leading, io: &mut Io<'_, J>) {
        // Only a leader that has committed in its own term knows that earlier leases are over.
        let settled = leading.lease_from.is_some() && self.commit == self.log.last();
        let Some(transfer) = leading.transfer.filter(|transfer| settled && !transfer.ordered)
        else {
            return;
        };
        let target = leading.progress.iter().find(|follower| follower.node == transfer.to);
        if target.is_some_and(|follower| follower.counted() == self.log.last()) {
            // A late order must not find a leader that reads by a lease again.
            let until = transfer.until.max(io.now.plus(io.config.timing.election_timeout));
            leading.transfer = Some(Transfer { ordered: true, until, ..transfer });
            let (group, term, last) = (self.group, self.term, self.log.last());
            message::send(io.sends, transfer.to.0, &Message::TakeOver { group, term, last });
        }
    }

    /// What all followers that can be reached have: older entries are not needed for them.
    pub(crate) fn needed_from(&self) -> Index {
        let Some(leading) = self.leading.as_ref() else {
            return self.commit;
        };
        leading.progress.iter().map(|follower| follower.matched).min().unwrap_or(self.commit)
    }

    /// Keeps configurations that entries carry, from when they are appended.
    pub(super) fn note_config(&mut self, index: Index, bytes: &[u8]) {
        if let Some(config) = crate::entry::config_of(bytes) {
            self.configs.append(index, config);
        }
    }

    /// The term of this reign, if this replica leads.
    pub(crate) fn reign(&self) -> Option<Term> {
        (self.role == Role::Leader).then_some(self.term)
    }
}

impl Progress {
    /// What a majority may count on.
    fn counted(&self) -> Index {
        if self.damaged { Index(0) } else { self.matched }
    }

    /// Takes note of who speaks; false if it is a run of the process that is over.
    fn hears(&mut self, life: Life, damaged: bool, last: Index, round: &mut u64) -> bool {
        if life < self.life {
            return false;
        }
        let anew = life > self.life;
        self.life = life;
        if damaged && (anew || !self.damaged) {
            // What it had acknowledged, it may have lost. All of it is in this log, up to here.
            self.damaged = true;
            self.heal = last;
            *round += 1;
            self.heal_round = *round;
            self.matched = Index(0);
            self.state = State::Probe;
            self.waiting = false;
        } else if !damaged && self.damaged {
            self.damaged = false;
            self.heal = Index(0);
        }
        true
    }

    /// What is on its way to it may be lost. If nothing is known of what it holds, it is asked again whether it holds
    /// all that it was last asked about, and says where it ends if it does not: to begin at the front would send
    /// it what it has, or an image if the front is gone.
    pub(super) fn start_over(&mut self, now: Instant) {
        self.state = State::Probe;
        if self.matched > Index(0) {
            self.next = self.matched.next();
        }
        self.waiting = false;
        self.moved_at = now;
    }
}
