//! One client connection, in one task: reads, queues its input at the batcher of its worker, writes.
//!
//! ```text
//! open -> closing (close effect, fault, limit, drain) -> all replies out -> shut down -> lingering -> gone
//!      -> input ended (half-close)                    -> all replies out -> shut down -> gone
//! ```
//!
//! Nothing is read while the client does not take its output, while as many fetches are under way as one session may have,
//! or while the session is closing; the client feels that as back pressure of TCP.
//!
//! The task is one `poll` function and not a `select!`: it runs once for every read of every client, and asks only for what
//! can have changed.
//!
//! Bounds: fetches under way, fetches in turn for one reply slot and their time, bytes per read, time and bytes of
//! lingering. Timeouts are in [`Timeouts`](crate::core::timeouts::Timeouts).

use std::cell::{RefCell, RefMut};
use std::future::poll_fn;
use std::io;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context as TaskContext, Poll, Waker, ready};
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use herd_model::FetchAnswer;
use herd_sdk::{Decision, Effect};
use herd_sys::clock;
use tokio::task::coop::poll_proceed;
use tokio::time::{Sleep, sleep_until};

use crate::core::batcher::BatchedSession;
use crate::core::context::Context;
use crate::core::conversation::{Conversation, FETCHES_MAX};
use crate::core::reply_queue::{FetchId, ReplySlot};
use crate::core::session_core::SessionCore;
use crate::core::timeouts::WaitingFor;
use crate::core::topics::SessionId;
use crate::host::SessionsHost;
use crate::transport::Transport;
use crate::worker_sessions::{Drains, WorkerSessions};

/// A session. Its task and the batcher of its worker share it, on one thread.
pub(crate) struct Session<S: SessionsHost, T: Transport> {
    id: SessionId,
    worker: Rc<WorkerSessions<S, Self>>,
    transport: T,
    state: RefCell<State>,
}

/// The state of a session that its task and the batcher change.
struct State {
    core: SessionCore,
    /// The input waits at the batcher.
    queued: bool,
    /// There may be more to decide, but there was no room for its replies.
    decision_deferred: bool,
    /// The socket has something to read, and the session waits for the batcher first.
    readable: bool,
    /// The last turn of the loop waited for the client.
    was_reading: bool,
    /// The timer will wake the task.
    timer_armed: bool,
    /// A write of the batcher failed; the task ends the session.
    write_error: Option<io::Error>,
    /// Boxed: most sessions never fetch.
    fetches: Option<Box<Fetches>>,
    waker: Option<Waker>,
}

type Fetches = FuturesUnordered<BoxFuture<'static, (FetchId, FetchAnswer)>>;

impl<S: SessionsHost, T: Transport> Session<S, T> {
    pub(crate) fn new(worker: Rc<WorkerSessions<S, Self>>, transport: T, conversation: Conversation) -> Rc<Self> {
        let id = conversation.id;
        let state = State {
            core: SessionCore::new(conversation, Instant::now()),
            queued: false,
            decision_deferred: false,
            readable: false,
            was_reading: true,
            timer_armed: false,
            write_error: None,
            fetches: None,
            waker: None,
        };
        Rc::new(Self { id, worker, transport, state: RefCell::new(state) })
    }

    /// Serves the client until the session ends.
    pub(crate) async fn run(self: Rc<Self>) {
        let timer = sleep_until((Instant::now() + self.context().limits.idle()).into());
        let mut timer = pin!(timer);
        let ended = poll_fn(|cx| self.poll(cx, timer.as_mut())).await;
        if let Some(mut subscriptions) = self.state().core.conversation.subscriptions.take() {
            subscriptions.leave_all(&self.context().topics);
        }
        match ended {
            Ok(()) => self.linger().await,
            Err(error) => {
                tracing::debug!(client.addr = %self.state().core.conversation.address, %error, "session broke");
            }
        }
    }

    fn context(&self) -> &Context<S> {
        &self.worker.shared.context
    }

