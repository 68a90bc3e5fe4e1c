//! All chance there is: `ChaCha8` streams, one a concern, so that a new draw in one place moves
//! nothing in another.

use rand_chacha::ChaCha8Rng;
use rand_core::{Rng as _, SeedableRng as _};

/// Where all chance of an engine or a membership machine comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seed(pub [u8; 32]);

impl Seed {
    /// A seed made from a number, for tests and simulations.
    pub fn from_number(number: u64) -> Self {
        let mut bytes = [0; 32];
        ChaCha8Rng::seed_from_u64(number).fill_bytes(&mut bytes);
        Self(bytes)
    }
}

/// A stream of chance for one concern.
#[derive(Clone, Debug)]
pub struct Chance(ChaCha8Rng);

impl Chance {
    /// Stream number `concern` of `seed`.
    pub fn new(seed: Seed, concern: u64) -> Self {
        let mut rng = ChaCha8Rng::from_seed(seed.0);
        rng.set_stream(concern);
        Self(rng)
    }

    /// Sixty-four random bits.
    pub fn bits(&mut self) -> u64 {
        self.0.next_u64()
    }

    /// A number in `0..=most`. Inclusive, so that there is no empty range to crash on.
    pub fn up_to(&mut self, most: u64) -> u64 {
        // The bias of a 128-bit product is below 2^-64 a value: nobody will ever see it.
        ((u128::from(self.bits()) * (u128::from(most) + 1)) >> 64) as u64
    }

    /// A number in `least..=most`.
    pub fn between(&mut self, least: u64, most: u64) -> u64 {
        assert!(least <= most, "an empty range has no member");
        least + self.up_to(most - least)
    }

    /// True in `parts` of `whole` cases.
    pub fn chance(&mut self, parts: u64, whole: u64) -> bool {
        assert!(whole > 0, "a chance out of nothing");
        self.up_to(whole - 1) < parts
    }
}
