//! Simulator: whole herds in one thread, from a seed, with faults.
//!
//! The code under test is that of production; what surrounds it is simulated, and chance decides what happens to it. A seed replays a run
//! exactly. `docs/simulator.md` lists faults and invariants.
//!
//! Knows nothing of sockets, threads and wall clocks. Bounds: nodes, keys and time of a run.

mod chance;
mod client;
mod decider;
mod event_queue;
mod generations;
mod guests;
mod herd;
mod history;
mod link_end;
mod logic_host;
mod memory_log;
mod options;
mod process;
mod runner;
mod schedule;
mod swap_files;
mod swaps;
mod violation;

pub use chance::Chance;
pub use herd::run;
pub use options::{Faults, Graph, Report, SimOptions};
pub use runner::{Seeds, run_seeds};
pub use schedule::run_schedule;
pub use violation::Violation;
