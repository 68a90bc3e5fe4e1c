//! Checkers: what must be true whatever happens, looked at after every turn.
//!
//! The world calls the hooks of [`Checkers`]; the checkers keep what they know of every replica in a
//! [`ledger`] and compare only what has changed since they last looked.

pub mod history;
pub mod ledger;
pub mod observe;
pub mod planted;
pub mod search;
pub mod terms;

pub mod applied_monotonic;
pub mod at_end;
pub mod changes_told;
pub mod commit_is_final;
pub mod committed_immutable;
pub mod durable_quorum;
pub mod election_safety;
pub mod exactly_once;
#[cfg(test)]
mod fake;
pub mod false_suspicion;
pub mod hash;
pub mod leader_completeness;
pub mod life_grows;
pub mod linearizable;
pub mod log_matching;
pub mod members_converged;
pub mod membership_lattice;
pub mod model;
pub mod promise_is_durable;
pub mod reply_matches_commit;
pub mod shadow_match;
pub mod state_equal;
pub mod state_machine_safety;
mod step;
pub mod term_monotonic;
pub mod ttl_bounds;
pub mod users_known;

use std::collections::BTreeMap;

use std::fmt;

use driftless_core::cluster::ClusterOutputs;
use driftless_core::{
    DiskOp, Engine, Event, FileId, GroupId, Index, Keyspace, LaneId, Life, NodeId, Outline,
    Outputs, Span, Term,
};

use at_end::Heal;
use election_safety::ElectionSafety;
use exactly_once::ExactlyOnce;
use false_suspicion::FalseSuspicion;
use ledger::{Found, Ledger};
use life_grows::LifeGrows;
use linearizable::Linearizable;
use log_matching::LogMatching;
use membership_lattice::MembershipLattice;
use promise_is_durable::PromiseIsDurable;
use reply_matches_commit::ReplyMatchesCommit;
use ttl_bounds::TtlBounds;
use users_known::UsersKnown;

pub use history::{Call, History, Kind, Operation, OperationId, Reply, token};
pub use observe::{Moment, Observed, ReplicaState};
pub use promise_is_durable::Wanted;

/// The group that keeps the users.
const KEEPER: GroupId = GroupId(1);

/// Something that must never happen, and did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Which checker says so.
    pub checker: &'static str,
    /// When it was noticed.
    pub at: Moment,
    /// What happened, for people.
    pub what: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} at {} us: {}", self.checker, self.at.0 / 1_000, self.what)
    }
}

/// What checkers are told once.
#[derive(Clone, Debug)]
pub struct Setup {
    /// How many nodes there are: `1..=nodes`.
    pub nodes: u32,
    /// The replicas of each group, from group 1 on.
    pub replicas: Vec<Vec<NodeId>>,
    /// How far from its time a key may go, in milliseconds: the worst clock error of the seed, its
    /// drift over the longest time to live, and one message.
    pub ttl_bound_ms: u64,
    /// The shortest time without beats before a follower campaigns.
    pub election_timeout: Span,
    /// How long after the heal an operation may still wait for its answer.
    pub patience: Span,
    /// Every how manieth turn that sends something has its node's disk image recovered and compared;
    /// 0 for never. Elections ask for images in any case.
    pub image_every: u32,
    /// Steps of the independent search for a linearization, a key.
    pub search_steps: u64,
}

/// All checkers. See each hook for when to call it.
#[derive(Debug)]
pub struct Checkers {
    setup: Setup,
    found: Found,
    ledger: Ledger,
    history: History,
    /// What each client waits for.
    waiting: BTreeMap<u32, Vec<OperationId>>,
    /// By operation: whether its answer was looked at when it left.
    answered: Vec<bool>,
    heal: Option<Heal>,
    undecided: u32,
    election_safety: ElectionSafety,
    log_matching: LogMatching,
    promises: PromiseIsDurable,
    replies: ReplyMatchesCommit,
    linearizable: Linearizable,
    exactly_once: ExactlyOnce,
    ttl_bounds: TtlBounds,
    membership: MembershipLattice,
    false_suspicion: FalseSuspicion,
    lives: LifeGrows,
    users: UsersKnown,
}

