//! The life of a state image: written, synced, named in the log, durable; then what it replaces goes.

use super::Durable;
use super::group::GroupLog;
use super::image::ImageWriter;
use super::record::{ImageName, Place, Record};
use super::writer::{Awaited, Ended, Open, Wal};
use crate::config::Bug;
use crate::ids::{GroupId, Index, Term};
use crate::outputs::{DiskBatch, DiskOp, FileId};

impl Wal {
    /// Begins the file of a state image; at most one a group at a time.
    pub fn begin_image(&mut self, group: GroupId, index: Index, term: Term, _disk: &mut DiskBatch) {
        assert!(!self.open.contains_key(&group), "one image a group at a time");
        let open = match self.known_image(group, index) {
            Some(image) => {
                assert!(image.term == term, "an index has one term in an image");
                Open::Known(image)
            }
            None => Open::New(ImageWriter::new(group, index, term)),
        };
        self.open.insert(group, open);
    }

    /// Adds a chunk to it.
    pub fn image_chunk(&mut self, group: GroupId, chunk: &[u8], disk: &mut DiskBatch) {
        let disk = if self.begun { disk } else { &mut self.early };
        match self.open.get_mut(&group).expect("the image was begun") {
            Open::New(writer) => writer.chunk(chunk, disk),
            Open::Known(_) => {}
        }
    }

    /// Completes it: syncs the file, then names it in the log, then tells [`Durable::Image`]; then the
    /// image it replaces is removed, and log segments that no group needs any more.
    /// `installed`: it came from a leader and replaces the group's whole log, so entries the log holds for the
    /// group from before this call are void. Entries from after it begin right behind the image, and are
    /// told durable only after the image is.
    pub fn end_image(&mut self, group: GroupId, installed: bool, disk: &mut DiskBatch) {
        let disk = if self.begun { disk } else { &mut self.early };
        let (image, synced) = match self.open.remove(&group).expect("the image was begun") {
            Open::New(writer) => (writer.end(disk), false),
            Open::Known(image) => (image, true),
        };
        let void = if installed { self.end() } else { Place::default() };
        if installed {
            let holds_it = Bug::ImageVoidsNewer.active(self.bug);
            let log = self.group(group);
            log.installing += 1;
            if !(holds_it && log.last >= image.index) {
                log.restart(image.index, image.term);
            }
        }
        let mut ended = Ended { group, image, installed, void, synced, named: false };
        if Bug::SnapshotBeforeDurable.active(self.bug) {
            self.name(&mut ended);
        }
        self.ended.push_back(ended);
        self.name_images();
    }

    /// Gives up an image that was begun and has not ended.
    pub fn abort_image(&mut self, group: GroupId, disk: &mut DiskBatch) {
        let disk = if self.begun { disk } else { &mut self.early };
        match self.open.remove(&group).expect("the image was begun") {
            Open::New(writer) => disk.ops.push(DiskOp::Remove { file: writer.file() }),
            Open::Known(_) => {}
        }
    }

    /// Names the images whose files are synced, in the order they were completed.
    pub(super) fn name_images(&mut self) {
        while let Some(&(mut ended)) = self.ended.front()
            && ended.synced
        {
            self.ended.pop_front();
            if !ended.named {
                self.name(&mut ended);
            }
        }
    }

    fn name(&mut self, ended: &mut Ended) {
        let Ended { group, image, installed, void, .. } = *ended;
        ended.named = true;
        let log = self.group(group);
        log.named = Some(image);
        log.void = log.void.max(void);
        let void = log.void;
        let awaited = Awaited::Image { group, image, installed };
        self.put_twice(Record::Image { group, void, image }, awaited);
    }

    /// The record that names an image is durable: what it replaces is needed no more.
    pub(super) fn image_durable(
        &mut self,
        group: GroupId,
        image: ImageName,
        installed: bool,
        disk: &mut DiskBatch,
    ) {
        let log = self.group(group);
        let replaced = log.durable.replace(image);
        if installed {
            log.installing -= 1;
        }
        log.trim();
        if let Some(replaced) = replaced
            && self.known_image(group, replaced.index).is_none()
            && !self.is_open(group, replaced.index)
        {
            let file = FileId::Snapshot { group, index: replaced.index };
            disk.ops.push(DiskOp::Remove { file });
        }
        self.retire_due = true;
    }

    /// The place before which all entries of a group are void, or will be.
    pub(super) fn void(&self, group: GroupId, log: &GroupLog) -> Place {
        let ended = self.ended.iter().filter(|ended| ended.group == group);
        ended.map(|ended| ended.void).fold(log.void, Place::max)
    }

    /// Tells the entries that waited for the image, unless they wait for one more.
    pub(super) fn release_held(&mut self, group: GroupId, durable: &mut dyn FnMut(Durable)) {
        if self.groups[&group].installing > 0 {
            return;
        }
        self.held.retain(|&(of, told)| {
            if of == group {
                durable(told);
            }
            of != group
        });
    }

    /// The image of a group up to an index that is or will be on disk.
    fn known_image(&self, group: GroupId, index: Index) -> Option<ImageName> {
        let ended = self.ended.iter().filter(|ended| ended.group == group).map(|ended| ended.image);
        let log = self.groups.get(&group);
        let logged = log.into_iter().flat_map(|log| [log.named, log.durable]).flatten();
        ended.chain(logged).find(|image| image.index == index)
    }

    fn is_open(&self, group: GroupId, index: Index) -> bool {
        match self.open.get(&group) {
            Some(Open::New(writer)) => writer.file() == FileId::Snapshot { group, index },
            Some(Open::Known(image)) => image.index == index,
            None => false,
        }
    }
}
