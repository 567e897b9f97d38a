//! Configuration of metrics: whether nodes have a port for them, and on which interface.

use std::net::{IpAddr, SocketAddr};

use serde::{Deserialize, Serialize};

use super::node_config::{NodeConfig, above_on_loopback};

/// Table `[metrics]`. None of it changes while a node runs.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MetricsConfig {
    /// IP address on which nodes serve metrics and probes: that of an interface, or `::` for every interface. They have no names of
    /// clients, and need no token. Default: the address for clients if that is loopback, or else 127.0.0.1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub listen: Option<IpAddr>,
    /// False for no metrics port. Default: true.
    pub enabled: bool,
}

impl Default for MetricsConfig {
    fn default() -> Self {
        Self { listen: None, enabled: true }
    }
}

impl MetricsConfig {
    /// Returns the address of the metrics of a node; `None` without.
    #[must_use]
    pub fn address(&self, node: &NodeConfig) -> Option<SocketAddr> {
        let usual = || {
            let mut address = above_on_loopback(node.client, METRICS_ABOVE);
            if let Some(listen) = self.listen {
                address.set_ip(listen);
            }
            address
        };
        self.enabled.then(|| node.metrics.unwrap_or_else(usual))
    }
}

/// Ports between that of clients and that of metrics.
pub(super) const METRICS_ABOVE: u16 = 3000;
