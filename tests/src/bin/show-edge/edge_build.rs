//! The program of edge hosts beside the full one: size, memory, start and speed, with glibc and with musl, and on another processor.
//!
//! `tests/show/edge` builds the programs. Rates are answers for a second of processor time, measured in turns, so that what else the machine
//! does weighs on both.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use herd_tests::{Bar, Extent, Herd, LoneNode, Process, Reporter, Rounds, Row, SCENARIOS, Scenario};
use serde_json::Value;

use crate::builds::{ARM, EDGE, FULL, OTHERS, emulator};

pub(crate) const ROW: Row = Row {
    name: "edge-build",
    figures: &[
        Bar { figure: "edge build, static, with all places", bar: "at most 12 MB" },
        Bar { figure: "edge node at rest", bar: "at most 20 MiB" },
        Bar { figure: "edge node, start to ready", bar: "at most 50 ms" },
        Bar { figure: "request/response, edge against full", bar: "at least 0.95" },
        Bar { figure: "pipelined 32, edge against full", bar: "at least 0.95" },
        Bar { figure: "guest in all builds", bar: "one digest" },
        Bar { figure: "aarch64 under emulation answers", bar: "IAMAT and WHATSAT" },
    ],
    measure,
};

fn measure(reporter: &mut Reporter<'_>) -> Result<()> {
    if let Err(error) = emulated(reporter) {
        reporter.show("aarch64 under emulation answers", format!("not measured: {error:#}"), false);
    }
    let (full, edge) = (FULL.there()?, EDGE.there()?);
    let [full_guest, edge_guest] = [guest(&full)?, guest(&edge)?];
    reporter.show("guest in all builds", &edge_guest[..8], full_guest == edge_guest);
    let size = size_mb(&edge)?;
    reporter.show("edge build, static, with all places", format!("{size:.1} MB"), size <= 12.0);
    let full_size = size_mb(&full)?;
    let (rest, start) = (rest_mib(&edge), starts_ms(&edge));
    reporter.show("edge node at rest", format!("{rest:.1} MiB"), rest <= 20.0);
    reporter.show("edge node, start to ready", start.text(0, " ms"), start.median() <= 50.0);
    tell(reporter, FULL.name, full_size, rest_mib(&full), &starts_ms(&full));
    tell(reporter, EDGE.name, size, rest, &start);
    rates(reporter, &full, &edge)?;
    for build in OTHERS {
        match build.there() {
            Ok(other) => {
                tell(reporter, build.name, size_mb(&other)?, rest_mib(&other), &starts_ms(&other));
                for scenario in &SCENARIOS {
                    let (ratio, _) = ratio(&full, &other, scenario, OTHERS_ROUNDS)?;
                    let what = format!("{}, {} against full", scenario.name, build.name);
                    reporter.tell(&what, ratio.text(2, ""));
                }
            }
            Err(error) => reporter.tell(build.name, error),
        }
    }
    Ok(())
}

fn rates(reporter: &mut Reporter<'_>, full: &Path, edge: &Path) -> Result<()> {
    // Many short turns: on a shared machine one turn differs from the next by a fifth.
    let rounds = if reporter.extent() == Extent::Full { 31 } else { 15 };
    let figures = ["request/response, edge against full", "pipelined 32, edge against full"];
    for (scenario, figure) in SCENARIOS.iter().zip(figures) {
        let (ratio, each) = ratio(full, edge, scenario, rounds)?;
        reporter.show(figure, ratio.text(2, ""), ratio.median() >= 0.95);
        reporter.tell("answers a second of a processor, full and edge", each);
    }
    Ok(())
}

