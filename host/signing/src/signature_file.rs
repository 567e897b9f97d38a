//! Files of signatures: one signature after another.
//!
//! A file with one is what `minisign -S` writes, and `cat` joins several. Bounds: [`SIGNATURES_MAX`], and the length of the file.

use std::fmt;
use std::path::{Path, PathBuf};

use herd_model::limits::SIGNATURES_BYTES_MAX;

use crate::key_id::KeyId;
use crate::signature::Signature;

/// Signatures of one guest. None of them is verified.
///
/// Displayed as the text of the file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SignatureFile(Vec<Signature>);

impl SignatureFile {
    /// Parses a file.
    ///
    /// # Errors
    ///
    /// It is not what minisign or this crate writes.
    pub fn parse(text: &[u8]) -> Result<Self, BadSignatures> {
        if text.len() > SIGNATURES_BYTES_MAX {
            return Err(BadSignatures::TooLong);
        }
        let text = std::str::from_utf8(text).map_err(|_| BadSignatures::Damaged { line: 1 })?;
        // Blank lines between signatures come from editors.
        let lines: Vec<(usize, &str)> = text
            .lines()
            .enumerate()
            .map(|(index, line)| (index + 1, line.trim_end_matches('\r')))
            .filter(|(_, line)| !line.is_empty())
            .collect();
        let mut signatures = Vec::new();
        for four in lines.chunks(4) {
            let damaged = BadSignatures::Damaged { line: four[0].0 };
            let four: [&str; 4] = <[(usize, &str); 4]>::try_from(four).map_err(|_| damaged)?.map(|(_, line)| line);
            signatures.push(Signature::parse(four).ok_or(damaged)?);
            if signatures.len() > SIGNATURES_MAX {
                return Err(BadSignatures::TooMany);
            }
        }
        if signatures.is_empty() { Err(BadSignatures::Empty) } else { Ok(Self(signatures)) }
    }

    /// Returns the signatures, in the order of the file.
    #[must_use]
    pub fn signatures(&self) -> &[Signature] {
        &self.0
    }

    /// Adds a signature, in place of any by the same key.
    ///
    /// # Errors
    ///
    /// There are too many.
    pub fn add(&mut self, signature: Signature) -> Result<(), BadSignatures> {
        self.0.retain(|other| other.key != signature.key);
        if self.0.len() == SIGNATURES_MAX {
            return Err(BadSignatures::TooMany);
        }
        self.0.push(signature);
        Ok(())
    }

    /// Returns the identifiers of the keys that signatures name, each once.
    #[must_use]
    pub fn keys(&self) -> Vec<KeyId> {
        let mut keys = Vec::new();
        for signature in &self.0 {
            if !keys.contains(&signature.key) {
                keys.push(signature.key);
            }
        }
        keys
    }
}

impl fmt::Display for SignatureFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|signature| signature.fmt(f))
    }
}

/// A file holds no signatures. Nothing was verified.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadSignatures {
    /// The file is empty.
    #[error("it has no signature")]
    Empty,
    /// The lines from this one on are no signature.
    #[error(
        "from line {line} on it is no signature of minisign, or one of the older kind (minisign -S -l), or damaged; make it again with herd sign or \
         minisign -S"
    )]
    Damaged {
        /// Number of the line, from 1.
        line: usize,
    },
    /// The file is longer than any with as many signatures as are read.
    #[error("it is longer than {SIGNATURES_BYTES_MAX} bytes")]
    TooLong,
    /// More signatures than are read.
    #[error("it has more than {SIGNATURES_MAX} signatures")]
    TooMany,
}

/// Returns the path of the file with the signatures of a guest: that of the guest, and `.minisig`.
///
/// ```
/// use std::path::Path;
///
/// assert_eq!(herd_signing::beside(Path::new("out/guest.wasm")), Path::new("out/guest.wasm.minisig"));
/// ```
#[must_use]
pub fn beside(guest: &Path) -> PathBuf {
    let mut name = guest.as_os_str().to_owned();
    name.push(".minisig");
    name.into()
}

/// Signatures of one guest: more than the people of any team whose keys a herd trusts.
pub const SIGNATURES_MAX: usize = 32;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::PrivateKey;

    fn file(count: usize) -> SignatureFile {
        let mut file = SignatureFile::default();
        for _ in 0..count {
            file.add(PrivateKey::generate().unwrap().sign(b"guest", "timestamp:1").unwrap()).unwrap();
        }
        file
    }

    #[test]
    fn signature_file_holds_several_signatures_and_one_of_each_key() {
        let mut signed = file(3);
        assert_eq!(SignatureFile::parse(signed.to_string().as_bytes()), Ok(signed.clone()));
        let spaced = signed.to_string().replace('\n', "\r\n\r\n");
        assert_eq!(SignatureFile::parse(spaced.as_bytes()), Ok(signed.clone()));
        let key = PrivateKey::generate().unwrap();
        for _ in 0..2 {
            signed.add(key.sign(b"guest", "again").unwrap()).unwrap();
        }
        assert_eq!((signed.signatures().len(), signed.keys().len()), (4, 4));
    }

    #[test]
    fn signature_file_that_is_none_is_refused_with_its_line() {
        let one = file(1).to_string();
        let parse = |text: &str| SignatureFile::parse(text.as_bytes()).map(|_| ());
        assert_eq!(parse("\n"), Err(BadSignatures::Empty));
        assert_eq!(parse("{}"), Err(BadSignatures::Damaged { line: 1 }));
        assert_eq!(parse(&format!("{one}{}", &one[..one.len() / 2])), Err(BadSignatures::Damaged { line: 5 }));
        assert_eq!(parse(&one.replace("trusted comment: t", "comment: t")), Err(BadSignatures::Damaged { line: 1 }));
        assert_eq!(parse(&file(SIGNATURES_MAX).to_string()), Ok(()));
        let many = format!("{}{one}", file(SIGNATURES_MAX));
        assert_eq!(parse(&many), Err(BadSignatures::TooMany));
        assert_eq!(SignatureFile::parse(&[b'x'; SIGNATURES_BYTES_MAX + 1]), Err(BadSignatures::TooLong));
    }

    /// A signature over the file itself, made by minisign with `-l`.
    #[test]
    fn signature_of_the_older_kind_is_refused() {
        let older = "untrusted comment: signature from minisign secret key\n\
            RWR6nD7CgSTg0YtQDgySU7wwMST0HGoaU3s3ZJJAU54FdTJEYjv/4fXLnKhH3SEORGCPJ6rsO0A5eYrZxTznO+ssGt7mwtuQ1wM=\n\
            trusted comment: timestamp:1795773899\tfile:f\n\
            Gq7Fmj8qzvxfly0DxlY405nscQBvgHGEziDBhky/ItxaqAMQjwUhQAZYgdAhFf3h9X/Q1Iz9HOPe/MbXewhsBQ==\n";
        assert_eq!(SignatureFile::parse(older.as_bytes()), Err(BadSignatures::Damaged { line: 1 }));
    }

    proptest! {
        #[test]
        fn signature_file_parsing_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..300), cut in 0..400_usize) {
            let _ = SignatureFile::parse(&bytes);
            let text = file(1).to_string();
            let _ = SignatureFile::parse(&text.as_bytes()[..cut.min(text.len())]);
        }
    }
}
