//! Stories: what happens to a cluster, line by line, readable by a person and replayed the same way
//! each time. The language is described in `scenarios/README.md`.

mod parse;
mod play;
mod words;

use std::fmt;

use crate::run;
use crate::world::World;

/// What became of a story.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// What changed, in virtual milliseconds.
    pub trace: String,
    /// What went wrong: a checker's objection, or an expectation that was not met.
    pub failed: Option<String>,
    /// Hash of all bytes that went in and came out.
    pub hash: u64,
}

/// A line that makes no sense.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    /// Which line, from 1 on.
    pub line: usize,
    /// What is wrong with it.
    pub what: String,
}

impl fmt::Display for Error {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "line {}: {}", self.line, self.what)
    }
}

impl std::error::Error for Error {}

/// Whether a story can be read; plays nothing.
pub fn check(text: &str) -> Result<(), Error> {
    parse::parse(text).map(drop)
}

/// Plays a story.
pub fn replay(text: &str) -> Result<Report, Error> {
    let story = parse::parse(text)?;
    let mut world = None;
    let played = run::catch(|| play::play(&story, &mut world));
    let mut failed = match played {
        Ok(result) => result?,
        Err(panic) => Some(format!("Assertion: {panic}")),
    };
    let (mut trace, mut hash) = (String::new(), 0);
    if let Some(world) = &mut world {
        let world: &mut World = world;
        failed = failed.or_else(|| world.violation().map(ToString::to_string));
        trace = world.trace.take();
        hash = world.hash.value();
    }
    Ok(Report { trace, failed, hash })
}
