//! A node whose guest speaks the redis protocol against redis-server: equal replies, and commands per second of processor time.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use herd_tests::{Bar, Herd, Process, RESP, Reporter, Rounds, Row, Scratch};

pub(crate) const ROW: Row = Row {
    name: "resp",
    figures: &[
        Bar { figure: "replies to generated dialogues", bar: "those of redis-server" },
        Bar { figure: "redis-py", bar: "passes" },
        Bar { figure: "PING, request/response", bar: FOR_INFORMATION },
        Bar { figure: "PING, pipelined 32", bar: FOR_INFORMATION },
        Bar { figure: "SET, request/response", bar: "at least 1.0" },
        Bar { figure: "SET, pipelined 32", bar: "at least 1.0" },
        Bar { figure: "GET, request/response", bar: FOR_INFORMATION },
        Bar { figure: "GET, pipelined 32", bar: FOR_INFORMATION },
        Bar { figure: "GEOADD, request/response", bar: FOR_INFORMATION },
        Bar { figure: "GEOADD, pipelined 32", bar: FOR_INFORMATION },
    ],
    measure,
};

/// A command of redis-benchmark, with the number of times that it is sent in a round.
struct Load {
    name: &'static str,
    command: &'static [&'static str],
    /// One after the other, and pipelined.
    counts: [u32; 2],
    bar: f64,
}

/// A server on the first processor.
struct Server {
    process: Process,
    port: String,
}

fn measure(reporter: &mut Reporter<'_>) -> Result<()> {
    compare(reporter)?;
    let herd =
        Herd::of_one().as_for_users().with_guest(RESP).with("runtime.workers=1").with("records.durability=\"memory\"");
    let process = herd.run_on_processor("Riley", 0);
    let ours = Server { process, port: herd.address("Riley").port().to_string() };
    let scratch = Scratch::new();
    let theirs = redis_server(scratch.directory())?;
    for Load { name, command, counts, bar } in &LOADS {
        for ((pipeline, way), count) in WAYS.iter().zip(counts) {
            let (mut ratios, mut rates) = (vec![], vec![]);
            // In turn, so that both see the same machine.
            for _ in 0..PAIRS {
                let (ours, theirs) = (ours.rate(command, pipeline, *count)?, theirs.rate(command, pipeline, *count)?);
                ratios.push(ours / theirs);
                rates.push((ours, theirs));
            }
            let ratio = Rounds::of(ratios);
            let is_met = *bar == 0.0 || ratio.median() >= *bar;
            reporter.show(&format!("{name}, {way}"), ratio.text(2, " of redis-server"), is_met);
            let median = |of: fn(&(f64, f64)) -> f64| Rounds::of(rates.iter().map(of)).median();
            let told = format!("{:.0} and {:.0}", median(|rate| rate.0), median(|rate| rate.1));
            reporter.tell("commands for a processor second", told);
        }
    }
    Ok(())
}

/// Runs `tests/reference/resp.py`, which has a line for each of its two parts.
fn compare(reporter: &mut Reporter<'_>) -> Result<()> {
    let herd = Herd::binary();
    let script = ["tests/reference/resp.py", "--dialogues", "400", "--guest", RESP, "--herd"];
    let output = Command::new("python3").args(script).arg(herd).output().context("python3")?;
    let said = String::from_utf8_lossy(&output.stdout);
    let line = |word: &str| said.lines().find(|line| line.contains(word)).map(str::to_string);
    let equal = line(" dialogues equal").or_else(|| line(" differs ")).or_else(|| line("redis-server"));
    let passes = line("redis-py");
    reporter.show(
        "replies to generated dialogues",
        equal.clone().unwrap_or_else(|| "no answer".into()),
        equal.is_some_and(|line| line.contains("equal")),
    );
    reporter.show(
        "redis-py",
        passes
            .clone()
            .unwrap_or_else(|| String::from_utf8_lossy(&output.stderr).lines().last().unwrap_or_default().into()),
        passes.is_some_and(|line| line.ends_with("passes")),
    );
    Ok(())
}

fn redis_server(directory: &Path) -> Result<Server> {
    let port = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port().to_string();
    let directory = directory.to_string_lossy();
    let keeps = ["--dir", &directory, "--save", "", "--appendonly", "no"];
    let listens = ["-c", "0", "redis-server", "--port", &port, "--bind", "127.0.0.1"];
    let process = Process::of("taskset".as_ref(), &[&listens[..], &keeps].concat());
    herd_tests::eventually("redis-server (apt-get install redis-server)", || {
        let connected = std::net::TcpStream::connect(format!("127.0.0.1:{port}"));
        connected.map(drop).map_err(|error| error.to_string())
    });
    Ok(Server { process, port })
}

impl Server {
    /// Sends commands over 64 connections, and returns those for a second of processor time.
    fn rate(&self, command: &[&str], pipeline: &str, count: u32) -> Result<f64> {
        let before_ns = self.process.processor_ns("");
        let output = Command::new("taskset")
            .args(["-c", "1", "redis-benchmark", "-p", &self.port, "-c", "64", "-P", pipeline, "-q", "-r", "1000"])
            .args(["-n", &count.to_string()])
            .args(command)
            .output()
            .context("redis-benchmark is not there; type: apt-get install redis-tools")?;
        ensure!(output.status.success(), "redis-benchmark: {}", String::from_utf8_lossy(&output.stderr));
        Ok(f64::from(count) / ((self.process.processor_ns("") - before_ns) as f64 / 1e9))
    }
}

const LOADS: [Load; 4] = [
    Load { name: "PING", command: &["PING"], counts: [100_000, 1_000_000], bar: 0.0 },
    Load { name: "SET", command: &["SET", "key:__rand_int__", "xxx"], counts: [100_000, 1_000_000], bar: 1.0 },
    Load { name: "GET", command: &["GET", "key:__rand_int__"], counts: [100_000, 500_000], bar: 0.0 },
    Load {
        name: "GEOADD",
        command: &["GEOADD", "places", "-118.445127", "34.068930", "bench-__rand_int__"],
        counts: [30_000, 100_000],
        bar: 0.0,
    },
];

const WAYS: [(&str, &str); 2] = [("1", "request/response"), ("32", "pipelined 32")];
const FOR_INFORMATION: &str = "printed";
const PAIRS: usize = 5;
