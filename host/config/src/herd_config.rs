//! Root of the configuration, and what is derived from several of its tables.
//!
//! Tables of other parts are owned by those parts. Knows no source of values; see `load`.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;

use herd_audit::AuditLimits;
use herd_peers::LinkLimits;
use herd_recording::RecordOptions;
use herd_sessions::SessionLimits;
use herd_sys::HostPort;
use herd_upstreams::UpstreamsConfig;
use serde::{Deserialize, Serialize};

use super::admin_config::AdminConfig;
use super::classic_config::ClassicConfig;
use super::client_tls_config::ClientTlsConfig;
use super::drain_config::DrainConfig;
use super::error::ConfigError;
use super::metrics_config::MetricsConfig;
use super::node_config::NodeConfig;
use super::places_config::PlacesConfig;
use super::records_config::RecordsConfig;
use super::runtime_config::RuntimeConfig;
use super::set_by_operator::SetByOperator;
use super::suggestion::suggestion;
use super::swap_config::SwapConfig;
use super::trace_config::TraceConfig;

/// Configuration of a herd. None of it changes while a node runs.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HerdConfig {
    /// Name of the herd, and of its state directory, at most 128 bytes. Nodes of different herds refuse links to each other.
    /// Default `herd`.
    pub herd: String,
    /// Directory for state: the admin token, audit logs, compiled guests, saved cases. The herd uses the subdirectory with its
    /// name. Default: `$STATE_DIRECTORY`, `$XDG_STATE_HOME/herd` or `~/.local/state/herd`, whichever is set first. A relative
    /// path is relative to the configuration file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state_dir: Option<PathBuf>,
    /// Path of the component with the protocol logic, whose signatures are in the file of that name with `.minisig`, or of a bundle (`herd
    /// compile`). Default: the guest built into the binary. After a swap the herd starts with the guest it swapped to, whatever stands
    /// here. A relative path is relative to the configuration file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub guest: Option<PathBuf>,
    /// Path of a file for every line that a node receives and sends, with `{node}` in place of its name. Default: none. When
    /// the disk is slower than the clients, lines are dropped and counted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub traffic_log: Option<String>,
    /// Nodes by name. Default: the five-node herd on 127.0.0.1.
    pub nodes: BTreeMap<String, NodeConfig>,
    /// Settings of the guest, which the host passes on unread. The default logic has `tolerance_s` (60) and
    /// `close_after_reply` (false). Default: empty.
    pub logic: toml::Table,
    /// Sources of places for `WHATSAT`.
    pub places: PlacesConfig,
    /// HTTP services that a guest may send requests to, by name.
    pub upstreams: UpstreamsConfig,
    /// Limits of client sessions.
    pub sessions: SessionLimits,
    /// Certificate of client ports with TLS. Required if a node has a `client_tls` address. Default: none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_tls: Option<ClientTlsConfig>,
    /// Lines from and to older programs, for nodes with `classic` or `classic_peers`.
    pub classic: ClassicConfig,
    /// Limits of links between nodes.
    pub links: LinkLimits,
    /// Limits, durability and acknowledgement of records.
    pub records: RecordsConfig,
    /// Recording of decisions.
    pub record: RecordOptions,
    /// Limits of guests.
    pub runtime: RuntimeConfig,
    /// Probation of a guest after a swap, and the signatures that it needs before.
    pub swap: SwapConfig,
    /// Size of the audit log of each node.
    pub audit: AuditLimits,
    /// Users who may administer the nodes.
    pub admin: AdminConfig,
    /// Ports of nodes for metrics and probes.
    pub metrics: MetricsConfig,
    /// Arrivals of reports that a node remembers, for `herd trace`, and the export of spans.
    pub trace: TraceConfig,
    /// Stop of a node.
    pub drain: DrainConfig,
    #[serde(skip)]
    pub(super) set_by_operator: SetByOperator,
}

impl HerdConfig {
    /// Looks up a node by name.
    ///
    /// # Errors
    ///
    /// No node has this name. The error suggests the nearest one.
    pub fn node(&self, name: &str) -> Result<&NodeConfig, ConfigError> {
        self.nodes.get(name).ok_or_else(|| {
            ConfigError::general(format!("unknown node `{name}`{}", suggestion(name, self.nodes.keys())))
        })
    }

    /// Returns the configuration with default addresses filled in.
    #[must_use]
    pub fn resolved(&self) -> Self {
        let mut resolved = self.clone();
        for node in resolved.nodes.values_mut() {
            (node.link, node.admin) = (Some(node.link_address()), Some(node.admin_address()));
            node.metrics = self.metrics.address(node);
        }
        resolved
    }

    /// Returns true if no link of the herd leaves this host.
    #[must_use]
    pub fn is_on_one_host(&self) -> bool {
        self.nodes.values().all(NodeConfig::has_local_links)
    }

    /// Returns the names of the nodes in the order of their client addresses.
    #[must_use]
    pub fn node_names(&self) -> Vec<&str> {
        let mut names: Vec<(&SocketAddr, &str)> =
            self.nodes.iter().map(|(name, node)| (&node.client, name.as_str())).collect();
        names.sort_unstable();
        names.into_iter().map(|(_, name)| name).collect()
    }

    /// Returns the neighbours of a node, and where it connects to for links with them. A link exists if either side lists it.
    #[must_use]
    pub fn neighbours(&self, name: &str) -> Vec<(String, HostPort)> {
        let listed = |from: &str, to: &str| self.nodes.get(from).is_some_and(|node| node.links.iter().any(|n| n == to));
        let neighbours = self.nodes.iter().filter(|(other, _)| listed(name, other) || listed(other, name));
        neighbours.map(|(other, node)| (other.clone(), node.link_dial())).collect()
    }

    /// Returns where all nodes but one are reached for links.
    #[must_use]
    pub fn link_dials_but(&self, name: &str) -> BTreeMap<String, HostPort> {
        let others = self.nodes.iter().filter(|(other, _)| *other != name);
        others.map(|(other, node)| (other.clone(), node.link_dial())).collect()
    }

    /// Returns the settings of the guest on a node: the `[logic]` table, flattened to dotted names, and `places.sources`. Sorted
    /// by name, so that every node passes the same bytes.
    #[must_use]
    pub fn settings(&self, node: &str) -> herd_sdk::Settings {
        let mut table = Vec::new();
        for (name, value) in &self.logic {
            flatten(&mut table, name, value);
        }
        table.push(("places.sources".into(), self.places.sources.join(",")));
        table.sort_unstable();
        herd_sdk::Settings { node: node.into(), table }
    }
}

fn flatten(into: &mut Vec<(String, String)>, name: &str, value: &toml::Value) {
    match value {
        toml::Value::Table(table) => {
            for (inner, value) in table {
                flatten(into, &format!("{name}.{inner}"), value);
            }
        }
        value => into.push((name.into(), text(value))),
    }
}

fn text(value: &toml::Value) -> String {
    match value {
        toml::Value::String(text) => text.clone(),
        toml::Value::Array(items) => items.iter().map(text).collect::<Vec<_>>().join(","),
        value => value.to_string(),
    }
}
