//! Where one worker keeps the warm instance of one generation, and how long it was held up when it met that generation.
//!
//! An instance is taken out for the time of a call, so no lock is held over guest code. A generation that was swapped in
//! comes with an instance in each slot, so that no worker makes one while its clients wait; what the first call costs all
//! the same is measured.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use crate::sandbox::logic_instance::LogicInstance;

/// The slot of one worker.
#[derive(Default)]
pub(crate) struct InstanceSlot {
    instance: Mutex<Option<LogicInstance>>,
    /// Whether the worker has made a call.
    called: AtomicBool,
}

/// The longest times of the first calls on a generation, in nanoseconds. Zero before there was one.
#[derive(Default)]
pub(crate) struct FirstCalls {
    pause_ns_max: AtomicU64,
    call_ns_max: AtomicU64,
}

/// The first call of one worker, under way.
pub(crate) struct FirstCall<'a> {
    times: &'a FirstCalls,
    began: Instant,
}

impl InstanceSlot {
    /// Takes the instance out.
    pub(crate) fn take(&self) -> Option<LogicInstance> {
        self.lock().take()
    }

    /// Puts an instance in.
    pub(crate) fn put(&self, instance: LogicInstance) {
        *self.lock() = Some(instance);
    }

    /// Whether there is none.
    pub(crate) fn is_empty(&self) -> bool {
        self.lock().is_none()
    }

    /// Begins to measure if this is the first call.
    #[inline]
    pub(crate) fn begin_first_call<'a>(&self, times: &'a FirstCalls) -> Option<FirstCall<'a>> {
        // Read before it is written: every call comes by here.
        let is_first = !self.called.load(Ordering::Relaxed) && !self.called.swap(true, Ordering::Relaxed);
        is_first.then(|| FirstCall { times, began: Instant::now() })
    }

    fn lock(&self) -> MutexGuard<'_, Option<LogicInstance>> {
        self.instance.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl FirstCall<'_> {
    /// The worker has an instance.
    pub(crate) fn instance_ready(&self) {
        self.times.pause_ns_max.fetch_max(self.elapsed_ns(), Ordering::Relaxed);
    }

    /// The call has returned.
    pub(crate) fn returned(&self) {
        self.times.call_ns_max.fetch_max(self.elapsed_ns(), Ordering::Relaxed);
    }

    /// At least one, so that nothing measured does not read as nothing yet.
    fn elapsed_ns(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_nanos()).unwrap_or(u64::MAX).max(1)
    }
}

impl FirstCalls {
    /// The longest that a worker waited for an instance, in microseconds. None before the first call.
    pub(crate) fn pause_us_max(&self) -> Option<f64> {
        microseconds(&self.pause_ns_max)
    }

    /// The longest that a first call took with all that is in it, in microseconds. None before the first call.
    pub(crate) fn call_us_max(&self) -> Option<f64> {
        microseconds(&self.call_ns_max)
    }
}

#[allow(clippy::cast_precision_loss, reason = "a time that is shown")]
fn microseconds(nanoseconds: &AtomicU64) -> Option<f64> {
    let nanoseconds = nanoseconds.load(Ordering::Relaxed);
    (nanoseconds > 0).then(|| nanoseconds as f64 / 1e3)
}
