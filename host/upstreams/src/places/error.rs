//! Errors of a places file.
//!
//! Bounds and versions in the texts come from `format`.

use std::io;

use super::format::{UNPACKED_BYTES_MAX, VERSION};

/// An invalid places file. The file is at fault and nothing of it is kept. A node runs without places.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PlacesError {
    /// The data is not a zstd frame, or one that is damaged, truncated or has a window beyond the limit.
    #[error("places data cannot be unpacked")]
    Unpack(#[source] io::Error),

    /// The frame contains more than the limit. Unpacking stopped there.
    #[error("places data unpacks to more than {UNPACKED_BYTES_MAX} bytes")]
    TooLarge,

    /// Bytes follow the zstd frame.
    #[error("{bytes} bytes follow the places data")]
    Trailing {
        /// Number of these bytes.
        bytes: usize,
    },

    /// The unpacked data does not start like a places file.
    #[error("not a places file")]
    NotPlaces,

    /// The file was written for another version of this program.
    #[error("places file has format version {found}, this program reads {VERSION}")]
    Version {
        /// Version in the header.
        found: u32,
    },

    /// The file is truncated, or its header is damaged.
    #[error("places file has {found} bytes where its header says {expected}")]
    Length {
        /// Length of header and columns together, by the header.
        expected: u64,
        /// Length of the file.
        found: u64,
    },

    /// A byte after the header was changed.
    #[error("places file is damaged: its checksum does not match")]
    Checksum,

    /// The table of countries has a line other than code, tab and name.
    #[error("table of countries in the places file is malformed")]
    Countries,

    /// Two files that were not written together.
    #[error("places files have different tables of countries")]
    OtherCountries,

    /// A coordinate is missing, too long or out of range.
    #[error("a coordinate in the places file is malformed")]
    Coordinate,

    /// The file has more coordinates than rows.
    #[error("places file has more coordinates than rows")]
    CoordinatesLeft,

    /// The country of a row is not in the table.
    #[error("unknown country {found} in the places file")]
    Country {
        /// Index of the country.
        found: u8,
    },

    /// The kind of a row is unknown.
    #[error("unknown kind {found} in the places file")]
    Kind {
        /// Number of the kind.
        found: u8,
    },

    /// The names or the countries are not UTF-8.
    #[error("names in the places file are not UTF-8")]
    NotText,

    /// The number of names differs from the number of rows.
    #[error("places file has {found} names for {rows} rows")]
    Names {
        /// Number of rows, by the header.
        rows: usize,
        /// Number of names.
        found: usize,
    },
}
