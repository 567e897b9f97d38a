//! The wasmtime engine of the process: configuration, instance pool, compilation and the epoch clock.
//!
//! One per process: stores of different engines must not be mixed, and one pool serves every node of the process. It knows
//! nothing of nodes, generations or what a guest decides.
//!
//! Bounds: [`INSTANCES_MAX`] instances in the pool; memory per instance ([`Limits`]); stack per instance
//! ([`WASM_STACK_BYTES`]). The code of a guest is in memory once, for as long as some generation holds it.

use std::collections::HashMap;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use herd_model::{Digest, GenerationId};
#[cfg(feature = "compiler")]
use herd_sys::HostMemory;
use herd_sys::{file_bytes_max, workers as worker};
use parking_lot::Mutex;
use serde::Serialize;
use wasmtime::component::{Component, Linker};
use wasmtime::{Config, InstanceAllocationStrategy, PoolingAllocationConfig, WasmBacktraceDetails};

use crate::engine::code_cache::CodeCache;
use crate::engine::code_origin::{CodeOrigin, CodeTrust};
use crate::engine::code_target::{CodeTarget, Reservation};
#[cfg(feature = "compiler")]
use crate::engine::compilation::compile_at_low_priority;
use crate::engine::file_kind::check_file;
use crate::engine::inspect::{self, LoadError, Stage};
use crate::engine::inspection::Inspection;
use crate::engine::machine_code::{MachineCode, engine_line};
use crate::forms::kept::RETIRED_MAX;
use crate::sandbox::bindings::{NodeLogic, NodeLogicPre};
use crate::sandbox::forms_instance::FormsInstance;
use crate::sandbox::host_state::HostState;
use crate::sandbox::instance_count::InstanceCount;
use crate::sandbox::limits::Limits;
use crate::sandbox::wasi;

/// Compiles guests and owns the pool that their instances are allocated from.
///
/// ```no_run
/// use herd_runtime::{Engine, Limits};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let engine = Engine::new(Limits::default())?;
/// let inspection = engine.inspect(&std::fs::read("guest.wasm")?)?;
/// assert!(inspection.problems.is_empty(), "{inspection}");
/// # Ok(())
/// # }
/// ```
pub struct Engine {
    engine: wasmtime::Engine,
    linker: Linker<HostState>,
    limits: Limits,
    target: CodeTarget,
    code: Option<CodeCache>,
    /// Origins of code that the nodes of this process trust.
    trust: OnceLock<CodeTrust>,
    /// Compiled guests that some generation still holds. Locked for the whole of a compilation, so that five nodes of one
    /// process that get the same guest at once compile it once.
    compiled: Mutex<HashMap<Digest, Weak<Compiled>>>,
    /// Number of [`Compiled`] values alive.
    compiled_alive: Arc<AtomicUsize>,
}

/// A compiled guest with its imports linked.
pub(crate) struct Compiled {
    pub(crate) pre: NodeLogicPre<HostState>,
    pub(crate) digest: Digest,
    /// Limits of its instances: those of the engine, raised to what it states it needs.
    pub(crate) limits: Limits,
    /// The component itself, for a recording. Nodes of one process share it.
    pub(crate) component: Arc<[u8]>,
    /// Set if the guest converts records between forms.
    pub(crate) exports_forms: bool,
    /// Origin of its code, for the code cache.
    origin: CodeOrigin,
    /// Set once its code is in the code cache, or was taken from it.
    cached: AtomicBool,
    alive: Arc<AtomicUsize>,
}

/// Code of a guest. While it lives, deciders and generations of the guest are made without the compiler.
pub struct CompiledGuest(#[expect(dead_code, reason = "held for the cache of the engine")] Arc<Compiled>);

/// Resources that the process holds for guests, as `herd status` shows them.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct EngineStatus {
    /// Guests whose code is in memory. Nodes of one process share it.
    pub compiled: usize,
    /// Usage of the instance pool. None if the machine has too little address space for one.
    pub pool: Option<PoolStatus>,
}

