//! Changes of keys, as they come: of each partition in order, each once, from this node's replicas as soon as they are
//! applied, from other nodes' by asking again and again.

use std::sync::Arc;
use std::time::Duration;

use driftless_core::GroupId;
use driftless_core::placement::{Placement, slot_of};
use tokio::sync::watch;

use super::Session;
use super::ask::{Refusal, Told, starts_with, unexpected};
use crate::answer::Answer;
use crate::board::Board;

/// How often partitions are asked of which this node has no replica, or that could not answer.
const ASK_AGAIN: Duration = Duration::from_millis(100);
/// Partitions asked at once: fewer than an engine takes reads of one client.
const AT_ONCE: usize = 64;

/// Whose changes are asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Watched {
    /// One key's.
    Key(Vec<u8>),
    /// Those of all keys that begin so.
    Prefix(Vec<u8>),
}

/// What happened to a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Happened {
    /// It has a new value; nothing if that is too large to be kept.
    Set(Option<Vec<u8>>),
    /// Only when it ends has changed.
    Expiry,
    /// It was removed.
    Removed,
    /// It has ended.
    Expired,
    /// All keys of the partition are gone; it has no name.
    Cleared,
}

/// One change of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Changed {
    /// Where in the history of its partition.
    pub place: u64,
    /// What.
    pub happened: Happened,
    /// To which key.
    pub key: Vec<u8>,
    /// When it ends, in milliseconds since the Unix epoch, if ever and if it is there.
    pub ends_at: Option<u64>,
    /// Its partition.
    pub partition: GroupId,
}

/// What a watch has learned.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct News {
    /// In order, those of one partition.
    pub changes: Vec<Changed>,
    /// The partitions that it has got on with, and up to where.
    pub places: Vec<(GroupId, u64)>,
}

/// Somebody who watches.
#[derive(Debug)]
pub struct Watch {
    board: Arc<Board>,
    bell: watch::Receiver<()>,
    pattern: Vec<u8>,
    followed: Vec<Followed>,
    /// What is told as soon as all have said where they are.
    learned: News,
    begun: bool,
}

/// A partition that is watched.
#[derive(Clone, Copy, Debug)]
struct Followed {
    group: GroupId,
    /// Up to where its changes have been told; nothing: it was not asked yet where now is.
    place: Option<u64>,
    /// Whether this node has a replica.
    here: bool,
    /// Whether more may be there to tell, whatever the board says.
    more: bool,
}

impl Watch {
    /// Watches from `after` on, or from now on the partitions that it does not name.
    pub fn new(board: &Arc<Board>, watched: &Watched, after: &[(GroupId, u64)]) -> Told<Self> {
        let placement = &board.placement;
        let (pattern, groups) = match watched {
            Watched::Key(key) => (as_it_is(key), vec![placement.group_of(key)]),
            Watched::Prefix(prefix) => (starts_with(prefix), groups_of_prefix(placement, prefix)),
        };
        if let Some((strange, _)) = after.iter().find(|(group, _)| !groups.contains(group)) {
            let partition = strange.0;
            let why = format!("partition {partition} has no key of those that are watched");
            return Err(Refusal::Wrong(why));
        }
        let follow = |group| {
            let place = after.iter().find(|(of, _)| *of == group).map(|(_, place)| *place);
            let here = placement.replicas(group).contains(&board.node);
            Followed { group, place, here, more: true }
        };
        let followed = groups.into_iter().map(follow).collect();
        let (board, bell) = (board.clone(), board.changes());
        let learned = News::default();
        Ok(Self { board, bell, pattern, followed, learned, begun: false })
    }

    /// Waits until it is worth while to ask.
    pub async fn wait(&mut self) {
        let Self { board, bell, followed, .. } = self;
        let all_here = followed.iter().all(|one| one.here && one.place.is_some());
        bell.mark_unchanged();
        while !followed.iter().any(|one| one.has_news(board)) {
            if all_here {
                // The board outlives its doors.
                let _ = bell.changed().await;
            } else if tokio::time::timeout(ASK_AGAIN, bell.changed()).await.is_err() {
                let elsewhere = followed.iter_mut().filter(|one| !one.here || one.place.is_none());
                elsewhere.for_each(|one| one.more = true);
            }
        }
    }

