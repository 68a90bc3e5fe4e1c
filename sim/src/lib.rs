//! The simulated world.

pub mod check;
