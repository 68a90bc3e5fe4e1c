//! What doors ask, and what they are told, as types.

use std::fmt;
use std::io;
use std::time::Duration;

use super::Session;
use crate::answer::{Answer, is_for_now};

/// When a key ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expiry {
    /// Never.
    Never,
    /// After so long.
    After(Duration),
}

/// Why something was not done, or may not have been.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The caller has not said who it is, or not rightly.
    #[error("{0}")]
    NotAllowed(String),
    /// The caller may not do this.
    #[error("{0}")]
    Forbidden(String),
    /// Nothing was done; it may be tried again.
    #[error("{0}")]
    NotNow(String),
    /// Nothing was done, and will not be: something is wrong with what was asked.
    #[error("{0}")]
    Wrong(String),
    /// The cluster does not remember as far back as was asked.
    #[error("{0}")]
    Gone(String),
    /// It may have been done or not: the node stopped before it was known.
    #[error("the answer will never be known: the node hung up")]
    Unknown,
}

impl From<io::Error> for Refusal {
    fn from(_: io::Error) -> Self {
        Self::Unknown
    }
}

impl Refusal {
    pub(super) fn of(error: String) -> Self {
        match error.split_once(' ').map_or(error.as_str(), |(code, _)| code) {
            "NOAUTH" | "WRONGPASS" => Self::NotAllowed(error),
            "NOPERM" => Self::Forbidden(error),
            "GONE" => Self::Gone(error),
            _ if is_for_now(&error) => Self::NotNow(error),
            _ => Self::Wrong(error),
        }
    }
}

/// Who somebody says to be.
#[derive(Clone, PartialEq, Eq)]
pub struct Login {
    /// The name of a user.
    pub user: String,
    /// Its password.
    pub password: String,
}

impl Login {
    /// As `user`, or as `default` if that is empty.
    pub fn new(user: &str, password: &str) -> Self {
        let user = if user.is_empty() { "default" } else { user };
        Self { user: user.to_owned(), password: password.to_owned() }
    }
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Login").field("user", &self.user).finish_non_exhaustive()
    }
}

pub(super) type Told<T> = Result<T, Refusal>;

impl Session {
    /// Says who asks. A password where none is wanted does no harm.
    pub async fn authenticate(&mut self, login: &Login) -> Told<()> {
        self.ask(&["AUTH", &login.user, &login.password]).await.map(|_| ())
    }

    /// Whether the caller has said who it is, if that is needed, whatever it may do.
    pub async fn has_come_in(&mut self) -> Told<()> {
        match self.ask(&["ECHO", ""]).await {
            Ok(_) | Err(Refusal::Forbidden(_)) => Ok(()),
            Err(refusal) => Err(refusal),
        }
    }

    /// Any command; an error is a refusal.
    pub async fn ask<A: AsRef<[u8]>>(&mut self, command: &[A]) -> Told<Answer> {
        match self.call(command).await? {
            Answer::Error(error) => Err(Refusal::of(error)),
            answer => Ok(answer),
        }
    }

    /// The value of a key, if there is one.
    pub async fn get(&mut self, key: &[u8]) -> Told<Option<Vec<u8>>> {
        match self.ask(&[b"GET", key]).await? {
            Answer::Bulk(value) => Ok(Some(value)),
            Answer::Null => Ok(None),
            other => Err(unexpected(&other)),
        }
    }

    /// The value of a key, and when it ends.
    pub async fn get_with_expiry(&mut self, key: &[u8]) -> Told<Option<(Vec<u8>, Expiry)>> {
        let answer = self.ask(&[b"GETTTL", key]).await?;
        let parts = match answer {
            Answer::Null => return Ok(None),
            Answer::Array(parts) => parts,
            other => return Err(unexpected(&other)),
        };
        match <[Answer; 2]>::try_from(parts) {
            Ok([Answer::Bulk(value), Answer::Integer(-1)]) => Ok(Some((value, Expiry::Never))),
            Ok([Answer::Bulk(value), Answer::Integer(left @ 0..)]) => {
                Ok(Some((value, Expiry::After(Duration::from_millis(left.cast_unsigned())))))
            }
            Ok(other) => Err(unexpected(&Answer::Array(other.into()))),
            Err(other) => Err(unexpected(&Answer::Array(other))),
        }
    }

