//! What clients asked and what they were told.

use std::collections::BTreeMap;

use super::observe::Moment;

/// Names an operation of the history: dense, in the order of invocation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct OperationId(pub u32);

/// Names a key of the history: dense, in the order of first use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct KeyId(pub u32);

/// What a client does to one key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// `GET key`.
    Get,
    /// `GET key` of a READONLY client: what it finds may be `number` nanoseconds old.
    GetStale,
    /// `SET key argument`.
    Set,
    /// `SET key argument PX number`: such keys are the business of `TtlBounds` alone.
    SetExpiring,
    /// `PEXPIRE key number`: such keys are the business of `TtlBounds` alone.
    Expire,
    /// `DEL key`.
    Delete,
    /// `SETNX key argument`; answered with [`Reply::Integer`].
    SetIfAbsent,
    /// `GETSET key argument`.
    GetSet,
    /// `INCRBY key number`.
    Increment,
    /// `APPEND key argument`.
    Append,
}

impl Kind {
    /// Whether it changes nothing.
    pub fn is_read(self) -> bool {
        matches!(self, Self::Get | Self::GetStale)
    }
}

/// What a client asks, borrowed.
#[derive(Clone, Copy, Debug)]
pub struct Call<'a> {
    /// What.
    pub kind: Kind,
    /// Of which key. The same name in two keyspaces must be told apart by whoever calls.
    pub key: &'a [u8],
    /// The value, for kinds that have one. It should hold a [`token`] if a reply is to be checked against
    /// the log, and no value should be written twice.
    pub argument: &'a [u8],
    /// What to add, the time to live in milliseconds, or how old the answer may be in nanoseconds.
    pub number: i64,
}

/// What a client was told.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reply {
    /// `+OK`.
    Ok,
    /// Nothing there.
    Nil,
    /// Bytes.
    Value(Vec<u8>),
    /// A number.
    Integer(i64),
    /// An error of the command itself (`value is not an integer`): the write may be in the log. Only of
    /// [`Kind::Increment`] is it known that it has changed nothing.
    Error,
    /// An error that promises the write is not and will never be in the log (TRYAGAIN).
    Refused,
    /// An error or a lost connection that promises nothing.
    Unknown,
}

/// One operation of the history.
#[derive(Clone, Debug)]
pub struct Operation {
    /// Who asked. A client asks one thing at a time only if its world wants it so.
    pub client: u32,
    /// When the request left the client.
    pub invoked_at: Moment,
    /// When the answer arrived, if it did.
    pub completed_at: Option<Moment>,
    /// What was asked.
    pub kind: Kind,
    /// Of which key.
    pub key: KeyId,
    /// The value, for kinds that have one.
    pub argument: Vec<u8>,
    /// What to add, the time to live in milliseconds, or how old the answer may be in nanoseconds.
    pub number: i64,
    /// What was answered; [`Reply::Unknown`] until then.
    pub reply: Reply,
    /// Whether its client is gone, so that no answer is owed any more.
    pub gone: bool,
}

impl Operation {
    /// Whether it certainly took no effect.
    pub fn refused(&self) -> bool {
        self.reply == Reply::Refused
    }

    /// From when on it may have taken place. A read that may be so old is one that may have been asked so much earlier.
    pub fn earliest(&self) -> Moment {
        match self.kind {
            Kind::GetStale => Moment(self.invoked_at.0.saturating_sub(self.number.unsigned_abs())),
            _ => self.invoked_at,
        }
    }

    /// Whether its answer says what happened, so that it must fit.
    pub fn is_known(&self) -> bool {
        let vague = match self.reply {
            Reply::Unknown | Reply::Refused => true,
            Reply::Error => self.kind != Kind::Increment,
            _ => false,
        };
        self.completed_at.is_some() && !vague
    }
}

/// Everything that clients asked and were told.
#[derive(Debug, Default)]
pub struct History {
    operations: Vec<Operation>,
    names: BTreeMap<Vec<u8>, KeyId>,
    by_key: Vec<Vec<OperationId>>,
}

