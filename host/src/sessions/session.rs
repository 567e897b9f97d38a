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
use herd_sdk::{Decision, Effect, Input, Mark, Moment};
use tokio::io::{AsyncWriteExt, Interest};
use tokio::net::TcpStream;
use tokio::task::coop::consume_budget;
use tokio::time::sleep_until;

use super::input::{InputBuffer, Window};
use super::listener::Shared;
use super::patience::{self, Patience};
use super::replies::{FetchId, Place, Replies};
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
    patience: Patience,
    closing: bool,
    /// There was more to decide than one wake may.
    undecided: bool,
    /// Whether the last turn of the loop waited for the client.
    listened: bool,
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
            patience: Patience::new(Instant::now()),
            closing: false,
            undecided: false,
            listened: true,
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
        self.undecided = false;
        self.input.clear();
        self.patience.stops_listening();
    }

    async fn serve(&mut self) -> io::Result<()> {
        let draining = self.shared.draining.clone();
        let mut draining = pin!(draining.cancelled());
        let mut timer = pin!(sleep_until((Instant::now() + self.shared.limits.idle()).into()));
        loop {
            // Answers that are ready at once and pushes in a row must not keep this worker from its other tasks.
            consume_budget().await;
            if self.undecided {
                self.decide();
            }
            self.start_fetches();
            self.write()?;
            if (self.closing || self.input.ended()) && self.is_done() {
                return Ok(());
            }
            let listens = self.may_read();
            if listens && !self.listened {
                self.patience.listens_again(Instant::now());
            }
            self.listened = listens;
            let deadline = self.deadline().into();
            if deadline < timer.deadline() {
                timer.as_mut().reset(deadline);
            }
            let interest = self.interest(listens);
            let may_push = self.may_push();
            tokio::select! {
                biased;
                () = &mut draining, if !self.closing => self.close(),
                Some((id, answered)) = self.fetches.next(), if !self.fetches.is_empty() => self.answered(id, &answered),
                ready = readiness(&self.stream, interest) => {
                    if ready?.is_readable() && listens {
                        self.read()?;
                    }
                }
                Some(push) = next_push(&mut self.subscriptions), if may_push => self.replies.push(&push),
                () = std::future::ready(()), if self.undecided && self.may_decide() => {}
                () = &mut timer => {
                    // The timer is only ever moved back when it fires: a busy session does not touch it.
                    let deadline = self.deadline();
                    if deadline <= Instant::now() {
                        return self.expired();
                    }
                    timer.as_mut().reset(deadline.into());
                }
            }
        }
    }

    fn is_done(&self) -> bool {
        !self.undecided && self.replies.all_out() && self.fetches.is_empty()
    }

    /// What the socket has to be ready for.
    fn interest(&self, listens: bool) -> Option<Interest> {
        let write = (!self.replies.unwritten().is_empty()).then_some(Interest::WRITABLE);
        let read = listens.then_some(Interest::READABLE);
        match (read, write) {
            (Some(read), Some(write)) => Some(read | write),
            (read, write) => read.or(write),
        }
    }

    /// Whether there is room for what more input would bring.
    fn may_decide(&self) -> bool {
        self.replies.bytes() < self.shared.limits.output_bytes_max()
            && self.replies.waiting() < FETCHES_MAX
            && self.replies.queued() < QUEUED_MAX
    }

    fn may_read(&self) -> bool {
        !self.closing && !self.input.ended() && !self.undecided && self.may_decide()
    }

    fn may_push(&self) -> bool {
        self.subscriptions.is_some()
            && !self.closing
            && !self.input.ended()
            && self.replies.bytes() < self.shared.limits.output_bytes_max()
            && self.replies.queued() < QUEUED_MAX
    }

    fn read(&mut self) -> io::Result<()> {
        let read = SCRATCH.with_borrow_mut(|scratch| {
            let count = match self.stream.try_read(scratch) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
                count => count?,
            };
            self.input.extend(&scratch[..count]);
            if count == 0 {
                self.input.end();
            }
            Ok::<_, io::Error>(true)
        })?;
        if read {
            self.decide();
        }
        Ok(())
    }

    /// Has decided what there is to decide, as far as there is room for it and one wake may go.
    fn decide(&mut self) {
        let at = moment();
        let line_bytes_max = self.shared.limits.line_bytes_max;
        let mut window_bytes = WINDOW_BYTES;
        let mut consumed = 0;
        self.undecided = false;
        for call in 0.. {
            if self.closing {
                break;
            }
            let (bytes, mark) = match self.input.window(line_bytes_max, window_bytes) {
                Window::Nothing => break,
                Window::Input(bytes, mark) => (bytes, mark),
                Window::Overlong(bytes) => (bytes, Mark::Overlong),
            };
            if call >= CALLS_PER_WAKE_MAX || !self.may_decide() {
                self.undecided = true;
                break;
            }
            let length = bytes.len();
            match self.shared.surroundings.input(at, Input { bytes, mark }) {
                Ok((decided_by, progress, decision)) => {
                    self.log_received(progress.consumed);
                    consumed += progress.consumed;
                    self.input.consume(progress.consumed, length, progress.awaits);
                    self.perform(decided_by, &decision, Place::default());
                    window_bytes = WINDOW_BYTES;
                    match mark {
                        Mark::More => {}
                        Mark::End => self.input.clear(),
                        Mark::Overlong => self.close(),
                    }
                }
                // The fault was logged where it happened. It must cost only the line that brought it about, so what
                // came with that line is decided apart; the line alone ends this session and nothing else.
                Err(_) => match self.input.half(length) {
                    Some(half) if mark != Mark::Overlong => window_bytes = half,
                    _ => self.close(),
                },
            }
        }
        if !self.closing {
            self.patience.heard(Instant::now(), consumed > 0, self.input.is_unfinished());
        }
    }

    /// Starts fetches that hold a place: as many as may be under way, and while there is room for their answers.
    fn start_fetches(&mut self) {
        while self.fetches.len() < FETCHES_MAX && self.replies.bytes() < self.shared.limits.output_bytes_max() {
            let Some((id, asked, waiting)) = self.replies.start_next() else { break };
            let deadline = *waiting.place.deadline.get_or_insert_with(|| Instant::now() + ANSWER_MAX);
            let answer = self.shared.surroundings.ask(asked, deadline);
            self.fetches.push(Box::pin(async move { (id, answer.await) }));
        }
    }

    fn answered(&mut self, id: FetchId, answered: &Answered) {
        let Some(waiting) = self.replies.open_place(id) else { return };
        let place = Place { answered: waiting.place.answered + 1, ..waiting.place };
        let over = place.deadline.is_some_and(|deadline| deadline <= Instant::now());
        let failed = matches!(answered, Answered::Failed(_));
        let decided = if failed && (over || place.answered >= FETCHES_PER_PLACE_MAX) {
            None
        } else {
            let (token, otherwise) = (&waiting.token, &waiting.otherwise);
            let outcome = answered.outcome();
            self.shared.surroundings.answer(waiting.asked_by, moment(), token, otherwise, outcome).ok()
        };
        match decided {
            Some(decision) if place.answered < FETCHES_PER_PLACE_MAX || !asks_again(&decision) => {
                self.perform(waiting.asked_by, &decision, place);
            }
            _ => self.replies.push(&waiting.otherwise),
        }
        self.replies.close_place();
    }

    /// Writes what the socket takes.
    fn write(&mut self) -> io::Result<()> {
        if let Some(traffic) = self.shared.surroundings.traffic() {
            traffic.sent(self.id.0, self.address, self.replies.unlogged());
        }
        while !self.replies.unwritten().is_empty() {
            match self.stream.try_write(self.replies.unwritten()) {
                Ok(count) => {
                    self.replies.wrote(count);
                    if self.patience.is_untaken() {
                        self.patience.took(Instant::now(), self.replies.unwritten().is_empty());
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.patience.takes_nothing(Instant::now());
                    return Ok(());
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn log_received(&self, consumed: usize) {
        if let Some(traffic) = self.shared.surroundings.traffic() {
            traffic.received(self.id.0, self.address, self.input.first(consumed));
        }
    }

    /// When the session ends if nothing happens.
    fn deadline(&self) -> Instant {
        let watches = self.subscriptions.as_ref().is_some_and(|subscriptions| subscriptions.is_on_a_topic());
        let waiting = if self.listened && self.replies.waiting() == 0 && !watches {
            patience::Waiting::Client
        } else {
            patience::Waiting::Other
        };
        self.patience.deadline(&self.shared.limits, waiting, Instant::now())
    }

    fn expired(&self) -> io::Result<()> {
        tracing::debug!(client.addr = %self.address, "session timed out");
        if self.patience.is_untaken() { Err(io::ErrorKind::TimedOut.into()) } else { Ok(()) }
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
        let drains = self.shared.draining.is_cancelled();
        let _ = tokio::time::timeout(if drains { LINGER_IN_DRAIN } else { LINGER }, drained).await;
    }
}

fn asks_again(decision: &Decision) -> bool {
    decision.effects.iter().any(|effect| matches!(effect, Effect::Fetch(_)))
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
/// What one call is given if its first line is no longer: some sixty reports. The gain of a larger batch is flat by then,
/// and a call full of the dearest commands stays far below its deadline.
const WINDOW_BYTES: usize = 4 << 10;
/// Calls in one wake: four reads' worth of full windows. A guest that consumes byte by byte has to take turns.
const CALLS_PER_WAKE_MAX: u32 = 64;
/// Fetches under way in one session. A read may bring more `WHATSAT`s than that; they start as others end.
const FETCHES_MAX: usize = 16;
/// Replies and fetches that wait for one another; above it, nothing more is decided.
const QUEUED_MAX: usize = 1024;
/// Fetches in turn for one place. A guest has a few sources to try; one that never ends must not spin.
const FETCHES_PER_PLACE_MAX: u32 = 8;
/// The time for one place among the replies, however many sources are asked in turn for it.
const ANSWER_MAX: Duration = Duration::from_secs(8);
const LINGER: Duration = Duration::from_secs(2);
/// A node that stops does not wait that long for clients that say nothing.
const LINGER_IN_DRAIN: Duration = Duration::from_millis(200);
const LINGER_BYTES_MAX: usize = 16 << 20;
