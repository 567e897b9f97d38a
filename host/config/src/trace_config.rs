//! Configuration of traces: how many arrivals a node remembers, whether with the addresses of clients, and where spans are exported to.

use serde::{Deserialize, Serialize};

/// Table `[trace]`. None of it changes while a node runs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TraceConfig {
    /// Number of reports of which a node remembers when and from where they came, for `herd trace`; 0 for none. Those of a link that were
    /// dropped as known count too. Raising it takes 48 bytes of memory each, from the start. Default 65,536.
    pub arrivals: usize,
    /// False if the addresses of clients are not to be remembered. Default: true.
    pub addresses: bool,
    /// Base URL of a collector of OpenTelemetry that takes OTLP over HTTP, such as `http://127.0.0.1:4318`. Default: none, and nothing is traced.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub otlp: Option<String>,
    /// Share of the inputs of clients that are traced, from 0 to 1. An input is a line, or what a client has sent together. Raised, each more
    /// costs some microseconds and a few hundred bytes to the collector for each step. Default 0.01.
    pub sample: f64,
}

impl Default for TraceConfig {
    fn default() -> Self {
        Self { arrivals: 1 << 16, addresses: true, otlp: None, sample: 0.01 }
    }
}
