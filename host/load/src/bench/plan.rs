//! What to put on a herd.

use std::net::SocketAddr;
use std::time::Duration;

use super::commands::{Distribution, Mix};

/// A load.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Where to connect; connections are spread over them evenly.
    pub addresses: Vec<SocketAddr>,
    /// Connections in all, at least one.
    pub connections: usize,
    /// How commands follow one another.
    pub mode: Loop,
    /// One command per connection, which is then closed and made anew. Only in closed loop, without pipelining.
    pub connection_per_command: bool,
    /// Which commands.
    pub mix: Mix,
    /// How many clients the commands are about.
    pub clients: u64,
    /// How often each of them.
    pub distribution: Distribution,
    /// Threads that make the load.
    pub threads: usize,
    /// Time before measuring begins.
    pub warm_up: Duration,
    /// Time of measuring.
    pub duration: Duration,
}

/// How commands follow one another.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Loop {
    /// The next one when an answer is there, with this many under way per connection.
    Closed {
        /// At least one.
        pipeline: usize,
    },
    /// At a rate, whether answers come or not.
    Open {
        /// Commands a second, all connections together.
        rate: f64,
    },
}
