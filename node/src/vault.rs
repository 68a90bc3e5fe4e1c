//! Where passwords are hashed, and compared with hashes: on a thread of its own, since one takes tens of milliseconds
//! and 19 MiB. What is hashed, by Argon2id, is the password's SHA-256 in hexadecimal digits.
//!
//! Clients come back often. So it is remembered, by a key that is drawn for each process, which passwords were found to be
//! right: those wait for nobody. Of the others, one address may not have more than a part looked into at a time.

use std::collections::HashMap;
use std::fmt::{self, Write as _};
#[cfg(not(madsim))]
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use argon2::password_hash::{PasswordHash, PasswordHasher as _, PasswordVerifier as _, SaltString};
use argon2::{Argon2, Params};
use driftless_core::{Given, Secret, SecretOutcome, SecretWork};
use ring::{digest, hmac};

use crate::engine::{Inbox, Note};

/// Commands that wait at once; more are told to try again.
#[cfg(not(madsim))]
const MOST_WAITING: usize = 256;
/// And of those, commands of clients at one address.
#[cfg(not(madsim))]
const MOST_OF_ONE: usize = 64;
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
#[cfg(not(madsim))]
struct Job {
    from: Arc<Inbox>,
    /// The address of the client, without its port.
    host: String,
    work: SecretWork,
}

/// Takes passwords to be looked into.
#[derive(Clone)]
pub struct Vault {
    memory: Arc<Memory>,
    #[cfg(not(madsim))]
    jobs: SyncSender<Job>,
    #[cfg(not(madsim))]
    waiting: Arc<Waiting>,
}

/// Which passwords were found to be right.
struct Memory {
    key: hmac::Key,
    /// By hash, what the key makes of the password that it is of.
    known: Mutex<HashMap<String, hmac::Tag>>,
}

/// How many commands of clients at each address wait.
#[cfg(not(madsim))]
#[derive(Default)]
struct Waiting(Mutex<HashMap<String, usize>>);

impl fmt::Debug for Vault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Vault")
    }
}

#[cfg(not(madsim))]
impl Vault {
    /// Starts the thread; it ends when nobody can ask it any more.
    pub fn start() -> std::io::Result<Self> {
        let memory = Arc::new(Memory::new()?);
        let waiting = Arc::new(Waiting::default());
        let (jobs, asked) = sync_channel(MOST_WAITING);
        let (keeper, left) = (memory.clone(), waiting.clone());
        std::thread::Builder::new()
            .name("passwords".to_owned())
            .spawn(move || serve(&keeper, &left, &asked))?;
        Ok(Self { memory, jobs, waiting })
    }

    /// Looks into passwords that a client at `peer` has given; the engine is told when it is done, or at once that there
    /// are too many.
    pub fn ask(&self, from: &Arc<Inbox>, peer: &str, work: SecretWork) {
        let number = work.number;
        if let Some(outcome) = self.memory.knows(&work) {
            from.push(Note::Secrets { number, outcomes: Some(vec![outcome]) });
            return;
        }
        let host = peer.rsplit_once(':').map_or(peer, |(host, _)| host).to_owned();
        if !self.waiting.come(&host) {
            from.push(Note::Secrets { number, outcomes: None });
            return;
        }
        let sent = self.jobs.try_send(Job { from: from.clone(), host, work });
        if let Err(TrySendError::Full(job) | TrySendError::Disconnected(job)) = sent {
            self.waiting.leave(&job.host);
            job.from.push(Note::Secrets { number, outcomes: None });
        }
    }
}

#[cfg(not(madsim))]
impl Waiting {
    fn hosts(&self) -> MutexGuard<'_, HashMap<String, usize>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether one more of a host may wait.
    fn come(&self, host: &str) -> bool {
        let mut hosts = self.hosts();
        let count = hosts.entry(host.to_owned()).or_default();
        let may = *count < MOST_OF_ONE;
        *count += usize::from(may);
        may
    }

    fn leave(&self, host: &str) {
        let mut hosts = self.hosts();
        if let Some(count) = hosts.get_mut(host) {
            *count -= 1;
            if *count == 0 {
                hosts.remove(host);
            }
        }
    }
}

#[cfg(not(madsim))]
fn serve(memory: &Memory, waiting: &Waiting, asked: &Receiver<Job>) {
    while let Ok(job) = asked.recv() {
        memory.answer(&job.from, &job.work);
        waiting.leave(&job.host);
    }
}

/// In a simulation there are no threads, and time stands still while a password is hashed.
#[cfg(madsim)]
impl Vault {
    /// Nothing has to be started.
    pub fn start() -> std::io::Result<Self> {
        Ok(Self { memory: Arc::new(Memory::new()?) })
    }

    /// Looks into passwords at once.
    pub fn ask(&self, from: &Arc<Inbox>, _: &str, work: SecretWork) {
        self.memory.answer(from, &work);
    }
}

impl Memory {
    fn new() -> std::io::Result<Self> {
        let mut key = [0; 32];
        getrandom::fill(&mut key).map_err(|error| std::io::Error::other(error.to_string()))?;
        let key = hmac::Key::new(hmac::HMAC_SHA256, &key);
        Ok(Self { key, known: Mutex::default() })
    }

