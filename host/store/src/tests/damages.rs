//! Damaged, torn and missing bytes and files at a start.

use herd_replication::JournalKind;

use super::node::{Texts, append, begin, options, read};
use crate::files::{Files, OpenFile};
use crate::framing::{EntryNumbers, Framing};
use crate::{
    DiskOperation, Log, RecoverError, Recovered, SimFiles, Snapshot, SnapshotSource, backup, recover, snapshot,
};

/// Files of a process that appended these texts and was killed.
fn written(texts: &[&str]) -> SimFiles {
    let files = SimFiles::new();
    add(&files, texts);
    files
}

fn add(files: &SimFiles, texts: &[&str]) {
    let log = begin(files, options());
    texts.iter().for_each(|text| {
        append(&log, text);
    });
    log.flush();
    files.kill();
}

#[test]
fn entries_come_back_in_order_over_many_starts() {
    let files = written(&["a", "b"]);
    add(&files, &["c"]);
    add(&files, &[]);
    add(&files, &["d"]);
    let read = read(&files);
    assert_eq!(read.texts(), ["a", "b", "c", "d"]);
    assert!(read.entries.iter().all(|(_, intact)| *intact));
    let recovered = read.recovered;
    assert_eq!((recovered.entries, recovered.damaged, recovered.holes), (4, 0, false));
    assert!(recovered.torn.is_empty());
}

#[test]
fn torn_tail_is_named_and_cut_before_anything_is_appended() {
    for torn in 1..13 {
        let files = written(&["a", "b"]);
        let length = files.content("log-00000001").unwrap().len();
        files.take_out("log-00000001", length - torn, torn);
        let before = read(&files);
        assert_eq!(before.texts(), ["a"]);
        let [tail] = &before.recovered.torn[..] else { panic!("{:?}", before.recovered) };
        assert_eq!((tail.file.as_str(), tail.offset, tail.bytes), ("log-00000001", 141, 13 - torn as u64));
        assert_eq!((before.recovered.damaged, before.recovered.log_bytes), (0, 141));
        add(&files, &["c"]);
        assert_eq!(files.content("log-00000001").unwrap().len(), 141);
        let after = read(&files);
        assert_eq!(after.entries, [("a".into(), true), ("c".into(), true)]);
        assert!(after.recovered.torn.is_empty() && after.recovered.damages.is_empty());
    }
}

#[test]
fn every_flipped_byte_of_a_log_is_found_and_served_nowhere() {
    let files = written(&["a", "b", "c"]);
    add(&files, &["d"]);
    let length = files.content("log-00000001").unwrap().len();
    for at in 0..length {
        files.flip("log-00000001", at, 0x04);
        let read = read(&files);
        let entry = at.checked_sub(128).map(|at| at / 13);
        // The number of an entry: it is read, and said to be out of order.
        let number = at >= 128 && (2..4).contains(&((at - 128) % 13));
        let expected: Vec<_> =
            ["a", "b", "c", "d"].into_iter().enumerate().filter(|(index, _)| number || Some(*index) != entry).collect();
        assert_eq!(read.texts(), expected.iter().map(|(_, text)| *text).collect::<Vec<_>>(), "byte {at}");
        for ((_, intact), (index, _)) in read.entries.iter().zip(&expected) {
            assert_eq!(*intact, entry.is_none_or(|entry| *index < entry), "byte {at}, entry {index}");
        }
        let place = match entry {
            None => "log-00000001 at byte 0: 64 bytes are lost: one copy of the head is damaged".to_string(),
            Some(entry) if number => {
                format!("log-00000001 at byte {}: entries before this one are missing", 128 + 13 * entry)
            }
            Some(entry) => {
                format!("log-00000001 at byte {}: 13 bytes are lost: the checksum differs", 128 + 13 * entry)
            }
        };
        assert_eq!(read.damages()[0], place, "byte {at}");
        assert_eq!(read.recovered.holes, entry.is_some());
        files.flip("log-00000001", at, 0x04);
    }
}

#[test]
fn missing_end_of_an_earlier_log_file_is_found_at_the_border_of_an_entry_too() {
    let files = written(&["a", "b"]);
    add(&files, &["c"]);
    files.take_out("log-00000001", 141, 13);
    let read = read(&files);
    assert_eq!(read.entries, [("a".into(), true), ("c".into(), false)]);
    assert_eq!(read.damages(), ["log-00000002 at byte 0: entries before this file are missing"]);
    assert!(read.recovered.holes);
}