/// Usage of the instance pool by all nodes of the process, as wasmtime counts it.
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
    /// Creates the engine for one node and starts the thread that ticks its epoch. Compiled guests are not cached on disk.
    ///
    /// # Errors
    ///
    /// The machine lacks something that wasmtime needs, or the thread does not start.
    pub fn new(limits: Limits) -> Result<Arc<Self>, EngineError> {
        Self::make(limits, instances(1, worker::slots()), None)
    }

    /// Creates the engine of a process with this many nodes, and with a cache of compiled guests in `directory`.
    ///
    /// # Errors
    ///
    /// As [`new`](Self::new). An unusable directory is no error: it is logged, and the engine runs without a cache.
    pub fn with_code_cache(limits: Limits, nodes: usize, directory: &Path) -> Result<Arc<Self>, EngineError> {
        Self::make(limits, instances(nodes, worker::slots()), Some(directory))
    }

    /// Creates the engine of simulations of this many nodes in all, whose calls are limited by [`Limits::FUEL_MAX`] and not by time.
    ///
    /// # Errors
    ///
    /// As [`new`](Self::new).
    pub fn for_simulation(limits: Limits, nodes: usize) -> Result<Arc<Self>, EngineError> {
        Self::make(Limits { fuel_max: Some(Limits::FUEL_MAX), ..limits }, instances(nodes, 1), None)
    }

    /// Creates the engine with room for this many instances.
    pub(crate) fn make(limits: Limits, instances: u32, code: Option<&Path>) -> Result<Arc<Self>, EngineError> {
        let engine = match limits.reservation {
            // The pool reserves terabytes of address space, which a machine with 39 address bits refuses. Such a machine still
            // serves, with instances that are allocated one by one.
            Reservation::Large => {
                wasmtime::Engine::new(&pooled(limits, instances)).or_else(|_| wasmtime::Engine::new(&config(limits)))
            }
            Reservation::Small => wasmtime::Engine::new(&config(limits)),
        };
        let engine = engine.map_err(|error| EngineError::Unsupported(format!("{error:#}")))?;
        let mut linker = Linker::new(&engine);
        let linked = wasi::link_granted(&mut linker)
            .and_then(|()| NodeLogic::add_to_linker::<_, HostState>(&mut linker, |state| state));
        linked.map_err(|error| EngineError::Unsupported(format!("{error:#}")))?;
        if limits.fuel_max.is_none() {
            tick(engine.weak(), limits.deadline / TICKS_PER_DEADLINE).map_err(EngineError::Thread)?;
        }
        let target = CodeTarget::of_this_machine(limits.reservation);
        let code = code.and_then(|directory| {
            CodeCache::open(directory, &engine, (&target, limits))
                .inspect_err(|error| tracing::warn!(path = %directory.display(), %error, "the cache of compiled code is not used"))
                .ok()
        });
        let (trust, compiled, compiled_alive) = (OnceLock::new(), Mutex::default(), Arc::default());
        Ok(Arc::new(Self { engine, linker, limits, target, code, trust, compiled, compiled_alive }))
    }

    /// Loads code of others from the code cache too, if these vouch for it. Call it before a guest is loaded; the nodes of a process trust the
    /// same, so later calls have no effect.
    pub fn trust_code(&self, trust: CodeTrust) {
        let _ = self.trust.set(trust);
    }

    /// Returns the resources in use.
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

    /// Returns the limits of each guest instance that states no needs.
    #[must_use]
    pub fn limits(&self) -> Limits {
        self.limits
    }

    /// Returns what this engine runs: code for this target, or for one that needs less of the processor.
    #[must_use]
    pub fn code_target(&self) -> &CodeTarget {
        &self.target
    }

    /// Compiles a guest and reports its imports, exports, form, and every reason why this host cannot run it. Takes as long as
    /// a compilation: tens to hundreds of milliseconds.
    ///
    /// # Errors
    ///
    /// The bytes are not a component, or do not compile. Nothing changed.
    pub fn inspect(&self, bytes: &[u8]) -> Result<Inspection, LoadError> {
        let component = self.parse_and_compile(bytes)?;
        let (mut inspection, limits) =
            inspect::inspect(&self.engine, &component, (bytes, Digest::of(bytes)), self.limits);
        if inspection.problems.is_empty() && inspection.exports_forms() {
            match self.native_form(&component, limits) {
                Ok(form) => inspection.form = Some(form),
                Err(why) => inspection.problems.push(format!("does not return its native form: {why}")),
            }
        }
        Ok(inspection)
    }

    /// Compiles a guest ahead of its use, or loads the machine code of it, and keeps its code for as long as the result lives. Every
    /// generation of the guest that is made meanwhile uses it. Takes as long as a compilation, or a millisecond with machine code.
    ///
    /// Machine code is a file that `precompile` made, of a build with the feature `compiler`. It cannot be verified and runs with the
    /// rights of this process: the caller answers for where it came from. Here it is from this program or its user; see
    /// [`keep_code`](Self::keep_code) for that of others.
    ///
    /// # Errors
    ///
    /// This host cannot run the guest, or the machine code is not that of the guest, or is for another engine or machine. Nothing changed.
    pub fn keep_compiled(&self, bytes: &[u8], code: Option<&[u8]>) -> Result<CompiledGuest, LoadError> {
        self.compile_or_load(bytes, code.map(|code| (code, CodeOrigin::Own))).map(CompiledGuest)
    }

    /// Loads the machine code of a guest that somebody else has made, as [`keep_compiled`](Self::keep_compiled) does. The code cache notes the
    /// origin, and gives the code back only as long as it is [trusted](Self::trust_code).
    ///
    /// # Errors
    ///
    /// As `keep_compiled`. Nothing changed.
    pub fn keep_code(&self, bytes: &[u8], code: &[u8], origin: CodeOrigin) -> Result<CompiledGuest, LoadError> {
        self.compile_or_load(bytes, Some((code, origin))).map(CompiledGuest)
    }

    /// Returns the code of a guest that is in memory or in the code cache, and keeps it for as long as the result lives. `None` if it is in
    /// neither, or this host cannot run the guest. Never compiles.
    #[must_use]
    pub fn find_compiled(&self, bytes: &[u8]) -> Option<CompiledGuest> {
        let digest = Digest::of(bytes);
        let mut cache = self.compiled.lock();
        if let Some(compiled) = cache.get(&digest).and_then(Weak::upgrade) {
            return Some(CompiledGuest(compiled));
        }
        let found = self.find_cached(digest)?;
        self.link(&mut cache, found, (bytes, digest), true).ok().map(CompiledGuest)
    }

    /// Returns whether this build compiles guests.
    #[must_use]
    pub fn compiles(&self) -> bool {
        cfg!(feature = "compiler")
    }

    /// Returns the compiler whose code this engine runs, with its version and settings.
    #[must_use]
    pub fn compiler(&self) -> String {
        engine_line(self.limits)
    }

    /// Compiles a guest: see [`compile_or_load`](Self::compile_or_load).
    pub(crate) fn compile(&self, bytes: &[u8]) -> Result<Arc<Compiled>, LoadError> {
        self.compile_or_load(bytes, None)
    }

    /// Parses, compiles and links a guest, or returns it if a generation of this process holds it already. Takes tens to
    /// hundreds of milliseconds: never call it on a worker thread. With the machine code of the guest, which is trusted, it takes one.
    pub(crate) fn compile_or_load(
        &self,
        bytes: &[u8],
        code: Option<(&[u8], CodeOrigin)>,
    ) -> Result<Arc<Compiled>, LoadError> {
        let digest = Digest::of(bytes);
        let mut cache = self.compiled.lock();
        if let Some(compiled) = cache.get(&digest).and_then(Weak::upgrade) {
            return Ok(compiled);
        }
        // A hit in the code cache skips the compiler and no check below: the contract of this host may have changed since.
        let found = match code {
            Some(_) => None,
            None => self.find_cached(digest),
        };
        let was_there = found.is_some();
        let made = match (found, code) {
            (Some(found), _) => found,
            (None, Some((code, origin))) => (self.load(digest, code)?, origin),
            (None, None) => (self.parse_and_compile(bytes)?, CodeOrigin::Own),
        };
        self.link(&mut cache, made, (bytes, digest), was_there)
    }

    /// Finds the code of a guest in the code cache.
    fn find_cached(&self, guest: Digest) -> Option<(Component, CodeOrigin)> {
        // Until a node says whom it trusts, that is nobody.
        let trust = self.trust.get().cloned().unwrap_or_default();
        self.code.as_ref()?.find(&self.engine, guest, &trust)
    }

    /// Checks and links a component. `cached` says that its code is in the code cache.
    fn link(
        &self,
        cache: &mut HashMap<Digest, Weak<Compiled>>,
        (component, origin): (Component, CodeOrigin),
        (bytes, digest): (&[u8], Digest),
        cached: bool,
    ) -> Result<Arc<Compiled>, LoadError> {
        let (inspection, limits) = inspect::inspect(&self.engine, &component, (bytes, digest), self.limits);
        if let Some(problem) = inspection.problems.first() {
            return Err(LoadError { stage: Stage::Checked, reason: problem.clone() });
        }
        let checked = |error: wasmtime::Error| LoadError { stage: Stage::Checked, reason: format!("{error:#}") };
        let pre = self.link_imports(&component).map_err(checked)?;
        let alive = Arc::clone(&self.compiled_alive);
        alive.fetch_add(1, Ordering::Relaxed);
        let (cached, exports_forms) = (AtomicBool::new(cached), inspection.exports_forms());
        let compiled =
            Arc::new(Compiled { pre, digest, limits, component: bytes.into(), exports_forms, origin, cached, alive });
        // Swept on insertion only: a dead entry is a digest and a pointer, and guests are loaded rarely.
        cache.retain(|_, compiled| compiled.strong_count() > 0);
        cache.insert(digest, Arc::downgrade(&compiled));
        Ok(compiled)
    }

    fn link_imports(&self, component: &Component) -> wasmtime::Result<NodeLogicPre<HostState>> {
        let mut linker = self.linker.clone();
        wasi::link_ungranted(&mut linker, component)?;
        NodeLogicPre::new(linker.instantiate_pre(component)?)
    }

    fn native_form(&self, component: &Component, limits: Limits) -> Result<u32, String> {
        let pre = self.link_imports(component).map_err(|error| format!("{error:#}"))?;
        let guard = InstanceCount::default().add(GenerationId(0));
        let native = FormsInstance::new(&pre, limits, "", guard).and_then(|mut instance| instance.native());
        native.map_err(|fault| fault.to_string())
    }

    /// Writes the code of a guest to the code cache, unless it is there. Waits for the disk. Call it only for a guest that
    /// serves: code that no node can run would evict code that one needs.
    pub(crate) fn cache_code(&self, compiled: &Compiled) {
        if let Some(code) = &self.code
            // Swapped before the write: of several nodes in this process, one writes. The flag guards no data, hence relaxed.
            && !compiled.cached.swap(true, Ordering::Relaxed)
        {
            code.insert(compiled.digest, compiled.pre.instance_pre().component(), &compiled.origin);
        }
    }

    /// Loads the machine code of a guest.
    fn load(&self, guest: Digest, code: &[u8]) -> Result<Component, LoadError> {
        let refused = |why: String| LoadError {
            stage: Stage::Compiled,
            reason: format!("its machine code cannot be used: {why}; {}", self.compile_command()),
        };
        // Refused rather than tried: the kernel would end the process, again after each restart.
        if let Some(room) = want_of_memory_to_load(code.len()) {
            return Err(LoadError { stage: Stage::Compiled, reason: room });
        }
        let code = MachineCode::parse(code).and_then(|code| code.of(guest, &self.target, self.limits));
        let code = code.map_err(|why| refused(why.to_string()))?;
        // SAFETY: these bytes are what wasmtime made for this guest, version, settings and target: the file says so, and its checksum
        // shows that they are intact. Wasmtime checks version, target and most settings again. That nobody forged the file is what
        // callers of `keep_compiled` and `keep_code` answer for. The bytes are copied, so a later write to their file cannot change running code.
        #[allow(unsafe_code, reason = "machine code cannot be verified; its origin can")]
        let component = unsafe { Component::deserialize(&self.engine, code) };
        component.map_err(|error| refused(format!("{error:#}")))
    }

    /// Returns the advice how to make code for this machine.
    fn compile_command(&self) -> String {
        format!("type: herd compile GUEST --target {}", self.target.rounded())
    }

    #[cfg(not(feature = "compiler"))]
    fn parse_and_compile(&self, bytes: &[u8]) -> Result<Component, LoadError> {
        check_file(bytes)?;
        let reason =
            format!("this build has no compiler, and needs the machine code of a guest; {}", self.compile_command());
        Err(LoadError { stage: Stage::Compiled, reason })
    }

    #[cfg(feature = "compiler")]
    fn parse_and_compile(&self, bytes: &[u8]) -> Result<Component, LoadError> {
        check_file(bytes)?;
        if let Some(reason) = HostMemory::read().and_then(|memory| want_of_memory(&memory, bytes.len())) {
            return Err(LoadError { stage: Stage::Compiled, reason });
        }
        compile_at_low_priority(|| Component::new(&self.engine, bytes))
            .map_err(|error| LoadError { stage: Stage::Compiled, reason: format!("{error:#}; {}", advice(&error)) })
    }
}

