//! Passwords, looked into as the node does it but for what it costs: a hash here is what it hashes.

use driftless_core::{Given, Secret, SecretOutcome, SecretWork};

use super::node::Input;
use super::{What, World};
use crate::queue::MS;

/// How long one takes, at least, and how much longer it may take.
const LEAST: u64 = 5 * MS;
const SPREAD: u64 = 50 * MS;

impl World {
    /// An engine wants to know something of passwords.
    pub(super) fn look_into(&mut self, node: usize, lane: usize, work: &SecretWork) {
        let machine = &mut self.nodes[node];
        let outcomes = work.secrets.iter().map(outcome).collect();
        machine.lanes[lane].secrets.push_back((work.number, outcomes));
        let at = self.now + LEAST + self.chances.workload.up_to(SPREAD);
        let (node, lane, boot) = (node as u8, lane as u8, machine.boot);
        self.queue.push(at, What::Secrets { node, lane, boot });
    }

    /// The oldest password in question has been looked into.
    pub(super) fn secrets_done(&mut self, node: usize, lane: usize, boot: u32) {
        if self.nodes[node].boot != boot {
            return;
        }
        if let Some((number, outcomes)) = self.nodes[node].lanes[lane].secrets.pop_front() {
            self.input(node, lane, Input::Secrets(number, outcomes));
        }
    }
}

fn outcome(secret: &Secret) -> SecretOutcome {
    let hash = match &secret.given {
        Given::Password(password) => format!("$sim${}", String::from_utf8_lossy(password)),
        Given::Sha256(hash) => format!("$sim${hash}"),
    };
    match secret.against.iter().position(|known| *known == hash) {
        None if secret.make => SecretOutcome::Hash(hash),
        found => SecretOutcome::Match(found),
    }
}
