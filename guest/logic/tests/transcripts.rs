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
    let files = transcripts(&directory).unwrap();
    assert!(!files.is_empty(), "no transcripts in {}", directory.display());
    let failures: Vec<String> = files.iter().filter_map(|file| hold(file).err()).collect();
    assert!(failures.is_empty(), "{} of {} transcripts fail\n\n{}", failures.len(), files.len(), failures.join("\n"));
}

#[test]
fn the_example_in_the_documentation_holds() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/transcripts.md");
    let text = std::fs::read_to_string(page).unwrap();
    let example = text.split("```\n").nth(1).unwrap();
    assert_eq!(hold_text("transcripts.md", example), Ok(()));
}

/// Runs a transcript. An error says what differs.
fn hold(file: &Path) -> Result<(), String> {
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    let text = std::fs::read_to_string(file).map_err(|error| format!("{name}: {error}"))?;
    hold_text(&name, &text)
}

fn hold_text(name: &str, text: &str) -> Result<(), String> {
    let transcript = Transcript::parse(name, text).map_err(|error| error.to_string())?;
    let herd = Herd::configure(transcript.settings()).map_err(|error| format!("{name}: {error}"))?;
    let records = Arc::new(MemoryRecords::default());
    let run = transcript.run(&mut Native::new(herd, records.clone()), &records);
    if run.passed() { Ok(()) } else { Err(run.to_string()) }
}

fn transcripts(directory: &Path) -> std::io::Result<Vec<PathBuf>> {
    let entries = std::fs::read_dir(directory)?.map(|entry| Ok(entry?.path()));
    let mut files = entries.collect::<std::io::Result<Vec<PathBuf>>>()?;
    files.retain(|path| path.extension().is_some_and(|ending| ending == "herd"));
    files.sort();
    Ok(files)
}