/// Loads two programs in turns. Returns the ratio of their rates, and both.
fn ratio(full: &Path, other: &Path, scenario: &Scenario, rounds: usize) -> Result<(Rounds, String)> {
    let settings = ["records.durability=\"memory\""];
    let [full, other] = [full, other].map(|program| LoneNode::of_program(program, &settings));
    let mut rates = [vec![], vec![]];
    for _ in 0..rounds {
        for (rates, node) in rates.iter_mut().zip([&full, &other]) {
            rates.push(node.load(scenario, WINDOW_S)?.each_processor_s);
        }
    }
    let [full, other] = rates;
    let ratios = Rounds::of(other.iter().zip(&full).map(|(other, full)| other / full));
    Ok((ratios, format!("{:.0} and {:.0}", Rounds::of(full).median(), Rounds::of(other).median())))
}

/// Runs the program of another processor, with what an emulator needs: small reservations, and time for calls.
fn emulated(reporter: &mut Reporter<'_>) -> Result<()> {
    let arm = ARM.there()?;
    let emulator = emulator()?;
    let herd = Herd::of_one().as_for_users().with("runtime.reservation=\"small\"").with("runtime.deadline_ms=200");
    let script = format!("#!/bin/sh\nexec {} {} \"$@\"\n", emulator.display(), arm.display());
    let script = herd.scratch().write("emulated", script);
    std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o755))?;
    let herd = herd.with_binary(script);
    let began = Instant::now();
    let node = herd.run("Riley");
    let started = began.elapsed();
    let mut client = herd.client("Riley");
    let at = client.ask("IAMAT kiwi +34.068930-118.445127 1");
    let (line, places) = client.ask_places("WHATSAT kiwi 10 5");
    let found = places.as_ref().and_then(|places| places["results"].as_array()).map_or(0, Vec::len);
    let both = at.starts_with("AT Riley ") && line == at && found == 5;
    let value = if both { "both".into() } else { format!("{at}; {line}; {found} places") };
    reporter.show("aarch64 under emulation answers", value, both);
    let figures = format!(
        "{:.1} MB, {:.0} MiB, {:.0} ms to ready",
        size_mb(&arm)?,
        settled_mib(&node),
        started.as_secs_f64() * 1e3
    );
    reporter.tell(ARM.name, figures);
    Ok(())
}

fn tell(reporter: &mut Reporter<'_>, name: &str, size: f64, rest: f64, start: &Rounds) {
    reporter.tell(name, format!("{size:.1} MB, {rest:.1} MiB at rest, {} to ready", start.text(0, " ms")));
}

/// Digest of the guest inside a program.
fn guest(program: &Path) -> Result<String> {
    let said = std::process::Command::new(program).args(["version", "--json"]).output()?;
    let version: Value = serde_json::from_slice(&said.stdout)?;
    let guest = version["guest"].as_str().unwrap_or_default().to_string();
    ensure!(guest.len() == 64, "{} version --json names no guest", program.display());
    Ok(guest)
}

fn size_mb(program: &Path) -> Result<f64> {
    Ok(std::fs::metadata(program)?.len() as f64 / 1e6)
}

fn plan(program: &Path) -> Herd {
    Herd::of_one().as_for_users().with("runtime.workers=1").with_binary(program.to_path_buf())
}

fn rest_mib(program: &Path) -> f64 {
    let herd = plan(program);
    let node = herd.run("Riley");
    settled_mib(&node)
}

/// Resident memory of a node once it has done what it does after its start.
fn settled_mib(node: &Process) -> f64 {
    // Work in the background, such as writing the code cache, is over well within this.
    std::thread::sleep(SETTLED);
    node.resident_bytes() as f64 / (1 << 20) as f64
}

/// Times from the start of the process to the line that says that it is ready, of nodes that have run before.
fn starts_ms(program: &Path) -> Rounds {
    let herd = plan(program);
    let start = || {
        let began = Instant::now();
        let mut node = herd.run("Riley");
        let ready = began.elapsed().as_secs_f64() * 1e3;
        node.terminate();
        node.wait();
        ready
    };
    start();
    Rounds::of((0..STARTS).map(|_| start()))
}

const STARTS: usize = 7;
const SETTLED: Duration = Duration::from_secs(2);
/// Turns of builds that no bar is about.
const OTHERS_ROUNDS: usize = 9;
/// Seconds of each load.
const WINDOW_S: f64 = 1.0;
