//! What happens in the cases that a reader would ask about, one by one.

use alloc::vec;
use alloc::vec::Vec;

use super::{Bench, Disk, IDENTITY};
use crate::config::Bug;
use crate::event::Event;
use crate::ids::{GroupId, Index, Life, NodeId, Term};
use crate::outputs::{DiskBatch, FileId};
use crate::rng::{Chance, Seed};
use crate::wal::record::{ALIGN, HEAD, Place, VERSION, seal};
use crate::wal::{Durable, Identity, WalError, WalRecovery};

const LARGE: u64 = 1 << 20;

fn bench() -> Bench {
    Bench::start(Disk::default(), LARGE, Bug::None)
}

#[test]
fn what_is_told_durable_is_there_after_a_power_cut() {
    let mut bench = bench();
    bench.entry(1, 1, 1, b"one");
    bench.wal.ballot(GroupId(2), Term(7), Some(NodeId(3)));
    bench.entry(1, 1, 2, b"two");
    let told = bench.settle();
    let expected = vec![
        Durable::Begun,
        Durable::Entry { group: GroupId(1), term: Term(1), index: Index(1), record: 1 },
        Durable::Entry { group: GroupId(1), term: Term(1), index: Index(2), record: 2 },
        Durable::Ballot { group: GroupId(2), term: Term(7), vote: Some(NodeId(3)) },
    ];
    let merged: Vec<_> = expected.iter().filter(|told| **told != expected[1]).copied().collect();
    assert!(told == expected || told == merged, "{told:?}");
    bench.disk.lose_unsynced();
    bench.restart();
    let first = &bench.recovered.groups[&GroupId(1)];
    assert_eq!(
        first.entries.iter().collect::<Vec<_>>(),
        [(Term(1), Index(1), &b"one"[..]), (Term(1), Index(2), b"two")]
    );
    assert_eq!(bench.recovered.groups[&GroupId(2)].ballot, (Term(7), Some(NodeId(3))));
    assert!(!bench.recovered.damaged);
}

#[test]
fn contiguous_entries_of_one_turn_are_told_together() {
    let mut bench = bench();
    bench.settle();
    for index in 1..=5 {
        bench.entry(1, 1, index, b"x");
    }
    let told = bench.settle();
    assert_eq!(
        told,
        [Durable::Entry { group: GroupId(1), term: Term(1), index: Index(5), record: 5 }]
    );
}

#[test]
fn a_later_entry_voids_what_was_at_its_index_and_beyond() {
    let mut bench = bench();
    for index in 1..=5 {
        bench.entry(1, 1, index, b"old");
    }
    bench.settle();
    bench.entry(1, 2, 3, b"new");
    bench.settle();
    for _ in 0..3 {
        bench.disk.lose_unsynced();
        bench.restart();
        bench.settle();
        assert_eq!(bench.indexes(1), [1, 2, 3]);
        let entries = &bench.recovered.groups[&GroupId(1)].entries;
        assert_eq!(entries.iter().nth(2).map(|entry| entry.2), Some(&b"new"[..]));
    }
}

#[test]
fn each_life_has_a_larger_number() {
    let mut bench = bench();
    let mut lives = vec![bench.wal.life()];
    for _ in 0..4 {
        bench.settle();
        bench.disk.lose_unsynced();
        bench.restart();
        lives.push(bench.wal.life());
    }
    assert_eq!(lives[0], Life::new(1, 0));
    assert!(lives.is_sorted_by(|a, b| a < b), "{lives:?}");
}

#[test]
fn a_life_above_one_that_others_know_is_told_once_durable_and_has_all_groups_damaged() {
    let mut bench = bench();
    bench.entry(1, 1, 1, b"kept");
    bench.settle();
    let before = bench.wal.life();
    bench.wal.rise(Life::new(7, 3), 5, true);
    bench.wal.doubt(GroupId(1));
    let told = bench.settle();
    assert!(told.contains(&Durable::Begun), "{told:?}");
    assert_eq!((before, bench.wal.life()), (Life::new(1, 0), Life::new(8, 5)));
    bench.disk.lose_unsynced();
    bench.restart();
    assert_eq!(bench.wal.life().number(), 9);
    assert_eq!(bench.indexes(1), [1]);
    assert!(bench.is_damaged(1) && bench.is_damaged(2));
}

