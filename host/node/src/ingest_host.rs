//! Adapter of the node to [`IngestHost`]: what the ingest of peers' reports reaches of it.
//!
//! Owns no state. Bounds: none here; ingest bounds reports per decision, and the sandbox bounds effects.

use std::sync::Arc;

use herd_model::{GenerationId, TraceContext};
use herd_replication::{IngestHost, NotDecided, TracedHop};
use herd_runtime::{Fault, GenerationRegistry};
use herd_sdk::{Decision, Effect, Report};
use herd_sessions::Topics;
use herd_sys::guest_log::log_note;
use herd_sys::{Tracer, clock};

use crate::traces::record_hop;

/// Decides with the live generations, publishes to the topics of sessions.
pub(crate) struct IngestAdapter {
    pub(crate) node: String,
    pub(crate) generations: Arc<GenerationRegistry>,
    pub(crate) topics: Arc<Topics>,
    pub(crate) tracer: Option<Tracer>,
}

impl IngestHost for IngestAdapter {
    fn decide(&self, reports: &[Report<'_>]) -> Result<(GenerationId, Decision), NotDecided> {
        // Only a missing instance is told apart: it is the host's fault, and the reports must not be quarantined for it.
        self.generations.reports(clock::now(), reports).map_err(|fault| match fault {
            Fault::NoInstance(_) => NotDecided::NoInstance,
            _ => NotDecided::Faulted,
        })
    }

    /// Performs publishes and notes. Refusals are the business of ingest, and a decision on reports has no other effects: the
    /// sandbox has checked that.
    fn perform(&self, decided_by: GenerationId, decision: &Decision, applied: &[bool]) {
        for effect in &decision.effects {
            match effect {
                Effect::Publish(publish) => {
                    // A publish that is tied to a report goes out only if the report was applied, or sessions would be
                    // told of a record that the node does not show.
                    let applied = |index: u32| applied.get(index as usize).copied().unwrap_or_default();
                    if publish.tie.is_none_or(applied) {
                        self.topics.publish(decision.bytes(publish.topic), decision.bytes(publish.bytes));
                    }
                }
                Effect::Note(note) => log_note(&self.node, decision, note, decided_by),
                _ => {}
            }
        }
    }

    fn now_ns(&self) -> u64 {
        clock::unix_now_ns()
    }

    fn trace_on(&self, came: TraceContext) -> Option<TraceContext> {
        self.tracer.as_ref().map(|tracer| tracer.span_of(came.trace))
    }

    fn traced(&self, hop: &TracedHop<'_>) {
        self.tracer.iter().for_each(|tracer| record_hop(tracer, hop));
    }
}
