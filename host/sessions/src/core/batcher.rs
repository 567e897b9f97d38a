//! The desk of a worker: where input of its sessions waits for a decision, and is decided together.
//!
//! A call of a guest costs as much as deciding several lines, so one call takes what all sessions brought that were
//! found ready at once. Nobody waits for company: the desk runs when every session that was ready has been polled, and an
//! idle node decides each line as it comes.
//!
//! When every live generation faults on a call, its inputs are decided one by one, and the one on which they still fault
//! is halved until one line is left; that ends its session and costs the others time only.
//!
//! Bounds: bytes and inputs of a call; one input of each session waits here at most.

use std::cell::RefCell;
use std::collections::{HashMap, VecDeque};
use std::future::poll_fn;
use std::pin::pin;
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::task::{Poll, Waker};
use std::time::Instant;

use herd_sdk::{Decision, Effect, Input, InputBatch, Mark, Moment};

use crate::core::input_buffer::Window;
use crate::core::reply_queue::Place;
use crate::core::topics::SessionId;
use crate::host::SessionsHost;
use crate::listener::Shared;
use crate::session::{Session, State};
use crate::transport::Wire;
use herd_model::Kept;
use herd_model::{GenerationId, Side, Sides};
use herd_sys::clock::moment;

/// The sessions of one node on one worker.
pub(crate) struct Desk<S: SessionsHost, W: Wire> {
    pub(crate) shared: Arc<Shared<S>>,
    queue: RefCell<VecDeque<Rc<Session<S, W>>>>,
    sessions: RefCell<HashMap<SessionId, Weak<Session<S, W>>>>,
    call: RefCell<Call<S, W>>,
    waker: RefCell<Option<Waker>>,
}

/// What goes into one call. Kept from call to call for its room.
struct Call<S: SessionsHost, W: Wire> {
    batch: InputBatch,
    /// Who decides it: one generation decides one call.
    side: Side,
    members: Vec<Member<S, W>>,
    keeps: Vec<Kept>,
}

/// A session with an input in the call.
struct Member<S: SessionsHost, W: Wire> {
    session: Rc<Session<S, W>>,
    window: usize,
    mark: Mark,
}

impl<S: SessionsHost, W: Wire> Desk<S, W> {
    pub(crate) fn new(shared: Arc<Shared<S>>) -> Rc<Self> {
        Rc::new(Self {
            shared,
            queue: RefCell::default(),
            sessions: RefCell::default(),
            call: RefCell::default(),
            waker: RefCell::default(),
        })
    }

    /// Serves the desk for as long as anybody else holds it.
    pub(crate) async fn serve(desk: Weak<Self>, shared: Arc<Shared<S>>) {
        let mut draining = pin!(shared.draining.cancelled());
        let mut drained = false;
        poll_fn(|cx| {
            let Some(desk) = desk.upgrade() else { return Poll::Ready(()) };
            if desk.waker.borrow().is_none() {
                desk.waker.replace(Some(cx.waker().clone()));
            }
            if !drained && draining.as_mut().poll(cx).is_ready() {
                drained = true;
                desk.close_all();
            }
            desk.decide_some();
            if !desk.queue.borrow().is_empty() {
                cx.waker().wake_by_ref();
            }
            Poll::Pending
        })
        .await;
    }

    /// A session is there.
    pub(crate) fn admit(&self, id: SessionId, session: &Rc<Session<S, W>>) {
        self.sessions.borrow_mut().insert(id, Rc::downgrade(session));
    }

    /// A session is gone.
    pub(crate) fn forget(&self, id: SessionId) {
        self.sessions.borrow_mut().remove(&id);
    }

    /// Input of a session waits to be decided.
    pub(crate) fn enqueue(&self, session: Rc<Session<S, W>>) {
        let mut queue = self.queue.borrow_mut();
        queue.push_back(session);
        if queue.len() == 1 {
            self.wake();
        }
    }

    fn wake(&self) {
        if let Some(waker) = &*self.waker.borrow() {
            waker.wake_by_ref();
        }
    }

    fn close_all(&self) {
        let sessions: Vec<Rc<Session<S, W>>> = self.sessions.borrow().values().filter_map(Weak::upgrade).collect();
        sessions.iter().for_each(|session| session.close());
    }

    /// Decides what waits, as much of it as one call takes.
    fn decide_some(&self) {
        let (at, now) = (moment(), Instant::now());
        let mut call = self.call.borrow_mut();
        let sides = self.shared.host.sides();
        while let Some(session) = self.next(&mut call, sides) {
            if !self.add(&mut call, session, now) {
                break;
            }
        }
        if !call.batch.is_empty() {
            self.decide(&mut call, at, now);
        }
        call.batch.clear();
        call.members.clear();
    }

    /// The next session whose input fits into the call. One that a guest faulted on has a call to itself, and so have those
    /// for which a canary decides.
    fn next(&self, call: &mut Call<S, W>, sides: Sides) -> Option<Rc<Session<S, W>>> {
        let Call { batch, side, .. } = call;
        if batch.len() >= INPUTS_MAX || batch.bytes().len() >= BATCH_BYTES_MAX {
            return None;
        }
        let mut queue = self.queue.borrow_mut();
        let front = queue.front()?;
        let side_of_front = sides.of(front.id.0);
        if !batch.is_empty() && (side_of_front != *side || front.state().suspect) {
            return None;
        }
        *side = side_of_front;
        queue.pop_front()
    }

