//! Transcripts of a guest: beside it, or else inside it as a custom section. Both are a JSON object of names and texts.
//!
//! A reader that does not look for a custom section ignores it. A guest with transcripts is therefore a component like any
//! other, and one file holds the logic and its tests.
//!
//! Knows nothing of how transcripts run. Bounds: the length of the JSON.

use std::collections::BTreeMap;

use herd_model::GuestFiles;
use herd_model::limits::TRANSCRIPTS_BYTES_MAX;

use crate::engine::sections::last_section;

/// Returns the transcripts of a guest by name; none if it has no section for them and none came beside it.
///
/// # Errors
///
/// A text that says what is wrong with them.
pub(crate) fn of(files: GuestFiles<'_>) -> Result<BTreeMap<String, String>, String> {
    let Some(json) = files.transcripts.or_else(|| last_section(files.guest, SECTION)) else {
        return Ok(BTreeMap::new());
    };
    if json.len() > TRANSCRIPTS_BYTES_MAX {
        return Err(format!("its transcripts have {} bytes, over the limit of {TRANSCRIPTS_BYTES_MAX}", json.len()));
    }
    let place = if files.transcripts.is_some() { "file of transcripts" } else { "section `herd:transcripts`" };
    serde_json::from_slice(json)
        .map_err(|error| format!("its {place} is not a JSON object of names and transcripts: {error}"))
}

/// Name of the section.
const SECTION: &str = "herd:transcripts";

#[cfg(test)]
mod tests {
    use wasm_encoder::{CustomSection, Section};

    use super::*;

    const EMPTY: &[u8] = b"\0asm\x0d\0\x01\0";
    /// With a custom section of another name, and one of the right name in an inner module. Neither counts.
    const GUEST: &[u8] = b"\0asm\x0d\0\x01\0\0\x07\x05other!\x01\x1c\0asm\x01\0\0\0\0\x12\x10herd:transcripts!";

    fn transcripts(name: &str) -> BTreeMap<String, String> {
        [(name.into(), "now 1\n".repeat(100))].into()
    }

    /// The guest with these transcripts in a section at its end.
    fn with_transcripts(guest: &[u8], transcripts: &BTreeMap<String, String>) -> Vec<u8> {
        let (mut with, data) = (guest.to_vec(), serde_json::to_vec(transcripts).unwrap());
        CustomSection { name: SECTION.into(), data: data.into() }.append_to(&mut with);
        with
    }

    fn inside(guest: &[u8]) -> Result<BTreeMap<String, String>, String> {
        of(guest.into())
    }

    #[test]
    fn embedded_transcripts_are_found_and_the_last_ones_count() {
        let once = with_transcripts(GUEST, &transcripts("first"));
        assert_eq!(inside(&once).unwrap(), transcripts("first"));
        let twice = with_transcripts(&once, &transcripts("second"));
        assert_eq!(inside(&twice).unwrap(), transcripts("second"));
        assert!(inside(GUEST).unwrap().is_empty());
    }

    #[test]
    fn transcripts_beside_a_guest_replace_those_inside_it() {
        let guest = with_transcripts(GUEST, &transcripts("inside"));
        let beside = |json: &[u8]| of(GuestFiles { transcripts: Some(json), ..GuestFiles::from(&*guest) });
        assert_eq!(beside(br#"{"beside":"now 1\n"}"#).unwrap().into_keys().collect::<Vec<_>>(), ["beside"]);
        assert!(beside(b"{}").unwrap().is_empty());
        assert!(beside(b"[").unwrap_err().starts_with("its file of transcripts is not a JSON object"));
        assert!(beside(&vec![b' '; TRANSCRIPTS_BYTES_MAX + 1]).unwrap_err().contains("over the limit"));
    }

    #[test]
    fn embedded_transcripts_have_a_limit() {
        let long = [("long".into(), "x".repeat(TRANSCRIPTS_BYTES_MAX))].into();
        assert!(inside(&with_transcripts(EMPTY, &long)).unwrap_err().contains("over the limit"));
    }

    #[test]
    fn embedded_transcripts_of_malformed_guests_are_read_within_their_bytes() {
        let whole = with_transcripts(EMPTY, &transcripts("a"));
        for length in 0..whole.len() {
            assert!(inside(&whole[..length]).unwrap().is_empty());
        }
        // An inner module that says it is longer than the guest.
        let long = [EMPTY, &[1, 0xff, 0xff, 0x7f], b"\0asm\x01\0\0\0"].concat();
        assert!(inside(&long).unwrap().is_empty());
        let endless = [EMPTY, &[0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]].concat();
        assert!(inside(&endless).unwrap().is_empty());
        let odd = [EMPTY, &[0, 18, 16], SECTION.as_bytes(), b"["].concat();
        assert!(inside(&odd).unwrap_err().contains("is not a JSON object"));
    }
}
