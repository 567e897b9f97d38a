//! `herd test`: a guest, tried without a node.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context;
use clap::Args;
use herd_runtime::{ComponentDecider, Engine, LoadError, Warmth};
use herd_sdk::native::MemoryRecords;
use herd_sdk::transcript::{Run, Transcript};

use super::guest_file::read_guest;
use super::transcript_file::read_transcripts;
use crate::config::HerdConfig;

/// Arguments of `herd test`.
#[derive(Debug, Args)]
pub(super) struct TestArgs {
    /// The component.
    guest: PathBuf,
    /// Transcripts (*.herd), or directories of them. Without any: those of the line protocol, which are built in.
    transcripts: Vec<PathBuf>,
    /// Writes what the guest did into the transcripts, in place of the expectations that were not met.
    #[arg(long, requires = "transcripts")]
    record: bool,
}

/// Runs transcripts, each on a warm instance and on a fresh one per event: what differs between the two is state that
/// hides in the guest.
pub(super) fn test(config: &HerdConfig, args: &TestArgs) -> anyhow::Result<ExitCode> {
    let engine = Engine::new(config.runtime.limits())?;
    let mut tester = Tester { engine, guest: read_guest(&args.guest)?, last: None };
    let (mut passed, mut failed) = (0, 0);
    for (name, file, text) in read_transcripts(&args.transcripts)? {
        let transcript = Transcript::parse(&name, &text)?;
        let run = tester.run(&transcript, Warmth::Warm).with_context(|| args.guest.display().to_string())?;
        if let Some(file) = file.filter(|_| args.record && !run.passed()) {
            std::fs::write(&file, run.actual()).with_context(|| file.display().to_string())?;
            say!("recorded  {name}");
            passed += 1;
            continue;
        }
        let fresh = tester.run(&transcript, Warmth::Fresh)?;
        if run.passed() && fresh.passed() {
            say!("ok        {name}");
            passed += 1;
        } else if run.passed() {
            say!("differs   {name}, on a fresh instance only: the guest remembers something\n{fresh}");
            failed += 1;
        } else {
            say!("differs   {name}\n{run}");
            failed += 1;
        }
    }
    say!("{passed} passed, {failed} failed");
    Ok(if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

struct Tester {
    engine: Arc<Engine>,
    guest: Vec<u8>,
    /// Held so that the guest is compiled once.
    last: Option<ComponentDecider>,
}

impl Tester {
    fn run(&mut self, transcript: &Transcript, warmth: Warmth) -> Result<Run, LoadError> {
        let records = Arc::new(MemoryRecords::default());
        let settings = transcript.settings().clone();
        let mut decider = ComponentDecider::load(&self.engine, &self.guest, settings, Arc::clone(&records), warmth)?;
        let run = transcript.run(&mut decider, &records);
        self.last = Some(decider);
        Ok(run)
    }
}
