//! `herd replay`: makes the decisions of a log again, and shows what differs.
//!
//! Works on files alone. The log is read on one thread and replayed on several; each repeats whole calls on an instance of its own,
//! because a call is decided as one. Exit code 0 if every decision is the same.
//!
//! Bounds: a few blocks per thread in memory; differences as [`tally`] counts them.

mod guest;
mod native;
mod one;
mod parts;
mod run;
mod tally;
mod transcripts;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::bail;
use clap::Args;
use herd_config::HerdConfig;
use herd_recording::LogReader;

use self::run::{Replayed, replay_all};
use super::numbers::{counted, whole};

pub(super) use self::guest::{Guests, ThreadReplayer, With};
pub(super) use self::tally::depends_on_time;

/// Arguments of `herd replay`.
#[derive(Debug, Args)]
pub(super) struct ReplayArgs {
    /// Log: a folder recordings/NODE of the state directory, or a file of it.
    #[arg(value_name = "LOG")]
    recording: PathBuf,
    /// Component that decides. Default: for each decision the guest that made it, which the log holds.
    #[arg(long, value_name = "GUEST")]
    guest: Option<PathBuf>,
    /// Decide with the default logic, linked natively into this program.
    #[arg(long, conflicts_with = "guest")]
    native: bool,
    /// Show this decision alone, with everything that it depends on. Differences name the numbers of decisions.
    #[arg(long, value_name = "NUMBER", conflicts_with = "as_transcripts")]
    decision: Option<u64>,
    /// Write the first example of each difference to this directory, as a transcript that expects what was decided at the time. Without
    /// differences, the first decision of each command. Files that exist are kept.
    #[arg(long, value_name = "DIR")]
    as_transcripts: Option<PathBuf>,
    /// Threads that replay. Default: one for each processor.
    #[arg(long, value_name = "NUMBER", value_parser = whole::<1024>)]
    threads: Option<usize>,
    /// Print the result as JSON.
    #[arg(long, conflicts_with = "decision")]
    json: bool,
}

/// Replays a log. Fails if a decision differs, or the log is damaged: what is before the damage is replayed and shown.
pub(super) fn replay(config: &HerdConfig, args: &ReplayArgs) -> anyhow::Result<ExitCode> {
    let mut log = LogReader::open(&args.recording)?;
    let with = match (&args.guest, args.native) {
        (Some(file), _) => With::File(file.clone()),
        (None, true) => With::Native,
        (None, false) => With::Recorded,
    };
    let mut guests = Guests::new(config.runtime.limits(), with);
    if let Some(number) = args.decision {
        return one::explain(&mut log, &mut guests, number);
    }
    let threads = args.threads.or(std::thread::available_parallelism().ok().map(Into::into)).unwrap_or(1);
    let replayed = replay_all(&mut log, &mut guests, threads)?;
    if replayed.tally.decisions == 0 {
        if let Some(damage) = replayed.damage {
            return Err(damage.into());
        }
        bail!("{} holds no decision yet; a running node writes them once a second", args.recording.display());
    }
    for path in log.cut() {
        eprintln!("herd: {} was not written to its end; its last block is left out", path.display());
    }
    if args.json {
        say!("{}", serde_json::to_string_pretty(&replayed.json())?);
    } else {
        print(&replayed, threads);
    }
    if let Some(directory) = &args.as_transcripts {
        transcripts::write(&args.recording, &mut Guests::recorded(&guests)?, &replayed, directory)?;
    }
    if let Some(damage) = replayed.damage {
        return Err(damage.into());
    }
    Ok(if replayed.tally.is_same() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn print(replayed: &Replayed, threads: usize) {
    let tally = &replayed.tally;
    say!(
        "{:<10}{} on {}, in {}, of {}",
        "log",
        counted(tally.decisions, "decision"),
        counted(tally.lines, "line"),
        counted(tally.calls, "call"),
        replayed.node
    );
    for guest in &replayed.guests {
        say!("{:<10}{guest}", "guest");
    }
    say!("{:<10}{}, {} of them bit for bit", "same", counted(tally.same, "decision"), tally.exact);
    if tally.not_compared > 0 {
        say!("{:<10}{} decisions, whose fault depends on time (deadline)", "skipped", tally.not_compared);
    }
    if tally.different > 0 {
        say!("{:<10}{}\n", "different", counted(tally.different, "decision"));
        say_on!("{}", tally.table());
        say!("\nsee one: herd replay LOG --decision NUMBER, with the same --guest");
    }
    if replayed.lost > 0 {
        say!(
            "{:<10}{} decisions were left out of the log: its disk was too slow, or a call too long",
            "note",
            replayed.lost
        );
    }
    if replayed.missing > 0 {
        let missing = replayed.missing;
        say!(
            "{:<10}the guest looked up {missing} keys that were not looked up at the time: they were unknown to it",
            "note"
        );
    }
    let each_s = tally.decisions as f64 / replayed.seconds;
    let (whole, each) = (each_s.round(), (each_s / threads as f64).round());
    say!("{:<10}{whole} decisions/s on {threads} threads, {each} on each", "speed");
}
