//! The conversation with one client: undecided input, unsent replies, subscriptions.
//!
//! Performs the effects of decisions, in their order. Effects are checked where they leave the guest, so the spans and ties
//! of a decision are valid here. Knows nothing of sockets and of other sessions.
//!
//! Bounds: unsent bytes, pending fetches and queued replies, above which no more input is decided. Replies that wait for the
//! disk or for peers count as queued, so a slow disk is back pressure to each client.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use herd_model::{FetchRequest, GenerationId};
use herd_sdk::{Decision, Effect, Mark, Progress, Reply};
use herd_sys::guest_log::log_note;

use crate::core::context::Context;
use crate::core::input_buffer::{InputBuffer, Window};
use crate::core::keeps::{Keeps, Tied};
use crate::core::line_trace::LineTrace;
use crate::core::pending_fetch::{FetchId, PendingFetch, ReplySlot, SLOT_TIMEOUT, StartedFetch};
use crate::core::permissions::{NamePatterns, Permission, TOKEN_REFUSED};
use crate::core::reply_queue::ReplyQueue;
use crate::core::timeouts::WaitingFor;
use crate::core::topics::{SessionId, Subscriptions};
use crate::core::waiting_reply::WaitingReply;
use crate::host::SessionsHost;

/// Input, replies and subscriptions of one client.
pub(crate) struct Conversation {
    pub(crate) id: SessionId,
    pub(crate) address: SocketAddr,
    pub(crate) input: InputBuffer,
    pub(crate) replies: ReplyQueue,
    /// Absent until the first subscription: most sessions have none.
    pub(crate) subscriptions: Option<Box<Subscriptions>>,
    /// No more input is decided; the session ends once its replies are written.
    pub(crate) closing: bool,
    /// None until the first line, and for good where everybody may report under every name.
    permitted: Option<Arc<NamePatterns>>,
    /// Of the input whose replies are not all written. Boxed, and absent for nearly every session at nearly every time.
    pub(crate) trace: Option<Box<LineTrace>>,
}

impl Conversation {
    pub(crate) fn new(id: SessionId, address: SocketAddr) -> Self {
        let (input, replies) = (InputBuffer::new(), ReplyQueue::default());
        Self { id, address, input, replies, subscriptions: None, closing: false, permitted: None, trace: None }
    }

    /// Returns whether the replies are below their limits, so that more input may be decided.
    ///
    /// The limits are checked before a call and not within it: a decision is performed whole, so they can be exceeded by what
    /// one window of input brings.
    pub(crate) fn has_reply_room<S: SessionsHost>(&self, context: &Context<S>) -> bool {
        self.replies.unsent_bytes() < context.limits.output_bytes_max()
            && self.replies.pending_fetches() < FETCHES_MAX
            && self.replies.queued() < QUEUED_MAX
    }

    /// Returns the source of the next event, provided that input is read.
    pub(crate) fn waits_for(&self) -> WaitingFor {
        let subscribed = self.subscriptions.as_ref().is_some_and(|subscriptions| subscriptions.is_subscribed());
        let waits_for_reply = self.replies.pending_fetches() > 0 || self.replies.confirmation_deadline().is_some();
        if subscribed || waits_for_reply { WaitingFor::Other } else { WaitingFor::Client }
    }

