//! Number of records of each form, in one shard.
//!
//! A forgotten key has no form: nobody reads its record. Knows nothing of records. Bounds: one entry per form of which the shard holds a
//! record.

use std::collections::BTreeMap;

/// Counts records by form.
///
/// Locked with its shard. A record that replaces one of its form, which is the usual case, costs one comparison.
#[derive(Debug, Default)]
pub(super) struct FormCounts(BTreeMap<u32, usize>);

impl FormCounts {
    /// Counts a new record.
    pub(super) fn add(&mut self, form: Option<u32>) {
        if let Some(form) = form {
            *self.0.entry(form).or_default() += 1;
        }
    }

    /// Counts the replacement of a record by one of another form.
    #[inline]
    pub(super) fn change(&mut self, old: Option<u32>, new: Option<u32>) {
        if old != new {
            self.move_one(old, new);
        }
    }

    /// Counts the removal of a record.
    pub(super) fn remove(&mut self, form: Option<u32>) {
        let Some(form) = form else { return };
        if let Some(count) = self.0.get_mut(&form) {
            *count -= 1;
            if *count == 0 {
                self.0.remove(&form);
            }
        }
    }

    /// Returns the counts, which are above zero.
    pub(super) fn iter(&self) -> impl Iterator<Item = (u32, usize)> {
        self.0.iter().map(|(&form, &count)| (form, count))
    }

    #[cold]
    fn move_one(&mut self, old: Option<u32>, new: Option<u32>) {
        self.remove(old);
        self.add(new);
    }
}