#[test]
fn an_image_lets_old_segments_go() {
    let mut bench = Bench::start(Disk::default(), 256, Bug::None);
    for index in 1..=40 {
        bench.entry(1, 1, index, &[7; 100]);
        bench.settle();
    }
    assert!(bench.disk.listing().len() > 3);
    assert_eq!(bench.wal.wants_image(1000), Some(GroupId(1)));
    bench.image(1, 40, 1, b"state", false);
    let told = bench.settle();
    assert_eq!(told, [Durable::Image { group: GroupId(1), index: Index(40), term: Term(1) }]);
    assert_eq!(bench.wal.wants_image(1000), None);
    bench.entry(1, 1, 41, b"more");
    bench.settle();
    assert!(bench.disk.listing().len() <= 3, "{:?}", bench.disk.listing());
    bench.disk.lose_unsynced();
    bench.restart();
    let said = &bench.recovered.groups[&GroupId(1)];
    assert_eq!(said.image, Some((Index(40), Term(1), vec![b"state".to_vec()])));
    assert_eq!(bench.indexes(1), [41]);
    assert!(!bench.recovered.damaged);
}

#[test]
fn entries_behind_an_installed_image_are_told_only_after_it() {
    let mut bench = bench();
    bench.entry(1, 1, 1, b"old");
    bench.settle();
    bench.image(1, 100, 3, b"state", true);
    bench.entry(1, 3, 101, b"new");
    let told = bench.settle();
    let group = GroupId(1);
    assert_eq!(
        told,
        [
            Durable::Image { group, index: Index(100), term: Term(3) },
            Durable::Entry { group, term: Term(3), index: Index(101), record: 2 },
        ]
    );
    bench.disk.lose_unsynced();
    bench.restart();
    assert_eq!(bench.indexes(1), [101]);
}

#[test]
fn an_image_replaces_the_one_before() {
    let mut bench = bench();
    bench.image(1, 10, 1, b"ten", true);
    bench.settle();
    bench.image(1, 20, 1, b"twenty", true);
    bench.settle();
    let is_image = |(file, _): &(FileId, u64)| matches!(file, FileId::Snapshot { .. });
    assert_eq!(bench.disk.listing().iter().filter(|file| is_image(file)).count(), 1);
    bench.wal.begin_image(GroupId(1), Index(30), Term(1), &mut bench.batch);
    bench.wal.image_chunk(GroupId(1), b"half", &mut bench.batch);
    bench.flush();
    bench.wal.abort_image(GroupId(1), &mut bench.batch);
    bench.flush();
    assert_eq!(bench.disk.listing().iter().filter(|file| is_image(file)).count(), 1);
    bench.restart();
    let said = &bench.recovered.groups[&GroupId(1)];
    assert_eq!(said.image, Some((Index(20), Term(1), vec![b"twenty".to_vec()])));
}

#[test]
fn an_image_without_a_record_is_removed() {
    let mut bench = bench();
    bench.settle();
    bench.wal.begin_image(GroupId(1), Index(30), Term(1), &mut bench.batch);
    bench.wal.image_chunk(GroupId(1), b"half", &mut bench.batch);
    bench.settle();
    bench.disk.crash();
    bench.restart();
    bench.settle();
    assert!(!bench.recovered.groups.contains_key(&GroupId(1)));
    assert!(bench.disk.listing().iter().all(|file| matches!(file.0, FileId::Segment(_))));
}

#[test]
fn an_unreadable_image_damages_its_group_only_until_repaired() {
    let mut bench = bench();
    bench.entry(2, 1, 1, b"other");
    bench.image(1, 10, 1, b"ten", true);
    bench.entry(1, 1, 11, b"eleven");
    bench.settle();
    bench.disk.rot(FileId::Snapshot { group: GroupId(1), index: Index(10) }, 9, b"?");
    for _ in 0..2 {
        bench.restart();
        bench.settle();
        assert!(bench.is_damaged(1) && !bench.is_damaged(2));
        assert_eq!(bench.recovered.groups[&GroupId(1)].image, None);
        assert!(bench.indexes(1).is_empty());
    }
    bench.image(1, 10, 1, b"TEN", true);
    bench.wal.repaired(GroupId(1));
    let told = bench.settle();
    assert!(told.contains(&Durable::Repaired { group: GroupId(1) }));
    bench.restart();
    assert!(!bench.is_damaged(1));
    let image = bench.recovered.groups[&GroupId(1)].image.clone();
    assert_eq!(image, Some((Index(10), Term(1), vec![b"TEN".to_vec()])));
}

/// Three synced turns, and a mark after them.
fn three_turns() -> (Bench, [u64; 3]) {
    let mut bench = bench();
    bench.settle();
    let mut starts = [0; 3];
    for index in 1..=3 {
        starts[index - 1] = bench.wal.written;
        bench.entry(1, 1, index as u64, &[index as u8; 600]);
        bench.settle();
    }
    (bench, starts)
}

