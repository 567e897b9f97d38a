//! One client connection, in one task: reads, queues its input at the batcher of its worker, writes.
//!
//! ```text
//! open -> closing (close effect, fault, limit, drain) -> all replies written -> shut down -> lingering -> gone
//!      -> input ended (half-close)                    -> all replies written -> shut down -> gone
//! ```
//!
//! Owns the connection and every wake-up of the session. The batcher decides its input and writes the replies; the task does
//! what has to wait. Knows nothing of guests and of other sessions.
//!
//! The session stops reading while its client does not take its output, while its fetches are at their limit, while its address
//! is over its rates ([`Pace`]), and while it closes. The client feels that as back pressure of TCP. That a client leaves during such a
//! pause is noticed without a read, unless lines are left to be read: those are still answered, and the client may be there to hear it.
//!
//! The task is one `poll` function and not a `select!`: it runs once for every read of every client, and polls only what can
//! have changed.
//!
//! Bounds: bytes per read, time and bytes of lingering. Timeouts are in [`Timeouts`](crate::core::timeouts::Timeouts), bounds
//! of fetches in [`fetches`](crate::fetches) and [`answers`](crate::core::answers).

use std::cell::{RefCell, RefMut};
use std::future::poll_fn;
use std::io;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context as TaskContext, Poll, ready};
use std::time::{Duration, Instant};

use herd_sys::clock;
use tokio::task::coop::poll_proceed;
use tokio::time::{Sleep, sleep_until};

use crate::core::answers::perform_answer;
use crate::core::batcher::BatchedSession;
use crate::core::context::Context;
use crate::core::conversation::Conversation;
use crate::core::pace::Pace;
use crate::core::session_core::SessionCore;
use crate::core::topics::SessionId;
use crate::host::SessionsHost;
use crate::session_state::SessionState;
use crate::transport::Transport;
use crate::worker_sessions::{AddressedSession, WorkerSessions};

/// One client connection. Its task and the batcher of its worker share it, on one thread.
pub(crate) struct Session<S: SessionsHost, T: Transport> {
    id: SessionId,
    worker: Rc<WorkerSessions<S, Self>>,
    transport: T,
    state: RefCell<SessionState>,
}

impl<S: SessionsHost, T: Transport> Session<S, T> {
    pub(crate) fn new(
        worker: Rc<WorkerSessions<S, Self>>,
        transport: T,
        conversation: Conversation,
        pace: Pace,
    ) -> Rc<Self> {
        let id = conversation.id;
        let state = SessionState::new(conversation, pace, Instant::now());
        Rc::new(Self { id, worker, transport, state: RefCell::new(state) })
    }

    /// Serves the client until the session ends. Not cancel safe: replies that are not written yet are lost.
    pub(crate) async fn run(self: Rc<Self>) {
        let timer = sleep_until((Instant::now() + self.context().limits.idle()).into());
        let mut timer = pin!(timer);
        let mut departure = None;
        let ended = poll_fn(|cx| self.poll(cx, timer.as_mut(), &mut departure)).await;
        drop(departure);
        if let Some(mut subscriptions) = self.state().core.conversation.subscriptions.take() {
            subscriptions.leave_all(&self.context().topics);
        }
        match ended {
            Ok(()) => self.linger().await,
            Err(error) => {
                tracing::debug!(node = %self.context().host.node(), client.addr = %self.state().core.conversation.address, %error, "session broke");
            }
        }
    }

    fn context(&self) -> &Context<S> {
        &self.worker.shared.context
    }

