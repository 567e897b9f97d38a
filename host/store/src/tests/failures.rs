//! Failures of the disk while a log is written.

use std::sync::atomic::Ordering;

use super::node::{Texts, append, begin, begin_counting, disk_options, options, read};
use crate::{DiskOperation, Durability, LogOptions, SimFiles, Snapshot, SnapshotError, snapshot};

#[test]
fn failed_write_stops_the_log_until_everything_is_written_again() {
    let files = SimFiles::new();
    let (log, told) = begin_counting(&files, options());
    let first = append(&log, "first");
    assert_eq!(log.flush(), first);
    files.set_space(Some(10));
    let lost = append(&log, "second");
    assert_eq!(log.flush(), first, "the position stays before what was not written");
    assert_eq!((log.accepts(), told.load(Ordering::Relaxed)), (false, 1));
    let failure = log.status().failure.unwrap();
    assert!(failure.starts_with("a write failed: "), "{failure}");

    let dropped = append(&log, "third");
    assert!(dropped > lost, "positions grow while entries are dropped");
    assert_eq!((log.flush(), log.status().entries_dropped, told.load(Ordering::Relaxed)), (first, 1, 1));

    assert!(snapshot(&log, || Texts(vec!["all"])).is_err(), "the disk is still full");
    assert!(!log.accepts());
    files.set_space(Some(1));
    assert!(snapshot(&log, || Texts(vec!["all"])).is_err(), "there is space for an empty file alone");
    assert_eq!(log.status().failure.unwrap(), failure, "the first reason is told");
    files.heal();
    snapshot(&log, || Texts(vec!["first", "second", "third"])).unwrap();
    assert!(log.accepts());
    assert_eq!((log.written(), log.durable()), (dropped, dropped), "the snapshot holds what was dropped");
    assert_eq!(log.status().failure, None);
    assert!(told.load(Ordering::Relaxed) >= 2);
    append(&log, "fourth");
    log.flush();
    let read = read(&files);
    assert_eq!(read.texts(), ["first", "second", "third", "fourth"]);
    assert!(read.entries.iter().all(|(_, intact)| *intact) && read.recovered.damages.is_empty());
}

#[test]
fn failed_sync_is_not_made_good_by_a_later_one() {
    let files = SimFiles::new();
    let log = begin(&files, disk_options());
    files.fail(DiskOperation::Sync, 0, 1);
    let position = append(&log, "first");
    assert!(log.sync() < position);
    assert!(log.sync() < position, "the disk works again, and the same pages are not believed");
    assert_eq!(log.written(), position);
    assert!(log.status().failure.unwrap().starts_with("a sync failed: "));
    snapshot(&log, || Texts(vec!["first"])).unwrap();
    assert_eq!(log.durable(), position);
    // What the failed sync left unsynced is gone, and not needed.
    files.crash(&mut |_| 0);
    assert_eq!(read(&files).texts(), ["first"]);
}

#[test]
fn entries_since_the_rotation_of_a_recovery_are_as_durable_as_its_snapshot() {
    let files = SimFiles::new();
    let log = begin(&files, disk_options());
    files.fail(DiskOperation::Sync, 0, 1);
    append(&log, "first");
    log.sync();
    let mut source = Texts(vec!["first"]);
    let mut recovery = Snapshot::begin(&log).unwrap();
    let during = append(&log, "during");
    log.flush();
    assert!(log.written() < during, "nothing counts before the snapshot is whole");
    assert!(!log.accepts());
    while recovery.step(&mut source).unwrap() {}
    recovery.finish().unwrap();
    assert_eq!((log.written(), log.durable()), (during, during));
    files.crash(&mut |_| 0);
    assert_eq!(read(&files).texts(), ["first", "during"]);
}

#[test]
fn what_is_written_while_a_recovery_completes_counts_with_the_next_flush() {
    let files = SimFiles::new();
    let log = begin(&files, options());
    files.fail(DiskOperation::Write, 0, 1);
    append(&log, "first");
    log.flush();
    snapshot(&log, || Texts(vec!["first"])).unwrap();
    let position = append(&log, "second");
    assert_eq!(log.flush(), position);
    assert_eq!(log.flush_to(position), position);
}

#[test]
fn recovery_that_fails_again_leaves_the_log_failed() {
    let files = SimFiles::new();
    let log = begin(&files, options());
    files.fail(DiskOperation::Write, 0, 1);
    append(&log, "first");
    log.flush();
    let mut recovery = Snapshot::begin(&log).unwrap();
    assert!(!recovery.step(&mut Texts(vec!["first"])).unwrap());
    // The new log file fails while the snapshot is written.
    append(&log, "second");
    files.fail(DiskOperation::Write, 0, 1);
    log.flush();
    files.heal();
    let error = recovery.finish().unwrap_err();
    assert_eq!(error.to_string(), "a snapshot could not be completed: the log failed again");
    assert!(!log.accepts());
    snapshot(&log, || Texts(vec!["first", "second"])).unwrap();
    assert!(log.accepts());
}

#[test]
fn abandoned_recovery_leaves_the_log_failed() {
    let files = SimFiles::new();
    let log = begin(&files, options());
    files.fail(DiskOperation::Write, 0, 1);
    append(&log, "first");
    log.flush();
    drop(Snapshot::begin(&log).unwrap());
    let position = append(&log, "second");
    assert!(log.flush() < position);
    assert!(!log.accepts() && log.snapshot_due());
    assert_eq!(log.status().failure.unwrap(), "a snapshot could not be written");
}

