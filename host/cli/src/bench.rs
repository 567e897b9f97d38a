//! `herd bench`: puts load on nodes, or on any server of the line protocol, and reports rates and latencies.
//!
//! Only translates arguments to a plan; the load is that of `herd-load`.

use std::io::IsTerminal;
use std::net::ToSocketAddrs;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, bail};
use clap::Args;
use herd_config::HerdConfig;
use herd_load::bench::{Distribution, Loop, Mix, Plan, Target, run};
use indicatif::{ProgressBar, ProgressStyle};

use super::numbers::{rate, seconds, seconds_from_1_ms, whole};
use super::tls::TlsArgs;

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
    #[arg(long, default_value = "64", value_parser = whole::<1_000_000>)]
    connections: usize,
    /// Closed loop: commands in flight per connection.
    #[arg(long, default_value = "1", value_parser = whole::<1_000_000>, conflicts_with = "rate")]
    pipeline: usize,
    /// Open loop: commands per second in total, whether or not answers arrive. Default: closed loop.
    #[arg(long, value_parser = rate, value_name = "PER_SECOND")]
    rate: Option<f64>,
    /// Closed loop: a new connection for each command.
    #[arg(long, conflicts_with_all = ["rate", "pipeline"])]
    connection_per_command: bool,
    /// Proportions of the kinds of commands, such as iamat=90,whatsat=5,invalid=5.
    #[arg(long, default_value = "iamat=100")]
    mix: Mix,
    /// Number of clients that the commands are about.
    #[arg(long, default_value = "100000", value_parser = whole::<1_000_000_000>)]
    clients: usize,
    /// Distribution of commands over clients: uniform, cyclic or zipf.
    #[arg(long, default_value = "uniform")]
    distribution: Distribution,
    /// Number of threads that generate load.
    #[arg(long, default_value = "1", value_parser = whole::<1024>)]
    threads: usize,
    /// Seconds of load before measurement begins.
    #[arg(long, default_value = "1", value_parser = seconds, value_name = "SECONDS")]
    warm_up: Duration,
    /// Seconds of measurement.
    #[arg(long, default_value = "10", value_parser = seconds_from_1_ms, value_name = "SECONDS")]
    duration: Duration,
    #[command(flatten)]
    tls: TlsArgs,
    /// Print the report as JSON.
    #[arg(long)]
    json: bool,
}

/// Runs a load and prints its report. Fails if no answer arrived, an answer was wrong or a connection broke.
pub(super) fn bench(config: &HerdConfig, args: &BenchArgs) -> anyhow::Result<ExitCode> {
    let plan = Plan {
        targets: targets(config, args)?,
        connections: args.connections,
        mode: args.rate.map_or(Loop::Closed { pipeline: args.pipeline }, |rate| Loop::Open { rate }),
        connection_per_command: args.connection_per_command,
        mix: args.mix,
        clients: args.clients as u64,
        distribution: args.distribution,
        threads: args.threads,
        tls: args.tls.settings(None)?,
        warm_up: args.warm_up,
        duration: args.duration,
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
    if report.answers == 0 {
        bail!("no answer arrived; is the herd running? herd up starts it");
    }
    Ok(if report.is_clean() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Resolves the servers to load.
fn targets(config: &HerdConfig, args: &BenchArgs) -> anyhow::Result<Vec<Target>> {
    let of_nodes = |names: &[&str]| {
        let addresses = args.tls.addresses(config, names)?;
        let target = |(name, address): (&&str, _)| Target { name: Some((*name).into()), address };
        anyhow::Ok(names.iter().zip(addresses).map(target).collect::<Vec<_>>())
    };
    let mut targets = of_nodes(&args.node.iter().map(String::as_str).collect::<Vec<_>>())?;
    for address in &args.address {
        let resolved = address.to_socket_addrs().with_context(|| {
            format!("`{address}` cannot be resolved; write a host and a port, such as 127.0.0.1:15415")
        })?;
        let address = resolved.into_iter().next().with_context(|| format!("{address} resolves to no address"))?;
        targets.push(Target { name: None, address });
    }
    if targets.is_empty() {
        targets = of_nodes(&config.node_names())?;
    }
    Ok(targets)
}
