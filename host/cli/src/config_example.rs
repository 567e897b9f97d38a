//! `herd config example`: a commented configuration for nodes on several hosts.
//!
//! Owns which nodes are linked, and what the comments say. Everything that it prints is checked by tests, what is commented out as well.
//! Bound: [`NODES_MAX`].

use std::collections::BTreeSet;
use std::fmt::Write as _;

use anyhow::bail;
use clap::Args;
use herd_config::HerdConfig;
use herd_sys::Host;

use super::numbers::counted;
use super::shell_word::shell_word;

/// Arguments of `herd config example`.
#[derive(Debug, Args)]
pub(super) struct ExampleArgs {
    /// Hosts with a node each: DNS names or IP addresses, separated by commas. NAME@HOST names the node; otherwise it has the first part of
    /// the name of its host.
    #[arg(long, value_delimiter = ',', required = true, value_name = "HOST,...")]
    hosts: Vec<String>,
    /// Name of the herd.
    #[arg(long, default_value = "herd", value_name = "NAME")]
    herd: String,
}

/// A node of the example.
#[derive(Debug, PartialEq, Eq)]
struct ExampleNode {
    name: String,
    host: Host,
    /// Port for clients: nodes of one host have different ones.
    port: u16,
    links: Vec<String>,
}

/// Prints the configuration.
///
/// # Errors
///
/// A host is none, or two nodes have one name.
pub(super) fn print(args: &ExampleArgs) -> anyhow::Result<()> {
    say_on!("{}", text(&args.herd, &nodes(&args.hosts)?));
    Ok(())
}

fn nodes(hosts: &[String]) -> anyhow::Result<Vec<ExampleNode>> {
    if hosts.len() > NODES_MAX {
        bail!("{} hosts; at most {NODES_MAX} are written here, and a configuration may have more", hosts.len());
    }
    let mut nodes: Vec<ExampleNode> = Vec::new();
    for (index, entry) in hosts.iter().enumerate() {
        let (name, host) = match entry.rsplit_once('@') {
            Some((name, host)) => (name.to_string(), host.parse::<Host>()?),
            None => {
                let host: Host = entry.parse()?;
                (usual_name(&host, index), host)
            }
        };
        if let Some(other) = nodes.iter().find(|node| node.name == name) {
            bail!(
                "the nodes on {} and on {host} would both be named {name}; name them, such as {name}1@{}",
                other.host,
                other.host
            );
        }
        let beside = nodes.iter().filter(|node| is_same(&node.host, &host)).count();
        nodes.push(ExampleNode { name, host, port: PORT + u16::try_from(beside)?, links: Vec::new() });
    }
    let names: Vec<String> = nodes.iter().map(|node| node.name.clone()).collect();
    for (from, to) in links(names.len()) {
        nodes[from].links.push(names[to].clone());
    }
    Ok(nodes)
}

/// Returns whether two hosts are the same one, as far as their names tell.
fn is_same(one: &Host, other: &Host) -> bool {
    one == other || (one.is_loopback() && other.is_loopback())
}

/// Returns the name of a node on this host: the first part of the name of the host.
fn usual_name(host: &Host, index: usize) -> String {
    match host.ip() {
        Some(_) => format!("node-{}", index + 1),
        None => host.as_str().split('.').next().unwrap_or_default().to_string(),
    }
}

/// Returns the links of a herd, each at one of its ends: a ring, and in larger herds also across it, so that each node has about three and a
/// report passes few nodes.
fn links(count: usize) -> BTreeSet<(usize, usize)> {
    let ring = (0..count).map(|node| (node, (node + 1) % count));
    let across = (0..count / 2).map(|node| (node, node + count / 2)).filter(|_| count > RING_MAX);
    let mut links = BTreeSet::new();
    for (from, to) in ring.chain(across) {
        if from != to && !links.contains(&(to, from)) {
            links.insert((from, to));
        }
    }
    links
}

