//! Draining of retired generations: wait until no call holds them, then drop them.
//!
//! A call that began before the swap may still hold a retired generation. The thread that drops the last reference drops its
//! instances and its code, which takes some hundred microseconds that no worker should spend. So this list keeps a reference,
//! and the thread that swaps waits until it is the last one. Until then no other candidate is loaded, or fast swaps would keep
//! any number of generations alive.
//!
//! A generation that retired as a canary while it is being promoted is not waited for: its candidate may hold it for long.
//!
//! Knows nothing of why a generation retired. Bounds: the wait, [`WAIT_MAX`]; one generation per swap and one per canary.

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use parking_lot::{Mutex, MutexGuard};

use crate::generation::generation::Generation;

/// Retired generations that are still alive.
#[derive(Default)]
pub(crate) struct Draining(Mutex<Vec<Arc<Generation>>>);

impl Draining {
    /// Adds a generation that decides nothing any more. Safe on a worker: waits only for the lock, which is never held asleep.
    pub(crate) fn add(&self, retired: Option<Arc<Generation>>) {
        self.lock().extend(retired);
    }

    /// Removes a generation that retired as a canary and is to serve after all.
    pub(crate) fn remove(&self, generation: &Arc<Generation>) {
        self.lock().retain(|leaving| !Arc::ptr_eq(leaving, generation));
        generation.cancel_retirement();
    }

    /// Waits until no call holds a retired generation, and drops them all. Never call it on a worker thread: it
    /// blocks, and the call that it waits for may be its caller's own.
    ///
    /// False if a generation is still held after [`WAIT_MAX`]. It stays in the list.
    pub(crate) fn drain(&self) -> bool {
        let until = Instant::now() + WAIT_MAX;
        loop {
            let mut leaving = self.lock();
            // Each time, as a generation may have been added since. Background work that holds one gives up at this flag.
            leaving.iter().for_each(|generation| generation.retire());
            // Dropped below, while the lock is held: another thread that drains must not see an empty list, and load a candidate,
            // before the memory is free.
            let mut gone = Vec::new();
            for generation in std::mem::take(&mut *leaving) {
                // Succeeds for the last reference only. None can appear later: the snapshot no longer holds it.
                match Arc::try_unwrap(generation) {
                    Ok(generation) => gone.push(generation),
                    Err(held) => leaving.push(held),
                }
            }
            drop(gone);
            let held = leaving.iter().find(|generation| !generation.is_candidate());
            let Some((held, node)) = held.map(|held| (held.id(), held.settings().node.clone())) else { return true };
            drop(leaving);
            if Instant::now() >= until {
                tracing::warn!(%node, generation = %held, "a call or the search for a case still holds a retired generation; no guest is loaded until it ends");
                return false;
            }
            // Polled, so that the end of a call costs a worker nothing. A worker that had to wake this thread would pay for it on
            // every call.
            thread::sleep(LOOK_EVERY);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Arc<Generation>>> {
        self.0.lock()
    }
}

/// A call with the usual deadline ends within a second of wall time, however busy the machine is, and work on a case is given
/// up soon after it is told to. Only an operator waits for this.
const WAIT_MAX: Duration = Duration::from_secs(5);
/// Interval of the poll. A call takes some microseconds.
const LOOK_EVERY: Duration = Duration::from_micros(50);
