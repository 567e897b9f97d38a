//! Converters of a node, by the form that their guest writes, and the count of records that none could convert.
//!
//! Two lists. One has weak references to all converters that exist, so that one of a shadow goes with its generation and nobody
//! has to remove it. A candidate is added once it is rehearsed, so that one that fails never converts for generations that
//! serve. The other list keeps the converters of guests that may have written records ([`kept`](super::kept)).
//!
//! Knows nothing of who reads. Bounds: as many converters as generations, and those that are kept; [`SPARED_MAX`] guests on disk besides; one log line per second.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock, Weak};

use arc_swap::ArcSwap;
use herd_model::{Digest, SignedGuest};
use herd_sys::LogThrottle;
use herd_sys::clock::unix_now;
use parking_lot::Mutex;

use crate::forms::conversion::NotConverted;
use crate::forms::converter::Converter;
use crate::forms::kept::{RETIRED_MAX, Standing, trim};
use crate::forms::store::FormsStore;

/// Registry of the converters of a node.
pub(crate) struct FormsRegistry {
    /// Name of the node, for the log.
    node: String,
    converters: ArcSwap<Vec<Weak<Converter>>>,
    /// Converters of guests that serve or served, in the order in which they began to.
    kept: Mutex<Vec<Arc<Converter>>>,
    /// Files of kept guests that are not on disk yet.
    unsaved: Mutex<Vec<(Digest, SignedGuest)>>,
    /// Guests that are not kept, whose files stay all the same.
    spared: Mutex<Vec<Digest>>,
    /// Set once the node said where to store guests.
    store: OnceLock<FormsStore>,
    unconvertible: AtomicU64,
    log: LogThrottle,
}

impl Default for FormsRegistry {
    fn default() -> Self {
        Self {
            node: String::new(),
            converters: ArcSwap::default(),
            kept: Mutex::default(),
            unsaved: Mutex::default(),
            spared: Mutex::default(),
            store: OnceLock::new(),
            unconvertible: AtomicU64::new(0),
            log: LogThrottle::new(1),
        }
    }
}

impl FormsRegistry {
    /// Creates the registry of a node, without converters.
    pub(crate) fn new(node: &str) -> Self {
        Self { node: node.into(), ..Self::default() }
    }

    /// Adds a converter, which then converts for other generations, too.
    pub(crate) fn add(&self, converter: Option<&Arc<Converter>>) {
        let Some(converter) = converter else { return };
        self.converters.rcu(|known| {
            let alive = known.iter().filter(|known| known.strong_count() > 0);
            alive.cloned().chain([Arc::downgrade(converter)]).collect::<Vec<_>>()
        });
    }

    /// Returns the converters of guests that write a form, the newest first.
    pub(crate) fn writers_of(&self, form: u32) -> impl Iterator<Item = Arc<Converter>> {
        self.converters().into_iter().filter(move |known| known.native() == form)
    }

    /// Returns all converters, the newest first.
    pub(crate) fn converters(&self) -> Vec<Arc<Converter>> {
        self.converters.load().iter().rev().filter_map(Weak::upgrade).collect()
    }

    /// Keeps the converter of a guest that begins to serve, beyond its generation, within the limits. Waits for no disk.
    pub(crate) fn keep(&self, converter: Option<&Arc<Converter>>, guest: Option<SignedGuest>) {
        let Some(converter) = converter else { return };
        with(&mut self.kept.lock(), converter);
        if let Some(guest) = guest {
            let mut unsaved = self.unsaved.lock();
            unsaved.retain(|(digest, _)| *digest != converter.digest());
            unsaved.push((converter.digest(), guest));
        }
    }

