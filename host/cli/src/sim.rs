//! `herd sim`: whole herds on virtual time, with faults, from seeds, decided by the default logic or by components.

mod component_guests;
mod scenario_file;
mod scenario_transcript;
mod spread_text;

use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Context;
use clap::{Args, ValueEnum};
use herd_config::HerdConfig;
use herd_sim::{
    CheckFile, Graph, NODES_MAX, Protocol, Report, Run, Scenario, SimOptions, Simulation, Spread, Violation, run_seeds,
    shrink,
};
use indicatif::{ProgressBar, ProgressStyle};

use self::component_guests::ComponentGuests;
use self::scenario_file::{read_scenario, scenario_text};
use self::scenario_transcript::scenario_transcript;
use self::spread_text::{hops, picture};
use super::numbers::{counted, whole};
use super::shell_word::shell_word;

/// Arguments of `herd sim`.
#[derive(Debug, Args)]
pub(super) struct SimArgs {
    /// Component that decides, in place of the default logic linked in. Several: the first serves at the start, and operators of the
    /// simulation swap between all of them. `built-in` is the guest in this binary.
    #[arg(long, value_name = "GUEST.wasm")]
    guest: Vec<PathBuf>,
    /// Lines that clients send besides, and replies that have to come; for commands of the guest's own.
    #[arg(long, value_name = "FILE", requires = "guest")]
    check: Option<PathBuf>,
    /// Protocol of the guest. `none`: clients send only the lines of --check or --scenario, and replies are checked only at rest.
    #[arg(long, value_enum, default_value = "line", requires = "guest")]
    protocol: ProtocolName,
    /// Number of seeds to run, on all cores.
    #[arg(long, default_value = "100", value_parser = whole::<1_000_000_000>, conflicts_with = "seed")]
    seeds: usize,
    /// Run this seed alone, and show what happened in it.
    #[arg(long)]
    seed: Option<u64>,
    /// Number of nodes, from 2 to 10.
    #[arg(long, default_value = "5", value_parser = nodes)]
    nodes: usize,
    /// Links between nodes.
    #[arg(long, value_enum, default_value = "random")]
    graph: GraphName,
    /// Virtual time of each run, such as 2m or 30s.
    #[arg(long = "for", default_value = "2m", value_parser = span, value_name = "TIME")]
    duration: Duration,
    /// Run the events of this file in place of a seed's.
    #[arg(long, value_name = "FILE.toml", conflicts_with_all = ["seeds", "seed", "nodes", "graph", "duration"])]
    scenario: Option<PathBuf>,
    /// File for the scenario to which a failure is shrunk. Default: herd-sim-SEED.toml.
    #[arg(long, value_name = "FILE.toml")]
    save: Option<PathBuf>,
    /// Do not shrink a failure.
    #[arg(long, conflicts_with = "save")]
    no_shrink: bool,
    /// Print the life of a report hop by hop: the slowest to reach all nodes, or that of KEY. With --seed or --scenario.
    #[arg(long, value_name = "KEY", num_args = 0..=1, default_missing_value = "")]
    trace: Option<String>,
    /// Draw how that report spread. With --seed or --scenario.
    #[arg(long, value_name = "FILE.svg")]
    svg: Option<PathBuf>,
}

/// Protocols, as they are named on the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum ProtocolName {
    /// The line protocol: clients report, ask and check their replies.
    Line,
    /// Another one.
    None,
}

/// Links between nodes, as they are named on the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum GraphName {
    /// Each node to the next one, and the last to the first.
    Ring,
    /// Each node to every other one.
    Mesh,
    /// Each node to the next one.
    Line,
    /// Links of a herd without configuration.
    Default,
    /// A line, a ring, a mesh, or a line with random links, as the seed picks.
    Random,
}

