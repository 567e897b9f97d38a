//! Load for the line protocol: closed loop, to find the throughput of a server, and open loop, to find its latency at a given
//! rate.
//!
//! Open loop measures from the time at which a command was *due*, so a stall counts for every command that it delayed (no
//! coordinated omission). Closed loop keeps a number of commands in flight and measures from when each was sent.
//!
//! Works against any server of the protocol. Owns its connections and threads; knows nothing of nodes. Bounds: connections,
//! commands in flight per connection in closed loop, total time, and bytes of an answer.

mod commands;
mod connection;
mod counters;
mod load;
mod pacer;
mod plan;
mod report;
mod run;

pub use commands::{Distribution, Mix};
pub use plan::{Loop, Plan, Target};
pub use report::BenchReport;
pub use run::{BenchError, run};
