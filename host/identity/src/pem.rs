//! PEM: the text form in which files of a herd and bundles hold certificates, keys and revocation lists. `openssl` reads them too.
//!
//! Text between the sections is ignored. Bounds: [`SECTIONS_MAX`]; callers bound the bytes.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::pki_types::pem::{PemObject, SectionKind};

/// One section.
#[derive(Debug)]
pub(crate) enum Section {
    Certificate(Vec<u8>),
    Key(PrivatePkcs8KeyDer<'static>),
    List(Vec<u8>),
}

/// The text is not PEM, or has sections that no file of a herd has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PemError {
    /// A section is cut off, or is not base64.
    #[error("damaged: a section of the PEM text does not end, or is not base64")]
    Damaged,
    /// More sections than any file of a herd has.
    #[error("more than {SECTIONS_MAX} sections of PEM")]
    TooMany,
    /// A section of another kind, such as a key in an old format.
    #[error("a section of PEM that is no certificate, private key (PKCS #8) or revocation list")]
    Unknown,
}

/// Reads all sections.
pub(crate) fn sections(text: &[u8]) -> Result<Vec<Section>, PemError> {
    let mut sections = Vec::new();
    for section in <(SectionKind, Vec<u8>)>::pem_slice_iter(text) {
        if sections.len() == SECTIONS_MAX {
            return Err(PemError::TooMany);
        }
        let (kind, der) = section.map_err(|_| PemError::Damaged)?;
        sections.push(match kind {
            SectionKind::Certificate => Section::Certificate(der),
            SectionKind::PrivateKey => Section::Key(der.into()),
            SectionKind::Crl => Section::List(der),
            _ => return Err(PemError::Unknown),
        });
    }
    Ok(sections)
}

/// Returns the content of the first section with a label that [`sections`] passes over, if there is one.
pub(crate) fn section(text: &[u8], label: &str) -> Result<Option<Vec<u8>>, PemError> {
    let text = std::str::from_utf8(text).map_err(|_| PemError::Damaged)?;
    let Some((_, rest)) = text.split_once(&format!("-----BEGIN {label}-----")) else { return Ok(None) };
    let (encoded, _) = rest.split_once(&format!("-----END {label}-----")).ok_or(PemError::Damaged)?;
    let encoded: String = encoded.lines().map(str::trim).collect();
    BASE64_STANDARD.decode(encoded).map(Some).map_err(|_| PemError::Damaged)
}

/// Appends a section.
pub(crate) fn write(text: &mut String, label: &str, der: &[u8]) {
    let encoded = BASE64_STANDARD.encode(der);
    text.push_str(&format!("-----BEGIN {label}-----\n"));
    let mut rest = encoded.as_str();
    while !rest.is_empty() {
        // Base64 is ASCII, so any place is the boundary of a character.
        let (line, after) = rest.split_at(rest.len().min(LINE));
        text.push_str(line);
        text.push('\n');
        rest = after;
    }
    text.push_str(&format!("-----END {label}-----\n"));
}

/// The most that a file has: the authority's, with four roots, four keys, four links and four lists.
pub(crate) const SECTIONS_MAX: usize = 16;
/// RFC 7468.
const LINE: usize = 64;
