//! Answers, encoded in place as the client's protocol version asks.

use alloc::vec::Vec;

/// Which version of the protocol a client speaks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Proto {
    /// RESP2, until `HELLO 3`.
    #[default]
    Resp2,
    /// RESP3.
    Resp3,
}

/// Encodes one answer into a buffer, or nowhere: a replica that owes nobody an answer applies the same
/// entry with a reply that goes nowhere, at no cost.
#[derive(Debug)]
pub struct Reply<'a> {
    out: Option<&'a mut Vec<u8>>,
    proto: Proto,
}

impl<'a> Reply<'a> {
    /// An answer that goes to the end of `out`.
    pub fn new(out: &'a mut Vec<u8>, proto: Proto) -> Self {
        Self { out: Some(out), proto }
    }

    /// An answer nobody waits for.
    pub fn nowhere() -> Self {
        Self { out: None, proto: Proto::Resp2 }
    }

    /// `+OK`.
    pub fn ok(&mut self) {
        todo!("{:?} {:?}", self.out, self.proto)
    }
    // H1 completes: simple(&str) error(&str) integer(i64) bulk(&[u8]) null() array(usize) map(usize)
    // set(usize) double(&str) boolean(bool) verbatim(&str) push(usize) proto()
}
