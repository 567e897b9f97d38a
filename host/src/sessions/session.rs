//! One client connection, in one task: reads, has it decided inline, performs, writes.
//!
//! ```text
//! open -> closing (close effect, fault, limit, drain) -> all replies out -> shut down -> lingering -> gone
//!      -> input ended (half-close)                    -> all replies out -> shut down -> gone
//! ```
//!
//! Nothing is read while the client leaves its output lying, while as many fetches are under way as one session may
//! have, or while the session is closing; the client feels that as back pressure of TCP.

use std::cell::RefCell;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use herd_sdk::{Failure, Input, Mark, Moment};
use tokio::io::{AsyncWriteExt, Interest};
use tokio::net::TcpStream;
use tokio::time::sleep_until;

use super::input::InputBuffer;
use super::listener::Shared;
use super::replies::{FetchId, Replies};
use super::surroundings::{Answered, Surroundings};
use super::topics::{SessionId, Subscriptions};

/// A session, owned by its task.
pub(super) struct Session<S: Surroundings> {
    pub(super) id: SessionId,
    pub(super) address: SocketAddr,
    pub(super) shared: Arc<Shared<S>>,
    pub(super) replies: Replies,
    pub(super) subscriptions: Option<Box<Subscriptions>>,
    stream: TcpStream,
    input: InputBuffer,
    fetches: FuturesUnordered<BoxFuture<'static, (FetchId, Answered)>>,
    closing: bool,
    /// When the last byte came from the client.
    heard: Instant,
    /// When the unfinished line began.
    unfinished: Option<Instant>,
    /// When the client last took output while some was waiting.
    taken: Option<Instant>,
}

impl<S: Surroundings> Session<S> {
    pub(super) fn new(id: SessionId, stream: TcpStream, address: SocketAddr, shared: Arc<Shared<S>>) -> Self {
        Self {
            id,
            address,
            shared,
            replies: Replies::default(),
            subscriptions: None,
            stream,
            input: InputBuffer::new(),
            fetches: FuturesUnordered::new(),
            closing: false,
            heard: Instant::now(),
            unfinished: None,
            taken: None,
        }
    }

    /// Serves the client until the session ends.
    pub(super) async fn run(mut self) {
        let ended = self.serve().await;
        if let Some(mut subscriptions) = self.subscriptions.take() {
            subscriptions.leave_all(&self.shared.topics);
        }
        match ended {
            Ok(()) => self.linger().await,
            Err(error) => tracing::debug!(client.addr = %self.address, %error, "session broke"),
        }
    }

    /// No more input is decided; the session ends once its replies are out.
    pub(super) fn close(&mut self) {
        self.closing = true;
        self.input.clear();
        self.unfinished = None;
    }

    async fn serve(&mut self) -> io::Result<()> {
        let draining = self.shared.draining.clone();
        let mut draining = pin!(draining.cancelled());
        let mut timer = pin!(sleep_until(self.deadline().into()));
        loop {
            self.write()?;
            if (self.closing || self.input.ended()) && self.replies.all_out() && self.fetches.is_empty() {
                return Ok(());
            }
            let deadline = self.deadline().into();
            if deadline < timer.deadline() {
                timer.as_mut().reset(deadline);
            }
            let interest = self.interest();
            let may_push = self.may_push();
            tokio::select! {
                biased;
                () = &mut draining, if !self.closing => self.close(),
                Some((id, answered)) = self.fetches.next(), if !self.fetches.is_empty() => self.answered(id, &answered),
                Some(push) = next_push(&mut self.subscriptions), if may_push => self.replies.push(&push),
                ready = readiness(&self.stream, interest) => {
                    if ready?.is_readable() && self.may_read() {
                        self.read()?;
                    }
                }
                () = &mut timer => {
                    // The timer is only ever moved forward when it fires: a busy session does not touch it.
                    let deadline = self.deadline();
                    if deadline <= Instant::now() {
                        return self.expired();
                    }
                    timer.as_mut().reset(deadline.into());
                }
            }
        }
    }

    /// What the socket has to be ready for.
    fn interest(&self) -> Option<Interest> {
        let write = (!self.replies.unwritten().is_empty()).then_some(Interest::WRITABLE);
        let read = self.may_read().then_some(Interest::READABLE);
        match (read, write) {
            (Some(read), Some(write)) => Some(read | write),
            (read, write) => read.or(write),
        }
    }

    fn may_read(&self) -> bool {
        !self.closing
            && !self.input.ended()
            && self.replies.unwritten().len() < self.shared.limits.output_bytes_max()
            && self.replies.waiting() < FETCHES_MAX
    }

    fn may_push(&self) -> bool {
        self.subscriptions.is_some()
            && self.replies.unwritten().len() < self.shared.limits.output_bytes_max()
            && self.replies.queued() < self.shared.limits.pushes_max
    }

