//! One conversion of a record, and the reasons why it fails.

use herd_model::limits::RECORD_BYTES_MAX;

use crate::sandbox::fault::Fault;

/// A conversion that is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Conversion<'a> {
    /// To the native form of the guest.
    Upgrade { from: u32, bytes: &'a [u8] },
    /// From the native form of the guest.
    Downgrade { to: u32, bytes: &'a [u8] },
}

impl Conversion<'_> {
    /// Writes what names this conversion among all those of a guest.
    pub(crate) fn write_key(self, key: &mut Vec<u8>) {
        key.clear();
        let (direction, form, bytes) = match self {
            Self::Upgrade { from, bytes } => (0, from, bytes),
            Self::Downgrade { to, bytes } => (1, to, bytes),
        };
        key.push(direction);
        key.extend_from_slice(&form.to_le_bytes());
        key.extend_from_slice(bytes);
    }
}

/// A record was not converted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NotConverted {
    /// The guest does not know the form.
    #[error("it does not know that form")]
    UnknownForm,
    /// The guest says that the bytes are not of the form they are said to be.
    #[error("it says that the record is malformed")]
    Malformed,
    /// What came out is longer than a record may be.
    #[error("what came out has {0} bytes, over the limit of {RECORD_BYTES_MAX}")]
    TooLong(usize),
    /// The guest faulted, and that instance is gone.
    #[error("{0}")]
    Fault(Fault),
    /// It was not tried, because conversions for the same call have faulted for too long.
    #[error("too many conversions faulted before it")]
    NotTried,
}
