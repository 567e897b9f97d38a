//! The deadline of one call.
//!
//! It limits processor time of the calling thread: with wall time, innocent guests would fault on a busy machine. Only a call
//! that is still running at an epoch tick, or that makes the host work for long, reads the clocks, so the usual call of some
//! microseconds costs no system call. A
//! guest is stopped between one deadline and one deadline plus one tick of its processor time, or at the cap on wall time,
//! whichever comes first.
//!
//! Knows nothing of stores and guests. Bounds: [`Limits::deadline`](super::limits::Limits) and [`WALL_MAX`].

use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};
use wasmtime::UpdateDeadline;

/// Deadline of the current call of an instance.
#[derive(Debug)]
pub(crate) struct Deadline {
    processor_max: Duration,
    /// Processor time and wall time at the first tick of this call, or its first slow host call. None before: lazily started.
    started: Option<(Duration, Instant)>,
    missed: bool,
}

/// Clocks at the start of a pause. None if the deadline had not started.
pub(crate) struct Pause(Option<(Duration, Instant)>);

impl Deadline {
    pub(crate) fn new(processor_max: Duration) -> Self {
        Self { processor_max, started: None, missed: false }
    }

    /// Starts over for a new call.
    pub(crate) fn begin(&mut self) {
        self.started = None;
        self.missed = false;
    }

    /// True if this call was stopped for its deadline.
    pub(crate) fn missed(&self) -> bool {
        self.missed
    }

    /// Pauses the deadline while the call waits for work that is not its own. No tick reaches the call before it is resumed:
    /// epochs are checked by the code of the guest, which does not run.
    pub(crate) fn pause(&self) -> Pause {
        Pause(self.started.map(|_| (processor_time(), Instant::now())))
    }

    /// Resumes the deadline. The time since the pause does not count.
    pub(crate) fn resume(&mut self, pause: &Pause) {
        // Both starts move forward by what the pause took. A deadline that had not started has nothing to move: it starts at a
        // later tick, after the pause.
        if let (Some((processor, wall)), Some((processor_then, wall_then))) = (&mut self.started, &pause.0) {
            *processor += processor_time().saturating_sub(*processor_then);
            *wall += wall_then.elapsed();
        }
    }

    /// Starts the clock, unless it runs: before work of the host for this call that may be slow, and into which no tick falls.
    pub(crate) fn start(&mut self) {
        self.started.get_or_insert_with(|| (processor_time(), Instant::now()));
    }

    /// Handles an epoch tick during the call: stops it, or lets it run to the next tick.
    pub(crate) fn tick(&mut self) -> UpdateDeadline {
        let (processor, wall) = *self.started.get_or_insert_with(|| (processor_time(), Instant::now()));
        let used = processor_time().saturating_sub(processor);
        self.missed = used >= self.processor_max || wall.elapsed() >= WALL_MAX.max(self.processor_max * 10);
        if self.missed { UpdateDeadline::Interrupt } else { UpdateDeadline::Continue(1) }
    }
}

/// Processor time that the calling thread has used.
pub(crate) fn processor_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(u64::try_from(time.tv_sec).unwrap_or(0), u32::try_from(time.tv_nsec).unwrap_or(0))
}

/// Cap on wall time, unless ten deadlines are longer. A call exceeds its processor time in wall time only when the machine does
/// not run its thread, so the cap is generous.
const WALL_MAX: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    fn work(time: Duration) {
        let began = processor_time();
        while processor_time() - began < time {
            std::hint::black_box(0);
        }
    }

    #[test]
    fn deadline_does_not_count_a_pause() {
        let max = Duration::from_millis(20);
        let mut deadline = Deadline::new(max);
        deadline.begin();
        let goes_on = |deadline: &mut Deadline| matches!(deadline.tick(), UpdateDeadline::Continue(1));
        assert!(goes_on(&mut deadline), "the first tick starts the clock");
        let pause = deadline.pause();
        work(2 * max);
        deadline.resume(&pause);
        assert!(goes_on(&mut deadline));
        work(max);
        assert!(!goes_on(&mut deadline) && deadline.missed());
    }

    #[test]
    fn deadline_counts_slow_work_of_the_host_before_the_first_tick() {
        let max = Duration::from_millis(20);
        let mut deadline = Deadline::new(max);
        deadline.begin();
        deadline.start();
        work(max);
        assert!(matches!(deadline.tick(), UpdateDeadline::Interrupt) && deadline.missed());
    }

    #[test]
    fn deadline_starts_after_a_pause_before_the_first_tick() {
        let max = Duration::from_millis(20);
        let mut deadline = Deadline::new(max);
        deadline.begin();
        let pause = deadline.pause();
        work(max);
        deadline.resume(&pause);
        assert!(matches!(deadline.tick(), UpdateDeadline::Continue(1)));
    }
}
