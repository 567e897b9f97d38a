//! Conversion of records between the forms of different versions of a guest.
//!
//! Owns the trait and its errors. It must not know where records are kept or when they are converted; the host does. Each
//! conversion has the deadline and the memory of a decision, and its result the limit of a record.

use std::fmt;

/// Forms that a guest reads and writes. A guest implements it beside [`Logic`](crate::Logic) if it writes another form
/// than the first or reads more than one, and names it in [`export!`](crate::export!).
///
/// Each conversion must be a pure function of its arguments, because nodes cache the results. Records arrive by the
/// thousand and from other nodes, so a conversion must be fast and must not panic on unexpected bytes.
///
/// ```
/// use herd_sdk::{Forms, Unconvertible};
///
/// struct Shouting;
///
/// /// Form 1 is a word in lower case, form 2 the same word in capitals.
/// impl Forms for Shouting {
///     const NATIVE: u32 = 2;
///
///     fn upgrade(from: u32, bytes: &[u8]) -> Result<Vec<u8>, Unconvertible> {
///         if from == 1 { Ok(bytes.to_ascii_uppercase()) } else { Err(Unconvertible::UnknownForm) }
///     }
///
///     fn downgrade(to: u32, bytes: &[u8]) -> Result<Vec<u8>, Unconvertible> {
///         if to == 1 { Ok(bytes.to_ascii_lowercase()) } else { Err(Unconvertible::UnknownForm) }
///     }
/// }
///
/// assert_eq!(Shouting::upgrade(1, b"here"), Ok(b"HERE".to_vec()));
/// ```
pub trait Forms {
    /// Form that the guest writes: the number that it passes to [`Context::keep`](crate::Context::keep). The host assumes
    /// form 1 for a guest without `Forms`.
    const NATIVE: u32;

    /// Converts a record of another form to the native one. The default knows the native form only.
    ///
    /// # Errors
    ///
    /// The form is unknown, or the bytes do not have that form. The record is then hidden from the guest.
    fn upgrade(from: u32, bytes: &[u8]) -> Result<Vec<u8>, Unconvertible> {
        if from == Self::NATIVE { Ok(bytes.to_vec()) } else { Err(Unconvertible::UnknownForm) }
    }

    /// Converts a record of the native form to another one, for a generation that knows only that form. The default knows
    /// the native form only, so a swap to this guest is not reversible.
    ///
    /// # Errors
    ///
    /// The form is unknown, or the bytes do not have the native form. The record is then hidden from that generation.
    fn downgrade(to: u32, bytes: &[u8]) -> Result<Vec<u8>, Unconvertible> {
        if to == Self::NATIVE { Ok(bytes.to_vec()) } else { Err(Unconvertible::UnknownForm) }
    }
}

/// Form of a guest without [`Forms`].
pub const FIRST_FORM: u32 = 1;

/// Reason why a record cannot be converted. Nothing changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unconvertible {
    /// The guest does not know the form. The host then tries another generation.
    UnknownForm,
    /// The bytes do not have the stated form.
    Malformed,
}

impl fmt::Display for Unconvertible {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::UnknownForm => "unknown form",
            Self::Malformed => "malformed record",
        })
    }
}

impl std::error::Error for Unconvertible {}

#[cfg(test)]
mod tests {
    use super::*;

    struct Alone;

    impl Forms for Alone {
        const NATIVE: u32 = 7;
    }

    #[test]
    fn default_conversions_know_the_native_form_only() {
        for convert in [Alone::upgrade, Alone::downgrade] {
            assert_eq!(convert(7, b"as it is"), Ok(b"as it is".to_vec()));
            assert_eq!(convert(1, b"as it is"), Err(Unconvertible::UnknownForm));
        }
    }
}
