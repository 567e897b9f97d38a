//! Components as the guests of a simulation.
//!
//! Owns their engine, which counts fuel in place of time, so that a seed means the same on every machine. Bounds: those of the engine.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context;
use herd_config::HerdConfig;
use herd_runtime::{ComponentDecider, Engine};
use herd_sdk::native::{Decider, Fault, MemoryRecords};
use herd_sdk::{Decision, InputBatch, Moment, Outcome, Records, Reports, Settings};
use herd_sim::{SimGuest, SimGuests};

use crate::default_guest;
use crate::guest_file::read_guest;

/// Guests in files.
pub(super) struct ComponentGuests {
    engine: Arc<Engine>,
    guests: Vec<Vec<u8>>,
    /// Settings of every guest, by name, as nodes of the configuration pass them.
    table: Vec<(String, String)>,
    /// Keep the compiled guests in the cache of the engine while no node has them.
    _kept: Vec<ComponentDecider>,
}

impl ComponentGuests {
    /// Loads guests for so many nodes in all, with the settings of a configuration. The path `built-in` stands for the guest in this binary.
    ///
    /// # Errors
    ///
    /// A file cannot be read, or is no guest.
    pub(super) fn load(paths: &[PathBuf], config: &HerdConfig, nodes: usize) -> anyhow::Result<Self> {
        let engine = Engine::for_simulation(config.runtime.limits(), nodes * paths.len())?;
        let settings = config.settings("Riley");
        let (mut guests, mut kept) = (Vec::new(), Vec::new());
        let records: Arc<dyn Records + Send + Sync> = Arc::new(MemoryRecords::default());
        for path in paths {
            let is_built_in = path.as_os_str() == BUILT_IN && !path.exists();
            let guest = if is_built_in { default_guest().to_vec() } else { read_guest(path)? };
            let loaded = ComponentDecider::load_all(&engine, &[&guest], &settings, &records);
            kept.extend(loaded.with_context(|| path.display().to_string())?);
            guests.push(guest);
        }
        Ok(Self { engine, guests, table: settings.table, _kept: kept })
    }
}

impl SimGuests for ComponentGuests {
    fn start(&self, node: &str, records: &Arc<dyn Records + Send + Sync>) -> Result<Vec<Box<dyn SimGuest>>, String> {
        let settings = Settings { node: node.into(), table: self.table.clone() };
        let guests: Vec<&[u8]> = self.guests.iter().map(Vec::as_slice).collect();
        let loaded = ComponentDecider::load_all(&self.engine, &guests, &settings, records);
        let boxed = |decider| Box::new(Component(decider)) as Box<dyn SimGuest>;
        loaded.map(|loaded| loaded.into_iter().map(boxed).collect()).map_err(|error| error.to_string())
    }
}

/// A component of one node.
struct Component(ComponentDecider);

impl SimGuest for Component {
    fn fresh_over(&self, records: Arc<dyn Records + Send + Sync>) -> Box<dyn Decider> {
        Box::new(self.0.fresh_over(records))
    }
}

impl Decider for Component {
    fn inputs(&mut self, at: Moment, inputs: &InputBatch) -> Result<Decision, Fault> {
        self.0.inputs(at, inputs)
    }

    fn reports(&mut self, at: Moment, reports: Reports<'_>) -> Result<Decision, Fault> {
        self.0.reports(at, reports)
    }

    fn answer(&mut self, at: Moment, token: &[u8], otherwise: &[u8], outcome: Outcome<'_>) -> Result<Decision, Fault> {
        self.0.answer(at, token, otherwise, outcome)
    }
}

/// Word for the guest in this binary, where a file is expected.
const BUILT_IN: &str = "built-in";
