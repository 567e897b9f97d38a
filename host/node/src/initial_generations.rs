//! The generations that a node starts with.
//!
//! Owns the choice between the guest of the configuration and the guests of the last run. Knows nothing of swaps.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use herd_config::HerdConfig;
use herd_model::{Digest, SignedGuest};
use herd_replication::RecordTable;
use herd_rollout::{FailedGuest, RolloutStore, StoredState};
use herd_runtime::{Engine, GenerationRegistry, LoadError, StartingGuests, SwapLimits};
use herd_sdk::Settings;
use herd_signing::SignaturePolicy;

use crate::code_exchange::{Judge, NoCodeHere};

/// Everything that loading the first generations of a node takes.
pub(crate) struct InitialGenerations {
    pub(crate) engine: Arc<Engine>,
    pub(crate) configured: SignedGuest,
    pub(crate) settings: Settings,
    pub(crate) limits: SwapLimits,
    /// The keys of this node, and signed code for a node that does not compile.
    pub(crate) code: Judge,
    pub(crate) records: Arc<RecordTable>,
    pub(crate) store: RolloutStore,
    /// Directory for guests whose records other guests may have to read.
    pub(crate) forms: PathBuf,
    /// The node has a listener for classic links.
    pub(crate) has_classic: bool,
}

/// Generations with which a node starts, and what it found on its disk.
pub(crate) struct LoadedGenerations {
    pub(crate) generations: GenerationRegistry,
    pub(crate) stored: Option<StoredState>,
    /// Guests of the last run that the node does not start with, with the reasons.
    pub(crate) refused: Vec<(Digest, LoadError)>,
}

impl InitialGenerations {
    /// Returns what it takes for a node that is configured so. `records` is the table of the node.
    pub(crate) fn of(
        config: &HerdConfig,
        node: &str,
        engine: &Arc<Engine>,
        (guest, policy): (&SignedGuest, &SignaturePolicy),
        records: &Arc<RecordTable>,
        store: RolloutStore,
        state: &Path,
    ) -> Self {
        Self {
            engine: Arc::clone(engine),
            configured: guest.clone(),
            settings: config.settings(node),
            limits: config.swap.limits(),
            code: Judge::of(config, node, engine, policy, state),
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
        let active = active.unwrap_or_else(|| self.configured.clone());
        self.generations(&active, previous.as_ref()).map(drop)
    }

    /// Loads the generations that served when the node stopped, with its stored state, or else the guest of the
    /// configuration. Blocks for as long as compiling takes.
    ///
    /// # Errors
    ///
    /// The guest of the configuration does not load, or has not the signatures that it needs. A stored guest for which that is so is logged
    /// and passed over: a node that serves old logic can be swapped, one that does not start cannot.
    pub(crate) fn load(self) -> Result<LoadedGenerations, LoadError> {
        let mut loaded = self.load_serving()?;
        loaded.refused.extend(loaded.generations.left_out().cloned());
        loaded.refused.extend(loaded.generations.keep_forms(&self.forms));
        self.warn_of_expired_keys(&loaded.generations);
        Ok(loaded)
    }

    fn load_serving(&self) -> Result<LoadedGenerations, LoadError> {
        let Some(mut stored) = self.store.read() else {
            let generations = self.generations(&self.configured, None)?;
            return Ok(LoadedGenerations { generations, stored: None, refused: Vec::new() });
        };
        // Held until the generations have it.
        let mut held = Vec::new();
        let mut has_code = |guest: &SignedGuest| match self.code.hold(&self.engine, &guest.guest) {
            Ok(code) => {
                held.push(code);
                true
            }
            Err(NoCodeHere) => false,
        };
        let previous = stored.previous.and_then(|previous| self.guest(previous)).filter(&mut has_code);
        let loaded = match self.guest(stored.serving) {
            // A neighbour may have it, and there are no links yet.
            Some(active) if stored.serving != self.configured.digest() && !has_code(&active) => {
                Err(("this node does not compile it, and has no code of it".to_string(), None))
            }
            Some(active) => {
                self.generations(&active, previous.as_ref()).map_err(|error| (error.to_string(), Some(error)))
            }
            None => Err(("its bytes are missing".to_string(), None)),
        };
        let mut refused = Vec::new();
        let generations = match loaded {
            Ok(generations) => {
                if stored.serving != self.configured.digest() {
                    tracing::info!(node = %self.settings.node, digest = stored.serving.short(), "serving the guest of its last swap, not the configured one");
                }
                generations
            }
            Err((why, error)) => {
                let digest = stored.serving.short();
                tracing::error!(node = %self.settings.node, digest, why, "the guest of its last swap cannot serve; starting with the configured one");
                refused.extend(error.map(|error| (stored.serving, error)));
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
        Ok(LoadedGenerations { generations, stored: Some(stored), refused })
    }

    /// Finds a guest of the last run, with its signatures.
    fn guest(&self, digest: Digest) -> Option<SignedGuest> {
        if digest == self.configured.digest() {
            // It may have come by a swap, and its file in the configuration have no signatures.
            let signatures = self.configured.signatures.clone().or_else(|| self.store.signatures(digest));
            return Some(SignedGuest { signatures, ..self.configured.clone() });
        }
        Some(SignedGuest { guest: self.store.guest(digest)?, signatures: self.store.signatures(digest) })
    }

    fn generations(
        &self,
        active: &SignedGuest,
        previous: Option<&SignedGuest>,
    ) -> Result<GenerationRegistry, LoadError> {
        let guests = StartingGuests { active: active.files(), previous: previous.map(SignedGuest::files) };
        // Held until the generations have it. What nobody has code for is refused in the words of the engine.
        let _code = [Some(active), previous].map(|guest| self.code.hold(&self.engine, &guest?.guest).ok());
        let is_configured = active.digest() == self.configured.digest();
        // Links, and with them compilers, come later. The engine advises what helps a swap.
        if is_configured
            && !self.engine.compiles()
            && matches!(self.code.hold(&self.engine, &active.guest), Err(NoCodeHere))
        {
            return Err(self.code.without_brought_code());
        }
        let (settings, limits, policy) = (self.settings.clone(), self.limits.clone(), self.code.policy.clone());
        let records = Arc::clone(&self.records) as _;
        let generations = GenerationRegistry::start(&self.engine, guests, settings, limits, policy, records)?;
        if self.has_classic {
            generations.serve_classic()?;
        }
        Ok(generations)
    }

    fn warn_of_expired_keys(&self, generations: &GenerationRegistry) {
        let active = generations.status().active;
        let signers = active.signature.iter().flat_map(|signature| &signature.signed_by);
        for signer in signers.filter(|signer| signer.expired) {
            let expires = signer.expires.as_deref().unwrap_or_default();
            tracing::warn!(node = %self.settings.node, digest = &active.digest[..8], key = %signer.name, expires, "a key that signed the guest has expired; the guest serves on");
        }
    }
}

/// Directory of the guests whose records other guests may have to read, in that of the herd.
const FORMS: &str = "forms";
