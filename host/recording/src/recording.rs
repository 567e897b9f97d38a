//! Recording of a running node: workers append calls to buffers, and a thread writes full ones to the segments.
//!
//! A worker has one buffer at a time, behind a lock that only it and, once a second, the thread take; the thread holds it to take the
//! buffer away and not for the disk. A full buffer goes to the thread through a channel, and comes back empty. When all buffers wait
//! for the disk, or a call is too long, its decisions are left out and counted: no worker waits. Buffers that come back are used first,
//! because they are in the processor's cache.
//!
//! Knows nothing of guests but what it writes of them. Bounds: [`BUFFERS_MAX`] buffers of [`BUFFER_BYTES`] per node, bytes per call, and
//! those of the segments.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::{Duration, Instant};

use herd_model::{GenerationId, Share};
use herd_sys::workers;
use parking_lot::Mutex;
use serde::Serialize;

use crate::entry::{CALL_BYTES_MAX, NewEntry};
use crate::log_writer::{CallsHead, LogContext, LogWriter, LoggedGuest};
use crate::options::RecordOptions;
use crate::segments::Segments;

/// Recording of one node.
pub struct Recording {
    shared: Arc<Shared>,
    full: SyncSender<Message>,
    share: Share,
}

/// State of a recording, as `herd status` shows it.
#[derive(Clone, Debug, Serialize)]
pub struct RecordingStatus {
    /// Folder of the log.
    pub directory: PathBuf,
    /// Decisions written since the start; those of the last second may follow.
    pub recorded: u64,
    /// Decisions that were left out, because the disk was too slow or a call too long.
    pub lost: u64,
    /// Bytes of the log.
    pub bytes: u64,
    /// True once the disk failed: nothing more is recorded.
    pub failed: bool,
}

/// State that workers and thread share.
struct Shared {
    directory: PathBuf,
    lanes: Box<[Mutex<Lane>]>,
    /// Empty buffers, the last used one last.
    free: Mutex<Vec<Vec<u8>>>,
    buffers: AtomicUsize,
    recorded: AtomicU64,
    lost: AtomicU64,
    bytes: AtomicU64,
    failed: AtomicBool,
}

/// Calls of one worker that wait for the thread.
#[derive(Default)]
struct Lane {
    buffer: Vec<u8>,
    head: CallsHead,
    guests: Vec<(GenerationId, Arc<LoggedGuest>)>,
}

enum Message {
    Full(Lane),
    /// A request to write everything before it. Answered when it is in the file.
    Flush(SyncSender<()>),
}

impl Recording {
    /// Opens the log in a folder and starts its thread.
    ///
    /// # Errors
    ///
    /// The folder cannot be made or read, or the thread does not start.
    pub fn start(directory: &Path, options: &RecordOptions, context: LogContext) -> io::Result<Self> {
        let (segments, number) = Segments::open(directory, options.mib_max << 20)?;
        let lanes = (0..workers::slots()).map(|worker| Mutex::new(Lane::of(worker))).collect();
        let shared = Arc::new(Shared {
            directory: directory.into(),
            lanes,
            free: Mutex::default(),
            buffers: AtomicUsize::new(0),
            recorded: AtomicU64::new(0),
            lost: AtomicU64::new(0),
            bytes: AtomicU64::new(segments.bytes()),
            failed: AtomicBool::new(false),
        });
        // Every buffer there is fits, and some requests to flush: a worker never waits for room.
        let (full, received) = sync_channel(BUFFERS_MAX + FLUSHES_MAX);
        let writer = Writer { shared: Arc::clone(&shared), context, segments, number, open: None };
        std::thread::Builder::new().name("herd-record".into()).spawn(move || writer.run(&received))?;
        Ok(Self { shared, full, share: options.share })
    }

