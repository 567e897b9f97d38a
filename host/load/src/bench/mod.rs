//! Load for the line protocol: closed loop, which finds how much a node can do, and open loop, which finds how long
//! answers take at a rate.
//!
//! Works against anything that speaks the protocol. Owns its connections and threads; knows nothing of nodes.
//!
//! Open loop measures from when a command was *to be* sent, so a stall counts for every command that it held up (no
//! coordinated omission). Closed loop keeps a number of commands under way and measures from when each was sent.
//!
//! Bounds: connections, commands under way per connection, time in all, and bytes of an answer.

mod commands;
mod connection;
mod pacer;
mod plan;
mod report;
mod run;

pub use commands::{Distribution, Mix};
pub use plan::{Loop, Plan};
pub use report::BenchReport;
pub use run::{BenchError, run};
