//! Kinds of files: whether bytes are a component at all, and what they are instead.
//!
//! Looks at the first bytes and the headers of sections, before the parser, whose message for any other file is an offset. Bounds: the headers
//! of the file, each once.

use crate::engine::inspect::{LoadError, Stage};

/// Checks that a file is a component, and whole.
///
/// # Errors
///
/// It is something else, which the reason names.
pub(crate) fn check_file(bytes: &[u8]) -> Result<(), LoadError> {
    let reason = match bytes {
        [b'\0', b'a', b's', b'm', 0x0d, 0, 1, 0, ..] => return check_whole(bytes),
        [b'\0', b'a', b's', b'm', 1, 0, 0, 0, ..] => {
            "a core module, not a component; build it with `--target wasm32-wasip2`".to_string()
        }
        [b'\0', b'a', b's', b'm', _, _, _, _, ..] => "a component of a version that this host does not know".into(),
        [b'\0', b'a', b's', b'm', ..] | [b'\0', b'a', b's'] | [b'\0', b'a'] => cut_off(bytes.len()),
        [0x7f, b'E', b'L', b'F', ..] => {
            "native code; a guest is a component, not machine code compiled from one".into()
        }
        [] => "the file is empty".into(),
        _ if is_text(bytes) => {
            "WebAssembly text; a guest is binary: `wasm-tools parse FILE.wat -o FILE.wasm` makes it".into()
        }
        _ if bytes.starts_with(b"untrusted comment: ") => {
            "a key or a signature, not WebAssembly; the guest is the file without `.minisig`".into()
        }
        _ => "not WebAssembly; a guest is a component, built with `--target wasm32-wasip2`".into(),
    };
    Err(LoadError { stage: Stage::Parsed, reason })
}

/// Checks that the file holds every section that it announces. A file that was cut between two sections lacks exports, which is found later.
fn check_whole(bytes: &[u8]) -> Result<(), LoadError> {
    let mut at = HEADER_BYTES;
    while at < bytes.len() {
        let size = section_bytes(&bytes[at + 1..]);
        at = match size {
            Size::Of { size, header } => at.saturating_add(1 + header).saturating_add(size),
            Size::CutOff => usize::MAX,
            // The parser says what is wrong, and where.
            Size::Malformed => return Ok(()),
        };
        if at > bytes.len() {
            return Err(LoadError { stage: Stage::Parsed, reason: cut_off(bytes.len()) });
        }
    }
    Ok(())
}

fn cut_off(length: usize) -> String {
    format!("cut off: the file ends after {length} bytes, within a section; build or copy it again")
}

/// Length of a section, as its header says.
enum Size {
    Of { size: usize, header: usize },
    CutOff,
    Malformed,
}

/// Reads a number of 32 bits in LEB128.
fn section_bytes(bytes: &[u8]) -> Size {
    let mut size = 0_u64;
    for index in 0..LEB128_BYTES_MAX {
        let Some(byte) = bytes.get(index) else { return Size::CutOff };
        size |= u64::from(byte & 0x7f) << (7 * index);
        if byte & 0x80 == 0 {
            return usize::try_from(size).map_or(Size::Malformed, |size| Size::Of { size, header: index + 1 });
        }
    }
    Size::Malformed
}

/// Returns whether a file begins as WebAssembly text does.
fn is_text(bytes: &[u8]) -> bool {
    let begin = String::from_utf8_lossy(&bytes[..bytes.len().min(TEXT_BYTES)]);
    let begin = begin.trim_start_matches('\u{feff}').trim_start();
    begin.starts_with("(component")
        || begin.starts_with("(module")
        || begin.starts_with(";;")
        || begin.starts_with("(;")
}

const HEADER_BYTES: usize = 8;
/// Bytes of a number of 32 bits.
const LEB128_BYTES_MAX: usize = 5;
/// Bytes in which WebAssembly text shows what it is.
const TEXT_BYTES: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_guest::TestGuest;

    fn refusal(bytes: &[u8]) -> String {
        check_file(bytes).unwrap_err().to_string()
    }

    #[test]
    fn file_that_is_no_component_is_refused_with_what_it_is() {
        for (bytes, what) in [
            (b"\0asm\x01\0\0\0".as_slice(), "a core module, not a component; build it"),
            (b"\0asm\x0e\0\x01\0", "a component of a version that this host does not know"),
            (b"\0asm\x0d", "cut off: the file ends after 5 bytes"),
            (b"\x7fELF\x02\x01", "native code"),
            (b"", "the file is empty"),
            (b"\n  (component\n)", "WebAssembly text; a guest is binary: `wasm-tools parse"),
            (b";; a comment\n(module)", "WebAssembly text"),
            (b"untrusted comment: minisign public key\n", "a key or a signature, not WebAssembly"),
            (b"MZ\x90", "not WebAssembly"),
            (b"\0\0\0\0", "not WebAssembly"),
        ] {
            let refusal = refusal(bytes);
            assert!(refusal.starts_with(&format!("not parsed: {what}")), "{refusal}");
        }
    }

    #[test]
    fn file_that_was_cut_off_is_refused_with_its_length() {
        let whole = TestGuest::new("whole").bytes();
        assert_eq!(check_file(&whole), Ok(()));
        // All but those that end where a section does, which lack what comes behind.
        let cut = (1..whole.len()).filter(|length| check_file(&whole[..*length]).is_err());
        assert!(cut.count() > whole.len() - 100, "{}", whole.len());
        let refusal = refusal(&whole[..whole.len() - 1]);
        assert_eq!(
            refusal,
            format!(
                "not parsed: cut off: the file ends after {} bytes, within a section; build or copy it again",
                whole.len() - 1
            )
        );
    }
}
