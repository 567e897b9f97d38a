//! Program of `tests/show/herd`: shows that the herd of README.md runs on its ports, passes the protocol cases, and swaps under
//! load without an error.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use herd_tests::load::{Load, Outcome};
use herd_tests::{Behaviour, Client, Figures, Herd, Process, WATCH, eventually};

fn main() -> ExitCode {
    let mut figures = Figures::default();
    let cold = std::env::args().any(|argument| argument == "--cold");
    let shown = first_run(&mut figures)
        .and_then(|()| cases(&mut figures))
        .and_then(|()| swap_under_load(&mut figures))
        .and_then(|()| weight(&mut figures, cold));
    if let Err(error) = shown {
        figures.show("the show itself", format!("{error:#}"), "runs to its end", false);
    }
    figures.exit_code()
}

/// Starts the five-node herd as a new user does, holds a session as with nc, and feeds the recorded walk.
fn first_run(figures: &mut Figures) -> Result<()> {
    let began = Instant::now();
    let mut up = Process::of(&herd_binary(), &["up"]);
    up.await_line("herd ready");
    figures.show("herd up: start to ready", format!("{:.2} s", began.elapsed().as_secs_f64()), "60 s", true);

    let now = format!("{:.9}", std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?.as_secs_f64());
    let address = |port: u16| ([127, 0, 0, 1], port).into();
    let mut riley = Client::connect(address(15415));
    let answer = riley.ask(&format!("IAMAT kiwi.example +34.068930-118.445127 {now}"));
    let right =
        answer.starts_with("AT Riley ") && answer.ends_with(&format!(" kiwi.example +34.068930-118.445127 {now}"));
    figures.show("IAMAT at Riley (15415)", if right { "AT line" } else { &answer }, "AT line", right);

    // The herd of an earlier run has left a report.
    let (line, places) = eventually("the report at Campbell", || {
        match Client::connect(address(15418)).ask_places("WHATSAT kiwi.example 10 5") {
            (line, Some(places)) if line.ends_with(&now) => Ok((line, places)),
            (line, _) => Err(line),
        }
    });
    figures.show(
        "its AT line at Campbell (15418)",
        if line == answer { "the same" } else { &line },
        "the same",
        line == answer,
    );
    let names: Vec<&str> =
        places["results"].as_array().into_iter().flatten().filter_map(|place| place["name"].as_str()).collect();
    let near = names.len() == 5 && names.contains(&"Westwood");
    figures.show("places near it", names.join(", "), "5, Westwood among them", near);

    let feed = Command::new(herd_binary())
        .args(["feed", "tests/data/cerknicko-jezero.gpx", "--client", "walker", "--speed", "max", "--json"])
        .output()?;
    let report: serde_json::Value = serde_json::from_slice(&feed.stdout).context("herd feed --json")?;
    let nodes = report["nodes"].as_array().cloned().unwrap_or_default();
    let missed: u64 = nodes.iter().filter_map(|node| node["missed"].as_u64()).sum();
    let accepted = report["accepted"].as_u64().unwrap_or_default();
    let value = format!("{accepted} reports, {missed} missed");
    let holds = feed.status.success() && accepted > 0 && missed == 0 && nodes.len() == 5;
    figures.show("herd feed of a recorded walk, at 5 nodes", value, "0 missed", holds);
    up.terminate();
    figures.show("SIGTERM", up.wait(), "exit status: 0", up.wait().success());
    Ok(())
}

/// Runs the protocol cases against real processes.
fn cases(figures: &mut Figures) -> Result<()> {
    let mut herd = herd_tests::cases::RunningHerd::new();
    let all = herd_tests::cases::all();
    let mut failed = 0;
    for case in &all {
        if let Err(why) = case.run(&mut herd) {
            failed += 1;
            figures.tell(&format!("  failed: {}", case.place()), why);
        }
    }
    let value = format!("{} passed, {failed} failed", all.len() - failed);
    figures.show("protocol cases against started herds", value, "0 failed", failed == 0 && !all.is_empty());
    Ok(())
}

