//! Reactions of a node to what its generations do by themselves.

use std::sync::{Arc, Weak};

use herd_audit::{AuditLog, Entry, Stage, THE_NODE_ITSELF};
use herd_replication::Ingest;
use herd_rollout::{Rollout, SwapId};
use herd_runtime::{GenerationRegistry, GenerationStatus, Observer, SavedCase};
use herd_sys::workers;

use crate::activation_marks::NO_SWAP;
use crate::audit_events::entry;
use crate::discards::Discards;
use crate::ingest_host::IngestAdapter;

/// Writes audit entries and tells the rollout. What takes long goes to a thread of its own: most calls come from workers.
pub(crate) struct NodeObserver {
    pub(crate) node: String,
    pub(crate) audit: Arc<AuditLog>,
    pub(crate) rollout: Arc<Rollout>,
    pub(crate) ingest: Arc<Ingest<IngestAdapter>>,
    pub(crate) generations: Weak<GenerationRegistry>,
    pub(crate) discards: Arc<Discards>,
}

impl Observer for NodeObserver {
    fn probation_failed(&self, failed: &GenerationStatus, active: &GenerationStatus, why: &str) {
        if let Ok(digest) = failed.digest.parse() {
            self.rollout.rolled_back(digest, why);
        }
        let rolled_back = entry(THE_NODE_ITSELF, Stage::RolledBack, failed);
        self.audit.append_soon(rolled_back.because(why));
        self.audit.append_soon(entry(THE_NODE_ITSELF, Stage::Active, active).because("rolled back to"));
        // Offering quarantined reports calls the guest, marks wait for calls, and this runs inside a decision of a worker.
        let (ingest, discards, back) = (Arc::clone(&self.ingest), Arc::clone(&self.discards), active.digest.parse());
        let offer = move || {
            if let Ok(digest) = back {
                discards.rolled_back(SwapId { number: NO_SWAP, digest });
            }
            ingest.offer_quarantined(workers::index());
        };
        if let Err(error) = std::thread::Builder::new().name("herd-requeue".into()).spawn(offer) {
            tracing::warn!(node = %self.node, %error, "quarantined reports wait for the next swap");
        }
    }

    fn case_saved(&self, saved: &SavedCase) {
        let SavedCase { guest, fault, path } = saved;
        let why = format!("{fault}; saved as {}", path.display());
        self.audit.append_soon(entry(THE_NODE_ITSELF, Stage::Faulted, guest).because(&why));
    }

    fn canary_ended(&self, candidate: &GenerationStatus, why: &str) {
        self.ended(Stage::Canary, candidate, why);
        // If it failed, the node refuses it from now on, also after a restart.
        self.rollout.guest_failed();
        // Waits until no call holds the canary, which may be the call that ended it.
        let Some(generations) = self.generations.upgrade() else { return };
        let drain = move || generations.drain_retired();
        if let Err(error) = std::thread::Builder::new().name("herd-retire".into()).spawn(drain) {
            tracing::warn!(node = %self.node, %error, "a canary that ended stays in memory until the next swap");
        }
    }

    fn shadow_ended(&self, candidate: &GenerationStatus, why: &str) {
        self.ended(Stage::Shadow, candidate, why);
    }
}

impl NodeObserver {
    fn ended(&self, stage: Stage, candidate: &GenerationStatus, why: &str) {
        let ended: Entry = entry(THE_NODE_ITSELF, stage, candidate);
        self.audit.append_soon(ended.because(&format!("ended by itself: {why}")));
    }
}
