//! The transcripts of this guest, run natively.

use std::path::Path;

use herd_example_resp::Resp;
use herd_sdk::native::Native;
use herd_sdk::transcript::Transcript;
use herd_sdk::{Logic, Settings};

#[test]
fn every_transcript_holds() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("transcripts");
    let mut failures = vec![];
    let mut count = 0;
    let load =
        |settings: &Settings, records| Resp::configure(settings).map(|logic| Native::new(logic, records).converting());
    for entry in std::fs::read_dir(&directory).unwrap() {
        let path = entry.unwrap().path();
        let text = std::fs::read_to_string(&path).unwrap();
        let transcript = Transcript::parse(&path.display().to_string(), &text).unwrap();
        let run = transcript.run_herd(load).unwrap();
        count += 1;
        if !run.passed() {
            failures.push(run.to_string());
        }
    }
    assert!(count > 0, "no transcripts in {}", directory.display());
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}
