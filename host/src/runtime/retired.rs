//! The generation that a swap retires, until it is gone.
//!
//! A call that had begun before the swap may still hold it, and whoever lets go of it last drops its instances and its
//! code: some hundred microseconds that no worker should spend. So the thread that swaps holds on to it, waits until it is
//! the last one, and drops it. Until then no other candidate is loaded, or a fast hand could have any number of
//! generations alive.
//!
//! Bounds: the wait, [`WAIT_MAX`].

use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use super::generation::Generation;

/// What was retired and is not gone yet, if anything.
#[derive(Default)]
pub(super) struct Retired(Mutex<Option<Arc<Generation>>>);

impl Retired {
    /// Waits until nobody else holds what was retired, and drops it. Not for a worker thread.
    ///
    /// False when somebody still does after [`WAIT_MAX`].
    pub(super) fn see_off(&self, retired: Option<Arc<Generation>>) -> bool {
        let mut leaving = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(mut generation) = retired.or_else(|| leaving.take()) else { return true };
        let until = Instant::now() + WAIT_MAX;
        while Instant::now() < until {
            // Fails while anybody else holds it.
            match Arc::try_unwrap(generation) {
                Ok(generation) => {
                    drop(generation);
                    return true;
                }
                Err(held) => generation = held,
            }
            thread::sleep(LOOK_EVERY);
        }
        tracing::warn!(generation = %generation.id(), "a retired generation is still in a call; no guest is loaded until it is gone");
        *leaving = Some(generation);
        false
    }
}

/// A call ends within a second of wall time, and a case of a fault is given up after two.
const WAIT_MAX: Duration = Duration::from_secs(3);
/// A call takes some microseconds.
const LOOK_EVERY: Duration = Duration::from_micros(50);
