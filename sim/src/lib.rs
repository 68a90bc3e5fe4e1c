//! The simulated world.

pub mod clock;
pub mod disk;
pub mod hash;
pub mod network;
pub mod pool;
pub mod queue;