#[test]
fn a_bad_record_that_was_synced_is_damage_until_repaired() {
    let (mut bench, starts) = three_turns();
    bench.disk.rot(FileId::Segment(1), starts[1] + 100, b"rot");
    bench.restart();
    assert!(bench.is_damaged(1) && bench.is_damaged(77));
    assert!(bench.recovered.events.iter().any(|event| matches!(event, Event::Damaged { .. })));
    assert_eq!(bench.indexes(1), [1]);
    bench.settle();
    // The hole is known now, but nobody has made up for it.
    bench.restart();
    assert!(bench.is_damaged(1));
    assert_eq!(bench.recovered.events, []);
    bench.entry(1, 2, 2, b"from the leader");
    bench.wal.repaired(GroupId(1));
    bench.settle();
    bench.restart();
    assert!(!bench.is_damaged(1) && bench.is_damaged(77));
    assert_eq!(bench.indexes(1), [1, 2]);
    // A second hole, in a place older than the repair, is a new reason.
    bench.settle();
    bench.disk.rot(FileId::Segment(1), starts[0] + 100, b"rot");
    bench.restart();
    assert!(bench.is_damaged(1));
}

#[test]
fn a_bad_record_that_was_never_known_synced_is_a_torn_tail() {
    let (mut bench, _) = three_turns();
    let start = bench.wal.written;
    bench.entry(1, 1, 4, &[4; 600]);
    bench.flush();
    bench.disk.rot(FileId::Segment(1), start + 100, b"torn");
    bench.disk.crash();
    bench.restart();
    assert!(!bench.recovered.damaged);
    assert_eq!(bench.indexes(1), [1, 2, 3]);
    let is_torn = |event: &Event| matches!(event, Event::TornTail { .. });
    assert!(bench.recovered.events.iter().any(is_torn), "{:?}", bench.recovered.events);
    // What lies beyond is not looked at any more.
    bench.settle();
    bench.restart();
    assert_eq!(bench.recovered.events, []);
}

#[test]
fn each_sync_covers_a_mark_of_the_sync_before_it() {
    let (mut bench, starts) = three_turns();
    bench.entry(1, 1, 4, &[4; 600]);
    bench.flush();
    // Written while the sync of the fourth was on its way, and synced by the next one.
    bench.entry(1, 1, 5, &[5; 600]);
    bench.flush();
    bench.sync();
    bench.sync();
    bench.disk.rot(FileId::Segment(1), starts[2] + 1_000, b"rot");
    bench.disk.lose_unsynced();
    bench.restart();
    assert!(bench.is_damaged(1), "{:?}", bench.recovered.events);
}

#[test]
fn a_lost_or_unreadable_segment_is_damage() {
    for lose in [false, true] {
        for victim in [0, 1, 2] {
            let mut bench = Bench::start(Disk::default(), 256, Bug::None);
            bench.wal.ballot(GroupId(1), Term(5), None);
            for index in 1..=12 {
                bench.entry(1, 1, index, &[7; 100]);
                bench.settle();
            }
            let file = bench.disk.listing()[victim].0;
            if lose {
                bench.disk.lose_file(file);
            } else {
                bench.disk.break_file(file);
            }
            for _ in 0..2 {
                bench.restart();
                bench.settle();
                assert!(bench.is_damaged(1), "{file:?}");
                assert_eq!(bench.recovered.groups[&GroupId(1)].ballot.0, Term(5));
            }
            bench.wal.repaired(GroupId(1));
            bench.settle();
            bench.restart();
            assert!(!bench.is_damaged(1), "{file:?}");
        }
    }
}

/// Makes up for damage, lets everything become durable, and starts again.
fn repair_and_restart(bench: &mut Bench) {
    bench.wal.repaired(GroupId(1));
    bench.settle();
    bench.disk.lose_unsynced();
    bench.restart();
    bench.settle();
}

