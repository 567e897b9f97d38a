//! One conversion of a record, and the errors of it.
//!
//! Knows nothing of instances. Bounds: the length of a record.

use herd_model::limits::RECORD_BYTES_MAX;

use crate::sandbox::fault::Fault;

/// A conversion by one guest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Conversion<'a> {
    /// To the guest's native form.
    Upgrade { from: u32, bytes: &'a [u8] },
    /// From the guest's native form.
    Downgrade { to: u32, bytes: &'a [u8] },
}

impl Conversion<'_> {
    /// Writes the cache key of this conversion, which is unique among those of a guest.
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

/// A record was not converted. Nothing else changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NotConverted {
    /// The guest does not know the form.
    #[error("it does not know that form")]
    UnknownForm,
    /// The guest knows the form, and the bytes are not of it.
    #[error("it says that the record is malformed")]
    Malformed,
    /// The result exceeds the limit of a record. The guest is at fault.
    #[error("the converted record has {0} bytes, over the limit of {RECORD_BYTES_MAX}")]
    TooLong(usize),
    /// The guest faulted, or the host could not make an instance. The instance is gone.
    #[error("{0}")]
    Fault(Fault),
    /// The call's budget was exhausted by conversions before this one. A later call tries again.
    #[error("conversions before it took all the time that one call has for them")]
    NotTried,
}
