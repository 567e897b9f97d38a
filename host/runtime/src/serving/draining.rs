//! The generation that a swap retires, until it is gone.
//!
//! A call that had begun before the swap may still hold it, and whoever lets go of it last drops its instances and its
//! code: some hundred microseconds that no worker should spend. So the thread that swaps holds on to it, waits until it is
//! the last one, and drops it. Until then no other candidate is loaded, or a fast hand could have any number of
//! generations alive.
//!
//! Bounds: the wait, [`WAIT_MAX`].

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crate::generation::generation::Generation;

/// What was retired and is not gone yet.
#[derive(Default)]
pub(crate) struct Draining(Mutex<Vec<Arc<Generation>>>);

impl Draining {
    /// Takes what nobody is to be decided by any more, to be seen off. Waits for nothing but who does that at the moment.
    pub(crate) fn add(&self, retired: Option<Arc<Generation>>) {
        self.lock().extend(retired);
    }

    /// Takes back what left as a canary and is to serve after all.
    pub(crate) fn remove(&self, generation: &Arc<Generation>) {
        self.lock().retain(|leaving| !Arc::ptr_eq(leaving, generation));
        generation.cancel_retirement();
    }

    /// Waits until nobody else holds what was retired, and drops it. Not for a worker thread.
    ///
    /// False when somebody still does after [`WAIT_MAX`].
    pub(crate) fn drain(&self) -> bool {
        let until = Instant::now() + WAIT_MAX;
        loop {
            let mut leaving = self.lock();
            leaving.iter().for_each(|generation| generation.retire());
            // Whoever looks at the same time must not see an empty list before everything is gone.
            let mut gone = Vec::new();
            for generation in std::mem::take(&mut *leaving) {
                // Fails while anybody else holds it.
                match Arc::try_unwrap(generation) {
                    Ok(generation) => gone.push(generation),
                    Err(held) => leaving.push(held),
                }
            }
            drop(gone);
            let Some(held) = leaving.first().map(|generation| generation.id()) else { return true };
            drop(leaving);
            if Instant::now() >= until {
                tracing::warn!(generation = %held, "a retired generation is still in a call; no guest is loaded until it is gone");
                return false;
            }
            thread::sleep(LOOK_EVERY);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Arc<Generation>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A call with the usual deadline ends within a second of wall time, however busy the machine is, and the case of a fault
/// is given up after a few. Nobody but an operator waits.
const WAIT_MAX: Duration = Duration::from_secs(5);
/// A call takes some microseconds.
const LOOK_EVERY: Duration = Duration::from_micros(50);
