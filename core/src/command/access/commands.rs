//! Which commands a user may run: a bit each, and the rules that set them.

use alloc::borrow::ToOwned as _;
use alloc::string::String;
use alloc::vec::Vec;

use crate::command::id::CommandId;
use crate::command::spec::category;
use crate::command::table;

const UNKNOWN: &str = "Unknown command or category name in ACL";
const WORDS: usize = CommandId::COUNT.div_ceil(64);

/// A set of commands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Commands {
    allowed: [u64; WORDS],
    /// The rules that made it, in order, each for another name: `+@read`, `-get`. The first is for `@all`.
    rules: Vec<String>,
}

impl Commands {
    /// None at all.
    pub(super) fn none() -> Self {
        Self { allowed: [0; WORDS], rules: alloc::vec!["-@all".to_owned()] }
    }

    /// All of them, also those of versions to come.
    pub(super) fn all() -> Self {
        Self { allowed: [u64::MAX; WORDS], rules: alloc::vec!["+@all".to_owned()] }
    }

    /// Whether it is all of them and was never anything less.
    pub(super) fn is_all(&self) -> bool {
        self.rules == ["+@all"]
    }

    /// Whether a command is among them. The help of a container is for everybody.
    pub(super) fn has(&self, id: CommandId) -> bool {
        let at = id as usize;
        self.allowed[at / 64] >> (at % 64) & 1 == 1 || id == CommandId::Help
    }

    /// The rules that made it, in order.
    pub fn rules(&self) -> impl Iterator<Item = &str> {
        self.rules.iter().map(String::as_str)
    }

    /// Takes one more rule: a sign, and the name of a command, `container|subcommand` or `@category`.
    pub(super) fn apply(&mut self, rule: &str) -> Result<(), &'static str> {
        let rule = rule.to_ascii_lowercase();
        let (sign, name) = rule.split_at_checked(1).ok_or(UNKNOWN)?;
        let allow = sign == "+";
        if name == "@all" {
            *self = if allow { Self::all() } else { Self::none() };
            return Ok(());
        }
        if let Some(category) = name.strip_prefix('@') {
            let bit = category_named(category).ok_or(UNKNOWN)?;
            for spec in table::every().filter(|spec| spec.all_categories() & bit != 0) {
                self.set(spec.id, allow);
            }
        } else if let Some((container, sub)) = name.split_once('|') {
            let container = table::lookup(container.as_bytes()).ok_or(UNKNOWN)?;
            if container.subcommands.is_empty() {
                return Err("Allowing first-arg of a subcommand is not supported");
            }
            let spec = table::subcommand(container, sub.as_bytes()).ok_or(UNKNOWN)?;
            self.set(spec.id, allow);
        } else {
            let spec = table::lookup(name.as_bytes()).ok_or(UNKNOWN)?;
            for one in core::iter::once(spec).chain(spec.subcommands) {
                self.set(one.id, allow);
            }
        }
        // Of the rules for one name the last counts, and one for a container takes in its subcommands.
        let within = alloc::format!("{name}|");
        self.rules.retain(|old| old[1..] != *name && !old[1..].starts_with(&within));
        self.rules.push(rule);
        Ok(())
    }

    fn set(&mut self, id: CommandId, allow: bool) {
        let (word, bit) = (id as usize / 64, 1 << (id as usize % 64));
        if allow {
            self.allowed[word] |= bit;
        } else {
            self.allowed[word] &= !bit;
        }
    }
}

/// Categories of Redis that have no commands here yet.
const EMPTY: [&str; 11] = [
    "bitmap",
    "geo",
    "hash",
    "hyperloglog",
    "list",
    "pubsub",
    "scripting",
    "set",
    "sortedset",
    "stream",
    "transaction",
];

/// The bit of a category, by its name without the `@`; none of one that is empty.
pub(crate) fn category_named(name: &str) -> Option<u32> {
    if EMPTY.contains(&name) {
        return Some(0);
    }
    let at = category::NAMES.iter().position(|known| known[1..] == *name)?;
    Some(1 << at)
}
