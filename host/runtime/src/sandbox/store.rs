//! A store for one instance, and what bounds a call into it: whatever of a guest is called, it is called through here.
//!
//! A call runs to its end in one poll. WASI is linked the asynchronous way, because the synchronous one starts
//! a runtime inside of the runtime and would take the worker down; a call that is not ready after one poll has
//! slept, and a decision has nothing to wait for.

use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use herd_sdk::{Records, Settings};
use wasmtime::{AsContext, Store, Trap, WasmBacktrace};

use crate::sandbox::bindings::types;
use crate::sandbox::fault::Fault;
use crate::sandbox::host_state::HostState;
use crate::sandbox::instance_count::InstanceGuard;
use crate::sandbox::limits::Limits;
use crate::sandbox::record_view::RecordView;

/// A store with its limits. After a fault it must be dropped: a component that trapped may never be entered again.
pub(crate) struct InstanceStore {
    store: Store<HostState>,
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
        store.limiter(|guest| &mut guest.memory);
        store.epoch_deadline_callback(|mut cx| Ok(cx.data_mut().deadline.tick()));
        // A guest can make the host copy no more in one call than it may have itself.
        store.set_hostcall_fuel(limits.memory_bytes_max);
        Self { store }
    }

    /// Makes the instance, as told.
    ///
    /// # Errors
    ///
    /// The guest traps at its start, or there is no room for an instance.
    pub(crate) fn instantiate<T>(
        &mut self,
        make: impl AsyncFnOnce(&mut Store<HostState>) -> wasmtime::Result<T>,
    ) -> Result<T, Fault> {
        self.begin(0);
        match poll_once(make(&mut self.store)) {
            Some(Ok(instance)) => Ok(instance),
            Some(Err(error)) if error.downcast_ref::<Trap>().is_some() => Err(self.fault(&error)),
            Some(Err(error)) => Err(Fault::NoInstance(format!("{error:#}"))),
            None => Err(Fault::Slept),
        }
    }

    /// Makes one call.
    ///
    /// # Errors
    ///
    /// The guest is at fault.
    pub(crate) fn call<T>(
        &mut self,
        now_ns: u64,
        call: impl AsyncFnOnce(&mut Store<HostState>) -> wasmtime::Result<T>,
    ) -> Result<T, Fault> {
        self.begin(now_ns);
        match poll_once(call(&mut self.store)) {
            Some(Ok(value)) => Ok(value),
            Some(Err(error)) => Err(self.fault(&error)),
            None => Err(Fault::Slept),
        }
    }

    pub(crate) fn data(&mut self) -> &mut HostState {
        self.store.data_mut()
    }

    fn begin(&mut self, now_ns: u64) {
        self.store.data_mut().begin(now_ns);
        self.store.set_epoch_deadline(1);
    }

    /// What an error of a call means.
    fn fault(&self, error: &wasmtime::Error) -> Fault {
        let guest = self.store.as_context().data();
        if guest.deadline.missed() {
            return Fault::Deadline;
        }
        if guest.memory.refused {
            return Fault::Memory;
        }
        if error.downcast_ref::<wasmtime_wasi::I32Exit>().is_some() {
            return Fault::Exited;
        }
        match error.downcast_ref::<Trap>() {
            Some(Trap::StackOverflow) => Fault::Recursion,
            trap => {
                // What a guest says last is why it panicked; without it, the function that trapped must do.
                let what = trap.map_or_else(|| error.root_cause().to_string(), ToString::to_string);
                let place = || {
                    let frames = error.downcast_ref::<WasmBacktrace>()?.frames();
                    frames.iter().find_map(|frame| frame.func_name()).map(|name| format!("in {name}"))
                };
                match guest.output.last_line().or_else(place) {
                    Some(why) => Fault::Trap(format!("{what}: {}", printable(&why))),
                    None => Fault::Trap(what),
                }
            }
        }
    }
}

/// What an instance is told of its settings.
pub(crate) fn wit_settings(settings: &Settings) -> types::Settings {
    let setting = |(name, value): &(String, String)| types::Setting { name: name.clone(), value: value.clone() };
    types::Settings { node: settings.node.clone(), table: settings.table.iter().map(setting).collect() }
}

/// What becomes of an instance that does not take its settings.
pub(crate) fn bad_settings(bad: &types::BadSetting) -> Fault {
    Fault::Settings(herd_sdk::BadSetting { name: printable(&bad.name), problem: printable(&bad.problem) })
}

/// What a guest says of itself, for people: cut, and without what would upset a terminal.
pub(crate) fn printable(text: &str) -> String {
    let harmless = |letter: char| if letter.is_control() { char::REPLACEMENT_CHARACTER } else { letter };
    text.chars().take(TEXT_CHARS_MAX).map(harmless).collect()
}

/// The result of a future that is ready at its first poll.
fn poll_once<T>(future: impl Future<Output = T>) -> Option<T> {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => Some(value),
        Poll::Pending => None,
    }
}

/// As much as fits on a screen.
const TEXT_CHARS_MAX: usize = 1000;
