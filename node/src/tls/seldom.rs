//! What others can cause at will is told seldom.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// The least time between two times that it is told.
const APART: Duration = Duration::from_secs(10);

/// When something was told last, and how often it was not told since.
#[derive(Debug, Default)]
pub(super) struct Seldom(Mutex<(Option<Instant>, u64)>);

impl Seldom {
    /// It has happened. If it is to be told now: how often it was not told before.
    pub(super) fn now(&self) -> Option<u64> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (told, missed) = &mut *state;
        if told.is_some_and(|at| at.elapsed() < APART) {
            *missed += 1;
            return None;
        }
        *told = Some(Instant::now());
        Some(std::mem::take(missed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_happens_often_is_told_once() {
        let seldom = Seldom::default();
        assert_eq!((seldom.now(), seldom.now(), seldom.now()), (Some(0), None, None));
    }
}
