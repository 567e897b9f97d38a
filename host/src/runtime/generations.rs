//! The live generations of a node, and the swap between them.
//!
//! ```text
//! candidate -> parsed -> compiled -> checked -> active -> previous -> (gone)
//! ```
//!
//! Everything up to *checked* happens off the worker threads while the old generation serves. Activation is
//! one pointer: a call that has begun ends on the generation it began on, and the next one sees the new. At most two
//! generations serve; the third is dropped with its instances.
//!
//! An input on which the active generation faults is decided by the previous one, so a bad guest is not an outage.
//! The answer to a fetch goes to the generation that asked, as long as that is live.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, TryLockError};

use arc_swap::ArcSwap;
use herd_sdk::{Decision, InputBatch, Moment, Outcome, Records, Reports, Settings};
use serde::Serialize;

use super::engine::Engine;
use super::fault::Fault;
use super::generation::{Generation, GenerationId, GenerationStatus};
use super::inspect::LoadError;
use super::instance::Instance;

/// The generations of one node.
pub struct Generations {
    engine: Arc<Engine>,
    settings: Settings,
    records: Arc<dyn Records + Send + Sync>,
    live: ArcSwap<Live>,
    /// The number of the next generation. Held for the time of a swap, of which there is one at a time.
    next: Mutex<u64>,
    /// Held while the pointer changes: a rollback need not wait for a swap that compiles.
    switching: Mutex<()>,
    rescued: AtomicU64,
    warned_second: AtomicU64,
}

struct Live {
    active: Arc<Generation>,
    previous: Option<Arc<Generation>>,
}

impl Generations {
    /// Begins with one generation.
    ///
    /// # Errors
    ///
    /// The guest does not load; the node does not start.
    pub fn new(
        engine: &Arc<Engine>,
        bytes: &[u8],
        settings: Settings,
        records: Arc<dyn Records + Send + Sync>,
    ) -> Result<Self, LoadError> {
        let active = Generation::load(engine, GenerationId(1), bytes, settings.clone(), Arc::clone(&records))?;
        Ok(Self {
            engine: Arc::clone(engine),
            settings,
            records,
            live: ArcSwap::from_pointee(Live { active: Arc::new(active), previous: None }),
            next: Mutex::new(2),
            switching: Mutex::new(()),
            rescued: AtomicU64::new(0),
            warned_second: AtomicU64::new(0),
        })
    }

    /// Replaces the logic. Compiles, so it belongs on a thread that may block.
    ///
    /// # Errors
    ///
    /// The guest does not load, or another swap is under way. Nothing changed.
    pub fn swap(&self, bytes: &[u8]) -> Result<GenerationStatus, SwapError> {
        let mut next = match self.next.try_lock() {
            Ok(next) => next,
            Err(TryLockError::WouldBlock) => return Err(SwapError::Busy),
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
        };
        let id = GenerationId(*next);
        let candidate = Generation::load(&self.engine, id, bytes, self.settings.clone(), Arc::clone(&self.records))?;
        *next += 1;
        let candidate = Arc::new(candidate);
        candidate.serves_from_now();
        let status = candidate.status();
        let _switching = self.switching.lock().unwrap_or_else(PoisonError::into_inner);
        let previous = Some(Arc::clone(&self.live.load().active));
        self.live.store(Arc::new(Live { active: candidate, previous }));
        Ok(status)
    }

    /// Goes back to the previous generation. The one that was active becomes the previous one, so its fetches
    /// still find it, and a second rollback undoes the first.
    ///
    /// # Errors
    ///
    /// There is no previous generation. Nothing changed.
    pub fn roll_back(&self) -> Result<GenerationStatus, RollbackError> {
        let _switching = self.switching.lock().unwrap_or_else(PoisonError::into_inner);
        let live = self.live.load_full();
        let Some(previous) = live.previous.clone() else { return Err(RollbackError::NoPrevious) };
        previous.serves_from_now();
        let status = previous.status();
        self.live.store(Arc::new(Live { active: previous, previous: Some(Arc::clone(&live.active)) }));
        Ok(status)
    }

