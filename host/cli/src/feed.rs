//! `herd feed`: replays a recorded GPS track as the reports of one client, and checks them at every node.
//!
//! Only resolves names to addresses and prints the report; the replay is that of `herd-load`.

use std::io::IsTerminal;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use clap::Args;
use herd_config::HerdConfig;
use herd_load::feed::{Feed, NodeAddr, parse_speed};
use herd_load::{feed, track};

use super::client_runtime::block_on;
use super::tls::TlsArgs;

/// Arguments of `herd feed`.
#[derive(Debug, Args)]
pub(super) struct FeedArgs {
    /// GPX file with the track.
    track: PathBuf,
    /// Id of the client that reports.
    #[arg(long)]
    client: String,
    /// Speed as a multiple of the recorded one; `max` sends each report as soon as the one before is visible everywhere.
    #[arg(long, default_value = "1", value_parser = parse_speed, value_name = "N")]
    speed: f64,
    /// Node to send the reports to. Default: the first of the herd.
    #[arg(long, value_name = "NODE")]
    to: Option<String>,
    #[command(flatten)]
    tls: TlsArgs,
    /// Print the report as JSON.
    #[arg(long)]
    json: bool,
}

/// Replays a track. Fails if an answer was wrong or a node did not show a report in time.
pub(super) fn feed(config: &HerdConfig, args: FeedArgs) -> anyhow::Result<ExitCode> {
    let names = config.node_names();
    let to = args.to.as_deref().unwrap_or(names[0]);
    config.node(to)?;
    let address = |(name, addr): (&&str, SocketAddr)| NodeAddr { name: (*name).into(), addr };
    let nodes: Vec<NodeAddr> = names.iter().zip(args.tls.addresses(config, &names)?).map(address).collect();
    let to = nodes.iter().find(|node| node.name == to).cloned().context("a node of the herd has an address")?;
    let tls = args.tls.settings(None)?;
    let points = track::read_track(&args.track)?;
    let progress = std::io::stderr().is_terminal() && !args.json;
    let feed = Feed { points, client: args.client, speed: args.speed, to, nodes, tls, progress };
    let report = block_on(feed::feed(feed))??;
    if args.json {
        say!("{}", serde_json::to_string_pretty(&report)?);
    } else {
        say!("{report}");
    }
    Ok(if report.is_success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
