//! What Redis says when it refuses.

use crate::resp::Reply;

/// Why a command is refused: what Redis says, which may end in a word of the client's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refusal<'a> {
    text: &'static str,
    word: &'a [u8],
}

impl From<&'static str> for Refusal<'_> {
    fn from(text: &'static str) -> Self {
        Self { text, word: &[] }
    }
}

impl<'a> Refusal<'a> {
    /// An option that nobody knows.
    pub(super) fn unsupported(option: &'a [u8]) -> Self {
        Self { text: UNSUPPORTED_OPTION, word: option }
    }

    /// Answers with it.
    pub fn put(&self, reply: &mut Reply<'_>) {
        reply.error_bytes(&[self.text.as_bytes(), self.word]);
    }
}

pub(super) const SYNTAX: &str = "ERR syntax error";
pub(super) const NOT_INTEGER: &str = "ERR value is not an integer or out of range";
pub(super) const NOT_FLOAT: &str = "ERR value is not a valid float";
pub(super) const OVERFLOW: &str = "ERR increment or decrement would overflow";
pub(super) const DECREMENT_OVERFLOW: &str = "ERR decrement would overflow";
pub(super) const NOT_FINITE: &str = "ERR increment would produce NaN or Infinity";
pub(super) const INVALID_PLACE: &str = "ERR invalid place";
pub(super) const NO_SUCH_KEY: &str = "ERR no such key";
pub(super) const OFFSET: &str = "ERR offset is out of range";
pub(super) const TOO_LONG: &str = "ERR string exceeds maximum allowed size (proto-max-bulk-len)";
pub(super) const MSET_ARITY: &str = "ERR wrong number of arguments for 'mset' command";
pub(super) const MSETNX_ARITY: &str = "ERR wrong number of arguments for 'msetnx' command";
pub(super) const SAME_OBJECTS: &str = "ERR source and destination objects are the same";
pub(super) const DB_INDEX: &str = "ERR DB index is out of range";
pub(super) const INVALID_CURSOR: &str = "ERR invalid cursor";
pub(super) const NX_AND_OTHERS: &str =
    "ERR NX and XX, GT or LT options at the same time are not compatible";
pub(super) const GT_AND_LT: &str = "ERR GT and LT options at the same time are not compatible";
pub(super) const UNSUPPORTED_OPTION: &str = "ERR Unsupported option ";
pub(super) const NO_LFU: &str = "ERR An LFU maxmemory policy is not selected, access frequency not tracked. Please note that when switching between policies at runtime LRU and LFU data will take some time to adjust.";

/// What is said of a deadline that is none.
pub(super) const fn invalid_expire(id: crate::command::CommandId) -> &'static str {
    use crate::command::CommandId as Id;
    match id {
        Id::Set => "ERR invalid expire time in 'set' command",
        Id::SetEx => "ERR invalid expire time in 'setex' command",
        Id::PSetEx => "ERR invalid expire time in 'psetex' command",
        Id::GetEx => "ERR invalid expire time in 'getex' command",
        Id::Expire => "ERR invalid expire time in 'expire' command",
        Id::PExpire => "ERR invalid expire time in 'pexpire' command",
        Id::ExpireAt => "ERR invalid expire time in 'expireat' command",
        Id::PExpireAt => "ERR invalid expire time in 'pexpireat' command",
        _ => "ERR invalid expire time",
    }
}
