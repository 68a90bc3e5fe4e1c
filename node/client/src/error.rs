//! What became of what was asked.

use std::error::Error as _;

use tonic::Code;

/// Why something failed. The kinds differ in what became of it, for that is what decides what to do next.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Nothing was done, nor will be: it may be tried again. All tries of the policy have been made.
    #[error("not done, and may be tried again: {0}")]
    NotDone(String),
    /// Nothing was done: the cluster does not know the caller, or not its right to do this.
    #[error("not allowed: {0}")]
    NotAllowed(String),
    /// Nothing was done, nor ever would be: something is wrong with what was asked.
    #[error("refused: {0}")]
    Refused(String),
    /// It may have been done or not: a node took it, and its answer did not come. Only writes end so.
    #[error("it may have been done or not: {0}")]
    Unknown(String),
    /// Some keys were deleted, and something went wrong with the others.
    #[error("{deleted} keys were deleted; of {} others: {why}", rest.len())]
    Partly {
        /// How many keys were there and were deleted.
        deleted: u64,
        /// The keys that `why` is about.
        rest: Vec<Vec<u8>>,
        /// What became of the rest.
        why: Box<Error>,
    },
    /// The changes since an earlier watch ended are no longer remembered: read what is there, and watch from now on.
    #[error("the changes since then are not remembered: {0}")]
    Forgotten(String),
}

/// A connection that did not do.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{why}")]
pub(crate) struct Broken {
    /// Whether the request may have left.
    pub(crate) sent: bool,
    pub(crate) why: String,
}

impl Error {
    /// Whether nothing was done, and the same may succeed later.
    pub fn may_be_tried_again(&self) -> bool {
        matches!(self, Self::NotDone(_))
    }

    /// What a status says of the fate of a call. Only what the node itself has said is believed.
    pub(crate) fn of(status: &tonic::Status) -> Self {
        let why = status.message().to_owned();
        if status.source().is_some() {
            let unsent = Self::is_of_unsent(status);
            return if unsent { Self::NotDone(why) } else { Self::Unknown(why) };
        }
        match status.code() {
            Code::Unavailable => Self::NotDone(why),
            Code::Unauthenticated | Code::PermissionDenied => Self::NotAllowed(why),
            // The last is said of requests that are too large.
            Code::InvalidArgument
            | Code::FailedPrecondition
            | Code::NotFound
            | Code::AlreadyExists
            | Code::Unimplemented
            | Code::ResourceExhausted
            | Code::OutOfRange => Self::Refused(why),
            Code::Ok
            | Code::Cancelled
            | Code::Unknown
            | Code::DeadlineExceeded
            | Code::Aborted
            | Code::Internal
            | Code::DataLoss => Self::Unknown(why),
        }
    }

    /// Whether the status is about a connection that broke before the request was sent.
    pub(crate) fn is_of_unsent(status: &tonic::Status) -> bool {
        let broken = status.source().and_then(|source| source.downcast_ref::<Broken>());
        broken.is_some_and(|broken| !broken.sent)
    }

    /// The same of a watch: a node that cannot tell on is left for another.
    pub(crate) fn of_watch(status: &tonic::Status) -> Self {
        match (status.code(), Self::of(status)) {
            (Code::OutOfRange, Self::Refused(why)) => Self::Forgotten(why),
            (Code::ResourceExhausted, Self::Refused(why)) => Self::NotDone(why),
            (_, other) => other.of_read(),
        }
    }

    /// The same of something that changes nothing: that its fate is not known does no harm.
    pub(crate) fn of_read(self) -> Self {
        match self {
            Self::Unknown(why) => Self::NotDone(why),
            other => other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tonic::Status;

    #[test]
    fn only_a_node_can_say_that_nothing_was_done() {
        let said = Status::unavailable("TRYAGAIN");
        assert_eq!(Error::of(&said), Error::NotDone("TRYAGAIN".to_owned()));
        let broken = |sent| Status::from_error(Box::new(Broken { sent, why: "gone".to_owned() }));
        assert_eq!(Error::of(&broken(false)), Error::NotDone("gone".to_owned()));
        assert_eq!(Error::of(&broken(true)), Error::Unknown("gone".to_owned()));
        assert_eq!(Error::of(&broken(true)).of_read(), Error::NotDone("gone".to_owned()));
        let other = Status::from_error("a code that something in between has made up".into());
        assert!(matches!(Error::of(&other), Error::Unknown(_)));
        assert!(matches!(Error::of(&Status::internal("?")), Error::Unknown(_)));
    }
}
