//! Plan of a load.

use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use herd_client::ClientTls;
use serde::Serialize;

use super::commands::{Distribution, Mix};

/// Load to run.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Servers, over which connections are spread evenly. At least one.
    pub targets: Vec<Target>,
    /// Number of connections in total. At least one.
    pub connections: usize,
    /// Closed or open loop.
    pub mode: Loop,
    /// Reconnect for each command. Only in closed loop, with one command in flight.
    pub connection_per_command: bool,
    /// Kinds of commands.
    pub mix: Mix,
    /// Number of clients that the commands are about. At least one.
    pub clients: u64,
    /// Distribution of commands over these clients.
    pub distribution: Distribution,
    /// Number of threads that generate load. At least one; at most one per connection is used.
    pub threads: usize,
    /// Settings of TLS, with which all servers are connected. None: plain connections.
    pub tls: Option<ClientTls>,
    /// Time of load before measurement begins.
    pub warm_up: Duration,
    /// Time of measurement. More than 0.
    pub duration: Duration,
}

/// Server of the line protocol.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Target {
    /// Name of the node, if it is known.
    #[serde(rename = "node", skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Address for clients.
    pub address: SocketAddr,
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.name {
            Some(name) => write!(f, "{name} ({})", self.address),
            None => write!(f, "{}", self.address),
        }
    }
}

/// Condition for the next command.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Loop {
    /// An answer arrives: a fixed number of commands is in flight per connection.
    Closed {
        /// Commands in flight per connection. At least one.
        pipeline: usize,
    },
    /// Its time has come, whether or not answers arrive.
    Open {
        /// Commands per second of all connections together. More than 0.
        rate: f64,
    },
}