#[test]
fn known_damage_is_not_new_when_what_told_of_it_was_unreadable_meanwhile() {
    let (mut bench, starts) = three_turns();
    bench.restart();
    bench.settle();
    // Only the header of segment 2 says how long segment 1 was.
    bench.disk.shorten(FileId::Segment(1), starts[1] + 100);
    bench.restart();
    assert!(bench.is_damaged(1));
    repair_and_restart(&mut bench);
    assert!(!bench.is_damaged(1));
    bench.disk.break_file(FileId::Segment(2));
    bench.restart();
    assert!(bench.is_damaged(1));
    repair_and_restart(&mut bench);
    assert!(!bench.is_damaged(1), "{:?}", bench.recovered.events);
    bench.disk.mend();
    for _ in 0..2 {
        repair_and_restart(&mut bench);
        assert!(!bench.is_damaged(1), "{:?}", bench.recovered.events);
        assert_eq!(bench.recovered.events, []);
    }
    // The last header may go as well: the one before knows the same.
    let newest = bench.wal.number;
    bench.disk.break_file(FileId::Segment(newest - 1));
    bench.restart();
    let lost = Event::Damaged { file: FileId::Segment(newest - 1), offset: 0 };
    assert!(bench.recovered.events.contains(&lost));
    let is_old =
        |event: &Event| matches!(event, Event::Damaged { file, .. } if *file < FileId::Segment(3));
    assert!(!bench.recovered.events.iter().any(is_old), "{:?}", bench.recovered.events);
}

#[test]
fn where_a_segment_ends_is_known_after_the_header_that_first_said_so_is_lost() {
    let mut bench = bench();
    for index in 1..=3 {
        bench.entry(1, 1, index, &[1; 600]);
        bench.settle();
    }
    for _ in 0..2 {
        bench.restart();
        bench.settle();
    }
    bench.disk.shorten(FileId::Segment(2), 50);
    bench.restart();
    assert!(bench.is_damaged(1));
    bench.wal.repaired(GroupId(1));
    bench.settle();
    bench.disk.shorten(FileId::Segment(1), 800);
    bench.restart();
    assert!(bench.is_damaged(1), "{:?}", bench.recovered.events);
}

#[test]
fn what_was_unreadable_stays_out_of_the_log_that_went_on_without_it() {
    let mut bench = bench();
    for index in 1..=3 {
        bench.entry(1, 1, index, b"first life");
    }
    bench.settle();
    bench.restart();
    bench.entry(1, 2, 3, b"second life");
    bench.entry(1, 2, 4, b"second life");
    bench.settle();
    // The next header knows where it ends.
    bench.restart();
    bench.settle();
    bench.disk.break_file(FileId::Segment(2));
    bench.restart();
    assert_eq!(bench.indexes(1), [1, 2, 3]);
    bench.entry(1, 3, 4, b"fourth life");
    repair_and_restart(&mut bench);
    bench.disk.mend();
    bench.restart();
    let entries = &bench.recovered.groups[&GroupId(1)].entries;
    assert_eq!(entries.iter().map(|entry| entry.0.0).collect::<Vec<_>>(), [1, 1, 1, 3]);
    assert!(!bench.is_damaged(1));
}

#[test]
fn a_damaged_segment_that_comes_back_after_its_removal_is_not_judged() {
    let (mut bench, starts) = three_turns();
    bench.disk.rot(FileId::Segment(1), starts[1] + 100, b"rot");
    bench.restart();
    assert!(bench.is_damaged(1));
    let damaged = bench.disk.read(FileId::Segment(1)).expect("it is readable").to_vec();
    bench.image(1, 10, 1, b"ten", true);
    repair_and_restart(&mut bench);
    repair_and_restart(&mut bench);
    for _ in 0..3 {
        let listed = bench.disk.listing().iter().any(|file| file.0 == FileId::Segment(1));
        assert!(!listed, "it was removed, and is again");
        bench.disk.plant(FileId::Segment(1), damaged.clone());
        bench.restart();
        assert!(!bench.is_damaged(1), "{:?}", bench.recovered.events);
        assert_eq!(bench.recovered.events, []);
        bench.settle();
    }
}

#[test]
fn damage_that_was_made_up_for_is_not_found_anew_when_a_header_can_be_read_again() {
    let (mut bench, _) = three_turns();
    let start = bench.wal.written;
    // Written, but the process ends before it hears of the sync.
    bench.entry(1, 1, 4, &[4; 600]);
    bench.flush();
    bench.disk.crash();
    bench.restart();
    bench.settle();
    // Only the second header knows that the hole in the first segment was no torn tail.
    let (first, second) = (FileId::Segment(1), FileId::Segment(2));
    bench.disk.rot(first, start + 100, b"rot");
    for unreadable in [false, true] {
        if unreadable {
            bench.disk.break_file(second);
        }
        bench.restart();
        assert!(bench.is_damaged(1), "unreadable: {unreadable}");
        bench.wal.repaired(GroupId(1));
        bench.settle();
    }
    bench.disk.mend();
    bench.restart();
    assert!(!bench.is_damaged(1), "{:?}", bench.recovered.events);
    // What was not known before still is.
    bench.settle();
    bench.disk.rot(first, 40, b"rot");
    bench.restart();
    assert!(bench.is_damaged(1));
}

