//! Transcripts inside a guest: a custom section with a JSON object of names and texts.
//!
//! A reader that does not look for a custom section ignores it. A guest with transcripts is therefore a component like any
//! other, and one file holds the logic and its tests.
//!
//! Knows nothing of how transcripts run. Bounds: the length of the section.

use std::collections::BTreeMap;
use std::ops::Range;

use wasm_encoder::{CustomSection, Section};
use wasmparser::{Chunk, Parser, Payload};

/// Returns the transcripts of a guest by name; none if it has no section for them.
///
/// # Errors
///
/// A text that says what is wrong with the section.
pub(crate) fn of(guest: &[u8]) -> Result<BTreeMap<String, String>, String> {
    // The last one counts, as in tools that append a section.
    let Some((_, section)) = sections(guest).pop() else { return Ok(BTreeMap::new()) };
    if section.len() > SECTION_BYTES_MAX {
        return Err(format!("its transcripts have {} bytes, over the limit of {SECTION_BYTES_MAX}", section.len()));
    }
    serde_json::from_slice(section)
        .map_err(|error| format!("its section `{SECTION}` is not a JSON object of names and transcripts: {error}"))
}

/// Returns a guest with these transcripts inside, in place of those that it had.
///
/// # Panics
///
/// If the transcripts have more than 4 GiB.
///
/// # Examples
///
/// ```
/// let guest = b"\0asm\x0d\0\x01\0";
/// let transcripts = [("first.herd".into(), "now 1\n".into())].into();
/// let with = herd_runtime::with_transcripts(guest, &transcripts);
/// assert!(with.starts_with(guest));
/// ```
#[must_use]
pub fn with_transcripts(guest: &[u8], transcripts: &BTreeMap<String, String>) -> Vec<u8> {
    let data = serde_json::to_vec(transcripts).expect("strings have a JSON form");
    let (mut with, mut copied) = (Vec::with_capacity(guest.len() + data.len()), 0);
    for (section, _) in sections(guest) {
        with.extend_from_slice(&guest[copied..section.start]);
        copied = section.end;
    }
    with.extend_from_slice(&guest[copied..]);
    CustomSection { name: SECTION.into(), data: data.into() }.append_to(&mut with);
    with
}

/// Lists the sections with transcripts of a component: the place of each, and its data. Stops at the first bytes that are no
/// section.
fn sections(component: &[u8]) -> Vec<(Range<usize>, &[u8])> {
    let (mut parser, mut at, mut found) = (Parser::new(0), 0, Vec::new());
    while let Some(rest) = component.get(at..)
        && let Ok(Chunk::Parsed { consumed, payload }) = parser.parse(rest, true)
    {
        let start = at;
        at += consumed;
        match payload {
            Payload::CustomSection(section) if section.name() == SECTION => found.push((start..at, section.data())),
            // Sections of inner modules and components are not those of the guest.
            Payload::ModuleSection { unchecked_range, .. } | Payload::ComponentSection { unchecked_range, .. } => {
                at = unchecked_range.end;
            }
            Payload::End(_) => break,
            _ => {}
        }
    }
    found
}

/// Name of the section.
const SECTION: &str = "herd:transcripts";
/// Room for hundreds of transcripts.
const SECTION_BYTES_MAX: usize = 4 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    const EMPTY: &[u8] = b"\0asm\x0d\0\x01\0";
    /// With a custom section of another name, and one of the right name in an inner module. Both stay.
    const GUEST: &[u8] = b"\0asm\x0d\0\x01\0\0\x07\x05other!\x01\x1c\0asm\x01\0\0\0\0\x12\x10herd:transcripts!";

    fn transcripts(name: &str) -> BTreeMap<String, String> {
        [(name.into(), "now 1\n".repeat(100))].into()
    }

    #[test]
    fn embedded_transcripts_are_found_and_replaced() {
        let once = with_transcripts(GUEST, &transcripts("first"));
        assert_eq!(of(&once).unwrap(), transcripts("first"));
        let twice = with_transcripts(&once, &transcripts("second"));
        assert_eq!(of(&twice).unwrap(), transcripts("second"));
        assert_eq!(twice.len(), once.len() + 1, "the first are gone");
        assert!(twice.starts_with(GUEST));
        assert!(of(GUEST).unwrap().is_empty());
    }

    #[test]
    fn embedded_transcripts_have_a_limit() {
        let long = [("long".into(), "x".repeat(SECTION_BYTES_MAX))].into();
        assert!(of(&with_transcripts(EMPTY, &long)).unwrap_err().contains("over the limit"));
    }

    #[test]
    fn embedded_transcripts_of_malformed_guests_are_read_within_their_bytes() {
        let whole = with_transcripts(EMPTY, &transcripts("a"));
        for length in 0..whole.len() {
            assert!(of(&whole[..length]).unwrap().is_empty());
        }
        // An inner module that says it is longer than the guest.
        let long = [EMPTY, &[1, 0xff, 0xff, 0x7f], b"\0asm\x01\0\0\0"].concat();
        assert!(of(&long).unwrap().is_empty());
        let endless = [EMPTY, &[0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]].concat();
        assert!(of(&endless).unwrap().is_empty());
        let odd = [EMPTY, &[0, 18, 16], SECTION.as_bytes(), b"["].concat();
        assert!(of(&odd).unwrap_err().contains("is not a JSON object"));
    }
}
