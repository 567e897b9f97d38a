//! Runner: many seeds on all cores.
//!
//! Each seed is a run of its own, so the order in which cores take them makes no difference. Bounds: a thread per core.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

/// Outcome of a run over seeds.
#[derive(Clone, Debug)]
pub struct Seeds<E> {
    /// Number of seeds that were run.
    pub run: u64,
    /// Lowest seed that failed among those that were run, and its failure.
    pub failed: Option<(u64, E)>,
}

/// Runs `count` seeds from `first` on, on all cores, and stops at the first failure. `progress` learns of the number of seeds that are
/// done, one at a time.
pub fn run_seeds<E: Send>(
    first: u64,
    count: u64,
    run: impl Fn(u64) -> Result<(), E> + Sync,
    progress: impl Fn(u64) + Sync,
) -> Seeds<E> {
    let (next, done, stop) = (AtomicU64::new(0), AtomicU64::new(0), AtomicBool::new(false));
    let failed: Mutex<Option<(u64, E)>> = Mutex::new(None);
    let work = || {
        while !stop.load(Ordering::Relaxed) {
            let index = next.fetch_add(1, Ordering::Relaxed);
            if index >= count {
                return;
            }
            let seed = first + index;
            if let Err(error) = run(seed) {
                stop.store(true, Ordering::Relaxed);
                let mut failed = failed.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
                if failed.as_ref().is_none_or(|(other, _)| seed < *other) {
                    *failed = Some((seed, error));
                }
            }
            progress(done.fetch_add(1, Ordering::Relaxed) + 1);
        }
    };
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(work);
        }
    });
    let failed = failed.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    Seeds { run: done.into_inner(), failed }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runner_runs_every_seed_once_and_names_the_lowest_failure() {
        let sum = AtomicU64::new(0);
        let all = run_seeds(
            5,
            100,
            |seed| {
                sum.fetch_add(seed, Ordering::Relaxed);
                Ok::<_, ()>(())
            },
            |_| (),
        );
        assert_eq!((all.run, all.failed, sum.into_inner()), (100, None, (5..105).sum()));
        let failing = run_seeds(0, 1000, |seed| if seed >= 7 { Err(seed) } else { Ok(()) }, |_| ());
        assert_eq!(failing.failed, Some((7, 7)));
    }
}
