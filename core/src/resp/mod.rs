//! The Redis serialization protocol: commands in, answers out.

mod args;
mod parse;
mod reply;

pub use args::{Args, ArgsBuffer};
pub use parse::{ParseError, parse};
pub use reply::{Proto, Reply};
