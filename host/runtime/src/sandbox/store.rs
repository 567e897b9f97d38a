//! The wasmtime store of one instance. Every call into a guest goes through it, and so through its limits.
//!
//! A call runs to its end in one poll. WASI is linked asynchronously, because its synchronous functions start a runtime inside
//! the worker's runtime and would panic the host; so calls are futures. One that is pending after its first poll waits for
//! something, which a decision never has to.
//!
//! Knows nothing of the exports of a guest. Bounds: processor and wall time per call (`deadline`), memory, handles, bytes that
//! one host call copies.

use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use herd_sdk::{Records, Settings};
use wasmtime::{AsContext, Store, Trap, WasmBacktrace};

use crate::sandbox::backtrace::Backtrace;
use crate::sandbox::bindings::types;
use crate::sandbox::fault::Fault;
use crate::sandbox::guest_text::{printable, printable_name};
use crate::sandbox::host_state::{HANDLES_MAX, HostState};
use crate::sandbox::instance_count::InstanceGuard;
use crate::sandbox::limits::Limits;
use crate::sandbox::record_view::RecordView;

/// A store with its limits. Drop it after a fault: a component that trapped must never be entered again.
pub(crate) struct InstanceStore {
    store: Store<HostState>,
    /// Error of the call that faulted. Kept rather than formatted: few faults are looked at so closely.
    error: Option<wasmtime::Error>,
    /// Fuel of each call, if the engine counts it.
    fuel_max: Option<u64>,
}

impl InstanceStore {
    pub(crate) fn new(
        engine: &wasmtime::Engine,
        limits: Limits,
        records: Arc<dyn Records + Send + Sync>,
        view: Arc<dyn RecordView>,
        node: &str,
        guard: InstanceGuard,
    ) -> Self {
        let mut store = Store::new(engine, HostState::new(limits, records, view, node, guard));
        store.limiter(|state| &mut state.memory);
        // A callback rather than a trap: it reads the thread's clock, and gives a call more ticks while its processor time lasts.
        store.epoch_deadline_callback(|mut cx| Ok(cx.data_mut().deadline.tick()));
        // Bytes that the host copies out of the guest in one host call. A guest has no more to pass than its memory holds.
        store.set_hostcall_fuel(limits.memory_bytes_max);
        // Handles of the guest's own resources too, which no host function creates.
        store.set_max_component_handles(HANDLES_MAX);
        Self { store, error: None, fuel_max: limits.fuel_max }
    }

    /// Creates the instance with `make`.
    ///
    /// # Errors
    ///
    /// The guest traps in its start function, or the host has no room for an instance.
    pub(crate) fn instantiate<T>(
        &mut self,
        make: impl AsyncFnOnce(&mut Store<HostState>) -> wasmtime::Result<T>,
    ) -> Result<T, Fault> {
        // The start functions of a guest run here, under the same deadline as a call.
        self.begin(0);
        match poll_once(make(&mut self.store)) {
            Some(Ok(instance)) => Ok(instance),
            // Without a trap, no guest code is at fault: the pool is exhausted, or the system has no memory.
            Some(Err(error)) if error.downcast_ref::<Trap>().is_some() => Err(self.fault(error)),
            Some(Err(error)) => Err(Fault::NoInstance(format!("{error:#}"))),
            None => Err(Fault::Slept),
        }
    }

    /// Makes one call, at the time `now_ns` (nanoseconds since the Unix epoch), which the clocks of the guest show.
    ///
    /// # Errors
    ///
    /// The guest is at fault. The store must be dropped.
    pub(crate) fn call<T>(
        &mut self,
        now_ns: u64,
        call: impl AsyncFnOnce(&mut Store<HostState>) -> wasmtime::Result<T>,
    ) -> Result<T, Fault> {
        self.begin(now_ns);
        match poll_once(call(&mut self.store)) {
            Some(Ok(value)) => Ok(value),
            Some(Err(error)) => Err(self.fault(error)),
            None => Err(Fault::Slept),
        }
    }

