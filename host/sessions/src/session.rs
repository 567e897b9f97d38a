//! One client connection, in one task: reads, waits at the [`Desk`] for a decision, writes.
//!
//! ```text
//! open -> closing (close effect, fault, limit, drain) -> all replies out -> shut down -> lingering -> gone
//!      -> input ended (half-close)                    -> all replies out -> shut down -> gone
//! ```
//!
//! Nothing is read while the client leaves its output lying, while as many fetches are under way as one session may
//! have, or while the session is closing; the client feels that as back pressure of TCP.
//!
//! The task is written as one `poll` and not as a `select!`: it runs once for every read of every client, and only asks
//! for what can have changed.

use std::cell::{RefCell, RefMut};
use std::future::poll_fn;
use std::io;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll, Waker, ready};
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use herd_sdk::{Decision, Effect};
use herd_sys::clock::moment;
use tokio::task::coop::poll_proceed;
use tokio::time::{Sleep, sleep_until};

use crate::core::batcher::Desk;
use crate::core::conversation::{Conversation, FETCHES_MAX};
use crate::core::reply_queue::{FetchId, Place};
use crate::core::timeouts::{Patience, Waiting};
use crate::core::topics::SessionId;
use crate::host::SessionsHost;
use crate::transport::Wire;
use herd_model::FetchAnswer;

/// A session. Its task and the desk of its worker share it.
pub(crate) struct Session<S: SessionsHost, W: Wire> {
    pub(crate) id: SessionId,
    desk: Rc<Desk<S, W>>,
    wire: W,
    state: RefCell<State>,
}

/// What changes about a session.
pub(crate) struct State {
    pub(crate) conversation: Conversation,
    pub(crate) patience: Patience,
    /// The guest faulted on its input: until that is through, it is decided apart from that of others.
    pub(crate) suspect: bool,
    /// Input waits at the desk.
    at_desk: bool,
    /// There was no room for what more input would bring.
    undecided: bool,
    /// The socket has something to read, and the session has to wait for the desk first.
    readable: bool,
    /// Whether the last turn of the loop waited for the client.
    listened: bool,
    /// Whether the timer will wake the task.
    timed: bool,
    broken: Option<io::Error>,
    fetches: Option<Box<Fetches>>,
    waker: Option<Waker>,
}

type Fetches = FuturesUnordered<BoxFuture<'static, (FetchId, FetchAnswer)>>;

impl<S: SessionsHost, W: Wire> Session<S, W> {
    pub(crate) fn new(desk: Rc<Desk<S, W>>, wire: W, conversation: Conversation) -> Rc<Self> {
        let id = conversation.id;
        let state = State {
            conversation,
            patience: Patience::new(Instant::now()),
            suspect: false,
            at_desk: false,
            undecided: false,
            readable: false,
            listened: true,
            timed: false,
            broken: None,
            fetches: None,
            waker: None,
        };
        Rc::new(Self { id, desk, wire, state: RefCell::new(state) })
    }

    /// Serves the client until the session ends.
    pub(crate) async fn run(self: Rc<Self>) {
        let timer = sleep_until((Instant::now() + self.desk.shared.limits.idle()).into());
        let mut timer = pin!(timer);
        let ended = poll_fn(|cx| self.poll(cx, timer.as_mut())).await;
        if let Some(mut subscriptions) = self.state().conversation.subscriptions.take() {
            subscriptions.leave_all(&self.desk.shared.topics);
        }
        match ended {
            Ok(()) => self.linger().await,
            Err(error) => {
                tracing::debug!(client.addr = %self.state().conversation.address, %error, "session broke");
            }
        }
    }

