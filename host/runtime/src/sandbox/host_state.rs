//! Data of a store: everything that a guest can see of the world.
//!
//! It grants no files, no sockets and no environment. Its clock stands still during a call, and its randomness restarts from a
//! constant with each instance, so a call is a function of its event and of the records that it looked up. It knows nothing of
//! generations or sessions.
//!
//! Bounds: memory of the instance, [`KEYS_MAX`] per look-up, each as long as the key of a keep may be, [`READS_MAX`] noted
//! look-ups per call, [`TABLE_ELEMENTS_MAX`], [`HANDLES_MAX`], [`RANDOM_BYTES_MAX`] per host call.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use herd_recording::Read;
use herd_sdk::limits::KEY_BYTES_MAX;
use herd_sdk::{Found, Records};
use rand::SeedableRng;
use rand::rngs::StdRng;
use wasmtime::ResourceLimiter;
use wasmtime::component::{HasData, ResourceTable};
use wasmtime_wasi::{HostMonotonicClock, HostWallClock, WasiCtx, WasiCtxView, WasiView};

use crate::forms::budget::ConversionBudget;
use crate::sandbox::bindings::{records, types};
use crate::sandbox::deadline::Deadline;
use crate::sandbox::instance_count::InstanceGuard;
use crate::sandbox::limits::Limits;
use crate::sandbox::output::GuestOutput;
use crate::sandbox::record_view::RecordView;

/// Data of the store of one instance.
pub(crate) struct HostState {
    wasi: WasiCtx,
    table: ResourceTable,
    clock: CallClock,
    records: Arc<dyn Records + Send + Sync>,
    view: Arc<dyn RecordView>,
    budget: ConversionBudget,
    pub(crate) deadline: Deadline,
    pub(crate) memory: MemoryCap,
    pub(crate) output: GuestOutput,
    /// Look-ups of the current call.
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
        let output = GuestOutput::new(node, guard.generation());
        let mut table = ResourceTable::new();
        table.set_max_capacity(HANDLES_MAX);
        let wasi = WasiCtx::builder()
            .stdout(output.clone())
            .stderr(output.clone())
            .wall_clock(clock.clone())
            .monotonic_clock(clock.clone())
            .secure_random(StdRng::seed_from_u64(RANDOM_SEED))
            .insecure_random(StdRng::seed_from_u64(RANDOM_SEED))
            .insecure_random_seed(u128::from(RANDOM_SEED))
            // Made byte by byte in one host call, during which no epoch stops the guest.
            .max_random_size(RANDOM_BYTES_MAX)
            .build();
        Self {
            wasi,
            table,
            clock,
            records,
            view,
            budget: ConversionBudget::default(),
            deadline: Deadline::new(limits.deadline),
            memory: MemoryCap { used: 0, half: usize::MAX, max: limits.memory_bytes_max, refused: false },
            output,
            reads: Vec::new(),
            _guard: guard,
        }
    }

    /// Resets the state for a call at `now_ns`, in nanoseconds since the Unix epoch.
    pub(crate) fn begin(&mut self, now_ns: u64) {
        // Relaxed: the guest reads it on this thread. It is an atomic only because WASI wants its clocks to be `Send`.
        self.clock.0.store(now_ns, Ordering::Relaxed);
        self.deadline.begin();
        self.memory.refused = false;
        self.reads.clear();
        self.budget = ConversionBudget::default();
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
        // A longer key belongs to no record, and the recorder would keep a copy of it for each call.
        if let Some(key) = keys.iter().find(|key| key.len() > KEY_BYTES_MAX) {
            let bytes = key.len();
            return Err(wasmtime::Error::msg(format!("a key of {bytes} bytes is over the limit of {KEY_BYTES_MAX}")));
        }
        // Copies records of up to 128 KiB each. No tick falls into a host call, so the clock starts before the first long one.
        if keys.len() >= KEYS_QUICK {
            self.deadline.start();
        }
        let borrowed: Vec<&[u8]> = keys.iter().map(Vec::as_slice).collect();
        let found = self.records.find(&borrowed);
        let wire = |found: Found| records::Found { rank: found.rank, form: found.form, bytes: found.bytes };
        // Noted as stored, before the conversion: another generation has to read the same bytes in its own form.
        let room = READS_MAX.saturating_sub(self.reads.len());
        let reads = keys.into_iter().zip(found.iter().cloned()).take(room);
        self.reads.extend(reads.map(|(key, found)| Read { key, found }));
        // The clock of the deadline stands still during conversions, which have limits of their own: a guest must not miss its
        // deadline because another guest's conversion was slow. Without foreign records, it costs nothing.
        let foreign = found.iter().flatten().any(|found| found.form != self.view.native());
        let pause = foreign.then(|| self.deadline.pause());
        let mut convert = |found| self.view.convert(found, &mut self.budget);
        let shown = found.into_iter().map(|found| found.and_then(&mut convert).map(wire)).collect();
        if let Some(pause) = pause {
            self.deadline.resume(&pause);
        }
        Ok(shown)
    }
}

/// Cap on the linear memory of an instance, over all its memories: wasmtime's own limit is per memory, and a composed guest has
/// several.
#[derive(Debug)]
pub(crate) struct MemoryCap {
    used: usize,
    /// Use from which the instance is replaced between two calls. Reached by none before it has started.
    half: usize,
    max: usize,
    pub(crate) refused: bool,
}

impl MemoryCap {
    /// Returns the linear memory of the instance, in bytes. It never shrinks.
    pub(crate) fn used(&self) -> usize {
        self.used
    }

    /// Notes what the instance has before its first decision. Half of the rest is what decisions may use: a share of the whole
    /// would replace an interpreter that starts large after every call.
    pub(crate) fn started(&mut self) {
        self.half = self.used + (self.max - self.used) / 2;
    }

    /// Returns whether decisions used half of the memory that was left at the start.
    pub(crate) fn used_half(&self) -> bool {
        self.used > self.half
    }
}

impl ResourceLimiter for MemoryCap {
    fn memory_growing(&mut self, current: usize, desired: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        let used = self.used.saturating_add(desired.saturating_sub(current));
        if used > self.max {
            // Noted, because the guest only sees a failed growth, and traps later for a reason of its own.
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

/// A clock that stands at the time of the call.
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

/// Seed of the randomness of every instance. The randomness that a decision needs is in its event.
const RANDOM_SEED: u64 = 0x6865_7264;
/// Keys in one `records.get`, as the contract says.
const KEYS_MAX: usize = 64;
/// Keys from which a look-up may take long enough to count. Below, reading the clocks would cost as much as the look-up.
const KEYS_QUICK: usize = 8;
/// Look-ups noted per call. A call that makes more cannot be replayed exactly.
const READS_MAX: usize = 4096;
/// Elements of one table: the default limit of the pool.
const TABLE_ELEMENTS_MAX: usize = 20_000;
/// Handles that an instance may hold at once: a guest built with std has four.
pub(crate) const HANDLES_MAX: usize = 256;
/// Random bytes per host call. A seed has 16 or 32; this many take some 100 µs.
const RANDOM_BYTES_MAX: u64 = 64 << 10;
