//! Performs the effects of a decision for a session, in their order. They have been checked where they left the
//! guest, so spans and ties hold here.

use herd_sdk::{Decision, Effect, Level, Note};

use super::replies::{Place, Waiting};
use super::session::Session;
use super::surroundings::{Asked, KeepRequest, Surroundings};
use super::topics::Subscriptions;
use crate::records::Kept;
use crate::runtime::{GenerationId, admits_guest_line};

impl<S: Surroundings> Session<S> {
    /// Performs a decision of a generation. Fetches hold the place that it answers into, or one of their own.
    pub(super) fn perform(&mut self, decided_by: GenerationId, decision: &Decision, place: Place) {
        let mut keeps: Vec<(u32, Kept)> = Vec::new();
        for (effect, index) in decision.effects.iter().zip(0..) {
            match effect {
                Effect::Reply(reply) => {
                    let refused = reply.tie.filter(|tie| outcome(&keeps, tie.keep) == Kept::NoRoom);
                    self.replies.push(decision.bytes(refused.map_or(reply.bytes, |tie| tie.otherwise)));
                }
                Effect::Keep(keep) => {
                    let kept = self.shared.surroundings.keep(KeepRequest {
                        key: decision.bytes(keep.key),
                        rank: decision.bytes(keep.rank),
                        form: keep.form,
                        record: decision.bytes(keep.bytes),
                        fan_out: &keep.fan_out,
                    });
                    keeps.push((index, kept));
                }
                Effect::Fetch(fetch) => self.replies.push_waiting(Waiting {
                    asked_by: decided_by,
                    asked: Some(Asked {
                        upstream: decision.bytes(fetch.upstream).into(),
                        method: fetch.method,
                        path: decision.bytes(fetch.path).into(),
                        body: decision.bytes(fetch.body).into(),
                    }),
                    token: decision.bytes(fetch.token).into(),
                    otherwise: decision.bytes(fetch.otherwise).into(),
                    place,
                }),
                Effect::Subscribe(topic) => self.subscribe(decision.bytes(*topic)),
                Effect::Unsubscribe(topic) => {
                    if let Some(subscriptions) = &mut self.subscriptions {
                        subscriptions.unsubscribe(&self.shared.topics, decision.bytes(*topic));
                    }
                }
                Effect::Publish(publish) => {
                    let applied = |keep| matches!(outcome(&keeps, keep), Kept::Applied(_));
                    if publish.tie.is_none_or(applied) {
                        self.shared.topics.publish(decision.bytes(publish.topic), decision.bytes(publish.bytes));
                    }
                }
                Effect::Close => self.close(),
                Effect::Note(note) => log_note(decision, note, decided_by),
            }
        }
    }

    fn subscribe(&mut self, topic: &[u8]) {
        let id = self.id;
        let pushes_max = self.shared.limits.pushes_max;
        let subscriptions = self.subscriptions.get_or_insert_with(|| Box::new(Subscriptions::new(id, pushes_max)));
        if !subscriptions.subscribe(&self.shared.topics, topic) {
            tracing::debug!(client.addr = %self.address, "a session is on too many topics; one more was not joined");
        }
    }
}

/// Writes a note of a guest into the log.
pub(crate) fn log_note(decision: &Decision, note: &Note, decided_by: GenerationId) {
    if !admits_guest_line() {
        return;
    }
    let text = decision.bytes(note.text);
    let text = String::from_utf8_lossy(&text[..text.len().min(NOTE_BYTES_MAX)]);
    let text = text.escape_debug();
    match note.level {
        Level::Debug => tracing::debug!(target: "guest", generation = %decided_by, "guest: {text}"),
        Level::Info => tracing::info!(target: "guest", generation = %decided_by, "guest: {text}"),
        Level::Warn => tracing::warn!(target: "guest", generation = %decided_by, "guest: {text}"),
    }
}

/// What became of a keep. A tie comes right after its keep, so the search from the back ends at once.
fn outcome(keeps: &[(u32, Kept)], keep: u32) -> Kept {
    keeps.iter().rev().find(|(index, _)| *index == keep).map_or(Kept::Outranked, |(_, kept)| *kept)
}

const NOTE_BYTES_MAX: usize = 1 << 10;