#[test]
fn images_without_a_log_are_damage() {
    let mut bench = bench();
    bench.image(1, 10, 1, b"ten", true);
    bench.settle();
    bench.disk.lose_file(FileId::Segment(1));
    bench.restart();
    assert!(bench.is_damaged(1));
}

#[test]
fn a_truncation_lost_in_a_hole_does_not_bring_entries_together_that_never_were() {
    let mut bench = bench();
    for index in 1..=5 {
        bench.entry(1, 1, index, b"old");
    }
    bench.settle();
    let start = bench.wal.written;
    bench.entry(1, 2, 4, &[2; 600]);
    bench.entry(1, 2, 5, &[2; 600]);
    bench.settle();
    bench.entry(1, 2, 6, b"new");
    bench.settle();
    for at in [100, 600] {
        bench.disk.rot(FileId::Segment(1), start + at, &[1; 100]);
    }
    bench.restart();
    assert!(bench.is_damaged(1));
    assert_eq!(bench.indexes(1), [1, 2, 3, 4, 5]);
}

#[test]
fn a_log_of_another_node_is_refused() {
    let mut bench = bench();
    bench.settle();
    let other = Identity { node: NodeId(2), ..IDENTITY };
    let mut recovery = WalRecovery::new(other, LARGE, &bench.disk.listing(), Bug::None);
    let file = recovery.wants().expect("there is a segment");
    assert_eq!(recovery.feed(bench.disk.read(file)), Err(WalError::Foreign(IDENTITY)));
}

#[test]
fn a_log_of_another_version_is_refused() {
    let mut bench = bench();
    bench.settle();
    let mut header = bench.disk.read(FileId::Segment(1)).expect("it is readable")[..96].to_vec();
    let body = u32::from_le_bytes(header[..4].try_into().expect("four bytes")) as usize;
    header.truncate((HEAD + body).next_multiple_of(ALIGN));
    let other = VERSION + 1;
    header[HEAD..HEAD + 2].copy_from_slice(&other.to_le_bytes());
    seal(&mut header, body, Place { segment: 1, offset: 0 }, true);
    let mut recovery = WalRecovery::new(IDENTITY, LARGE, &[(FileId::Segment(1), 96)], Bug::None);
    assert_eq!(recovery.feed(Some(&header)), Err(WalError::Version(other)));
}

#[test]
fn random_bytes_are_refused_without_a_panic() {
    let mut chance = Chance::new(Seed::from_number(3), 0);
    for _ in 0..60 {
        let mut disk = Disk::default();
        for number in 1..=chance.between(1, 3) {
            let length = chance.up_to(3000);
            let bytes = (0..length).map(|_| chance.bits() as u8).collect();
            disk.plant(FileId::Segment(number), bytes);
        }
        let group = GroupId(1);
        disk.plant(FileId::Snapshot { group, index: Index(1) }, vec![3; 30]);
        let mut bench = Bench::start(disk, LARGE, Bug::None);
        bench.entry(1, 1, 1, b"goes on");
        bench.settle();
        bench.restart();
        assert_eq!(bench.indexes(1), [1]);
    }
}

#[test]
fn bytes_changed_at_random_never_panic() {
    for seed in 0..60 {
        let mut chance = Chance::new(Seed::from_number(seed), 1);
        let (mut bench, _) = three_turns();
        bench.image(2, 10, 1, b"ten", true);
        bench.settle();
        bench.restart();
        bench.settle();
        for (file, size) in bench.disk.listing() {
            for _ in 0..chance.up_to(3) {
                let at = chance.up_to(size - 1);
                bench.disk.rot(file, at, &[chance.bits() as u8]);
            }
        }
        bench.restart();
        bench.settle();
        bench.restart();
    }
}

#[test]
fn buffers_stop_growing_once_warm() {
    let mut bench = bench();
    let mut batch = DiskBatch::default();
    let mut turn = |bench: &mut Bench, first: u64| {
        for index in first..first + 10 {
            bench.entry(1, 1, index, &[1; 50]);
        }
        let sizes = (bench.wal.buffer.capacity(), bench.wal.pending.capacity());
        bench.wal.flush(&mut batch);
        bench.disk.carry_out(&mut batch);
        bench.sync();
        sizes
    };
    let mut index = 1;
    for _ in 0..4 {
        turn(&mut bench, index);
        index += 10;
    }
    let warm = turn(&mut bench, index);
    for _ in 0..100 {
        index += 10;
        assert_eq!(turn(&mut bench, index), warm);
    }
}
