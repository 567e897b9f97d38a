//! A log that many threads use at once.

use std::thread;

use herd_replication::JournalKind;

use super::node::{Texts, begin, disk_options, read};
use crate::{SimFiles, snapshot};

#[test]
fn entries_of_each_thread_come_back_in_its_order_while_others_write_sync_and_write_snapshots() {
    const ENTRIES: usize = 2000;
    let files = SimFiles::new();
    let log = begin(&files, disk_options());
    thread::scope(|scope| {
        for name in ["a", "b", "c"] {
            let log = &log;
            scope.spawn(move || {
                for number in 0..ENTRIES {
                    let position = log.append(JournalKind::Report, format!("{name}{number:04}").as_bytes());
                    match number % 7 {
                        0 => assert!(log.sync() >= position),
                        3 => assert!(log.flush_to(position) >= position),
                        _ => {}
                    }
                }
            });
        }
        // Empty snapshots: the log files before them go, and the rest is still in order.
        scope.spawn(|| (0..20).for_each(|_| snapshot(&log, || Texts(vec!["snapshot"])).unwrap()));
    });
    log.sync();
    files.crash(&mut |_| 0);
    let read = read(&files);
    assert!(read.recovered.damages.is_empty() && read.entries.iter().all(|(_, intact)| *intact));
    for name in ["a", "b", "c"] {
        let of_thread: Vec<_> = read.texts().into_iter().filter(|text| text.starts_with(name)).collect();
        let first = ENTRIES - of_thread.len();
        let expected: Vec<_> = (first..ENTRIES).map(|number| format!("{name}{number:04}")).collect();
        assert_eq!(of_thread, expected);
    }
}
