//! The Redis serialization protocol: commands in, answers out.

mod args;
mod decode;
mod inline;
mod parse;
mod reply;
#[cfg(test)]
mod tests;

pub use args::{Args, ArgsBuffer};
pub use decode::{Items, MOST_DEPTH, Value, decode};
pub use parse::{ParseError, Parsed, parse, parse_more};
pub use reply::{Proto, Reply, put_decimal};
