//! Which worker thread this is: a small number per thread, so that what is kept per worker needs no lock that
//! all workers share.

use std::num::NonZero;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Says how many worker threads there are. The first call counts.
pub fn set_count(count: usize) {
    let _ = COUNT.set(count.max(1));
}

/// How many worker threads there are: one per processor unless configured.
pub fn count() -> usize {
    *COUNT.get_or_init(|| std::thread::available_parallelism().map_or(1, NonZero::get))
}

/// The number of this thread, to be taken modulo [`count`]. Threads are numbered as they first ask, workers and others
/// alike, so two may share a slot: it must cost time only, never correctness.
pub fn index() -> usize {
    thread_local!(static INDEX: usize = NEXT.fetch_add(1, Ordering::Relaxed));
    INDEX.with(|index| *index)
}

static COUNT: OnceLock<usize> = OnceLock::new();
static NEXT: AtomicUsize = AtomicUsize::new(0);
