//! The log: entries are appended to a buffer, written to the current file, and synced.
//!
//! Owns the buffer, the current file and the two positions, *written* and *durable*. Knows nothing about what entries mean. Has
//! no thread and no clock: the node and [`StoreThread`](crate::StoreThread) call it, or a simulator does. Bounds: the bytes of
//! the buffer; over it the log has failed, as after a failed write.
//!
//! After a failure nothing more is written to the same file, and nothing that was not synced there is believed: everything is
//! written anew as a snapshot, with a new log file behind it, and only then the log accepts again.
//!
//! Locks are taken in this order: `syncing`, `writer`, `tail`. Appends take only `tail`, which is never held while the disk works.

mod beginning;
mod rotation;
mod tail;
mod writer;

use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use herd_replication::JournalKind;
use parking_lot::Mutex;

use crate::file_head::{FORMAT, FileHead, Follows};
use crate::files::{Files, OpenFile};
use crate::framing::{Framing, LATER, SYNCED};
use crate::log_options::LogOptions;
use crate::log_status::LogStatus;
use crate::recovered::Recovered;
use crate::store_config::Durability;

pub(crate) use rotation::Rotation;
use tail::Tail;
use writer::{Phase, Writer};

/// An append-only log over a directory of files.
///
/// A *position* counts the bytes of entries since the log began in this process. An entry is in the operating system once
/// [`written`](Self::written) has reached the position that its append returned, and on disk once [`durable`](Self::durable) has.
///
/// # Examples
///
/// ```
/// use herd_replication::JournalKind;
/// use herd_store::{Log, LogOptions, SimFiles, StoreConfig, recover};
///
/// let files = SimFiles::new();
/// let recovered = recover(&files, |_, _, _| {}, |_| {})?;
/// let log = Log::begin(files.clone(), &recovered, LogOptions::new(&StoreConfig::default(), 7), || {});
/// let position = log.append(JournalKind::Report, b"report");
/// assert!(log.written() < position);
/// assert_eq!(log.sync(), position);
///
/// let mut entries = Vec::new();
/// recover(&files, |kind, payload, intact| entries.push((kind, payload.to_vec(), intact)), |_| {})?;
/// assert_eq!(entries, [(JournalKind::Report, b"report".to_vec(), true)]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Log<F: Files> {
    pub(crate) files: F,
    framing: Framing,
    options: LogOptions,
    tail: Mutex<Tail>,
    writer: Mutex<Writer<F::File>>,
    syncing: Mutex<()>,
    /// Held while a snapshot is written: one at a time.
    pub(crate) snapshotting: AtomicBool,
    written: AtomicU64,
    durable: AtomicU64,
    accepts: AtomicBool,
    /// Something happened that was not told yet.
    news: AtomicBool,
    tell: Box<dyn Fn() + Send + Sync>,
}

/// The log has failed, now or before.
#[derive(Debug)]
struct Failed;

impl<F: Files> Log<F> {
    /// Begins a log file behind what was recovered, after cutting off its torn tail.
    ///
    /// If the disk takes nothing, the log begins as one that has failed. `tell` is called after the durable position has
    /// advanced, after a failure and after a recovery, without a lock held.
    pub fn begin(
        files: F,
        recovered: &Recovered,
        options: LogOptions,
        tell: impl Fn() + Send + Sync + 'static,
    ) -> Self {
        let log = Self {
            files,
            framing: Framing::new(options.salt),
            options,
            tail: Mutex::new(Tail::default()),
            writer: Mutex::new(Writer::behind(recovered)),
            syncing: Mutex::new(()),
            snapshotting: AtomicBool::new(false),
            written: AtomicU64::new(0),
            durable: AtomicU64::new(0),
            accepts: AtomicBool::new(true),
            news: AtomicBool::new(false),
            tell: Box::new(tell),
        };
        let begun = log.remove_drafts().and_then(|()| log.cut(&recovered.torn)).and_then(|()| log.begin_file());
        let mut writer = log.writer.lock();
        let begun = begun.and_then(|(number, file)| log.begin_behind(&mut writer, number, file, recovered));
        if let Err(error) = begun {
            log.fail(&mut writer, &format!("a log file could not be begun: {error}"));
        }
        drop(writer);
        log
    }

    /// Appends an entry and returns the position of the log behind it. Copies it into a buffer and never waits for the disk.
    pub fn append(&self, kind: JournalKind, payload: &[u8]) -> u64 {
        // The checksum is computed before the lock: other workers append meanwhile.
        let head = self.framing.head(kind.code(), payload);
        let mut tail = self.tail.lock();
        if tail.append(&head, payload, self.options.buffer_bytes_max).is_err() {
            self.accepts.store(false, Ordering::Release);
        }
        tail.position
    }

    /// Returns whether the log can be written: false after a failure, until it is made good.
    pub fn accepts(&self) -> bool {
        self.accepts.load(Ordering::Acquire)
    }

    /// Returns the position up to which the operating system has everything.
    pub fn written(&self) -> u64 {
        self.written.load(Ordering::Acquire)
    }

    /// Returns the position up to which the disk has everything.
    pub fn durable(&self) -> u64 {
        self.durable.load(Ordering::Acquire)
    }

    /// Returns the position behind the last append.
    pub fn appended(&self) -> u64 {
        self.tail.lock().position
    }

    /// Writes everything that was appended, in one write, unless everything up to `position` has been written. Returns
    /// [`written`](Self::written).
    pub fn flush_to(&self, position: u64) -> u64 {
        match self.written() {
            written if written >= position => written,
            _ => self.flush(),
        }
    }

