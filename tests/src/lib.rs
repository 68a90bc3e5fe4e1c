//! What the tests of the whole share; the tests themselves stand in `tests/`.

pub mod cargo;
pub mod cluster;
pub mod decoders;
pub mod source;