/// Runs seeds and prints the first that breaks an invariant, shrunk. Fails if one does.
pub(super) fn sim(config: &HerdConfig, args: &SimArgs) -> anyhow::Result<ExitCode> {
    let is_single = args.seed.is_some() || args.scenario.is_some();
    anyhow::ensure!(
        is_single || (args.trace.is_none() && args.svg.is_none()),
        "--trace and --svg are of one run; name it with --seed or --scenario"
    );
    anyhow::ensure!(
        args.protocol == ProtocolName::Line || args.check.is_some() || args.scenario.is_some(),
        "with --protocol none clients send nothing by themselves: add --check or --scenario"
    );
    let scenario = args.scenario.as_deref().map(read_scenario).transpose()?;
    let check = args.check.as_deref().map(read_check).transpose()?;
    let cores = if is_single { 1 } else { thread::available_parallelism().map_or(1, usize::from) };
    let guests = match &args.guest[..] {
        [] => None,
        paths => Some(ComponentGuests::load(paths, config, NODES_MAX * cores)?),
    };
    let simulation = |seed| {
        let protocol = match args.protocol {
            ProtocolName::Line => Protocol::Line,
            ProtocolName::None => Protocol::None,
        };
        let mut simulation = Simulation::new(args.options(seed)).with_protocol(protocol);
        if let Some(guests) = &guests {
            simulation = simulation.with_guests(guests);
        }
        if let Some(check) = &check {
            simulation = simulation.with_check(check);
        }
        simulation
    };
    let (began, asked) = (Instant::now(), AtomicU64::new(0));
    let failed = if is_single {
        let single = simulation(args.seed.unwrap_or(0)).with_spread();
        let run = match &scenario {
            Some(scenario) => single.with_scenario(scenario).record(),
            None => single.record(),
        };
        let shown = args.show_spread(run.spread.as_ref());
        match &run.outcome {
            Ok(report) => {
                shown?;
                show(report, run.spread.as_ref());
                asked.store(report.asked, Ordering::Relaxed);
                None
            }
            Err(violation) => {
                // A failure is what the run is for: a report that cannot be shown, as where none was kept, must not hide it.
                if let Err(error) = shown {
                    eprintln!("herd: {error:#}");
                }
                Some((violation.clone(), run.scenario))
            }
        }
    } else {
        let bar = std::io::stderr().is_terminal().then(|| {
            let style = ProgressStyle::with_template("{wide_bar} {pos} of {len} seeds, {eta} left").ok();
            ProgressBar::new(args.seeds as u64).with_style(style.unwrap_or_else(ProgressStyle::default_bar))
        });
        let progress = |done| bar.iter().for_each(|bar| bar.set_position(done));
        let run = |seed| {
            let report = simulation(seed).run()?;
            asked.fetch_add(report.asked, Ordering::Relaxed);
            Ok(())
        };
        let seeds = run_seeds(0, args.seeds as u64, run, progress);
        bar.iter().for_each(ProgressBar::finish_and_clear);
        seeds.failed.map(|(seed, violation)| {
            let Run { outcome, scenario, .. } = simulation(seed).record();
            (outcome.err().unwrap_or(violation), scenario)
        })
    };
    let Some((violation, found)) = failed else {
        anyhow::ensure!(
            asked.into_inner() > 0 || !check.as_ref().is_some_and(CheckFile::asks_at_rest),
            "no invariant broke, and no node was asked what is under `at rest`: {}",
            match args.protocol {
                ProtocolName::Line =>
                    "no client was told that a report is kept, or records expire in each seed. Add \
                                       --protocol none for a guest that does not keep what `IAMAT` reports",
                ProtocolName::None => "records expire in each seed, so run more",
            }
        );
        let (seeds, took) = (if is_single { 1 } else { args.seeds }, began.elapsed().as_secs_f64());
        let options = scenario.as_ref().map_or_else(|| args.options(0), Scenario::options);
        let faster = options.duration.as_secs_f64() * seeds as f64 / (took.max(0.001) * cores.min(seeds) as f64);
        say!(
            "{} {}: {}, {:?} each, {faster:.0} times faster than real time on each core ({cores} in use)",
            counted(seeds, "seed"),
            if seeds == 1 { "holds" } else { "hold" },
            counted(options.nodes, "node"),
            options.duration
        );
        return Ok(ExitCode::SUCCESS);
    };
    let which =
        args.scenario.as_ref().map_or_else(|| format!("seed {}", found.seed), |path| path.display().to_string());
    say!("{which}: {violation}");
    if args.scenario.is_none() {
        say!("replay it with: herd sim{} --seed {}{}", args.guests_text(), found.seed, args.run_text());
    }
    if !args.no_shrink && (args.scenario.is_none() || args.save.is_some()) {
        let replay = |scenario: &Scenario| simulation(scenario.seed).with_scenario(scenario).run().map(drop);
        args.shrink(found, replay)?;
    }
    Ok(ExitCode::FAILURE)
}

impl SimArgs {
    fn options(&self, seed: u64) -> SimOptions {
        let graph = match self.graph {
            GraphName::Ring => Graph::Ring,
            GraphName::Mesh => Graph::Full,
            GraphName::Line => Graph::Line,
            GraphName::Default => Graph::Default,
            GraphName::Random => Graph::Random,
        };
        SimOptions { nodes: self.nodes, duration: self.duration, graph, ..SimOptions::new(seed) }
    }

    /// Returns the options that name guests, for a command to copy.
    fn guests_text(&self) -> String {
        let guests = self.guest.iter().map(|guest| format!(" --guest {}", shell_word(&guest.to_string_lossy())));
        let check = self.check.iter().map(|check| format!(" --check {}", shell_word(&check.to_string_lossy())));
        let protocol = (self.protocol == ProtocolName::None).then(|| " --protocol none".into());
        guests.chain(check).chain(protocol).collect()
    }

    /// Returns the options that belong to a seed, for a command to copy.
    fn run_text(&self) -> String {
        let graph = self.graph.to_possible_value().map(|value| value.get_name().to_string()).unwrap_or_default();
        format!(" --nodes {} --graph {graph} --for {}s", self.nodes, self.duration.as_secs())
    }