#[test]
fn full_buffer_stops_the_log_without_a_wait() {
    let files = SimFiles::new();
    let (log, told) = begin_counting(&files, LogOptions { buffer_bytes_max: 100, ..options() });
    let fits = append(&log, &"x".repeat(88));
    assert_eq!((fits, log.accepts()), (100, true));
    append(&log, "");
    assert!(!log.accepts());
    assert_eq!(log.status().failure.unwrap(), "100 bytes of reports wait for the disk");
    assert_eq!(told.load(Ordering::Relaxed), 0, "an append tells nobody: it holds a lock of the table");
    assert_eq!(log.flush(), 0);
    assert_eq!((told.load(Ordering::Relaxed), log.status().entries_dropped), (1, 1));
    assert_eq!(log.status().failures, 1);
    snapshot(&log, || Texts(vec!["all"])).unwrap();
    assert!(log.accepts());
}

#[test]
fn entry_longer_than_a_reader_takes_stops_the_log() {
    let log = begin(&SimFiles::new(), options());
    append(&log, &"x".repeat(crate::framing::PAYLOAD_BYTES_MAX));
    assert!(log.accepts());
    append(&log, &"x".repeat(crate::framing::PAYLOAD_BYTES_MAX + 1));
    assert_eq!(log.status().failure.unwrap(), "an entry of 16777216 bytes is too long");
}

#[test]
fn failed_snapshot_leaves_a_log_that_works() {
    for operation in [DiskOperation::Name, DiskOperation::SyncDirectory, DiskOperation::Sync] {
        let files = SimFiles::new();
        let log = begin(&files, options());
        append(&log, "first");
        files.fail(operation, 0, 1);
        let error = snapshot(&log, || Texts(vec!["first"])).unwrap_err();
        assert!(error.to_string().starts_with("a snapshot could not be "), "{error}");
        assert!(log.accepts(), "{operation:?}");
        append(&log, "second");
        log.flush();
        assert_eq!(read(&files).texts(), ["first", "second"], "{operation:?}");
        snapshot(&log, || Texts(vec!["first", "second"])).unwrap();
        append(&log, "third");
        log.flush();
        let read = read(&files);
        assert_eq!(read.texts(), ["first", "second", "third"], "{operation:?}");
        assert!(read.entries.iter().all(|(_, intact)| *intact) && read.recovered.damages.is_empty());
    }
}

#[test]
fn log_file_with_half_a_head_is_never_followed_in_the_old_file() {
    let files = SimFiles::new();
    let log = begin(&files, options());
    append(&log, "first");
    log.flush();
    files.set_space(Some(70));
    assert!(snapshot(&log, || Texts(vec!["first"])).is_err());
    assert!(!log.accepts());
    files.kill();
    files.heal();
    let read = read(&files);
    assert_eq!((read.texts(), read.recovered.holes), (vec!["first"], false));
}

#[test]
fn one_snapshot_is_written_at_a_time() {
    let log = begin(&SimFiles::new(), options());
    let first = Snapshot::begin(&log).unwrap();
    assert!(matches!(Snapshot::begin(&log), Err(SnapshotError::Busy)));
    drop(first);
    Snapshot::begin(&log).unwrap();
}

#[test]
fn log_that_cannot_begin_has_failed_and_recovers() {
    for operation in [DiskOperation::Name, DiskOperation::SyncDirectory, DiskOperation::Write] {
        let files = SimFiles::new();
        files.fail(operation, 0, 1);
        let log = begin(&files, options());
        assert!(!log.accepts(), "{operation:?}");
        let failure = log.status().failure.unwrap();
        assert!(failure.starts_with("a log file could not be begun: "), "{failure}");
        append(&log, "first");
        snapshot(&log, || Texts(vec!["first"])).unwrap();
        assert!(log.accepts());
        append(&log, "second");
        log.flush();
        assert_eq!(read(&files).texts(), ["first", "second"]);
    }
}

#[test]
fn entries_that_a_failed_sync_left_in_memory_are_written_again_at_the_next_start() {
    let files = SimFiles::new();
    let log = begin(&files, disk_options());
    append(&log, "synced");
    log.sync();
    append(&log, "first");
    files.fail(DiskOperation::Sync, 0, 1);
    log.sync();
    files.kill();
    drop(log);
    let log = begin(&files, disk_options());
    assert!(log.accepts());
    assert_eq!(read(&files).texts(), ["synced", "first", "first"], "a mark says what was synced");
    append(&log, "second");
    log.sync();
    files.crash(&mut |_| 0);
    let read = read(&files);
    assert_eq!(read.texts(), ["synced", "first", "second"]);
    assert!(!read.recovered.holes, "the new file follows the place from where on it repeats");
    assert!(read.entries.iter().all(|(_, intact)| *intact));
}

#[test]
fn marks_of_syncs_keep_a_start_from_repeating_what_is_on_disk() {
    let files = SimFiles::new();
    let log = begin(&files, disk_options());
    append(&log, "first");
    log.sync();
    append(&log, "second");
    log.flush();
    files.kill();
    begin(&files, disk_options());
    assert_eq!(read(&files).texts(), ["first", "second", "second"]);
    files.kill();
    begin(&files, disk_options());
    files.kill();
    begin(&files, disk_options());
    assert_eq!(read(&files).texts(), ["first", "second", "second"], "a start marks what it repeated");
}

#[test]
fn start_in_os_repeats_nothing_and_marks_nothing() {
    let files = SimFiles::new();
    let log = begin(&files, options());
    append(&log, "first");
    log.sync();
    append(&log, "second");
    log.sync();
    files.kill();
    begin(&files, options());
    assert_eq!(read(&files).texts(), ["first", "second"]);
    files.kill();
    let log = begin(&files, LogOptions { durability: Durability::Disk, ..options() });
    assert_eq!(
        read(&files).texts(),
        ["first", "second", "first", "second"],
        "the change of mode writes all of it again"
    );
    assert!(log.accepts());
}