fn text(herd: &str, nodes: &[ExampleNode]) -> String {
    let names: Vec<_> = nodes.iter().map(|node| shell_word(&node.name)).collect();
    let example = names.last().map_or("NODE", String::as_str);
    let defaults = HerdConfig::default();
    let (sessions, records) = (&defaults.sessions, &defaults.records);
    let mut text = format!(
        r#"# A herd of {count} on {hosts}, as `herd config example` wrote it. All hosts have the same file.
#
# On one host, which keeps the authority:
#     herd certs init --config herd.toml
#     herd certs issue {all} --config herd.toml
# Then carry each NODE.pem, which contains this file, to the host of its node and to no other. There, as the user who runs the node:
#     herd certs install {example}.pem
#     herd run {example} --config herd.toml
# What is wrong with a node, and with the ways to its neighbours:
#     herd doctor {example} --config herd.toml
# After changes:
#     herd config check --config herd.toml

# Name of the herd. Nodes of different herds refuse one another.
herd = {herd}

# Directory for keys, records and logs, in a folder with the name of the herd. Default: that of the service if systemd runs the node, or else
# ~/.local/state/herd.
# state_dir = "/var/lib/herd"

# Each node: `host` is where other hosts find it, as a name (IPv4, IPv6 or both) or an address, and `client` and `link` are where it listens,
# [::] for IPv4 and IPv6 on every interface. A machine without IPv6 needs 0.0.0.0 there. A firewall has to let the other hosts in to the ports
# of `link`, and clients to those of `client` and `client_tls`. A link that one of its ends lists goes both ways.
"#,
        count = counted(nodes.len(), "node"),
        hosts = counted(nodes.iter().map(|node| &node.host).collect::<BTreeSet<_>>().len(), "host"),
        all = names.join(" "),
        herd = quoted(herd),
    );
    for ExampleNode { name, host, port, links } in nodes {
        let (key, any) = (key(name), if host.is_loopback() { "127.0.0.1" } else { "[::]" });
        let links: Vec<_> = links.iter().map(|name| quoted(name)).collect();
        let _ = write!(text, "\n[nodes.{key}]\n");
        if !host.is_loopback() {
            let _ = writeln!(text, "host = {}", quoted(host.as_str()));
        }
        let _ = write!(
            text,
            "client = \"{any}:{port}\"\n# client_tls = \"{any}:{tls}\"\nlink = \"{any}:{link}\"\n# admin = \"127.0.0.1:{admin}\"\nlinks = [{links}]\n",
            tls = port + 100,
            link = port + 1000,
            admin = port + 2000,
            links = links.join(", "),
        );
    }
    let per_address = &sessions.per_address;
    let _ = write!(
        text,
        r#"
# Clients with TLS, at the ports of `client_tls`: a certificate that they trust, in PEM. {{node}} stands for the name of the node. New files
# are taken within seconds. Without clients in plain text, set `client` to an address of 127.0.0.0/8.
# [client_tls]
# certificate = "/etc/herd/{{node}}.crt"
# key = "/etc/herd/{{node}}.key"

# Limits of clients, of one node; the values are the defaults. For each address 0 is no limit.
# [sessions]
# sessions_max = {sessions_max}
# sessions_per_address_max = {sessions_per_address_max}
# idle_s = {idle_s}
# [sessions.per_address]
# connections_per_s = {connections_per_s}
# lines_per_s = {lines_per_s}
# kib_per_s = {kib_per_s}

# Records: what they survive ("memory", "os" or "disk"), how many neighbours have one before its client is answered, and how much memory they
# take at most.
# [records]
# durability = "os"
# ack = {ack}
# mib_max = {mib_max}
"#,
        sessions_max = sessions.sessions_max,
        sessions_per_address_max = sessions.sessions_per_address_max,
        idle_s = sessions.idle_s,
        connections_per_s = per_address.connections_per_s,
        lines_per_s = per_address.lines_per_s,
        kib_per_s = per_address.kib_per_s,
        ack = records.ack,
        mib_max = records.mib_max,
    );
    text
}

/// Returns a name as a key of TOML.
fn key(name: &str) -> String {
    let is_bare = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    if name.bytes().all(is_bare) && !name.is_empty() { name.into() } else { quoted(name) }
}

fn quoted(text: &str) -> String {
    toml::Value::String(text.into()).to_string()
}

