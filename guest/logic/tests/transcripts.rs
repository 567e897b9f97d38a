//! Every transcript of the default logic, run natively.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use herd_logic::Herd;
use herd_sdk::Logic;
use herd_sdk::native::{MemoryRecords, Native};
use herd_sdk::transcript::Transcript;

/// Goal: what the default logic decides is what `tests/transcripts/` says. Method: each file runs against a fresh
/// logic and fresh records; all of them run before the test fails with what differs.
#[test]
fn every_transcript_holds() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/transcripts");
    let files = transcripts(&directory);
    assert!(!files.is_empty(), "no transcripts in {}", directory.display());
    let failures: Vec<String> = files.iter().filter_map(|file| failure(file)).collect();
    assert!(failures.is_empty(), "{} of {} transcripts fail\n\n{}", failures.len(), files.len(), failures.join("\n"));
}

/// What differs when a transcript runs.
fn failure(file: &Path) -> Option<String> {
    let name = file.file_name().unwrap().to_string_lossy();
    let transcript = match Transcript::parse(&name, &std::fs::read_to_string(file).unwrap()) {
        Ok(transcript) => transcript,
        Err(error) => return Some(error.to_string()),
    };
    let records = Arc::new(MemoryRecords::default());
    let herd = match Herd::configure(transcript.settings()) {
        Ok(herd) => herd,
        Err(error) => return Some(format!("{name}: {error}")),
    };
    let run = transcript.run(&mut Native::new(herd, records.clone()), &records);
    (!run.passed()).then(|| run.to_string())
}

fn transcripts(directory: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<PathBuf> = entries.filter(|path| path.extension().is_some_and(|ending| ending == "herd")).collect();
    files.sort();
    files
}