    /// Records a call, or leaves it out: it is not in the share, it is too long, or all buffers wait for the disk. Never waits for the
    /// disk.
    pub fn record(&self, guest: &Arc<LoggedGuest>, entry: &NewEntry<'_>) {
        if !self.share.includes(entry.at.random.0) {
            return;
        }
        let decisions = entry.call.decisions() as u64;
        let bytes = entry.bytes_max();
        let mut lane = self.shared.lanes[workers::index()].lock();
        if lane.buffer.len() + bytes > BUFFER_BYTES && lane.head.calls > 0 {
            self.hand_over(lane.take());
        }
        let is_left_out = bytes > CALL_BYTES_MAX || self.shared.failed.load(Ordering::Relaxed);
        if is_left_out || (lane.buffer.capacity() == 0 && !self.shared.give_buffer(&mut lane)) {
            lane.head.lost += decisions;
            return;
        }
        if !lane.guests.iter().any(|(known, _)| *known == entry.generation) {
            lane.guests.push((entry.generation, Arc::clone(guest)));
        }
        entry.write(&mut lane.buffer);
        lane.head.calls += 1;
        lane.head.decisions += u32::try_from(decisions).unwrap_or(u32::MAX);
    }

    /// Waits until everything recorded so far is in the files, for five seconds at most.
    pub fn flush(&self) {
        let (written, done) = sync_channel(1);
        if self.full.try_send(Message::Flush(written)).is_ok() {
            let _ = done.recv_timeout(FLUSH_WAIT_MAX);
        }
    }

    /// Returns counts and the state.
    #[must_use]
    pub fn status(&self) -> RecordingStatus {
        let Shared { directory, recorded, lost, bytes, failed, .. } = &*self.shared;
        RecordingStatus {
            directory: directory.clone(),
            recorded: recorded.load(Ordering::Relaxed),
            lost: lost.load(Ordering::Relaxed),
            bytes: bytes.load(Ordering::Relaxed),
            failed: failed.load(Ordering::Relaxed),
        }
    }

    fn hand_over(&self, lane: Lane) {
        // The channel has room for every buffer. Without a thread nobody counts what is left out any more.
        let _ = self.full.try_send(Message::Full(lane));
    }
}

impl Shared {
    /// Gives a lane an empty buffer. Returns false if all wait for the disk.
    fn give_buffer(&self, lane: &mut Lane) -> bool {
        let free = self.free.lock().pop();
        lane.buffer = match free {
            Some(free) => free,
            None if self.buffers.fetch_add(1, Ordering::Relaxed) < BUFFERS_MAX => Vec::with_capacity(BUFFER_BYTES),
            None => {
                self.buffers.fetch_sub(1, Ordering::Relaxed);
                return false;
            }
        };
        true
    }

    fn take_back(&self, mut buffer: Vec<u8>) {
        // One that grew for a long call gives its memory back.
        if buffer.capacity() > BUFFER_BYTES {
            self.buffers.fetch_sub(1, Ordering::Relaxed);
            return;
        }
        buffer.clear();
        self.free.lock().push(buffer);
    }
}

impl Lane {
    fn of(worker: usize) -> Self {
        let worker = u32::try_from(worker).unwrap_or(u32::MAX);
        Self { head: CallsHead { worker, ..CallsHead::default() }, ..Self::default() }
    }

    /// Takes the calls, and leaves a lane without a buffer.
    fn take(&mut self) -> Self {
        let next = Self::of(self.head.worker as usize);
        std::mem::replace(self, next)
    }
}

/// The thread of a recording.
struct Writer {
    shared: Arc<Shared>,
    context: LogContext,
    segments: Segments,
    /// Number of the next decision.
    number: u64,
    open: Option<OpenSegment>,
}

struct OpenSegment {
    path: PathBuf,
    log: LogWriter<File>,
    guests: Vec<GenerationId>,
}

impl Writer {
    /// Writes until every handle is dropped. A call is in the file about a second after it was made.
    fn run(mut self, received: &Receiver<Message>) {
        let (mut collected, mut flushes) = (Instant::now(), Vec::new());
        loop {
            // A request that came during a collection may follow calls that the collection missed: it gets another one, at once.
            let message = received.recv_timeout(if flushes.is_empty() { COLLECT } else { Duration::ZERO });
            let is_over = matches!(message, Err(RecvTimeoutError::Disconnected));
            message.into_iter().for_each(|message| self.handle(message, &mut flushes));
            if is_over || !flushes.is_empty() || collected.elapsed() >= COLLECT {
                collected = Instant::now();
                let asked = std::mem::take(&mut flushes);
                self.collect(received, &mut flushes);
                for written in asked {
                    let _ = written.try_send(());
                }
            }
            if is_over {
                return;
            }
        }
    }

