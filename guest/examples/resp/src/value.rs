//! Values: what a record of this guest holds.
//!
//! Owns the first byte of a record, which is the type of its value. It must not know keys or ranks.

use crate::places::Places;

/// Form of the records of this guest. Logic of another protocol is unlikely to choose it: it is the port of redis.
pub(crate) const FORM: u32 = 6379;

/// Form of the records of the default logic.
pub(crate) const FIRST_FORM: u32 = 1;

/// Value of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Value<'a> {
    /// A string.
    Text(&'a [u8]),
    /// A geo set.
    Places(Places<'a>),
    /// None any more. A record cannot be removed, so this mark replaces it.
    Deleted,
}

impl<'a> Value<'a> {
    /// Parses a record. Returns none for bytes that no node of this guest writes, except that a geo set is not searched for
    /// errors: it was when it arrived.
    pub(crate) fn parse(record: &'a [u8]) -> Option<Self> {
        match record {
            [TEXT, text @ ..] => Some(Self::Text(text)),
            [PLACES, entries @ ..] => Some(Self::Places(Places::new(entries))),
            [DELETED] => Some(Self::Deleted),
            _ => None,
        }
    }

    /// Returns whether a record is one that a node of this guest may have written.
    pub(crate) fn is_valid(record: &[u8]) -> bool {
        match Value::parse(record) {
            Some(Value::Places(places)) => places.is_valid(),
            Some(_) => true,
            None => false,
        }
    }

    /// Appends the record to `out`.
    pub(crate) fn write(self, out: &mut Vec<u8>) {
        match self {
            Self::Text(text) => {
                out.push(TEXT);
                out.extend_from_slice(text);
            }
            Self::Places(places) => {
                out.push(PLACES);
                out.extend_from_slice(places.entries());
            }
            Self::Deleted => out.push(DELETED),
        }
    }

    /// Returns the record.
    pub(crate) fn to_record(self) -> Vec<u8> {
        let mut record = vec![];
        self.write(&mut record);
        record
    }
}

const TEXT: u8 = b's';
pub(crate) const PLACES: u8 = b'g';
const DELETED: u8 = b'-';

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn parsing_a_record_returns_its_value(text: Vec<u8>) {
            for value in [Value::Text(&text), Value::Deleted] {
                let record = value.to_record();
                prop_assert_eq!(Value::parse(&record), Some(value));
            }
        }

        #[test]
        fn record_of_any_bytes_is_a_value_or_none(record: Vec<u8>) {
            if let Some(value) = Value::parse(&record) {
                prop_assert_eq!(value.to_record(), record);
            }
        }
    }

    #[test]
    fn record_of_an_unknown_type_or_a_truncated_set_is_invalid() {
        assert_eq!([&b""[..], b"x", b"-x", b"gx"].map(Value::is_valid), [false; 4]);
    }
}
