//! The configuration of a herd.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;

use herd_peers::LinkLimits;
use herd_replication::RecordLimits;
use herd_runtime::SwapLimits;
use herd_sessions::SessionLimits;
use herd_upstreams::UpstreamsConfig;
use serde::{Deserialize, Serialize};

use super::drain_config::DrainConfig;
use super::error::ConfigError;
use super::node_config::NodeConfig;
use super::places_config::PlacesConfig;
use super::runtime_config::RuntimeConfig;
use super::suggestion::suggestion;

/// The configuration of a herd.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HerdConfig {
    /// The name of the herd. Nodes of different herds refuse each other's links. Default `herd`.
    pub herd: String,
    /// Where the admin token and other state lives. Default: `$STATE_DIRECTORY`, `$XDG_STATE_HOME/herd` or
    /// `~/.local/state/herd`, and in it a directory of the herd's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state_dir: Option<PathBuf>,
    /// The component that decides. Default: the one that is built into the host.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub guest: Option<PathBuf>,
    /// A file for every line that a node received and sent; `{node}` is replaced by its name. Default: none. It may
    /// lose lines when the disk is slower than the clients, and says how many.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub traffic_log: Option<String>,
    /// The nodes, by name. Default: the five-node herd.
    pub nodes: BTreeMap<String, NodeConfig>,
    /// What is passed to the guest. The default logic knows `tolerance_s` and `close_after_reply`.
    pub logic: toml::Table,
    /// Where places come from.
    pub places: PlacesConfig,
    /// HTTP services that guests may ask, by name.
    pub upstreams: UpstreamsConfig,
    /// What clients may take.
    pub sessions: SessionLimits,
    /// What links may take.
    pub links: LinkLimits,
    /// How much is kept.
    pub records: RecordLimits,
    /// What guests may take.
    pub runtime: RuntimeConfig,
    /// What is asked of a guest that is swapped in.
    pub swap: SwapLimits,
    /// How a node stops.
    pub drain: DrainConfig,
}

impl HerdConfig {
    /// A node by name.
    ///
    /// # Errors
    ///
    /// There is none of that name; the error has the nearest.
    pub fn node(&self, name: &str) -> Result<&NodeConfig, ConfigError> {
        self.nodes.get(name).ok_or_else(|| {
            ConfigError::general(format!("there is no node `{name}`{}", suggestion(name, self.nodes.keys())))
        })
    }

    /// With the addresses that follow from others written out.
    #[must_use]
    pub fn resolved(&self) -> Self {
        let mut resolved = self.clone();
        for node in resolved.nodes.values_mut() {
            (node.link, node.admin) = (Some(node.link_address()), Some(node.admin_address()));
        }
        resolved
    }

    /// The names of the nodes, in the order of their client addresses.
    #[must_use]
    pub fn node_names(&self) -> Vec<&str> {
        let mut names: Vec<(&SocketAddr, &str)> =
            self.nodes.iter().map(|(name, node)| (&node.client, name.as_str())).collect();
        names.sort_unstable();
        names.into_iter().map(|(_, name)| name).collect()
    }

    /// The neighbours of a node, whichever side lists the link.
    #[must_use]
    pub fn neighbours(&self, name: &str) -> Vec<(String, SocketAddr)> {
        let listed = |from: &str, to: &str| self.nodes.get(from).is_some_and(|node| node.links.iter().any(|n| n == to));
        let neighbours = self.nodes.iter().filter(|(other, _)| listed(name, other) || listed(other, name));
        neighbours.map(|(other, node)| (other.clone(), node.link_address())).collect()
    }

    /// What is passed to the guest on a node: the `[logic]` table, flat, and what the host adds.
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
