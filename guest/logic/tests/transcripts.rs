//! Every transcript of the default logic, run natively.

use std::path::{Path, PathBuf};

use herd_logic::Herd;
use herd_sdk::native::Native;
use herd_sdk::transcript::Transcript;
use herd_sdk::{Logic, Settings};

/// Goal: what the default logic decides is what `tests/transcripts/` says, and `tests/classic/transcripts` of classic links. Method: each
/// file runs against a fresh logic and fresh records; all of a directory run before the test fails with what differs.
#[test]
fn every_transcript_holds() {
    for directory in ["../../tests/transcripts", "../../tests/classic/transcripts"] {
        let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join(directory);
        let files = transcripts(&directory).unwrap();
        assert!(!files.is_empty(), "no transcripts in {}", directory.display());
        let failures: Vec<String> = files.iter().filter_map(|file| hold(file).err()).collect();
        let (failed, failures) = (failures.len(), failures.join("\n"));
        assert!(failed == 0, "{failed} of {} transcripts fail\n\n{failures}", files.len());
    }
}

#[test]
fn the_examples_in_the_documentation_hold() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/transcripts.md");
    let text = std::fs::read_to_string(page).unwrap();
    // The first one, and the one of several nodes.
    let examples = text.split("```\n").filter(|block| block.contains("\ninput \"IAMAT"));
    assert_eq!(examples.map(|example| hold_text("transcripts.md", example)).collect::<Vec<_>>(), [Ok(()), Ok(())]);
}

/// Runs a transcript. An error says what differs.
fn hold(file: &Path) -> Result<(), String> {
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    let text = std::fs::read_to_string(file).map_err(|error| format!("{name}: {error}"))?;
    hold_text(&name, &text)
}

fn hold_text(name: &str, text: &str) -> Result<(), String> {
    let transcript = Transcript::parse(name, text).map_err(|error| error.to_string())?;
    let load = |settings: &Settings, records| Herd::configure(settings).map(|herd| Native::new(herd, records));
    let run = transcript.run_herd(load).map_err(|error| format!("{name}: {error}"))?;
    if run.passed() { Ok(()) } else { Err(run.to_string()) }
}

fn transcripts(directory: &Path) -> std::io::Result<Vec<PathBuf>> {
    let entries = std::fs::read_dir(directory)?.map(|entry| Ok(entry?.path()));
    let mut files = entries.collect::<std::io::Result<Vec<PathBuf>>>()?;
    files.retain(|path| path.extension().is_some_and(|ending| ending == "herd"));
    files.sort();
    Ok(files)
}
