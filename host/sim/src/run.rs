//! A run of a simulation, from its start to its end. Knows no events; the herd does.

use crate::herd::Herd;
use crate::options::Report;
use crate::scenario::{Scenario, TimedAction};
use crate::simulation::Simulation;
use crate::spread::Spread;
use crate::violation::Violation;

/// Run that has ended.
pub struct Run {
    /// Report, or the invariant that broke.
    pub outcome: Result<Report, Violation>,
    /// Events up to its end.
    pub scenario: Scenario,
    /// Spread of reports, if it was asked for.
    pub spread: Option<Spread>,
}

impl Simulation<'_> {
    /// Runs to the end.
    ///
    /// # Errors
    ///
    /// See [`Violation`]. The same simulation replays it.
    pub fn run(self) -> Result<Report, Violation> {
        self.record().outcome
    }

    /// Runs to the end, and returns what happened in it too.
    #[must_use]
    pub fn record(self) -> Run {
        let mut herd = match Herd::new(self) {
            Ok(herd) => herd,
            Err(violation) => {
                let scenario = self.scenario.cloned().unwrap_or_else(|| Scenario::of(self.options, Vec::new()));
                return Run { outcome: Err(violation), scenario, spread: None };
            }
        };
        let outcome = herd.run();
        let events: Vec<TimedAction> = std::mem::take(&mut herd.events);
        let scenario = self.scenario.cloned().unwrap_or_else(|| Scenario::of(self.options, events));
        Run { outcome, scenario, spread: herd.history.take_spread() }
    }
}
