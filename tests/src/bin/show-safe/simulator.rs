//! Seeds of the simulator: schedules of replicas, and whole herds with every fault on virtual time.

use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use herd_tests::{Bar, Extent, Reporter, Row};

pub(crate) const ROW: Row = Row {
    name: "simulator",
    figures: &[
        Bar { figure: "simulator, whole herds: seeds that hold", bar: "all" },
        Bar { figure: "simulator, disk: seeds that lost power everywhere", bar: "0 lost, at least 100 or 1000" },
        Bar { figure: "simulator, schedules: seeds that hold", bar: "all" },
        Bar { figure: "simulator, whole herds: speed of a core", bar: "at least 1000 x real time" },
        Bar { figure: "simulator, whole herds: commands a virtual second", bar: "at least 20" },
    ],
    measure,
};

fn measure(reporter: &mut Reporter<'_>) -> Result<()> {
    let (herds, longest) = match reporter.extent() {
        Extent::Portion => (1_000, Duration::from_secs(360)),
        Extent::Full => (10_000, Duration::from_secs(7200)),
    };
    let binary = std::env::current_dir()?.join("target/release/sim");
    for (kind, figure, seeds) in [
        ("schedules", "simulator, schedules: seeds that hold", 10 * herds),
        ("herds", "simulator, whole herds: seeds that hold", herds),
    ] {
        let began = Instant::now();
        let found = simulate(&binary, kind, seeds, longest);
        let took_s = began.elapsed().as_secs_f64();
        let holds = matches!(found, Ok(Found::Nothing { .. }));
        let (mut commands, mut dark) = (None, None);
        let value = match found {
            Ok(Found::Nothing { commands_each_s, dark: dark_seeds }) => {
                (commands, dark) = (commands_each_s, dark_seeds);
                format!("{seeds} in {took_s:.0} s")
            }
            Ok(Found::Failure(said)) => said,
            Err(error) => format!("{error:#}"),
        };
        reporter.show(figure, value, holds);
        if kind == "herds" && holds {
            let cores = thread::available_parallelism()?.get() as f64;
            let speed = seeds as f64 * VIRTUAL_S / (took_s * cores);
            reporter.show("simulator, whole herds: speed of a core", format!("{speed:.0} x"), speed >= 1000.0);
            let dark = dark.context("the simulator told of no losses of power")?;
            let figure = "simulator, disk: seeds that lost power everywhere";
            reporter.show(figure, format!("0 lost in {dark}"), dark >= herds as f64 / 10.0);
            let commands = commands.context("the simulator told no commands")?;
            let figure = "simulator, whole herds: commands a virtual second";
            reporter.show(figure, format!("{commands:.1}"), commands >= 20.0);
        }
    }
    Ok(())
}

/// Outcome of a run of the simulator.
pub(crate) enum Found {
    /// Every seed held.
    Nothing {
        /// Commands of clients in a second of virtual time, if the seeds are those of whole herds.
        commands_each_s: Option<f64>,
        /// Seeds in which all nodes lost power at once, if the seeds are those of whole herds.
        dark: Option<f64>,
    },
    /// A seed failed; what the simulator said of it.
    Failure(String),
}

/// Runs so many seeds of a kind, and kills the simulator after a time.
///
/// # Errors
///
/// It does not start, takes too long, or fails in another way than by a seed.
pub(crate) fn simulate(binary: &Path, kind: &str, seeds: usize, longest: Duration) -> Result<Found> {
    let spawned = Command::new(binary)
        .args([kind, &seeds.to_string()])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let mut child = spawned.with_context(|| format!("{}", binary.display()))?;
    // Both outputs are read beside, or a full pipe would stop the simulator.
    let read = |stream: Option<Box<dyn std::io::Read + Send>>| {
        thread::spawn(move || {
            let mut text = vec![];
            let _ = stream.map(|mut stream| stream.read_to_end(&mut text));
            String::from_utf8_lossy(&text).into_owned()
        })
    };
    let stdout = read(child.stdout.take().map(|stream| Box::new(stream) as _));
    let stderr = read(child.stderr.take().map(|stream| Box::new(stream) as _));
    let began = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break status;
        }
        if began.elapsed() > longest {
            child.kill()?;
            child.wait()?;
            bail!("{seeds} seeds take longer than {} minutes", longest.as_secs() / 60);
        }
        thread::sleep(Duration::from_millis(20));
    };
    let said = format!("{}{}", stdout.join().unwrap_or_default(), stderr.join().unwrap_or_default());
    if status.success() {
        let told = |what: &str| said.lines().find_map(|line| line.strip_suffix(what)?.trim().parse().ok());
        return Ok(Found::Nothing {
            commands_each_s: told(" commands a virtual second"),
            dark: told(" seeds with a loss of power everywhere"),
        });
    }
    let failure = said.lines().find(|line| line.starts_with("seed "));
    // A bug may also make the code under test panic.
    let failure = failure.or_else(|| said.lines().find(|line| line.contains("panicked at")));
    match failure {
        Some(line) => Ok(Found::Failure(line.chars().take(160).collect())),
        None => bail!("{}", said.lines().next().unwrap_or("the simulator failed and said nothing")),
    }
}

/// Virtual time of a seed: two minutes under load. Its rest is not counted.
const VIRTUAL_S: f64 = 120.0;
