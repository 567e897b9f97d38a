//! Why a places file may be refused.

use std::io;

use super::format::{UNPACKED_BYTES_MAX, VERSION};

/// Why a places file was refused. The file is at fault and nothing of it is kept; a node can do
/// without.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PlacesError {
    /// Not a zstd frame, a damaged or truncated one, or one with a window beyond the limit.
    #[error("places data cannot be unpacked")]
    Unpack(#[source] io::Error),

    /// The frame holds more than any places file does. Unpacking stopped there.
    #[error("places data unpacks to more than {UNPACKED_BYTES_MAX} bytes")]
    TooLarge,

    /// More bytes follow where the zstd frame ends.
    #[error("{bytes} bytes follow the places data")]
    Trailing {
        /// How many.
        bytes: usize,
    },

    /// Unpacked well, but is something else.
    #[error("not a places file")]
    NotPlaces,

    /// Written for another version of this program.
    #[error("places file has format version {found}, this program reads {VERSION}")]
    Version {
        /// The version in the header.
        found: u32,
    },

    /// Cut short, or its header is damaged.
    #[error("places file has {found} bytes where its header says {expected}")]
    Length {
        /// Header and columns together, by the header.
        expected: u64,
        /// What is there.
        found: u64,
    },

    /// Some byte after the header was changed.
    #[error("places file is damaged: its checksum does not match")]
    Checksum,

    /// The table of countries is not lines of code, tab and name.
    #[error("table of countries in the places file is malformed")]
    Countries,

    /// A coordinate is missing, too long or not on the globe.
    #[error("a coordinate in the places file is malformed")]
    Coordinate,

    /// More coordinates than rows.
    #[error("places file has more coordinates than rows")]
    CoordinatesLeft,

    /// A row is in a country that the table lacks.
    #[error("unknown country {found} in the places file")]
    Country {
        /// The index of the country.
        found: u8,
    },

    /// A row is of no known kind.
    #[error("unknown kind {found} in the places file")]
    Kind {
        /// The number of the kind.
        found: u8,
    },

    /// The names are not text.
    #[error("names in the places file are not UTF-8")]
    NotText,

    /// There is not one name to a row.
    #[error("places file has {found} names for {rows} rows")]
    Names {
        /// Rows, by the header.
        rows: usize,
        /// Names.
        found: usize,
    },
}
