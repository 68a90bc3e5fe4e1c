//! One user: the rules that were given, and what they come to.

use alloc::string::String;
use alloc::vec::Vec;

use crate::command::access::permissions::put_words;
use crate::command::access::{Denied, Permissions};
use crate::command::spec::Spec;
use crate::resp::Args;

const SYNTAX: &str = "Syntax error";
const NO_SUCH_PASSWORD: &str = "The password you are trying to remove from the user does not exist";
/// A hash of a password, at most. One of Argon2id takes about 100.
const MOST_HASH: usize = 256;

/// What lets a user in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Passwords {
    /// The password of the node's settings; without one, none is needed. What `default` has before it is given another.
    OfSettings,
    /// Any password, or none.
    NotNeeded,
    /// What a slow hash makes of one of its passwords. Without any, nobody is let in.
    Hashes(Vec<String>),
}

/// A user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    enabled: bool,
    passwords: Passwords,
    root: Permissions,
    /// More permissions, each of which is enough.
    selectors: Vec<Permissions>,
}

impl User {
    /// As ACL SETUSER makes a new one: may not come in, and may do nothing.
    pub fn nobody() -> Self {
        let passwords = Passwords::Hashes(Vec::new());
        Self { enabled: false, passwords, root: Permissions::none(), selectors: Vec::new() }
    }

    /// What `default` is before somebody changes it: whoever has the settings' password may do everything.
    pub fn everybody() -> Self {
        let (root, selectors) = (Permissions::all(), Vec::new());
        Self { enabled: true, passwords: Passwords::OfSettings, root, selectors }
    }

    /// As it is kept: words with spaces between them. `Err` is what is wrong with one of them.
    pub fn parse(text: &[u8]) -> Result<Self, &'static str> {
        let words: Vec<&[u8]> = text.split(|byte| *byte == b' ').collect();
        let mut user = Self::nobody();
        for word in join_selectors(&words)? {
            user.apply(&word)?;
        }
        Ok(user)
    }

    /// Takes one more rule, as a word of ACL SETUSER; a selector is one word. `Err` is what is wrong with it; then
    /// the user is as it was.
    pub fn apply(&mut self, rule: &[u8]) -> Result<(), &'static str> {
        match rule.to_ascii_lowercase().as_slice() {
            b"on" => self.enabled = true,
            b"off" => self.enabled = false,
            b"nopass" => self.passwords = Passwords::NotNeeded,
            b"settingspass" => self.passwords = Passwords::OfSettings,
            b"resetpass" => self.passwords = Passwords::Hashes(Vec::new()),
            b"clearselectors" => self.selectors.clear(),
            b"reset" => *self = Self::nobody(),
            // There are no scripts whose payload could be trusted or not.
            b"sanitize-payload" | b"skip-sanitize-payload" => {}
            _ => return self.apply_signed(rule),
        }
        Ok(())
    }

    fn apply_signed(&mut self, rule: &[u8]) -> Result<(), &'static str> {
        match rule {
            [b'#', hash @ ..] => self.add_hash(hash),
            [b'!', hash @ ..] => {
                let Passwords::Hashes(hashes) = &mut self.passwords else {
                    return Err(NO_SUCH_PASSWORD);
                };
                let at = hashes.iter().position(|known| known.as_bytes() == hash);
                hashes.remove(at.ok_or(NO_SUCH_PASSWORD)?);
                Ok(())
            }
            [b'(', rules @ .., b')'] => {
                let mut selector = Permissions::none();
                let words = rules.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
                for word in words {
                    selector.apply(word)?;
                }
                self.selectors.push(selector);
                Ok(())
            }
            _ => self.root.apply(rule),
        }
    }

    fn add_hash(&mut self, hash: &[u8]) -> Result<(), &'static str> {
        let readable = hash.iter().all(u8::is_ascii_graphic);
        let hash = core::str::from_utf8(hash)
            .ok()
            .filter(|hash| readable && hash.len() <= MOST_HASH && hash.starts_with('$'));
        let hash = hash.ok_or(SYNTAX)?;
        if !matches!(self.passwords, Passwords::Hashes(_)) {
            self.passwords = Passwords::Hashes(Vec::new());
        }
        if let Passwords::Hashes(hashes) = &mut self.passwords
            && !hashes.iter().any(|known| known == hash)
        {
            hashes.push(hash.into());
        }
        Ok(())
    }

    /// Whether it may come in at all.
    pub fn enabled(&self) -> bool {
        self.enabled
    }

    /// What lets it in.
    pub fn passwords(&self) -> &Passwords {
        &self.passwords
    }

    /// What it may do without any selector.
    pub fn root(&self) -> &Permissions {
        &self.root
    }

    /// What else it may do.
    pub fn selectors(&self) -> &[Permissions] {
        &self.selectors
    }

    /// Whether there is nothing that it may not do.
    pub fn may_do_all(&self) -> bool {
        self.root.is_all()
    }

    /// Whether it may run a command. Its number of arguments has been checked.
    pub fn check(&self, spec: &Spec, args: &Args<'_>) -> Result<(), Denied> {
        let mut denied = Denied::Command;
        for permissions in core::iter::once(&self.root).chain(&self.selectors) {
            match permissions.check(spec, args) {
                Ok(()) => return Ok(()),
                // The one that came closest says why.
                Err(why) => denied = denied.max(why),
            }
        }
        Err(denied)
    }

    /// All rules, as they are kept and as [`User::parse`] reads them.
    pub fn text(&self) -> Vec<u8> {
        let mut text = if self.enabled { b"on".to_vec() } else { b"off".to_vec() };
        match &self.passwords {
            Passwords::OfSettings => text.extend_from_slice(b" settingspass"),
            Passwords::NotNeeded => text.extend_from_slice(b" nopass"),
            Passwords::Hashes(hashes) => {
                put_words(&mut text, hashes.iter().map(|hash| [b"#", hash.as_bytes()].concat()));
            }
        }
        self.root.put(&mut text);
        for selector in &self.selectors {
            text.extend_from_slice(b" (");
            selector.put(&mut text);
            text.push(b')');
        }
        text
    }
}

/// Puts the words of each selector together, from `(` to `)`.
pub fn join_selectors(words: &[&[u8]]) -> Result<Vec<Vec<u8>>, &'static str> {
    let mut joined: Vec<Vec<u8>> = Vec::with_capacity(words.len());
    let mut open = false;
    for word in words {
        if open && let Some(selector) = joined.last_mut() {
            selector.push(b' ');
            selector.extend_from_slice(word);
        } else {
            joined.push(word.to_vec());
        }
        open = joined.last().is_some_and(|last| last.starts_with(b"(") && !last.ends_with(b")"));
    }
    if open { Err("Unmatched parenthesis in acl selector") } else { Ok(joined) }
}