impl Checkers {
    /// Checkers for a world that has not begun.
    pub fn new(setup: Setup) -> Self {
        Self {
            found: Found::default(),
            ledger: Ledger::new(&setup.replicas),
            history: History::default(),
            waiting: BTreeMap::new(),
            answered: Vec::new(),
            heal: None,
            undecided: 0,
            election_safety: ElectionSafety::default(),
            log_matching: LogMatching::default(),
            promises: PromiseIsDurable::default(),
            replies: ReplyMatchesCommit::default(),
            linearizable: Linearizable::default(),
            exactly_once: ExactlyOnce::default(),
            ttl_bounds: TtlBounds::new(setup.ttl_bound_ms),
            membership: MembershipLattice::default(),
            false_suspicion: FalseSuspicion::default(),
            lives: LifeGrows::default(),
            users: UsersKnown::default(),
            setup,
        }
    }

    /// An engine has finished a turn; its outputs have not been carried out yet. Looks at `groups`: at least at
    /// those that have changed. Then ask [`Checkers::wants_image`].
    pub fn after_turn(
        &mut self,
        at: Moment,
        (node, lane): (NodeId, LaneId),
        engine: &Engine,
        groups: impl Iterator<Item = GroupId>,
        out: &Outputs,
    ) {
        self.found.at = at;
        for event in &out.events {
            if let Event::Leading { group, term } = *event {
                self.election_safety.leads(group, term, node, engine.life(), &mut self.found);
            }
            if let Event::SnapshotInstalled { group, index } = *event {
                self.replaced(group, node, index);
            }
            if let Event::Forgot { .. } | Event::Outlived { .. } = event {
                self.forgot(node, lane, engine);
            }
            if let Event::Truncated { group, .. } = *event {
                self.promises.replaced(node, group);
            }
        }
        for group in groups {
            if let Some(view) = engine.view(group) {
                self.look(node, lane, &Observed::of(&view), false);
                if group == KEEPER {
                    let digest = view.store().digest_of(Keyspace::USERS);
                    self.users.applied(node, view.applied, digest, &mut self.found);
                }
            }
        }
        if let Some((place, digest)) = engine.users_known() {
            self.users.goes_by(node, lane, place, digest, &mut self.found);
        }
        for op in &out.disk.ops {
            let DiskOp::Sync { file: FileId::Segment(number), .. } = *op else { continue };
            // The first segment of a life bears its number; those before it are only being read again.
            if number >= engine.life().number() && self.lives.syncs(node, lane) {
                for group in engine.groups() {
                    self.trust(group, node);
                }
            }
        }
        if out.sends.filled().next().is_some() {
            self.promises.sent(node, lane, self.setup.image_every);
        }
    }

    /// Whose disk the checkers want to see as it is at this moment; until there is none, recover what is wanted
    /// from what a power cut right now would be sure to leave there (nodes that are down included), and give
    /// it to [`Checkers::image`] or [`Checkers::ballot`]. This must not disturb the world: recover from a copy.
    pub fn wants_image(&mut self) -> Option<Wanted> {
        self.promises.wanted()
    }

    /// What recovery makes of the image asked for. `None`: a fault has harmed it, so that nothing can be
    /// demanded of it.
    pub fn image(
        &mut self,
        at: Moment,
        node: NodeId,
        recovered: Option<&BTreeMap<GroupId, Outline>>,
    ) {
        assert!(self.promises.asked(node), "an image is shown when it was asked for");
        self.found.at = at;
        for (&id, outline) in recovered.into_iter().flatten() {
            let Some(group) = self.ledger.group_mut(id) else { continue };
            if let Some(place) = group.place(node) {
                self.promises.image(group, place, outline, &mut self.found);
            }
        }
    }

    /// The term and vote on the disk asked for. `None`: as for [`Checkers::image`].
    pub fn ballot(&mut self, at: Moment, node: NodeId, ballot: Option<(Term, Option<NodeId>)>) {
        assert!(self.promises.asked(node), "a disk is shown when it was asked for");
        self.found.at = at;
        let group = self.promises.electing().and_then(|id| self.ledger.group_mut(id));
        let group = group.expect("a ballot is asked for when a known group has elected");
        let place = group.place(node).expect("only replicas are asked");
        self.promises.voter(group, place, ballot, &mut self.found);
    }

