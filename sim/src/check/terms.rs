//! Which term each index of a log has, in as few bytes as there are reigns.

use driftless_core::{Index, Term};

/// The terms of a log's entries, run by run. Entries up to `before` are not known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Terms {
    before: Index,
    last: Index,
    /// First index of each run and its term, in order.
    runs: Vec<(Index, Term)>,
}

impl Terms {
    /// The last index.
    pub fn last(&self) -> Index {
        self.last
    }

    /// Up to where nothing is known.
    pub fn before(&self) -> Index {
        self.before
    }

    /// The term of an entry; `None` if it is not known or not there.
    pub fn at(&self, index: Index) -> Option<Term> {
        if index <= self.before || index > self.last {
            return None;
        }
        let run = self.runs.iter().rev().find(|(first, _)| *first <= index);
        Some(run.expect("the first run begins behind `before`").1)
    }

    /// One entry more.
    pub fn push(&mut self, term: Term) {
        self.last = self.last.next();
        if self.runs.last().is_none_or(|(_, last)| *last != term) {
            self.runs.push((self.last, term));
        }
    }

    /// Forgets the entries from an index on.
    pub fn cut(&mut self, from: Index) {
        if from <= self.before.next() {
            self.restart(self.before.min(from.previous()));
            return;
        }
        if from > self.last {
            return;
        }
        self.last = from.previous();
        while self.runs.last().is_some_and(|(first, _)| *first > self.last) {
            self.runs.pop();
        }
    }

    /// Forgets all of it and goes on behind an index.
    pub fn restart(&mut self, before: Index) {
        self.runs.clear();
        self.before = before;
        self.last = before;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_are_cut_and_grown() {
        let mut terms = Terms::default();
        for term in [1, 1, 2, 2, 2, 5] {
            terms.push(Term(term));
        }
        assert_eq!(terms.at(Index(0)), None);
        assert_eq!(terms.at(Index(2)), Some(Term(1)));
        assert_eq!(terms.at(Index(5)), Some(Term(2)));
        assert_eq!(terms.at(Index(6)), Some(Term(5)));
        assert_eq!(terms.at(Index(7)), None);
        terms.cut(Index(4));
        assert_eq!((terms.last(), terms.at(Index(3))), (Index(3), Some(Term(2))));
        terms.push(Term(7));
        assert_eq!(terms.at(Index(4)), Some(Term(7)));
        terms.restart(Index(9));
        assert_eq!((terms.before(), terms.last(), terms.at(Index(9))), (Index(9), Index(9), None));
        terms.push(Term(8));
        assert_eq!(terms.at(Index(10)), Some(Term(8)));
    }
}
