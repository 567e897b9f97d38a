//! From nothing to a herd on three hosts, with the commands of docs/hosts.md, counted and timed.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use herd_tests::{Bar, Process, Reporter, Row};

use crate::network::{NetworkHost, join};

pub(crate) const ROW: Row = Row {
    name: "hosts",
    figures: &[
        Bar { figure: "commands for a herd on three hosts", bar: "at most 9" },
        Bar { figure: "time from nothing to answers", bar: "at most 120 s" },
        Bar { figure: "hosts that answer for a report at another", bar: "2 of 2" },
        Bar { figure: "hosts at which herd doctor finds no fault", bar: "3 of 3" },
        Bar { figure: "links over IPv6", bar: "at least 1" },
    ],
    measure,
};

fn measure(reporter: &mut Reporter<'_>) -> Result<()> {
    let documented = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/hosts.md"))?;
    let hosts = join(3, NAMES)?;
    let mut typed = Typed { documented, count: 0 };
    let began = Instant::now();

    let [first, second, third] = &hosts[..] else { unreachable!("three were joined") };
    for command in [
        "herd config example --hosts edge-1.example.net,edge-2.example.net,edge-3.example.net > herd.toml",
        "herd certs init --config herd.toml",
        "herd certs issue edge-1 edge-2 edge-3 --config herd.toml",
    ] {
        typed.run(first, command)?;
    }
    first.carry("edge-2.pem", second)?;
    first.carry("edge-3.pem", third)?;
    typed.run(first, "herd certs install edge-1.pem")?;
    typed.run(second, "herd certs install edge-2.pem")?;
    typed.run(third, "herd certs install edge-3.pem")?;
    let mut nodes: Vec<Process> = Vec::new();
    for (host, node) in hosts.iter().zip(NODES) {
        nodes.push(typed.start(host, &format!("herd run {node} --config herd.toml"))?);
    }
    for (node, process) in NODES.iter().zip(&mut nodes) {
        process.await_line(&format!("{node} ready"));
    }

    let report = format!("herd send edge-1 'IAMAT kiwi +34.068930-118.445127 {}' --config herd.toml", seconds());
    let answer = first.run(&report)?;
    ensure!(answer.starts_with("AT edge-1 "), "the report was answered with {answer:?}");
    let mut answering = 0;
    for (host, node) in [(second, NODES[1]), (third, NODES[2])] {
        answering += usize::from(answers(host, node, began)?);
    }
    let took = began.elapsed();
    reporter.show("commands for a herd on three hosts", typed.count, typed.count <= 9);
    reporter.show("time from nothing to answers", format!("{:.1} s", took.as_secs_f64()), took <= LONGEST);
    reporter.show("hosts that answer for a report at another", format!("{answering} of 2"), answering == 2);

    let mut healthy = 0;
    let mut over_ipv6 = 0;
    for (host, node) in hosts.iter().zip(NODES) {
        match host.run("herd doctor --config herd.toml") {
            Ok(found) => {
                healthy += 1;
                over_ipv6 +=
                    found.lines().filter(|line| line.contains("link to ") && line.contains("at [fd77::")).count();
            }
            Err(why) => reporter.tell(&format!("herd doctor at {node}"), why),
        }
    }
    reporter.show("hosts at which herd doctor finds no fault", format!("{healthy} of 3"), healthy == 3);
    // Each is found from its other end.
    reporter.show("links over IPv6", over_ipv6, over_ipv6 >= 1);
    nodes.iter().for_each(Process::terminate);
    nodes.iter_mut().for_each(|node| _ = node.wait());
    Ok(())
}

/// Commands that were typed, each of which has to be in the documentation.
struct Typed {
    documented: String,
    count: usize,
}

impl Typed {
    fn run(&mut self, host: &NetworkHost, command: &str) -> Result<()> {
        self.count(command)?;
        host.run(command).map(drop)
    }

    fn start(&mut self, host: &NetworkHost, command: &str) -> Result<Process> {
        self.count(command)?;
        Ok(host.start(command))
    }

    fn count(&mut self, command: &str) -> Result<()> {
        let is_documented = self.documented.lines().any(|line| line.trim().trim_start_matches("$ ") == command);
        ensure!(is_documented, "docs/hosts.md does not have the command {command}");
        self.count += 1;
        Ok(())
    }
}

/// Asks a node where the client is until it knows, and returns whether it does in time.
fn answers(host: &NetworkHost, node: &str, began: Instant) -> Result<bool> {
    loop {
        let answer = host.run(&format!("herd send {node} 'WHATSAT kiwi 10 5' --config herd.toml"))?;
        if answer.starts_with("AT edge-1 ") {
            return Ok(true);
        }
        if began.elapsed() > LONGEST {
            return Ok(false);
        }
    }
}

fn seconds() -> String {
    let now = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .context("the clock is set")
        .unwrap_or_default();
    format!("{}.{:09}", now.as_secs(), now.subsec_nanos())
}

const NODES: [&str; 3] = ["edge-1", "edge-2", "edge-3"];
/// File of names of every host. The third is found by IPv6 only.
const NAMES: &str = "\
127.0.0.1 localhost
::1 localhost
10.77.0.1 edge-1.example.net
10.77.0.2 edge-2.example.net
fd77::3 edge-3.example.net
";
const LONGEST: Duration = Duration::from_secs(120);
