//! Checks of forms while a candidate is made ready, and again when it begins to decide.
//!
//! In between, probation or an operator may have changed the active generation, and clients may have brought records of further
//! forms. So the last check happens under the switch lock, but calls no guest there: it compares what the forms were checked
//! against with what is there now. If that differs, the forms are checked again without the lock.
//!
//! Knows nothing of how a form is checked ([`Compatibility`]). Bounds: [`CHECKS_MAX`].

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use herd_model::GenerationId;
use parking_lot::MutexGuard;

use crate::generation::compatibility::{Compatibility, DowngradeRequirement, FormsInUse, is_unknown};
use crate::generation::generation::Generation;
use crate::serving::error::SwapError;
use crate::serving::registry::GenerationRegistry;

/// State of the node against which the forms of a candidate were checked.
#[derive(Clone, Debug)]
pub(crate) struct CheckedForms {
    downgrade: DowngradeRequirement,
    active: GenerationId,
    /// Forms of which the node held records.
    forms: BTreeSet<u32>,
}

impl CheckedForms {
    pub(crate) fn new(downgrade: DowngradeRequirement, active: &Generation, forms: &FormsInUse) -> Self {
        Self { downgrade, active: active.id(), forms: forms.counts.keys().copied().collect() }
    }

    fn holds(&self, active: &Generation, counts: &BTreeMap<u32, usize>) -> bool {
        self.active == active.id() && counts.keys().all(|form| self.forms.contains(form))
    }
}

impl GenerationRegistry {
    /// Returns the forms of the records of this node, and what converts them before and after a swap to this candidate.
    pub(crate) fn forms_in_use(&self, candidate: &Generation, active: &Generation) -> FormsInUse {
        let counts = self.records.form_counts();
        let registry = &self.context.forms;
        let after = registry.after_swap(candidate.converter(), active.converter(), &counts);
        FormsInUse { before: registry.converters(), after, counts }
    }

    /// Returns the number of records of this node that the active generation cannot read, because nothing here knows their form.
    /// Calls guests: never call it on a worker thread.
    #[must_use]
    pub fn unread(&self) -> usize {
        let active = Arc::clone(&self.snapshot.load().active);
        let converters = self.context.forms.converters();
        let counts = self.records.form_counts().into_iter();
        counts.filter(|(form, _)| is_unknown(*form, &active, &converters)).map(|(_, count)| count).sum()
    }

    /// Checks the forms of a candidate against what serves and what the node holds now. Calls guests: never call it on a worker
    /// thread or under a lock.
    ///
    /// # Errors
    ///
    /// The candidate does not fit. Nothing changed.
    pub(crate) fn check_forms(
        &self,
        candidate: &Generation,
        downgrade: DowngradeRequirement,
    ) -> Result<CheckedForms, SwapError> {
        let active = Arc::clone(&self.snapshot.load().active);
        let forms = self.forms_in_use(candidate, &active);
        Compatibility::new(candidate, &active, downgrade, &forms).check()?;
        Ok(CheckedForms::new(downgrade, &active, &forms))
    }

    /// Locks the change of the snapshot, once the forms of a candidate are checked against what is there under the lock.
    ///
    /// # Errors
    ///
    /// The candidate does not fit any more, or the node changes faster than its forms can be checked. Nothing changed.
    pub(crate) fn lock_switch_for(
        &self,
        candidate: &Generation,
        mut checked: CheckedForms,
    ) -> Result<MutexGuard<'_, ()>, SwapError> {
        for _ in 0..CHECKS_MAX {
            let switch = self.lock_switch();
            if checked.holds(&self.snapshot.load().active, &self.records.form_counts()) {
                return Ok(switch);
            }
            drop(switch);
            checked = self.check_forms(candidate, checked.downgrade)?;
        }
        Err(SwapError::Unsettled)
    }

    /// Drops converters that are not needed any more, and stores the guests of those that are kept. Waits for the disk.
    pub(crate) fn settle_forms(&self) {
        self.context.forms.trim(&self.records.form_counts());
        self.context.forms.save();
    }
}

/// Each takes a rollback, or records of a form that is new to the node, within the microseconds of a check.
const CHECKS_MAX: usize = 8;
