//! `herd send` and `herd feed`: a client.

use std::io::{IsTerminal, Read, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, bail};
use clap::Args;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::client_runtime;
use crate::config::HerdConfig;
use herd_load::feed::{Feed, NodeAddr, parse_speed};
use herd_load::{feed, track};

/// Arguments of `herd send`.
#[derive(Debug, Args)]
pub(super) struct SendArgs {
    /// The node to ask.
    node: String,
    /// Lines to send. Without any: those of standard input.
    lines: Vec<String>,
    /// Seconds to wait for answers.
    #[arg(long, default_value_t = 15.0, value_name = "SECONDS")]
    timeout: f64,
    /// Does not end the input, and prints what comes until the time is over or ctrl-c: for what a guest pushes.
    #[arg(long)]
    stay: bool,
}

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

/// Sends lines, ends the input, and prints what comes back.
pub(super) fn send(config: &HerdConfig, args: SendArgs) -> anyhow::Result<ExitCode> {
    let address = config.node(&args.node)?.client;
    let mut lines = args.lines.join("\n").into_bytes();
    if args.lines.is_empty() {
        std::io::stdin().lock().read_to_end(&mut lines)?;
    }
    if lines.last() != Some(&b'\n') {
        lines.push(b'\n');
    }
    let asked = async {
        let mut stream = TcpStream::connect(address)
            .await
            .with_context(|| format!("{} does not answer at {address}; is the herd running?", args.node))?;
        let (mut reader, mut writer) = stream.split();
        let sending = async {
            writer.write_all(&lines).await?;
            if args.stay { Ok(()) } else { writer.shutdown().await }
        };
        let receiving = async {
            let mut buffer = vec![0; 64 << 10];
            loop {
                let count = reader.read(&mut buffer).await?;
                if count == 0 {
                    return std::io::Result::Ok(());
                }
                let mut stdout = std::io::stdout().lock();
                stdout.write_all(&buffer[..count])?;
                stdout.flush()?;
            }
        };
        tokio::try_join!(sending, receiving)?;
        anyhow::Ok(())
    };
    let timeout = Duration::try_from_secs_f64(args.timeout).context("--timeout")?;
    client_runtime()?.block_on(async {
        match tokio::time::timeout(timeout, asked).await {
            Ok(asked) => asked,
            Err(_) if args.stay => Ok(()),
            Err(_) => bail!("{} did not answer everything within {timeout:?}", args.node),
        }
    })?;
    Ok(ExitCode::SUCCESS)
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
