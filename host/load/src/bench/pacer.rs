//! Pacer of an open loop: wakes each connection when its next command is due.
//!
//! The timers of tokio have a resolution of one millisecond, but at 20,000 commands per second they are 50 µs apart. So a thread
//! sleeps from one command to the next and wakes the connection that is due.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::Notify;

/// Times at which the commands of one connection are due.
#[derive(Clone, Debug)]
pub(super) struct Schedule {
    /// Notified when the next command is due, or several if the pacer was late.
    pub(super) wake: Arc<Notify>,
    /// Time of the first command.
    pub(super) first: Instant,
    /// Interval between commands.
    pub(super) every: Duration,
}

/// Creates the schedules of all connections, which take turns at a total rate in commands per second.
pub(super) fn schedules(connections: usize, rate: f64, begin: Instant) -> Vec<Schedule> {
    let gap = Duration::from_secs_f64(1.0 / rate);
    #[allow(clippy::cast_precision_loss, reason = "a number of connections")]
    let every = Duration::from_secs_f64(connections as f64 / rate);
    let schedule = |index| Schedule {
        wake: Arc::new(Notify::new()),
        first: begin + gap * u32::try_from(index).unwrap_or(u32::MAX),
        every,
    };
    (0..connections).map(schedule).collect()
}

/// Wakes connections until `end`. Blocks; runs on a thread of its own.
pub(super) fn run(schedules: &[Schedule], end: Instant) {
    let mut next: Vec<Instant> = schedules.iter().map(|schedule| schedule.first).collect();
    loop {
        for (schedule, due) in schedules.iter().zip(&mut next) {
            if *due >= end {
                return;
            }
            let early = due.saturating_duration_since(Instant::now());
            if !early.is_zero() {
                std::thread::sleep(early);
            }
            schedule.wake.notify_one();
            *due += schedule.every;
        }
    }
}
