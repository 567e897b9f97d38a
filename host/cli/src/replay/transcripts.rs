//! `herd replay --as-transcripts`: decisions of a log as test cases.
//!
//! A case is the whole call with the records that it looked up, and expects what the guest that made it decides. A file that exists is
//! kept: a person may have blessed it. Bounds: [`FILES_MAX`] files.

use std::fs::OpenOptions;
use std::io::{ErrorKind, Write};
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
    let (mut written, mut answers, mut kept) = (0, 0, vec![]);
    for number in numbers.into_iter().take(FILES_MAX) {
        let call = find(&mut LogReader::open(log)?, guests, number)?;
        let LoadedGuest::Component(guest) = guests.of(call.generation)? else { continue };
        let index = usize::try_from(number - call.number)?;
        let name = file_name(&subject_of(&call.recorded.call, index), &replayed.node, number);
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
        match OpenOptions::new().write(true).create_new(true).open(&path) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => kept.push(name),
            file => {
                let text = head + &transcript;
                file.and_then(|mut file| file.write_all(text.as_bytes()))
                    .with_context(|| path.display().to_string())?;
                written += 1;
            }
        }
    }
    let shown = directory.display();
    say!("{:<10}{written} in {shown}; run them: herd test GUEST.wasm {shown}", "written");
    if !kept.is_empty() {
        say!("{:<10}{}, as they were: remove them to have them written anew", "kept", kept.join(", "));
    }
    if answers > 0 {
        say!("{:<10}{answers} answers of upstreams: a transcript cannot make one without its fetch", "left out");
    }
    Ok(())
}

/// Returns the name of the case of a decision. Logs of several nodes have the same numbers, and a log that a stranger made may name
/// its node anything.
fn file_name(command: &str, node: &str, number: u64) -> String {
    let plain = |text: &str| {
        let kept: String = text.chars().filter(char::is_ascii_alphanumeric).collect();
        kept.to_ascii_lowercase()
    };
    let parts = [plain(command), plain(node)];
    let word = if parts[0].is_empty() { "call" } else { &parts[0] };
    let node = if parts[1].is_empty() { "node" } else { &parts[1] };
    format!("{word}-{node}-{number}.herd")
}

/// Cases that a person still reads.
const FILES_MAX: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_transcripts_names_the_node_of_a_decision() {
        assert_eq!(file_name("BYE", "Juzang", 1), "bye-juzang-1.herd");
        assert_eq!(file_name("(report)", "../../etc/x", 7), "report-etcx-7.herd");
        assert_eq!(file_name("\\x00", "", 7), "x00-node-7.herd");
        assert_eq!(file_name("?", "Riley", 2), "call-riley-2.herd");
    }
}
