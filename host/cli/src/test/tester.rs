//! Runs of transcripts against one guest, several at a time.
//!
//! Owns instances, threads, and what is blessed. Prints nothing. Bounds: [`THREADS_MAX`] transcripts at a time; [`BLESSINGS_MAX`] rounds of
//! blessing one of them.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use herd_runtime::{CompiledGuest, ComponentDecider, Engine, Limits, LoadError, Warmth};
use herd_sdk::native::MemoryRecords;
use herd_sdk::transcript::{Compared, Coverage, Run, Transcript};
use herd_sdk::{Description, Settings};
use herd_sys::write_atomically;

use super::super::transcript_file::TranscriptFile;

/// Guest under test.
pub(super) struct Tester<'a> {
    engine: Arc<Engine>,
    guest: &'a [u8],
    /// Keeps the code between two runs.
    _compiled: CompiledGuest,
    compared: Compared,
    blesses: bool,
}

/// Result of one transcript.
pub(super) struct Tested {
    /// Path, or name of a built-in transcript.
    pub(super) name: String,
    pub(super) took: Duration,
    pub(super) verdict: Verdict,
    /// Coverage of the warm run.
    pub(super) coverage: Coverage,
}

/// Result of comparing a guest with the expectations of a transcript.
pub(super) enum Verdict {
    /// On a warm and on fresh instances.
    Holds,
    /// It did not, and its expectations were replaced.
    Blessed,
    /// On a warm instance it does not.
    Differs(Run),
    /// Only on fresh instances it does not: the guest keeps state in its instance.
    DiffersFresh(Run),
    /// It does not, and a recording of it would be no transcript, for this reason.
    NotBlessed(Run, String),
    /// The guest does not start with its settings, for this reason.
    NotStarted(String),
    /// It cannot be read or written, for this reason.
    Unreadable(String),
}

impl<'a> Tester<'a> {
    /// Compiles the guest.
    ///
    /// # Errors
    ///
    /// This host cannot run it.
    pub(super) fn new(limits: Limits, guest: &'a [u8], compared: Compared, blesses: bool) -> anyhow::Result<Self> {
        let engine = Engine::new(limits)?;
        let compiled = engine.keep_compiled(guest, None)?;
        Ok(Self { engine, guest, _compiled: compiled, compared, blesses })
    }

    /// Returns how the guest describes itself.
    ///
    /// # Errors
    ///
    /// It does not start without settings.
    pub(super) fn description(&self) -> anyhow::Result<Description> {
        let settings = Settings { node: "Riley".into(), table: vec![] };
        Ok(self.load(&settings, Arc::default(), Warmth::Warm)?.description().clone())
    }

    /// Runs transcripts on several threads. The results have the order of the files.
    pub(super) fn run(&self, files: &[TranscriptFile]) -> Vec<Tested> {
        let threads = std::thread::available_parallelism().map_or(1, usize::from).min(THREADS_MAX).min(files.len());
        let next = AtomicUsize::new(0);
        let work = || {
            let mut tested = vec![];
            loop {
                // The counter hands out files and guards no other data, hence relaxed.
                let index = next.fetch_add(1, Ordering::Relaxed);
                let Some(file) = files.get(index) else { return tested };
                tested.push((index, self.test(file)));
            }
        };
        let mut tested: Vec<(usize, Tested)> = std::thread::scope(|scope| {
            let running: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
            let results = running.into_iter().map(std::thread::ScopedJoinHandle::join);
            results.flat_map(|result| result.unwrap_or_else(|panic| std::panic::resume_unwind(panic))).collect()
        });
        tested.sort_by_key(|(index, _)| *index);
        tested.into_iter().map(|(_, tested)| tested).collect()
    }

    fn test(&self, file: &TranscriptFile) -> Tested {
        let began = Instant::now();
        let not_started = |error: LoadError| (Verdict::NotStarted(error.to_string()), Coverage::default());
        let (verdict, coverage) = self.verdict(file).unwrap_or_else(not_started);
        Tested { name: file.name.clone(), took: began.elapsed(), verdict, coverage }
    }

    fn verdict(&self, file: &TranscriptFile) -> Result<(Verdict, Coverage), LoadError> {
        let unreadable = |why: String| Ok((Verdict::Unreadable(why), Coverage::default()));
        let parse = |text: &str| Transcript::parse(&file.name, text).map(|parsed| parsed.comparing(self.compared));
        let mut transcript = match parse(&file.text) {
            Ok(transcript) => transcript,
            Err(error) => return unreadable(error.to_string()),
        };
        let mut warm = self.run_once(&transcript, Warmth::Warm)?;
        let mut blessed: Option<String> = None;
        // More than one round: a blessed line may capture the variable of an event that could not be performed before.
        for _ in 0..if self.blesses { BLESSINGS_MAX } else { 0 } {
            if warm.passed() {
                break;
            }
            let text = warm.actual().to_string();
            transcript = match parse(&text) {
                Ok(transcript) => transcript,
                Err(error) => {
                    let coverage = warm.coverage().clone();
                    return Ok((Verdict::NotBlessed(warm, error.to_string()), coverage));
                }
            };
            warm = self.run_once(&transcript, Warmth::Warm)?;
            blessed = Some(text);
        }
        let coverage = warm.coverage().clone();
        if !warm.passed() {
            return Ok((Verdict::Differs(warm), coverage));
        }
        let fresh = self.run_once(&transcript, Warmth::Fresh)?;
        if !fresh.passed() {
            return Ok((Verdict::DiffersFresh(fresh), coverage));
        }
        let Some((text, path)) = blessed.zip(file.path.as_ref()) else { return Ok((Verdict::Holds, coverage)) };
        match write(path, &text) {
            Ok(()) => Ok((Verdict::Blessed, coverage)),
            Err(error) => unreadable(format!("{}: {error}", path.display())),
        }
    }

    fn run_once(&self, transcript: &Transcript, warmth: Warmth) -> Result<Run, LoadError> {
        transcript.run_herd(|settings, records| self.load(settings, records, warmth))
    }

    fn load(
        &self,
        settings: &Settings,
        records: Arc<MemoryRecords>,
        warmth: Warmth,
    ) -> Result<ComponentDecider, LoadError> {
        ComponentDecider::load(&self.engine, self.guest, settings.clone(), records, warmth)
    }
}

/// Replaces a file in one step, so that a full disk or ctrl-c leaves the old one. The file that a link names is replaced, not the link.
fn write(path: &Path, text: &str) -> std::io::Result<()> {
    let path = std::fs::canonicalize(path)?;
    // Only the owner may read what is written atomically, but a transcript is no secret.
    let permissions = std::fs::metadata(&path)?.permissions();
    write_atomically(&path, &path.with_added_extension("new"), &[text.as_bytes()])?;
    std::fs::set_permissions(&path, permissions)
}

/// Each has up to 16 nodes with an instance or two, and the pool of an engine has room for 128 instances at least.
const THREADS_MAX: usize = 4;
/// Each round mends at least one event, and files chain a few variables.
const BLESSINGS_MAX: usize = 8;
