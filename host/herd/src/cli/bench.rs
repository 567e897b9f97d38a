//! `herd bench`: puts load on nodes, or on any server of the line protocol, and reports rates and latencies.
//!
//! Only translates arguments to a plan; the load is that of `herd-load`.

use std::io::IsTerminal;
use std::net::{SocketAddr, ToSocketAddrs};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use clap::Args;
use herd_load::bench::{Distribution, Loop, Mix, Plan, run};
use herd_node::config::HerdConfig;
use indicatif::{ProgressBar, ProgressStyle};

/// Arguments of `herd bench`.
#[derive(Debug, Args)]
pub(super) struct BenchArgs {
    /// Node to load. Repeatable. Default, without --address: every node of the herd.
    #[arg(long, value_name = "NODE")]
    node: Vec<String>,
    /// Address of a server to load. Repeatable.
    #[arg(long, value_name = "HOST:PORT")]
    address: Vec<String>,
    /// Number of connections in total.
    #[arg(long, default_value_t = 64)]
    connections: usize,
    /// Closed loop: commands in flight per connection.
    #[arg(long, default_value_t = 1, conflicts_with = "rate")]
    pipeline: usize,
    /// Open loop: commands per second in total, whether or not answers arrive. Default: closed loop.
    #[arg(long, value_name = "PER_SECOND")]
    rate: Option<f64>,
    /// Closed loop: a new connection for each command.
    #[arg(long, conflicts_with_all = ["rate", "pipeline"])]
    connection_per_command: bool,
    /// Proportions of the kinds of commands, such as iamat=90,whatsat=5,invalid=5.
    #[arg(long, default_value = "iamat=100")]
    mix: Mix,
    /// Number of clients that the commands are about.
    #[arg(long, default_value_t = 100_000)]
    clients: u64,
    /// Distribution of commands over clients: uniform, cyclic or zipf.
    #[arg(long, default_value = "uniform")]
    distribution: Distribution,
    /// Number of threads that generate load.
    #[arg(long, default_value_t = 1)]
    threads: usize,
    /// Seconds of load before measurement begins.
    #[arg(long, default_value_t = 1.0, value_name = "SECONDS")]
    warm_up: f64,
    /// Seconds of measurement.
    #[arg(long, default_value_t = 10.0, value_name = "SECONDS")]
    duration: f64,
    /// Print the report as JSON.
    #[arg(long)]
    json: bool,
}

/// Runs a load and prints its report. Fails if an answer was wrong or a connection broke.
pub(super) fn bench(config: &HerdConfig, args: &BenchArgs) -> anyhow::Result<ExitCode> {
    let plan = Plan {
        addresses: addresses(config, args)?,
        connections: args.connections,
        mode: match args.rate {
            Some(rate) if rate > 0.0 => Loop::Open { rate },
            Some(_) => anyhow::bail!("--rate must be more than 0"),
            None => Loop::Closed { pipeline: args.pipeline.max(1) },
        },
        connection_per_command: args.connection_per_command,
        mix: args.mix,
        clients: args.clients,
        distribution: args.distribution,
        threads: args.threads,
        warm_up: Duration::try_from_secs_f64(args.warm_up).context("--warm-up")?,
        duration: Duration::try_from_secs_f64(args.duration).context("--duration")?,
    };
    let bar = (std::io::stderr().is_terminal() && !args.json).then(|| {
        let style = ProgressStyle::with_template("{wide_bar} {percent:>3} %").ok();
        ProgressBar::new(1000).with_style(style.unwrap_or_else(ProgressStyle::default_bar))
    });
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a fraction, in thousandths")]
    let progress = bar.as_ref().map(|bar| |fraction: f64| bar.set_position((fraction * 1000.0) as u64));
    let report = run(&plan, progress.as_ref().map(|progress| progress as &(dyn Fn(f64) + Sync)))?;
    if let Some(bar) = bar {
        bar.finish_and_clear();
    }
    if args.json {
        say!("{}", serde_json::to_string_pretty(&report)?);
    } else {
        say!("{report}");
    }
    Ok(if report.is_clean() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Resolves the addresses to load.
fn addresses(config: &HerdConfig, args: &BenchArgs) -> anyhow::Result<Vec<SocketAddr>> {
    let mut addresses = Vec::new();
    for node in &args.node {
        addresses.push(config.node(node)?.client);
    }
    for address in &args.address {
        let resolved = address.to_socket_addrs().with_context(|| address.clone())?.next();
        addresses.push(resolved.with_context(|| format!("{address} resolves to no address"))?);
    }
    if addresses.is_empty() {
        addresses.extend(config.nodes.values().map(|node| node.client));
    }
    Ok(addresses)
}
