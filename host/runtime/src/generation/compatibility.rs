//! Compatibility of a candidate with the active generation when their record forms differ.
//!
//! The candidate must be able to read the records that exist in every form of which the node holds any: by its own `upgrade`, or
//! by the `downgrade` of a guest whose converter the node still has after the swap. Where a way back is required, the records
//! that it writes must be readable by the generation that the node would roll back to. What the active generation cannot read
//! either is lost to the guests already, and no reason to refuse a candidate.
//!
//! *Checked* probes a form with an empty record: a guest that knows the form accepts it or calls it malformed, one that does
//! not says so. *Rehearsed* converts the records that the recorded calls looked up or brought, and those that the candidate
//! would have kept.
//!
//! Knows nothing of swaps. Bounds: those of a conversion, for each record of the recorder.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use herd_model::SwapOptions;
use herd_recording::{OwnedCall, RecordedCall};
use herd_sdk::batch::read_reports;
use herd_sdk::{Decision, Effect, Keep};

use crate::engine::inspect::{LoadError, Stage};
use crate::forms::budget::ConversionBudget;
use crate::forms::conversion::{Conversion, NotConverted};
use crate::forms::converter::Converter;
use crate::generation::generation::Generation;

/// Requirement that a candidate can downgrade its records to the form of the active generation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum DowngradeRequirement {
    /// Not required: the swap may be irreversible.
    #[default]
    NotRequired,
    /// Required by the operator with `--reversible`.
    Reversible,
    /// Required because both generations will decide at the same time: a canary or a shadow.
    Concurrent,
    /// Nothing is checked, because the operator accepts with `--force` that records go unread.
    Unchecked,
}

impl DowngradeRequirement {
    /// The requirement of a swap with these options.
    #[must_use]
    pub(crate) fn for_swap(options: SwapOptions) -> Self {
        match options {
            SwapOptions { force: true, .. } => Self::Unchecked,
            SwapOptions { reversible: true, .. } => Self::Reversible,
            _ => Self::NotRequired,
        }
    }
}

/// The records of a node by form, and the guests that convert them for others.
#[derive(Default)]
pub(crate) struct FormsInUse {
    /// Number of records of each form.
    pub(crate) counts: BTreeMap<u32, usize>,
    /// Converters of this node before the swap.
    pub(crate) before: Vec<Arc<Converter>>,
    /// Converters that it still has after the swap.
    pub(crate) after: Vec<Arc<Converter>>,
}

/// Checks a candidate against the active generation.
#[derive(Clone, Copy)]
pub(crate) struct Compatibility<'a> {
    candidate: &'a Generation,
    active: &'a Generation,
    downgrade: DowngradeRequirement,
    forms: &'a FormsInUse,
}

impl<'a> Compatibility<'a> {
    pub(crate) fn new(
        candidate: &'a Generation,
        active: &'a Generation,
        downgrade: DowngradeRequirement,
        forms: &'a FormsInUse,
    ) -> Self {
        Self { candidate, active, downgrade, forms }
    }

    /// Checks that the candidate knows every form of which the node holds records that the active generation reads, and, where
    /// required, that it can downgrade to the form of the active generation.
    ///
    /// # Errors
    ///
    /// It does not. The reason names the form and the number of records, and says what its author can do.
    pub(crate) fn check(&self) -> Result<(), LoadError> {
        let (native, active) = (self.candidate.form(), self.active.form());
        let checked = |reason| Err(LoadError { stage: Stage::Checked, reason });
        let is_forced = self.downgrade == DowngradeRequirement::Unchecked;
        for (&form, &count) in &self.forms.counts {
            if !is_unknown(form, self.candidate, &self.forms.after) || is_unknown(form, self.active, &self.forms.before)
            {
                continue;
            }
            if !is_forced {
                return checked(self.unreadable(form, count));
            }
            tracing::warn!(node = %self.candidate.settings().node, form, records = count, "records are unknown to the guest of a forced swap");
        }
        if is_forced {
            return Ok(());
        }
        if native != active
            && self.downgrade != DowngradeRequirement::NotRequired
            && downgrade(self.candidate, active, b"") == Err(NotConverted::UnknownForm)
        {
            return checked(self.irreversible("cannot downgrade"));
        }
        Ok(())
    }

    /// Checks that the candidate reads the records that a recorded call looked up or brought, as far as the active generation
    /// does.
    ///
    /// # Errors
    ///
    /// Names the first record that it does not read.
    pub(crate) fn check_reads(&self, recorded: &RecordedCall) -> Result<(), LoadError> {
        for read in &recorded.reads {
            if let Some(found) = &read.found {
                self.check_read(&read.key, found.form, &found.bytes)?;
            }
        }
        if let OwnedCall::Reports(reports) = &recorded.call {
            for report in read_reports(reports.bytes(), reports.words()) {
                self.check_read(report.key, report.form, report.bytes)?;
            }
        }
        Ok(())
    }

    /// Checks that the candidate can read the records that it would have kept, and, where required, that the active generation
    /// can.
    ///
    /// # Errors
    ///
    /// Names the first record that they cannot read.
    pub(crate) fn check_keeps(&self, decision: &Decision) -> Result<(), LoadError> {
        let keeps = decision.effects.iter().filter_map(|effect| match effect {
            Effect::Keep(keep) => Some(keep),
            _ => None,
        });
        keeps.into_iter().try_for_each(|keep| self.check_keep(decision, &keep))
    }