impl History {
    /// Notes a request.
    pub fn invoked(&mut self, at: Moment, client: u32, call: &Call<'_>) -> OperationId {
        let key = self.key(call.key);
        let id = OperationId(self.operations.len() as u32);
        self.operations.push(Operation {
            client,
            invoked_at: at,
            completed_at: None,
            kind: call.kind,
            key,
            argument: call.argument.to_vec(),
            number: call.number,
            reply: Reply::Unknown,
            gone: false,
        });
        self.by_key[key.0 as usize].push(id);
        id
    }

    /// Notes an answer.
    pub fn completed(&mut self, at: Moment, id: OperationId, reply: Reply) {
        let operation = &mut self.operations[id.0 as usize];
        assert!(operation.completed_at.is_none(), "an operation is answered once");
        assert!(operation.invoked_at <= at, "an answer comes after its question");
        operation.completed_at = Some(at);
        operation.reply = reply;
    }

    /// Notes that nobody waits for an answer any more.
    pub fn gone(&mut self, id: OperationId) {
        self.operations[id.0 as usize].gone = true;
    }

    /// Changes an answer after the fact.
    #[cfg(test)]
    pub(super) fn spoil(&mut self, id: OperationId, reply: Reply) {
        self.operations[id.0 as usize].reply = reply;
    }

    /// One operation.
    pub fn operation(&self, id: OperationId) -> &Operation {
        &self.operations[id.0 as usize]
    }

    /// All of them, in the order of invocation.
    pub fn operations(&self) -> &[Operation] {
        &self.operations
    }

    /// The operations of each key, in the order of invocation.
    pub fn by_key(&self) -> &[Vec<OperationId>] {
        &self.by_key
    }

    /// The bytes of a key, for messages.
    pub fn name(&self, key: KeyId) -> String {
        let name = self.names.iter().find(|(_, id)| **id == key).map(|(name, _)| name);
        String::from_utf8_lossy(name.map_or(b"?", |name| name)).into_owned()
    }

    fn key(&mut self, name: &[u8]) -> KeyId {
        if let Some(&known) = self.names.get(name) {
            return known;
        }
        let id = KeyId(self.by_key.len() as u32);
        self.names.insert(name.to_vec(), id);
        self.by_key.push(Vec::new());
        id
    }
}

/// Length of a token in bytes.
pub const TOKEN_LENGTH: usize = 12;

/// The bytes a value should hold so that the write can be found in the log: `~`, ten digits, `;`.
/// Tokens should be dense: they index a table.
pub fn token(number: u32) -> [u8; TOKEN_LENGTH] {
    let mut text = *b"~0000000000;";
    let mut rest = number;
    for place in (1..=10).rev() {
        text[place] = b'0' + (rest % 10) as u8;
        rest /= 10;
    }
    text
}

/// Visits the tokens in some bytes, with the place where each begins.
pub fn tokens(bytes: &[u8], mut visit: impl FnMut(u32, usize)) {
    let mut at = 0;
    while at + TOKEN_LENGTH <= bytes.len() {
        if bytes[at] != b'~' {
            at += 1;
            continue;
        }
        match parse_token(&bytes[at..at + TOKEN_LENGTH]) {
            Some(number) => {
                visit(number, at);
                at += TOKEN_LENGTH;
            }
            None => at += 1,
        }
    }
}

/// The token that a value ends with, if any.
pub fn last_token(value: &[u8]) -> Option<u32> {
    let mut found = None;
    tokens(value, |number, _| found = Some(number));
    found
}

fn parse_token(text: &[u8]) -> Option<u32> {
    if text[TOKEN_LENGTH - 1] != b';' {
        return None;
    }
    let digits = &text[1..TOKEN_LENGTH - 1];
    digits.iter().try_fold(0_u32, |sum, digit| {
        let digit = digit.is_ascii_digit().then(|| u32::from(digit - b'0'))?;
        sum.checked_mul(10)?.checked_add(digit)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_found_wherever_they_stand() {
        let mut bytes = b"~~12".to_vec();
        bytes.extend(token(7));
        bytes.extend(token(u32::MAX));
        bytes.extend(b"~9999999999;~000");
        let mut seen = Vec::new();
        tokens(&bytes, |number, at| seen.push((number, at)));
        assert_eq!(seen, [(7, 4), (u32::MAX, 16)]);
        assert_eq!(last_token(&bytes), Some(u32::MAX));
        assert_eq!(last_token(b"plain"), None);
    }
}
