//! What the host holds for one instance: the world a guest sees. Nothing is granted: no files, no sockets, no
//! environment, a clock that stands still during a call, randomness that restarts from a constant.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use herd_sdk::{Found, Records};
use rand::SeedableRng;
use rand::rngs::StdRng;
use wasmtime::ResourceLimiter;
use wasmtime::component::{HasData, ResourceTable};
use wasmtime_wasi::{HostMonotonicClock, HostWallClock, WasiCtx, WasiCtxView, WasiView};

use crate::forms::budget::Patience;
use crate::sandbox::bindings::{records, types};
use crate::sandbox::call::Read;
use crate::sandbox::deadline::Deadline;
use crate::sandbox::instance_count::InstanceGuard;
use crate::sandbox::limits::Limits;
use crate::sandbox::output::GuestOutput;
use crate::sandbox::record_view::RecordView;

/// The data of a store.
pub(crate) struct HostState {
    wasi: WasiCtx,
    table: ResourceTable,
    clock: CallClock,
    records: Arc<dyn Records + Send + Sync>,
    view: Arc<dyn RecordView>,
    patience: Patience,
    pub(crate) deadline: Deadline,
    pub(crate) memory: MemoryCap,
    pub(crate) output: GuestOutput,
    /// What this call has looked up.
    pub(crate) reads: Vec<Read>,
    /// Counted for as long as the store lives.
    _guard: InstanceGuard,
}

impl HostState {
    pub(crate) fn new(
        limits: Limits,
        records: Arc<dyn Records + Send + Sync>,
        view: Arc<dyn RecordView>,
        node: &str,
        guard: InstanceGuard,
    ) -> Self {
        let clock = CallClock::default();
        let output = GuestOutput::new(node);
        let wasi = WasiCtx::builder()
            .allow_tcp(false)
            .allow_udp(false)
            .allow_ip_name_lookup(false)
            .stdout(output.clone())
            .stderr(output.clone())
            .wall_clock(clock.clone())
            .monotonic_clock(clock.clone())
            .secure_random(StdRng::seed_from_u64(RANDOM_SEED))
            .insecure_random(StdRng::seed_from_u64(RANDOM_SEED))
            .insecure_random_seed(u128::from(RANDOM_SEED))
            .build();
        Self {
            wasi,
            table: ResourceTable::new(),
            clock,
            records,
            view,
            patience: Patience::default(),
            deadline: Deadline::new(limits.deadline),
            memory: MemoryCap { used: 0, max: limits.memory_bytes_max, refused: false },
            output,
            reads: Vec::new(),
            _guard: guard,
        }
    }

    /// A call begins at this time.
    pub(crate) fn begin(&mut self, now_ns: u64) {
        self.clock.0.store(now_ns, Ordering::Relaxed);
        self.deadline.begin();
        self.memory.refused = false;
        self.reads.clear();
        self.patience = Patience::default();
    }
}

impl HasData for HostState {
    type Data<'a> = &'a mut Self;
}

impl WasiView for HostState {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
    }
}

impl types::Host for HostState {}
impl crate::sandbox::bindings::effects::Host for HostState {}

impl records::Host for HostState {
    fn get(&mut self, keys: Vec<Vec<u8>>) -> wasmtime::Result<Vec<Option<records::Found>>> {
        if keys.len() > KEYS_MAX {
            return Err(wasmtime::Error::msg(format!("{} keys at once, over the limit of {KEYS_MAX}", keys.len())));
        }
        let borrowed: Vec<&[u8]> = keys.iter().map(Vec::as_slice).collect();
        let found = self.records.find(&borrowed);
        let wire = |found: Found| records::Found { rank: found.rank, form: found.form, bytes: found.bytes };
        let room = READS_MAX.saturating_sub(self.reads.len());
        let reads = keys.into_iter().zip(found.iter().cloned()).take(room);
        self.reads.extend(reads.map(|(key, found)| Read { key, found }));
        // What is noted above is what was written, so that another generation can read it in its own form.
        let foreign = found.iter().flatten().any(|found| found.form != self.view.native());
        let pause = foreign.then(|| self.deadline.pause());
        let mut convert = |found| self.view.convert(found, &mut self.patience);
        let shown = found.into_iter().map(|found| found.and_then(&mut convert).map(wire)).collect();
        if let Some(pause) = pause {
            self.deadline.resume(&pause);
        }
        Ok(shown)
    }
}

/// How much memory an instance may take, all its memories together.
#[derive(Debug)]
pub(crate) struct MemoryCap {
    used: usize,
    max: usize,
    pub(crate) refused: bool,
}

impl ResourceLimiter for MemoryCap {
    fn memory_growing(&mut self, current: usize, desired: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        let used = self.used.saturating_add(desired.saturating_sub(current));
        if used > self.max {
            self.refused = true;
            return Ok(false);
        }
        self.used = used;
        Ok(true)
    }

    fn table_growing(&mut self, _: usize, desired: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        Ok(desired <= TABLE_ELEMENTS_MAX)
    }
}

/// A clock that shows the time of the call.
#[derive(Clone, Default)]
struct CallClock(Arc<AtomicU64>);

impl HostWallClock for CallClock {
    fn resolution(&self) -> Duration {
        Duration::from_nanos(1)
    }

    fn now(&self) -> Duration {
        Duration::from_nanos(self.0.load(Ordering::Relaxed))
    }
}

impl HostMonotonicClock for CallClock {
    fn resolution(&self) -> u64 {
        1
    }

    fn now(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Where the randomness of every instance starts. What a decision needs is in its event.
const RANDOM_SEED: u64 = 0x6865_7264;
/// What `records.get` promises.
const KEYS_MAX: usize = 64;
/// What is kept of the look-ups of one call. One that makes more cannot be made again, and no sensible one does.
const READS_MAX: usize = 4096;
/// As the pool is configured.
const TABLE_ELEMENTS_MAX: usize = 20_000;
