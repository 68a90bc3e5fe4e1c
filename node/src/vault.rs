//! Where passwords are hashed, and compared with hashes: on a thread of its own, since one takes tens of milliseconds
//! and 19 MiB. What is hashed, by Argon2id, is the password's SHA-256 in hexadecimal digits.
//!
//! Clients come back often. So the thread remembers, by a key that is drawn for each process, which passwords it has
//! found to be right, and needs no second time for them.

use std::collections::HashMap;
use std::fmt::{self, Write as _};
use std::sync::Arc;
#[cfg(not(madsim))]
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};

use argon2::password_hash::{PasswordHash, PasswordHasher as _, PasswordVerifier as _, SaltString};
use argon2::{Argon2, Params};
use driftless_core::{Given, Secret, SecretOutcome, SecretWork};
use ring::{digest, hmac};

use crate::engine::{Inbox, Note};

/// Commands that wait at once; more are told to try again.
#[cfg(not(madsim))]
const MOST_WAITING: usize = 256;
/// Passwords that are remembered.
const MOST_KNOWN: usize = 4096;
/// No more memory is spent on one hash, whoever has made it; in KiB.
const MOST_MEMORY: u32 = 256 << 10;
/// Nor more rounds.
const MOST_ROUNDS: u32 = 16;
/// As much work as looking into a password is, for users that are not there.
const NOBODY: &str = "$argon2id$v=19$m=19456,t=2,p=1$bm9ib2R5IGlzIGhlcmU$\
                      WUxpdHMgaXMgbm90IGEgaGFzaCBvZiBhbnl0aGluZyE";

/// What an engine wants to know.
struct Job {
    from: Arc<Inbox>,
    work: SecretWork,
}

/// Takes passwords to be looked into.
#[derive(Clone)]
pub struct Vault {
    #[cfg(not(madsim))]
    jobs: SyncSender<Job>,
    #[cfg(madsim)]
    keeper: Arc<std::sync::Mutex<Keeper>>,
}

impl fmt::Debug for Vault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Vault")
    }
}

#[cfg(not(madsim))]
impl Vault {
    /// Starts the thread; it ends when nobody can ask it any more.
    pub fn start() -> std::io::Result<Self> {
        let keeper = Keeper::new()?;
        let (jobs, asked) = sync_channel(MOST_WAITING);
        std::thread::Builder::new()
            .name("passwords".to_owned())
            .spawn(move || serve(keeper, &asked))?;
        Ok(Self { jobs })
    }

    /// Looks into passwords; the engine is told when it is done, or at once that there are too many.
    pub fn ask(&self, from: &Arc<Inbox>, work: SecretWork) {
        match self.jobs.try_send(Job { from: from.clone(), work }) {
            Ok(()) => {}
            Err(TrySendError::Full(job) | TrySendError::Disconnected(job)) => {
                let number = job.work.number;
                job.from.push(Note::Secrets { number, outcomes: None });
            }
        }
    }
}

#[cfg(not(madsim))]
fn serve(keeper: Keeper, asked: &Receiver<Job>) {
    let mut keeper = keeper;
    while let Ok(job) = asked.recv() {
        keeper.answer(&job);
    }
}

/// In a simulation there are no threads, and time stands still while a password is hashed.
#[cfg(madsim)]
impl Vault {
    /// Nothing has to be started.
    pub fn start() -> std::io::Result<Self> {
        Ok(Self { keeper: Arc::new(std::sync::Mutex::new(Keeper::new()?)) })
    }

    /// Looks into passwords at once.
    pub fn ask(&self, from: &Arc<Inbox>, work: SecretWork) {
        let mut keeper = self.keeper.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        keeper.answer(&Job { from: from.clone(), work });
    }
}

/// Who looks into passwords.
struct Keeper {
    key: hmac::Key,
    /// By hash, what the key makes of the password that it is of.
    known: HashMap<String, hmac::Tag>,
}

impl Keeper {
    fn new() -> std::io::Result<Self> {
        let mut key = [0; 32];
        getrandom::fill(&mut key).map_err(|error| std::io::Error::other(error.to_string()))?;
        Ok(Self { key: hmac::Key::new(hmac::HMAC_SHA256, &key), known: HashMap::new() })
    }

    fn answer(&mut self, job: &Job) {
        let outcomes = job.work.secrets.iter().map(|secret| self.look(secret)).collect();
        job.from.push(Note::Secrets { number: job.work.number, outcomes: Some(outcomes) });
    }

