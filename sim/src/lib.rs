//! The simulated world.

pub mod check;
pub mod clock;
pub mod disk;
pub mod fault;
pub mod hash;
pub mod network;
pub mod options;
pub mod personality;
pub mod planted;
pub mod pool;
pub mod queue;
pub mod run;
pub mod scenario;
pub mod swarm;
pub mod trace;
pub mod world;
