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

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use parking_lot::Mutex;

use crate::entry_reader::{Found, read_entries};
use crate::file_head::{FileHead, FileKind, FileName, Follows, HEAD_BYTES};
use crate::files::{Files, OpenFile};
use crate::framing::{Framing, HEAD_BYTES as ENTRY_HEAD_BYTES, PAYLOAD_BYTES_MAX, SYNCED};
use crate::journal::{Journal, JournalKind};
use crate::log_status::LogStatus;
use crate::recovered::{Doubtful, Recovered, TornTail};
use crate::store_config::{Durability, StoreConfig};

/// Settings of a [`Log`].
#[derive(Clone, Copy, Debug)]
pub struct LogOptions {
    /// What entries survive. In [`Durability::Disk`], entries of an earlier process that may not be on disk are written again.
    pub durability: Durability,
    /// Bytes of log files after which a snapshot is due, unless the last snapshot is larger.
    pub log_bytes_max: u64,
    /// Bytes of entries that may wait for the disk.
    pub buffer_bytes_max: usize,
    /// Random number that clients do not know: it keeps the bytes of a record from being taken for an entry.
    pub salt: u64,
}

impl LogOptions {
    /// Bytes of entries that may wait for the disk, by default. At 100,000 reports of 200 bytes a second it fills within three
    /// seconds, longer than a disk that works takes for one sync.
    pub const BUFFER_BYTES_MAX: usize = 64 << 20;

    /// Returns options with the default buffer.
    pub fn new(config: &StoreConfig, salt: u64) -> Self {
        let StoreConfig { durability, .. } = *config;
        Self { durability, log_bytes_max: config.log_bytes_max(), buffer_bytes_max: Self::BUFFER_BYTES_MAX, salt }
    }
}

/// An append-only log over a directory of files.
///
/// A *position* counts the bytes of entries since the log began in this process. An entry is in the operating system once
/// [`written`](Self::written) has reached the position that its append returned, and on disk once [`durable`](Self::durable) has.
///
/// # Examples
///
/// ```
/// use herd_store::{Journal, JournalKind, Log, LogOptions, SimFiles, StoreConfig, recover};
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
    pub(crate) framing: Framing,
    options: LogOptions,
    tail: Mutex<Tail>,
    pub(crate) writer: Mutex<Writer<F::File>>,
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

/// Entries that wait to be written.
struct Tail {
    bytes: Vec<u8>,
    /// Position behind the last entry, dropped ones included.
    position: u64,
    /// Entries are dropped, because the log has failed.
    dropping: bool,
    dropped: u64,
    failure: Option<String>,
}