    fn look(&mut self, secret: &Secret) -> SecretOutcome {
        let given = match &secret.given {
            Given::Password(password) => hex(digest::digest(&digest::SHA256, password).as_ref()),
            Given::Sha256(hash) => hash.clone(),
        };
        match self.find(&given, &secret.against, secret.make) {
            None if secret.make => {
                hash(&given).map_or(SecretOutcome::Match(None), SecretOutcome::Hash)
            }
            found => SecretOutcome::Match(found),
        }
    }

    fn find(&mut self, given: &str, hashes: &[String], make: bool) -> Option<usize> {
        let (key, known) = (&self.key, &self.known);
        // In a time that tells nothing of where they differ.
        let is = |tag: &hmac::Tag| hmac::verify(key, given.as_bytes(), tag.as_ref()).is_ok();
        let remembered = |hash: &String| known.get(hash).is_some_and(is);
        if let Some(at) = hashes.iter().position(remembered) {
            return Some(at);
        }
        if hashes.is_empty() && !make {
            let _ = is_of(given, NOBODY);
        }
        let at = hashes.iter().position(|hash| is_of(given, hash))?;
        if self.known.len() >= MOST_KNOWN {
            self.known.clear();
        }
        self.known.insert(hashes[at].clone(), hmac::sign(&self.key, given.as_bytes()));
        Some(at)
    }
}

fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(2 * bytes.len());
    for byte in bytes {
        write!(text, "{byte:02x}").expect("writing to memory does not fail");
    }
    text
}

/// A new hash, with a salt of its own.
fn hash(given: &str) -> Option<String> {
    let mut salt = [0; 16];
    getrandom::fill(&mut salt).ok()?;
    let salt = SaltString::encode_b64(&salt).ok()?;
    let hash = Argon2::default().hash_password(given.as_bytes(), &salt).ok()?;
    Some(hash.to_string())
}

fn is_of(given: &str, hash: &str) -> bool {
    let Ok(hash) = PasswordHash::new(hash) else { return false };
    let modest = Params::try_from(&hash)
        .is_ok_and(|params| params.m_cost() <= MOST_MEMORY && params.t_cost() <= MOST_ROUNDS);
    modest && Argon2::default().verify_password(given.as_bytes(), &hash).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(given: Given, against: &[String], make: bool) -> Secret {
        Secret { given, against: against.to_vec(), make }
    }

    fn password(text: &str) -> Given {
        Given::Password(text.as_bytes().to_vec())
    }

    #[test]
    fn a_password_is_known_by_its_hash() {
        let mut keeper = Keeper::new().expect("the system has chance");
        let SecretOutcome::Hash(hash) = keeper.look(&secret(password("open sesame"), &[], true))
        else {
            panic!("it is hashed");
        };
        assert!(hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{hash}");
        let SecretOutcome::Hash(other) = keeper.look(&secret(password("open sesame"), &[], true))
        else {
            panic!("it is hashed");
        };
        assert_ne!(hash, other, "each has a salt of its own");
        let hashes = [other, hash];
        let found = |keeper: &mut Keeper, given| keeper.look(&secret(given, &hashes, false));
        let again = keeper.look(&secret(password("open sesame"), &hashes, true));
        assert_eq!(again, SecretOutcome::Match(Some(0)), "no password is kept twice");
        for _ in 0..2 {
            let right = found(&mut keeper, password("open sesame"));
            assert_eq!(right, SecretOutcome::Match(Some(0)), "remembered or not");
            let wrong = found(&mut keeper, password("open barley"));
            assert_eq!(wrong, SecretOutcome::Match(None));
        }
        // As Redis keeps it.
        let sha = Given::Sha256(
            "41ef4bb0b23661e66301aac36066912dac037827b4ae63a7b1165a5aa93ed4eb".to_owned(),
        );
        assert_eq!(found(&mut keeper, sha), SecretOutcome::Match(Some(0)));
    }

    #[test]
    fn nobody_and_monstrous_hashes_match_nothing() {
        let mut keeper = Keeper::new().expect("the system has chance");
        for hashes in [
            Vec::new(),
            vec![NOBODY.to_owned()],
            vec![
                "$argon2id$v=19$m=4000000,t=2,p=1$bm9ib2R5IGlzIGhlcmU$bm9ib2R5IGlzIGhlcmU"
                    .to_owned(),
            ],
            vec!["$plain$x".to_owned(), "x".to_owned()],
        ] {
            let outcome = keeper.look(&secret(password("x"), &hashes, false));
            assert_eq!(outcome, SecretOutcome::Match(None));
        }
        assert!(
            PasswordHash::new(NOBODY).is_ok(),
            "what nobody has costs as much as what somebody has"
        );
    }
}
