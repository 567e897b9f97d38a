//! Repetition of what an earlier process may have left in memory only.

use herd_replication::JournalKind;

use super::node::{append, begin, disk_options, options, read};
use crate::framing::is_repeated;
use crate::recovered::Doubtful;
use crate::{DiskOperation, Files, Log, Recovered, SimFiles, recover};

const FIRST: &str = "log-00000001";
/// A head, a mark of the start, and the entry that is synced.
const SECOND_AT: usize = 128 + 20 + 18;
const FOURTH_AT: usize = SECOND_AT + 18;
/// With the mark of the sync.
const END: usize = FOURTH_AT + 18 + 20;

/// Files of a process in `disk` that synced one entry, wrote these, and was killed.
fn unsynced(texts: &[&str]) -> SimFiles {
    let files = SimFiles::new();
    let log = begin(&files, disk_options());
    append(&log, "synced");
    log.sync();
    texts.iter().for_each(|text| {
        append(&log, text);
    });
    log.flush();
    files.kill();
    files
}

/// Begins a log in `disk` behind an earlier recovery.
fn begin_behind(files: &SimFiles, recovered: &Recovered) -> Log<SimFiles> {
    Log::begin(files.reopen(), recovered, disk_options(), || {})
}

/// Goal: entries that were recovered, and cannot be read again to repeat them, are in memory alone, so the log must not accept before
/// a snapshot holds them. Method: the file is damaged between the recovery and the beginning of the log.
#[test]
fn entries_that_cannot_be_repeated_fail_the_log() {
    let damages: [fn(&SimFiles); 4] = [
        |files| files.flip(FIRST, SECOND_AT + 12, 1),
        |files| files.flip(FIRST, FOURTH_AT + 12, 1),
        // The file ends within an entry, and between two.
        |files| files.take_out(FIRST, FOURTH_AT + 5, END - FOURTH_AT - 5),
        |files| files.take_out(FIRST, FOURTH_AT, END - FOURTH_AT),
    ];
    for (number, damage) in damages.into_iter().enumerate() {
        let files = unsynced(&["second", "fourth"]);
        let recovered = read(&files).recovered;
        assert_eq!(recovered.damaged, 0);
        assert_eq!(files.content(FIRST).unwrap().len(), END);
        damage(&files);
        let log = begin_behind(&files, &recovered);
        assert!(!log.accepts(), "damage {number}");
        let failure = log.status().failure.unwrap();
        assert_eq!(failure, "a log file could not be begun: entries could not be read again", "damage {number}");
    }
}

#[test]
fn entries_behind_known_damage_are_repeated_and_stay_not_intact() {
    let files = unsynced(&["second", "fourth"]);
    files.flip(FIRST, SECOND_AT + 12, 1);
    let log = begin(&files, disk_options());
    assert!(log.accepts() && log.snapshot_due());
    let expected = [("synced", true), ("fourth", false), ("synced", false), ("fourth", false)];
    assert_eq!(read(&files).entries, expected.map(|(text, intact)| (text.to_string(), intact)));
}

/// Goal: a node that ends again and again before its snapshot does not double its log at each start.
#[test]
fn entries_behind_known_damage_are_repeated_once() {
    let files = unsynced(&["second", "fourth"]);
    files.flip(FIRST, SECOND_AT + 12, 1);
    for _ in 0..4 {
        begin(&files, disk_options());
        files.kill();
    }
    assert_eq!(read(&files).texts(), ["synced", "fourth", "synced", "fourth"]);
    // Damage of what was repeated leaves the original in doubt.
    files.flip("log-00000002", 128 + 12, 1);
    begin(&files, disk_options());
    assert_eq!(read(&files).texts(), ["synced", "fourth", "fourth", "synced", "fourth", "fourth"]);
}

