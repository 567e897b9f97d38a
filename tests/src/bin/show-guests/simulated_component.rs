//! The real component in the simulator: herds of ten nodes with every fault, and how much faster than real time they run.

use std::process::Command;
use std::thread;
use std::time::Instant;

use anyhow::{Context, Result};
use herd_tests::{Bar, Extent, Herd, Reporter, Row};

pub(crate) const ROW: Row = Row {
    name: "simulated-component",
    figures: &[
        Bar { figure: "ten nodes of the component: seeds that hold", bar: "all" },
        Bar { figure: "ten nodes of the component: speed of a core", bar: "at least 100 x real time" },
    ],
    measure,
};

fn measure(reporter: &mut Reporter<'_>) -> Result<()> {
    let seeds: u32 = match reporter.extent() {
        Extent::Portion => 200,
        Extent::Full => 2000,
    };
    let began = Instant::now();
    let output = Command::new(Herd::binary())
        .args([
            "sim",
            "--guest",
            "built-in",
            "--nodes",
            "10",
            "--for",
            "2m",
            "--no-shrink",
            "--seeds",
            &seeds.to_string(),
        ])
        .output()
        .context("herd sim")?;
    let took_s = began.elapsed().as_secs_f64();
    let said = String::from_utf8_lossy(&output.stdout);
    let holds = output.status.success();
    let value =
        if holds { format!("{seeds} in {took_s:.0} s") } else { said.lines().next().unwrap_or("nothing").into() };
    reporter.show("ten nodes of the component: seeds that hold", value, holds);
    let cores = thread::available_parallelism()?.get() as f64;
    let speed = f64::from(seeds) * VIRTUAL_S / (took_s * cores);
    let figure = "ten nodes of the component: speed of a core";
    reporter.show(figure, format!("{speed:.0} x"), holds && speed >= 100.0);
    Ok(())
}

/// Virtual time of a seed. Its rest is not counted.
const VIRTUAL_S: f64 = 120.0;
