//! `herd test`: runs transcripts against a guest, without sockets.
//!
//! Owns the arguments and the exit codes. A run of all transcripts is in `tester`, its report in `report`, `junit` and `coverage`; costs
//! are in `cost` and `budget`.

mod budget;
mod command_cost;
mod cost;
mod cost_table;
mod coverage;
mod diff;
mod junit;
mod name_filter;
mod report;
mod tester;
mod watched;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, bail};
use clap::Args;
use herd_config::HerdConfig;
use herd_sdk::transcript::Compared;

use self::name_filter::NameFilter;
use self::report::{Outcome, Report};
use self::tester::Tester;
use super::guest_file::read_guest;
use super::transcript_file::{TranscriptFile, read_transcripts};

/// Arguments of `herd test`.
#[derive(Debug, Args)]
pub(super) struct TestArgs {
    /// Component to test.
    guest: PathBuf,
    /// Transcripts (*.herd), or directories of transcripts. Default: the built-in transcripts of the line protocol.
    transcripts: Vec<PathBuf>,
    /// Run only transcripts whose name contains this text or, with `*` or `?` in it, matches it whole. Repeatable.
    #[arg(long, value_name = "PATTERN")]
    only: Vec<NameFilter>,
    /// Compare every effect. Default for the transcripts that are named.
    #[arg(long)]
    effects: bool,
    /// Compare only what clients observe: replies, closed sessions and faults. Default for the built-in transcripts, so that
    /// guests may keep records, ask upstreams and publish in their own way.
    #[arg(long, conflicts_with_all = ["effects", "bless"])]
    replies: bool,
    /// Replace expectations that do not hold by what the guest did, in the transcripts, and with --budget the budget by the costs.
    #[arg(long, visible_alias = "record")]
    bless: bool,
    /// Run again whenever the guest or a transcript changes, until ctrl-c.
    #[arg(long, conflicts_with_all = ["bless", "cost"])]
    watch: bool,
    /// Also write the results as JUnit XML.
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
    /// Show which commands the guest read and which effects it decided, and which never.
    #[arg(long)]
    coverage: bool,
    /// Show instructions, memory and time for each command, in place of differences.
    #[arg(long, conflicts_with_all = ["junit", "coverage"])]
    cost: bool,
    /// Show the costs of another guest beside them.
    #[arg(long, value_name = "GUEST", requires = "cost")]
    against: Option<PathBuf>,
    /// Fail if a command costs more than this file (TOML) says. With --bless, write the file.
    #[arg(long, value_name = "FILE", requires = "cost")]
    budget: Option<PathBuf>,
}

impl TestArgs {
    /// Returns what counts. The built-in transcripts hold for every guest of the line protocol, so only its replies count;
    /// others were written or recorded for one guest.
    fn compared(&self) -> Compared {
        let is_built_in = self.transcripts.is_empty();
        if self.replies || (is_built_in && !self.effects) { Compared::Replies } else { Compared::Effects }
    }

    /// Reads the selected transcripts. Also returns the number of those left out.
    fn files(&self) -> anyhow::Result<(Vec<TranscriptFile>, usize)> {
        let mut files = read_transcripts(&self.transcripts)?;
        let all = files.len();
        if !self.only.is_empty() {
            let names: Vec<String> = files.iter().map(|file| file.name.clone()).take(NAMES_SHOWN_MAX).collect();
            files.retain(|file| self.only.iter().any(|only| only.matches(&file.name)));
            if files.is_empty() {
                let more = if all > names.len() { ", ..." } else { "" };
                bail!("--only selects none of {all} transcripts; there are {}{more}", names.join(", "));
            }
        }
        let left_out = all - files.len();
        Ok((files, left_out))
    }
}

/// Runs each transcript on a warm instance, and again with a fresh instance for every event. Fails if an expectation does not hold.
#[allow(clippy::unnecessary_wraps, reason = "the signature of a command")]
pub(super) fn test(config: &HerdConfig, args: &TestArgs) -> anyhow::Result<ExitCode> {
    let limits = config.runtime.limits();
    let outcome = if args.cost {
        cost::cost(limits, args)
    } else if args.watch {
        watched::watch(args, || run(limits, args))
    } else {
        run(limits, args)
    };
    let code = match outcome {
        Ok(Outcome::AllHold) => 0,
        Ok(Outcome::SomeFail) => 1,
        Ok(Outcome::SomeUnreadable) => 2,
        Err(error) => {
            eprintln!("herd: {error:#}");
            2
        }
    };
    Ok(ExitCode::from(code))
}

/// Runs the selected transcripts once, and reports.
fn run(limits: herd_runtime::Limits, args: &TestArgs) -> anyhow::Result<Outcome> {
    if args.bless && args.transcripts.is_empty() {
        bail!("--bless changes transcripts, and those that are built in do not change: name a file or a directory");
    }
    let (files, left_out) = args.files()?;
    let guest = read_guest(&args.guest)?;
    let tester = Tester::new(limits, &guest, args.compared(), args.bless);
    let tester = tester.with_context(|| args.guest.display().to_string())?;
    let tested = tester.run(&files);
    let report = Report { tested, left_out, compared: args.compared(), is_built_in: args.transcripts.is_empty() };
    report.print();
    if args.coverage {
        coverage::print(&report, tester.description()?);
    }
    if let Some(path) = &args.junit {
        let guest = args.guest.display().to_string();
        std::fs::write(path, junit::xml(&report, &guest)).with_context(|| path.display().to_string())?;
    }
    Ok(report.outcome())
}

/// Names in a message about a pattern that selects none.
const NAMES_SHOWN_MAX: usize = 8;
