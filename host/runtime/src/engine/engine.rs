//! The engine: one per process, because stores of several engines may not be mixed and one pool serves all.

use std::collections::HashMap;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use serde::Serialize;
use wasmtime::component::{Component, Linker};
use wasmtime::{Config, InstanceAllocationStrategy, PoolingAllocationConfig};

use crate::engine::code_cache::CodeCache;
use crate::engine::inspect::{self, Inspection, LoadError, Stage};
use crate::sandbox::bindings::{NodeLogic, NodeLogicPre};
use crate::sandbox::forms_instance::FormsInstance;
use crate::sandbox::host_state::HostState;
use crate::sandbox::instance_count::InstanceCount;
use crate::sandbox::limits::Limits;
use herd_model::Digest;
use herd_model::GenerationId;
use herd_sys::workers as worker;

/// Compiles guests and holds what their instances live in.
pub struct Engine {
    engine: wasmtime::Engine,
    linker: Linker<HostState>,
    limits: Limits,
    code: Option<CodeCache>,
    /// Compiled guests that some generation still holds. Held while one compiles, so that five nodes in one process
    /// that are given the same guest compile it once.
    compiled: Mutex<HashMap<Digest, Weak<Compiled>>>,
    /// Counted where they are made and where they are dropped.
    compiled_alive: Arc<AtomicUsize>,
}

/// A guest that was compiled and whose imports are linked.
pub(crate) struct Compiled {
    pub(crate) pre: NodeLogicPre<HostState>,
    pub(crate) digest: Digest,
    /// Whether it converts records.
    pub(crate) exports_forms: bool,
    /// Whether its code is on the disk, or need not be.
    cached: AtomicBool,
    alive: Arc<AtomicUsize>,
}

/// What a process holds for guests, for people and scripts.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct EngineStatus {
    /// Guests whose code is in memory. Nodes of one process share it.
    pub compiled: usize,
    /// What is in use of the pool that instances are allocated from. None where this machine has no address space for
    /// one.
    pub pool: Option<PoolStatus>,
}

/// What is in use of the pool, as wasmtime itself counts it: of all nodes of the process.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct PoolStatus {
    /// Instances of guests.
    pub component_instances: u64,
    /// Instances of the modules that guests consist of.
    pub core_instances: u64,
    /// Linear memories.
    pub memories: usize,
    /// Tables.
    pub tables: usize,
    /// Stacks.
    pub stacks: usize,
}

impl Engine {
    /// Makes the engine and starts the thread that ticks its epoch.
    ///
    /// # Errors
    ///
    /// The machine does not offer what wasmtime needs.
    pub fn new(limits: Limits) -> Result<Arc<Self>, EngineError> {
        Self::make(limits, None)
    }

    /// Makes the engine, and keeps what it compiles in a directory.
    ///
    /// # Errors
    ///
    /// As [`new`](Self::new). A directory that cannot be used is not used, and that is said in the log.
    pub fn with_code_cache(limits: Limits, directory: &Path) -> Result<Arc<Self>, EngineError> {
        Self::make(limits, Some(directory))
    }

    fn make(limits: Limits, code: Option<&Path>) -> Result<Arc<Self>, EngineError> {
        let engine = wasmtime::Engine::new(&pooled(limits))
            .or_else(|_| wasmtime::Engine::new(&config()))
            .map_err(|error| EngineError::Unsupported(format!("{error:#}")))?;
        let mut linker = Linker::new(&engine);
        let linked = wasmtime_wasi::p2::add_to_linker_async(&mut linker)
            .and_then(|()| NodeLogic::add_to_linker::<_, HostState>(&mut linker, |guest| guest));
        linked.map_err(|error| EngineError::Unsupported(format!("{error:#}")))?;
        tick(engine.weak(), limits.deadline / TICKS_PER_DEADLINE).map_err(EngineError::Thread)?;
        let code = code.and_then(|directory| {
            CodeCache::open(directory, &engine)
                .inspect_err(|error| tracing::warn!(path = %directory.display(), %error, "compiled code is not kept"))
                .ok()
        });
        let (compiled, compiled_alive) = (Mutex::default(), Arc::default());
        Ok(Arc::new(Self { engine, linker, limits, code, compiled, compiled_alive }))
    }

