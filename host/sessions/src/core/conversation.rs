//! A session without its socket: what came and is not decided, what was decided and is not out.
//!
//! It performs the effects of a decision, in their order. They have been checked where they left the guest, so spans and
//! ties hold here.

use std::net::SocketAddr;

use herd_sdk::{Decision, Effect, FanOut, Mark, Progress};

use crate::core::context::Context;
use crate::core::input_buffer::{InputBuffer, Window};
use crate::core::reply_queue::{PendingFetch, ReplyQueue, ReplySlot};
use crate::core::topics::{SessionId, Subscriptions};
use crate::host::{KeepRequest, SessionsHost};
use herd_model::FetchRequest;
use herd_model::GenerationId;
use herd_model::Kept;
use herd_sys::guest_log::log_note;

/// What one client and a node have to say to each other.
pub(crate) struct Conversation {
    pub(crate) id: SessionId,
    pub(crate) address: SocketAddr,
    pub(crate) input: InputBuffer,
    pub(crate) replies: ReplyQueue,
    pub(crate) subscriptions: Option<Box<Subscriptions>>,
    pub(crate) closing: bool,
}

impl Conversation {
    pub(crate) fn new(id: SessionId, address: SocketAddr) -> Self {
        let (input, replies) = (InputBuffer::new(), ReplyQueue::default());
        Self { id, address, input, replies, subscriptions: None, closing: false }
    }

    /// Whether there is room for what more input would bring.
    pub(crate) fn has_reply_room<S: SessionsHost>(&self, context: &Context<S>) -> bool {
        self.replies.unsent_bytes() < context.limits.output_bytes_max()
            && self.replies.pending_fetches() < FETCHES_MAX
            && self.replies.queued() < QUEUED_MAX
    }

    /// What to decide next, about so many bytes of it.
    pub(crate) fn window<S: SessionsHost>(&self, context: &Context<S>, bytes: usize) -> Window<'_> {
        self.input.window(context.limits.line_bytes_max, bytes)
    }

    /// No more input is decided; the session ends once its replies are out.
    pub(crate) fn close(&mut self) {
        self.closing = true;
        self.input.clear();
    }

    /// A window of this many bytes is decided.
    pub(crate) fn apply_progress<S: SessionsHost>(
        &mut self,
        context: &Context<S>,
        progress: Progress,
        window: usize,
        mark: Mark,
    ) {
        if let Some(traffic) = context.host.traffic() {
            traffic.received(self.id.0, self.address, self.input.prefix(progress.consumed));
        }
        self.input.consume(progress.consumed, window, progress.awaits);
        match mark {
            Mark::Overlong => self.close(),
            _ if self.closing => self.close(),
            Mark::End => self.input.clear(),
            Mark::More => {}
        }
    }

    /// Performs an effect of a decision of a generation. Fetches hold the slot that it answers into, or one of their own.
    /// `keeps` holds what became of the keeps of the decision so far.
    pub(crate) fn perform<S: SessionsHost>(
        &mut self,
        context: &Context<S>,
        decided_by: GenerationId,
        decision: &Decision,
        effect: Effect,
        slot: ReplySlot,
        keeps: &mut Vec<Kept>,
    ) {
        match effect {
            Effect::Reply(reply) => {
                let refused = reply.tie.filter(|tie| keeps[tie.keep as usize] == Kept::NoRoom);
                self.replies.push(decision.bytes(refused.map_or(reply.bytes, |tie| tie.otherwise)));
            }
            Effect::Keep(keep) => keeps.push(context.host.keep(KeepRequest {
                key: decision.bytes(keep.key),
                rank: decision.bytes(keep.rank),
                form: keep.form,
                record: decision.bytes(keep.bytes),
                only: match keep.fan_out {
                    FanOut::Everyone => None,
                    FanOut::TheseFirst(peers) => Some(decision.bytes(peers)),
                },
            })),
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
                let applied = |keep: u32| matches!(keeps[keep as usize], Kept::Applied(_));
                if publish.tie.is_none_or(applied) {
                    context.topics.publish(decision.bytes(publish.topic), decision.bytes(publish.bytes));
                }
            }
            // What of the input was consumed is said at its end.
            Effect::Close => self.closing = true,
            Effect::Note(note) => log_note(decision, note, decided_by),
            Effect::Done(_) | Effect::Refuse(_) => {}
        }
    }

    fn subscribe<S: SessionsHost>(&mut self, context: &Context<S>, topic: &[u8]) {
        let (id, pushes_max) = (self.id, context.limits.pushes_max);
        let subscriptions = self.subscriptions.get_or_insert_with(|| Box::new(Subscriptions::new(id, pushes_max)));
        if !subscriptions.subscribe(&context.topics, topic) {
            tracing::debug!(client.addr = %self.address, "a session is on too many topics; one more was not joined");
        }
    }
}

/// Fetches under way in one session. A read may bring more `WHATSAT`s than that; they start as others end.
pub(crate) const FETCHES_MAX: usize = 16;
/// ReplyQueue and fetches that wait for one another; above it, nothing more is decided.
const QUEUED_MAX: usize = 1024;