impl Drop for Compiled {
    fn drop(&mut self) {
        self.alive.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(feature = "compiler")]
/// Says why a guest of this size is not compiled: the compiler would take what is left, and the kernel would end the process. None if there is
/// room, or the system does not say.
pub(crate) fn want_of_memory(memory: &HostMemory, guest_bytes: usize) -> Option<String> {
    let (needed, free) =
        (guest_bytes as u64 * COMPILE_FACTOR, memory.bytes_short().saturating_sub(memory.bytes_used()?));
    let (needed_mib, free_mib) = (needed >> 20, free >> 20);
    (needed > free).then(|| {
        format!(
            "compiling it takes some {needed_mib} MiB of memory, and {free_mib} MiB are left on this host; raise the memory of the {}, or lower the \
             limits of records and sessions",
            memory.set_by()
        )
    })
}

/// Says why code of this length is not loaded. None if there is room, or the system does not say.
fn want_of_memory_to_load(code_bytes: usize) -> Option<String> {
    let room = file_bytes_max(LOAD_COPIES);
    (code_bytes > room).then(|| {
        format!(
            "its machine code has {} MiB, and this host has memory for {} MiB; raise its memory, or lower the limits of records and sessions",
            code_bytes >> 20,
            room >> 20
        )
    })
}

/// Copies of code that is already in memory: what the engine makes of it, and the file for the code cache.
const LOAD_COPIES: u64 = 2;
/// Bytes of memory that the compiler takes for a byte of a guest at most (docs/small-hosts.md has how that was measured).
#[cfg(feature = "compiler")]
const COMPILE_FACTOR: u64 = 64;

/// The engine could not be created.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The machine lacks something that wasmtime needs. The node does not start.
    #[error("this machine cannot run guests: {0}")]
    Unsupported(String),
    /// The thread that ticks the epoch did not start. The node does not start.
    #[error("cannot start the deadline thread")]
    Thread(#[source] std::io::Error),
}

/// Settings of every engine. Code compiled ahead has to have the same: see `SETTINGS` of `engine::machine_code`.
pub(crate) fn config(limits: Limits) -> Config {
    let mut config = Config::new();
    // Concurrency support costs 400 ns per call and serves WASI 0.3 only, which guests do not use.
    config
        .concurrency_support(false)
        .epoch_interruption(limits.fuel_max.is_none())
        .consume_fuel(limits.fuel_max.is_some())
        .memory_init_cow(true)
        .max_wasm_stack(WASM_STACK_BYTES)
        .async_stack_size(WASM_STACK_BYTES + HOST_STACK_BYTES)
        // A decision must be the same on every processor: nodes of a herd, rehearsals and shadows compare decisions.
        .relaxed_simd_deterministic(true)
        // Reads the DWARF of a component that carries some. Not by an environment variable, which is not part of the key of the
        // code cache.
        .wasm_backtrace_details(WasmBacktraceDetails::Enable);
    // As relaxed SIMD above. A setting of the compiler alone.
    #[cfg(feature = "compiler")]
    config.cranelift_nan_canonicalization(true);
    if limits.reservation == Reservation::Small {
        config
            .memory_reservation(SMALL_RESERVATION_BYTES)
            .memory_reservation_for_growth(SMALL_GROWTH_BYTES)
            .memory_guard_size(SMALL_GUARD_BYTES);
    }
    config
}

/// Configuration with an instance pool, which halves the cost of a fresh instance to about 30 µs.
fn pooled(limits: Limits, instances: u32) -> Config {
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(instances)
        // So many that no guest within its limits can leave another one without.
        .total_core_instances(instances * CORE_INSTANCES_PER_GUEST_MAX)
        .total_memories(instances * MEMORIES_PER_GUEST_MAX)
        .total_tables(instances * TABLES_PER_GUEST_MAX)
        .max_core_instances_per_component(CORE_INSTANCES_PER_GUEST_MAX)
        .max_memories_per_component(MEMORIES_PER_GUEST_MAX)
        .max_tables_per_component(TABLES_PER_GUEST_MAX)
        .total_stacks(instances)
        .max_memory_size(limits.memory_bytes_highest().next_multiple_of(WASM_PAGE_BYTES))
        .linear_memory_keep_resident(KEEP_RESIDENT_BYTES)
        .table_keep_resident(KEEP_RESIDENT_BYTES)
        .max_unused_warm_slots(UNUSED_WARM_SLOTS_MAX);
    let mut config = config(limits);
    config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool));
    config
}