#[test]
fn missing_log_file_is_found() {
    let files = written(&["a"]);
    add(&files, &["b"]);
    add(&files, &["c"]);
    files.reopen().remove("log-00000002").unwrap();
    let read = read(&files);
    assert_eq!(read.entries, [("a".into(), true), ("c".into(), false)]);
}

#[test]
fn log_file_under_the_name_of_another_is_not_read() {
    let files = written(&["a"]);
    add(&files, &["b"]);
    files.reopen().rename("log-00000001", "log-00000002").unwrap();
    let read = read(&files);
    assert!(read.texts().is_empty() && read.recovered.holes);
    assert_eq!(read.damages(), ["log-00000002 at byte 0: 141 bytes are lost: the file has the name of another one"]);
}

#[test]
fn log_file_with_both_heads_damaged_is_a_hole() {
    let files = written(&["a"]);
    add(&files, &["b"]);
    files.flip("log-00000001", 20, 1);
    files.flip("log-00000001", 84, 1);
    let before = read(&files);
    assert_eq!(before.entries, [("b".into(), false)]);
    assert_eq!(before.damages()[0], "log-00000001 at byte 0: 141 bytes are lost: the head of the file is damaged");
    // The last file may be the one.
    let files = written(&["a"]);
    files.flip("log-00000001", 20, 1);
    files.flip("log-00000001", 84, 1);
    assert!(read(&files).recovered.holes);
    add(&files, &["b"]);
    assert_eq!(read(&files).entries, [("b".into(), false)], "what follows a hole is not intact");
}

#[test]
fn log_file_that_follows_nothing_behind_another_is_a_hole() {
    let files = written(&["a"]);
    let nothing = Recovered { next_number: 2, ..read(&SimFiles::new()).recovered };
    let log = Log::begin(files.reopen(), &nothing, options(), || {});
    log.append(JournalKind::Report, b"b");
    log.flush();
    assert_eq!(read(&files).entries, [("a".into(), true), ("b".into(), false)]);
}

#[test]
fn log_file_without_a_whole_head_is_what_a_crash_leaves() {
    for bytes in [0, 1, 63, 127, 128] {
        let files = written(&["a"]);
        files.reopen().create("log-00000002").unwrap().append(&vec![0; bytes]).unwrap();
        let before = read(&files).recovered;
        let whole = u64::from(bytes == 128);
        assert_eq!((before.damaged, before.holes), (whole, bytes == 128), "{bytes} bytes");
        assert_eq!(before.torn.len() as u64 + whole, u64::from(bytes > 0), "{bytes} bytes");
        add(&files, &["b"]);
        let after = read(&files);
        assert_eq!(after.entries, [("a".into(), true), ("b".into(), bytes < 128)], "{bytes} bytes");
        assert_eq!(after.recovered.damages.is_empty(), bytes < 128, "{bytes} bytes: {:?}", after.damages());
    }
}

#[test]
fn entry_of_the_other_kind_of_file_is_not_skipped() {
    use crate::file_head::{FileHead, FileKind, Follows};
    use crate::framing::{END, SYNCED};
    for (kind, name, code) in [(FileKind::Log, "log-00000001", END), (FileKind::Snapshot, "snapshot-00000001", SYNCED)]
    {
        let mut bytes = FileHead::new(kind, 1, Follows::NOTHING, 3).to_bytes().to_vec();
        Framing::new(3).push(&mut bytes, code, &0u64.to_le_bytes());
        let files = SimFiles::new();
        files.create(name).unwrap().append(&bytes).unwrap();
        let why =
            format!("{name} at byte 128: 8 bytes are lost: an entry has the unknown kind {code}, of a later version");
        assert_eq!(read(&files).damages()[0], why);
    }
}

#[test]
fn damages_are_counted_beyond_those_that_are_named() {
    let files = written(&["a"; 202]);
    for entry in 0..101 {
        files.flip("log-00000001", 128 + 26 * entry + 12, 1);
    }
    let read = read(&files);
    assert_eq!((read.entries.len(), read.recovered.damaged, read.damages().len()), (101, 101, 100));
}

