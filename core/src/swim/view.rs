//! What one node knows of all others. Entries only move up the order of [`Standing`]: by incarnation,
//! then alive, suspect, dead, left.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

use super::config::GossipTiming;
use super::member::{Entry, Member, Standing};
use super::message::Line;
use super::suspicion::Suspicion;
use crate::config::Bug;
use crate::event::Liveness;
use crate::ids::NodeId;
use crate::rng::Chance;
use crate::time::{Instant, Span};

/// A death this close to being forgotten is not told to those who do not know of it: clocks of
/// forgetting differ a little, and the memory of it would otherwise never end.
const FORGET_MARGIN: Span = Span::millis(30_000);

/// Everything known of members, this node included.
#[derive(Debug)]
pub(crate) struct View {
    own: NodeId,
    timing: GossipTiming,
    bug: Bug,
    slots: BTreeMap<NodeId, Slot>,
    /// When suspicions become verdicts and the dead are forgotten.
    deadlines: BTreeSet<(Instant, NodeId)>,
    digest: u64,
    live: u32,
}

#[derive(Debug)]
struct Slot {
    member: Member,
    standing: Standing,
    suspicion: Option<Suspicion>,
    deadline: Option<Instant>,
}

/// What a claim did to the view.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Nothing: it was known, or it loses against what is known.
    Nothing,
    /// A suspicion has one more accuser.
    Confirmed,
    /// The entry is new or has moved up.
    Changed,
}

/// What time did to the view.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Expired {
    /// A suspicion has become a verdict.
    Died(NodeId),
    /// A member dead or gone for long was dropped.
    Forgotten(NodeId),
}

impl View {
    pub(crate) fn new(own: Member, timing: GossipTiming, bug: Bug) -> Self {
        let mut view = Self {
            own: own.node,
            timing,
            bug,
            slots: BTreeMap::new(),
            deadlines: BTreeSet::new(),
            digest: 0,
            live: 0,
        };
        view.place(own, None, None);
        view
    }

    pub(crate) fn members(&self) -> impl Iterator<Item = &Member> {
        self.slots.values().map(|slot| &slot.member)
    }

    pub(crate) fn member(&self, node: NodeId) -> Option<&Member> {
        self.slots.get(&node).map(|slot| &slot.member)
    }

    pub(crate) fn standing(&self, node: NodeId) -> Option<Standing> {
        self.slots.get(&node).map(|slot| slot.standing)
    }

    /// Alive and suspect members, this node included.
    pub(crate) fn live(&self) -> u32 {
        self.live
    }

    /// Sum over all entries, so that it is kept up at every change.
    pub(crate) fn digest(&self) -> u64 {
        self.digest
    }

    /// A claim that came from elsewhere.
    pub(crate) fn learn(&mut self, entry: &Entry<'_>, now: Instant) -> Outcome {
        let standing = entry.standing();
        match self.standing(entry.node) {
            Some(held) if standing == held => self.accuse_again(entry),
            Some(held) if !standing.beats(held, self.bug) => Outcome::Nothing,
            Some(_) => self.adopt(entry, now),
            None if self.is_worth_knowing(entry) && self.has_room() => self.adopt(entry, now),
            None => Outcome::Nothing,
        }
    }

    /// `by` has found that this incarnation of `node` does not answer.
    pub(crate) fn accuse(
        &mut self,
        node: NodeId,
        incarnation: u64,
        by: NodeId,
        now: Instant,
    ) -> Outcome {
        assert!(node != by, "nobody accuses itself");
        let Some(slot) = self.slots.get(&node) else { return Outcome::Nothing };
        if slot.member.incarnation != incarnation || !slot.member.is_live() {
            return Outcome::Nothing;
        }
        let mut member = slot.member.clone();
        if member.liveness == Liveness::Suspect {
            return self.accuse_known(node, &[by]);
        }
        let mut suspicion = Suspicion::new(now, self.live, &self.timing);
        suspicion.accuse(by);
        member.liveness = Liveness::Suspect;
        member.since = now;
        let deadline = self.verdict_at(&suspicion);
        self.place(member, Some(suspicion), deadline);
        Outcome::Changed
    }

    /// What this node says of itself, whatever was there before.
    pub(crate) fn set_own(&mut self, own: Member) {
        assert_eq!(own.node, self.own, "a node speaks for itself only");
        self.place(own, None, None);
    }