    fn known(&self) -> MutexGuard<'_, HashMap<String, hmac::Tag>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What comes of a password that was found to be right before.
    #[cfg(not(madsim))]
    fn knows(&self, work: &SecretWork) -> Option<SecretOutcome> {
        let [secret] = &work.secrets[..] else { return None };
        self.recall(&given(secret), &secret.against).map(|at| SecretOutcome::Match(Some(at)))
    }

    fn answer(&self, from: &Inbox, work: &SecretWork) {
        let outcomes = work.secrets.iter().map(|secret| self.look(secret)).collect();
        from.push(Note::Secrets { number: work.number, outcomes: Some(outcomes) });
    }

    fn look(&self, secret: &Secret) -> SecretOutcome {
        let given = given(secret);
        match self.find(&given, &secret.against, secret.make) {
            None if secret.make => {
                hash(&given).map_or(SecretOutcome::Match(None), SecretOutcome::Hash)
            }
            found => SecretOutcome::Match(found),
        }
    }

    /// Which of the hashes a password is known to be of.
    fn recall(&self, given: &str, hashes: &[String]) -> Option<usize> {
        let known = self.known();
        // In a time that tells nothing of where they differ.
        let is = |tag: &hmac::Tag| hmac::verify(&self.key, given.as_bytes(), tag.as_ref()).is_ok();
        hashes.iter().position(|hash| known.get(hash).is_some_and(is))
    }

    fn find(&self, given: &str, hashes: &[String], make: bool) -> Option<usize> {
        if let Some(at) = self.recall(given, hashes) {
            return Some(at);
        }
        if hashes.is_empty() && !make {
            let _ = is_of(given, NOBODY);
        }
        let at = hashes.iter().position(|hash| is_of(given, hash))?;
        let mut known = self.known();
        if known.len() >= MOST_KNOWN {
            known.clear();
        }
        known.insert(hashes[at].clone(), hmac::sign(&self.key, given.as_bytes()));
        Some(at)
    }
}

/// What is hashed and compared.
fn given(secret: &Secret) -> String {
    match &secret.given {
        Given::Password(password) => hex(digest::digest(&digest::SHA256, password).as_ref()),
        Given::Sha256(hash) => hash.clone(),
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
    use driftless_core::ClientId;

    use super::*;

    fn secret(given: Given, against: &[String], make: bool) -> Secret {
        Secret { given, against: against.to_vec(), make }
    }

    fn password(text: &str) -> Given {
        Given::Password(text.as_bytes().to_vec())
    }

    #[test]
    fn a_password_is_known_by_its_hash() {
        let keeper = Memory::new().expect("the system has chance");
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
        let found = |keeper: &Memory, given| keeper.look(&secret(given, &hashes, false));
        let again = keeper.look(&secret(password("open sesame"), &hashes, true));
        assert_eq!(again, SecretOutcome::Match(Some(0)), "no password is kept twice");
        for _ in 0..2 {
            let right = found(&keeper, password("open sesame"));
            assert_eq!(right, SecretOutcome::Match(Some(0)), "remembered or not");
            let wrong = found(&keeper, password("open barley"));
            assert_eq!(wrong, SecretOutcome::Match(None));
        }
        // As Redis keeps it.
        let sha = Given::Sha256(
            "41ef4bb0b23661e66301aac36066912dac037827b4ae63a7b1165a5aa93ed4eb".to_owned(),
        );
        assert_eq!(found(&keeper, sha), SecretOutcome::Match(Some(0)));
    }

    #[cfg(not(madsim))]
    #[test]
    fn who_floods_has_a_part_of_the_places_and_who_is_known_needs_none() {
        let (vault, inbox) = (Vault::start().expect("it starts"), Inbox::new());
        let ask = |number, peer: &str, text: &str, against: &[String]| {
            let secrets = vec![secret(password(text), against, false)];
            vault.ask(&inbox, peer, SecretWork { number, client: ClientId(0), secrets });
        };
        let mut told = HashMap::new();
        let mut outcome = |wanted: u64| {
            let mut notes = Vec::new();
            loop {
                if let Some(outcome) = told.remove(&wanted) {
                    return outcome;
                }
                inbox.take(&mut notes);
                for note in notes.drain(..) {
                    if let Note::Secrets { number, outcomes } = note {
                        told.insert(number, outcomes);
                    }
                }
                std::thread::yield_now();
            }
        };
        let known = [hash(&given(&secret(password("right"), &[], false))).expect("it is hashed")];
        let right = Some(vec![SecretOutcome::Match(Some(0))]);
        ask(0, "10.0.0.1:1", "right", &known);
        assert_eq!(outcome(0), right);
        // Faster than any of them is looked into.
        let count = MOST_OF_ONE as u64 + 2;
        (1..=count).for_each(|at| ask(at, "10.0.0.2:7", "wrong", &known));
        ask(1_001, "10.0.0.2:8", "right", &known);
        ask(1_002, "10.0.0.3:1", "wrong", &known);
        assert_eq!(outcome(count), None, "one too many of this host");
        assert_eq!(outcome(1_001), right, "known, whoever floods");
        assert_eq!(outcome(1_002), Some(vec![SecretOutcome::Match(None)]), "of another host");
    }

    #[test]
    fn nobody_and_monstrous_hashes_match_nothing() {
        let keeper = Memory::new().expect("the system has chance");
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