    /// Decides inputs of sessions, as one call.
    ///
    /// # Errors
    ///
    /// Every live generation faulted; nothing was decided.
    pub fn inputs(&self, at: Moment, inputs: &InputBatch) -> Result<(GenerationId, Decision), Fault> {
        self.decide(|instance| instance.inputs(at, inputs))
    }

    /// Decides reports of a peer.
    ///
    /// # Errors
    ///
    /// Every live generation faulted; nothing was decided.
    pub fn reports(&self, at: Moment, reports: Reports<'_>) -> Result<(GenerationId, Decision), Fault> {
        self.decide(|instance| instance.reports(at, reports))
    }

    /// Decides the answer to a fetch, by the generation that asked.
    ///
    /// # Errors
    ///
    /// It faulted, or is gone (`None`); nothing was decided.
    pub fn answer(
        &self,
        asked: GenerationId,
        at: Moment,
        token: &[u8],
        otherwise: &[u8],
        outcome: Outcome<'_>,
    ) -> Result<Decision, Option<Fault>> {
        let live = self.live.load();
        let mut generations = std::iter::once(&live.active).chain(&live.previous);
        let generation = generations.find(|generation| generation.id() == asked).ok_or(None)?;
        let answered = generation.call(|instance| instance.answer(at, token, otherwise, outcome));
        answered.map_err(|fault| {
            self.warn(generation, &fault, "fault on an answer; its reply in reserve is sent");
            Some(fault)
        })
    }

    /// What serves now.
    #[must_use]
    pub fn status(&self) -> GenerationsStatus {
        let live = self.live.load();
        GenerationsStatus {
            active: live.active.status(),
            previous: live.previous.as_ref().map(|previous| previous.status()),
            rescued: self.rescued.load(Ordering::Relaxed),
        }
    }

    fn decide<T>(&self, call: impl Fn(&mut Instance) -> Result<T, Fault>) -> Result<(GenerationId, T), Fault> {
        let live = self.live.load();
        let fault = match live.active.call(&call) {
            Ok(value) => return Ok((live.active.id(), value)),
            Err(fault) => fault,
        };
        self.warn(&live.active, &fault, "the active generation faulted");
        let previous = live.previous.as_ref().ok_or(fault)?;
        let value = previous.call(&call).inspect_err(|fault| {
            self.warn(previous, fault, "the previous generation faulted too");
        })?;
        self.rescued.fetch_add(1, Ordering::Relaxed);
        Ok((previous.id(), value))
    }

    /// Logs a fault, at most one a second: a guest that faults on every line must not fill a disk. `herd status`
    /// has the count.
    fn warn(&self, generation: &Generation, fault: &Fault, what: &str) {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default().as_secs();
        if self.warned_second.swap(now, Ordering::Relaxed) != now {
            tracing::warn!(generation = %generation.id(), digest = %generation.digest().short(), kind = fault.kind(), %fault, "{what}");
        }
    }
}

/// The logic was not replaced. Nothing changed.
#[derive(Debug, thiserror::Error)]
pub enum SwapError {
    /// Another swap is under way on this node. Try again when it is over.
    #[error("another swap is under way on this node")]
    Busy,
    /// The guest does not load.
    #[error(transparent)]
    Load(#[from] LoadError),
}

/// The logic was not rolled back. Nothing changed.
#[derive(Debug, thiserror::Error)]
pub enum RollbackError {
    /// Nothing was swapped since the node started.
    #[error("there is no previous generation to go back to")]
    NoPrevious,
}

/// What serves now, for people and scripts.
#[derive(Clone, Debug, Serialize)]
pub struct GenerationsStatus {
    /// What decides.
    pub active: GenerationStatus,
    /// What decides when the active one faults.
    pub previous: Option<GenerationStatus>,
    /// How many calls the previous one decided because the active one faulted.
    pub rescued: u64,
}
