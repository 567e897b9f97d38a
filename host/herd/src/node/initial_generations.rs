//! The generations that a node starts with.

use std::sync::Arc;

use herd_model::Digest;
use herd_replication::RecordTable;
use herd_rollout::{RolloutStore, StoredState};
use herd_runtime::{Engine, GenerationRegistry, LoadError, SwapLimits};
use herd_sdk::{Records, Settings};

/// What the generations of a node begin with.
pub(super) struct InitialGenerations {
    pub(super) engine: Arc<Engine>,
    pub(super) configured: Arc<[u8]>,
    pub(super) settings: Settings,
    pub(super) limits: SwapLimits,
    pub(super) records: Arc<RecordTable>,
    pub(super) store: RolloutStore,
}

impl InitialGenerations {
    /// The generations that served when the node stopped, and what it remembers of the herd's; or else the guest of its
    /// configuration, and what the herd has swapped to comes from a peer.
    pub(super) fn load(self) -> Result<(GenerationRegistry, Option<StoredState>), LoadError> {
        let Some(mut stored) = self.store.read() else {
            return Ok((self.generations(&self.configured, None)?, None));
        };
        let previous = stored.previous.and_then(|previous| self.guest(previous));
        let loaded = match self.guest(stored.serving) {
            Some(active) => self.generations(&active, previous.as_deref()).map_err(|error| error.to_string()),
            None => Err("its bytes are gone".to_string()),
        };
        let generations = match loaded {
            Ok(generations) => {
                if stored.serving != Digest::of(&self.configured) {
                    tracing::info!(node = %self.settings.node, digest = stored.serving.short(), "serves what it swapped to, and not the guest of its configuration");
                }
                generations
            }
            Err(why) => {
                let digest = stored.serving.short();
                tracing::error!(node = %self.settings.node, digest, why, "what the node swapped to cannot serve; it begins with the guest of its configuration");
                stored.applied = None;
                self.generations(&self.configured, None)?
            }
        };
        if let Some((why, swap)) =
            stored.herd_state.rolled_back.get(&self.settings.node).zip(stored.herd_state.swap.as_ref())
        {
            generations.remember_failed(swap.digest, why);
        }
        Ok((generations, Some(stored)))
    }

    fn guest(&self, digest: Digest) -> Option<Arc<[u8]>> {
        if digest == Digest::of(&self.configured) {
            Some(Arc::clone(&self.configured))
        } else {
            self.store.guest(digest)
        }
    }

    fn generations(&self, active: &[u8], previous: Option<&[u8]>) -> Result<GenerationRegistry, LoadError> {
        let records: Arc<dyn Records + Send + Sync> = self.records.clone();
        GenerationRegistry::new(&self.engine, active, previous, self.settings.clone(), self.limits.clone(), records)
    }
}
