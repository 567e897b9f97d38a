//! The traffic log: every line that a node received and sent, in a file of its own.
//!
//! Lines go through a bounded channel to a thread that writes them. If the disk is slower than the clients, lines are dropped
//! and counted, and the file notes where they are missing; no session waits for the log.
//!
//! A line is `TIME DIRECTION PARTY BYTES`: seconds since the Unix epoch; `<` for received and `>` for sent; a session's number
//! and address, or a peer's name; the line with its unprintable bytes escaped.
//!
//! Bounds: number and bytes of lines that wait for the disk. The size of the file is the operator's.

use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::{Duration, Instant};

use crate::clock;

/// A handle to the traffic log. Clones share one file.
#[derive(Clone)]
pub struct TrafficLog {
    entries: SyncSender<Entry>,
    counts: Arc<Counts>,
}

#[derive(Default)]
struct Counts {
    /// Bytes of the lines that wait for the disk.
    waiting_bytes: AtomicUsize,
    dropped: AtomicU64,
}

enum Entry {
    Line(Vec<u8>),
    /// A request to write out all entries before it. Answered when they are in the file.
    Flush(SyncSender<()>),
}

/// The file cannot be opened or its thread not started. The node does not start.
#[derive(Debug, thiserror::Error)]
#[error("traffic log {path}")]
pub struct TrafficLogError {
    path: PathBuf,
    source: io::Error,
}

impl TrafficLog {
    /// Opens the file for appending and starts its thread. `{node}` in the path is replaced by the name of the node.
    ///
    /// # Errors
    ///
    /// The file cannot be opened, or its thread cannot be started.
    pub fn open(path: &str, node: &str) -> Result<Self, TrafficLogError> {
        let path = PathBuf::from(path.replace("{node}", node));
        let fail = |source| TrafficLogError { path: path.clone(), source };
        let file = OpenOptions::new().create(true).append(true).open(&path).map_err(fail)?;
        let (entries, received) = sync_channel(LINES_MAX);
        let counts = Arc::<Counts>::default();
        let counted = Arc::clone(&counts);
        let node = node.to_owned();
        let thread = std::thread::Builder::new().name("herd-traffic".into());
        thread.spawn(move || write(&node, file, &received, &counted)).map_err(fail)?;
        Ok(Self { entries, counts })
    }

    /// Logs bytes that a session sent.
    pub fn received(&self, session: u64, address: SocketAddr, bytes: &[u8]) {
        self.log("<", &format_args!("session {session} {address}"), bytes);
    }

    /// Logs bytes that were sent to a session.
    pub fn sent(&self, session: u64, address: SocketAddr, bytes: &[u8]) {
        self.log(">", &format_args!("session {session} {address}"), bytes);
    }

    /// Logs a record that a peer reported.
    pub fn received_from_peer(&self, peer: &str, record: &[u8]) {
        self.log("<", &format_args!("peer {peer}"), record);
    }

    /// Logs a record that was reported to a peer.
    pub fn sent_to_peer(&self, peer: &str, record: &[u8]) {
        self.log(">", &format_args!("peer {peer}"), record);
    }

    /// Writes out all lines logged so far. Blocks until they are written, for a second at most.
    pub fn flush(&self) {
        let (written, done) = sync_channel(1);
        if self.entries.send(Entry::Flush(written)).is_ok() {
            let _ = done.recv_timeout(FLUSH);
        }
    }

    /// Number of lines dropped since the start.
    pub fn dropped(&self) -> u64 {
        self.counts.dropped.load(Ordering::Relaxed)
    }

    fn log(&self, direction: &str, party: &std::fmt::Arguments<'_>, bytes: &[u8]) {
        let now = clock::unix_now();
        let (seconds, nanoseconds) = (now.as_secs(), now.subsec_nanos());
        for line in bytes.split(|&byte| byte == b'\n').filter(|line| !line.is_empty()) {
            // Before the line is written out: escaped, it may be four times as long. Several workers may pass the limit at the
            // same time, each by one line.
            if self.counts.waiting_bytes.load(Ordering::Relaxed) >= BYTES_MAX {
                self.counts.dropped.fetch_add(1, Ordering::Relaxed);
                continue;
            }
            let line = line.escape_ascii();
            let text = format!("{seconds}.{nanoseconds:09} {direction} {party} {line}\n").into_bytes();
            let bytes = text.len();
            // Added first: the thread may take the line, and subtract its bytes, before `try_send` returns.
            self.counts.waiting_bytes.fetch_add(bytes, Ordering::Relaxed);
            // Never `send`: the caller is a worker in the middle of a session's turn.
            if self.entries.try_send(Entry::Line(text)).is_err() {
                self.counts.waiting_bytes.fetch_sub(bytes, Ordering::Relaxed);
                self.counts.dropped.fetch_add(1, Ordering::Relaxed);
            }
        }
    }
}

/// Writes entries until every handle is dropped. A line is in the file about a second after it was logged.
fn write(node: &str, file: File, entries: &Receiver<Entry>, counts: &Counts) {
    let mut file = BufWriter::new(file);
    let mut reported = 0;
    let mut flushed = Instant::now();
    loop {
        let written = match entries.recv_timeout(FLUSH) {
            Ok(Entry::Line(line)) => {
                let written = file.write_all(&line);
                counts.waiting_bytes.fetch_sub(line.len(), Ordering::Relaxed);
                written
            }
            Ok(Entry::Flush(written)) => {
                let flushed = file.flush();
                let _ = written.try_send(());
                flushed
            }
            Err(RecvTimeoutError::Timeout) => Ok(()),
            Err(RecvTimeoutError::Disconnected) => {
                let _ = file.flush();
                return;
            }
        };
        // Behind the line that was just written: the missing ones were logged after it.
        let count = counts.dropped.load(Ordering::Relaxed);
        let noted = written.and_then(|()| {
            if count > reported {
                writeln!(file, "# {} lines are missing here", count - reported)?;
                reported = count;
            }
            if flushed.elapsed() >= FLUSH {
                flushed = Instant::now();
                file.flush()?;
            }
            Ok(())
        });
        if let Err(error) = noted {
            tracing::error!(%node, %error, "cannot write the traffic log, which ends here");
            return;
        }
    }
}

/// Entries that wait for the disk; more are dropped and counted.
const LINES_MAX: usize = 64 << 10;
/// Bytes of lines that wait for the disk, above which further lines are dropped and counted: lines may be 64 KiB long.
const BYTES_MAX: usize = 32 << 20;
/// Interval at which lines are written out, and the longest wait of a flush.
const FLUSH: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn traffic_log_bounds_the_bytes_of_the_lines_that_wait() {
        // No thread writes.
        let (entries, received) = sync_channel(LINES_MAX);
        let log = TrafficLog { entries, counts: Arc::default() };
        let line = vec![0; 64 << 10]; // escaped, four times as long
        for _ in 0..1000 {
            log.received_from_peer("Jaquez", &line);
        }
        let waiting: Vec<usize> = received
            .try_iter()
            .map(|entry| match entry {
                Entry::Line(line) => line.len(),
                Entry::Flush(_) => 0,
            })
            .collect();
        let bytes: usize = waiting.iter().sum();
        assert!(bytes < BYTES_MAX + waiting[0] && bytes > BYTES_MAX / 2, "{bytes} bytes");
        assert_eq!(log.dropped(), 1000 - waiting.len() as u64);
    }
}