    /// Asks the partitions where there may be news. Nothing: there was none of those keys, and nothing else to tell.
    pub async fn ask(&mut self, session: &mut Session) -> Told<Option<News>> {
        let Self { board, pattern, followed, learned, .. } = self;
        let mut asked: Vec<_> = followed.iter_mut().filter(|one| one.has_news(board)).collect();
        for some in asked.chunks_mut(AT_ONCE) {
            for one in some.iter() {
                let partition = one.group.0.to_string();
                let place = one.place.map_or("$".to_owned(), |place| place.to_string());
                let command: [&[u8]; 5] =
                    [b"CHANGES", partition.as_bytes(), place.as_bytes(), b"MATCH", pattern];
                session.put(&command);
            }
            session.send().await?;
            let mut refused = None;
            for one in some {
                // All answers are taken, whatever they are: the session stays in step.
                match one.hear(session.answer().await?, learned) {
                    Ok(()) | Err(Refusal::NotNow(_)) => (),
                    Err(refusal) => refused = Some(refusal),
                }
            }
            if let Some(refusal) = refused {
                return Err(refusal);
            }
        }
        if !self.begun {
            let place = |one: &Followed| Some((one.group, one.place?));
            let Some(places) = self.followed.iter().map(place).collect() else { return Ok(None) };
            self.learned.places = places;
            self.begun = true;
        }
        let news = std::mem::take(&mut self.learned);
        Ok(Some(news).filter(|news| !news.places.is_empty()))
    }
}

impl Followed {
    fn has_news(&self, board: &Board) -> bool {
        let told = self.place.unwrap_or_default();
        self.more || self.here && self.place.is_some() && board.last_change(self.group) > told
    }

    fn hear(&mut self, answer: Answer, news: &mut News) -> Told<()> {
        self.more = false;
        if let Answer::Error(error) = answer {
            return Err(Refusal::of(error));
        }
        let Answer::Array(parts) = &answer else { return Err(unexpected(&answer)) };
        let [Answer::Integer(place), Answer::Array(changes)] = parts.as_slice() else {
            return Err(unexpected(&answer));
        };
        let place = place.cast_unsigned();
        self.more = !changes.is_empty();
        for change in changes {
            let change = change_of(self.group, change).ok_or_else(|| unexpected(&answer))?;
            news.changes.push(change);
        }
        if self.place.replace(place) != Some(place) {
            news.places.push((self.group, place));
        }
        Ok(())
    }
}

fn change_of(partition: GroupId, answer: &Answer) -> Option<Changed> {
    let Answer::Array(parts) = answer else { return None };
    let [
        Answer::Integer(place),
        Answer::Bulk(kind),
        Answer::Bulk(key),
        value,
        Answer::Integer(ends),
    ] = parts.as_slice()
    else {
        return None;
    };
    let value = match value {
        Answer::Bulk(value) => Some(value.clone()),
        _ => None,
    };
    let happened = match kind.as_slice() {
        b"set" => Happened::Set(value),
        b"expiry" => Happened::Expiry,
        b"removed" => Happened::Removed,
        b"expired" => Happened::Expired,
        b"cleared" => Happened::Cleared,
        _ => return None,
    };
    let (place, ends_at) = (place.cast_unsigned(), u64::try_from(*ends).ok());
    Some(Changed { place, happened, key: key.clone(), ends_at, partition })
}

/// A glob for one key.
fn as_it_is(key: &[u8]) -> Vec<u8> {
    let mut pattern = starts_with(key);
    pattern.pop();
    pattern
}

/// One group, if all keys that begin so share a hash tag; else all.
fn groups_of_prefix(placement: &Placement, prefix: &[u8]) -> Vec<GroupId> {
    let slot_with = |byte: u8| slot_of(&[prefix, &[byte]].concat());
    // Two names that differ in their last byte alone differ in their sums, unless that byte does not count.
    if slot_with(b'0') == slot_with(b'1') {
        vec![placement.group_of(prefix)]
    } else {
        placement.groups().collect()
    }
}

#[cfg(test)]
mod tests {
    use driftless_core::NodeId;
    use driftless_core::placement::{Placement, Site};

    use super::*;

    #[test]
    fn a_prefix_with_a_whole_hash_tag_lives_in_one_group() {
        let sites: Vec<_> =
            (1..=3).map(|node| Site { node: NodeId(node), weight: 100, zone: 0 }).collect();
        let placement = Placement::first(&sites, 16, 3);
        assert_eq!(groups_of_prefix(&placement, b"{user}:"), [placement.group_of(b"{user}:7")]);
        assert_eq!(groups_of_prefix(&placement, b"{us").len(), 16);
        assert_eq!(groups_of_prefix(&placement, b"").len(), 16);
    }
}
