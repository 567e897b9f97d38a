//! The generations that a node starts with.

use std::sync::Arc;

use herd_model::Digest;
use herd_replication::RecordTable;
use herd_rollout::{Memory, Remembered};
use herd_runtime::{Engine, Generations, LoadError, SwapLimits};
use herd_sdk::{Records, Settings};

/// What the generations of a node begin with.
pub(super) struct InitialGenerations {
    pub(super) engine: Arc<Engine>,
    pub(super) configured: Arc<[u8]>,
    pub(super) settings: Settings,
    pub(super) limits: SwapLimits,
    pub(super) records: Arc<RecordTable>,
    pub(super) memory: Memory,
}

impl InitialGenerations {
    /// The generations that served when the node stopped, and what it remembers of the herd's; or else the guest of its
    /// configuration, and what the herd has swapped to comes from a peer.
    pub(super) fn load(self) -> Result<(Generations, Option<Remembered>), LoadError> {
        let Some(mut remembered) = self.memory.read() else {
            return Ok((self.generations(&self.configured, None)?, None));
        };
        let previous = remembered.previous.and_then(|previous| self.guest(previous));
        let loaded = match self.guest(remembered.serving) {
            Some(active) => self.generations(&active, previous.as_deref()).map_err(|error| error.to_string()),
            None => Err("its bytes are gone".to_string()),
        };
        let generations = match loaded {
            Ok(generations) => {
                if remembered.serving != Digest::of(&self.configured) {
                    tracing::info!(node = %self.settings.node, digest = remembered.serving.short(), "serves what it swapped to, and not the guest of its configuration");
                }
                generations
            }
            Err(why) => {
                let digest = remembered.serving.short();
                tracing::error!(node = %self.settings.node, digest, why, "what the node swapped to cannot serve; it begins with the guest of its configuration");
                remembered.applied = None;
                self.generations(&self.configured, None)?
            }
        };
        if let Some((why, swap)) =
            remembered.herd_state.rolled_back.get(&self.settings.node).zip(remembered.herd_state.swap.as_ref())
        {
            generations.remember_failed(swap.digest, why);
        }
        Ok((generations, Some(remembered)))
    }

    fn guest(&self, digest: Digest) -> Option<Arc<[u8]>> {
        if digest == Digest::of(&self.configured) {
            Some(Arc::clone(&self.configured))
        } else {
            self.memory.guest(digest)
        }
    }

    fn generations(&self, active: &[u8], previous: Option<&[u8]>) -> Result<Generations, LoadError> {
        let records: Arc<dyn Records + Send + Sync> = self.records.clone();
        Generations::new(&self.engine, active, previous, self.settings.clone(), self.limits.clone(), records)
    }
}
