//! The conversation with one client: undecided input, unsent replies, subscriptions.
//!
//! Performs the effects of decisions, in their order. Effects are checked where they leave the guest, so the spans and ties
//! of a decision are valid here. Knows nothing of sockets and of other sessions.
//!
//! Bounds: unsent bytes, pending fetches and queued replies, above which no more input is decided.

use std::net::SocketAddr;

use herd_model::{FetchRequest, GenerationId};
use herd_sdk::{Decision, Effect, Mark, Progress};
use herd_sys::guest_log::log_note;

use crate::core::context::Context;
use crate::core::input_buffer::{InputBuffer, Window};
use crate::core::keeps::Keeps;
use crate::core::pending_fetch::{PendingFetch, ReplySlot};
use crate::core::reply_queue::ReplyQueue;
use crate::core::topics::{SessionId, Subscriptions};
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
}

impl Conversation {
    pub(crate) fn new(id: SessionId, address: SocketAddr) -> Self {
        let (input, replies) = (InputBuffer::new(), ReplyQueue::default());
        Self { id, address, input, replies, subscriptions: None, closing: false }
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

    /// Returns the input to decide next, about `bytes` bytes of it.
    pub(crate) fn window<S: SessionsHost>(&mut self, context: &Context<S>, bytes: usize) -> Window<'_> {
        self.input.window(context.limits.line_bytes_max, bytes)
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
            Effect::Reply(reply) => {
                let refused = reply.tie.filter(|&tie| !keeps.accepts(tie));
                self.replies.push(decision.bytes(refused.map_or(reply.bytes, |tie| tie.otherwise)));
            }
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

    fn subscribe<S: SessionsHost>(&mut self, context: &Context<S>, topic: &[u8]) {
        let (id, pushes_max) = (self.id, context.limits.pushes_max);
        let subscriptions = self.subscriptions.get_or_insert_with(|| Box::new(Subscriptions::new(id, pushes_max)));
        if !subscriptions.subscribe(&context.topics, topic) {
            tracing::debug!(client.addr = %self.address, "subscription refused: the session has too many topics");
        }
    }
}

/// Fetches under way in one session. One read may bring more `WHATSAT`s; those start as others end.
pub(crate) const FETCHES_MAX: usize = 16;
/// Replies and fetches that wait behind a pending fetch; above it, no more input is decided.
const QUEUED_MAX: usize = 1024;
