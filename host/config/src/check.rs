//! Checks across keys, and ranges of numbers.
//!
//! Sees a configuration that already has the right types, and no file: places are added by the caller. Touches neither
//! sockets nor the file system.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use herd_model::limits::HERD_NAME_BYTES_MAX;
use herd_model::limits::NODE_NAME_BYTES_MAX;
use herd_otlp::OtlpUrl;
use herd_sessions::SLOT_TIMEOUT;

use super::herd_config::HerdConfig;
use super::metrics_config::METRICS_ABOVE;
use super::node_config::NodeConfig;
use super::suggestion::suggestion;
use super::trace_config::TraceConfig;

/// Checks a configuration.
///
/// # Errors
///
/// The first problem, as text for the operator.
pub(super) fn check(config: &HerdConfig) -> Result<(), String> {
    if config.nodes.is_empty() {
        return Err("no node is configured; leave out `[nodes]` for the five-node herd".into());
    }
    for (name, node) in &config.nodes {
        check_name(name)?;
        check_node(config, name, node)?;
    }
    check_links(config)?;
    check_addresses(config)?;
    check_ranges(config)?;
    check_herd_name(&config.herd)?;
    check_acks(config)?;
    check_source_timeouts(config)?;
    if let Some(requirement) = config.swap.signatures() {
        requirement.check().map_err(|why| format!("`swap.require_signature`: {why}"))?;
    }
    for name in &config.swap.compilers {
        config.node(name).map_err(|why| format!("`swap.compilers`: {why}"))?;
    }
    check_traces(&config.trace)?;
    let several = config.nodes.len() > 1;
    if several && config.traffic_log.as_ref().is_some_and(|path| !path.contains("{node}")) {
        return Err("`traffic_log` must contain {node}, or several nodes would write to one file".into());
    }
    if config.logic.contains_key("listener") {
        return Err("`logic.listener` is set by the host, for the lines of classic links; remove it, and see `nodes.NAME.classic`".into());
    }
    if config.places.sources.is_empty() {
        return Err("`places.sources` is empty; `[\"embedded\"]` needs no key and no network".into());
    }
    Ok(())
}

