//! A quarantined report: it counts in the digest and is not shown to guests.

use herd_model::Reign;

use crate::entry::Rank;
use crate::wire_report::WireReport;

/// A report that is kept by rank and not shown to guests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quarantined {
    pub(crate) key: Vec<u8>,
    pub(crate) reign: Reign,
    pub(crate) rank: Vec<u8>,
    pub(crate) form: u32,
    pub(crate) record: Vec<u8>,
    pub(crate) origin: String,
}

impl Quarantined {
    pub(crate) fn rank(&self) -> Rank<'_> {
        Rank { reign: self.reign, rank: &self.rank, record: &self.record, form: self.form }
    }

    pub(crate) fn wire(&self) -> WireReport<'_> {
        WireReport {
            key: &self.key,
            reign: self.reign.0,
            rank: &self.rank,
            form: self.form,
            record: &self.record,
            origin: &self.origin,
        }
    }
}

impl From<&WireReport<'_>> for Quarantined {
    fn from(report: &WireReport<'_>) -> Self {
        Self {
            key: report.key.into(),
            reign: Reign(report.reign),
            rank: report.rank.into(),
            form: report.form,
            record: report.record.into(),
            origin: report.origin.into(),
        }
    }
}
