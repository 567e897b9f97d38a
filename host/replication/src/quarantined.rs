//! Quarantined report: kept by rank and counted in the digest, but not shown to guests.
//!
//! A guest refused it, or every live generation faulted on it. Owns its bytes, because it outlives the frame it came in.
//! Bounds: none of its own; the lengths were checked by ingest.

use herd_model::Reign;

use crate::rank::{Rank, Standing};
use crate::wire_report::{Head, WireReport};

/// A report that is kept by rank and hidden from guests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Quarantined {
    pub(crate) head: Head,
    pub(crate) key: Vec<u8>,
    pub(crate) reign: Reign,
    pub(crate) rank: Vec<u8>,
    pub(crate) form: u32,
    pub(crate) record: Vec<u8>,
}

impl Quarantined {
    /// Returns the record with its rank.
    pub(crate) fn rank(&self) -> Rank<'_> {
        Rank { reign: self.reign, rank: &self.rank, record: &self.record, form: self.form }
    }

    /// Returns the place of the report in the order of its key.
    pub(crate) fn standing(&self) -> Standing<'_> {
        self.head.standing(self.rank())
    }

    /// Borrows the report as it travels.
    pub(crate) fn wire(&self) -> WireReport<'_> {
        WireReport {
            head: self.head,
            key: &self.key,
            reign: self.reign.0,
            rank: &self.rank,
            form: self.form,
            record: &self.record,
            extension: b"",
        }
    }
}

impl From<&WireReport<'_>> for Quarantined {
    fn from(report: &WireReport<'_>) -> Self {
        Self {
            head: report.head,
            key: report.key.into(),
            reign: Reign(report.reign),
            rank: report.rank.into(),
            form: report.form,
            record: report.record.into(),
        }
    }
}