/// Returns the number of instances in the pool of a process with this many nodes, each with these slots for instances.
///
/// Every generation has an instance in each slot that decides and one that converts, and every kept converter has one; half as many
/// again are spare, because the pool gives a freed one back late. Beyond [`INSTANCES_MAX`], workers share: see `serving::dispatch`.
fn instances(nodes: usize, slots: usize) -> u32 {
    let of_node = slots.saturating_mul(GENERATIONS_PER_NODE * 2 + RETIRED_MAX).saturating_add(BACKGROUND_PER_NODE);
    let wanted = nodes.saturating_mul(of_node).saturating_mul(3) / 2;
    u32::try_from(wanted).unwrap_or(u32::MAX).clamp(INSTANCES_MIN, INSTANCES_MAX)
}

/// Returns what to do about a component that does not compile.
#[cfg(feature = "compiler")]
pub(crate) fn advice(error: &wasmtime::Error) -> String {
    // wasmtime's message says how many of them the component has.
    if error.chain().any(|cause| cause.to_string().contains("in the pooling allocator")) {
        format!(
            "a guest may have {CORE_INSTANCES_PER_GUEST_MAX} core modules with {MEMORIES_PER_GUEST_MAX} memories and \
             {TABLES_PER_GUEST_MAX} tables in all; compose it of fewer components"
        )
    } else {
        NOT_COMPILED.into()
    }
}

