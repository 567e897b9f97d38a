//! Change of a log to its next file, for a snapshot or a recovery.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::writer::{Phase, Writer};
use crate::file_head::{FileHead, FileKind, FileName, Follows};
use crate::files::{Files, OpenFile};
use crate::framing::EntryNumbers;
use crate::log::Log;

/// A new log file, and what it follows.
pub(crate) struct Rotation {
    pub(crate) number: u64,
    pub(crate) follows: Follows,
    /// The log had failed before.
    pub(crate) recovering: bool,
    pub(crate) age: u64,
}

impl<F: Files> Log<F> {
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
        match &switched {
            // A part of the head may be in the new file, so nothing may follow in the old one.
            Err(error) if !recovering => self.fail(&mut writer, &format!("a log file could not be begun: {error}")),
            Ok(()) if recovering => {
                let mut tail = self.tail.lock();
                (tail.dropping, writer.phase, writer.reached) = (false, Phase::Recovering, tail.position);
            }
            _ => {}
        }
        let age = writer.age;
        drop(writer);
        self.tell_news();
        switched.map(|()| Rotation { number, follows, recovering, age })
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
        self.written.store(writer.reached, Ordering::Release);
        self.durable.store(writer.reached, Ordering::Release);
        self.tail.lock().failure = None;
        self.accepts.store(true, Ordering::Release);
        self.news.store(true, Ordering::Release);
        // What was written after the sync counts from now on.
        let _ = self.write_tail(&mut writer);
        drop((writer, syncing));
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

    /// Creates an empty log file whose name outlasts a loss of power.
    pub(super) fn begin_file(&self) -> io::Result<(u64, F::File)> {
        let number = self.writer.lock().next_number;
        let file = self.files.create(&FileName::Log(number).text());
        // A number is used once: whatever a failed attempt left behind has a name of its own.
        self.writer.lock().next_number = number + 1;
        let file = file?;
        self.files.sync_directory()?;
        Ok((number, file))
    }

    /// Makes a new file the current one. Its head says where the log before it ends.
    pub(super) fn switch_file(
        &self,
        writer: &mut Writer<F::File>,
        number: u64,
        file: F::File,
        follows: Follows,
    ) -> io::Result<()> {
        let head = self.head_bytes(FileHead::new(FileKind::Log, number, follows, self.options.salt));
        file.append(&head)?;
        if let Some(before) = writer.file.replace(Arc::new(file)) {
            writer.log_bytes_before += writer.at.bytes;
            writer.log_files_before += 1;
            writer.unsynced.push(before);
        }
        writer.at = Follows { number, bytes: head.len() as u64 };
        writer.numbers = EntryNumbers::from_start();
        Ok(())
    }
}