/// Checks that no number would freeze a node, at the low end, or overflow, at the high end.
fn check_ranges(config: &HerdConfig) -> Result<(), String> {
    let HerdConfig { sessions, classic, links, records, record, runtime, audit, trace, drain, .. } = config;
    let per_address = &sessions.per_address;
    let ranges = [
        ("sessions.sessions_max", sessions.sessions_max as u64, 1, 1 << 24),
        ("sessions.sessions_per_address_max", sessions.sessions_per_address_max as u64, 1, 1 << 24),
        ("sessions.line_bytes_max", sessions.line_bytes_max as u64, 1, LINE_BYTES_MAX),
        ("sessions.unfinished_line_s", sessions.unfinished_line_s, 1, YEAR_S),
        ("sessions.idle_s", sessions.idle_s, 1, YEAR_S),
        ("sessions.unread_s", sessions.unread_s, 1, YEAR_S),
        ("sessions.output_kib_max", sessions.output_kib_max as u64, 1, 1 << 20),
        ("sessions.pushes_max", sessions.pushes_max as u64, 1, 1 << 20),
        ("sessions.per_address.connections_per_s", per_address.connections_per_s.into(), 0, 1_000_000),
        ("sessions.per_address.lines_per_s", per_address.lines_per_s.into(), 0, 1_000_000_000),
        ("sessions.per_address.kib_per_s", per_address.kib_per_s.into(), 0, 1 << 30),
        ("sessions.per_address.burst_s", per_address.burst_s.into(), 1, 3600),
        ("classic.connections_max", classic.connections_max as u64, 1, 1 << 20),
        ("classic.connections_per_address_max", classic.connections_per_address_max as u64, 1, 1 << 20),
        ("classic.line_bytes_max", classic.line_bytes_max as u64, 1, LINE_BYTES_MAX),
        ("classic.unfinished_line_s", classic.unfinished_line_s, 1, YEAR_S),
        ("classic.idle_s", classic.idle_s, 1, YEAR_S),
        ("classic.queue_mib_max", classic.queue_mib_max as u64, 1, 1 << 20),
        ("classic.resend_s", classic.resend_s, 0, YEAR_S),
        ("links.ping_ms", links.ping_ms, 10, 3_600_000),
        ("links.queue_mib_max", links.queue_mib_max as u64, 1, 1 << 20),
        ("links.redial_min_ms", links.redial_min_ms, 1, 3_600_000),
        ("links.redial_max_ms", links.redial_max_ms, links.redial_min_ms, 3_600_000),
        ("records.keys_max", records.keys_max as u64, 1, u64::MAX),
        ("records.mib_max", records.mib_max as u64, 1, 1 << 40),
        ("records.log_mib_max", records.log_mib_max, 1, 1 << 30),
        ("records.confirm_s", records.confirm_s, 1, 3600),
        ("records.expire_after_s", records.expire_after_s, 0, 100 * YEAR_S),
        ("records.forget_keep_days", records.forget_keep_days, 1, 36_500),
        ("record.mib_max", record.mib_max, 1, 1 << 30),
        ("runtime.workers", runtime.workers as u64, 0, 1024),
        ("runtime.deadline_ms", runtime.deadline_ms, 1, 60_000),
        ("runtime.memory_mib_max", runtime.memory_mib_max as u64, 1, 4096),
        ("runtime.needs_deadline_ms_max", runtime.needs_deadline_ms_max, 0, 60_000),
        ("runtime.needs_memory_mib_max", runtime.needs_memory_mib_max as u64, 0, 4096),
        ("audit.mib_max", audit.mib_max as u64, 1, 4096),
        ("trace.arrivals", trace.arrivals as u64, 0, 1 << 24),
        ("drain.grace_s", drain.grace_s, 0, 3600),
    ];
    match ranges.into_iter().find(|(_, value, min, max)| value < min || value > max) {
        Some((name, value, min, max)) => Err(format!("`{name}` is {value}; it must be {min} to {max}")),
        None => Ok(()),
    }
}

/// Checks that every node has enough neighbours to acknowledge a record, or none of its clients would ever be answered.
fn check_acks(config: &HerdConfig) -> Result<(), String> {
    let degrees = config.nodes.keys().map(|name| (config.neighbours(name).len(), name));
    match degrees.min() {
        Some((degree, name)) if degree < config.records.ack => Err(format!(
            "`records.ack` is {}, and {name} has {degree} links; it must be at most the links of the node with the fewest",
            config.records.ack
        )),
        _ => Ok(()),
    }
}

/// Checks where spans go, and how many.
fn check_traces(trace: &TraceConfig) -> Result<(), String> {
    if !(0.0..=1.0).contains(&trace.sample) {
        return Err(format!("`trace.sample` is {}; it must be a share from 0 to 1, such as 0.01", trace.sample));
    }
    match trace.otlp.as_deref().map(OtlpUrl::parse) {
        Some(Err(error)) => Err(format!("`trace.otlp` {error}")),
        _ => Ok(()),
    }
}

/// Checks the name of the herd, which each node tells its peers before they know it.
fn check_herd_name(herd: &str) -> Result<(), String> {
    if herd.len() <= HERD_NAME_BYTES_MAX {
        return Ok(());
    }
    Err(format!(
        "`herd` is {} bytes long; nodes identify each other with at most {HERD_NAME_BYTES_MAX} bytes, so shorten it",
        herd.len()
    ))
}