/// Swaps `watch` into a herd under load and rolls back.
fn swap_under_load(figures: &mut Figures) -> Result<()> {
    let herd = Herd::of_five();
    herd.places().behave(Behaviour::Slow(SLOW));
    let up = herd.up();
    let nodes = herd.names().into_iter().map(|name| (name.to_string(), herd.address(name))).collect();
    let full = Load { nodes, sessions_per_node: 64, askers_per_node: 2, rate: None };

    let running = full.start();
    std::thread::sleep(CAPACITY_TIME);
    let capacity = running.stop();
    no_failures(&capacity)?;
    figures.tell("capacity, 320 sessions, all answers checked", format!("{:.0} answers/s", capacity.rate()));

    let loaded = Load { rate: Some(capacity.rate() * 0.65), ..full };
    let running = loaded.start();
    let wait_for_answers = |more: u64| {
        let goal = running.answered() + more;
        eventually("the load goes on", || {
            if running.answered() >= goal { Ok(()) } else { Err(running.answered().to_string()) }
        });
    };
    wait_for_answers(150_000);
    let began = Instant::now();
    herd.swap(WATCH, &[]).map_err(anyhow::Error::msg)?;
    figures.tell("herd swap of watch, on all five nodes", format!("{:.0} ms", began.elapsed().as_secs_f64() * 1e3));

    let mut watcher = herd.client("Campbell");
    watcher.send("WATCH walker\n");
    let watched = watcher.line();
    let told = herd.client("Riley").ask("IAMAT walker +34.068930-118.445127 1479413884.392014450");
    let pushed = watcher.line();
    let works = watched == "OK" && pushed == told;
    figures.show("WATCH at Campbell of a report at Riley", pushed, "the AT line of Riley", works);
    wait_for_answers(150_000);

    let rolled = herd.herd(&["rollback"]);
    ensure!(rolled.status.success(), "{}", String::from_utf8_lossy(&rolled.stderr));
    let after = herd.client("Campbell").ask("WATCH walker");
    figures.show("WATCH after herd rollback", &after, "? WATCH walker", after == "? WATCH walker");
    wait_for_answers(150_000);

    let outcome = running.stop();
    let share = outcome.rate() / capacity.rate();
    figures.show("load during all that, of capacity", format!("{:.0} %", share * 100.0), "at least 50 %", share >= 0.5);
    let checked = format!("{} of {}", outcome.failed, outcome.answered + outcome.places);
    figures.show("answers lost, doubled or wrong; sessions dropped", checked, "0", outcome.failed == 0);
    for failure in &outcome.failures {
        figures.tell("  failure", failure);
    }
    figures.show("answers of a slow upstream meanwhile", outcome.places, "at least 100", outcome.places >= 100);
    let milliseconds = |quantile| outcome.quantile_us(quantile) as f64 / 1e3;
    figures.tell(
        "p50 / p99 / max at that load",
        format!("{:.2} / {:.2} / {:.2} ms", milliseconds(0.5), milliseconds(0.99), milliseconds(1.0)),
    );
    let faults: u64 =
        herd.names().iter().filter_map(|node| herd.status(node)["generations"]["active"]["faults"].as_u64()).sum();
    figures.show("faults of the guests", faults, "0", faults == 0);
    drop(up);
    Ok(())
}

/// Measures the binary: size, dependencies and, with `--cold`, the time of a build from scratch.
fn weight(figures: &mut Figures, cold: bool) -> Result<()> {
    let megabytes = std::fs::metadata(herd_binary())?.len() as f64 / 1e6;
    figures.show("size of the binary", format!("{megabytes:.1} MB"), "at most 40 MB", megabytes <= 40.0);
    let tree = Command::new("cargo").args(["tree", "-p", "herd", "-e", "normal", "--prefix", "none"]).output()?;
    let tree = String::from_utf8_lossy(&tree.stdout).into_owned();
    let mut crates: Vec<&str> = tree.lines().filter_map(|line| line.split(' ').next()).collect();
    crates.sort_unstable();
    crates.dedup();
    figures.tell("crates in it", crates.len());
    for (what, known, wanted) in [
        ("TLS stacks", &["rustls", "native-tls", "openssl", "boring", "s2n-tls", "mbedtls"][..], "rustls"),
        ("HTTP clients", &["reqwest", "ureq", "isahc", "curl", "attohttpc", "surf"], "reqwest"),
    ] {
        let found: Vec<&str> = crates.iter().copied().filter(|name| known.contains(name)).collect();
        figures.show(what, found.join(", "), wanted, found == [wanted]);
    }
    if !cold {
        figures.tell("cold build", "not measured; add --cold (10 to 25 minutes)");
        return Ok(());
    }
    let clone = std::env::temp_dir().join(format!("herd-cold-{}", std::process::id()));
    let cloned = Command::new("git").args(["clone", "--quiet", "."]).arg(&clone).status()?;
    ensure!(cloned.success(), "git clone failed");
    let began = Instant::now();
    let built = Command::new("cargo")
        .args(["build", "--release", "--quiet"])
        .env_remove("CARGO_TARGET_DIR")
        .current_dir(&clone)
        .status()?;
    let minutes = began.elapsed().as_secs_f64() / 60.0;
    std::fs::remove_dir_all(&clone)?;
    figures.show(
        "cold build of a fresh clone",
        format!("{minutes:.1} min"),
        "at most 30 min",
        built.success() && minutes <= 30.0,
    );
    Ok(())
}

fn no_failures(outcome: &Outcome) -> Result<()> {
    ensure!(outcome.failed == 0, "{} failures: {:?}", outcome.failed, outcome.failures);
    Ok(())
}

/// Path of the binary that README.md names, built by `tests/show/herd`.
fn herd_binary() -> PathBuf {
    Path::new("target/release/herd").to_path_buf()
}

/// Response time of the stand-in for the places service.
const SLOW: Duration = Duration::from_millis(300);
const CAPACITY_TIME: Duration = Duration::from_secs(5);
