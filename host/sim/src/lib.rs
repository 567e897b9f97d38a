//! Simulator: whole herds in one thread, from a seed, with faults.
//!
//! The code under test is that of production; what surrounds it is simulated, and chance decides what happens to it. A seed replays a run
//! exactly. `docs/simulator.md` lists faults and invariants.
//!
//! Knows nothing of sockets, threads and wall clocks. Bounds: nodes, keys and time of a run.

mod chance;
mod check_file;
mod client;
mod decider;
mod decision_checks;
mod event_queue;
mod generations;
mod guest;
mod guests;
mod herd;
mod history;
mod link_end;
mod logic_host;
mod memory_log;
mod node_guests;
mod options;
mod overlay;
mod process;
mod run;
mod runner;
mod scenario;
mod schedule;
mod shrink;
mod simulation;
mod spread;
mod swap_files;
mod swaps;
mod told;
mod violation;

pub use chance::Chance;
pub use check_file::CheckFile;
pub use guest::{NativeGuest, SimGuest, SimGuests};
pub use herd::EPOCH;
pub use options::{Faults, Graph, NODES_MAX, Report, SimOptions};
pub use run::Run;
pub use runner::{Seeds, run_seeds};
pub use scenario::{Action, Scenario, TimedAction};
pub use schedule::run_schedule;
pub use shrink::shrink;
pub use simulation::{Protocol, Simulation};
pub use spread::{Arrival, Spread, SpreadFigures, SpreadReport};
pub use violation::Violation;