    /// Takes one deadline that has passed, if any.
    pub(crate) fn expire(&mut self, now: Instant) -> Option<Expired> {
        let &(at, node) = self.deadlines.first()?;
        if at > now {
            return None;
        }
        let slot = self.slots.get(&node).expect("only known members have deadlines");
        if slot.member.is_live() {
            let mut member = slot.member.clone();
            member.liveness = Liveness::Dead;
            member.since = now;
            let forget_at = self.forget_at(node, now, 0);
            self.place(member, None, forget_at);
            return Some(Expired::Died(node));
        }
        self.remove(node);
        Some(Expired::Forgotten(node))
    }

    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        self.deadlines.first().map(|&(at, _)| at)
    }

    /// This node slept: what it slept through is not held against others.
    pub(crate) fn postpone(&mut self, by: Span) {
        self.deadlines.clear();
        for (&node, slot) in &mut self.slots {
            if let Some(suspicion) = &mut slot.suspicion {
                suspicion.postpone(by);
            }
            slot.deadline = slot.deadline.map(|at| at.plus(by));
            self.deadlines.extend(slot.deadline.map(|at| (at, node)));
        }
    }

    /// The entry of `node` as it is told to others.
    pub(crate) fn entry(&self, node: NodeId, now: Instant) -> Option<Entry<'_>> {
        let slot = self.slots.get(&node)?;
        let member = &slot.member;
        let left = slot.deadline.map_or(self.timing.forget_after, |at| at.since(now));
        let gone = self.timing.forget_after.0.saturating_sub(left.0) / 1_000_000_000;
        let accusers = slot.suspicion.as_ref().map_or(Vec::new(), |held| held.accusers().to_vec());
        Some(Entry {
            node,
            incarnation: member.incarnation,
            liveness: member.liveness,
            address: member.address,
            fingerprint: member.fingerprint,
            about: &member.about,
            accusers,
            gone_seconds: if member.is_live() {
                0
            } else {
                u32::try_from(gone).unwrap_or(u32::MAX)
            },
        })
    }

    /// Entries in short, from `first` on, at most so many.
    pub(crate) fn lines(&self, first: NodeId, most: usize) -> Vec<Line> {
        let slots = self.slots.range(first..).take(most);
        slots
            .map(|(&node, slot)| Line {
                node,
                incarnation: slot.standing.incarnation,
                liveness: slot.standing.liveness,
                tag: slot.standing.tag,
            })
            .collect()
    }

    /// Known members from `first` to `last`.
    pub(crate) fn between(
        &self,
        first: NodeId,
        last: NodeId,
    ) -> impl Iterator<Item = (NodeId, Standing)> {
        let slots = self.slots.iter().skip_while(move |&(&node, _)| node < first);
        slots.take_while(move |&(&node, _)| node <= last).map(|(&node, slot)| (node, slot.standing))
    }

    /// The first suspect that this node could still speak for or against.
    pub(crate) fn unconfirmed(&self) -> Option<NodeId> {
        // Deadlines hold all suspects and all the dead; the suspects' are nearly always first.
        self.deadlines.iter().map(|&(_, node)| node).take(16).find(|&node| {
            let suspicion = self.slots.get(&node).and_then(|slot| slot.suspicion.as_ref());
            node != self.own
                && suspicion.is_some_and(|held| {
                    !held.is_confirmed() && !held.accusers().contains(&self.own)
                })
        })
    }

    /// At most `count` other members that `fits`, in random order.
    pub(crate) fn pick(
        &self,
        chance: &mut Chance,
        count: usize,
        fits: impl Fn(&Member) -> bool,
    ) -> Vec<NodeId> {
        let others = self.members().filter(|member| member.node != self.own && fits(member));
        let mut picked: Vec<NodeId> = others.map(|member| member.node).collect();
        let most = count.min(picked.len());
        for at in 0..most {
            let other = chance.between(at as u64, picked.len() as u64 - 1);
            picked.swap(at, other as usize);
        }
        picked.truncate(most);
        picked
    }

    pub(crate) fn check(&self) {
        let hash = |(&node, slot): (&NodeId, &Slot)| slot.standing.hash(node);
        let digest = self.slots.iter().map(hash).fold(0, u64::wrapping_add);
        assert_eq!(digest, self.digest, "the digest is that of the entries");
        let live = self.members().filter(|member| member.is_live()).count();
        assert_eq!(live, self.live as usize, "the live are counted");
        assert!(self.slots.contains_key(&self.own), "a node knows itself");
        let most = self.timing.members_max.max(1) as usize;
        assert!(self.slots.len() <= most, "members are limited");
        for (&node, slot) in &self.slots {
            assert_eq!(node, slot.member.node, "entries are filed under their node");
            assert_eq!(slot.standing, slot.member.standing(), "standings are those of the entries");
            let suspect = slot.member.liveness == Liveness::Suspect;
            assert_eq!(slot.suspicion.is_some(), suspect, "suspects have a suspicion, only they");
            let listed = slot.deadline.is_some_and(|at| self.deadlines.contains(&(at, node)));
            assert_eq!(slot.deadline.is_some(), listed, "deadlines are listed");
            let quiet = slot.member.liveness == Liveness::Alive || node == self.own;
            assert!(quiet || listed || Bug::SuspicionForever.active(self.bug), "{node:?} hangs");
        }
        let deadlines = self.slots.values().filter(|slot| slot.deadline.is_some()).count();
        assert_eq!(self.deadlines.len(), deadlines, "no deadline without an entry");
    }

    /// The same suspicion again: perhaps with accusers that are news here.
    fn accuse_again(&mut self, entry: &Entry<'_>) -> Outcome {
        if entry.liveness != Liveness::Suspect {
            return Outcome::Nothing;
        }
        self.accuse_known(entry.node, &entry.accusers)
    }

    fn accuse_known(&mut self, node: NodeId, accusers: &[NodeId]) -> Outcome {
        let slot = self.slots.get_mut(&node).expect("the caller has looked it up");
        let suspicion = slot.suspicion.as_mut().expect("suspects have a suspicion");
        let mut news = false;
        for &by in accusers {
            news |= by != node && suspicion.accuse(by);
        }
        if !news {
            return Outcome::Nothing;
        }
        let suspicion = suspicion.clone();
        let deadline = self.verdict_at(&suspicion);
        let member = self.slots[&node].member.clone();
        self.place(member, Some(suspicion), deadline);
        Outcome::Confirmed
    }

    fn adopt(&mut self, entry: &Entry<'_>, now: Instant) -> Outcome {
        let mut suspicion = None;
        let deadline = match entry.liveness {
            Liveness::Alive => None,
            Liveness::Suspect => {
                let mut begun = Suspicion::new(now, self.live, &self.timing);
                for &by in entry.accusers.iter().filter(|&&by| by != entry.node) {
                    begun.accuse(by);
                }
                let deadline = self.verdict_at(&begun);
                suspicion = Some(begun);
                deadline
            }
            Liveness::Dead | Liveness::Left => self.forget_at(entry.node, now, entry.gone_seconds),
        };
        let member = Member {
            node: entry.node,
            address: entry.address,
            liveness: entry.liveness,
            incarnation: entry.incarnation,
            fingerprint: entry.fingerprint,
            about: entry.about.to_vec(),
            since: now,
        };
        self.place(member, suspicion, deadline);
        Outcome::Changed
    }

    fn is_worth_knowing(&self, entry: &Entry<'_>) -> bool {
        let gone = Span::millis(u64::from(entry.gone_seconds) * 1_000 + FORGET_MARGIN.as_millis());
        entry.liveness <= Liveness::Suspect || gone < self.timing.forget_after
    }

    /// Room for one more; a member that is gone makes way for it if need be.
    fn has_room(&mut self) -> bool {
        if self.slots.len() < self.timing.members_max.max(1) as usize {
            return true;
        }
        let mut gone = self.deadlines.iter().map(|&(_, node)| node);
        let Some(gone) = gone.find(|node| !self.slots[node].member.is_live()) else { return false };
        self.remove(gone);
        true
    }

    fn verdict_at(&self, suspicion: &Suspicion) -> Option<Instant> {
        (!Bug::SuspicionForever.active(self.bug)).then(|| suspicion.deadline())
    }

    /// This node's own entry stays, whatever it says.
    fn forget_at(&self, node: NodeId, now: Instant, gone_seconds: u32) -> Option<Instant> {
        let gone = Span::millis(u64::from(gone_seconds) * 1_000);
        let left = Span(self.timing.forget_after.0.saturating_sub(gone.0));
        // Whoever only now learns of an old death remembers it for a while all the same.
        let left = left.max(FORGET_MARGIN);
        (node != self.own).then(|| now.plus(left))
    }

    fn place(&mut self, member: Member, suspicion: Option<Suspicion>, deadline: Option<Instant>) {
        let node = member.node;
        self.remove(node);
        let standing = member.standing();
        self.digest = self.digest.wrapping_add(standing.hash(node));
        self.live += u32::from(member.is_live());
        self.deadlines.extend(deadline.map(|at| (at, node)));
        self.slots.insert(node, Slot { member, standing, suspicion, deadline });
    }

    fn remove(&mut self, node: NodeId) {
        let Some(slot) = self.slots.remove(&node) else { return };
        self.digest = self.digest.wrapping_sub(slot.standing.hash(node));
        self.live -= u32::from(slot.member.is_live());
        if let Some(at) = slot.deadline {
            self.deadlines.remove(&(at, node));
        }
    }
}
