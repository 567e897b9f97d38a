//! Positions and figures of a log, and what it does without need.

use std::sync::atomic::Ordering;

use herd_replication::JournalKind;

use super::node::{Texts, append, begin, begin_counting, disk_options, options};
use crate::file_head::{FileHead, HeadRead};
use crate::{DiskOperation, EntryRun, LogOptions, SimFiles, Snapshot, SnapshotSource, snapshot};

#[test]
fn flush_to_a_position_that_was_written_writes_nothing() {
    let log = begin(&SimFiles::new(), options());
    let first = append(&log, "first");
    log.flush();
    let second = append(&log, "second");
    assert_eq!(log.flush_to(first), first);
    assert_eq!(log.flush_to(first + 1), second);
}

#[test]
fn sync_of_what_is_on_disk_leaves_the_disk_alone_and_tells_nothing() {
    let files = SimFiles::new();
    let (log, told) = begin_counting(&files, disk_options());
    let position = append(&log, "first");
    log.sync();
    files.fail(DiskOperation::Sync, 0, 1);
    assert_eq!((log.sync(), log.accepts(), told.load(Ordering::Relaxed)), (position, true, 1));
}

#[test]
fn status_counts_what_waits_and_all_files() {
    let files = SimFiles::new();
    let log = begin(&files, options());
    append(&log, "1");
    log.sync();
    append(&log, "23");
    log.flush();
    append(&log, "456");
    let status = log.status();
    assert_eq!((status.buffered_bytes, status.unsynced_bytes, status.log_bytes), (15, 29, 128 + 13 + 14));
    // Files of snapshots that were given up, and of a failure.
    drop(Snapshot::begin(&log).unwrap());
    drop(Snapshot::begin(&log).unwrap());
    append(&log, "7");
    files.fail(DiskOperation::Sync, 0, 1);
    log.sync();
    let bytes = (1..=3).map(|number| files.content(&format!("log-0000000{number}")).unwrap().len() as u64);
    assert_eq!(log.status().log_bytes, bytes.sum::<u64>());
}

#[test]
fn buffer_takes_entries_up_to_its_limit() {
    let log = begin(&SimFiles::new(), LogOptions { buffer_bytes_max: 100, ..options() });
    let half = "x".repeat(50 - 12);
    append(&log, &half);
    append(&log, &half);
    assert!(log.accepts());
    append(&log, "");
    assert!(!log.accepts());
}

#[test]
fn snapshot_is_due_behind_the_last_byte_and_the_last_file_allowed() {
    let log = begin(&SimFiles::new(), LogOptions { log_bytes_max: 128 + 13, ..options() });
    append(&log, "1");
    log.flush();
    assert!(!log.snapshot_due());
    append(&log, "");
    log.flush();
    assert!(log.snapshot_due());

    let log = begin(&SimFiles::new(), options());
    for _ in 0..64 {
        drop(Snapshot::begin(&log).unwrap());
    }
    assert!(!log.snapshot_due());
    drop(Snapshot::begin(&log).unwrap());
    assert!(log.snapshot_due());
}

#[test]
fn snapshot_is_due_after_damage_without_a_hole() {
    let files = SimFiles::new();
    begin(&files, options());
    files.kill();
    files.flip("log-00000001", 20, 1);
    let log = begin(&files, options());
    assert!(log.snapshot_due());
}

#[test]
fn snapshot_has_the_salt_of_its_process() {
    let files = SimFiles::new();
    snapshot(&begin(&files, LogOptions { salt: 1234, ..options() }), || Texts(vec!["a"])).unwrap();
    let HeadRead::Head { head, .. } = FileHead::read(&files.content("snapshot-00000002").unwrap()) else { panic!() };
    assert_eq!(head.salt, 1234);
}

/// A source of runs of 1 MiB.
struct Mebibytes;

impl SnapshotSource for Mebibytes {
    fn fill(&mut self, run: &mut EntryRun) -> bool {
        run.push(JournalKind::Report, &vec![0; (256 << 10) - 12 - 1]);
        assert!(!run.is_full());
        run.push(JournalKind::Report, &vec![0; (768 << 10) - 12 + 1]);
        assert!(run.is_full());
        true
    }
}

#[test]
fn snapshot_is_synced_at_each_eight_mebibytes() {
    let files = SimFiles::new();
    let log = begin(&files, options());
    let mut writing = Snapshot::begin(&log).unwrap();
    for _ in 0..8 {
        writing.step(&mut Mebibytes).unwrap();
    }
    files.fail(DiskOperation::Sync, 0, 1);
    for _ in 0..7 {
        writing.step(&mut Mebibytes).unwrap();
    }
    assert!(writing.step(&mut Mebibytes).is_err(), "the eighth is synced with those before");
}

#[test]
fn recovery_is_not_completed_by_an_earlier_one() {
    let files = SimFiles::new();
    let log = begin(&files, options());
    let fail = || {
        files.fail(DiskOperation::Write, 0, 1);
        append(&log, "lost");
        log.flush();
    };
    fail();
    let first = log.rotate().unwrap();
    fail();
    let second = log.rotate().unwrap();
    assert!(log.finish_recovery(first.age).is_err() && !log.accepts());
    log.abandon_recovery(first.age, "given up");
    log.finish_recovery(second.age).unwrap();
    assert!(log.accepts());
}
