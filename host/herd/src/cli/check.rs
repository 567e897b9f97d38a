//! `herd inspect`, `herd test` and `herd config`: a guest or a configuration, looked at and tried without a node.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, bail};
use clap::Args;
use herd_sdk::native::MemoryRecords;
use herd_sdk::transcript::{Run, Transcript};

use crate::config::HerdConfig;
use crate::{DEFAULT_GUEST, TRANSCRIPTS};
use herd_runtime::{ComponentDecider, Engine, LoadError, Warmth};
use herd_upstreams::Upstreams;

/// Arguments of `herd inspect`.
#[derive(Debug, Args)]
pub(super) struct InspectArgs {
    /// The component.
    guest: PathBuf,
    /// Prints it as JSON.
    #[arg(long)]
    json: bool,
}

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

/// Says what a guest is.
pub(super) fn inspect(config: &HerdConfig, args: &InspectArgs) -> anyhow::Result<ExitCode> {
    let bytes = read_guest(&args.guest)?;
    let engine = Engine::new(config.runtime.limits())?;
    let inspection = engine.inspect(&bytes).with_context(|| args.guest.display().to_string())?;
    if args.json {
        say!("{}", serde_json::to_string_pretty(&inspection)?);
    } else {
        say!("{inspection}");
    }
    Ok(if inspection.problems.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Checks the configuration as a node would, and prints it.
pub(super) fn config(config: &HerdConfig) -> anyhow::Result<ExitCode> {
    Upstreams::new(&config.upstreams, &config.places.sources)?;
    let guest = config.guest.as_ref().map_or_else(|| Ok(DEFAULT_GUEST.to_vec()), |path| read_guest(path))?;
    let engine = Engine::new(config.runtime.limits())?;
    let name = config.node_names().first().copied().unwrap_or_default();
    let records = Arc::new(MemoryRecords::default());
    ComponentDecider::load(&engine, &guest, config.settings(name), records, Warmth::Warm)
        .with_context(|| format!("the guest cannot serve {name}"))?;
    say_on!("{}", toml::to_string_pretty(&config.resolved())?);
    Ok(ExitCode::SUCCESS)
}

/// Runs transcripts, each on a warm instance and on a fresh one per event: what differs between the two is state that
/// hides in the guest.
pub(super) fn test(config: &HerdConfig, args: &TestArgs) -> anyhow::Result<ExitCode> {
    let engine = Engine::new(config.runtime.limits())?;
    let mut tester = Tester { engine, guest: read_guest(&args.guest)?, last: None };
    let (mut passed, mut failed) = (0, 0);
    for (name, file, text) in transcripts(&args.transcripts)? {
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

fn read_guest(path: &Path) -> anyhow::Result<Vec<u8>> {
    std::fs::read(path).with_context(|| path.display().to_string())
}

/// Name, file and text of each transcript.
pub(super) fn transcripts(paths: &[PathBuf]) -> anyhow::Result<Vec<(String, Option<PathBuf>, String)>> {
    if paths.is_empty() {
        return Ok(TRANSCRIPTS.iter().map(|(name, text)| (name.to_string(), None, text.to_string())).collect());
    }
    let mut files = Vec::new();
    for path in paths {
        if path.is_dir() {
            let entries = std::fs::read_dir(path).with_context(|| path.display().to_string())?;
            let mut inside = entries.map(|entry| Ok(entry?.path())).collect::<std::io::Result<Vec<_>>>()?;
            inside.retain(|file| file.extension().is_some_and(|extension| extension == "herd"));
            inside.sort();
            if inside.is_empty() {
                bail!("{}: there is no transcript (*.herd) in it", path.display());
            }
            files.extend(inside);
        } else {
            files.push(path.clone());
        }
    }
    files
        .into_iter()
        .map(|file| {
            let name = file.display().to_string();
            let text = std::fs::read_to_string(&file).with_context(|| name.clone())?;
            Ok((name, Some(file), text))
        })
        .collect()
}
