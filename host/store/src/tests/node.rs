//! Logs over simulated files for tests.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use herd_replication::JournalKind;

use crate::{Durability, EntryRun, Log, LogOptions, Recovered, SimFiles, SnapshotSource, StoreConfig, recover};

/// Settings in which entries of an earlier process are not repeated.
pub(crate) fn options() -> LogOptions {
    LogOptions::new(&StoreConfig { durability: Durability::Os, log_mib_max: 1 }, 7)
}

/// Options of `disk`.
pub(crate) fn disk_options() -> LogOptions {
    LogOptions { durability: Durability::Disk, ..options() }
}

/// Recovers and begins a log.
pub(crate) fn begin(files: &SimFiles, options: LogOptions) -> Arc<Log<SimFiles>> {
    let files = files.reopen();
    Arc::new(Log::begin(files.clone(), &read(&files).recovered, options, || {}))
}

/// Begins a log that counts how often it told of news.
pub(crate) fn begin_counting(files: &SimFiles, options: LogOptions) -> (Arc<Log<SimFiles>>, Arc<AtomicUsize>) {
    let (files, told) = (files.reopen(), Arc::new(AtomicUsize::new(0)));
    let counter = told.clone();
    let tell = move || {
        counter.fetch_add(1, Ordering::Relaxed);
    };
    (Arc::new(Log::begin(files.clone(), &read(&files).recovered, options, tell)), told)
}

/// Delivery of a recovery.
pub(crate) struct Read {
    /// Payloads as text, and whether they are intact.
    pub(crate) entries: Vec<(String, bool)>,
    pub(crate) recovered: Recovered,
}

impl Read {
    pub(crate) fn texts(&self) -> Vec<&str> {
        self.entries.iter().map(|(text, _)| text.as_str()).collect()
    }

    /// Returns the damaged places in words.
    pub(crate) fn damages(&self) -> Vec<String> {
        self.recovered.damages.iter().map(ToString::to_string).collect()
    }
}

pub(crate) fn read(files: &SimFiles) -> Read {
    let mut entries = Vec::new();
    let deliver = |_, payload: &[u8], intact| entries.push((String::from_utf8(payload.to_vec()).unwrap(), intact));
    let recovered = recover(&files.reopen(), deliver, |_| {}).unwrap();
    Read { entries, recovered }
}

pub(crate) fn append(log: &Log<SimFiles>, text: &str) -> u64 {
    log.append(JournalKind::Report, text.as_bytes())
}

/// A table that holds these texts, one a run.
pub(crate) struct Texts(pub(crate) Vec<&'static str>);

impl SnapshotSource for Texts {
    fn fill(&mut self, run: &mut EntryRun) -> bool {
        if !self.0.is_empty() {
            run.push(JournalKind::Report, self.0.remove(0).as_bytes());
        }
        !self.0.is_empty()
    }
}
