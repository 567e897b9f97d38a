//! The batcher of a worker: decides the input of several sessions in one guest call.
//!
//! A guest call costs as much as deciding several lines, so one call takes the input of every session that is ready. No
//! session waits for company: the batcher runs after every ready session has been polled, and an idle node decides each line
//! as it arrives.
//!
//! When every live generation faults on a call, the batcher decides the inputs of the call one by one, and bisects an input
//! that faults again down to one line. That line ends its session; the other sessions lose only time. Calls that a fallback
//! decides are counted per session ([`Rescues`](super::rescues::Rescues)). A host without room for an instance costs no session:
//! its input waits.
//!
//! Owns the queue of a worker and its batch. Knows nothing of sockets, tasks and clocks. Bounds: bytes and inputs per call; one
//! queued input per session, which the session sees to.

use std::cell::{RefCell, RefMut};
use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use herd_model::{DecidedInputs, Side, Sides};
use herd_sdk::{Effect, Input, InputBatch, Mark, Moment};

use super::context::Context;
use super::input_buffer::Window;
use super::keeps::Keeps;
use super::line_trace::TracedInput;
use super::line_traces::{LineSampler, LineTraces};
use super::pending_fetch::ReplySlot;
use super::session_core::SessionCore;
use super::topics::SessionId;
use crate::host::{Provenance, SessionsHost, Undecided};

/// Port: a session, as the batcher needs it.
pub(crate) trait BatchedSession {
    fn id(&self) -> SessionId;

    fn core(&self) -> RefMut<'_, SessionCore>;

    /// Records that the session has left the queue.
    fn on_dequeued(&self);

    /// Completes the session's turn: writes its replies, and then queues it again or wakes its task if necessary. `more` is true
    /// if input may be left to decide.
    fn finish_turn(self: &Rc<Self>, more: bool);
}

/// The queue of sessions of one node on one worker whose input is to be decided.
pub(crate) struct Batcher<S, M> {
    pub(crate) context: Arc<Context<S>>,
    queue: RefCell<VecDeque<Rc<M>>>,
    call: RefCell<Call<M>>,
    /// `None` if the node does not trace.
    sampler: Option<LineSampler>,
}

/// One guest call. Reused from call to call for its allocations.
struct Call<M> {
    batch: InputBatch,
    /// One generation decides a call, so all its sessions are on one side of a canary.
    side: Side,
    /// The sessions of the batch, in its order.
    inputs: Vec<SessionInput<M>>,
    /// Their numbers, for a host that records.
    ids: Vec<u64>,
    /// The keeps of the decision that is being performed.
    keeps: Keeps,
    /// The host had no room for an instance.
    has_no_instance: bool,
}

/// One input of the call and its session.
struct SessionInput<M> {
    session: Rc<M>,
    /// Bytes at the front of the input buffer that are in the call.
    window: usize,
    mark: Mark,
}

impl<S: SessionsHost, M: BatchedSession> Batcher<S, M> {
    pub(crate) fn new(context: Arc<Context<S>>) -> Self {
        let sampler = LineSampler::of(&*context.host);
        Self { context, queue: RefCell::default(), call: RefCell::default(), sampler }
    }

    /// Queues a session. Returns true if the queue was empty: the caller then has to run the batcher.
    pub(crate) fn enqueue(&self, session: Rc<M>) -> bool {
        let mut queue = self.queue.borrow_mut();
        queue.push_back(session);
        queue.len() == 1
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.queue.borrow().is_empty()
    }

    /// Decides as much queued input as one call takes. `at` is the receipt time of all of it, `now` the same time on the
    /// monotonic clock. Returns false if the host had no room for an instance: the sessions are in the queue again, for a later
    /// call.
    pub(crate) fn decide_batch(&self, at: Moment, now: Instant) -> bool {
        let mut call = self.call.borrow_mut();
        call.has_no_instance = false;
        // Read once per call: sessions of one batch must not be split by two shares of a canary that is being widened.
        let sides = self.context.host.sides();
        while let Some(session) = self.pop_fitting(&mut call, sides) {
            if !self.push_input(&mut call, session, sides, now) {
                break;
            }
        }
        if !call.batch.is_empty() {
            self.decide_call(&mut call, at, now);
        }
        call.batch.clear();
        call.ids.clear();
        call.inputs.clear();
        !call.has_no_instance
    }

    /// Removes the front of the queue if it fits into the call. An isolated session has a call of its own; sessions of the
    /// canary and of the active generation have separate calls.
    fn pop_fitting(&self, call: &mut Call<M>, sides: Sides) -> Option<Rc<M>> {
        let Call { batch, side, .. } = call;
        if batch.len() >= INPUTS_MAX || batch.bytes().len() >= BATCH_BYTES_MAX {
            return None;
        }
        let mut queue = self.queue.borrow_mut();
        let front = queue.front()?;
        let side_of_front = sides.of(front.id().0);
        // A session that does not fit ends the batch instead of being skipped: it is first in the next call. Otherwise sessions
        // of the other side could overtake it again and again.
        if !batch.is_empty() && (side_of_front != *side || front.core().needs_own_call()) {
            return None;
        }
        *side = side_of_front;
        queue.pop_front()
    }