    /// Shrinks a failure, prints its events and saves them.
    fn shrink(&self, scenario: Scenario, replay: impl Fn(&Scenario) -> Result<(), Violation>) -> anyhow::Result<()> {
        let (seed, before) = (scenario.seed, scenario.events.len());
        let Some((scenario, violation)) = shrink(scenario, SHRINK_RUNS_MAX, replay) else {
            say!("not shrunk: its {} alone break nothing, so replay the seed", counted(before, "event"));
            return Ok(());
        };
        let path = self.save.clone().unwrap_or_else(|| format!("herd-sim-{seed}.toml").into());
        let command = format!("herd sim{} --scenario {}", self.guests_text(), shell_word(&path.to_string_lossy()));
        let text = scenario_text(&scenario, &[violation.to_string(), command.clone()])?;
        std::fs::write(&path, &text).with_context(|| path.display().to_string())?;
        say!("shrunk from {before} events to {}: {violation}", scenario.events.len());
        for event in text.lines().filter(|line| line.starts_with("  ")) {
            say!("{}", event.trim_end_matches(','));
        }
        say!("saved; replay it with: {command}");
        self.save_transcript(&scenario, &violation, &path)
    }

    /// Saves what the clients of a scenario sent as a transcript beside it.
    fn save_transcript(&self, scenario: &Scenario, violation: &Violation, beside: &Path) -> anyhow::Result<()> {
        let path = beside.with_extension("herd");
        let guest = self.guest.first().map_or("GUEST.wasm".into(), |guest| shell_word(&guest.to_string_lossy()));
        let bless = format!("herd test {guest} {} --bless", shell_word(&path.to_string_lossy()));
        let comments = [
            violation.to_string(),
            format!("What the clients of {} sent, without its faults.", beside.display()),
            format!("`{bless}` writes what the guest does; then correct what it should do."),
        ];
        let Some(text) = scenario_transcript(scenario, violation.asked(), &comments) else { return Ok(()) };
        std::fs::write(&path, text).with_context(|| path.display().to_string())?;
        say!("as a transcript, with what the guest does: {bless}");
        Ok(())
    }

    /// Prints and draws the spread of one report, as far as that was asked for.
    fn show_spread(&self, spread: Option<&Spread>) -> anyhow::Result<()> {
        let Some(spread) = spread.filter(|_| self.trace.is_some() || self.svg.is_some()) else { return Ok(()) };
        let key = self.trace.as_deref().filter(|key| !key.is_empty());
        let of = key.map_or_else(|| "a client".into(), |key| format!("`{key}`"));
        let report = spread.slowest(key).with_context(|| format!("no report of {of} was kept in this run"))?;
        if self.trace.is_some() {
            say!("{}", hops(report).trim_end());
        }
        if let Some(path) = &self.svg {
            std::fs::write(path, picture(spread, report)).with_context(|| path.display().to_string())?;
        }
        Ok(())
    }
}

/// Prints what happened in a run.
fn show(report: &Report, spread: Option<&Spread>) {
    say!("{report:#?}");
    let Some(figures) = spread.and_then(Spread::figures) else { return };
    say!("{} reports reached all nodes", figures.reports);
    say!(
        "convergence: {:.1} ms for half of them, {:.1} ms for 99 in 100, {:.1} ms at most",
        figures.median_ms,
        figures.p99_ms,
        figures.max_ms
    );
    say!("copies: {:.2} for each report; bytes of links: {:.0} for each report", figures.copies, figures.bytes);
}

fn read_check(path: &Path) -> anyhow::Result<CheckFile> {
    let text = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
    CheckFile::parse(&text).map_err(|why| anyhow::anyhow!("{}: {why}", path.display()))
}

fn nodes(text: &str) -> Result<usize, String> {
    let nodes = text.parse().ok().filter(|nodes| (2..=NODES_MAX).contains(nodes));
    nodes.ok_or_else(|| format!("write a number of nodes from 2 to {NODES_MAX}"))
}

fn span(text: &str) -> Result<Duration, String> {
    let (number, unit) = match text.strip_suffix('m') {
        Some(minutes) => (minutes, 60),
        None => (text.strip_suffix('s').unwrap_or(text), 1),
    };
    let seconds = number.parse::<u64>().ok().and_then(|number| number.checked_mul(unit));
    let seconds = seconds.filter(|seconds| (1..=86_400).contains(seconds));
    seconds.map(Duration::from_secs).ok_or_else(|| "write a time of at most a day, such as 2m or 30s".into())
}

/// Replays of a failure that is shrunk: some seconds for a small herd, and a minute for one of ten nodes.
const SHRINK_RUNS_MAX: usize = 600;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sim_takes_times_in_minutes_and_seconds() {
        assert_eq!(
            (span("2m"), span("30s"), span("5")),
            (Ok(Duration::from_secs(120)), Ok(Duration::from_secs(30)), Ok(Duration::from_secs(5)))
        );
        assert!(span("0").is_err() && span("2h").is_err() && span("").is_err() && nodes("11").is_err());
    }
}
