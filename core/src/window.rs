//! How many commands may be open at once so that their answers stay within a budget of bytes. What an answer
//! weighs is known once it is there; until then it is expected to weigh what the last ones did. As TCP
//! begins slowly, so does this: the first answers are expected to be large.

/// The weight that the next answers are expected to have.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Window {
    expected: usize,
}

impl Window {
    /// At first, `open` commands use the budget up.
    pub(crate) const fn new(budget: usize, open: usize) -> Self {
        Self { expected: budget / open }
    }

    /// An answer weighs `size`: a large one is believed at once, small ones little by little.
    pub(crate) fn note(&mut self, size: usize) {
        self.expected = size.max(self.expected - self.expected / 16);
    }

    /// Whether one more command fits beside `open` ones and `held` bytes of answers. One alone always does.
    pub(crate) fn fits(self, open: usize, held: usize, budget: usize) -> bool {
        let all = (open + 1).saturating_mul(self.expected).saturating_add(held);
        all <= budget || (open == 0 && held == 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BUDGET: usize = 1 << 20;

    fn most(window: Window) -> usize {
        (0..BUDGET).find(|&open| !window.fits(open, 0, BUDGET)).expect("an answer weighs something")
    }

    #[test]
    fn small_answers_open_it_and_a_large_one_closes_it() {
        let mut window = Window::new(BUDGET, 16);
        assert_eq!(most(window), 16);
        for _ in 0..100 {
            window.note(10);
        }
        assert!(most(window) > 2_000, "{window:?}");
        window.note(BUDGET / 2);
        assert_eq!(most(window), 2);
        window.note(BUDGET * 3);
        assert_eq!(most(window), 1, "one alone is always let through");
        assert!(!window.fits(0, 1, BUDGET), "but not beside answers that nobody has taken");
    }
}