/// Starts the thread that ticks the epoch for as long as the engine lives.
fn tick(engine: wasmtime::EngineWeak, every: Duration) -> std::io::Result<()> {
    let ticks = move || {
        while let Some(engine) = engine.upgrade() {
            engine.increment_epoch();
            // Not held while asleep, or this thread would keep the engine alive for ever.
            drop(engine);
            std::thread::sleep(every);
        }
    };
    std::thread::Builder::new().name("herd-deadline".into()).spawn(ticks).map(drop)
}

/// Small reservations: a memory of the default limit, which then never moves.
const SMALL_RESERVATION_BYTES: u64 = 16 << 20;
/// Address space that a memory beyond its small reservation reserves ahead of its size.
const SMALL_GROWTH_BYTES: u64 = 1 << 20;
/// Pages behind a small reservation: offsets in instructions below this need no check of their own.
const SMALL_GUARD_BYTES: u64 = 64 << 10;
/// Advice for the author of a component that does not compile: wasmtime names the problem, not the remedy.
#[cfg(feature = "compiler")]
const NOT_COMPILED: &str = "if the file was cut short or damaged, build or copy it again; \
    if it asks for more than this host compiles, build it with `--target wasm32-wasip2`";
/// Epoch ticks per deadline. With 5, a guest is stopped at most a fifth of its deadline late.
const TICKS_PER_DEADLINE: u32 = 5;
/// Stack of a guest, in bytes. A guest that recurses deeper traps.
const WASM_STACK_BYTES: usize = 512 << 10;
/// Stack of host functions above the frames of the guest, in bytes.
const HOST_STACK_BYTES: usize = 512 << 10;
/// Generations of a node at once: two that serve, a candidate, and one that calls in progress still hold.
const GENERATIONS_PER_NODE: usize = 4;
/// Instances of a node on its background threads: replicas of a rehearsal, a shadow and a case, and what converts for them.
const BACKGROUND_PER_NODE: usize = 12;
const INSTANCES_MIN: u32 = 128;
/// Each reserves about 6 GiB of address space per memory; in total a third of 47 bits.
const INSTANCES_MAX: u32 = 4096;
/// Core modules of a guest: 14 of one in Python, whose libraries are modules of their own; 9 of one in JavaScript; four of one in Rust.
const CORE_INSTANCES_PER_GUEST_MAX: u32 = 16;
/// Memories of a guest: one, twice for a composed one.
const MEMORIES_PER_GUEST_MAX: u32 = 2;
/// Tables of a guest: those of the program and of its imports, twice for a composed one.
const TABLES_PER_GUEST_MAX: u32 = 4;
const WASM_PAGE_BYTES: usize = 64 << 10;
/// Bytes of a freed memory that stay resident. Measured for the default guest: 128 KiB makes a fresh instance cheaper, 1 MiB
/// makes it dearer, because clearing it dominates.
const KEEP_RESIDENT_BYTES: usize = 128 << 10;
/// Freed slots that stay bound to their module: enough for two generations on a few workers. Slots beyond that are
/// returned.
const UNUSED_WARM_SLOTS_MAX: u32 = 8;

#[cfg(test)]
mod tests;
