//! One instance of a guest: a store, and the calls into it.
//!
//! A call runs to its end in one poll. WASI is linked the asynchronous way, because the synchronous one starts
//! a runtime inside of the runtime and would take the worker down; a call that is not ready after one poll has
//! slept, and a decision has nothing to wait for.

use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use herd_sdk::check::{Scope, check};
use herd_sdk::{Decision, Description, Moment, Records, Settings};
use wasmtime::{AsContext, Store, Trap, WasmBacktrace};

use super::bindings::{self, NodeLogic, NodeLogicPre, types, wit};
use super::call::{Call, Read};
use super::engine::Limits;
use super::fault::Fault;
use super::guest::Guest;

/// A configured instance. After a fault it must be dropped: a component that trapped may never be entered again.
pub(super) struct Instance {
    store: Store<Guest>,
    logic: NodeLogic,
}

impl Instance {
    /// Makes an instance and configures it.
    ///
    /// # Errors
    ///
    /// The guest refuses its settings or traps, or there is no room for an instance.
    pub(super) fn new(
        pre: &NodeLogicPre<Guest>,
        limits: Limits,
        records: Arc<dyn Records + Send + Sync>,
        settings: &Settings,
    ) -> Result<Self, Fault> {
        let mut store = Store::new(pre.engine(), Guest::new(limits, records, &settings.node));
        store.limiter(|guest| &mut guest.memory);
        store.epoch_deadline_callback(|mut cx| Ok(cx.data_mut().deadline.tick()));
        // A guest can make the host copy no more in one call than it may have itself.
        store.set_hostcall_fuel(limits.memory_bytes_max);
        store.set_epoch_deadline(1);
        store.data_mut().begin(0);
        let made = poll_once(pre.instantiate_async(&mut store));
        let logic = match made {
            Some(Ok(logic)) => logic,
            Some(Err(error)) if error.downcast_ref::<Trap>().is_some() => return Err(fault(&store, &error)),
            Some(Err(error)) => return Err(Fault::NoInstance(format!("{error:#}"))),
            None => return Err(Fault::Slept),
        };
        let mut instance = Self { store, logic };
        let settings = types::Settings {
            node: settings.node.clone(),
            table: settings
                .table
                .iter()
                .map(|(name, value)| types::Setting { name: name.clone(), value: value.clone() })
                .collect(),
        };
        let configured = instance.call(0, async |store, logic| logic.call_configure(store, &settings).await)?;
        let bad = |bad: types::BadSetting| herd_sdk::BadSetting {
            name: printable(&bad.name),
            problem: printable(&bad.problem),
        };
        configured.map_err(|error| Fault::Settings(bad(error)))?;
        Ok(instance)
    }

    pub(super) fn describe(&mut self) -> Result<Description, Fault> {
        let description = self.call(0, async |store, logic| logic.call_describe(store).await)?;
        Ok(Description {
            name: printable(&description.name),
            version: printable(&description.version),
            commands: description.commands.iter().take(COMMANDS_MAX).map(|command| printable(command)).collect(),
        })
    }

    /// Decides. What it looked up on the way is kept until the next call.
    pub(super) fn decide(&mut self, at: Moment, call: &Call<'_>) -> Result<Decision, Fault> {
        let moment = bindings::moment(at);
        let (decided, scope) = match *call {
            Call::Inputs(inputs) => {
                let (bytes, words) = (inputs.bytes(), inputs.words());
                let decided =
                    self.call(at.now_ns, async |store, logic| logic.call_inputs(store, moment, bytes, words).await)?;
                (decided, Scope::Inputs(inputs.iter()))
            }
            Call::Reports(reports) => {
                let (bytes, words) = (reports.bytes(), reports.words());
                let decided =
                    self.call(at.now_ns, async |store, logic| logic.call_reports(store, moment, bytes, words).await)?;
                (decided, Scope::Reports(reports.len()))
            }
            Call::Answer { token, otherwise, outcome } => {
                let outcome = bindings::outcome(outcome);
                let decided = self.call(at.now_ns, async |store, logic| {
                    logic.call_answer(store, moment, token, otherwise, &outcome).await
                })?;
                (decided, Scope::Answer)
            }
        };
        let decision = bindings::decision(decided);
        check(&decision, scope)?;
        Ok(decision)
    }

    /// What the last call looked up.
    pub(super) fn take_reads(&mut self) -> Vec<Read> {
        std::mem::take(&mut self.store.data_mut().reads)
    }

    fn call<T>(
        &mut self,
        now_ns: u64,
        call: impl AsyncFnOnce(&mut Store<Guest>, &wit::Guest) -> wasmtime::Result<T>,
    ) -> Result<T, Fault> {
        self.store.data_mut().begin(now_ns);
        self.store.set_epoch_deadline(1);
        let ended = poll_once(call(&mut self.store, self.logic.herd_logic_logic()));
        match ended {
            Some(Ok(value)) => Ok(value),
            Some(Err(error)) => Err(fault(&self.store, &error)),
            None => Err(Fault::Slept),
        }
    }
}

/// The result of a future that is ready at its first poll.
fn poll_once<T>(future: impl Future<Output = T>) -> Option<T> {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => Some(value),
        Poll::Pending => None,
    }
}

/// What an error of a call means.
fn fault(store: &Store<Guest>, error: &wasmtime::Error) -> Fault {
    let guest = store.as_context().data();
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

/// What a guest says of itself, for people: cut, and without what would upset a terminal.
fn printable(text: &str) -> String {
    let harmless = |letter: char| if letter.is_control() { char::REPLACEMENT_CHARACTER } else { letter };
    text.chars().take(TEXT_CHARS_MAX).map(harmless).collect()
}

/// As much as fits on a screen.
const TEXT_CHARS_MAX: usize = 1000;
const COMMANDS_MAX: usize = 100;