/// Largest herd whose links are a ring: no report passes more than two nodes on its way.
const RING_MAX: usize = 5;
/// A herd that one person still sets up by hand.
const NODES_MAX: usize = 100;
/// Port for clients.
const PORT: u16 = 15415;

#[cfg(test)]
mod tests {
    use herd_config::{Sources, load};

    use super::*;

    fn example(hosts: &[&str]) -> String {
        let hosts: Vec<String> = hosts.iter().map(ToString::to_string).collect();
        text("five", &nodes(&hosts).unwrap())
    }

    fn read(text: &str) -> HerdConfig {
        let directory = std::env::temp_dir();
        let file = directory.join(format!("herd-example-{}-{:p}.toml", std::process::id(), text));
        std::fs::write(&file, text).unwrap();
        let config = load(&Sources { file: Some(file.clone()), ..Sources::default() });
        std::fs::remove_file(file).unwrap();
        config.unwrap_or_else(|error| panic!("{error}\n{text}"))
    }

    #[test]
    fn config_example_is_a_configuration_of_any_number_of_hosts() {
        for count in 1..=12 {
            let hosts: Vec<String> = (1..=count).map(|host| format!("edge-{host}.example.net")).collect();
            let config = read(&example(&hosts.iter().map(String::as_str).collect::<Vec<_>>()));
            assert_eq!((config.nodes.len(), &*config.herd), (count, "five"));
            let degrees: Vec<usize> = config.nodes.keys().map(|name| config.neighbours(name).len()).collect();
            let usual = if count <= RING_MAX { (count - 1).min(2) } else { 3 };
            // Of an odd number of nodes one has no opposite.
            assert!(degrees.iter().filter(|degree| **degree != usual).count() <= count % 2, "{count}: {degrees:?}");
        }
    }

    #[test]
    fn config_example_names_nodes_and_gives_those_of_one_host_their_own_ports() {
        let config =
            read(&example(&["Riley@192.0.2.1", "edge-2.example.net", "2001:db8::3", "Ada/x@192.0.2.1", "localhost"]));
        let dial = |name: &str| config.nodes[name].link_dial().to_string();
        assert_eq!(dial("Riley"), "192.0.2.1:16415");
        assert_eq!(dial("edge-2"), "edge-2.example.net:16415");
        assert_eq!(dial("node-3"), "[2001:db8::3]:16415");
        assert_eq!(dial("Ada/x"), "192.0.2.1:16416");
        assert!(config.nodes["localhost"].has_local_links());
    }

    #[test]
    fn config_example_is_right_in_what_is_commented_out() {
        let is_setting = |line: &str| {
            (line.starts_with("# [") && line.ends_with(']'))
                || line.strip_prefix("# ").is_some_and(|rest| {
                    rest.split_once(" = ")
                        .is_some_and(|(key, _)| key.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_'))
                })
        };
        let text = example(&["a", "b", "c"]);
        let all: Vec<&str> = text.lines().map(|line| if is_setting(line) { &line[2..] } else { line }).collect();
        let (config, defaults) = (read(&all.join("\n")), HerdConfig::default());
        assert!(config.client_tls.is_some() && config.nodes["a"].client_tls.is_some() && config.state_dir.is_some());
        assert_eq!(format!("{:?}", config.sessions), format!("{:?}", defaults.sessions));
        assert_eq!(format!("{:?}", config.records), format!("{:?}", defaults.records));
    }

    #[test]
    fn config_example_refuses_hosts_that_are_none_and_names_that_are_taken() {
        let problem =
            |hosts: &[&str]| nodes(&hosts.iter().map(ToString::to_string).collect::<Vec<_>>()).unwrap_err().to_string();
        assert_eq!(
            problem(&["edge-1.example.net", "edge-1.example.org"]),
            "the nodes on edge-1.example.net and on edge-1.example.org would both be named edge-1; name them, such as \
             edge-11@edge-1.example.net"
        );
        assert!(problem(&["edge 1"]).starts_with("\"edge 1\" is no host; write "), "{}", problem(&["edge 1"]));
        assert!(problem(&["a", ""]).starts_with("\"\" is no host"));
    }
}
