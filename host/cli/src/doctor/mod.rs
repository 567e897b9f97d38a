//! `herd doctor`: what is wrong with a node of this host and the ways to its neighbours, and what to type.
//!
//! Looks only: binds an address for a moment, reads files, connects to neighbours as a probe and not as a link. Works with the node running
//! and stopped. Bounds: every step has a limit in time, and neighbours are looked at together, so that all of it takes seconds.

mod addresses;
mod certificates;
mod files;
mod finding;
mod host;
mod neighbours;
mod running;
mod signatures;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::bail;
use clap::Args;
use herd_admin::Endpoint;
use herd_config::NodeConfig;
use herd_identity::credentials_path;
use herd_sys::state_directory;
use serde_json::json;

use self::certificates::Certificates;
use self::finding::{Finding, Level, lines};
use self::running::Running;
use super::client_runtime::block_on;
use super::configured_herd::ConfiguredHerd;
use super::table::terminal_width;

/// Arguments of `herd doctor`.
#[derive(Debug, Args)]
pub(super) struct DoctorArgs {
    /// Name of the node. Default: the nodes of this host.
    node: Option<String>,
    /// Print the findings as JSON.
    #[arg(long)]
    json: bool,
}

/// Node that is looked at, and the place of its files.
#[derive(Clone, Copy)]
struct CheckedNode<'a> {
    herd: &'a ConfiguredHerd,
    name: &'a str,
    node: &'a NodeConfig,
    state: &'a Path,
}

/// Looks at the nodes of this host, and prints what it finds. The exit code says whether there is a fault.
pub(super) fn doctor(herd: &ConfiguredHerd, args: &DoctorArgs) -> anyhow::Result<ExitCode> {
    let state = state_directory(herd.state_dir.as_deref(), &herd.herd)?;
    let names = match &args.node {
        Some(name) => {
            herd.node(name)?;
            vec![name.clone()]
        }
        None => nodes_here(herd, &state)?,
    };
    let (mut all, mut worst, width) = (Vec::new(), Level::Ok, terminal_width());
    for name in &names {
        let checked = CheckedNode { herd, name, node: herd.node(name)?, state: &state };
        let findings = block_on(Box::pin(look(checked)))?;
        worst = worst.max(findings.iter().map(|finding| finding.level).max().unwrap_or(Level::Ok));
        if args.json {
            all.extend(findings.iter().map(|finding| finding.json(name)));
        } else {
            let running = findings.first().map_or("", |finding| finding.text.as_str());
            let gap = if name == &names[0] { "" } else { "\n" };
            say!("{gap}{name} of herd {}: {running}", herd.herd.escape_debug());
            say_on!("{}", lines(findings.get(1..).unwrap_or_default(), width));
        }
    }
    if args.json {
        say!(
            "{}",
            serde_json::to_string_pretty(&json!({ "herd": herd.herd, "findings": all, "worst": worst.to_string() }))?
        );
    }
    Ok(if worst == Level::Fault { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// Looks at everything. The first finding says whether the node runs.
async fn look(checked: CheckedNode<'_>) -> Vec<Finding> {
    let running = Running::ask(checked).await;
    let mut findings = vec![running.finding()];
    let certificates = Certificates::read(checked);
    findings.extend(running.more(checked, &certificates));
    findings.extend(addresses::look(checked, &running, &certificates).await);
    findings.extend(certificates.findings(checked));
    findings.extend(neighbours::look(checked, &certificates).await);
    findings.extend(signatures::look(checked));
    findings.extend(files::look(checked));
    findings.extend(host::look(checked, &running, &certificates));
    findings
}

/// Returns the nodes that this host has: those with a certificate or a socket here, or all of a herd on one host, or those whose host has
/// an address of this one.
fn nodes_here(herd: &ConfiguredHerd, state: &Path) -> anyhow::Result<Vec<String>> {
    let names: Vec<String> = herd.node_names().into_iter().map(ToString::to_string).collect();
    if herd.is_on_one_host() {
        return Ok(names);
    }
    let file = |name: &str| -> PathBuf { credentials_path(state, name) };
    let is_here = |name: &&String| file(name).exists() || Endpoint::socket(name, state).has_socket();
    let mut here: Vec<String> = names.iter().filter(is_here).cloned().collect();
    if here.is_empty() {
        let found = async {
            let mut found = Vec::new();
            for (name, node) in &herd.nodes {
                let addresses = node.link_dial().resolve(NAME_MAX).await.unwrap_or_default();
                if addresses.iter().any(|address| addresses::is_of_this_host(address.ip())) {
                    found.push(name.clone());
                }
            }
            found
        };
        here = block_on(Box::pin(async { tokio::time::timeout(NAMES_MAX, found).await.unwrap_or_default() }))?;
    }
    if here.is_empty() {
        bail!(
            "which node is that of this host? {} has no certificate of one: herd doctor NODE; known are {}",
            state.display(),
            names.join(", ")
        );
    }
    Ok(here)
}

/// Time for the name of one host, and for all of them.
const NAME_MAX: Duration = Duration::from_millis(500);
const NAMES_MAX: Duration = Duration::from_secs(2);
