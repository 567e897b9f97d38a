//! The batcher of a worker: decides the input of its sessions together.
//!
//! A guest call costs as much as deciding several lines, so one call takes the input of every session that was found
//! ready at once. No session waits for company: the batcher runs when every ready session has been polled, and an idle node
//! decides each line as it arrives.
//!
//! When every live generation faults on a call, its inputs are decided one by one, and the one on which they still fault is
//! halved until one line is left. That line ends its session; the other sessions lose only time.
//!
//! Knows nothing of sockets, tasks and clocks. Bounds: bytes and inputs per call; one queued input per session.

use std::cell::{RefCell, RefMut};
use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use herd_model::{GenerationId, Kept, Side, Sides};
use herd_sdk::{Decision, Effect, Input, InputBatch, Mark, Moment};

use super::context::Context;
use super::input_buffer::Window;
use super::reply_queue::ReplySlot;
use super::session_core::SessionCore;
use super::topics::SessionId;
use crate::host::SessionsHost;

/// A session, as the batcher sees it.
pub(crate) trait BatchedSession {
    fn id(&self) -> SessionId;

    fn core(&self) -> RefMut<'_, SessionCore>;

    /// Notes that the session is not queued any more.
    fn on_dequeued(&self);

    /// Completes a turn: writes the replies, and queues the session again or wakes its task where that is needed. `more` if
    /// there may be more to decide.
    fn finish_turn(self: &Rc<Self>, more: bool);
}

/// Sessions of one node on one worker whose input waits to be decided.
pub(crate) struct Batcher<S, M> {
    pub(crate) context: Arc<Context<S>>,
    queue: RefCell<VecDeque<Rc<M>>>,
    call: RefCell<Call<M>>,
}

/// One call of a guest. Reused from call to call for its allocations.
struct Call<M> {
    batch: InputBatch,
    /// One generation decides a call, so all its sessions are on one side.
    side: Side,
    inputs: Vec<SessionInput<M>>,
    keeps: Vec<Kept>,
}

/// A session with an input in the call.
struct SessionInput<M> {
    session: Rc<M>,
    window: usize,
    mark: Mark,
}

impl<S: SessionsHost, M: BatchedSession> Batcher<S, M> {
    pub(crate) fn new(context: Arc<Context<S>>) -> Self {
        Self { context, queue: RefCell::default(), call: RefCell::default() }
    }

    /// Queues the input of a session. True if nothing was queued before: then the batcher has to be run.
    pub(crate) fn enqueue(&self, session: Rc<M>) -> bool {
        let mut queue = self.queue.borrow_mut();
        queue.push_back(session);
        queue.len() == 1
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.queue.borrow().is_empty()
    }

    /// Decides queued input, as much of it as one call takes.
    pub(crate) fn decide_batch(&self, at: Moment, now: Instant) {
        let mut call = self.call.borrow_mut();
        let sides = self.context.host.sides();
        while let Some(session) = self.pop_fitting(&mut call, sides) {
            if !self.push_input(&mut call, session, now) {
                break;
            }
        }
        if !call.batch.is_empty() {
            self.decide_call(&mut call, at, now);
        }
        call.batch.clear();
        call.inputs.clear();
    }

    /// Takes the next session whose input fits into the call. A session on which a guest faulted has a call to itself, and
    /// so have the sessions for which a canary decides.
    fn pop_fitting(&self, call: &mut Call<M>, sides: Sides) -> Option<Rc<M>> {
        let Call { batch, side, .. } = call;
        if batch.len() >= INPUTS_MAX || batch.bytes().len() >= BATCH_BYTES_MAX {
            return None;
        }
        let mut queue = self.queue.borrow_mut();
        let front = queue.front()?;
        let side_of_front = sides.of(front.id().0);
        // The queue keeps its order: a session that does not fit into this call is first in the next one, and is not
        // overtaken again and again by those of the other side.
        if !batch.is_empty() && (side_of_front != *side || front.core().isolated) {
            return None;
        }
        *side = side_of_front;
        queue.pop_front()
    }

    /// Adds the input of a session to the call. False when the call has to go without more.
    fn push_input(&self, call: &mut Call<M>, session: Rc<M>, now: Instant) -> bool {
        session.on_dequeued();
        let mut core = session.core();
        let (window, mark) = if core.conversation.closing {
            (None, Mark::More)
        } else if !core.conversation.has_reply_room(&self.context) {
            // Replies are in the way. The session keeps its input and comes back when its client has taken some.
            drop(core);
            session.finish_turn(true);
            return true;
        } else {
            let room = BATCH_BYTES_MAX.saturating_sub(call.batch.bytes().len()).min(WINDOW_BYTES);
            match core.conversation.window(&self.context, room) {
                Window::Nothing => (None, Mark::More),
                Window::Input(bytes, mark) => (Some(bytes), mark),
                Window::Overlong(bytes) => (Some(bytes), Mark::Overlong),
            }
        };
        let Some(bytes) = window else {
            let unfinished = core.conversation.input.has_unfinished_line();
            core.timeouts.on_input(now, false, unfinished);
            drop(core);
            session.finish_turn(false);
            return true;
        };
        let window = bytes.len();
        call.batch.push(Input { bytes, mark });
        let alone = core.isolated;
        drop(core);
        call.inputs.push(SessionInput { session, window, mark });
        !alone
    }