/// The current file.
pub(crate) struct Writer<File> {
    phase: Phase,
    file: Option<Arc<File>>,
    /// Files before the current one that were not synced yet.
    unsynced: Vec<Arc<File>>,
    /// Number and bytes of the current file.
    at: Follows,
    pub(crate) next_number: u64,
    /// Grows with every failure and recovery, so that what began before one is not taken for what came after.
    pub(crate) age: u64,
    /// Position up to which the files have everything, while recovering.
    reached: u64,
    /// Entries being written. Its memory is reused.
    spare: Vec<u8>,
    /// Bytes of log files before the current one that no snapshot stands for.
    pub(crate) log_bytes_before: u64,
    pub(crate) log_files_before: u64,
    pub(crate) snapshot_bytes: u64,
    /// Place in a file up to which everything is on disk, if it is the current one and not noted there yet.
    synced: Follows,
    /// Entries are missing in the files, so vectors behind them count for nothing until the next snapshot.
    pub(crate) holes: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Working,
    Failed,
    /// A new file takes entries, but the snapshot before it is not complete.
    Recovering,
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
            tail: Mutex::new(Tail { bytes: Vec::new(), position: 0, dropping: false, dropped: 0, failure: None }),
            writer: Mutex::new(Writer {
                phase: Phase::Working,
                file: None,
                unsynced: Vec::new(),
                at: Follows::NOTHING,
                next_number: recovered.next_number,
                age: 0,
                reached: 0,
                spare: Vec::new(),
                log_bytes_before: recovered.log_bytes,
                log_files_before: recovered.log_files,
                snapshot_bytes: recovered.snapshot_bytes,
                synced: Follows::NOTHING,
                holes: recovered.holes || recovered.damaged > 0,
            }),
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
        let (log_bytes, snapshot_bytes) = (writer.log_bytes(), writer.snapshot_bytes);
        drop(writer);
        let tail = self.tail.lock();
        LogStatus {
            accepts: self.accepts(),
            failure: tail.failure.clone(),
            entries_dropped: tail.dropped,
            buffered_bytes: tail.position - self.written().min(tail.position),
            unsynced_bytes: tail.position - self.durable().min(tail.position),
            log_bytes,
            snapshot_bytes,
        }
    }

    /// Begins a new log file, so that a snapshot can stand for those before. Returns its number and the age of the writer.
    ///
    /// After a failure the new file takes the entries from now on, but the log accepts nothing before
    /// [`finish_recovery`](Self::finish_recovery).
    pub(crate) fn rotate(&self) -> io::Result<Rotation> {
        let (number, file) = self.begin_file()?;
        let mut writer = self.writer.lock();
        let flushed = self.write_tail(&mut writer);
        let recovering = flushed.is_err();
        let follows = match recovering {
            true => Follows::GAP,
            false => writer.at,
        };
        let switched = self.switch_file(&mut writer, number, file, follows);
        match switched {
            Err(error) => {
                if !recovering {
                    self.fail(&mut writer, &format!("a log file could not be begun: {error}"));
                }
                drop(writer);
                self.tell_news();
                Err(error)
            }
            Ok(()) => {
                if recovering {
                    let mut tail = self.tail.lock();
                    (tail.dropping, writer.phase, writer.reached) = (false, Phase::Recovering, tail.position);
                    writer.age += 1;
                }
                Ok(Rotation { number, follows, recovering, age: writer.age })
            }
        }
    }

    /// Accepts again, now that a snapshot stands for what was not written.
    pub(crate) fn finish_recovery(&self, age: u64) -> io::Result<()> {
        let syncing = self.syncing.lock();
        // What came since the rotation is in the new file alone: it has to be as durable as the snapshot.
        let _ = self.sync_files();
        let mut writer = self.writer.lock();
        if writer.age != age || writer.phase != Phase::Recovering {
            return Err(io::Error::other("the log failed again"));
        }
        writer.phase = Phase::Working;
        writer.age += 1;
        self.written.store(writer.reached, Ordering::Release);
        self.durable.store(writer.reached, Ordering::Release);
        self.tail.lock().failure = None;
        self.accepts.store(true, Ordering::Release);
        drop((writer, syncing));
        self.news.store(true, Ordering::Release);
        self.tell_news();
        Ok(())
    }

    /// Notes that the log files before this number count no more.
    pub(crate) fn note_snapshot(&self, number: u64, bytes: u64) {
        let mut writer = self.writer.lock();
        writer.snapshot_bytes = bytes;
        writer.holes = false;
        writer.unsynced.clear();
        // If the log failed since the snapshot began, its file is not the current one any more.
        if writer.at.number == number {
            (writer.log_bytes_before, writer.log_files_before) = (0, 0);
        }
    }

    /// Fails a recovery that did not complete.
    pub(crate) fn abandon_recovery(&self, age: u64, why: &str) {
        let mut writer = self.writer.lock();
        if writer.age == age && writer.phase == Phase::Recovering {
            self.fail(&mut writer, why);
        }
        drop(writer);
        self.tell_news();
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
            return Ok(position);
        }
        if writer.synced.number == writer.at.number {
            self.framing.push(&mut writer.spare, SYNCED, &writer.synced.bytes.to_le_bytes());
            writer.synced = Follows::NOTHING;
        }
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
        if writer.phase == Phase::Working {
            self.written.store(position, Ordering::Release);
        }
        Ok(position)
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

    /// Creates an empty log file whose name outlasts a loss of power.
    fn begin_file(&self) -> io::Result<(u64, F::File)> {
        let number = self.writer.lock().next_number;
        let file = self.files.create(&FileName::Log(number).text());
        // A number is used once: whatever a failed attempt left behind has a name of its own.
        self.writer.lock().next_number = number + 1;
        let file = file?;
        self.files.sync_directory()?;
        Ok((number, file))
    }

    /// Makes a new file the current one. Its head says where the log before it ends.
    fn switch_file(
        &self,
        writer: &mut Writer<F::File>,
        number: u64,
        file: F::File,
        follows: Follows,
    ) -> io::Result<()> {
        file.append(&FileHead::new(FileKind::Log, number, follows, self.options.salt).to_bytes())?;
        if let Some(before) = writer.file.replace(Arc::new(file)) {
            writer.log_bytes_before += writer.at.bytes;
            writer.log_files_before += 1;
            writer.unsynced.push(before);
        }
        writer.at = Follows { number, bytes: HEAD_BYTES as u64 };
        Ok(())
    }

    /// Makes a new file the current one, behind what was recovered.
    fn begin_behind(
        &self,
        writer: &mut Writer<F::File>,
        number: u64,
        file: F::File,
        recovered: &Recovered,
    ) -> io::Result<()> {
        let doubtful = match self.options.durability {
            Durability::Disk => &recovered.doubtful[..],
            Durability::Memory | Durability::Os => &[],
        };
        // The file follows the place from where on it repeats entries: if those before are lost with the power, none is missing.
        let follows = match doubtful.first() {
            Some(part) if recovered.damaged == 0 => Follows { number: part.number, bytes: part.from },
            _ => recovered.follows,
        };
        self.switch_file(writer, number, file, follows)?;
        let file = writer.file.clone().ok_or(io::ErrorKind::NotFound)?;
        for part in doubtful {
            writer.at.bytes += self.repeat(part, &*file, recovered.holes)?;
        }
        if self.options.durability == Durability::Disk {
            file.sync()?;
            // Without this mark, the next start would repeat all of it.
            let mut mark = Vec::new();
            self.framing.push(&mut mark, SYNCED, &writer.at.bytes.to_le_bytes());
            file.append(&mark)?;
            writer.at.bytes += mark.len() as u64;
            file.sync()?;
        }
        Ok(())
    }

    /// Writes the entries of a part of an earlier file again, all of them unless it is known to have holes. Returns their bytes.
    fn repeat(&self, part: &Doubtful, into: &F::File, holes: bool) -> io::Result<u64> {
        let from = self.files.open(&FileName::Log(part.number).text())?;
        let (mut bytes, mut repeated, mut written) = (Vec::new(), 0, Ok(()));
        let mut write = |bytes: &mut Vec<u8>, least: usize| {
            if written.is_ok() && bytes.len() > least {
                written = into.append(bytes);
                repeated += bytes.len() as u64;
                bytes.clear();
            }
        };
        let mut damaged = false;
        let ending = read_entries(&from, Framing::new(part.salt), part.from, part.to, |found| match found {
            Found::Entry { code: SYNCED, .. } | Found::Read { .. } => {}
            Found::Entry { code, payload, .. } => {
                self.framing.push(&mut bytes, code, payload);
                write(&mut bytes, SPARE_BYTES_MAX);
            }
            Found::Damage { .. } => damaged = true,
        });
        write(&mut bytes, 0);
        if (damaged || ending.tail_bytes > 0) && !holes {
            return Err(io::Error::other("entries could not be read again"));
        }
        written.map(|()| repeated)
    }

    /// Cuts off torn tails. A file without a whole head goes.
    fn cut(&self, torn: &[TornTail]) -> io::Result<()> {
        torn.iter().try_for_each(|TornTail { file, offset, .. }| match offset {
            0 => self.files.remove(file),
            offset => {
                let file = self.files.open(file)?;
                file.truncate(*offset)?;
                file.sync()
            }
        })
    }

    /// Removes snapshots that a crash left unfinished.
    fn remove_drafts(&self) -> io::Result<()> {
        for name in self.files.names()? {
            if let Some(FileName::Draft(_)) = FileName::parse(&name) {
                self.files.remove(&name)?;
            }
        }
        Ok(())
    }

    pub(crate) fn salt(&self) -> u64 {
        self.options.salt
    }
}

