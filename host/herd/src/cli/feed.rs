//! `herd feed`: a recorded GPS track, walked through the herd.

use std::io::IsTerminal;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use herd_load::feed::{Feed, NodeAddr, parse_speed};
use herd_load::{feed, track};

use super::client_runtime::client_runtime;
use crate::config::HerdConfig;

/// Arguments of `herd feed`.
#[derive(Debug, Args)]
pub(super) struct FeedArgs {
    /// A GPX file.
    track: PathBuf,
    /// The name of the client that walks.
    #[arg(long)]
    client: String,
    /// How many times faster than it was recorded; `max` does not wait at all.
    #[arg(long, default_value = "1", value_parser = parse_speed, value_name = "N")]
    speed: f64,
    /// The node that takes the reports. Without it: the first of the herd.
    #[arg(long, value_name = "NODE")]
    to: Option<String>,
    /// Prints the counts as JSON.
    #[arg(long)]
    json: bool,
}

/// Walks a track.
pub(super) fn feed(config: &HerdConfig, args: FeedArgs) -> anyhow::Result<ExitCode> {
    let names = config.node_names();
    let address = |name: &str| {
        let node = config.node(name)?;
        anyhow::Ok(NodeAddr { name: name.into(), addr: node.client })
    };
    let to = address(args.to.as_deref().unwrap_or(names[0]))?;
    let nodes = names.iter().map(|name| address(name)).collect::<anyhow::Result<Vec<_>>>()?;
    let points = track::read_track(&args.track)?;
    let progress = std::io::stderr().is_terminal() && !args.json;
    let walk = Feed { points, client: args.client, speed: args.speed, to, nodes, progress };
    let report = client_runtime()?.block_on(feed::feed(walk))?;
    if args.json {
        say!("{}", serde_json::to_string_pretty(&report)?);
    } else {
        say!("{report}");
    }
    Ok(if report.is_success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
