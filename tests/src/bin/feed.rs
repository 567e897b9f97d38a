//! Throughput of deciding and keeping alone: sessions are fed in process, by the worker that serves them, so no socket is part
//! of the measurement.
//!
//! `feed --workers N [--seconds S] [--pipeline P]` prints one JSON object. Only runs of the same minute are comparable.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use herd_admin::Token;
use herd_cli::default_guest;
use herd_config::{HerdConfig, NodeConfig};
use herd_node::{Node, NodeProcess};
use herd_runtime::Engine;
use herd_sessions::SyntheticLoad;
use herd_sys::InheritedSockets;
use herd_sys::workers::{self as worker, Workers};
use herd_tests::Scratch;

fn main() -> anyhow::Result<()> {
    let (mut workers, mut seconds, mut pipeline) = (1, 2.0, 1);
    let mut arguments = std::env::args().skip(1);
    while let Some(name) = arguments.next() {
        let value = arguments.next().with_context(|| format!("{name} needs a value"))?;
        match &*name {
            "--workers" => workers = value.parse()?,
            "--seconds" => seconds = value.parse()?,
            "--pipeline" => pipeline = value.parse()?,
            _ => bail!("unknown argument {name}; known are --workers, --seconds and --pipeline"),
        }
    }
    worker::set_count(workers);
    let scratch = Scratch::new();
    let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let node = NodeConfig {
        host: None,
        client: any,
        client_tls: None,
        link: Some(any),
        link_dial: None,
        admin: Some(any),
        metrics: None,
        classic: None,
        classic_peers: vec![],
        links: vec![],
    };
    let mut config = HerdConfig::default();
    config.nodes = [("Riley".into(), node)].into();
    config.metrics.enabled = false;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let threads = Workers::start()?;
    let (answers, taken) = runtime.block_on(async {
        let engine = Engine::new(config.runtime.limits())?;
        let state = scratch.path("state");
        let process = NodeProcess {
            engine: &engine,
            guest: &herd_model::GuestFiles::from(default_guest()).into(),
            built_in: herd_model::Digest::of(default_guest()),
            token: Token::read_or_create(&state)?,
            state: &state,
            workers: &threads,
            inherited: InheritedSockets::default(),
            log: None,
            upgrade: None,
            not_upgraded: None,
        };
        let node = Node::start(&config, "Riley", &process).await?;
        let feed = |seconds| SyntheticLoad { sessions: 64, pipeline, time: Duration::from_secs_f64(seconds) };
        node.run_synthetic_load(&threads, feed(0.3)).await;
        let begun = Instant::now();
        anyhow::Ok((node.run_synthetic_load(&threads, feed(seconds)).await, begun.elapsed()))
    })?;
    #[allow(clippy::cast_precision_loss, reason = "a rate for people")]
    let rate = answers as f64 / taken.as_secs_f64();
    println!("{}", serde_json::json!({ "workers": workers, "answers": answers, "rate": rate }));
    Ok(())
}