    fn handle(&mut self, message: Message, flushes: &mut Vec<SyncSender<()>>) {
        match message {
            Message::Full(lane) => self.write(lane),
            Message::Flush(written) => flushes.push(written),
        }
    }

    /// Writes what the workers have not handed over, the calls of each worker in their order.
    fn collect(&mut self, received: &Receiver<Message>, flushes: &mut Vec<SyncSender<()>>) {
        for worker in 0..self.shared.lanes.len() {
            let (earlier, lane) = {
                let mut lane = self.shared.lanes[worker].lock();
                // Full buffers of this worker that still wait in the channel are older than its lane. While the lane is locked it hands
                // over no further one.
                let earlier: Vec<Message> = received.try_iter().collect();
                (earlier, lane.take())
            };
            earlier.into_iter().for_each(|message| self.handle(message, flushes));
            self.write(lane);
        }
    }

    /// Writes the calls of a lane. After an error nothing more is recorded.
    fn write(&mut self, lane: Lane) {
        let is_empty = lane.head.calls == 0 && lane.head.lost == 0;
        // Counted here: a count that all workers write to would cost them more than the copy does.
        self.shared.lost.fetch_add(lane.head.lost, Ordering::Relaxed);
        if !is_empty
            && !self.shared.failed.load(Ordering::Relaxed)
            && let Err(error) = self.try_write(&lane)
        {
            let directory = self.shared.directory.display();
            tracing::error!(node = %self.context.node, %error, %directory, "cannot write the recording of decisions, which ends here");
            self.shared.failed.store(true, Ordering::Relaxed);
        }
        if lane.buffer.capacity() > 0 {
            self.shared.take_back(lane.buffer);
        }
    }

    fn try_write(&mut self, lane: &Lane) -> io::Result<()> {
        let segment_bytes = self.segments.segment_bytes();
        if self.open.as_ref().is_some_and(|open| open.log.written() + lane.buffer.len() as u64 > segment_bytes) {
            self.finish()?;
        }
        let open = match &mut self.open {
            Some(open) => open,
            none => {
                self.segments.make_room()?;
                let (path, file) = self.segments.create(self.number)?;
                none.insert(OpenSegment { path, log: LogWriter::start(file, &self.context)?, guests: vec![] })
            }
        };
        for (generation, guest) in &lane.guests {
            if !open.guests.contains(generation) {
                open.guests.push(*generation);
                let fits = guest.component.as_ref().is_some_and(|bytes| bytes.len() as u64 <= segment_bytes / 4);
                if fits {
                    open.log.guest(*generation, guest)?;
                } else {
                    open.log.guest(*generation, &LoggedGuest { component: None, ..(**guest).clone() })?;
                }
            }
        }
        open.log.encoded(CallsHead { number: self.number, ..lane.head }, &lane.buffer)?;
        self.number += u64::from(lane.head.decisions);
        self.shared.recorded.fetch_add(lane.head.decisions.into(), Ordering::Relaxed);
        self.shared.bytes.store(self.segments.bytes() + open.log.written(), Ordering::Relaxed);
        Ok(())
    }

    fn finish(&mut self) -> io::Result<()> {
        let Some(OpenSegment { path, log, .. }) = self.open.take() else { return Ok(()) };
        let bytes = log.written();
        log.finish()?;
        self.segments.finish(path, bytes)
    }
}

/// A buffer of a worker. Some of them fit into the cache of a core; each is written in one piece.
const BUFFER_BYTES: usize = 256 << 10;
/// Buffers of a node, 32 MiB: a fifth of a second of the fastest node until the disk takes them.
const BUFFERS_MAX: usize = 128;
/// Requests to flush that may wait: the drain makes one.
const FLUSHES_MAX: usize = 8;
/// Time after which calls of an idle worker are written.
const COLLECT: Duration = Duration::from_secs(1);
/// Longest wait of a flush.
const FLUSH_WAIT_MAX: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests;
