//! The simulated world: an event queue over the pure core that owns every clock, every link, every disk
//! byte and every client; checkers that look on after every turn; stories, swarms of seeds and the hunt
//! for planted bugs.
#![allow(
    clippy::cast_possible_wrap,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "virtual times and counts stay far below 2^52"
)]

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