    /// What it holds.
    #[must_use]
    pub fn status(&self) -> EngineStatus {
        let pool = self.engine.pooling_allocator_metrics().map(|pool| PoolStatus {
            component_instances: pool.component_instances(),
            core_instances: pool.core_instances(),
            memories: pool.memories(),
            tables: pool.tables(),
            stacks: pool.stacks(),
        });
        EngineStatus { compiled: self.compiled_alive.load(Ordering::Relaxed), pool }
    }

    /// What a guest may use.
    #[must_use]
    pub fn limits(&self) -> Limits {
        self.limits
    }

    /// Says what a guest imports and exports, and whether this host can run it.
    ///
    /// # Errors
    ///
    /// The bytes are no component. Nothing changed.
    pub fn inspect(&self, bytes: &[u8]) -> Result<Inspection, LoadError> {
        let component = self.parse_and_compile(bytes)?;
        let mut inspection = inspect::inspect(&self.engine, &component, Digest::of(bytes), bytes.len());
        if inspection.problems.is_empty() && inspection.exports_forms() {
            match self.native_form(&component) {
                Ok(form) => inspection.form = Some(form),
                Err(why) => inspection.problems.push(format!("does not say which form it writes: {why}")),
            }
        }
        Ok(inspection)
    }

    /// Parses, compiles and links a guest. Takes tens to hundreds of milliseconds: not for a worker thread.
    pub(crate) fn compile(&self, bytes: &[u8]) -> Result<Arc<Compiled>, LoadError> {
        let digest = Digest::of(bytes);
        let mut cache = self.compiled.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(compiled) = cache.get(&digest).and_then(Weak::upgrade) {
            return Ok(compiled);
        }
        let found = self.code.as_ref().and_then(|code| code.find(&self.engine, digest));
        let was_there = found.is_some();
        let component = found.map_or_else(|| self.parse_and_compile(bytes), Ok)?;
        let inspection = inspect::inspect(&self.engine, &component, digest, bytes.len());
        if let Some(problem) = inspection.problems.first() {
            return Err(LoadError { stage: Stage::Checked, reason: problem.clone() });
        }
        let checked = |error: wasmtime::Error| LoadError { stage: Stage::Checked, reason: format!("{error:#}") };
        let pre = self.linker.instantiate_pre(&component).and_then(NodeLogicPre::new).map_err(checked)?;
        let alive = Arc::clone(&self.compiled_alive);
        alive.fetch_add(1, Ordering::Relaxed);
        let (cached, exports_forms) = (AtomicBool::new(was_there), inspection.exports_forms());
        let compiled = Arc::new(Compiled { pre, digest, exports_forms, cached, alive });
        cache.retain(|_, compiled| compiled.strong_count() > 0);
        cache.insert(digest, Arc::downgrade(&compiled));
        Ok(compiled)
    }

    fn native_form(&self, component: &Component) -> Result<u32, String> {
        let pre = self.linker.instantiate_pre(component).and_then(NodeLogicPre::new);
        let pre = pre.map_err(|error| format!("{error:#}"))?;
        let guard = InstanceCount::default().add(GenerationId(0));
        let native = FormsInstance::new(&pre, self.limits, "", guard).and_then(|mut instance| instance.native());
        native.map_err(|fault| fault.to_string())
    }

    /// Keeps the code of a guest on the disk, if it is not there yet. Waits for the disk. Only for what passed its check:
    /// code that no node can run would drive out code that one may need.
    pub(crate) fn cache_code(&self, compiled: &Compiled) {
        if let Some(code) = &self.code
            && !compiled.cached.swap(true, Ordering::Relaxed)
        {
            code.insert(compiled.digest, compiled.pre.instance_pre().component());
        }
    }

