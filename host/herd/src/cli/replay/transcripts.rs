//! `herd replay --as-transcripts`: decisions of a log as test cases.
//!
//! A case is the whole call with the records that it looked up, and expects what the guest that made it decides. Bounds:
//! [`FILES_MAX`] files.

use std::path::Path;

use anyhow::Context;
use herd_recording::LogReader;

use super::guest::{Guests, LoadedGuest};
use super::one::find;
use super::parts::subject_of;
use super::run::Replayed;

/// Writes the first example of each difference; without differences, the first decision of each command.
pub(super) fn write(log: &Path, guests: &mut Guests, replayed: &Replayed, directory: &Path) -> anyhow::Result<()> {
    std::fs::create_dir_all(directory).with_context(|| directory.display().to_string())?;
    let tally = &replayed.tally;
    let mut numbers = tally.first_examples();
    if numbers.is_empty() {
        numbers = tally.commands.values().copied().collect();
        numbers.sort_unstable();
    }
    let (mut written, mut answers) = (0, 0);
    for number in numbers.into_iter().take(FILES_MAX) {
        let call = find(&mut LogReader::open(log)?, guests, number)?;
        let LoadedGuest::Component(guest) = guests.of(call.generation)? else { continue };
        let index = usize::try_from(number - call.number)?;
        let word: String = subject_of(&call.recorded.call, index).chars().filter(char::is_ascii_alphanumeric).collect();
        let name = format!("{}-{number}.herd", if word.is_empty() { "call".into() } else { word.to_ascii_lowercase() });
        let Some(transcript) = guest.transcript(&name, &call.recorded) else {
            answers += 1;
            continue;
        };
        let (guest, version, digest) = guest.description();
        let head = format!(
            "# Decision {number} of {}, replayed from a log. The expectations are what {guest} {version} decides, SHA-256 {digest};\n\
             # nobody has confirmed yet that they are right.\n",
            replayed.node
        );
        let path = directory.join(&name);
        std::fs::write(&path, head + &transcript).with_context(|| path.display().to_string())?;
        written += 1;
    }
    let shown = directory.display();
    say!("{:<10}{written} in {shown}; run them: herd test GUEST.wasm {shown}", "written");
    if answers > 0 {
        say!("{:<10}{answers} answers of upstreams: a transcript cannot make one without its fetch", "left out");
    }
    Ok(())
}

/// Cases that a person still reads.
const FILES_MAX: usize = 64;
