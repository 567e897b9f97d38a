//! The generations that a node starts with.
//!
//! Owns the choice between the guest of the configuration and the guests of the last run. Knows nothing of swaps.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use herd_model::Digest;
use herd_replication::RecordTable;
use herd_rollout::{FailedGuest, RolloutStore, StoredState};
use herd_runtime::{Engine, GenerationRegistry, LoadError, SwapLimits};
use herd_sdk::Settings;

use crate::config::HerdConfig;

/// Everything that loading the first generations of a node takes.
pub(crate) struct InitialGenerations {
    pub(crate) engine: Arc<Engine>,
    pub(crate) configured: Arc<[u8]>,
    pub(crate) settings: Settings,
    pub(crate) limits: SwapLimits,
    pub(crate) records: Arc<RecordTable>,
    pub(crate) store: RolloutStore,
    /// Directory for guests whose records other guests may have to read.
    pub(crate) forms: PathBuf,
    /// The node has a listener for classic links.
    pub(crate) has_classic: bool,
}

impl InitialGenerations {
    /// Returns what it takes for a node that is configured so. `records` is the table of the node.
    pub(crate) fn of(
        config: &HerdConfig,
        node: &str,
        engine: &Arc<Engine>,
        guest: &Arc<[u8]>,
        records: &Arc<RecordTable>,
        store: RolloutStore,
        state: &Path,
    ) -> Self {
        Self {
            engine: Arc::clone(engine),
            configured: Arc::clone(guest),
            settings: config.settings(node),
            limits: config.swap.clone(),
            records: Arc::clone(records),
            store,
            forms: state.join(FORMS),
            has_classic: config.nodes.get(node).is_some_and(|node| node.classic.is_some()),
        }
    }

    /// Loads the same generations and drops them, so that their code is in the cache. Blocks as [`load`](Self::load).
    ///
    /// # Errors
    ///
    /// The guest that would serve does not load, also if it is a stored one: the node that serves it is better left alone.
    pub(crate) fn check(self) -> Result<(), LoadError> {
        let stored = self.store.read();
        let guest = |digest: Option<Digest>| digest.and_then(|digest| self.guest(digest));
        let active = guest(stored.as_ref().map(|stored| stored.serving));
        let previous = guest(stored.as_ref().and_then(|stored| stored.previous));
        let active = active.unwrap_or_else(|| Arc::clone(&self.configured));
        self.generations(&active, previous.as_deref()).map(drop)
    }

    /// Loads the generations that served when the node stopped, with its stored state, or else the guest of the
    /// configuration. Blocks for as long as compiling takes.
    ///
    /// # Errors
    ///
    /// The guest of the configuration does not load. A stored guest that does not load is logged and passed over: a node
    /// that serves old logic can be swapped, one that does not start cannot.
    pub(crate) fn load(self) -> Result<(GenerationRegistry, Option<StoredState>), LoadError> {
        let (generations, stored) = self.load_serving()?;
        generations.keep_forms(&self.forms);
        Ok((generations, stored))
    }

    fn load_serving(&self) -> Result<(GenerationRegistry, Option<StoredState>), LoadError> {
        let Some(mut stored) = self.store.read() else {
            return Ok((self.generations(&self.configured, None)?, None));
        };
        let previous = stored.previous.and_then(|previous| self.guest(previous));
        let loaded = match self.guest(stored.serving) {
            Some(active) => self.generations(&active, previous.as_deref()).map_err(|error| error.to_string()),
            None => Err("its bytes are missing".to_string()),
        };
        let generations = match loaded {
            Ok(generations) => {
                if stored.serving != Digest::of(&self.configured) {
                    tracing::info!(node = %self.settings.node, digest = stored.serving.short(), "serving the guest of its last swap, not the configured one");
                }
                generations
            }
            Err(why) => {
                let digest = stored.serving.short();
                tracing::error!(node = %self.settings.node, digest, why, "the guest of its last swap cannot serve; starting with the configured one");
                // Forgotten, so that the node adopts the swap again once a peer offers the guest.
                stored.applied = None;
                self.generations(&self.configured, None)?
            }
        };
        // Not derived from the herd state: that has the swaps of the herd only, and also nodes that could not adopt a guest
        // which never failed.
        for FailedGuest { digest, why } in &stored.failed {
            generations.remember_failed(*digest, why);
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
        let (settings, limits, records) = (self.settings.clone(), self.limits.clone(), Arc::clone(&self.records));
        let generations = GenerationRegistry::new(&self.engine, active, previous, settings, limits, records)?;
        if self.has_classic {
            generations.serve_classic()?;
        }
        Ok(generations)
    }
}

/// Directory of the guests whose records other guests may have to read, in that of the herd.
const FORMS: &str = "forms";
