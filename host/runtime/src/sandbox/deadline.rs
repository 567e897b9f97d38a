//! How long one call may take.
//!
//! The deadline means processor time of the calling thread, or innocent guests would die on a busy machine. A
//! call that is still running at an epoch tick pays for reading the clocks; a call that returns before never
//! does. So a guest is stopped between one deadline and one deadline plus one tick of its processor time, or at
//! the cap on wall time, whichever comes first.

use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};
use wasmtime::UpdateDeadline;

/// The deadline of the call that an instance is in.
#[derive(Debug)]
pub(crate) struct Deadline {
    processor_max: Duration,
    /// The clocks at the first tick of this call.
    started: Option<(Duration, Instant)>,
    missed: bool,
}

/// What the clocks said when a call began to wait for what is not its own doing.
pub(crate) struct Pause(Option<(Duration, Instant)>);

impl Deadline {
    pub(crate) fn new(processor_max: Duration) -> Self {
        Self { processor_max, started: None, missed: false }
    }

    /// A call begins.
    pub(crate) fn begin(&mut self) {
        self.started = None;
        self.missed = false;
    }

    /// Whether this call was stopped for its deadline.
    pub(crate) fn missed(&self) -> bool {
        self.missed
    }

    /// The call waits for what is not its own doing. No tick falls into it until it goes on.
    pub(crate) fn pause(&self) -> Pause {
        Pause(self.started.map(|_| (processor_time(), Instant::now())))
    }

    /// The call goes on, and what went by since does not count.
    pub(crate) fn resume(&mut self, pause: &Pause) {
        if let (Some((processor, wall)), Some((processor_then, wall_then))) = (&mut self.started, &pause.0) {
            *processor += processor_time().saturating_sub(*processor_then);
            *wall += wall_then.elapsed();
        }
    }

    /// An epoch tick fell into this call.
    pub(crate) fn tick(&mut self) -> UpdateDeadline {
        let (processor, wall) = *self.started.get_or_insert_with(|| (processor_time(), Instant::now()));
        let used = processor_time().saturating_sub(processor);
        self.missed = used >= self.processor_max || wall.elapsed() >= WALL_MAX.max(self.processor_max * 10);
        if self.missed { UpdateDeadline::Interrupt } else { UpdateDeadline::Continue(1) }
    }
}

/// What the calling thread has used of its processor.
fn processor_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(u64::try_from(time.tv_sec).unwrap_or(0), u32::try_from(time.tv_nsec).unwrap_or(0))
}

/// The cap on wall time, where ten deadlines are less. A call only waits for wall time when the machine does
/// not run its thread, so this is long.
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
    fn what_a_call_waits_for_does_not_count() {
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
    fn a_call_that_waits_before_its_first_tick_loses_nothing() {
        let max = Duration::from_millis(20);
        let mut deadline = Deadline::new(max);
        deadline.begin();
        let pause = deadline.pause();
        work(max);
        deadline.resume(&pause);
        assert!(matches!(deadline.tick(), UpdateDeadline::Continue(1)));
    }
}
