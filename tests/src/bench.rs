//! Load by `herd bench`, in a process of its own.
//!
//! Bounds: the duration of each load; [`highest_rate`] probes some twenty times.

use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::Herd;

/// Result of a load.
#[derive(Clone, Copy, Debug)]
pub struct Loaded {
    /// Answers counted, without those of the warm-up.
    pub answers: f64,
    /// Those of the warm-up.
    pub answers_in_warm_up: f64,
    /// Answers per second.
    pub rate: f64,
    /// Median of the times to an answer, in milliseconds.
    pub p50_ms: f64,
    /// The 99th percentile of the same.
    pub p99_ms: f64,
}

/// A load to run.
#[derive(Clone, Debug)]
pub struct Bench {
    /// Client addresses.
    pub nodes: Vec<SocketAddr>,
    /// Further arguments of `herd bench`.
    pub arguments: Vec<String>,
    /// Duration in seconds, besides a warm-up of 0.3.
    pub seconds: f64,
    /// Processor for the load, if it is held to one.
    pub processor: Option<usize>,
}

impl Bench {
    /// Open loop of this many reports per second, over 60 connections.
    #[must_use]
    pub fn open(nodes: &[SocketAddr], rate: f64, seconds: f64) -> Self {
        let arguments = ["--connections", "60", "--clients", &CLIENTS.to_string(), "--rate", &format!("{rate:.0}")];
        Self { nodes: nodes.to_vec(), arguments: arguments.map(Into::into).into(), seconds, processor: None }
    }

    /// Starts the load without waiting.
    ///
    /// # Errors
    ///
    /// The process does not start.
    pub fn begin(&self) -> Result<Child> {
        let herd = Herd::binary();
        let mut command = match self.processor {
            Some(processor) => {
                let mut command = Command::new("taskset");
                command.args(["-c", &processor.to_string()]).arg(herd);
                command
            }
            None => Command::new(herd),
        };
        command.args([
            "bench",
            "--json",
            "--warm-up",
            &WARM_UP_S.to_string(),
            "--duration",
            &format!("{:.2}", self.seconds),
        ]);
        command.args(&self.arguments);
        for node in &self.nodes {
            command.args(["--address", &node.to_string()]);
        }
        for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("HERD_")) {
            command.env_remove(name);
        }
        let spawned = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn();
        spawned.context("herd bench does not start")
    }

    /// Runs the load to its end.
    ///
    /// # Errors
    ///
    /// An answer was wrong, or a connection broke.
    pub fn run(&self) -> Result<Loaded> {
        let output = self.begin()?.wait_with_output()?;
        let report: Value = serde_json::from_slice(&output.stdout).context("herd bench printed no report")?;
        let is_clean = report["wrong"] == 0 && report["broken"].as_object().is_some_and(serde_json::Map::is_empty);
        ensure!(is_clean, "load failed: {} wrong, broken {}", report["wrong"], report["broken"]);
        let at =
            |place: &str| report.pointer(place).and_then(Value::as_f64).with_context(|| format!("{place}: {report}"));
        Ok(Loaded {
            answers: at("/answers")?,
            answers_in_warm_up: at("/answers_in_warm_up")?,
            rate: at("/rate")?,
            p50_ms: at("/times_us/p50")? / 1e3,
            p99_ms: at("/times_us/p99")? / 1e3,
        })
    }
}

/// Returns the highest rate with a p99 under 10 ms.
///
/// # Errors
///
/// Not even [`LOWEST_RATE`] has it, or the first load failed.
pub fn highest_rate(nodes: &[SocketAddr]) -> Result<f64> {
    let highest = find_highest_rate(nodes)?;
    highest.with_context(|| format!("the p99 is over {P99_MS_MAX} ms at {LOWEST_RATE} reports/s already"))
}

/// Finds the highest rate with a p99 under 10 ms: doubles from a low one, then halves the interval. None if not even [`LOWEST_RATE`] has it,
/// as on a machine that is busy with other work.
///
/// # Errors
///
/// The first load failed: an answer was wrong, or a connection broke.
pub fn find_highest_rate(nodes: &[SocketAddr]) -> Result<Option<f64>> {
    // The first load of a herd is its slowest; and what is wrong with the herd shows at any rate.
    Bench::open(nodes, LOWEST_RATE, PROBE.as_secs_f64()).run()?;
    let holds = |rate: f64| {
        let loaded = Bench::open(nodes, rate, PROBE.as_secs_f64()).run();
        loaded.is_ok_and(|loaded| loaded.p99_ms < P99_MS_MAX && loaded.rate > KEEPS_UP * rate)
    };
    if !holds(LOWEST_RATE) {
        return Ok(None);
    }
    let (mut low, mut high) = (LOWEST_RATE, 2.0 * LOWEST_RATE);
    while high < RATE_MAX && holds(high) {
        (low, high) = (high, 2.0 * high);
    }
    for _ in 0..HALVINGS {
        let middle = (low + high) / 2.0;
        *if holds(middle) { &mut low } else { &mut high } = middle;
    }
    Ok(Some(low))
}

/// Warm-up of every load, in seconds.
pub const WARM_UP_S: f64 = 0.3;
/// Clients of a load: as many as change while a peer is stopped.
pub const CLIENTS: u64 = 20_000;
/// The rate, in reports/s, from which [`find_highest_rate`] begins.
pub const LOWEST_RATE: f64 = 500.0;
const PROBE: Duration = Duration::from_millis(1500);
const P99_MS_MAX: f64 = 10.0;
/// Share of the offered rate below which the herd does not keep up.
const KEEPS_UP: f64 = 0.97;
const RATE_MAX: f64 = 500_000.0;
const HALVINGS: usize = 3;
