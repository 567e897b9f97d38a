//! Slot for the warm instance of one generation on one worker, and the time of the first call there.
//!
//! A call takes the instance out and puts it back, so no lock is held while guest code runs. A generation that was swapped in
//! comes with an instance in every slot, so no worker creates one while its clients wait. The first call of each worker is
//! measured, because it is the pause that a swap causes.
//!
//! Knows nothing of what a call does. Bounds: one instance per slot; two numbers per generation.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use std::time::Instant;

use parking_lot::{Mutex, MutexGuard};

use crate::sandbox::logic_instance::LogicInstance;

/// Slot of one worker, or of all threads that are no worker.
#[derive(Default)]
pub(crate) struct InstanceSlot {
    /// Locked only to move the instance. A worker finds the lock free: nothing but warm-up touches another thread's slot.
    instance: Mutex<Option<LogicInstance>>,
    /// Set by the first call on this slot.
    called: AtomicBool,
}

/// Longest times of the first calls on a generation, in nanoseconds. Zero before the first.
#[derive(Default)]
pub(crate) struct FirstCalls {
    pause_ns_max: AtomicU64,
    call_ns_max: AtomicU64,
}

/// Timer of the first call on a slot.
pub(crate) struct FirstCall<'a> {
    times: &'a FirstCalls,
    began: Instant,
}

impl InstanceSlot {
    /// Takes the instance out. The slot is empty until the call puts it back: after a fault it never does, and the next call
    /// creates a fresh instance.
    pub(crate) fn take(&self) -> Option<LogicInstance> {
        self.lock().take()
    }

    /// Puts an instance in. One that is there already is dropped: threads that are no worker share a slot.
    pub(crate) fn put(&self, instance: LogicInstance) {
        *self.lock() = Some(instance);
    }

    /// True if no instance is in the slot.
    pub(crate) fn is_empty(&self) -> bool {
        self.lock().is_none()
    }

    /// Starts the timer if this is the first call on the slot.
    #[inline]
    pub(crate) fn begin_first_call<'a>(&self, times: &'a FirstCalls) -> Option<FirstCall<'a>> {
        // Read before it is swapped: every call passes here, and a swap would dirty the cache line each time. The flag guards no
        // data, hence relaxed.
        let is_first = !self.called.load(Ordering::Relaxed) && !self.called.swap(true, Ordering::Relaxed);
        is_first.then(|| FirstCall { times, began: Instant::now() })
    }

    fn lock(&self) -> MutexGuard<'_, Option<LogicInstance>> {
        self.instance.lock()
    }
}

impl FirstCall<'_> {
    /// Records the time until the worker had an instance.
    pub(crate) fn instance_ready(&self) {
        self.times.pause_ns_max.fetch_max(self.elapsed_ns(), Ordering::Relaxed);
    }

    /// Records the time until the call returned.
    pub(crate) fn returned(&self) {
        self.times.call_ns_max.fetch_max(self.elapsed_ns(), Ordering::Relaxed);
    }

    /// At least one nanosecond: zero stands for no call yet.
    fn elapsed_ns(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_nanos()).unwrap_or(u64::MAX).max(1)
    }
}

impl FirstCalls {
    /// Returns the longest wait for an instance, in microseconds. None before the first call.
    pub(crate) fn pause_us_max(&self) -> Option<f64> {
        microseconds(&self.pause_ns_max)
    }

    /// Returns the longest first call including that wait, in microseconds. None before the first call.
    pub(crate) fn call_us_max(&self) -> Option<f64> {
        microseconds(&self.call_ns_max)
    }
}

#[allow(clippy::cast_precision_loss, reason = "a time for display")]
fn microseconds(nanoseconds: &AtomicU64) -> Option<f64> {
    let nanoseconds = nanoseconds.load(Ordering::Relaxed);
    (nanoseconds > 0).then(|| nanoseconds as f64 / 1e3)
}
