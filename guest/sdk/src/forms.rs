//! How a guest reads records that another version of it wrote.

use std::fmt;

/// The forms a guest knows. Implemented beside [`Logic`](crate::Logic) by a guest whose records are written in another
/// form than the first, or who reads such, and named in [`export!`](crate::export!).
///
/// Each function is one of its arguments alone: a node remembers what it came to. Records are given by the thousand,
/// and by strangers, so none may take long, and none may panic on what it does not expect.
///
/// ```
/// use herd_sdk::{Forms, Unconvertible};
///
/// struct Shouting;
///
/// /// The first form is a word; ours is that word in capitals.
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
    /// The form this guest writes: the number that it passes to [`Context::keep`](crate::Context::keep). A guest without
    /// `Forms` is taken to write form 1.
    const NATIVE: u32;

    /// Converts a record of another form to the native one. Unless overridden, no other form is known.
    ///
    /// # Errors
    ///
    /// The form is unknown, or the bytes are not of that form. The guest is not shown that record.
    fn upgrade(from: u32, bytes: &[u8]) -> Result<Vec<u8>, Unconvertible> {
        if from == Self::NATIVE { Ok(bytes.to_vec()) } else { Err(Unconvertible::UnknownForm) }
    }

    /// Converts a record of the native form to another one, for a generation that knows only that. Unless overridden, no
    /// other form is known, and there is no way back to a guest that writes another one.
    ///
    /// # Errors
    ///
    /// The form is unknown, or the bytes are not of the native form. That generation is not shown that record.
    fn downgrade(to: u32, bytes: &[u8]) -> Result<Vec<u8>, Unconvertible> {
        if to == Self::NATIVE { Ok(bytes.to_vec()) } else { Err(Unconvertible::UnknownForm) }
    }
}

/// The form of a guest without [`Forms`].
pub const FIRST_FORM: u32 = 1;

/// A record cannot be converted. Nothing changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unconvertible {
    /// The guest does not know the form. Another generation may be asked.
    UnknownForm,
    /// The bytes are not of the form they are said to be.
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
    fn a_guest_that_says_only_what_it_writes_knows_that_form_and_no_other() {
        for convert in [Alone::upgrade, Alone::downgrade] {
            assert_eq!(convert(7, b"as it is"), Ok(b"as it is".to_vec()));
            assert_eq!(convert(1, b"as it is"), Err(Unconvertible::UnknownForm));
        }
    }
}
