//! Defaults: the five-node herd.
//!
//! Defaults of a table that belongs to another part are with that table.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};

use super::herd_config::HerdConfig;
use super::node_config::NodeConfig;

impl Default for HerdConfig {
    fn default() -> Self {
        Self {
            herd: "herd".into(),
            state_dir: None,
            guest: None,
            traffic_log: None,
            nodes: five_nodes(),
            logic: toml::Table::new(),
            places: Default::default(),
            upstreams: Default::default(),
            sessions: Default::default(),
            client_tls: None,
            classic: Default::default(),
            links: Default::default(),
            records: Default::default(),
            record: Default::default(),
            runtime: Default::default(),
            swap: Default::default(),
            audit: Default::default(),
            admin: Default::default(),
            metrics: Default::default(),
            trace: Default::default(),
            drain: Default::default(),
            set_by_operator: Default::default(),
        }
    }
}

/// Riley, Jaquez, Juzang, Campbell and Bernard on consecutive ports of 127.0.0.1, as in the herds that users come from.
fn five_nodes() -> BTreeMap<String, NodeConfig> {
    const NODES: [(&str, u16, &[&str]); 5] = [
        ("Riley", 15415, &["Jaquez", "Juzang"]),
        ("Jaquez", 15416, &["Riley", "Bernard"]),
        ("Juzang", 15417, &["Riley", "Bernard", "Campbell"]),
        ("Campbell", 15418, &["Bernard", "Juzang"]),
        ("Bernard", 15419, &["Jaquez", "Juzang", "Campbell"]),
    ];
    let node = |(name, port, links): (&str, u16, &[&str])| {
        let client = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let links = links.iter().map(ToString::to_string).collect();
        (
            name.to_string(),
            NodeConfig {
                host: None,
                client,
                client_tls: None,
                link: None,
                link_dial: None,
                admin: None,
                metrics: None,
                classic: None,
                classic_peers: Vec::new(),
                links,
            },
        )
    };
    NODES.map(node).into()
}