/// Checks that a source that does not answer leaves time for the next one.
fn check_source_timeouts(config: &HerdConfig) -> Result<(), String> {
    let Some((_, before_last)) = config.places.sources.split_last() else { return Ok(()) };
    let mut waited = Duration::ZERO;
    for name in before_last {
        let timeout = config.upstreams.http_timeout(name);
        waited += timeout;
        if waited >= SLOT_TIMEOUT {
            let (timeout, shared) = (timeout.as_millis(), SLOT_TIMEOUT.as_millis());
            return Err(format!(
                "`upstreams.{name}.timeout_ms` of {timeout} leaves no time for the places source after {name}: all sources of a \
                 reply have {shared} ms together; lower it, or make {name} the last of `places.sources`"
            ));
        }
    }
    Ok(())
}

fn check_name(name: &str) -> Result<(), String> {
    let is_valid =
        !name.is_empty() && name.len() <= NODE_NAME_BYTES_MAX && name.bytes().all(|byte| byte.is_ascii_graphic());
    if is_valid {
        return Ok(());
    }
    Err(format!(
        "`{name}` is not a valid node name; it must be 1 to {NODE_NAME_BYTES_MAX} printable ASCII characters without spaces"
    ))
}

fn check_node(config: &HerdConfig, name: &str, node: &NodeConfig) -> Result<(), String> {
    for other in &node.links {
        if other == name {
            return Err(format!("{name} links to itself"));
        }
        if !config.nodes.contains_key(other) {
            let others = config.nodes.keys().filter(|known| *known != name);
            return Err(format!("{name} links to `{other}`, which is not a node{}", suggestion(other, others)));
        }
    }
    let port = node.client.port();
    for (what, set, above) in [
        ("link", node.link.is_some(), 1000),
        ("admin", node.admin.is_some(), 2000),
        ("metrics", node.metrics.is_some() || !config.metrics.enabled, METRICS_ABOVE),
    ] {
        if !set && port != 0 && port.checked_add(above).is_none() {
            return Err(format!(
                "{name}: client port {port} leaves no room for the {what} port {above} above it; set `nodes.{name}.{what}`"
            ));
        }
    }
    if node.client_tls.is_some() && config.client_tls.is_none() {
        return Err(format!(
            "`nodes.{name}.client_tls` is set and there is no certificate; set `client_tls.certificate` and `client_tls.key` to files in PEM"
        ));
    }
    check_classic(config, name, node)?;
    check_link_address(name, node)?;
    let admin = node.admin_address();
    if !admin.ip().is_loopback() {
        return Err(format!(
            "the admin API of {name} is on {admin}, which is not loopback; set `nodes.{name}.admin` to an address of 127.0.0.0/8"
        ));
    }
    Ok(())
}

/// Checks that lines are taken from somebody, and sent to a number of different peers.
fn check_classic(config: &HerdConfig, name: &str, node: &NodeConfig) -> Result<(), String> {
    if node.classic.is_some() && config.classic.accept.is_empty() {
        return Err(format!(
            "`nodes.{name}.classic` is set and nobody may connect to it; set `classic.accept` to the addresses of the older programs, such as \
             [\"192.0.2.7\"]"
        ));
    }
    let peers = &node.classic_peers;
    if peers.len() > CLASSIC_PEERS_MAX {
        return Err(format!(
            "`nodes.{name}.classic_peers` has {} peers; at most {CLASSIC_PEERS_MAX} are sent lines",
            peers.len()
        ));
    }
    match peers.iter().enumerate().find(|(index, peer)| peers[..*index].contains(peer)) {
        Some((_, twice)) => Err(format!("`nodes.{name}.classic_peers` has {twice} twice")),
        None => Ok(()),
    }
}

/// Checks that other nodes can connect to where the node accepts links.
fn check_link_address(name: &str, node: &NodeConfig) -> Result<(), String> {
    let (link, dial) = (node.link_address(), node.link_dial());
    if dial.host.ip().is_some_and(|ip| ip.is_unspecified()) {
        return Err(format!(
            "{name} accepts links on {link}, and no other node knows where that is; set `nodes.{name}.host` to the name or address of its host, such \
             as \"edge-1.example.net\""
        ));
    }
    // With a port of its own the address may be that of a proxy.
    if node.link_dial.is_none() && link.ip().is_loopback() && !dial.host.is_loopback() {
        return Err(format!(
            "{name} accepts links on {link}, to which no other host can connect; set `nodes.{name}.link` to \"[::]:{}\", for every interface of {}",
            link.port(),
            dial.host
        ));
    }
    Ok(())
}

