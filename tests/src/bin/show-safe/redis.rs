//! A durable node against redis with an append-only file, per second of processor time.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use herd_tests::{Bar, LoneNode, Process, Reporter, Rounds, Row, SCENARIOS, Scenario, Scratch};

pub(crate) const ROW: Row = Row {
    name: "redis",
    figures: &[
        Bar { figure: "os against redis everysec, request/response", bar: "at least 1.0" },
        Bar { figure: "os against redis everysec, pipelined 32", bar: "at least 1.0" },
        Bar { figure: "disk against redis always, request/response", bar: "at least 1.0" },
        Bar { figure: "disk against redis always, pipelined 32", bar: "at least 1.0" },
    ],
    measure,
};

fn measure(reporter: &mut Reporter<'_>) -> Result<()> {
    for (durability, sync) in [("os", "everysec"), ("disk", "always")] {
        let (ours, theirs) = (LoneNode::of_durability(durability), Redis::start(sync)?);
        for scenario in &SCENARIOS {
            let (mut ratios, mut selves, mut rates) = (vec![], vec![], vec![]);
            for _ in 0..PAIRS {
                let [first, again] = [(); 2].map(|()| ours.load(scenario, WINDOW_S));
                let (first, again) = (first?, again?);
                let theirs = theirs.load(scenario, first.each_s * WINDOW_S)?;
                ratios.push(first.each_processor_s / theirs);
                selves.push(again.each_processor_s / first.each_processor_s);
                rates.push((first.each_processor_s, theirs));
            }
            let (ratio, same) = (Rounds::of(ratios), Rounds::of(selves));
            let noise = same.largest().max(1.0 / same.smallest());
            let noisy = if noise > NOISE_MAX { ", noisy" } else { "" };
            let figure = format!("{durability} against redis {sync}, {}", scenario.name);
            let value = format!("{} (ours by ours {}{noisy})", ratio.text(2, ""), same.text(2, ""));
            reporter.show(&figure, value, ratio.median() >= 1.0);
            let median = |of: fn(&(f64, f64)) -> f64| Rounds::of(rates.iter().map(of)).median();
            let told = format!("{:.0} and {:.0}, {}", median(|rate| rate.0), median(|rate| rate.1), theirs.version);
            reporter.tell("answers for a processor second", told);
        }
    }
    Ok(())
}

/// A server of the redis protocol on the first processor.
struct Redis {
    process: Process,
    port: String,
    version: String,
    _scratch: Scratch,
}

impl Redis {
    fn start(sync: &str) -> Result<Self> {
        let server =
            server().context("no redis; type: tests/bench/peers/valkey/setup, or apt-get install redis-server")?;
        let version = Command::new(&server).arg("--version").output()?;
        let version = String::from_utf8_lossy(&version.stdout).split(" sha=").next().unwrap_or_default().to_string();
        let scratch = Scratch::new();
        let port = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port().to_string();
        let (server, directory) = (server.to_string_lossy(), scratch.directory().to_string_lossy().into_owned());
        let keeps = ["--dir", &directory, "--save", "", "--appendonly", "yes", "--appendfsync", sync];
        let listens = ["-c", "0", &server, "--port", &port, "--bind", "127.0.0.1"];
        let process = Process::of("taskset".as_ref(), &[&listens[..], &keeps].concat());
        let redis = Self { process, port, version, _scratch: scratch };
        herd_tests::eventually("redis", || {
            let connected = std::net::TcpStream::connect(format!("127.0.0.1:{}", redis.port));
            connected.map(drop).map_err(|error| error.to_string())
        });
        Ok(redis)
    }

    /// Sends reports as redis takes them, and returns those for a second of processor time.
    fn load(&self, scenario: &Scenario, count: f64) -> Result<f64> {
        let count = count.max(20_000.0);
        let before_ns = self.process.processor_ns("");
        let load = ["-c", "1", "redis-benchmark", "-p", &self.port, "-c", "64", "-P", scenario.pipeline, "-q"];
        let what = ["GEOADD", "clients", "-118.445127", "34.068930", "bench-__rand_int__"];
        let output = Command::new("taskset")
            .args(load)
            .args(["-n", &format!("{count:.0}"), "-r", "100000"])
            .args(what)
            .output()
            .context("redis-benchmark is not there; type: apt-get install redis-tools")?;
        ensure!(output.status.success(), "redis-benchmark: {}", String::from_utf8_lossy(&output.stderr));
        // An append-only file is written after the answer, within the second.
        std::thread::sleep(Duration::from_millis(50));
        Ok(count / ((self.process.processor_ns("") - before_ns) as f64 / 1e9))
    }
}

/// The newest server that is there: one from a package registry before that of the system.
fn server() -> Option<PathBuf> {
    let set_up = PathBuf::from("target/valkey/valkey-server");
    let installed = PathBuf::from("/usr/bin/redis-server");
    [set_up, installed].into_iter().find(|path| path.exists())
}

const PAIRS: usize = 5;
/// Ratio of the same to itself from which on a pair says little.
const NOISE_MAX: f64 = 1.1;
const WINDOW_S: f64 = 1.5;
