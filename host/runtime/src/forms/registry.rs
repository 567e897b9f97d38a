//! Converters of a node, by the form that their generation writes, and the count of records that none could convert.
//!
//! The registry holds weak references: a converter goes with its generation, and nobody has to remove it. A candidate is
//! added once it is rehearsed, so that one that fails never converts for generations that serve.
//!
//! Knows nothing of who reads. Bounds: as many converters as generations; one log line per second.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};

use arc_swap::ArcSwap;
use herd_sys::LogThrottle;
use herd_sys::clock::unix_now;

use crate::forms::conversion::NotConverted;
use crate::forms::converter::Converter;

/// Registry of the converters of a node.
pub(crate) struct FormsRegistry {
    converters: ArcSwap<Vec<Weak<Converter>>>,
    unconvertible: AtomicU64,
    log: LogThrottle,
}

impl Default for FormsRegistry {
    fn default() -> Self {
        Self { converters: ArcSwap::default(), unconvertible: AtomicU64::new(0), log: LogThrottle::new(1) }
    }
}

impl FormsRegistry {
    /// Adds a converter, which then converts for other generations, too.
    pub(crate) fn add(&self, converter: Option<&Arc<Converter>>) {
        let Some(converter) = converter else { return };
        self.converters.rcu(|known| {
            let alive = known.iter().filter(|known| known.strong_count() > 0);
            alive.cloned().chain([Arc::downgrade(converter)]).collect::<Vec<_>>()
        });
    }

    /// Returns the converters of generations that write a form.
    pub(crate) fn writers_of(&self, form: u32) -> impl Iterator<Item = Arc<Converter>> {
        let known = self.converters.load_full();
        let writers: Vec<_> = known.iter().filter_map(Weak::upgrade).filter(|known| known.native() == form).collect();
        writers.into_iter()
    }

    /// Counts a record or report that is hidden from a guest, and logs it at most once a second.
    pub(crate) fn count_unconvertible(&self, form: u32, native: u32, why: &NotConverted) {
        self.unconvertible.fetch_add(1, Ordering::Relaxed);
        if self.log.admit(unix_now()).is_some() {
            tracing::warn!(
                form,
                native,
                %why,
                "record hidden from the guest: no generation of this node can convert its form"
            );
        }
    }

    /// Returns the number of times that a record or report was hidden from a guest.
    pub(crate) fn unconvertible(&self) -> u64 {
        self.unconvertible.load(Ordering::Relaxed)
    }
}