    fn check_read(&self, key: &[u8], form: u32, bytes: &[u8]) -> Result<(), LoadError> {
        match read(self.candidate, &self.forms.after, form, bytes) {
            Err(why) if read(self.active, &self.forms.before, form, bytes).is_ok() => rehearsed(format!(
                "it cannot upgrade a record of form {form} that this node had lately, that of \"{}\": {why}; its \
                 forms.upgrade has to handle that (--unrehearsed does not try it)",
                printable_key(key)
            )),
            _ => Ok(()),
        }
    }

    fn check_keep(&self, decision: &Decision, keep: &Keep) -> Result<(), LoadError> {
        let (native, active) = (self.candidate.form(), self.active.form());
        let (key, bytes) = (decision.bytes(keep.key), decision.bytes(keep.bytes));
        let bytes: Cow<'_, [u8]> = if keep.form == native {
            bytes.into()
        } else {
            match upgrade(self.candidate, keep.form, bytes) {
                Ok(bytes) => bytes.into(),
                Err(why) => {
                    return rehearsed(format!(
                        "it keeps a record of form {}, that of \"{}\", and reads form {native}: {why}; export forms, \
                         whose native says which form it writes",
                        keep.form,
                        printable_key(key)
                    ));
                }
            }
        };
        if native == active
            || matches!(self.downgrade, DowngradeRequirement::NotRequired | DowngradeRequirement::Unchecked)
        {
            return Ok(());
        }
        match downgrade(self.candidate, active, &bytes) {
            Ok(_) => Ok(()),
            Err(why) => {
                let what =
                    format!("cannot downgrade a record that it would have kept, that of \"{}\",", printable_key(key));
                rehearsed(format!("{}: {why}", self.irreversible(&what)))
            }
        }
    }

    fn unreadable(&self, form: u32, count: usize) -> String {
        let native = self.candidate.form();
        let records = if count == 1 { "1 record".to_string() } else { format!("{count} records") };
        let why = match self.candidate.converter() {
            Some(_) => format!("its forms.upgrade does not handle form {form}"),
            None => "it exports no forms".to_string(),
        };
        format!(
            "it reads form {native}, and {records} of form {form} on this node would be unknown to it: {why}, and no guest \
             that this node keeps downgrades them to form {native}; export forms.upgrade for form {form} (herd rollback goes \
             back without that, and --force swaps without those records)"
        )
    }

    fn irreversible(&self, what: &str) -> String {
        let (native, active, id) = (self.candidate.form(), self.active.form(), self.active.id());
        match self.downgrade {
            DowngradeRequirement::NotRequired | DowngradeRequirement::Reversible | DowngradeRequirement::Unchecked => {
                format!(
                    "not reversible: it writes form {native} and {what} to form {active}, which generation {id} reads; export \
                 forms.downgrade for form {active}, or swap without --reversible"
                )
            }
            DowngradeRequirement::Concurrent => format!(
                "it writes form {native} and {what} to form {active}, which generation {id} reads, beside which it would \
                 decide; export forms.downgrade for form {active}"
            ),
        }
    }
}

/// Returns whether neither a generation nor one of these converters knows a form: the generation reads no record of it.
pub(crate) fn is_unknown(form: u32, reader: &Generation, converters: &[Arc<Converter>]) -> bool {
    read(reader, converters, form, b"") == Err(NotConverted::UnknownForm)
}

/// Reads a record as a node does for this generation: with its own converter, or else with that of a guest that writes the form.
fn read(reader: &Generation, converters: &[Arc<Converter>], form: u32, bytes: &[u8]) -> Result<(), NotConverted> {
    if form == reader.form() {
        return Ok(());
    }
    let mut why = match upgrade(reader, form, bytes) {
        Err(why) if why != NotConverted::Malformed => why,
        converted => return converted.map(drop),
    };
    for writer in converters.iter().filter(|writer| writer.native() == form) {
        match writer.convert(Conversion::Downgrade { to: reader.form(), bytes }, &mut { ConversionBudget::UNLIMITED }) {
            Ok(_) => return Ok(()),
            Err(NotConverted::UnknownForm) => {}
            Err(other) => why = other,
        }
    }
    Err(why)
}

/// Converts a record to the form of a generation with its own converter.
fn upgrade(generation: &Generation, from: u32, bytes: &[u8]) -> Result<Vec<u8>, NotConverted> {
    convert(generation, Conversion::Upgrade { from, bytes })
}

/// Converts a record from the form of a generation with its own converter.
pub(crate) fn downgrade(generation: &Generation, to: u32, bytes: &[u8]) -> Result<Vec<u8>, NotConverted> {
    convert(generation, Conversion::Downgrade { to, bytes })
}

fn convert(generation: &Generation, conversion: Conversion<'_>) -> Result<Vec<u8>, NotConverted> {
    let converter = generation.converter().ok_or(NotConverted::UnknownForm)?;
    converter.convert(conversion, &mut { ConversionBudget::UNLIMITED })
}

fn rehearsed(reason: String) -> Result<(), LoadError> {
    Err(LoadError { stage: Stage::Rehearsed, reason })
}

fn printable_key(key: &[u8]) -> impl std::fmt::Display {
    key[..key.len().min(KEY_SHOWN_MAX)].escape_ascii().to_string()
}

/// Bytes of a key in a refusal: enough to recognize it, and a refusal stays a line.
const KEY_SHOWN_MAX: usize = 120;
