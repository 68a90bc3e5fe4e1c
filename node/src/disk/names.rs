//! Names of an engine's files.

use driftless_core::{FileId, GroupId, Index};

/// The name of a file within the directory of its engine.
pub fn file_name(file: FileId) -> String {
    match file {
        FileId::Segment(number) => format!("segment-{number}.log"),
        FileId::Snapshot { group, index } => format!("snapshot-{}-{}.img", group.0, index.0),
    }
}

/// The file of a name, if it is one of ours.
pub fn parse_name(name: &str) -> Option<FileId> {
    if let Some(number) = name.strip_prefix("segment-").and_then(|rest| rest.strip_suffix(".log")) {
        return number.parse().ok().map(FileId::Segment);
    }
    let (group, index) = name.strip_prefix("snapshot-")?.strip_suffix(".img")?.split_once('-')?;
    Some(FileId::Snapshot {
        group: GroupId(group.parse().ok()?),
        index: Index(index.parse().ok()?),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_back() {
        let files =
            [FileId::Segment(12), FileId::Snapshot { group: GroupId(3), index: Index(u64::MAX) }];
        for file in files {
            assert_eq!(parse_name(&file_name(file)), Some(file));
        }
        for foreign in
            ["lock", "segment-.log", "segment-1.img", "snapshot-1.img", "snapshot-1-x.img"]
        {
            assert_eq!(parse_name(foreign), None, "{foreign}");
        }
    }
}
