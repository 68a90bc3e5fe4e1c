//! What the tests of the whole share; the tests themselves stand in `tests/`, and what takes longer than
//! a test may in `src/bin/measure/`.

pub mod cargo;
pub mod cluster;
pub mod decoders;
pub mod examples;
pub mod http;
pub mod info;
pub mod launched;
pub mod load;
pub mod process;
pub mod source;