    /// A node's process has ended, in whatever way.
    pub fn crashed(&mut self, node: NodeId) {
        self.ledger.on_node(node).for_each(|replica| replica.up = false);
        self.membership.started(node);
    }

    /// An engine has been recovered (or made for the first time) and has taken no turn yet.
    pub fn recovered(&mut self, at: Moment, node: NodeId, lane: LaneId, engine: &Engine) {
        self.found.at = at;
        let life = engine.life();
        let harmed = self.ledger.on_node(node).any(|replica| replica.harmed);
        self.lives.started(node, lane, life, harmed, &mut self.found);
        let commit = self.ledger.group_mut(KEEPER).map_or(Index(0), |keeper| keeper.commit());
        self.users.started(node, lane, commit);
        for group in engine.groups() {
            if let Some(view) = engine.view(group) {
                self.started(node, lane, life, &Observed::of(&view));
            }
        }
    }

    /// A fault has harmed what was durable on a node's disk (lost, changed or replaced synced bytes): from
    /// now on, to have lost promises there is no news. A replica that repairs itself is trusted again.
    pub fn harmed(&mut self, node: NodeId) {
        self.ledger.on_node(node).for_each(|replica| replica.harmed = true);
        self.lives.harmed(node);
    }

    /// A node's disk is as it was at an earlier time: no bytes are wrong, so only others can tell.
    pub fn put_back(&mut self, node: NodeId) {
        self.harmed(node);
        self.ledger.on_node(node).for_each(|replica| replica.put_back = true);
    }

    /// A membership machine begins anew: its view may start from nothing.
    pub fn gossip_started(&mut self, node: NodeId) {
        self.membership.started(node);
    }

    /// A membership machine has finished a turn.
    pub fn after_gossip(&mut self, at: Moment, node: NodeId, out: &ClusterOutputs) {
        self.found.at = at;
        for event in &out.events {
            if let Event::Member { node: subject, liveness, incarnation } = *event {
                let belief = (incarnation, liveness);
                self.membership.believes(node, subject, belief, self.setup.nodes, &mut self.found);
                self.false_suspicion.believes(node, subject, liveness, &mut self.found);
            }
        }
    }

    /// A client sends a request.
    pub fn invoked(&mut self, at: Moment, client: u32, call: &Call<'_>) -> OperationId {
        self.found.at = at;
        let id = self.history.invoked(at, client, call);
        self.linearizable.invoked(id, &self.history);
        self.exactly_once.invoked(id, &self.history);
        self.waiting.entry(client).or_default().push(id);
        self.answered.push(false);
        id
    }

    /// An answer leaves a node, as the outputs of a turn say: call it after [`Checkers::after_turn`] of that
    /// turn. The client has not seen it yet. If the world cannot tell, [`Checkers::completed`] looks
    /// instead, later and therefore less sharply.
    pub fn answered(&mut self, at: Moment, id: OperationId, reply: &Reply) {
        self.found.at = at;
        self.answered[id.0 as usize] = true;
        self.replies.answered(id, &self.history, reply, &mut self.found);
    }

    /// An answer has reached its client. [`Reply::Unknown`] stands for an error that promises nothing.
    pub fn completed(&mut self, at: Moment, id: OperationId, reply: Reply) {
        if !self.answered[id.0 as usize] {
            self.answered(at, id, &reply);
        }
        self.found.at = at;
        self.history.completed(at, id, reply);
        let operation = self.history.operation(id);
        if let Some(waiting) = self.waiting.get_mut(&operation.client) {
            waiting.retain(|waits| *waits != id);
        }
        if self.linearizable.expiring(operation.key) {
            self.ttl_bounds.completed(id, &self.history, &mut self.found);
        }
        self.exactly_once.completed(id, &self.history, &self.replies, &mut self.found);
        self.linearizable.completed(id, &self.history, &self.replies, &mut self.found);
    }

    /// A client hung up: what it waits for will never be told.
    pub fn gone(&mut self, client: u32) {
        for id in self.waiting.remove(&client).unwrap_or_default() {
            self.history.gone(id);
        }
    }

    /// From now on no fault touches these nodes and the links between them (all nodes, or a
    /// quorum-connected core), and they all run.
    pub fn healed(&mut self, at: Moment, core: &[NodeId]) {
        self.heal = Some(Heal::new(at, core, &self.ledger));
    }

