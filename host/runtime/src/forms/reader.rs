//! Records and reports in the native form of one generation, converted for a call and for that call only. Records stay as
//! they were written wherever they are kept, recorded and flooded.
//!
//! The generation's own `upgrade` comes first, then the `downgrade` of each guest that writes the form and that is live on this
//! node or [kept](super::kept). A record that none of them converts is unknown to the guest. A report that none of them converts is
//! hidden from the guest, and kept and flooded without it, so that older logic in the middle of a herd stops no flood.
//!
//! Knows nothing of instances. Bounds: the time of conversions per call ([`ConversionBudget`]). A record in the
//! native form costs one comparison.

use std::sync::Arc;

use herd_sdk::converted::ConvertedReports;
use herd_sdk::forms::FIRST_FORM;
use herd_sdk::{Found, ReportBatch};

use crate::forms::budget::ConversionBudget;
use crate::forms::conversion::{Conversion, NotConverted};
use crate::forms::converter::Converter;
use crate::forms::registry::FormsRegistry;
use crate::sandbox::record_view::RecordView;

/// Reader of records for one generation.
pub(crate) struct RecordReader {
    native: u32,
    /// Converter of the generation itself; none for a guest that exports no `forms`.
    own: Option<Arc<Converter>>,
    registry: Arc<FormsRegistry>,
    counting: Counting,
}

/// Counting of records that no generation can convert.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Counting {
    On,
    /// For calls that are repeated without effect: the node counted the record the first time.
    Off,
}

impl RecordReader {
    /// Makes a reader for a generation with this converter, or with none.
    pub(crate) fn new(own: Option<Converter>) -> Self {
        let native = own.as_ref().map_or(FIRST_FORM, Converter::native);
        Self { native, own: own.map(Arc::new), registry: Arc::default(), counting: Counting::On }
    }

    /// Returns a reader that also uses the converters of other generations.
    pub(crate) fn with_registry(&self, registry: &Arc<FormsRegistry>) -> Self {
        Self { native: self.native, own: self.own.clone(), registry: Arc::clone(registry), counting: self.counting }
    }

    /// Returns a reader that counts nothing, for calls that are repeated without effect.
    pub(crate) fn uncounted(&self) -> Self {
        Self { counting: Counting::Off, ..self.with_registry(&self.registry) }
    }

    /// Returns the converter of the generation itself.
    pub(crate) fn converter(&self) -> Option<&Arc<Converter>> {
        self.own.as_ref()
    }

    #[cold]
    fn convert_bytes(&self, form: u32, bytes: &[u8], budget: &mut ConversionBudget) -> Option<Vec<u8>> {
        let mut why = NotConverted::UnknownForm;
        if let Some(own) = &self.own {
            match own.convert(Conversion::Upgrade { from: form, bytes }, budget) {
                Ok(converted) => return Some(converted),
                Err(other) => why = other,
            }
        }
        // The guest itself knows the form and found these bytes malformed, so no other one can convert them for it.
        if why != NotConverted::Malformed {
            // Each of them, because an older build of a guest may convert what a newer one calls malformed.
            for other in self.registry.writers_of(form) {
                match other.convert(Conversion::Downgrade { to: self.native, bytes }, budget) {
                    Ok(converted) => return Some(converted),
                    Err(NotConverted::UnknownForm) => {}
                    Err(other) => why = other,
                }
            }
        }
        if self.counting == Counting::On {
            self.registry.count_unconvertible(form, self.native, &why);
        }
        None
    }
}

impl RecordView for RecordReader {
    fn native(&self) -> u32 {
        self.native
    }

    fn convert(&self, found: Found, budget: &mut ConversionBudget) -> Option<Found> {
        if found.form == self.native {
            return Some(found);
        }
        let bytes = self.convert_bytes(found.form, &found.bytes, budget)?;
        Some(Found { rank: found.rank, form: self.native, bytes })
    }

    fn convert_reports(&self, reports: &ReportBatch) -> Option<ConvertedReports> {
        let mut budget = ConversionBudget::default();
        ConvertedReports::convert(reports, self.native, |form, bytes| self.convert_bytes(form, bytes, &mut budget))
    }
}

/// Reader of the first form, without any converter.
impl Default for RecordReader {
    fn default() -> Self {
        Self::new(None)
    }
}
