//! Bundles: a component and its code for some targets in one file, for herds of nodes that do not compile.
//!
//! Owns the format: a line that names it, then the fields in postcard. Bounds: the sizes of the parts and the number of targets.

use herd_model::Digest;
use herd_model::limits::{GUEST_BYTES_MAX, SIGNATURES_BYTES_MAX};
use serde::{Deserialize, Serialize};

use crate::compiled_code::{CODE_FILE_BYTES_MAX, CompiledCode};

/// A component, its signatures, and its code for some targets.
///
/// ```
/// use herd_code::Bundle;
///
/// let bundle = Bundle { guest: b"\0asm".to_vec(), signatures: Vec::new(), codes: Vec::new() };
/// let file = bundle.encode();
/// assert!(Bundle::is_one(&file));
/// assert_eq!(Bundle::decode(&file), Ok(bundle));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bundle {
    /// Bytes of the component.
    #[serde(with = "serde_bytes")]
    pub guest: Vec<u8>,
    /// Signatures of the component, as in the file beside one. Empty if there are none.
    #[serde(with = "serde_bytes")]
    pub signatures: Vec<u8>,
    /// Code, one for each target.
    pub codes: Vec<CompiledCode>,
}

impl Bundle {
    /// Size of a file, in bytes: two targets of the largest guest, or all of an ordinary one.
    pub const BYTES_MAX: usize = GUEST_BYTES_MAX + 2 * CODE_FILE_BYTES_MAX;

    /// Returns whether a file begins as a bundle.
    #[must_use]
    pub fn is_one(file: &[u8]) -> bool {
        file.starts_with(MAGIC)
    }

    /// Encodes the file.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        postcard::to_extend(self, MAGIC.to_vec()).expect("a vector has room, and these types can always be encoded")
    }

    /// Decodes a file.
    ///
    /// # Errors
    ///
    /// It is none, or damaged.
    pub fn decode(file: &[u8]) -> Result<Self, BadBundle> {
        let body = file.strip_prefix(MAGIC).ok_or(BadBundle::NoBundle)?;
        if file.len() > Self::BYTES_MAX {
            return Err(BadBundle::TooLong);
        }
        let bundle: Self = postcard::from_bytes(body).map_err(|_| BadBundle::Damaged)?;
        let Self { guest, signatures, codes } = &bundle;
        if guest.len() > GUEST_BYTES_MAX || signatures.len() > SIGNATURES_BYTES_MAX || codes.len() > TARGETS_MAX {
            return Err(BadBundle::TooLong);
        }
        let digest = Digest::of(guest);
        if let Some(other) = codes.iter().find(|code| code.of.guest != digest) {
            return Err(BadBundle::OtherGuest { target: other.of.target.clone() });
        }
        for code in codes {
            // The same checks as for a file of its own.
            CompiledCode::decode(&code.encode()).map_err(|_| BadBundle::Damaged)?;
        }
        Ok(bundle)
    }
}

/// A file is no bundle. Nothing changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadBundle {
    /// It begins in another way.
    #[error("it is no bundle; herd compile GUEST makes one")]
    NoBundle,
    /// It was cut off or changed.
    #[error("the bundle is damaged; copy it again, or make it anew with herd compile")]
    Damaged,
    /// It is larger than any.
    #[error("the bundle is too large: at most {} MiB, and {TARGETS_MAX} targets", Bundle::BYTES_MAX >> 20)]
    TooLong,
    /// Code in it was made of another component.
    #[error("the bundle was changed: its code for {target} was made of another component")]
    OtherGuest {
        /// Target of that code.
        target: String,
    },
}

/// First line of the file. The number is the version of the format.
const MAGIC: &[u8] = b"herd bundle 1\n";
/// Targets of a bundle: the processors and C libraries of one fleet.
const TARGETS_MAX: usize = 16;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::compiled_code::Wanted;

    fn bundle() -> Bundle {
        let guest = b"\0asm\x0d\0\x01\0".to_vec();
        let of = Wanted { guest: Digest::of(&guest), target: "t".into(), compiler: "c".into() };
        let codes = vec![CompiledCode { of, code: vec![1, 2, 3], signatures: Vec::new() }];
        Bundle { guest, signatures: b"untrusted comment".to_vec(), codes }
    }

    #[test]
    fn bundle_with_code_of_another_guest_is_refused() {
        let mut bundle = bundle();
        assert_eq!(Bundle::decode(&bundle.encode()), Ok(bundle.clone()));
        bundle.guest.push(0);
        assert_eq!(Bundle::decode(&bundle.encode()), Err(BadBundle::OtherGuest { target: "t".into() }));
    }

    #[test]
    fn file_that_is_cut_off_or_none_is_refused_with_what_to_do() {
        let file = bundle().encode();
        assert_eq!(Bundle::decode(&file[..file.len() - 1]), Err(BadBundle::Damaged));
        assert_eq!(Bundle::decode(b"\0asm"), Err(BadBundle::NoBundle));
    }

    proptest! {
        /// Goal: no file makes the reader panic or reserve what it does not hold.
        #[test]
        fn bundle_reader_survives_any_bytes(body in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = Bundle::decode(&[MAGIC, &body].concat());
            let _ = CompiledCode::decode(&body);
        }
    }
}
