//! How far a node trusts itself (Lifeguard, section 4): if its own probes fail while others say that
//! they have heard it, or if it sleeps through its own timers, it gives everyone more time.

use crate::time::Span;

/// The local health multiplier: 0 is healthy.
#[derive(Debug)]
pub(crate) struct Awareness {
    score: u32,
    most: u32,
}

impl Awareness {
    pub(crate) fn new(most: u32) -> Self {
        Self { score: 0, most }
    }

    /// Something that a healthy node would have done did not work.
    pub(crate) fn worse(&mut self, by: u32) {
        self.score = self.score.saturating_add(by).min(self.most);
    }

    /// A probe was answered.
    pub(crate) fn better(&mut self) {
        self.score = self.score.saturating_sub(1);
    }

    /// A timeout of this node, stretched.
    pub(crate) fn stretch(&self, span: Span) -> Span {
        Span(span.0.saturating_mul(u64::from(self.score) + 1))
    }

    pub(crate) fn score(&self) -> u32 {
        self.score
    }

    pub(crate) fn check(&self) {
        assert!(self.score <= self.most, "health is bounded");
    }
}