    /// Adds the input of a session to the call. False when the call is to go without more.
    fn add(&self, call: &mut Call<S, W>, session: Rc<Session<S, W>>, now: Instant) -> bool {
        let mut state = session.leave_desk();
        let (window, mark) = if state.conversation.closing {
            (None, Mark::More)
        } else if !state.conversation.may_decide(&self.shared) {
            session.settle(state, true);
            return true;
        } else {
            let room = BATCH_BYTES_MAX.saturating_sub(call.batch.bytes().len()).min(WINDOW_BYTES);
            match state.conversation.window(&self.shared, room) {
                Window::Nothing => (None, Mark::More),
                Window::Input(bytes, mark) => (Some(bytes), mark),
                Window::Overlong(bytes) => (Some(bytes), Mark::Overlong),
            }
        };
        let Some(bytes) = window else {
            let unfinished = state.conversation.input.is_unfinished();
            state.patience.heard(now, false, unfinished);
            session.settle(state, false);
            return true;
        };
        let window = bytes.len();
        call.batch.push(Input { bytes, mark });
        let alone = state.suspect;
        drop(state);
        call.members.push(Member { session, window, mark });
        !alone
    }

    fn decide(&self, call: &mut Call<S, W>, at: Moment, now: Instant) {
        match self.shared.host.inputs(at, &call.batch, call.side) {
            Ok((decided_by, decision)) => {
                let Call { members, keeps, .. } = call;
                self.perform(decided_by, &decision, members, keeps, now);
            }
            // The fault was logged where it happened. It must cost only the line that brought it about.
            Err(_) => {
                let mut members = std::mem::take(&mut call.members);
                if members.len() == 1 {
                    members.drain(..).for_each(|member| self.divide(member, call, at, now));
                } else {
                    members.drain(..).for_each(|member| self.decide_alone(member, call, at, now));
                }
            }
        }
    }

    /// Decides the input of one session by itself.
    fn decide_alone(&self, member: Member<S, W>, call: &mut Call<S, W>, at: Moment, now: Instant) {
        let batch = {
            let state = member.session.state();
            let bytes = state.conversation.input.first(member.window);
            InputBatch::from_iter([Input { bytes, mark: member.mark }])
        };
        match self.shared.host.inputs(at, &batch, call.side) {
            Ok((decided_by, decision)) => self.perform(decided_by, &decision, &[member], &mut call.keeps, now),
            Err(_) => self.divide(member, call, at, now),
        }
    }

    /// The input of one session faulted by itself: decides its first half, or ends the session if it is one line.
    fn divide(&self, mut member: Member<S, W>, call: &mut Call<S, W>, at: Moment, now: Instant) {
        let mut state = member.session.state();
        match state.conversation.input.half(member.window) {
            Some(half) if member.mark != Mark::Overlong => {
                state.suspect = true;
                drop(state);
                (member.window, member.mark) = (half, Mark::More);
                self.decide_alone(member, call, at, now);
            }
            _ => {
                state.close();
                member.session.settle(state, false);
            }
        }
    }

    fn perform(
        &self,
        decided_by: GenerationId,
        decision: &Decision,
        members: &[Member<S, W>],
        keeps: &mut Vec<Kept>,
        now: Instant,
    ) {
        keeps.clear();
        for effect in &decision.effects {
            if let Effect::Keep(keep) = effect {
                self.shared.host.expect(decision.bytes(keep.key));
            }
        }
        let mut effects = decision.effects.iter();
        for Member { session, window, mark } in members {
            let mut state = session.state();
            let State { conversation, patience, .. } = &mut *state;
            for effect in effects.by_ref() {
                if let Effect::Done(progress) = effect {
                    conversation.decided(&self.shared, progress, *window, *mark);
                    let unfinished = conversation.input.is_unfinished();
                    patience.heard(now, progress.consumed > 0, unfinished);
                    break;
                }
                conversation.perform(&self.shared, decided_by, decision, effect, Place::default(), keeps);
            }
            let more = conversation.input.has_unseen();
            let closing = conversation.closing;
            state.suspect &= more;
            if closing {
                state.close();
            }
            session.settle(state, more);
        }
    }
}

impl<S: SessionsHost, W: Wire> Default for Call<S, W> {
    fn default() -> Self {
        Self { batch: InputBatch::default(), side: Side::default(), members: Vec::new(), keeps: Vec::new() }
    }
}

impl<S: SessionsHost, W: Wire> Drop for Desk<S, W> {
    fn drop(&mut self) {
        self.wake();
    }
}

/// What one call is given of one session if its first line is no longer: some sixty reports.
const WINDOW_BYTES: usize = 4 << 10;
/// What one call is given of all: two full windows. The gain of a larger batch is flat by then, and a call full of the
/// dearest commands stays far below its deadline.
const BATCH_BYTES_MAX: usize = 8 << 10;
/// Inputs in one call, as `wit/logic.wit` promises.
const INPUTS_MAX: usize = 64;