    fn state(&self) -> RefMut<'_, State> {
        self.state.borrow_mut()
    }

    /// One turn of the task. Each round of the loop does one thing that is possible and starts over, because one thing makes
    /// another possible: an answer frees room to decide, a write frees room to read. It returns `Pending` only after every
    /// source has registered the waker in this very round, so no wake-up is lost.
    fn poll(self: &Rc<Self>, cx: &mut TaskContext<'_>, mut timer: Pin<&mut Sleep>) -> Poll<io::Result<()>> {
        let context = self.context();
        loop {
            // Answers that are ready at once and pushes in a row must not keep this worker from its other tasks.
            let budget = ready!(poll_proceed(cx));
            let state = &mut *self.state();
            // The batcher wakes the task with it. The waker of a task stays the same, so it is stored once.
            if state.waker.is_none() {
                state.waker = Some(cx.waker().clone());
            }
            if let Some(error) = state.write_error.take() {
                return Poll::Ready(Err(error));
            }
            self.start_fetches(state);
            // Answers first: the replies behind a waiting slot are held up until its answer is decided.
            if let Some(fetches) = &mut state.fetches
                && let Poll::Ready(Some((id, answer))) = fetches.poll_next_unpin(cx)
            {
                self.on_answer(state, id, &answer);
                budget.made_progress();
                continue;
            }
            self.write(state)?;
            // After the write, or a session would end with its last reply unsent.
            if state.is_over() {
                return Poll::Ready(Ok(()));
            }
            // The room that was missing may be there now.
            if state.decision_deferred && !state.queued && state.core.conversation.has_reply_room(context) {
                self.enqueue(state);
            }
            if !state.core.conversation.replies.unwritten().is_empty() && self.transport.poll_writable(cx)?.is_ready() {
                budget.made_progress();
                continue;
            }
            let reading = state.accepts_input() && state.core.conversation.has_reply_room(context);
            // The time in which the node did not read must not count against the client.
            if reading && !state.was_reading {
                state.core.timeouts.on_reading_resumed(Instant::now());
            }
            state.was_reading = reading;
            if reading && self.transport.poll_readable(cx)?.is_ready() {
                // Input that is queued is decided before more is read: that bounds the buffer, and a client that keeps the
                // socket readable gets one call per read. `readable` makes the batcher wake this task afterwards.
                state.readable = state.queued;
                if !state.queued {
                    self.read(state)?;
                    budget.made_progress();
                    continue;
                }
            }
            if state.accepts_pushes() && state.core.conversation.has_reply_room(context) {
                let subscriptions = state.core.conversation.subscriptions.as_mut();
                if let Some(Poll::Ready(Some(push))) = subscriptions.map(|topics| topics.pushes.poll_recv(cx)) {
                    state.core.conversation.replies.push(&push);
                    budget.made_progress();
                    continue;
                }
            }
            let deadline = state.deadline(context);
            if let Some(deadline) = deadline.filter(|&deadline| deadline < timer.deadline().into_std()) {
                timer.as_mut().reset(deadline.into());
                state.timer_armed = false;
            }
            // The timer is only moved to a later time when it fires: a busy session does not touch it.
            if !state.timer_armed || timer.is_elapsed() {
                state.timer_armed = true;
                if timer.as_mut().poll(cx).is_ready() {
                    let now = Instant::now();
                    if deadline.is_some_and(|deadline| deadline <= now) {
                        return Poll::Ready(state.on_timeout());
                    }
                    timer.as_mut().reset(deadline.unwrap_or(now + context.limits.idle()).into());
                    state.timer_armed = false;
                    continue;
                }
            }
            return Poll::Pending;
        }
    }

    fn read(self: &Rc<Self>, state: &mut State) -> io::Result<()> {
        let read = READ_BUFFER.with_borrow_mut(|buffer| {
            let count = match self.transport.try_read(buffer) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
                count => count?,
            };
            state.core.conversation.input.extend(&buffer[..count]);
            if count == 0 {
                state.core.conversation.input.end();
            }
            Ok::<_, io::Error>(true)
        })?;
        if read {
            self.enqueue(state);
        }
        Ok(())
    }

    fn enqueue(self: &Rc<Self>, state: &mut State) {
        state.decision_deferred = false;
        state.queued = true;
        self.worker.enqueue(Rc::clone(self));
    }

    /// Starts fetches that hold a reply slot: as many as may be under way, and while there is room for their answers.
    fn start_fetches(&self, state: &mut State) {
        let context = self.context();
        let replies = &mut state.core.conversation.replies;
        while replies.pending_fetches() > 0 && replies.unsent_bytes() < context.limits.output_bytes_max() {
            let fetches = state.fetches.get_or_insert_default();
            if fetches.len() >= FETCHES_MAX {
                break;
            }
            let Some((id, request, fetch)) = replies.start_next() else { break };
            let deadline = *fetch.slot.deadline.get_or_insert_with(|| Instant::now() + SLOT_TIMEOUT);
            let answer = context.host.fetch(request, deadline);
            fetches.push(Box::pin(async move { (id, answer.await) }));
        }
        if replies.pending_fetches() == 0 {
            state.fetches = None;
        }
    }

    fn on_answer(&self, state: &mut State, id: FetchId, answer: &FetchAnswer) {
        let context = self.context();
        let conversation = &mut state.core.conversation;
        let Some(fetch) = conversation.replies.open_slot(id) else { return };
        let slot = ReplySlot { answers: fetch.slot.answers + 1, ..fetch.slot };
        let over = slot.deadline.is_some_and(|deadline| deadline <= Instant::now());
        let failed = matches!(answer, FetchAnswer::Failed(_));
        let decided = if failed && (over || slot.answers >= FETCHES_PER_SLOT_MAX) {
            None
        } else {
            let (token, otherwise) = (&fetch.token, &fetch.otherwise);
            let outcome = answer.outcome();
            context.host.decide_answer(fetch.generation, clock::now(), token, otherwise, outcome).ok()
        };
        match decided {
            Some(decision) if slot.answers < FETCHES_PER_SLOT_MAX || !fetches_again(&decision) => {
                let mut keeps = Vec::new();
                for effect in &decision.effects {
                    conversation.perform(context, fetch.generation, &decision, effect, slot, &mut keeps);
                }
                if conversation.closing {
                    state.core.close();
                }
            }
            _ => conversation.replies.push(&fetch.otherwise),
        }
        state.core.conversation.replies.close_slot();
    }

    /// Writes what the socket takes.
    fn write(&self, state: &mut State) -> io::Result<()> {
        let conversation = &mut state.core.conversation;
        if let Some(traffic) = self.context().host.traffic() {
            traffic.sent(conversation.id.0, conversation.address, conversation.replies.take_unlogged());
        }
        while !conversation.replies.unwritten().is_empty() {
            match self.transport.try_write(conversation.replies.unwritten()) {
                Ok(count) => {
                    conversation.replies.mark_written(count);
                    if state.core.timeouts.is_write_blocked() {
                        state.core.timeouts.on_write(Instant::now(), conversation.replies.unwritten().is_empty());
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    state.core.timeouts.on_write_blocked(Instant::now());
                    return Ok(());
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Ends the output, and reads what the client still sends for a while: a socket that is closed with unread
    /// input resets the connection, and the client would lose replies that are on their way.
    async fn linger(&self) {
        if self.transport.end_output().is_err() || self.state().core.conversation.input.is_ended() {
            return;
        }
        let drained = async {
            let mut left = LINGER_BYTES_MAX;
            while left > 0 && poll_fn(|cx| self.transport.poll_readable(cx)).await.is_ok() {
                let read = READ_BUFFER.with_borrow_mut(|buffer| self.transport.try_read(buffer));
                match read {
                    Ok(0) => return,
                    Ok(count) => left = left.saturating_sub(count),
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                    Err(_) => return,
                }
            }
        };
        let drains = self.worker.shared.draining.is_cancelled();
        let _ = tokio::time::timeout(if drains { LINGER_IN_DRAIN } else { LINGER }, drained).await;
    }
}

impl<S: SessionsHost, T: Transport> BatchedSession for Session<S, T> {
    fn id(&self) -> SessionId {
        self.id
    }

    fn core(&self) -> RefMut<'_, SessionCore> {
        RefMut::map(self.state(), |state| &mut state.core)
    }

    fn on_dequeued(&self) {
        self.state().queued = false;
    }

    /// Writes from the batcher itself: in the usual case the replies go out here, and the task of the session is not woken
    /// between one read and the next.
    fn finish_turn(self: &Rc<Self>, more: bool) {
        let state = &mut *self.state();
        state.decision_deferred = more && !state.core.conversation.closing;
        if let Err(error) = self.write(state) {
            // Nobody takes the answers to the input that is left; the task ends the session.
            state.write_error = Some(error);
            return state.wake();
        }
        if state.decision_deferred && state.core.conversation.has_reply_room(self.context()) {
            return self.enqueue(state);
        }
        if state.needs_task() {
            state.wake();
        }
    }
}

impl<S: SessionsHost, T: Transport> Drains for Session<S, T> {
    fn drain(&self) {
        let mut state = self.state();
        state.decision_deferred = false;
        state.core.close();
        state.wake();
    }
}

impl<S: SessionsHost, T: Transport> Drop for Session<S, T> {
    fn drop(&mut self) {
        self.worker.remove(self.id);
    }
}

impl State {
    fn wake(&self) {
        if let Some(waker) = &self.waker {
            waker.wake_by_ref();
        }
    }

    /// True if only the task can do or wait for what comes next. The batcher leaves the task asleep otherwise: it still waits
    /// for the socket to become readable.
    fn needs_task(&mut self) -> bool {
        let conversation = &self.core.conversation;
        std::mem::take(&mut self.readable)
            || self.decision_deferred
            || conversation.closing
            || conversation.input.is_ended()
            || conversation.input.has_unfinished_line()
            || conversation.subscriptions.is_some()
            || !conversation.replies.is_empty()
    }

    fn is_over(&self) -> bool {
        (self.core.conversation.closing || self.core.conversation.input.is_ended())
            && !self.queued
            && !self.decision_deferred
            && self.core.conversation.replies.is_empty()
    }

    fn accepts_input(&self) -> bool {
        !self.core.conversation.closing && !self.core.conversation.input.is_ended() && !self.decision_deferred
    }

    fn accepts_pushes(&self) -> bool {
        self.core.conversation.subscriptions.is_some()
            && !self.core.conversation.closing
            && !self.core.conversation.input.is_ended()
    }

    /// Time at which the session ends if nothing happens.
    fn deadline<S>(&self, context: &Context<S>) -> Option<Instant> {
        let subscriptions = self.core.conversation.subscriptions.as_ref();
        let subscribed = subscriptions.is_some_and(|subscriptions| subscriptions.is_subscribed());
        let waits_for_client = self.was_reading && self.core.conversation.replies.pending_fetches() == 0 && !subscribed;
        let waiting = if waits_for_client { WaitingFor::Client } else { WaitingFor::Other };
        self.core.timeouts.deadline(&context.limits, waiting)
    }

    fn on_timeout(&self) -> io::Result<()> {
        tracing::debug!(client.addr = %self.core.conversation.address, "session timed out");
        if self.core.timeouts.is_write_blocked() { Err(io::ErrorKind::TimedOut.into()) } else { Ok(()) }
    }
}

fn fetches_again(decision: &Decision) -> bool {
    decision.effects.iter().any(|effect| matches!(effect, Effect::Fetch(_)))
}

thread_local! {
    /// The read buffer of a worker. A session holds memory only for input that is left over.
    static READ_BUFFER: RefCell<Box<[u8]>> = RefCell::new(vec![0; READ_BYTES_MAX].into());
}

/// Bytes per read: a line of the greatest length.
const READ_BYTES_MAX: usize = 64 << 10;
/// Fetches in turn for one reply slot. A guest has a few sources to try; one that never ends must not spin.
const FETCHES_PER_SLOT_MAX: u32 = 8;
/// Time for one reply slot, however many sources are asked in turn for it.
const SLOT_TIMEOUT: Duration = Duration::from_secs(8);
const LINGER: Duration = Duration::from_secs(2);
/// A node that stops does not wait that long for clients that say nothing.
const LINGER_IN_DRAIN: Duration = Duration::from_millis(200);
const LINGER_BYTES_MAX: usize = 16 << 20;
