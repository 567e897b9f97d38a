//! Transcripts that travel inside a guest: a custom section that holds a JSON object of names and texts.
//!
//! A custom section means nothing to whoever does not look for it, so a guest with transcripts is a component like any
//! other, and one file says what the logic is and what it is to do.
//!
//! Bounds: the length of the section.

use std::collections::BTreeMap;

/// The transcripts of a guest, by name. None if it has none.
///
/// # Errors
///
/// The section is not what it should be, in words.
pub(crate) fn of(guest: &[u8]) -> Result<BTreeMap<String, String>, String> {
    let Some(section) = custom_section(guest, SECTION) else { return Ok(BTreeMap::new()) };
    if section.len() > SECTION_BYTES_MAX {
        return Err(format!("its transcripts have {} bytes, over the limit of {SECTION_BYTES_MAX}", section.len()));
    }
    serde_json::from_slice(section)
        .map_err(|error| format!("its section `{SECTION}` is not a JSON object of names and transcripts: {error}"))
}

/// A guest with these transcripts inside, in place of those it had.
///
/// # Panics
///
/// Never: names and texts have a JSON form.
#[must_use]
pub fn with_transcripts(guest: &[u8], transcripts: &BTreeMap<String, String>) -> Vec<u8> {
    let mut content = Vec::new();
    write_length(&mut content, SECTION.len());
    content.extend_from_slice(SECTION.as_bytes());
    content.extend(serde_json::to_vec(transcripts).expect("strings have a JSON form"));
    let mut with = without_section(guest, SECTION);
    with.push(CUSTOM);
    write_length(&mut with, content.len());
    with.extend(content);
    with
}

/// The content of the last custom section of a name.
fn custom_section<'a>(component: &'a [u8], name: &str) -> Option<&'a [u8]> {
    Sections::of(component).filter_map(|section| section.custom(name)).last()
}

fn without_section(component: &[u8], name: &str) -> Vec<u8> {
    let mut rest = component.get(..PREAMBLE_BYTES).unwrap_or(component).to_vec();
    let others = Sections::of(component).filter(|section| section.custom(name).is_none());
    others.for_each(|section| rest.extend_from_slice(section.whole));
    rest
}

/// The outermost sections of a component, one after the other. Ends early at what is none.
struct Sections<'a>(&'a [u8]);

struct Section<'a> {
    id: u8,
    content: &'a [u8],
    whole: &'a [u8],
}

impl<'a> Sections<'a> {
    fn of(component: &'a [u8]) -> Self {
        Self(component.get(PREAMBLE_BYTES..).unwrap_or_default())
    }
}

impl<'a> Iterator for Sections<'a> {
    type Item = Section<'a>;

    fn next(&mut self) -> Option<Section<'a>> {
        let (&id, rest) = self.0.split_first()?;
        let (length, rest) = read_length(rest)?;
        let (content, behind) = rest.split_at_checked(length)?;
        let whole = &self.0[..self.0.len() - behind.len()];
        self.0 = behind;
        Some(Section { id, content, whole })
    }
}

impl<'a> Section<'a> {
    fn custom(&self, name: &str) -> Option<&'a [u8]> {
        if self.id != CUSTOM {
            return None;
        }
        let (length, rest) = read_length(self.content)?;
        let (own, content) = rest.split_at_checked(length)?;
        (own == name.as_bytes()).then_some(content)
    }
}

/// Reads a length as WebAssembly writes it: LEB128, five bytes at most.
fn read_length(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let mut length = 0_u64;
    for (index, &byte) in bytes.iter().take(5).enumerate() {
        length |= u64::from(byte & 0x7f) << (7 * index);
        if byte & 0x80 == 0 {
            return Some((usize::try_from(length).ok()?, &bytes[index + 1..]));
        }
    }
    None
}

fn write_length(out: &mut Vec<u8>, mut length: usize) {
    loop {
        let byte = u8::try_from(length & 0x7f).unwrap_or_default();
        length >>= 7;
        if length == 0 {
            return out.push(byte);
        }
        out.push(byte | 0x80);
    }
}

/// The name of the section.
const SECTION: &str = "herd:transcripts";
/// Hundreds of transcripts.
const SECTION_BYTES_MAX: usize = 4 << 20;
const PREAMBLE_BYTES: usize = 8;
const CUSTOM: u8 = 0;

#[cfg(test)]
mod tests {
    use super::*;

    const EMPTY: &[u8] = b"\0asm\x0d\0\x01\0";
    /// With a custom section of another name, which stays.
    const GUEST: &[u8] = b"\0asm\x0d\0\x01\0\0\x07\x05other!";

    fn transcripts(name: &str) -> BTreeMap<String, String> {
        [(name.into(), "now 1\n".repeat(100))].into()
    }

    #[test]
    fn transcripts_that_are_put_into_a_guest_are_found_in_it() {
        let once = with_transcripts(GUEST, &transcripts("first"));
        assert_eq!(of(&once).unwrap(), transcripts("first"));
        let twice = with_transcripts(&once, &transcripts("second"));
        assert_eq!(of(&twice).unwrap(), transcripts("second"));
        assert_eq!(twice.len(), once.len() + 1, "the first are gone");
        assert!(of(GUEST).unwrap().is_empty());
    }

    #[test]
    fn bytes_of_a_stranger_are_read_no_further_than_they_go() {
        let whole = with_transcripts(EMPTY, &transcripts("a"));
        for length in 0..whole.len() {
            assert!(of(&whole[..length]).unwrap().is_empty());
        }
        let endless = [EMPTY, &[CUSTOM, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]].concat();
        assert!(of(&endless).unwrap().is_empty());
        let odd = [EMPTY, &[CUSTOM, 18, 16], SECTION.as_bytes(), b"["].concat();
        assert!(of(&odd).unwrap_err().contains("is not a JSON object"));
    }
}