    /// Sets a key, and when it ends.
    pub async fn set(&mut self, key: &[u8], value: &[u8], expiry: Expiry) -> Told<()> {
        match expiry {
            Expiry::Never => self.ask(&[b"SET", key, value]).await?,
            Expiry::After(span) => {
                let span = span.as_millis().to_string();
                self.ask(&[b"SET", key, value, b"PX", span.as_bytes()]).await?
            }
        };
        Ok(())
    }

    /// Removes a key; whether it was there.
    pub async fn delete(&mut self, key: &[u8]) -> Told<bool> {
        self.ask(&[b"DEL", key]).await.and_then(|answer| flag(&answer))
    }

    /// Lets a key end after `span`; whether it was there.
    pub async fn expire(&mut self, key: &[u8], span: Duration) -> Told<bool> {
        let span = span.as_millis().to_string();
        self.ask(&[b"PEXPIRE", key, span.as_bytes()]).await.and_then(|answer| flag(&answer))
    }

    /// Lets a key live on; whether it was there.
    pub async fn persist(&mut self, key: &[u8]) -> Told<bool> {
        // Whether there is such a key that lives on already is asked only where nothing was done.
        let done = self.ask(&[b"PERSIST", key]).await.and_then(|answer| flag(&answer))?;
        if done {
            return Ok(true);
        }
        self.ask(&[b"EXISTS", key]).await.and_then(|answer| flag(&answer))
    }

    /// A page of about `count` keys from a cursor on, or the last one.
    pub async fn scan_page(
        &mut self,
        cursor: u64,
        pattern: &[u8],
        count: u64,
    ) -> Told<(u64, Vec<Vec<u8>>)> {
        let (mut cursor, mut found) = (cursor, Vec::new());
        loop {
            let (next, more) = self.scan(cursor, pattern, count).await?;
            found.extend(more);
            cursor = next;
            if cursor == 0 || found.len() as u64 >= count {
                return Ok((cursor, found));
            }
        }
    }

    /// Some of the keys from a cursor on, and where to go on; 0 is the beginning, and the end. `pattern`: a glob.
    pub async fn scan(
        &mut self,
        cursor: u64,
        pattern: &[u8],
        count: u64,
    ) -> Told<(u64, Vec<Vec<u8>>)> {
        let (cursor, count) = (cursor.to_string(), count.to_string());
        let command: [&[u8]; 6] =
            [b"SCAN", cursor.as_bytes(), b"MATCH", pattern, b"COUNT", count.as_bytes()];
        let answer = self.ask(&command).await?;
        let Answer::Array(parts) = &answer else { return Err(unexpected(&answer)) };
        let [Answer::Bulk(next), Answer::Array(found)] = parts.as_slice() else {
            return Err(unexpected(&answer));
        };
        let next = std::str::from_utf8(next).ok().and_then(|text| text.parse().ok());
        let key = |answer: &Answer| match answer {
            Answer::Bulk(key) => Some(key.clone()),
            _ => None,
        };
        let found: Option<Vec<_>> = found.iter().map(key).collect();
        next.zip(found).ok_or_else(|| unexpected(&answer))
    }
}

fn flag(answer: &Answer) -> Told<bool> {
    match answer {
        Answer::Integer(count) => Ok(*count > 0),
        other => Err(unexpected(other)),
    }
}

pub(super) fn unexpected(answer: &Answer) -> Refusal {
    Refusal::Wrong(format!("ERR the node answered with {answer:?}"))
}

/// A glob for all keys that begin with `prefix`.
pub fn starts_with(prefix: &[u8]) -> Vec<u8> {
    let mut pattern = Vec::new();
    for byte in prefix {
        if b"*?[]\\^".contains(byte) {
            pattern.push(b'\\');
        }
        pattern.push(*byte);
    }
    pattern.push(b'*');
    pattern
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_is_taken_as_it_is() {
        assert_eq!(starts_with(b"a*[b"), br"a\*\[b*");
        assert_eq!(starts_with(b""), b"*");
    }
}
