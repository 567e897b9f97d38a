//! What a node knows of forms: which generations can convert, and how often nobody could.
//!
//! A record stays as its writer wrote it. A generation that reads one in another form than its own has it converted: by
//! itself, or by a generation that writes that form and knows this one's ([`RecordReader`](crate::forms::reader::RecordReader)).
//!
//! Generations are known here for as long as they are there and no longer: this list keeps none alive, so nobody has to
//! take a retired one out. A candidate comes in once it is rehearsed, so that none that fails converts for those that
//! serve.
//!
//! Bounds: one line of the log per second. The list is as long as there are generations.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::{SystemTime, UNIX_EPOCH};

use arc_swap::ArcSwap;

use crate::forms::conversion::NotConverted;
use crate::forms::converter::Converter;

/// The converters of a node.
#[derive(Default)]
pub(crate) struct FormsRegistry {
    converters: ArcSwap<Vec<Weak<Converter>>>,
    unconvertible: AtomicU64,
    warned_second: AtomicU64,
}

impl FormsRegistry {
    /// From now on, this one converts for others too.
    pub(crate) fn add(&self, converter: Option<&Arc<Converter>>) {
        let Some(converter) = converter else { return };
        self.converters.rcu(|known| {
            let there = known.iter().filter(|known| known.strong_count() > 0);
            there.cloned().chain([Arc::downgrade(converter)]).collect::<Vec<_>>()
        });
    }

    /// The converters of generations that write this form.
    pub(crate) fn writers_of(&self, form: u32) -> impl Iterator<Item = Arc<Converter>> {
        let known = self.converters.load_full();
        let there: Vec<_> = known.iter().filter_map(Weak::upgrade).filter(|known| known.native() == form).collect();
        there.into_iter()
    }

    /// Counts a record or report that a guest was not shown, and says so at most once a second.
    pub(crate) fn count_unconvertible(&self, form: u32, native: u32, why: &NotConverted) {
        self.unconvertible.fetch_add(1, Ordering::Relaxed);
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        if self.warned_second.swap(now, Ordering::Relaxed) != now {
            tracing::warn!(
                form,
                native,
                %why,
                "a record is in a form that no generation here can convert; its guest does not see it"
            );
        }
    }

    /// How often a record or report was not shown, because nobody could convert it.
    pub(crate) fn unconvertible(&self) -> u64 {
        self.unconvertible.load(Ordering::Relaxed)
    }
}
