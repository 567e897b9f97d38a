//! Plan of a load.

use std::net::SocketAddr;
use std::time::Duration;

use super::commands::{Distribution, Mix};

/// Load to run.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Addresses of servers, over which connections are spread evenly. At least one.
    pub addresses: Vec<SocketAddr>,
    /// Number of connections in total. 0 counts as 1.
    pub connections: usize,
    /// Closed or open loop.
    pub mode: Loop,
    /// Reconnect for each command. Only in closed loop, with one command in flight.
    pub connection_per_command: bool,
    /// Kinds of commands.
    pub mix: Mix,
    /// Number of clients that the commands are about.
    pub clients: u64,
    /// Distribution of commands over these clients.
    pub distribution: Distribution,
    /// Number of threads that generate load; at most one per connection is used.
    pub threads: usize,
    /// Time of load before measurement begins.
    pub warm_up: Duration,
    /// Time of measurement.
    pub duration: Duration,
}

/// Condition for the next command.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Loop {
    /// An answer arrives: a fixed number of commands is in flight per connection.
    Closed {
        /// Commands in flight per connection. 0 counts as 1.
        pipeline: usize,
    },
    /// Its time has come, whether or not answers arrive.
    Open {
        /// Commands per second of all connections together. More than 0.
        rate: f64,
    },
}
