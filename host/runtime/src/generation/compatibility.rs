//! What a swap asks of a candidate that reads or writes records in another form than the active generation.
//!
//! It has to read what is there: once the active generation is gone, nobody else converts for it. And where there is to be a
//! way back, what it writes has to be readable by what the node goes back to.
//!
//! *Checked* asks with an empty record, to which whoever knows the form says that it is malformed, or takes it. *Rehearsed*
//! goes through the records that the recorded calls looked up or brought, and those that the candidate would have kept.
//!
//! Knows nothing of swaps. Bounds: those of a conversion, for each record of the recorder.

use std::borrow::Cow;

use herd_model::SwapOptions;
use herd_sdk::batch::read_reports;
use herd_sdk::{Decision, Effect, Keep};

use crate::engine::inspect::{LoadError, Stage};
use crate::forms::budget::Patience;
use crate::forms::conversion::{Conversion, NotConverted};
use crate::generation::generation::Generation;
use crate::sandbox::call::{OwnedCall, RecordedCall};

/// Whether what a candidate writes has to be readable by the generation before it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum DowngradeRequirement {
    /// Nobody asked for that.
    #[default]
    NotRequired,
    /// The operator did.
    Reversible,
    /// It will decide beside the active generation.
    Concurrent,
}

impl DowngradeRequirement {
    /// The requirement of a swap with these options.
    #[must_use]
    pub(crate) fn for_swap(options: SwapOptions) -> Self {
        if options.reversible { Self::Reversible } else { Self::NotRequired }
    }
}

/// A candidate, and the generation that is active before it.
#[derive(Clone, Copy)]
pub(crate) struct Compatibility<'a> {
    candidate: &'a Generation,
    active: &'a Generation,
    downgrade: DowngradeRequirement,
}

impl<'a> Compatibility<'a> {
    pub(crate) fn new(candidate: &'a Generation, active: &'a Generation, downgrade: DowngradeRequirement) -> Self {
        Self { candidate, active, downgrade }
    }

    /// Asks whether the candidate knows the form of the active generation at all.
    ///
    /// # Errors
    ///
    /// It does not, in words that say what to do.
    pub(crate) fn check(&self) -> Result<(), LoadError> {
        let (native, active) = (self.candidate.form(), self.active.form());
        if native == active {
            return Ok(());
        }
        let checked = |reason| Err(LoadError { stage: Stage::Checked, reason });
        if upgrade(self.candidate, active, b"") == Err(NotConverted::UnknownForm) {
            return checked(format!(
                "it reads form {native} and cannot upgrade form {active}, which generation {} writes; its forms.upgrade has \
                 to handle form {active} (herd rollback goes back without that)",
                self.active.id()
            ));
        }
        if self.downgrade != DowngradeRequirement::NotRequired
            && downgrade(self.candidate, active, b"") == Err(NotConverted::UnknownForm)
        {
            return checked(self.irreversible("cannot downgrade"));
        }
        Ok(())
    }

    /// Asks whether the candidate reads what a recorded call looked up or brought, if the active generation does.
    ///
    /// # Errors
    ///
    /// The first record that it does not read.
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

    /// Asks whether the candidate can read what it would have kept, and what it replaces could where that is wanted.
    ///
    /// # Errors
    ///
    /// The first record that they cannot read.
    pub(crate) fn check_keeps(&self, decision: &Decision) -> Result<(), LoadError> {
        let keeps = decision.effects.iter().filter_map(|effect| match effect {
            Effect::Keep(keep) => Some(keep),
            _ => None,
        });
        keeps.into_iter().try_for_each(|keep| self.check_keep(decision, &keep))
    }

    fn check_read(&self, key: &[u8], form: u32, bytes: &[u8]) -> Result<(), LoadError> {
        if form == self.candidate.form() {
            return Ok(());
        }
        let active_reads = form == self.active.form() || upgrade(self.active, form, bytes).is_ok();
        match upgrade(self.candidate, form, bytes) {
            Err(why) if active_reads => rehearsed(format!(
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
        if native == active || self.downgrade == DowngradeRequirement::NotRequired {
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

    fn irreversible(&self, what: &str) -> String {
        let (native, active, id) = (self.candidate.form(), self.active.form(), self.active.id());
        match self.downgrade {
            DowngradeRequirement::NotRequired | DowngradeRequirement::Reversible => format!(
                "not reversible: it writes form {native} and {what} to form {active}, which generation {id} reads; export \
                 forms.downgrade for form {active}, or swap without --reversible"
            ),
            DowngradeRequirement::Concurrent => format!(
                "it writes form {native} and {what} to form {active}, which generation {id} reads, beside which it would \
                 decide; export forms.downgrade for form {active}"
            ),
        }
    }
}

/// Converts a record to the form of a generation, by its own means.
fn upgrade(generation: &Generation, from: u32, bytes: &[u8]) -> Result<Vec<u8>, NotConverted> {
    convert(generation, Conversion::Upgrade { from, bytes })
}

/// Converts a record from the form of a generation, by its own means.
pub(crate) fn downgrade(generation: &Generation, to: u32, bytes: &[u8]) -> Result<Vec<u8>, NotConverted> {
    convert(generation, Conversion::Downgrade { to, bytes })
}

fn convert(generation: &Generation, conversion: Conversion<'_>) -> Result<Vec<u8>, NotConverted> {
    let converter = generation.converter().ok_or(NotConverted::UnknownForm)?;
    converter.convert(conversion, &mut { Patience::ENDLESS })
}

fn rehearsed(reason: String) -> Result<(), LoadError> {
    Err(LoadError { stage: Stage::Rehearsed, reason })
}

fn printable_key(key: &[u8]) -> impl std::fmt::Display {
    key[..key.len().min(KEY_SHOWN_MAX)].escape_ascii().to_string()
}

const KEY_SHOWN_MAX: usize = 120;