impl<F: Files> Journal for Log<F> {
    fn append(&self, kind: JournalKind, payload: &[u8]) -> u64 {
        // The checksum is computed before the lock: other workers append meanwhile.
        let head = self.framing.head(kind.code(), payload);
        let bytes = ENTRY_HEAD_BYTES + payload.len();
        let mut tail = self.tail.lock();
        tail.position += bytes as u64;
        if tail.dropping {
            tail.dropped += 1;
        } else if tail.bytes.len() + bytes > self.options.buffer_bytes_max || payload.len() > PAYLOAD_BYTES_MAX {
            let why = match payload.len() > PAYLOAD_BYTES_MAX {
                true => format!("an entry of {} bytes is too long", payload.len()),
                false => format!("{} bytes of reports wait for the disk", tail.bytes.len()),
            };
            tail.drop_entries(&why);
            tail.dropped += 1;
            self.accepts.store(false, Ordering::Release);
        } else {
            tail.bytes.extend_from_slice(&head);
            tail.bytes.extend_from_slice(payload);
        }
        tail.position
    }

    fn accepts(&self) -> bool {
        self.accepts.load(Ordering::Acquire)
    }
}

impl Tail {
    fn drop_entries(&mut self, why: &str) {
        self.dropping = true;
        self.bytes = Vec::new();
        self.failure = Some(why.into());
    }
}

impl<File> Writer<File> {
    fn fail(&mut self) {
        self.phase = Phase::Failed;
        self.age += 1;
        self.unsynced.clear();
        self.log_bytes_before += self.at.bytes;
        self.at.bytes = 0;
        self.log_files_before += u64::from(self.file.take().is_some());
    }

    fn log_bytes(&self) -> u64 {
        self.log_bytes_before + self.at.bytes
    }
}

/// A new log file, and what it follows.
pub(crate) struct Rotation {
    pub(crate) number: u64,
    pub(crate) follows: Follows,
    /// The log had failed before.
    pub(crate) recovering: bool,
    pub(crate) age: u64,
}

/// Memory that is kept for the next write. A burst may have needed more.
const SPARE_BYTES_MAX: usize = 1 << 20;
/// Log files before a snapshot is due: a node that is restarted again and again begins one each time.
const LOG_FILES_MAX: u64 = 64;
