//! A client that floods a node, beside honest ones.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::{self, JoinHandle};

use anyhow::Result;
use herd_tests::bench::{Bench, WARM_UP_S, highest_rate};
use herd_tests::{Bar, Herd, Process, Reporter, Rounds, Row};
use rustix::net::{AddressFamily, SocketType, bind, connect, socket};

pub(crate) const ROW: Row = Row {
    name: "flood",
    figures: &[
        Bar { figure: "flood over 1 connection: throughput of others", bar: KEPT },
        Bar { figure: "flood over 64 connections: throughput of others", bar: KEPT },
        Bar { figure: "the same with rates of addresses", bar: KEPT },
    ],
    measure,
};

/// Flood: connections, and settings of the node.
struct Scenario {
    figure: &'static str,
    connections: usize,
    settings: &'static [&'static str],
}

fn measure(reporter: &mut Reporter<'_>) -> Result<()> {
    for scenario in SCENARIOS {
        let (herd, process) = start(scenario.settings);
        let address = herd.address("Riley");
        let rate = SHARE * highest_rate(&[address])?;
        let honest = || Bench::open(&[address], rate, WINDOW_S).run();
        let (mut ratios, mut selves, mut floods, mut p99s) = (vec![], vec![], vec![], vec![]);
        for _ in 0..ROUNDS {
            let quiet = honest()?;
            let flood = Flood::begin(address, scenario.connections)?;
            let flooded = honest();
            floods.push(flood.end() as f64 / (WINDOW_S + WARM_UP_S) / f64::from(1 << 20));
            let flooded = flooded?;
            selves.push(honest()?.rate / quiet.rate);
            ratios.push(flooded.rate / quiet.rate);
            p99s.push(flooded.p99_ms / quiet.p99_ms);
        }
        let (ratio, same) = (Rounds::of(ratios), Rounds::of(selves));
        let noise = same.largest().max(1.0 / same.smallest());
        let noisy = if noise > 1.1 { ", noisy" } else { "" };
        let value = format!("{} (quiet by quiet {}{noisy})", ratio.text(2, ""), same.text(2, ""));
        reporter.show(scenario.figure, value, ratio.median() >= KEPT_MIN);
        reporter.tell("open loop of the others, reports/s", format!("{rate:.0}"));
        reporter.tell("their p99, times the quiet one", Rounds::of(p99s).text(1, ""));
        reporter.tell("flood taken, MiB/s", Rounds::of(floods).text(2, ""));
        drop(process);
    }
    Ok(())
}

/// Starts a node for which the flood comes from another address than the others, and has no exemption.
fn start(settings: &[&str]) -> (Herd, Process) {
    let herd = Herd::of_one().as_for_users().with("sessions.per_address.exempt=[\"127.0.0.1/32\"]");
    let herd = settings.iter().fold(herd, |herd, setting| herd.with(setting));
    let process = herd.run("Riley");
    (herd, process)
}

/// Connections that send reports as fast as the node takes them, and read the answers.
struct Flood {
    streams: Vec<TcpStream>,
    threads: Vec<JoinHandle<()>>,
    sent: Arc<AtomicU64>,
}

impl Flood {
    fn begin(node: SocketAddr, connections: usize) -> Result<Self> {
        let mut flood = Self { streams: vec![], threads: vec![], sent: Arc::default() };
        for number in 0..connections {
            let descriptor = socket(AddressFamily::INET, SocketType::STREAM, None)?;
            bind(&descriptor, &SocketAddr::from(([127, 0, 0, 2], 0)))?;
            connect(&descriptor, &node)?;
            let mut stream = TcpStream::from(descriptor);
            let (mut answers, sent) = (stream.try_clone()?, Arc::clone(&flood.sent));
            flood.streams.push(stream.try_clone()?);
            let lines = format!("IAMAT flood-{number} +34.068930-118.445127 1520023934.918963997\n").repeat(1000);
            flood.threads.push(thread::spawn(move || {
                herd_sys::lower_priority(NICE);
                while let Ok(count) = stream.write(lines.as_bytes()) {
                    sent.fetch_add(count as u64, Ordering::Relaxed);
                }
            }));
            flood.threads.push(thread::spawn(move || {
                herd_sys::lower_priority(NICE);
                let mut discarded = vec![0; 64 << 10];
                while answers.read(&mut discarded).is_ok_and(|count| count > 0) {}
            }));
        }
        Ok(flood)
    }

    /// Ends the flood and returns the bytes that it sent.
    fn end(self) -> u64 {
        for stream in &self.streams {
            let _ = stream.shutdown(Shutdown::Both);
        }
        for thread in self.threads {
            let _ = thread.join();
        }
        self.sent.load(Ordering::Relaxed)
    }
}

const SCENARIOS: &[Scenario] = &[
    Scenario { figure: "flood over 1 connection: throughput of others", connections: 1, settings: &[] },
    Scenario { figure: "flood over 64 connections: throughput of others", connections: 64, settings: &[] },
    Scenario {
        figure: "the same with rates of addresses",
        connections: 64,
        settings: &["sessions.per_address.lines_per_s=500", "sessions.per_address.kib_per_s=64"],
    },
];
const KEPT: &str = "at least 0.90";
const KEPT_MIN: f64 = 0.9;
const SHARE: f64 = 0.5;
const ROUNDS: usize = 4;
const WINDOW_S: f64 = 2.0;
/// Below the load of the others, so that on a machine with few processors what the flood costs is what it costs the node.
const NICE: i32 = 10;