    /// Returns the input to decide next, about `bytes` bytes of it.
    pub(crate) fn window<S: SessionsHost>(&mut self, context: &Context<S>, bytes: usize) -> Window<'_> {
        if let Some(permissions) = context.permissions.as_ref().filter(|_| self.permitted.is_none()) {
            match permissions.take(&mut self.input) {
                Permission::Granted(names) => self.permitted = Some(names),
                Permission::Unknown => return Window::Nothing,
                Permission::Refused => {
                    tracing::debug!(node = %context.host.node(), client.addr = %self.address, "token refused");
                    self.replies.push(TOKEN_REFUSED);
                    self.close();
                    return Window::Nothing;
                }
            }
        }
        self.input.window(context.limits.line_bytes_max, bytes)
    }

    /// Returns whether the session may report under a name, and counts it if not.
    pub(crate) fn may_report<S: SessionsHost>(&self, context: &Context<S>, name: &[u8]) -> bool {
        let may = self.permitted.as_ref().is_some_and(|names| names.contains(name));
        if !may {
            context.not_permitted.fetch_add(1, Ordering::Relaxed);
        }
        may
    }

    /// Discards undecided input. The session ends once its replies are written.
    pub(crate) fn close(&mut self) {
        self.closing = true;
        self.input.clear();
    }

    /// Applies the progress of a decision of a generation on a window of this many bytes.
    pub(crate) fn apply_progress<S: SessionsHost>(
        &mut self,
        context: &Context<S>,
        decided_by: GenerationId,
        progress: Progress,
        window: usize,
        mark: Mark,
    ) {
        // Before `consume`, which removes the bytes.
        if let Some(traffic) = context.host.traffic() {
            traffic.received(self.id.0, self.address, self.input.prefix(progress.consumed));
        }
        self.input.consume(decided_by, progress, window);
        match mark {
            // The rest of the line may be of any length and is not read, so nothing behind it can be decided.
            Mark::Overlong => self.close(),
            // A close effect came before this point, when the input was not consumed yet and could not be cleared.
            _ if self.closing => self.close(),
            // No delimiter will follow: bytes that the guest left are not a command.
            Mark::End => self.input.clear(),
            Mark::More => {}
        }
    }

    /// Performs an effect of a decision of a generation whose keeps were performed before. A fetch inherits `slot`, the slot of
    /// the fetch that the decision answers, or begins a new one.
    pub(crate) fn perform<S: SessionsHost>(
        &mut self,
        context: &Context<S>,
        decided_by: GenerationId,
        decision: &Decision,
        effect: Effect,
        slot: ReplySlot,
        keeps: &Keeps,
    ) {
        match effect {
            Effect::Reply(reply) => self.reply(context, decision, reply, keeps),
            Effect::Fetch(fetch) => self.replies.push_fetch(PendingFetch {
                generation: decided_by,
                request: Some(FetchRequest {
                    upstream: decision.bytes(fetch.upstream).into(),
                    method: fetch.method,
                    path: decision.bytes(fetch.path).into(),
                    body: decision.bytes(fetch.body).into(),
                }),
                token: decision.bytes(fetch.token).into(),
                otherwise: decision.bytes(fetch.otherwise).into(),
                slot,
            }),
            Effect::Subscribe(topic) => self.subscribe(context, decision.bytes(topic)),
            Effect::Unsubscribe(topic) => {
                if let Some(subscriptions) = &mut self.subscriptions {
                    subscriptions.unsubscribe(&context.topics, decision.bytes(topic));
                }
            }
            Effect::Publish(publish) => {
                if publish.tie.is_none_or(|keep| keeps.is_applied(keep)) {
                    context.topics.publish(decision.bytes(publish.topic), decision.bytes(publish.bytes));
                }
            }
            // Not `close()`, which would clear the input: `Done` still follows and counts the bytes that were consumed.
            Effect::Close => self.closing = true,
            Effect::Note(note) => log_note(context.host.node(), decision, note, decided_by),
            Effect::Keep(_) | Effect::Done(_) | Effect::Refuse(_) => {}
        }
    }

    fn reply<S: SessionsHost>(&mut self, context: &Context<S>, decision: &Decision, reply: Reply, keeps: &Keeps) {
        let bytes = decision.bytes(reply.bytes);
        let Some(tie) = reply.tie else { return self.replies.push(bytes) };
        match keeps.tied(&*context.host, tie) {
            Tied::Accepted => self.replies.push(bytes),
            Tied::Refused => {
                self.replies.push(decision.bytes(tie.otherwise));
                self.count_unconfirmed(context, 1);
            }
            Tied::Waits(ticket, deadline) => {
                let otherwise = decision.bytes(tie.otherwise);
                self.replies.push_waiting(WaitingReply::new(ticket, deadline, bytes, otherwise));
            }
        }
    }

    /// Starts the next fetch that holds a reply slot, while the output has room for its answer and fewer than [`FETCHES_MAX`] are
    /// under way. The others start when a later call finds room. The fetch at the head always starts.
    pub(crate) fn start_fetch<S: SessionsHost>(
        &mut self,
        context: &Context<S>,
        under_way: usize,
        now: Instant,
    ) -> Option<StartedFetch> {
        let has_room = under_way < FETCHES_MAX && self.replies.unsent_bytes() < context.limits.output_bytes_max();
        // The room frees up only when the replies at the head go out, and they wait for this fetch. It may be the second
        // of its slot, after replies have gathered behind the first.
        if !has_room && !self.replies.is_head_unstarted() {
            return None;
        }
        let (id, request, fetch) = self.replies.start_next()?;
        // One deadline per slot, set by its first fetch and inherited by the fetches that follow it. A deadline per fetch
        // would let a guest that tries one source after another hold up the replies behind the slot for minutes. The
        // time starts here and not at the effect, so a fetch does not lose time while it waits for others to end.
        let deadline = *fetch.slot.deadline.get_or_insert_with(|| now + SLOT_TIMEOUT);
        if let Some(trace) = self.trace.as_deref_mut().filter(|trace| trace.owns(id)) {
            trace.fetch_begins(id, &request.upstream);
        }
        Some(StartedFetch { id, request, deadline })
    }

    /// Moves replies to the output whose wait is over, and those behind them. Returns whether a reply had waited.
    pub(crate) fn release_replies<S: SessionsHost>(&mut self, context: &Context<S>, now: Instant) -> bool {
        if let Some(trace) = &mut self.trace {
            trace.observe(&*context.host);
        }
        let released = self.replies.release(now, |ticket| context.host.confirmation(ticket));
        if released.refused > 0 {
            self.count_unconfirmed(context, released.refused);
        }
        if released.has_traced {
            self.trace.iter_mut().for_each(|trace| trace.released(released.refused));
        }
        released.settled > 0
    }

    /// Follows the replies of an input that is traced and was just performed, with its fetches from the number `first` on. A session that is
    /// traced already has one trace at a time: that of the later input ends here.
    pub(crate) fn follow(&mut self, mut trace: Box<LineTrace>, first: FetchId) {
        trace.own_fetches(first, self.replies.next_fetch());
        if self.replies.is_empty() {
            trace.released_at_once();
            return trace.end();
        }
        if self.trace.is_some() {
            return trace.end();
        }
        if !self.replies.mark_end_of_traced() {
            trace.released_at_once();
        }
        self.trace = Some(trace);
    }

    /// Notes in the trace what the decision of a generation on an answer made, with its fetches from the number `first` on.
    pub(crate) fn answer_traced(&mut self, by: GenerationId, first: FetchId) {
        let next = self.replies.next_fetch();
        if let Some(trace) = &mut self.trace {
            trace.answer_decided(by);
            trace.own_fetches(first, next);
        }
    }

    /// Ends the trace once the replies of its input are written. To be called where a reply leaves that did not leave at once.
    pub(crate) fn end_trace(&mut self) {
        let is_written = self.replies.unwritten().is_empty();
        if let Some(trace) = self.trace.take_if(|trace| is_written && trace.is_released()) {
            trace.end();
        }
    }

    /// Counts replies whose fallback is sent.
    fn count_unconfirmed<S: SessionsHost>(&self, context: &Context<S>, replies: usize) {
        context.unconfirmed.fetch_add(replies as u64, Ordering::Relaxed);
        tracing::debug!(node = %context.host.node(), client.addr = %self.address, replies, "record not confirmed, fallback reply sent");
    }

    fn subscribe<S: SessionsHost>(&mut self, context: &Context<S>, topic: &[u8]) {
        let (id, pushes_max) = (self.id, context.limits.pushes_max);
        let subscriptions = self.subscriptions.get_or_insert_with(|| Box::new(Subscriptions::new(id, pushes_max)));
        if !subscriptions.subscribe(&context.topics, topic) {
            tracing::debug!(node = %context.host.node(), client.addr = %self.address, "subscription refused: the session has too many topics");
        }
    }
}

/// Fetches under way in one session. One read may bring more `WHATSAT`s; those start as others end.
pub(crate) const FETCHES_MAX: usize = 16;
/// Replies and fetches from the first pending fetch or waiting reply on; above it, no more input is decided.
const QUEUED_MAX: usize = 1024;
