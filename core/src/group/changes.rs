//! Changes of keys, told to those who watch. What has changed is in the log for good, so any replica may tell it
//! as far as it has applied the log; only where *now* is, is for the leader to say.

use crate::command::{ChangesOptions, Scope};
use crate::group::propose::Request;
use crate::group::{Group, Room, users};
use crate::ids::{GroupId, Index};
use crate::resp::Args;
use crate::store::Version;

/// A history shorter than this helps nobody.
const LEAST_BYTES: usize = 4 << 10;

/// The group whose changes are asked for.
pub(crate) fn group_of_changes(args: &Args<'_>) -> Option<GroupId> {
    core::str::from_utf8(args.at(1)).ok()?.parse().ok().filter(|id| *id > 0).map(GroupId)
}

/// Whether any replica may answer at once: what is asked for are changes since a moment that was told before.
pub(crate) fn anyone_tells(request: &Request<'_>) -> bool {
    users::wants_news(request)
        || request.spec.scope == Scope::Changes
            && ChangesOptions::parse(&request.args).is_ok_and(|options| options.after.is_some())
}

/// The version of operation `place` of the entry at `index`.
pub(super) fn version_of(index: Index, place: u32) -> Version {
    Version(index.0 << 16 | u64::from(place))
}

impl Group {
    /// Answers from what is applied here, whoever leads.
    pub(crate) fn tell_changes(&mut self, request: &Request<'_>, room: &mut Room<'_>) {
        let told = self.tell_as_applied(request, room);
        assert!(told, "changes do not wait for any clock");
    }

    /// Answers a read from what is applied here, whoever leads; not if it meets a key that has ended by the clock here
    /// and not yet by the log: that is for the leader to say.
    pub(crate) fn tell_as_applied(&mut self, request: &Request<'_>, room: &mut Room<'_>) -> bool {
        let Some(found) = self.look(request, room) else { return false };
        room.answer_bytes(self.id, request.origin, &found);
        *room.scratch = found;
        true
    }

    /// Remembers what changes after the entry at `index`, which is what the store holds now.
    pub(super) fn remember_changes(&mut self, index: Index) {
        let none = self.changes_bytes == 0;
        let most = if none { 0 } else { self.changes_bytes.max(LEAST_BYTES) };
        self.store.remember_changes(most, version_of(index, 0xFFFF));
    }
}