/// Checks that links lead from every node to every other one: a report travels only along links.
fn check_links(config: &HerdConfig) -> Result<(), String> {
    let names = config.node_names();
    let mut reached: Vec<String> = names.iter().take(1).map(ToString::to_string).collect();
    let mut next = 0;
    while let Some(name) = reached.get(next).cloned() {
        for (neighbour, _) in config.neighbours(&name) {
            if !reached.contains(&neighbour) {
                reached.push(neighbour);
            }
        }
        next += 1;
    }
    match names.iter().find(|name| !reached.iter().any(|other| other == *name)) {
        Some(name) => Err(format!(
            "no links lead from {first} to {name}, which would receive no reports; set `nodes.{name}.links` to [\"{first}\"]",
            first = names[0]
        )),
        None => Ok(()),
    }
}

/// Checks that no two nodes listen on one address of one host. Which hosts are the same is not known but by their names.
fn check_addresses(config: &HerdConfig) -> Result<(), String> {
    // By host and port.
    let mut taken: BTreeMap<_, Vec<(SocketAddr, String)>> = BTreeMap::new();
    for name in config.node_names() {
        let node = &config.nodes[name];
        for (what, address) in listening(config, node).into_iter().filter(|(_, address)| address.port() != 0) {
            let user = format!("the {what} address of {name}");
            let of_port = taken.entry((node.host.as_ref(), address.port())).or_default();
            if let Some((used, other)) = of_port.iter().find(|(used, _)| clash(*used, address)) {
                let free = free_address(config, node, address);
                let why = match *used == address {
                    true => format!("{address} is both {other} and {user}"),
                    false => format!("{address}, {user}, and {used}, {other}, overlap"),
                };
                return Err(format!("{why}; set `nodes.{name}.{what}` to \"{free}\""));
            }
            of_port.push((address, user));
        }
    }
    Ok(())
}

/// Returns whether only one of two addresses of a host can be listened on: they are equal, or one of them has all addresses of the other's
/// family. `[::]` has those of IPv4 too.
fn clash(one: SocketAddr, other: SocketAddr) -> bool {
    let has = |all: SocketAddr, one: SocketAddr| all.ip().is_unspecified() && (all.is_ipv6() || one.is_ipv4());
    one.port() == other.port() && (one.ip() == other.ip() || has(one, other) || has(other, one))
}

/// Returns an address above a taken one that no node on the host of this one uses.
fn free_address(config: &HerdConfig, node: &NodeConfig, mut address: SocketAddr) -> SocketAddr {
    let beside = || config.nodes.values().filter(|other| other.host == node.host);
    while beside().flat_map(|node| listening(config, node)).any(|(_, used)| clash(used, address)) {
        address.set_port(address.port().checked_add(1).unwrap_or(PORT_MIN));
    }
    address
}

/// Returns the addresses on which a node listens, with their keys.
fn listening(config: &HerdConfig, node: &NodeConfig) -> Vec<(&'static str, SocketAddr)> {
    let addresses = [("client", node.client), ("link", node.link_address()), ("admin", node.admin_address())];
    let tls = node.client_tls.map(|address| ("client_tls", address));
    let metrics = config.metrics.address(node).map(|address| ("metrics", address));
    let classic = node.classic.map(|address| ("classic", address));
    addresses.into_iter().chain(tls).chain(metrics).chain(classic).collect()
}

/// Size of the input buffer of a session, which has to hold a whole line.
const LINE_BYTES_MAX: u64 = 64 << 10;
/// Each costs a queue and a task.
const CLASSIC_PEERS_MAX: usize = 64;
const YEAR_S: u64 = 365 * 24 * 3600;
/// First port that needs no privilege.
const PORT_MIN: u16 = 1024;