    pub(crate) fn state(&self) -> RefMut<'_, State> {
        self.state.borrow_mut()
    }

    /// Its turn at the desk has come.
    pub(crate) fn leave_desk(&self) -> RefMut<'_, State> {
        let mut state = self.state();
        state.at_desk = false;
        state
    }

    /// Ends the session once its replies are out.
    pub(crate) fn close(&self) {
        let mut state = self.state();
        state.close();
        state.wake();
    }

    /// Its turn at the desk is over: writes what that brought, and sees to whatever else it calls for. `more` when there may
    /// be more to decide.
    pub(crate) fn settle(self: &Rc<Self>, mut state: RefMut<'_, State>, more: bool) {
        state.undecided = more && !state.conversation.closing;
        if let Err(error) = self.write(&mut state) {
            // Nobody is there to hear the answers to what is left; the task ends the session.
            state.broken = Some(error);
            return state.wake();
        }
        if state.undecided && state.conversation.may_decide(&self.desk.shared) {
            return self.go_to_desk(&mut state);
        }
        if state.needs_its_task() {
            state.wake();
        }
    }

    fn poll(self: &Rc<Self>, cx: &mut Context<'_>, mut timer: Pin<&mut Sleep>) -> Poll<io::Result<()>> {
        let shared = &self.desk.shared;
        loop {
            // Answers that are ready at once and pushes in a row must not keep this worker from its other tasks.
            let budget = ready!(poll_proceed(cx));
            let state = &mut *self.state();
            if state.waker.is_none() {
                state.waker = Some(cx.waker().clone());
            }
            if let Some(error) = state.broken.take() {
                return Poll::Ready(Err(error));
            }
            self.start_fetches(state);
            if let Some(fetches) = &mut state.fetches
                && let Poll::Ready(Some((id, answered))) = fetches.poll_next_unpin(cx)
            {
                self.answered(state, id, &answered);
                budget.made_progress();
                continue;
            }
            self.write(state)?;
            if state.is_over() {
                return Poll::Ready(Ok(()));
            }
            if state.undecided && !state.at_desk && state.conversation.may_decide(shared) {
                self.go_to_desk(state);
            }
            if !state.conversation.replies.unwritten().is_empty() && self.wire.poll_writable(cx)?.is_ready() {
                budget.made_progress();
                continue;
            }
            let listens = state.listens() && state.conversation.may_decide(shared);
            if listens && !state.listened {
                state.patience.listens_again(Instant::now());
            }
            state.listened = listens;
            if listens && self.wire.poll_readable(cx)?.is_ready() {
                state.readable = state.at_desk;
                if !state.at_desk {
                    self.read(state)?;
                    budget.made_progress();
                    continue;
                }
            }
            if state.may_be_pushed() && state.conversation.may_decide(shared) {
                let subscriptions = state.conversation.subscriptions.as_mut();
                if let Some(Poll::Ready(Some(push))) = subscriptions.map(|topics| topics.pushes.poll_recv(cx)) {
                    state.conversation.replies.push(&push);
                    budget.made_progress();
                    continue;
                }
            }
            let deadline = state.deadline(shared);
            if let Some(deadline) = deadline.filter(|&deadline| deadline < timer.deadline().into_std()) {
                timer.as_mut().reset(deadline.into());
                state.timed = false;
            }
            // The timer is only ever moved back when it fires: a busy session does not touch it.
            if !state.timed || timer.is_elapsed() {
                state.timed = true;
                if timer.as_mut().poll(cx).is_ready() {
                    let now = Instant::now();
                    if deadline.is_some_and(|deadline| deadline <= now) {
                        return Poll::Ready(state.expired());
                    }
                    timer.as_mut().reset(deadline.unwrap_or(now + shared.limits.idle()).into());
                    state.timed = false;
                    continue;
                }
            }
            return Poll::Pending;
        }
    }

    fn read(self: &Rc<Self>, state: &mut State) -> io::Result<()> {
        let read = SCRATCH.with_borrow_mut(|scratch| {
            let count = match self.wire.try_read(scratch) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
                count => count?,
            };
            state.conversation.input.extend(&scratch[..count]);
            if count == 0 {
                state.conversation.input.end();
            }
            Ok::<_, io::Error>(true)
        })?;
        if read {
            self.go_to_desk(state);
        }
        Ok(())
    }

    fn go_to_desk(self: &Rc<Self>, state: &mut State) {
        state.undecided = false;
        state.at_desk = true;
        self.desk.enqueue(Rc::clone(self));
    }

    /// Starts fetches that hold a place: as many as may be under way, and while there is room for their answers.
    fn start_fetches(&self, state: &mut State) {
        let shared = &self.desk.shared;
        let replies = &mut state.conversation.replies;
        while replies.waiting() > 0 && replies.bytes() < shared.limits.output_bytes_max() {
            let fetches = state.fetches.get_or_insert_default();
            if fetches.len() >= FETCHES_MAX {
                break;
            }
            let Some((id, asked, waiting)) = replies.start_next() else { break };
            let deadline = *waiting.place.deadline.get_or_insert_with(|| Instant::now() + ANSWER_MAX);
            let answer = shared.host.ask(asked, deadline);
            fetches.push(Box::pin(async move { (id, answer.await) }));
        }
        if replies.waiting() == 0 {
            state.fetches = None;
        }
    }

    fn answered(&self, state: &mut State, id: FetchId, answered: &FetchAnswer) {
        let shared = &self.desk.shared;
        let conversation = &mut state.conversation;
        let Some(waiting) = conversation.replies.open_place(id) else { return };
        let place = Place { answered: waiting.place.answered + 1, ..waiting.place };
        let over = place.deadline.is_some_and(|deadline| deadline <= Instant::now());
        let failed = matches!(answered, FetchAnswer::Failed(_));
        let decided = if failed && (over || place.answered >= FETCHES_PER_PLACE_MAX) {
            None
        } else {
            let (token, otherwise) = (&waiting.token, &waiting.otherwise);
            let outcome = answered.outcome();
            shared.host.answer(waiting.asked_by, moment(), token, otherwise, outcome).ok()
        };
        match decided {
            Some(decision) if place.answered < FETCHES_PER_PLACE_MAX || !asks_again(&decision) => {
                let mut keeps = Vec::new();
                for effect in &decision.effects {
                    conversation.perform(shared, waiting.asked_by, &decision, effect, place, &mut keeps);
                }
                if conversation.closing {
                    state.close();
                }
            }
            _ => conversation.replies.push(&waiting.otherwise),
        }
        state.conversation.replies.close_place();
    }

    /// Writes what the socket takes.
    fn write(&self, state: &mut State) -> io::Result<()> {
        let conversation = &mut state.conversation;
        if let Some(traffic) = self.desk.shared.host.traffic() {
            traffic.sent(conversation.id.0, conversation.address, conversation.replies.unlogged());
        }
        while !conversation.replies.unwritten().is_empty() {
            match self.wire.try_write(conversation.replies.unwritten()) {
                Ok(count) => {
                    conversation.replies.wrote(count);
                    if state.patience.is_untaken() {
                        state.patience.took(Instant::now(), conversation.replies.unwritten().is_empty());
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    state.patience.takes_nothing(Instant::now());
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
        if self.wire.end_output().is_err() || self.state().conversation.input.ended() {
            return;
        }
        let drained = async {
            let mut left = LINGER_BYTES_MAX;
            while left > 0 && poll_fn(|cx| self.wire.poll_readable(cx)).await.is_ok() {
                let read = SCRATCH.with_borrow_mut(|scratch| self.wire.try_read(scratch));
                match read {
                    Ok(0) => return,
                    Ok(count) => left = left.saturating_sub(count),
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                    Err(_) => return,
                }
            }
        };
        let drains = self.desk.shared.draining.is_cancelled();
        let _ = tokio::time::timeout(if drains { LINGER_IN_DRAIN } else { LINGER }, drained).await;
    }
}

impl<S: SessionsHost, W: Wire> Drop for Session<S, W> {
    fn drop(&mut self) {
        self.desk.forget(self.state.get_mut().conversation.id);
    }
}

impl State {
    /// No more input is decided; the session ends once its replies are out.
    pub(crate) fn close(&mut self) {
        self.undecided = false;
        self.conversation.close();
        self.patience.stops_listening();
    }

    fn wake(&self) {
        if let Some(waker) = &self.waker {
            waker.wake_by_ref();
        }
    }

    /// Whether there is something that only the task can do or wait for.
    fn needs_its_task(&mut self) -> bool {
        let conversation = &self.conversation;
        std::mem::take(&mut self.readable)
            || self.undecided
            || conversation.closing
            || conversation.input.ended()
            || conversation.input.is_unfinished()
            || conversation.subscriptions.is_some()
            || !conversation.replies.all_out()
    }

    fn is_over(&self) -> bool {
        (self.conversation.closing || self.conversation.input.ended())
            && !self.at_desk
            && !self.undecided
            && self.conversation.replies.all_out()
    }

    fn listens(&self) -> bool {
        !self.conversation.closing && !self.conversation.input.ended() && !self.undecided
    }

    fn may_be_pushed(&self) -> bool {
        self.conversation.subscriptions.is_some() && !self.conversation.closing && !self.conversation.input.ended()
    }

    /// When the session ends if nothing happens.
    fn deadline<S: SessionsHost>(&self, shared: &crate::listener::Shared<S>) -> Option<Instant> {
        let subscriptions = self.conversation.subscriptions.as_ref();
        let watches = subscriptions.is_some_and(|subscriptions| subscriptions.is_on_a_topic());
        let waits_for_client = self.listened && self.conversation.replies.waiting() == 0 && !watches;
        let waiting = if waits_for_client { Waiting::Client } else { Waiting::Other };
        self.patience.deadline(&shared.limits, waiting)
    }

    fn expired(&self) -> io::Result<()> {
        tracing::debug!(client.addr = %self.conversation.address, "session timed out");
        if self.patience.is_untaken() { Err(io::ErrorKind::TimedOut.into()) } else { Ok(()) }
    }
}

fn asks_again(decision: &Decision) -> bool {
    decision.effects.iter().any(|effect| matches!(effect, Effect::Fetch(_)))
}

thread_local! {
    /// Where a worker reads into. A session holds memory only for what is left over.
    static SCRATCH: RefCell<Box<[u8]>> = RefCell::new(vec![0; READ_BYTES_MAX].into());
}

/// What one read takes: a line of the greatest length.
const READ_BYTES_MAX: usize = 64 << 10;
/// Fetches in turn for one place. A guest has a few sources to try; one that never ends must not spin.
const FETCHES_PER_PLACE_MAX: u32 = 8;
/// The time for one place among the replies, however many sources are asked in turn for it.
const ANSWER_MAX: Duration = Duration::from_secs(8);
const LINGER: Duration = Duration::from_secs(2);
/// A node that stops does not wait that long for clients that say nothing.
const LINGER_IN_DRAIN: Duration = Duration::from_millis(200);
const LINGER_BYTES_MAX: usize = 16 << 20;