    fn decide_call(&self, call: &mut Call<M>, at: Moment, now: Instant) {
        match self.context.host.decide_inputs(at, &call.batch, call.side) {
            Ok((decided_by, decision)) => {
                let Call { inputs, keeps, .. } = call;
                self.perform(decided_by, &decision, inputs, keeps, now);
            }
            // One input of the call is at fault, and which one is not known: a fault must cost only the line that caused it.
            Err(_) => {
                let mut inputs = std::mem::take(&mut call.inputs);
                if inputs.len() == 1 {
                    inputs.drain(..).for_each(|input| self.bisect(input, call, at, now));
                } else {
                    inputs.drain(..).for_each(|input| self.decide_alone(input, call, at, now));
                }
            }
        }
    }

    /// Decides the input of one session by itself.
    fn decide_alone(&self, input: SessionInput<M>, call: &mut Call<M>, at: Moment, now: Instant) {
        let batch = {
            let core = input.session.core();
            let bytes = core.conversation.input.prefix(input.window);
            InputBatch::from_iter([Input { bytes, mark: input.mark }])
        };
        match self.context.host.decide_inputs(at, &batch, call.side) {
            Ok((decided_by, decision)) => self.perform(decided_by, &decision, &[input], &mut call.keeps, now),
            Err(_) => self.bisect(input, call, at, now),
        }
    }

    /// Decides the first half of an input on which every generation faulted, or ends the session if it is one line.
    ///
    /// The second half stays in the input buffer. Its session is isolated until it is decided, so it cannot take the inputs of
    /// other sessions along when it faults again.
    fn bisect(&self, mut input: SessionInput<M>, call: &mut Call<M>, at: Moment, now: Instant) {
        let mut core = input.session.core();
        match core.conversation.input.split_point(input.window) {
            Some(half) if input.mark != Mark::Overlong => {
                core.isolated = true;
                drop(core);
                (input.window, input.mark) = (half, Mark::More);
                self.decide_alone(input, call, at, now);
            }
            _ => {
                core.close();
                drop(core);
                input.session.finish_turn(false);
            }
        }
    }

    fn perform(
        &self,
        decided_by: GenerationId,
        decision: &Decision,
        inputs: &[SessionInput<M>],
        keeps: &mut Vec<Kept>,
        now: Instant,
    ) {
        keeps.clear();
        // A pass ahead of the effects, so that the waits for the memory of the records overlap.
        for effect in &decision.effects {
            if let Effect::Keep(keep) = effect {
                self.context.host.prefetch(decision.bytes(keep.key));
            }
        }
        // The effects of all inputs are one list; `Done` ends those of each.
        let mut effects = decision.effects.iter();
        for SessionInput { session, window, mark } in inputs {
            let mut core = session.core();
            let SessionCore { conversation, timeouts, .. } = &mut *core;
            for effect in effects.by_ref() {
                if let Effect::Done(progress) = effect {
                    conversation.apply_progress(&self.context, progress, *window, *mark);
                    let unfinished = conversation.input.has_unfinished_line();
                    timeouts.on_input(now, progress.consumed > 0, unfinished);
                    break;
                }
                conversation.perform(&self.context, decided_by, decision, effect, ReplySlot::default(), keeps);
            }
            let more = conversation.input.has_unscanned();
            let closing = conversation.closing;
            core.isolated &= more;
            if closing {
                core.close();
            }
            drop(core);
            session.finish_turn(more);
        }
    }
}

impl<M> Default for Call<M> {
    fn default() -> Self {
        Self { batch: InputBatch::default(), side: Side::default(), inputs: Vec::new(), keeps: Vec::new() }
    }
}

/// Bytes that one call takes of one session, unless its first line is longer: some sixty reports.
const WINDOW_BYTES: usize = 4 << 10;
/// Bytes that one call takes of all sessions: two full windows. A larger batch gains nothing, and a call full of the
/// slowest commands stays far below its deadline.
const BATCH_BYTES_MAX: usize = 8 << 10;
/// Inputs in one call, as `wit/logic.wit` promises.
const INPUTS_MAX: usize = 64;