#[test]
fn damaged_snapshot_without_a_log_is_a_hole() {
    let files = written(&[]);
    snapshot(&begin(&files, options()), || Texts(vec!["a", "b"])).unwrap();
    let (name, log) = ("snapshot-00000003", "log-00000003");
    files.reopen().remove(log).unwrap();
    let bytes = files.content(name).unwrap().len();
    files.flip(name, bytes - 1, 1);
    let read = read(&files);
    assert_eq!(read.entries, [("a".into(), true), ("b".into(), true)]);
    assert_eq!(
        read.damages(),
        [
            "snapshot-00000003 at byte 154: 20 bytes are lost: the checksum differs",
            "log-00000001 at byte 0: the file is missing"
        ]
    );
    assert!(read.recovered.holes);
}

#[test]
fn hole_lasts_until_a_snapshot() {
    let files = written(&["a", "b"]);
    files.flip("log-00000001", 137, 1);
    assert!(read(&files).recovered.holes);
    add(&files, &["c"]);
    add(&files, &["d"]);
    assert_eq!(read(&files).entries, [("b".into(), false), ("c".into(), false), ("d".into(), false)]);
    let log = begin(&files, options());
    assert!(log.snapshot_due());
    snapshot(&log, || Texts(vec!["b", "c", "d"])).unwrap();
    assert!(!log.snapshot_due());
    append(&log, "e");
    log.flush();
    let read = read(&files);
    assert!(read.entries.iter().all(|(_, intact)| *intact) && read.recovered.damages.is_empty());
    assert_eq!(read.texts(), ["b", "c", "d", "e"]);
}

#[test]
fn entries_behind_a_gap_are_not_intact_until_the_snapshot_is_whole() {
    let files = SimFiles::new();
    let log = begin(&files, options());
    append(&log, "a");
    log.flush();
    files.fail(DiskOperation::Write, 0, 1);
    append(&log, "lost");
    log.flush();
    let recovery = Snapshot::begin(&log).unwrap();
    append(&log, "b");
    log.flush();
    files.kill();
    drop(recovery);
    let read = read(&files);
    assert_eq!(read.entries, [("a".into(), true), ("b".into(), false)]);
    assert!(read.damages().iter().any(|text| text.ends_with("entries before this file could not be written")));
}

#[test]
fn snapshot_misses_nothing_that_comes_during_its_scan() {
    let files = written(&["old"]);
    let log = begin(&files, options());
    append(&log, "a");
    let mut source = Texts(vec!["old", "a"]);
    let mut scan = Snapshot::begin(&log).unwrap();
    append(&log, "b");
    assert!(scan.step(&mut source).unwrap());
    append(&log, "c");
    assert!(!scan.step(&mut source).unwrap());
    append(&log, "d");
    scan.finish().unwrap();
    log.flush();
    assert_eq!(read(&files).texts(), ["old", "a", "b", "c", "d"]);
    let names = files.reopen().names().unwrap();
    assert_eq!(names, ["log-00000003", "snapshot-00000003"], "what the snapshot stands for is gone");
}

#[test]
fn unfinished_snapshot_leaves_the_log_before_it_and_goes_at_the_next_start() {
    let files = written(&["a"]);
    let log = begin(&files, options());
    let mut source = Texts(vec!["a", "b"]);
    let mut scan = Snapshot::begin(&log).unwrap();
    append(&log, "b");
    log.flush();
    scan.step(&mut source).unwrap();
    files.kill();
    drop(scan);
    assert!(files.content("snapshot-00000003.tmp").is_some());
    assert_eq!(read(&files).texts(), ["a", "b"]);
    begin(&files, options());
    assert!(files.content("snapshot-00000003.tmp").is_none());
}

#[test]
fn abandoned_snapshot_removes_its_draft() {
    let files = written(&["a"]);
    let log = begin(&files, options());
    drop(Snapshot::begin(&log).unwrap());
    assert_eq!(files.reopen().names().unwrap(), ["log-00000001", "log-00000002", "log-00000003"]);
}

#[test]
fn every_flipped_byte_of_a_snapshot_is_found_and_the_rest_is_read_as_not_intact() {
    let files = written(&[]);
    let log = begin(&files, options());
    snapshot(&log, || Texts(vec!["a", "b"])).unwrap();
    append(&log, "c");
    log.flush();
    let name = "snapshot-00000003";
    for at in 128..files.content(name).unwrap().len() {
        files.flip(name, at, 0x20);
        let read = read(&files);
        let lost = (at - 128) / 13;
        let mut expected = vec!["a", "b", "c"];
        if lost < 2 && !(2..4).contains(&((at - 128) % 13)) {
            expected.remove(lost);
        }
        assert_eq!(read.texts(), expected, "byte {at}");
        assert_eq!(read.entries.last().unwrap(), &("c".into(), false), "byte {at}");
        assert!(
            read.damages()[0].starts_with(&format!("{name} at byte {}: ", 128 + 13 * lost.min(2))),
            "{:?}",
            read.damages()
        );
        files.flip(name, at, 0x20);
    }
}

