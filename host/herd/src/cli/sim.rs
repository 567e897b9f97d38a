//! `herd sim`: whole herds on virtual time, with faults, from seeds.

use std::io::IsTerminal;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Args;
use herd_sim::{Faults, Graph, SimOptions, run, run_seeds};
use indicatif::{ProgressBar, ProgressStyle};

use super::numbers::{counted, whole};

/// Arguments of `herd sim`.
#[derive(Debug, Args)]
pub(super) struct SimArgs {
    /// Number of seeds to run, on all cores.
    #[arg(long, default_value = "100", value_parser = whole::<1_000_000_000>, conflicts_with = "seed")]
    seeds: usize,
    /// Run this seed alone, and show what happened in it.
    #[arg(long)]
    seed: Option<u64>,
    /// Number of nodes, from 2 to 5.
    #[arg(long, default_value = "5", value_parser = nodes)]
    nodes: usize,
    /// Virtual time of each run, such as 2m or 30s.
    #[arg(long = "for", default_value = "2m", value_parser = span, value_name = "TIME")]
    duration: Duration,
}

/// Runs seeds and prints the first that breaks an invariant. Fails if one does.
#[allow(clippy::unnecessary_wraps, reason = "the signature of a command")]
pub(super) fn sim(args: &SimArgs) -> anyhow::Result<ExitCode> {
    let options = |seed| SimOptions {
        seed,
        nodes: args.nodes,
        duration: args.duration,
        graph: Graph::Random,
        faults: Faults::All,
    };
    let began = Instant::now();
    let failed = if let Some(seed) = args.seed {
        match run(options(seed)) {
            Ok(report) => {
                say!("{report:#?}");
                None
            }
            Err(violation) => Some((seed, violation)),
        }
    } else {
        let bar = std::io::stderr().is_terminal().then(|| {
            let style = ProgressStyle::with_template("{wide_bar} {pos} of {len} seeds, {eta} left").ok();
            ProgressBar::new(args.seeds as u64).with_style(style.unwrap_or_else(ProgressStyle::default_bar))
        });
        let progress = |done| bar.iter().for_each(|bar| bar.set_position(done));
        let seeds = run_seeds(0, args.seeds as u64, |seed| run(options(seed)).map(drop), progress);
        bar.iter().for_each(ProgressBar::finish_and_clear);
        seeds.failed
    };
    let Some((seed, violation)) = failed else {
        let (seeds, took) = (if args.seed.is_some() { 1 } else { args.seeds }, began.elapsed().as_secs_f64());
        let faster = args.duration.as_secs_f64() * seeds as f64 / took.max(0.001);
        say!(
            "{} {}: {}, {:?} each, {faster:.0} times faster than real time",
            counted(seeds, "seed"),
            if seeds == 1 { "holds" } else { "hold" },
            counted(args.nodes, "node"),
            args.duration
        );
        return Ok(ExitCode::SUCCESS);
    };
    say!("seed {seed}: {violation}");
    say!("replay it with: herd sim --seed {seed} --nodes {} --for {}s", args.nodes, args.duration.as_secs());
    Ok(ExitCode::FAILURE)
}

fn nodes(text: &str) -> Result<usize, String> {
    let nodes = text.parse().ok().filter(|nodes| (2..=5).contains(nodes));
    nodes.ok_or_else(|| "write a number of nodes from 2 to 5".into())
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sim_takes_times_in_minutes_and_seconds() {
        assert_eq!(
            (span("2m"), span("30s"), span("5")),
            (Ok(Duration::from_secs(120)), Ok(Duration::from_secs(30)), Ok(Duration::from_secs(5)))
        );
        assert!(span("0").is_err() && span("2h").is_err() && span("").is_err() && nodes("6").is_err());
    }
}
