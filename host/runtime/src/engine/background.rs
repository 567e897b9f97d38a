//! Work that nobody's answer waits for: whatever answers clients goes first.
//!
//! A thread that rehearses or compares for some milliseconds would otherwise be let finish its time slice while a worker
//! waits for a processor, and clients would see that.

use std::panic::resume_unwind;
use std::thread;

use crate::replay::component_decider::clock;

/// Does some work on a thread of its own that gives way, and waits for it. In place if there is no thread to be had.
pub(crate) fn run_at_low_priority<T: Send>(name: &str, work: impl FnOnce() -> T + Send) -> T {
    let mut work = Some(work);
    let on_its_own = thread::scope(|scope| {
        let work = &mut work;
        let body = move || {
            lower_priority();
            // A guest that sleeps needs a clock to be there.
            let _entered = clock().enter();
            work.take().map(|work| work())
        };
        let thread = thread::Builder::new().name(name.into()).spawn_scoped(scope, body).ok()?;
        thread.join().unwrap_or_else(|panic| resume_unwind(panic))
    });
    on_its_own.or_else(|| work.map(|work| work())).expect("the work is done there or here")
}

/// Lets whatever answers clients go first. On Linux this is of the calling thread only. A system that refuses it has a
/// thread that competes, and no other harm.
pub(crate) fn lower_priority() {
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::process::nice(NICE) {
        tracing::debug!(%error, "this thread runs as if somebody waited for it");
    }
}

/// About a tenth of the claim that other threads have.
#[cfg(target_os = "linux")]
const NICE: i32 = 10;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_work_is_done_on_a_thread_of_its_name_and_its_panic_is_that_of_who_waits() {
        let mut count = 0;
        let name = run_at_low_priority("herd-test", || {
            count += 1;
            thread::current().name().map(ToString::to_string)
        });
        assert_eq!((name.as_deref(), count), (Some("herd-test"), 1));
        let panics = std::panic::catch_unwind(|| run_at_low_priority("herd-test", || panic!("as it should")));
        assert_eq!(panics.unwrap_err().downcast_ref::<&str>(), Some(&"as it should"));
    }
}