    /// All nodes run, and datagrams reach all of them, if some of them only through others.
    pub fn all_is_well(&mut self) {
        self.false_suspicion.all_is_well();
    }

    /// Which node of the core is mistaken about which other one, if any is. By the end of a run none may be.
    pub fn members_apart(&self) -> Option<String> {
        let core = self.heal.as_ref()?.core.as_slice();
        members_converged::mistake(&self.membership, core, self.setup.nodes)
    }

    /// The run is over. Clients of nodes outside the core should be [`Checkers::gone`], and all clients
    /// should have sent nothing for a while. Checks what can only be said at the end: liveness and
    /// convergence if [`Checkers::healed`] was called, and the search for a linearization.
    pub fn at_end(&mut self, at: Moment) {
        self.found.at = at;
        at_end::terms_bounded(&self.ledger, self.setup.election_timeout, &mut self.found);
        if let Some(heal) = &self.heal {
            let everyone = heal.core.len() as u32 == self.setup.nodes;
            at_end::check(heal, everyone, &self.ledger, &mut self.found);
            let patience = self.setup.patience;
            at_end::answered(&self.history, &self.ledger, heal, patience, &mut self.found);
        }
        if let Some(what) = self.members_apart() {
            self.found.report(members_converged::NAME, || what);
        }
        self.search();
    }

    /// What was found so far, in order. Look after every hook: the first one is the one to tell.
    pub fn violations(&self) -> &[Violation] {
        self.found.list()
    }

    /// How many keys the search at the end gave up on for want of steps.
    pub fn undecided(&self) -> u32 {
        self.undecided
    }

    /// What clients asked and were told.
    pub fn history(&self) -> &History {
        &self.history
    }

    /// What is known of every replica and of what is committed.
    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// What was set up.
    pub fn setup(&self) -> &Setup {
        &self.setup
    }

    /// A replica was recovered in a new life.
    fn started(&mut self, node: NodeId, lane: LaneId, life: Life, new: &Observed<'_>) {
        let group = self.ledger.group_mut(new.state.group);
        if let Some(replica) = group.and_then(|group| {
            let place = group.place(node)?;
            group.replicas.get_mut(place)
        }) {
            replica.life = life;
            replica.starts += 1;
        }
        self.look(node, lane, new, true);
    }

    /// An image has replaced a replica's log: what it held is not known any more.
    fn replaced(&mut self, group: GroupId, node: NodeId, index: Index) {
        let Some(group) = self.ledger.group_mut(group) else { return };
        if let Some(place) = group.place(node) {
            group.replicas[place].terms.restart(index);
        }
    }

    /// An engine has learnt that its disk has forgotten, and lives under another number from now on.
    fn forgot(&mut self, node: NodeId, lane: LaneId, engine: &Engine) {
        self.lives.started(node, lane, engine.life(), true, &mut self.found);
        for id in engine.groups() {
            let Some(group) = self.ledger.group_mut(id) else { continue };
            if let Some(place) = group.place(node) {
                group.replicas[place].life = engine.life();
            }
        }
    }

    /// A node has synced what it read at its start: from now on what a replica says is durable counts.
    fn trust(&mut self, group: GroupId, node: NodeId) {
        let Some(group) = self.ledger.group_mut(group) else { return };
        if let Some(place) = group.place(node) {
            group.replicas[place].trusted = true;
        }
    }

    /// Searches the history of every key for an order that explains it.
    fn search(&mut self) {
        for (place, ids) in self.history.by_key().iter().enumerate() {
            let key = history::KeyId(place as u32);
            if self.linearizable.expiring(key) {
                continue;
            }
            let operations: Vec<_> = ids.iter().map(|id| self.history.operation(*id)).collect();
            match search::search(&operations, self.setup.search_steps) {
                search::Verdict::Explained(_) => (),
                search::Verdict::OutOfSteps => self.undecided += 1,
                search::Verdict::Contradiction(stuck) => self.found.report(linearizable::NAME, || {
                    format!(
                        "no order of the {} operations on {:?} explains all answers; none gets beyond {:?}",
                        operations.len(),
                        self.history.name(key),
                        operations[stuck]
                    )
                }),
            }
        }
    }
}

#[cfg(test)]
mod whole_tests;