    /// Adds the input of a session to the call. Returns false if the call takes no further session.
    fn push_input(&self, call: &mut Call<M>, session: Rc<M>, sides: Sides, now: Instant) -> bool {
        session.on_dequeued();
        let mut core = session.core();
        let (window, mark) = if core.conversation.closing {
            (None, Mark::More)
        } else if !core.conversation.has_reply_room(&self.context) {
            // Its replies are at their limit. The session keeps its input and is queued again when its client has read some.
            drop(core);
            session.finish_turn(true);
            return true;
        } else {
            let room = BATCH_BYTES_MAX.saturating_sub(call.batch.bytes().len()).min(core.window_size.bytes());
            let conversation = &mut core.conversation;
            conversation.input.offer_to(sides.first_in_line(conversation.id.0));
            match conversation.window(&self.context, room) {
                Window::Nothing => (None, Mark::More),
                Window::Input(bytes, mark) => (Some(bytes), mark),
                Window::Overlong(bytes) => (Some(bytes), Mark::Overlong),
            }
        };
        let Some(bytes) = window else {
            // Nothing to decide yet: no whole line, or the session was closed while it was queued. No guest call, but the
            // timeout of an unfinished line starts here.
            let unfinished = core.conversation.input.has_unfinished_line();
            core.timeouts.on_input(now, false, unfinished);
            drop(core);
            session.finish_turn(false);
            return true;
        };
        let window = bytes.len();
        call.batch.push(Input { bytes, mark });
        let alone = core.needs_own_call();
        // Released before the decision: performing it borrows the core again.
        drop(core);
        call.ids.push(session.id().0);
        call.inputs.push(SessionInput { session, window, mark });
        !alone
    }

    fn decide_call(&self, call: &mut Call<M>, at: Moment, now: Instant) {
        // Only a call with input of one session: a session that is rerouted has calls of its own.
        let reroute = if let [input] = &*call.inputs { input.session.core().rescues.reroute() } else { None };
        match self.context.host.decide_inputs(at, &call.batch, &call.ids, call.side, reroute) {
            Ok(decided) => {
                let Call { inputs, keeps, .. } = call;
                self.perform(&decided, inputs, keeps, at, now);
            }
            Err(Undecided::NoInstance) => {
                let mut inputs = std::mem::take(&mut call.inputs);
                inputs.drain(..).for_each(|input| Self::defer(&input, call));
            }
            // One input of the call made every generation fault, and which one is unknown. No effect of the call was performed,
            // so each input can be decided again by itself.
            Err(Undecided::Faulted | Undecided::Gone) => {
                let mut inputs = std::mem::take(&mut call.inputs);
                // A batch of one has already been decided alone: go straight on to its halves.
                if inputs.len() == 1 {
                    inputs.drain(..).for_each(|input| self.bisect(input, call, at, now));
                } else {
                    inputs.drain(..).for_each(|input| self.decide_alone(input, call, at, now));
                }
            }
        }
    }

    /// Decides one input in a call of its own.
    fn decide_alone(&self, input: SessionInput<M>, call: &mut Call<M>, at: Moment, now: Instant) {
        let (batch, reroute) = {
            let core = input.session.core();
            let bytes = core.conversation.input.prefix(input.window);
            (InputBatch::from_iter([Input { bytes, mark: input.mark }]), core.rescues.reroute())
        };
        match self.context.host.decide_inputs(at, &batch, &[input.session.id().0], call.side, reroute) {
            Ok(decided) => self.perform(&decided, &[input], &mut call.keeps, at, now),
            Err(Undecided::NoInstance) => Self::defer(&input, call),
            Err(Undecided::Faulted | Undecided::Gone) => self.bisect(input, call, at, now),
        }
    }

    /// Queues an input again that no generation could be asked for. It stays in the buffer of its session.
    fn defer(input: &SessionInput<M>, call: &mut Call<M>) {
        call.has_no_instance = true;
        input.session.finish_turn(true);
    }

    /// Decides the first half of an input on which every generation faulted, or ends the session if the input is one line.
    ///
    /// The second half stays in the input buffer. The session is isolated until it is decided, so another fault cannot affect
    /// a batch with inputs of other sessions.
    fn bisect(&self, mut input: SessionInput<M>, call: &mut Call<M>, at: Moment, now: Instant) {
        let mut core = input.session.core();
        match core.conversation.input.split_point(input.window) {
            Some(half) if input.mark != Mark::Overlong => {
                core.isolated = true;
                drop(core);
                // The end of the input belongs to the second half, which follows in a later call.
                (input.window, input.mark) = (half, Mark::More);
                self.decide_alone(input, call, at, now);
            }
            // One line is left, or the first bytes of a line over the limit. Clients match replies to lines by order, so the
            // line cannot be skipped: the session ends.
            _ => {
                core.close();
                drop(core);
                input.session.finish_turn(false);
            }
        }
    }