/// Goal: a file that is missing may be the one that repeated what an earlier one has in memory only. Method: the third process needs
/// nothing repeated, and then the file of the second is gone.
#[test]
fn entries_are_in_doubt_again_without_the_file_that_repeated_them() {
    let files = unsynced(&["second", "fourth"]);
    for _ in 0..2 {
        begin(&files, disk_options());
        files.kill();
    }
    assert_eq!(read(&files).texts(), ["synced", "second", "fourth", "second", "fourth"]);
    Files::remove(&files.reopen(), "log-00000002").unwrap();
    begin(&files, disk_options());
    assert_eq!(read(&files).texts(), ["synced", "second", "fourth", "synced", "second", "fourth"]);
}

#[test]
fn entries_of_any_length_are_repeated() {
    for bytes in [0, 1, 600 << 10, 1500 << 10] {
        let text = "x".repeat(bytes);
        let files = unsynced(&[&text, &text, &text]);
        let log = begin(&files, disk_options());
        assert!(log.accepts());
        let lengths = |files: &SimFiles| read(files).entries.iter().map(|(text, _)| text.len()).collect::<Vec<_>>();
        assert_eq!(lengths(&files), [6, bytes, bytes, bytes, bytes, bytes, bytes]);
        let on_disk = [FIRST, "log-00000002"].map(|name| files.content(name).unwrap().len() as u64);
        assert_eq!(log.status().log_bytes, on_disk.iter().sum::<u64>());
    }
}

#[test]
fn repetition_that_fails_once_fails_the_log() {
    let text = "x".repeat(600 << 10);
    let files = unsynced(&[&text, &text, &text]);
    // The head of the file, the first two entries, the third.
    for after in 0..3 {
        files.fail(DiskOperation::Write, after, 1);
        assert!(!begin(&files, disk_options()).accepts(), "write {after}");
        files.kill();
    }
}

#[test]
fn entries_are_in_doubt_behind_the_last_mark_of_a_sync() {
    assert_eq!(read(&unsynced(&[])).recovered.doubtful.len(), 1, "the mark is not written before the next entry");
    let files = unsynced(&["second", &"x".repeat(1000)]);
    let log = begin(&files, options());
    append(&log, "in os");
    log.flush();
    files.kill();
    let doubtful = read(&files).recovered.doubtful;
    let bytes = [FIRST, "log-00000002"].map(|name| files.content(name).unwrap().len() as u64);
    let parts = [(1, SECOND_AT as u64, bytes[0]), (2, 128, bytes[1])];
    assert_eq!(doubtful, parts.map(|(number, from, to)| Doubtful { number, salt: 7, from, to }));
    let empty = SimFiles::new();
    begin(&empty, options());
    assert_eq!(read(&empty).recovered.doubtful, []);
}

/// Goal: an entry of each kind comes back from a log file and is repeated, as what it is. Method: one of each, unsynced, and the marks of the
/// file itself beside them; the process after the next reads what the next one repeated.
#[test]
fn entry_of_each_kind_comes_back_as_that_kind() {
    let kinds: Vec<JournalKind> = (0..=u8::MAX).filter_map(JournalKind::from_code).collect();
    assert!(kinds.contains(&JournalKind::Contact) && kinds.contains(&JournalKind::Rejoin));
    let files = SimFiles::new();
    let log = begin(&files, disk_options());
    kinds.iter().for_each(|kind| {
        log.append(*kind, b"payload");
    });
    log.flush();
    files.kill();
    for process in 0..2 {
        let mut read = Vec::new();
        let recovered = recover(&files.reopen(), |kind, _: &[u8], _| read.push(kind), |_| {}).unwrap();
        assert_eq!((&read, recovered.skipped), (&kinds.repeat(process + 1), 0), "process {process}");
        assert!(begin_behind(&files, &recovered).accepts());
        files.kill();
    }
}

#[test]
fn mark_of_an_earlier_version_is_told_from_a_contact() {
    for (code, payload, is_mark) in [(128, &b""[..], true), (128, b"\x01", false), (129, b"", true), (127, b"", false)]
    {
        assert_eq!(is_repeated(code, payload), is_mark, "{code} {payload:?}");
    }
}
