//! The users of the cluster, told to engines that hold no replica of the group that keeps them.

use alloc::format;
use alloc::vec::Vec;

use crate::bytes::Reader;
use crate::command::{self, CommandId, kept_users};
use crate::entry::{self, Kind};
use crate::group::Group;
use crate::group::propose::Request;
use crate::ids::{Index, Keyspace};
use crate::resp::{Args, Reply};

/// Whether any replica may answer at once: whoever asks knows users already and wants to hear of changes.
pub(super) fn wants_news(request: &Request<'_>) -> bool {
    request.spec.id == CommandId::AclStored && request.args.len() > 2
}

impl Group {
    /// Whether there are users in what this replica has applied, or may be in the rest of its log.
    pub(crate) fn may_have_users(&self) -> bool {
        let logged = |index: Index| {
            let (_, bytes) = self.raft.log.entry(index)?;
            let mut found = false;
            let entry = entry::decode(bytes).ok().filter(|entry| entry.kind == Kind::Batch)?;
            let mut reader = Reader::new(entry.body);
            while let Ok(Some(operation)) = entry::take_operation(&mut reader) {
                let read = command::touched(operation.bytes, &mut |key| {
                    found |= key.is_some_and(|key| key.keyspace == Keyspace::USERS);
                });
                // An operation that was refused is empty.
                debug_assert!(read.is_ok() || operation.bytes.is_empty(), "it was read before");
            }
            Some(found)
        };
        let rest = (self.applied().next().0..=self.raft.log.last().0).map(Index);
        self.store.digest_of(Keyspace::USERS) != 0
            || rest.into_iter().any(|index| logged(index).unwrap_or_default())
    }
}

/// ACL STORED [digest]: answers with the place in the log, the digest of the users, and names and rules in turns, or
/// null if they have the digest given.
pub(super) fn tell(group: &Group, args: &Args<'_>, reply: &mut Reply<'_>) {
    let digest = group.store.digest_of(Keyspace::USERS);
    let known = args.get(2) == Some(format!("{digest:032x}").as_bytes());
    let users = (!known).then(|| kept_users(&group.store));
    put_users(group.applied(), digest, users.as_deref(), false, reply);
}

/// Tells the users of a place in the log: the place, their digest, and names and rules in turns, or null. One more element
/// says that whoever tells has it by hearsay.
pub(crate) fn put_users(
    place: Index,
    digest: u128,
    users: Option<&[(Vec<u8>, Vec<u8>)]>,
    hearsay: bool,
    reply: &mut Reply<'_>,
) {
    reply.array(3 + usize::from(hearsay));
    reply.count(place.0);
    reply.bulk(format!("{digest:032x}").as_bytes());
    match users {
        None => reply.null(),
        Some(users) => {
            reply.array(2 * users.len());
            for (name, rules) in users {
                reply.bulk(name);
                reply.bulk(rules);
            }
        }
    }
    if hearsay {
        reply.bulk(b"hearsay");
    }
}