    /// Returns the converters that this node has after a swap from one guest to another, by the limits on those that it keeps.
    pub(crate) fn after_swap(
        &self,
        to: Option<&Arc<Converter>>,
        from: Option<&Arc<Converter>>,
        counts: &BTreeMap<u32, usize>,
    ) -> Vec<Arc<Converter>> {
        let mut kept = self.kept.lock().clone();
        if let Some(to) = to {
            with(&mut kept, to);
        }
        let is_live = |kept: &Arc<Converter>| [to, from].into_iter().flatten().any(|live| Arc::ptr_eq(live, kept));
        let standing = |kept: &Arc<Converter>| Standing { form: kept.native(), is_live: is_live(kept) };
        trim(&mut kept, standing, |form| counts.contains_key(&form));
        kept
    }

    /// Drops kept converters beyond the limits. `counts` are the records of each form.
    pub(crate) fn trim(&self, counts: &BTreeMap<u32, usize>) {
        let standing = |kept: &Arc<Converter>| Standing { form: kept.native(), is_live: !kept.is_retired() };
        trim(&mut self.kept.lock(), standing, |form| counts.contains_key(&form));
    }

    /// Opens the store, once, and returns the guests in it that are not kept already.
    pub(crate) fn open(&self, store: FormsStore) -> Vec<SignedGuest> {
        let store = self.store.get_or_init(|| store);
        let kept = self.kept_digests();
        store.read().into_iter().filter(|guest| !kept.contains(&guest.digest())).collect()
    }

    /// Keeps the converter of a guest that served before the node started: older than all others.
    pub(crate) fn restore(&self, converter: &Arc<Converter>) {
        self.kept.lock().insert(0, Arc::clone(converter));
        self.converters
            .rcu(|known| [Arc::downgrade(converter)].into_iter().chain(known.iter().cloned()).collect::<Vec<_>>());
    }

    /// Leaves the files of a guest on the disk whose converter this process cannot have, and another may: a key that is missing in the
    /// configuration by mistake must not cost the records of its guests. Those that are spared last stay.
    pub(crate) fn spare(&self, guest: Digest) {
        let mut spared = self.spared.lock();
        spared.push(guest);
        if spared.len() > SPARED_MAX {
            spared.remove(0);
        }
    }

    /// Writes the guests of kept converters to disk, and removes others there. Waits for the disk.
    pub(crate) fn save(&self) {
        let unsaved = std::mem::take(&mut *self.unsaved.lock());
        let Some(store) = self.store.get() else {
            // Not opened yet, or never in a test. Kept for later, as far as the converter is.
            let kept = self.kept_digests();
            self.unsaved.lock().extend(unsaved.into_iter().filter(|(digest, _)| kept.contains(digest)));
            return;
        };
        for (digest, guest) in unsaved {
            store.write(digest, &guest);
        }
        let mut stored = self.kept_digests();
        stored.extend(self.spared.lock().iter());
        store.retain(&stored);
        let kept = self.kept.lock().clone();
        // A canary has decided for clients, but its code is in no cache.
        kept.iter().for_each(|converter| converter.cache_code());
    }

    fn kept_digests(&self) -> Vec<Digest> {
        self.kept.lock().iter().map(|converter| converter.digest()).collect()
    }

    /// Counts a record or report that is hidden from a guest, and logs it at most once a second.
    pub(crate) fn count_unconvertible(&self, form: u32, native: u32, why: &NotConverted) {
        self.unconvertible.fetch_add(1, Ordering::Relaxed);
        if let Some(suppressed) = self.log.admit(unix_now()) {
            tracing::warn!(
                node = %self.node,
                form,
                native,
                %why,
                suppressed,
                "record hidden from the guest: no generation of this node can convert its form"
            );
        }
    }

    /// Returns the number of times that a record or report was hidden from a guest.
    pub(crate) fn unconvertible(&self) -> u64 {
        self.unconvertible.load(Ordering::Relaxed)
    }
}

/// Guests whose files are spared: as many as retired converters of a node.
const SPARED_MAX: usize = RETIRED_MAX;

/// Adds a converter as the newest. One of the same guest, from a generation before, goes.
fn with(kept: &mut Vec<Arc<Converter>>, converter: &Arc<Converter>) {
    kept.retain(|known| known.digest() != converter.digest());
    kept.push(Arc::clone(converter));
}