    fn state(&self) -> RefMut<'_, SessionState> {
        self.state.borrow_mut()
    }

    /// Runs one turn of the task.
    ///
    /// Each round of the loop makes one step and starts over, because one step makes another possible: an answer frees room to
    /// decide, a write frees room to read. The loop returns `Pending` only after every source has registered the waker in this
    /// very round, so no wake-up is lost.
    fn poll(
        self: &Rc<Self>,
        cx: &mut TaskContext<'_>,
        mut timer: Pin<&mut Sleep>,
        departure: &mut Option<Departure>,
    ) -> Poll<io::Result<()>> {
        let context = self.context();
        loop {
            // Answers that are ready at once and pushes in a row must not starve the other tasks of this worker.
            let budget = ready!(poll_proceed(cx));
            let state = &mut *self.state();
            // The batcher wakes the task with this waker. A task keeps its waker for life, so it is stored once.
            if state.waker.is_none() {
                state.waker = Some(cx.waker().clone());
            }
            if let Some(error) = state.write_error.take() {
                return Poll::Ready(Err(error));
            }
            // Before the poll for answers, which registers the waker with the fetches that were just started.
            state.fetches.start(context, &mut state.core.conversation);
            // Answers first: the replies behind a pending slot wait until its answer is decided.
            if let Poll::Ready((id, answer)) = state.fetches.poll_answer(cx) {
                perform_answer(context, &mut state.core, id, &answer, clock::now(), Instant::now());
                if state.core.conversation.trace.is_some() {
                    self.write(state)?;
                    state.core.conversation.end_trace();
                }
                // Before the task may give way, or a confirmation in between would find the session not listed yet.
                self.await_confirmation(state);
                budget.made_progress();
                continue;
            }
            self.write(state)?;
            // After the write, or a session would end with its last reply unsent.
            if state.is_over() {
                return Poll::Ready(Ok(()));
            }
            // The write or an answer may have made the room for which the decision was deferred.
            if state.decision_deferred && !state.queued && state.core.conversation.has_reply_room(context) {
                self.enqueue(state);
            }
            if !state.core.conversation.replies.unwritten().is_empty() && self.transport.poll_writable(cx)?.is_ready() {
                budget.made_progress();
                continue;
            }
            // Whatever else keeps the session from reading: a pause that is over must not set the timer again.
            let is_paused = state.pace.is_paused(Instant::now);
            let reading = state.accepts_input() && !is_paused && state.core.conversation.has_reply_room(context);
            // The timeouts of the client exclude the time in which the node did not read.
            if reading && !state.was_reading {
                state.core.timeouts.on_reading_resumed(Instant::now());
            }
            state.was_reading = reading;
            if reading && self.transport.poll_readable(cx)?.is_ready() {
                // Queued input is decided before more is read. That bounds the buffer, and gives a client that keeps the socket
                // readable one call per read. `readable` makes the batcher wake this task afterwards.
                state.readable = state.queued;
                if !state.queued {
                    self.read(state)?;
                    budget.made_progress();
                    continue;
                }
            }
            // A pause may last an hour, and a client that has gone must not count among the sessions of its address meanwhile.
            if is_paused && state.accepts_input() {
                if let Poll::Ready(gone) = departure.get_or_insert_with(|| self.departure()).as_mut().poll(cx) {
                    *departure = None;
                    gone?;
                    state.pace.resume();
                    budget.made_progress();
                    continue;
                }
            } else {
                *departure = None;
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
            let wake = deadline.into_iter().chain(state.pace.paused_until()).min();
            if let Some(wake) = wake.filter(|&wake| wake < timer.deadline().into_std()) {
                timer.as_mut().reset(wake.into());
                state.timer_armed = false;
            }
            // A later deadline is set only when the timer fires: a busy session moves its deadline with every line, and would
            // pay for the timer wheel each time. An earlier one is set at once (above).
            if !state.timer_armed || timer.is_elapsed() {
                state.timer_armed = true;
                if timer.as_mut().poll(cx).is_ready() {
                    let now = Instant::now();
                    if deadline.is_some_and(|deadline| deadline <= now) {
                        return Poll::Ready(state.on_timeout(context.host.node(), &self.worker.shared.refusals));
                    }
                    timer.as_mut().reset(wake.unwrap_or(now + context.limits.idle()).into());
                    state.timer_armed = false;
                    continue;
                }
            }
            return Poll::Pending;
        }
    }

    /// Returns the wait for the end of the input during a pause. Made anew for each: few sessions ever pause.
    fn departure(self: &Rc<Self>) -> Departure {
        let session = Rc::clone(self);
        Box::pin(async move { session.transport.end_of_input().await })
    }

    /// Reads once from the socket and queues the input.
    fn read(self: &Rc<Self>, state: &mut SessionState) -> io::Result<()> {
        let read = READ_BUFFER.with_borrow_mut(|buffer| {
            let buffer = &mut buffer[..state.pace.read_bytes(READ_BYTES_MAX)];
            let count = match self.transport.try_read(buffer) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
                count => count?,
            };
            if let Some(rate) = state.pace.charge_read(&buffer[..count], Instant::now) {
                let address = state.core.conversation.address;
                self.worker.shared.refusals.paused(self.context().host.node(), address, rate);
            }
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

    fn enqueue(self: &Rc<Self>, state: &mut SessionState) {
        state.decision_deferred = false;
        state.queued = true;
        self.worker.enqueue(Rc::clone(self));
    }

    /// Has the worker list the session if its first reply waits for a confirmation.
    fn await_confirmation(self: &Rc<Self>, state: &mut SessionState) {
        let deadline = state.core.conversation.replies.confirmation_deadline();
        if let Some(deadline) = deadline.filter(|_| !state.awaits_confirmation) {
            state.awaits_confirmation = true;
            self.worker.await_confirmation(self, deadline);
        }
    }

    /// Writes until the replies are out or the socket is full.
    fn write(&self, state: &mut SessionState) -> io::Result<()> {
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
                        conversation.end_trace();
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

    /// Ends the output, and discards what the client still sends for a limited time. Closing a socket with unread input resets
    /// the connection, and the client would lose replies that are on their way.
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

    /// Writes from within the batcher. In the usual case the replies go out here, and the task of the session stays asleep
    /// between one read and the next.
    fn finish_turn(self: &Rc<Self>, more: bool) {
        let state = &mut *self.state();
        state.decision_deferred = more && !state.core.conversation.closing;
        self.await_confirmation(state);
        if let Err(error) = self.write(state) {
            // Nobody reads the replies any more. The session must end in its task: the batcher holds only a reference.
            state.write_error = Some(error);
            return state.wake();
        }
        if state.decision_deferred && state.core.conversation.has_reply_room(self.context()) {
            return self.enqueue(state);
        }
        if state.needs_task(self.context()) {
            state.wake();
        }
    }
}

impl<S: SessionsHost, T: Transport> AddressedSession for Session<S, T> {
    fn drain(&self) {
        let mut state = self.state();
        state.decision_deferred = false;
        state.core.close();
        state.wake();
    }

    fn offer_again(self: &Rc<Self>) {
        let state = &mut *self.state();
        // A deferred decision is made anyway, once its replies have room.
        let waits = !state.queued && !state.decision_deferred && !state.core.conversation.closing;
        if waits && state.core.conversation.input.has_unfinished_line() {
            self.enqueue(state);
        }
    }

    fn release_replies(self: &Rc<Self>, now: Instant) -> Option<Instant> {
        let released = self.state().core.conversation.release_replies(self.context(), now);
        if released {
            let deferred = self.state().decision_deferred;
            self.finish_turn(deferred);
            self.state().core.conversation.end_trace();
        }
        let mut state = self.state();
        let deadline = state.core.conversation.replies.confirmation_deadline();
        state.awaits_confirmation = deadline.is_some();
        deadline
    }
}

impl<S: SessionsHost, T: Transport> Drop for Session<S, T> {
    fn drop(&mut self) {
        self.worker.remove(self.id);
    }
}

/// Wait for a client to leave during a pause: it has ended its input and nothing is left to read, or has reset the connection.
type Departure = Pin<Box<dyn Future<Output = io::Result<()>>>>;

thread_local! {
    /// The read buffer of a worker. A session itself holds memory only for input that is not consumed.
    static READ_BUFFER: RefCell<Box<[u8]>> = RefCell::new(vec![0; READ_BYTES_MAX].into());
}

/// Bytes per read: the longest line that a configuration permits.
const READ_BYTES_MAX: usize = 64 << 10;
/// Time in which input is discarded after the output has ended.
const LINGER: Duration = Duration::from_secs(2);
/// The same while the node drains, which clients that stay connected must not hold up.
const LINGER_IN_DRAIN: Duration = Duration::from_millis(200);
/// Bytes discarded after the output has ended.
const LINGER_BYTES_MAX: usize = 16 << 20;

#[cfg(test)]
mod tests;
