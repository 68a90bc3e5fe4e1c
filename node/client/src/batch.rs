//! Several operations in one message.

use std::time::Duration;

use tonic::{Code, Status};

use crate::call::Does;
use crate::client::millis;
use crate::proto::operation::Operation as Ask;
use crate::proto::outcome::Outcome as Told;
use crate::proto::{self, DeleteRequest, ExpireRequest, GetRequest, Operation};
use crate::{Entry, Error, Put};

/// Operations for [`Client::batch`](crate::Client::batch).
#[derive(Clone, Debug, Default)]
pub struct Batch {
    operations: Vec<Ask>,
}

/// What became of an operation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// What the key holds, if there is one.
    Got(Option<Entry>),
    /// Whether it was set.
    Put(bool),
    /// Whether it was there.
    Deleted(bool),
    /// Whether there is a key whose end could be changed.
    ExpiryChanged(bool),
}

impl Batch {
    /// No operation yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.operations.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.operations.is_empty()
    }

    /// Reads a key.
    #[must_use]
    pub fn get(self, key: impl Into<Vec<u8>>) -> Self {
        self.and(Ask::Get(GetRequest { key: key.into() }))
    }

    /// Sets a key.
    #[must_use]
    pub fn put(self, key: impl Into<Vec<u8>>, value: impl Into<Vec<u8>>) -> Self {
        self.put_with(key, value, Put::new())
    }

    /// Sets a key for a while, or only if it is there or not.
    #[must_use]
    pub fn put_with(self, key: impl Into<Vec<u8>>, value: impl Into<Vec<u8>>, how: Put) -> Self {
        self.and(Ask::Set(how.request(key.into(), value.into())))
    }

    /// Removes a key.
    #[must_use]
    pub fn delete(self, key: impl Into<Vec<u8>>) -> Self {
        self.and(Ask::Delete(DeleteRequest { keys: vec![key.into()] }))
    }

    /// Lets a key end after `ttl`.
    #[must_use]
    pub fn expire(self, key: impl Into<Vec<u8>>, ttl: Duration) -> Self {
        self.and(Ask::Expire(ExpireRequest { key: key.into(), ttl_ms: Some(millis(ttl)) }))
    }

    /// Lets a key live on.
    #[must_use]
    pub fn persist(self, key: impl Into<Vec<u8>>) -> Self {
        self.and(Ask::Expire(ExpireRequest { key: key.into(), ttl_ms: None }))
    }

    fn and(mut self, operation: Ask) -> Self {
        self.operations.push(operation);
        self
    }

    pub(crate) fn does(&self) -> Does {
        let reads = self.operations.iter().all(|operation| matches!(operation, Ask::Get(_)));
        if reads { Does::Read } else { Does::Write }
    }

    pub(crate) fn first_key(&self) -> Option<Vec<u8>> {
        match self.operations.first()? {
            Ask::Get(asked) => Some(asked.key.clone()),
            Ask::Set(asked) => Some(asked.key.clone()),
            Ask::Delete(asked) => asked.keys.first().cloned(),
            Ask::Expire(asked) => Some(asked.key.clone()),
        }
    }

    pub(crate) fn into_operations(self) -> Vec<Operation> {
        let asked = self.operations.into_iter();
        asked.map(|operation| Operation { operation: Some(operation) }).collect()
    }
}

impl Outcome {
    pub(crate) fn of(outcome: proto::Outcome) -> Result<Self, Error> {
        Ok(match outcome.outcome {
            Some(Told::Get(answer)) => Self::Got(Entry::of(answer)),
            Some(Told::Set(answer)) => Self::Put(answer.done),
            Some(Told::Delete(answer)) => Self::Deleted(answer.deleted > 0),
            Some(Told::Expire(answer)) => Self::ExpiryChanged(answer.found),
            Some(Told::Failure(failure)) => {
                return Err(Error::of(&Status::new(Code::from(failure.code), failure.message)));
            }
            None => return Err(Error::Unknown("the node does not say what became of it".into())),
        })
    }
}