    /// Writes everything that was appended, in one write. Returns [`written`](Self::written), which stays behind after a failure.
    pub fn flush(&self) -> u64 {
        let mut writer = self.writer.lock();
        // A failure is told and shown; the position says how far the caller may count on it.
        let _ = self.write_tail(&mut writer);
        drop(writer);
        self.tell_news();
        self.written()
    }

    /// Writes everything that was appended and waits until it is on disk. Returns [`durable`](Self::durable), which stays behind
    /// after a failure.
    ///
    /// One thread syncs at a time. Appends and writes go on meanwhile, and are covered by the next sync.
    pub fn sync(&self) -> u64 {
        let syncing = self.syncing.lock();
        let _ = self.sync_files();
        drop(syncing);
        self.tell_news();
        self.durable()
    }

    /// Returns whether a snapshot should be written: the log is longer than configured, or has holes.
    pub fn snapshot_due(&self) -> bool {
        let writer = self.writer.lock();
        let bytes_max = self.options.log_bytes_max.max(writer.snapshot_bytes);
        let bytes = writer.log_bytes();
        writer.phase != Phase::Working || writer.holes || bytes > bytes_max || writer.log_files_before > LOG_FILES_MAX
    }

    /// Returns figures for people.
    pub fn status(&self) -> LogStatus {
        let writer = self.writer.lock();
        let (log_bytes, snapshot_bytes, failures) = (writer.log_bytes(), writer.snapshot_bytes, writer.age);
        drop(writer);
        let tail = self.tail.lock();
        LogStatus {
            accepts: self.accepts(),
            failure: tail.failure.clone(),
            failures,
            appended_bytes: tail.position,
            entries_dropped: tail.dropped,
            buffered_bytes: tail.position - self.written().min(tail.position),
            unsynced_bytes: tail.position - self.durable().min(tail.position),
            log_bytes,
            snapshot_bytes,
        }
    }

    /// Writes what waits and syncs all files that have unsynced bytes.
    fn sync_files(&self) -> Result<(), Failed> {
        let mut writer = self.writer.lock();
        let position = self.write_tail(&mut writer)?;
        let mut files = std::mem::take(&mut writer.unsynced);
        if position > self.durable() || writer.phase == Phase::Recovering {
            files.extend(writer.file.clone());
        }
        let (age, at) = (writer.age, writer.at);
        drop(writer);
        let synced = files.iter().try_for_each(|file| file.sync());
        let mut writer = self.writer.lock();
        if writer.age != age {
            return Err(Failed);
        }
        if let Err(error) = synced {
            self.fail(&mut writer, &format!("a sync failed: {error}"));
            return Err(Failed);
        }
        match writer.phase {
            Phase::Working => {
                let before = self.durable.swap(position, Ordering::AcqRel);
                self.news.fetch_or(position > before, Ordering::AcqRel);
                // In `os`, files of earlier processes may not be on disk.
                if self.options.durability == Durability::Disk {
                    writer.synced = at;
                }
            }
            _ => writer.reached = position,
        }
        Ok(())
    }

    /// Writes what waits to the current file. Returns the position reached.
    fn write_tail(&self, writer: &mut Writer<F::File>) -> Result<u64, Failed> {
        let mut tail = self.tail.lock();
        if tail.dropping {
            drop(tail);
            // An append may have found the buffer full.
            if writer.phase != Phase::Failed {
                writer.fail();
                self.news.store(true, Ordering::Release);
            }
            return Err(Failed);
        }
        std::mem::swap(&mut tail.bytes, &mut writer.spare);
        let position = tail.position;
        drop(tail);
        if writer.spare.is_empty() {
            // During a recovery, what was written did not count yet.
            self.note_written(writer, position);
            return Ok(position);
        }
        if writer.synced.number == writer.at.number {
            self.framing.push(&mut writer.spare, SYNCED, &writer.synced.bytes.to_le_bytes());
            writer.synced = Follows::NOTHING;
        }
        if self.options.later {
            self.framing.push(&mut writer.spare, LATER, b"of a later version");
        }
        writer.numbers.set(&mut writer.spare);
        let written = match &writer.file {
            Some(file) => file.append(&writer.spare),
            None => Err(io::ErrorKind::NotFound.into()),
        };
        let bytes = writer.spare.len() as u64;
        writer.spare.clear();
        writer.spare.shrink_to(SPARE_BYTES_MAX);
        if let Err(error) = written {
            self.fail(writer, &format!("a write failed: {error}"));
            return Err(Failed);
        }
        writer.at.bytes += bytes;
        self.note_written(writer, position);
        Ok(position)
    }

    fn note_written(&self, writer: &Writer<F::File>, position: u64) {
        if writer.phase == Phase::Working {
            self.written.store(position, Ordering::Release);
        }
    }

    fn fail(&self, writer: &mut Writer<F::File>, why: &str) {
        writer.fail();
        self.tail.lock().drop_entries(why);
        self.accepts.store(false, Ordering::Release);
        self.news.store(true, Ordering::Release);
    }

    fn tell_news(&self) {
        if self.news.swap(false, Ordering::AcqRel) {
            (self.tell)();
        }
    }

    pub(crate) fn salt(&self) -> u64 {
        self.options.salt
    }

    /// Returns the head of a file as the version of this log writes it.
    pub(crate) fn head_bytes(&self, head: FileHead) -> Vec<u8> {
        if self.options.later { head.to_later_bytes(FORMAT) } else { head.to_bytes().to_vec() }
    }

    /// Returns whether this log writes as a later version does.
    pub(crate) fn is_later(&self) -> bool {
        self.options.later
    }
}

/// Memory that is kept for the next write. A burst may have needed more.
const SPARE_BYTES_MAX: usize = 1 << 20;
/// Log files before a snapshot is due: a node that is restarted again and again begins one each time.
const LOG_FILES_MAX: u64 = 64;