    fn read(&mut self) -> io::Result<()> {
        let read = SCRATCH.with_borrow_mut(|scratch| {
            let count = match self.stream.try_read(scratch) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
                count => count?,
            };
            self.input.extend(&scratch[..count]);
            if let Some(traffic) = self.shared.surroundings.traffic() {
                traffic.received(self.id.0, self.address, &scratch[..count]);
            }
            if count == 0 {
                self.input.end();
            }
            Ok::<_, io::Error>(true)
        })?;
        if read {
            self.heard = Instant::now();
            self.decide();
        }
        Ok(())
    }

    /// Has decided what there is to decide.
    fn decide(&mut self) {
        let at = moment();
        let line_bytes_max = self.shared.limits.line_bytes_max;
        while !self.closing {
            let Some((bytes, mark)) = self.input.window(line_bytes_max) else { break };
            let length = bytes.len();
            let mut decided = self.shared.surroundings.input(at, Input { bytes, mark });
            let mut overlong = false;
            if let Ok((_, progress, _)) = &decided
                && progress.consumed == 0
                && mark == Mark::More
                && length > line_bytes_max
            {
                overlong = true;
                decided = self.shared.surroundings.input(at, Input { bytes, mark: Mark::Overlong });
            }
            match decided {
                Ok((decided_by, progress, decision)) => {
                    self.input.consume(progress.consumed, length, progress.awaits);
                    self.perform(decided_by, &decision, None);
                    if overlong {
                        self.close();
                    }
                    if mark == Mark::End {
                        self.input.clear();
                    }
                }
                // The fault was logged where it happened. It ends this session and nothing else.
                Err(_) => self.close(),
            }
        }
        self.unfinished = self.input.is_unfinished().then(|| self.unfinished.unwrap_or(self.heard));
        self.start_fetches();
    }

    /// Starts fetches that hold a place, as many as may be under way.
    fn start_fetches(&mut self) {
        while self.fetches.len() < FETCHES_MAX {
            let Some((id, asked, waiting)) = self.replies.start_next() else { break };
            let deadline = *waiting.place_deadline.get_or_insert_with(|| Instant::now() + ANSWER_MAX);
            let answer = self.shared.surroundings.ask(asked, deadline);
            self.fetches.push(Box::pin(async move { (id, answer.await) }));
        }
    }

    fn answered(&mut self, id: FetchId, answered: &Answered) {
        let Some(waiting) = self.replies.open_place(id) else { return };
        let out_of_time = *answered == Answered::Failed(Failure::Timeout)
            && waiting.place_deadline.is_some_and(|deadline| deadline <= Instant::now());
        let decided = (!out_of_time).then(|| {
            let (token, otherwise) = (&waiting.token, &waiting.otherwise);
            self.shared.surroundings.answer(waiting.asked_by, moment(), token, otherwise, answered.outcome())
        });
        match decided {
            Some(Ok(decision)) => self.perform(waiting.asked_by, &decision, waiting.place_deadline),
            Some(Err(_)) | None => self.replies.push(&waiting.otherwise),
        }
        self.replies.close_place();
        self.start_fetches();
    }

    /// Writes what the socket takes.
    fn write(&mut self) -> io::Result<()> {
        while !self.replies.unwritten().is_empty() {
            match self.stream.try_write(self.replies.unwritten()) {
                Ok(count) => {
                    if let Some(traffic) = self.shared.surroundings.traffic() {
                        traffic.sent(self.id.0, self.address, &self.replies.unwritten()[..count]);
                    }
                    self.replies.wrote(count);
                    self.taken = None;
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.taken.get_or_insert_with(Instant::now);
                    return Ok(());
                }
                Err(error) => return Err(error),
            }
        }
        self.taken = None;
        Ok(())
    }

    /// When the session ends if nothing happens.
    fn deadline(&self) -> Instant {
        let limits = &self.shared.limits;
        if let Some(taken) = self.taken {
            return taken + limits.unread();
        }
        if let Some(began) = self.unfinished {
            return began + limits.unfinished_line();
        }
        let waits = self.replies.waiting() > 0 || self.subscriptions.is_some();
        if waits { Instant::now() + limits.idle() } else { self.heard + limits.idle() }
    }

    fn expired(&self) -> io::Result<()> {
        tracing::debug!(client.addr = %self.address, unfinished = self.unfinished.is_some(), "session timed out");
        match self.taken {
            Some(_) => Err(io::ErrorKind::TimedOut.into()),
            None => Ok(()),
        }
    }

    /// Ends the output, and reads what the client still sends for a while: a socket that is closed with unread
    /// input resets the connection, and the client would lose replies that are on their way.
    async fn linger(mut self) {
        if self.stream.shutdown().await.is_err() || self.input.ended() {
            return;
        }
        let drained = async {
            let mut left = LINGER_BYTES_MAX;
            while left > 0 && self.stream.readable().await.is_ok() {
                let read = SCRATCH.with_borrow_mut(|scratch| self.stream.try_read(scratch));
                match read {
                    Ok(0) => return,
                    Ok(count) => left = left.saturating_sub(count),
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                    Err(_) => return,
                }
            }
        };
        let _ = tokio::time::timeout(LINGER, drained).await;
    }
}

async fn readiness(stream: &TcpStream, interest: Option<Interest>) -> io::Result<tokio::io::Ready> {
    match interest {
        Some(interest) => stream.ready(interest).await,
        None => std::future::pending().await,
    }
}

async fn next_push(subscriptions: &mut Option<Box<Subscriptions>>) -> Option<Bytes> {
    match subscriptions {
        Some(subscriptions) => subscriptions.pushes.recv().await,
        None => std::future::pending().await,
    }
}

/// The world as a decision that begins now sees it.
pub(crate) fn moment() -> Moment {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Moment { now_ns: u64::try_from(now.as_nanos()).unwrap_or(u64::MAX), random: rand::random() }
}

thread_local! {
    /// Where a worker reads into. A session holds memory only for what is left over.
    static SCRATCH: RefCell<Box<[u8]>> = RefCell::new(vec![0; READ_BYTES_MAX].into());
}

/// What one read takes: a line of the greatest length.
const READ_BYTES_MAX: usize = 64 << 10;
/// Fetches under way in one session. A read may bring more `WHATSAT`s than that; they start as others end.
const FETCHES_MAX: usize = 16;
/// The time for one place among the replies, however many sources are asked in turn for it.
const ANSWER_MAX: Duration = Duration::from_secs(8);
const LINGER: Duration = Duration::from_secs(2);
const LINGER_BYTES_MAX: usize = 16 << 20;