/// Goal: without a damaged snapshot, records are read from the older log files, and no vector behind it counts. Those may have lost what
/// the snapshot had: it was written after the entries, and synced when they were not.
#[test]
fn damaged_snapshot_leaves_the_records_of_the_log_before_it_and_no_vector() {
    let files = SimFiles::new();
    let log = begin(&files, options());
    append(&log, "a");
    // Removing the files before the snapshot fails.
    let mut source = Texts(vec!["a"]);
    let mut first = Snapshot::begin(&log).unwrap();
    first.step(&mut source).unwrap();
    files.fail(DiskOperation::Name, 1, 9);
    first.finish().unwrap();
    files.heal();
    append(&log, "b");
    log.flush();
    files.kill();
    assert_eq!(read(&files).texts(), ["a", "b"], "a whole snapshot stands for the files before it");
    let name = "snapshot-00000002";
    files.flip(name, 137, 1);
    let read = read(&files);
    assert_eq!(read.texts(), ["a", "b"]);
    let intact: Vec<bool> = read.entries.iter().map(|(_, intact)| *intact).collect();
    assert_eq!(intact, [true, false], "`a` was written before the snapshot began");
    assert!(read.recovered.holes && read.recovered.damaged == 1);
    // Nor after another start.
    let log = begin(&files, options());
    append(&log, "c");
    log.flush();
    assert_eq!(super::node::read(&files).entries[2], ("c".to_string(), false));
}

#[test]
fn missing_end_of_a_snapshot_is_found() {
    let files = SimFiles::new();
    let log = begin(&files, options());
    snapshot(&log, || Texts(vec!["a"])).unwrap();
    let end = files.content("snapshot-00000002").unwrap().len() - 20;
    files.take_out("snapshot-00000002", end, 20);
    let read = read(&files);
    assert_eq!(read.damages()[0], "snapshot-00000002 at byte 141: the end of the snapshot is missing");
    assert!(read.recovered.holes);
}

#[test]
fn missing_log_file_behind_a_snapshot_is_found() {
    let files = SimFiles::new();
    let log = begin(&files, options());
    snapshot(&log, || Texts(vec!["a"])).unwrap();
    files.kill();
    files.reopen().remove("log-00000002").unwrap();
    let before = read(&files);
    assert_eq!(before.damages(), ["log-00000002 at byte 0: the file is missing"]);
    assert!(before.recovered.holes);
}

#[test]
fn log_file_behind_a_snapshot_may_have_lost_all_its_bytes_with_the_power() {
    let files = SimFiles::new();
    let log = begin(&files, options());
    snapshot(&log, || Texts(vec!["a"])).unwrap();
    append(&log, "lost");
    log.flush();
    files.crash(&mut |_| 0);
    assert_eq!(files.content("log-00000002").unwrap(), b"");
    assert!(!read(&files).recovered.holes);
    add(&files, &["b"]);
    assert_eq!(read(&files).entries, [("a".into(), true), ("b".into(), true)]);
}

#[test]
fn unreadable_files_are_named() {
    let files = written(&["a"]);
    // The first operation lists the directory, the second opens the file.
    files.fail(DiskOperation::Read, 1, 1);
    let read = read(&files);
    assert_eq!(read.damages(), ["log-00000001 at byte 0: cannot be opened: input/output error (simulated)"]);
    assert!(read.recovered.holes);
    files.fail(DiskOperation::Read, 0, 1);
    assert!(matches!(recover(&files.reopen(), |_, _, _| {}, |_| {}), Err(RecoverError::Directory(_))));
}

