//! What the log keeps in memory for each group: what a checkpoint says, and which segments it needs.

use alloc::collections::VecDeque;
use alloc::vec::Vec;

use super::record::{GroupState, ImageName, Place};
use crate::ids::{GroupId, Index, NodeId, Term};

/// A group's share of the log, as the writer sees it.
#[derive(Debug)]
pub(super) struct GroupLog {
    pub(super) damaged: bool,
    pub(super) ballot: (Term, Option<NodeId>),
    /// The last image that a record names.
    pub(super) named: Option<ImageName>,
    /// The last image whose record is durable.
    pub(super) durable: Option<ImageName>,
    /// The group's entries before this place are void.
    pub(super) void: Place,
    /// Images from a leader that are complete here but not durable yet.
    pub(super) installing: u32,
    pub(super) last: Index,
    /// Where each term begins, back to the image.
    terms: Vec<(Index, Term)>,
    /// The highest entry in each segment, oldest segment first.
    highest: VecDeque<(u64, Index)>,
}

impl GroupLog {
    /// A group that has written nothing.
    pub(super) fn new(damaged: bool) -> Self {
        Self {
            damaged,
            ballot: (Term(0), None),
            named: None,
            durable: None,
            void: Place::default(),
            installing: 0,
            last: Index(0),
            terms: Vec::new(),
            highest: VecDeque::new(),
        }
    }

    /// Takes note of an entry that goes to `segment`, and returns the term of the one before.
    pub(super) fn append(&mut self, segment: u64, term: Term, index: Index) -> Term {
        assert!(index > Index(0), "the first entry has index 1");
        assert!(index <= self.last.next(), "an entry continues the log");
        assert!(
            self.named.is_none_or(|image| index > image.index),
            "what an image holds is committed and may not be replaced"
        );
        self.last = index;
        while self.terms.last().is_some_and(|&(first, _)| first >= index) {
            self.terms.pop();
        }
        let previous = self.terms.last().map_or(Term(0), |&(_, term)| term);
        if self.terms.is_empty() || term != previous {
            self.terms.push((index, term));
        }
        for held in self.highest.iter_mut().rev().take_while(|held| held.1 >= index) {
            held.1 = index.previous();
        }
        match self.highest.back_mut() {
            Some(held) if held.0 == segment => held.1 = index,
            _ => self.highest.push_back((segment, index)),
        }
        previous
    }

    /// The log begins anew behind an image of a leader.
    pub(super) fn restart(&mut self, index: Index, term: Term) {
        self.last = index;
        self.terms.clear();
        self.terms.push((index, term));
    }

    /// Forgets what the durable image has made superfluous.
    pub(super) fn trim(&mut self) {
        let Some(image) = self.durable else { return };
        self.last = self.last.max(image.index);
        let void = self.void.segment;
        while self.highest.front().is_some_and(|held| held.0 < void || held.1 <= image.index) {
            self.highest.pop_front();
        }
        let keep = self.terms.iter().rposition(|&(first, _)| first <= image.index).unwrap_or(0);
        self.terms.drain(..keep);
    }

    /// The oldest segment that holds an entry beyond the image.
    pub(super) fn oldest_needed(&self) -> Option<u64> {
        let image = self.durable.map_or(Index(0), |image| image.index);
        self.highest.iter().find(|held| held.1 > image).map(|held| held.0)
    }

    /// What the checkpoint of a new segment says.
    pub(super) fn state(&self, group: GroupId) -> GroupState {
        GroupState {
            group,
            damaged: self.damaged,
            term: self.ballot.0,
            vote: self.ballot.1,
            void: self.void,
            image: self.named,
        }
    }
}