    /// Performs a decision: its keeps, and then the other effects of each input in the session of that input, in order.
    fn perform(
        &self,
        decided: &DecidedInputs,
        inputs: &[SessionInput<M>],
        keeps: &mut Keeps,
        at: Moment,
        now: Instant,
    ) {
        let DecidedInputs { by, decision, .. } = decided;
        let mut traces = match &self.sampler {
            None => LineTraces::default(),
            Some(sampler) => sampler.begin(at.now_ns, decided, inputs.len()),
        };
        let permits = self.context.permissions.as_ref().map(|_| {
            // A keep behind the last input has no session that could be permitted to make it.
            |input: usize, key: &[u8]| {
                let session = inputs.get(input).map(|input| &input.session);
                session.is_some_and(|session| session.core().conversation.may_report(&self.context, key))
            }
        });
        let provenance = |input: usize| Provenance {
            generation: *by,
            client: inputs.get(input).map(|input| input.session.core().conversation.address),
            at_ns: at.now_ns,
            trace: traces.context(input),
        };
        keeps.perform(&*self.context.host, decision, permits, provenance, now);
        // The effects of all inputs are one list, in which `Done` ends those of each input. The check at the guest boundary has
        // made sure that every input has one.
        let mut effects = decision.effects.iter();
        let others = inputs.len() - 1;
        if traces.is_empty() {
            for input in inputs {
                self.perform_input(decided, input, &mut effects, others, keeps, now);
            }
            return;
        }
        for (number, trace) in traces.iter_mut() {
            trace.kept(&*self.context.host, &keeps.of_input(number));
            let core = inputs[number].session.core();
            let bytes = core.conversation.input.prefix(inputs[number].window);
            trace.note_input(TracedInput {
                bytes: bytes.len(),
                lines: bytes.iter().filter(|&&byte| byte == b'\n').count(),
            });
        }
        for (number, input) in inputs.iter().enumerate() {
            let first_fetch = input.session.core().conversation.replies.next_fetch();
            self.perform_input(decided, input, &mut effects, others, keeps, now);
            if let Some(trace) = traces.take(number) {
                input.session.core().conversation.follow(trace, first_fetch);
            }
        }
    }

    /// Performs the effects of one input, which are the next ones, in its session. `others` is the number of other inputs of the call.
    fn perform_input(
        &self,
        decided: &DecidedInputs,
        input: &SessionInput<M>,
        effects: &mut impl Iterator<Item = Effect>,
        others: usize,
        keeps: &Keeps,
        now: Instant,
    ) {
        let (DecidedInputs { by, rescued_from, decision }, SessionInput { session, window, mark }) = (decided, input);
        let mut core = session.core();
        let SessionCore { conversation, timeouts, rescues, window_size, .. } = &mut *core;
        rescues.record(*by, *rescued_from, others);
        let ends = rescues.are_too_many();
        let held_before = conversation.replies.unsent_bytes();
        for effect in effects.by_ref() {
            if let Effect::Done(progress) = effect {
                conversation.apply_progress(&self.context, *by, progress, *window, *mark);
                let unfinished = conversation.input.has_unfinished_line();
                timeouts.on_input(now, progress.consumed > 0, unfinished);
                break;
            }
            conversation.perform(&self.context, *by, decision, effect, ReplySlot::default(), keeps);
        }
        let held = conversation.replies.unsent_bytes().saturating_sub(held_before);
        window_size.on_decided(held, self.context.limits.output_bytes_max() / 2);
        // Bytes that the guest saw and left need new input before the next call.
        let more = conversation.input.has_more(self.context.limits.line_bytes_max);
        let closing = conversation.closing || ends;
        core.isolated &= more;
        if closing {
            core.close();
        }
        drop(core);
        session.finish_turn(more);
    }
}

impl<M> Default for Call<M> {
    fn default() -> Self {
        Self {
            batch: InputBatch::default(),
            side: Side::default(),
            inputs: Vec::new(),
            ids: Vec::new(),
            keeps: Keeps::default(),
            has_no_instance: false,
        }
    }
}

/// Bytes at which a call takes no further session: two full windows. A larger batch gains nothing, and a call full of the slowest
/// commands stays far below its deadline.
const BATCH_BYTES_MAX: usize = 8 << 10;
/// Inputs in one call, as `wit/logic.wit` promises.
const INPUTS_MAX: usize = 64;

#[cfg(test)]
mod tests;