#[test]
fn backup_of_a_running_node_is_a_directory_that_a_node_begins_with() {
    let backup_files = SimFiles::new();
    assert_eq!(backup(&backup_files, 5, || Texts(vec!["a", "b"])).unwrap(), 128 + 26 + 20);
    let error = backup(&backup_files, 5, || Texts(vec!["a"])).unwrap_err();
    assert_eq!(error.to_string(), "the directory has records already: name an empty one");
    let before = read(&backup_files);
    assert_eq!(before.entries, [("a".into(), true), ("b".into(), true)]);
    assert!(before.recovered.damages.is_empty() && !before.recovered.holes);
    add(&backup_files, &["c"]);
    add(&backup_files, &["d"]);
    let after = read(&backup_files);
    assert_eq!(after.texts(), ["a", "b", "c", "d"]);
    assert!(after.entries.iter().all(|(_, intact)| *intact) && after.recovered.damages.is_empty());
}

#[test]
fn failed_backup_leaves_nothing() {
    for after in 0..2 {
        let files = SimFiles::new();
        files.fail(DiskOperation::Name, after, 1);
        assert!(backup(&files, 5, || Texts(vec!["a"])).is_err());
        assert!(files.reopen().names().unwrap().is_empty());
    }
}

#[test]
fn log_of_a_later_format_is_read_if_it_allows_that_and_its_new_kinds_are_skipped() {
    use crate::file_head::{FileHead, FileKind, Follows};
    let head = FileHead::new(FileKind::Log, 1, Follows::NOTHING, 3);
    let later = |oldest_reader, kind| {
        let mut bytes = head.to_later_bytes(oldest_reader);
        let framing = Framing::new(3);
        framing.push(&mut bytes, 3, b"a");
        framing.push(&mut bytes, kind, b"unknown");
        framing.push(&mut bytes, 3, b"b");
        EntryNumbers::from_start().set(&mut bytes[192..]);
        let files = SimFiles::new();
        files.create("log-00000001").unwrap().append(&bytes).unwrap();
        files
    };
    let files = later(1, 200);
    let before = read(&files);
    assert_eq!(before.entries, [("a".into(), true), ("b".into(), true)]);
    assert_eq!((before.recovered.skipped, before.recovered.entries, before.recovered.damaged), (1, 2, 0));
    add(&files, &["c"]);
    assert_eq!(read(&files).texts(), ["a", "b", "c"], "the node goes on behind it");

    let required = read(&later(1, 127 - 2));
    assert_eq!(required.entries, [("a".into(), true), ("b".into(), false)], "a kind that may not be skipped is a hole");
    assert_eq!(
        required.damages(),
        ["log-00000001 at byte 205: 7 bytes are lost: an entry has the unknown kind 125, of a later version"]
    );

    let error = recover(&later(2, 3), |_, _, _| panic!("nothing is delivered"), |_| {}).unwrap_err();
    assert_eq!(
        error.to_string(),
        "log-00000001 was written by a later version of Herd (format 2, this one reads up to 1): start that version, or \
         move the file away"
    );
}

#[test]
fn recovery_tells_its_progress() {
    let files = written(&["a", "b"]);
    let mut last = None;
    recover(&files.reopen(), |_, _, _| {}, |progress| last = Some(progress)).unwrap();
    let progress = last.unwrap();
    assert_eq!((progress.bytes, progress.bytes_all, progress.entries), (26, 154, 0));
}

#[test]
fn snapshot_is_due_when_the_log_is_longer_than_configured_and_than_the_last_snapshot() {
    let files = SimFiles::new();
    let log = begin(&files, options());
    let half = "x".repeat(600 << 10);
    append(&log, &half);
    log.flush();
    assert!(!log.snapshot_due());
    append(&log, &half);
    log.flush();
    assert!(log.snapshot_due());
    assert!(log.status().log_bytes > 1200 << 10);
    struct Large(usize);
    impl SnapshotSource for Large {
        fn fill(&mut self, run: &mut crate::EntryRun) -> bool {
            run.push(JournalKind::Report, &[b'y'; 600 << 10]);
            self.0 -= 1;
            self.0 > 0
        }
    }
    snapshot(&log, || Large(3)).unwrap();
    assert!(!log.snapshot_due());
    assert!(log.status().snapshot_bytes > 1800 << 10);
    assert_eq!(log.status().log_bytes, 128);
    for due in [false, false, false, true] {
        append(&log, &half);
        log.flush();
        assert_eq!(log.snapshot_due(), due);
    }
    files.kill();
    assert!(begin(&files, options()).snapshot_due(), "a start counts what it read");
}

#[test]
fn snapshot_is_due_after_many_starts() {
    let files = SimFiles::new();
    for _ in 0..65 {
        assert!(!begin(&files, options()).snapshot_due());
    }
    assert!(begin(&files, options()).snapshot_due());
}