    /// Returns the instructions of the last call, in units of fuel. None if the engine does not count them.
    pub(crate) fn instructions(&self) -> Option<u64> {
        Some(self.fuel_max?.saturating_sub(self.store.get_fuel().ok()?))
    }

    /// Returns the frames of the guest at its fault, with files and lines. None if its component carries no DWARF.
    pub(crate) fn backtrace(&self) -> Option<Backtrace> {
        self.error.as_ref().and_then(Backtrace::of)
    }

    /// Borrows the host's state.
    pub(crate) fn data(&mut self) -> &mut HostState {
        self.store.data_mut()
    }

    /// Notes the memory of the instance before its first decision.
    pub(crate) fn started(&mut self) {
        self.store.data_mut().memory.started();
    }

    /// Returns whether the instance used half the memory that it had left when it started.
    pub(crate) fn used_half(&self) -> bool {
        self.store.data().memory.used_half()
    }

    fn begin(&mut self, now_ns: u64) {
        self.store.data_mut().begin(now_ns);
        // Relative to now, and before every call: what is left of the last call's deadline does not count. One tick, so that the
        // callback runs at the first tick of a call and short calls never run it.
        self.store.set_epoch_deadline(1);
        if let Some(fuel) = self.fuel_max {
            // The engine was made with the same limits, and counts fuel.
            self.store.set_fuel(fuel).expect("an engine with this limit counts fuel");
        }
    }

    /// Classifies an error of a call, and keeps it for a backtrace.
    fn fault(&mut self, error: wasmtime::Error) -> Fault {
        let fault = self.classify(&error);
        self.error = Some(error);
        fault
    }

    fn classify(&self, error: &wasmtime::Error) -> Fault {
        let state = self.store.as_context().data();
        // The causes first, then the trap: an interrupted guest, and one whose `memory.grow` was refused, also end in a trap
        // whose text would blame the wrong thing.
        if state.deadline.missed() {
            return Fault::Deadline;
        }
        if state.memory.refused {
            return Fault::Memory;
        }
        if error.downcast_ref::<wasmtime_wasi::I32Exit>().is_some() {
            return Fault::Exited;
        }
        match error.downcast_ref::<Trap>() {
            Some(Trap::StackOverflow) => Fault::Recursion,
            Some(Trap::OutOfFuel) => Fault::Deadline,
            trap => {
                // The last line of output is the message of a panic. Without one, name the function that trapped.
                let what = trap.map_or_else(|| error.root_cause().to_string(), ToString::to_string);
                let place = || {
                    let frames = error.downcast_ref::<WasmBacktrace>()?.frames();
                    frames.iter().find_map(|frame| frame.func_name()).map(|name| format!("in {name}"))
                };
                match state.output.last_line().or_else(place) {
                    Some(why) => Fault::Trap(format!("{what}: {}", printable(&why))),
                    None => Fault::Trap(what),
                }
            }
        }
    }
}

/// Converts settings to their type in the contract.
pub(crate) fn wit_settings(settings: &Settings) -> types::Settings {
    let setting = |(name, value): &(String, String)| types::Setting { name: name.clone(), value: value.clone() };
    types::Settings { node: settings.node.clone(), table: settings.table.iter().map(setting).collect() }
}

/// Converts the refusal of settings to a fault.
pub(crate) fn bad_settings(bad: &types::BadSetting) -> Fault {
    Fault::Settings(herd_sdk::BadSetting { name: printable_name(&bad.name), problem: printable(&bad.problem) })
}

/// Polls a future once. None if it is pending; the drop then cancels the call.
fn poll_once<T>(future: impl Future<Output = T>) -> Option<T> {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => Some(value),
        Poll::Pending => None,
    }
}

#[cfg(test)]
mod tests;
