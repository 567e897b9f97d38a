//! Fuzz targets of `tests/fuzz`: executions, what they cover, and what they find.

use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use herd_tests::{Bar, Extent, Reporter, Row};

pub(crate) const ROW: Row = Row {
    name: "fuzz",
    figures: &[
        Bar { figure: "fuzz, lines: executions a second", bar: RATE_BAR },
        Bar { figure: "fuzz, frames: executions a second", bar: RATE_BAR },
        Bar { figure: "fuzz, link: executions a second", bar: RATE_BAR },
        Bar { figure: "fuzz, rollout: executions a second", bar: RATE_BAR },
        Bar { figure: "fuzz, handshake: executions a second", bar: RATE_BAR },
        Bar { figure: "fuzz, admin: executions a second", bar: RATE_BAR },
        Bar { figure: "fuzz, store: executions a second", bar: RATE_BAR },
        Bar { figure: "fuzz, certificates: executions a second", bar: RATE_BAR },
        Bar { figure: "fuzz, decisions: executions a second", bar: RATE_BAR },
        Bar { figure: "fuzz: findings", bar: "0" },
    ],
    measure,
};

fn measure(reporter: &mut Reporter<'_>) -> Result<()> {
    let seconds = match reporter.extent() {
        Extent::Portion => 15,
        Extent::Full => 600,
    };
    let mut run = Command::new("tests/fuzz/run");
    let output = run.args(["--seconds", &seconds.to_string()]).stderr(Stdio::inherit()).output();
    let output = output.context("tests/fuzz/run")?;
    let text = String::from_utf8_lossy(&output.stdout);
    let mut findings = 0;
    for line in text.lines().filter(|line| line.contains(" executions ")) {
        let words: Vec<&str> = line.split_whitespace().collect();
        let [target, executions, _, rate, _, _, _, from, _, to, _, found] = words[..] else { continue };
        let value = format!("{rate}, {executions} in all, edges {from} -> {to}");
        reporter.show(&format!("fuzz, {target}: executions a second"), value, rate.parse::<u64>()? >= RATE_MIN);
        findings += found.parse::<u64>()?;
    }
    // A run that prints nothing has found nothing, and shows nothing either.
    ensure!(
        output.status.success() || findings > 0,
        "tests/fuzz/run failed: {}",
        text.lines().last().unwrap_or_default()
    );
    reporter.show("fuzz: findings", findings, findings == 0);
    Ok(())
}

/// A tenth of what the slowest target does on one core of a busy machine. Below it, inputs wait for something.
const RATE_MIN: u64 = 20;
const RATE_BAR: &str = "at least 20";
