//! Who may do what: users, and the rules that make them, in the syntax of Redis's access control lists.
//!
//! A user is written as a list of words, and kept as they are: `on #$argon2id$... ~app:* &* -@all +@read`. Passwords
//! never come here: a word holds what a slow hash made of one, and whoever drives the engine makes and checks those.

mod account;
mod commands;
mod permissions;
#[cfg(test)]
mod tests;
mod user;

pub use account::{Account, Users, acl_line};
pub use commands::Commands;
pub(crate) use commands::category_named;
pub use permissions::{Denied, Permissions};
pub use user::{Passwords, User, join_selectors};

/// The user that a connection has before it names another.
pub const DEFAULT: &[u8] = b"default";

/// Users of a cluster, at most.
pub const MOST_USERS: u64 = 1024;
/// Bytes of a password, at most.
pub const MOST_PASSWORD: usize = 4 << 10;
/// Bytes of the rules of one user, at most.
pub const MOST_BYTES: usize = 16 << 10;

/// Whether a name can be one of a user: Redis's rule, and short enough to be shown.
pub fn is_name(name: &[u8]) -> bool {
    (1..=128).contains(&name.len())
        && name.iter().all(|byte| !byte.is_ascii_whitespace() && *byte != 0)
}