    fn parse_and_compile(&self, bytes: &[u8]) -> Result<Component, LoadError> {
        inspect::check_header(bytes)?;
        Component::new(&self.engine, bytes)
            .map_err(|error| LoadError { stage: Stage::Compiled, reason: format!("{error:#}; {NOT_COMPILED}") })
    }
}

impl Drop for Compiled {
    fn drop(&mut self) {
        self.alive.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The engine could not be made.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The machine does not offer what wasmtime needs. The node does not start.
    #[error("this machine cannot run guests: {0}")]
    Unsupported(String),
    /// The thread that ticks the epoch did not start. The node does not start.
    #[error("cannot start the deadline thread")]
    Thread(#[source] std::io::Error),
}

fn config() -> Config {
    let mut config = Config::new();
    config
        .concurrency_support(false)
        .epoch_interruption(true)
        .memory_init_cow(true)
        .max_wasm_stack(WASM_STACK_BYTES)
        .async_stack_size(WASM_STACK_BYTES + HOST_STACK_BYTES);
    config
}

/// With a pool, a fresh instance costs some 30 µs instead of twice that. It reserves address space, which a
/// machine with few address bits refuses; then instances are allocated one by one.
fn pooled(limits: Limits) -> Config {
    let workers = u32::try_from(worker::slots()).unwrap_or(u32::MAX);
    let instances = workers.saturating_mul(INSTANCES_PER_WORKER).clamp(INSTANCES_MIN, INSTANCES_MAX);
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(instances)
        .total_core_instances(instances * 8)
        .total_memories(instances)
        .total_tables(instances * 2)
        .total_stacks(instances)
        .max_memory_size(limits.memory_bytes_max.next_multiple_of(WASM_PAGE_BYTES))
        .linear_memory_keep_resident(KEEP_RESIDENT_BYTES)
        .table_keep_resident(KEEP_RESIDENT_BYTES)
        .max_unused_warm_slots(UNUSED_WARM_SLOTS_MAX);
    let mut config = config();
    config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool));
    config
}

/// Ticks the epoch for as long as the engine lives.
fn tick(engine: wasmtime::EngineWeak, every: Duration) -> std::io::Result<()> {
    let ticks = move || {
        while let Some(engine) = engine.upgrade() {
            engine.increment_epoch();
            drop(engine);
            std::thread::sleep(every);
        }
    };
    std::thread::Builder::new().name("herd-deadline".into()).spawn(ticks).map(drop)
}

/// What to do about a component that does not compile. wasmtime says what is wrong, and not to whom.
const NOT_COMPILED: &str = "if the file was cut short or damaged, build or copy it again; \
    if it asks for more than this host compiles, build it with `--target wasm32-wasip2`";
/// How finely a deadline is kept: a guest is stopped at most a fifth of it late.
const TICKS_PER_DEADLINE: u32 = 5;
/// What a guest may recurse into. Deep recursion is a fault of the guest and ends as a trap.
const WASM_STACK_BYTES: usize = 512 << 10;
/// What the host's functions need on top of the guest's frames.
const HOST_STACK_BYTES: usize = 512 << 10;
/// Five nodes in one process, and four generations each at the moment of a swap, each with an instance that decides and one
/// that converts; with half as many to spare.
const INSTANCES_PER_WORKER: u32 = 60;
const INSTANCES_MIN: u32 = 256;
/// Each reserves some 6 GiB of address space; this is a third of what 47 bits hold.
const INSTANCES_MAX: u32 = 8192;
const WASM_PAGE_BYTES: usize = 64 << 10;
/// Measured for a guest of this size: 128 KiB is cheaper than none, and 1 MiB is dearer than none.
const KEEP_RESIDENT_BYTES: usize = 128 << 10;
/// Two generations' worth for a few workers; the slots of an older one are given back.
const UNUSED_WARM_SLOTS_MAX: u32 = 8;
