//! `herd test`: runs transcripts against a guest, without sockets.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context;
use clap::Args;
use herd_node::config::HerdConfig;
use herd_runtime::{ComponentDecider, Engine, LoadError, Warmth};
use herd_sdk::native::MemoryRecords;
use herd_sdk::transcript::{Compared, Run, Transcript};

use super::guest_file::read_guest;
use super::transcript_file::{TranscriptFile, read_transcripts};

/// Arguments of `herd test`.
#[derive(Debug, Args)]
pub(super) struct TestArgs {
    /// Component to test.
    guest: PathBuf,
    /// Transcripts (*.herd), or directories of transcripts. Default: the built-in transcripts of the line protocol.
    transcripts: Vec<PathBuf>,
    /// Compare every effect. Default for the transcripts that are named.
    #[arg(long)]
    effects: bool,
    /// Compare only what clients observe: replies, closed sessions and faults. Default for the built-in transcripts, so that
    /// guests may keep records, ask upstreams and publish in their own way.
    #[arg(long, conflicts_with_all = ["effects", "record"])]
    replies: bool,
    /// Replace expectations that do not hold by what the guest did, in the transcripts.
    #[arg(long, requires = "transcripts")]
    record: bool,
}

impl TestArgs {
    /// Returns what counts. The built-in transcripts hold for every guest of the line protocol, so only its replies count;
    /// others were written or recorded for one guest.
    fn compared(&self) -> Compared {
        let is_built_in = self.transcripts.is_empty();
        if self.replies || (is_built_in && !self.effects) { Compared::Replies } else { Compared::Effects }
    }
}

/// Runs each transcript on a warm instance, and again with a fresh instance for every event. A difference between the two shows
/// that the guest keeps state in its instance. Fails if an expectation does not hold.
pub(super) fn test(config: &HerdConfig, args: &TestArgs) -> anyhow::Result<ExitCode> {
    let engine = Engine::new(config.runtime.limits())?;
    let mut tester = Tester { engine, guest: read_guest(&args.guest)?, last: None };
    let (mut passed, mut failed) = (0, 0);
    for TranscriptFile { name, path, text } in read_transcripts(&args.transcripts)? {
        let transcript = Transcript::parse(&name, &text)?.comparing(args.compared());
        let run = tester.run(&transcript, Warmth::Warm).with_context(|| args.guest.display().to_string())?;
        if let Some(path) = path.filter(|_| args.record && !run.passed()) {
            std::fs::write(&path, run.actual()).with_context(|| path.display().to_string())?;
            say!("recorded  {name}");
            passed += 1;
            continue;
        }
        let fresh = tester.run(&transcript, Warmth::Fresh)?;
        if run.passed() && fresh.passed() {
            say!("ok        {name}");
            passed += 1;
        } else if run.passed() {
            say!("differs   {name}, only on a fresh instance: the guest keeps state in its instance\n{fresh}");
            failed += 1;
        } else {
            say!("differs   {name}\n{run}");
            failed += 1;
        }
    }
    if passed == 0 && args.transcripts.is_empty() {
        say!("\nThis guest does not answer as the line protocol says. Test another protocol with its own transcripts:");
        say!("  herd test GUEST.wasm FILE.herd\n");
    }
    let compared = match args.compared() {
        Compared::Effects => "every effect compared",
        Compared::Replies => "replies compared; --effects compares every effect",
    };
    say!("{passed} passed, {failed} failed ({compared})");
    Ok(if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Guest under test.
struct Tester {
    engine: Arc<Engine>,
    guest: Vec<u8>,
    /// Keeps the compiled guest in the cache of the engine between two runs.
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
