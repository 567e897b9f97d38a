//! The clock of an open loop: wakes each connection when its next command is due.
//!
//! The timers of the runtime count whole milliseconds, and at 20,000 commands a second 50 µs lie between two of them. So
//! a thread sleeps from one command to the next and wakes the connection whose turn it is.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::Notify;

/// When the commands of one connection are due.
#[derive(Clone, Debug)]
pub(super) struct Schedule {
    /// Rings when the next one is due, or some of them if the pacer was late.
    pub(super) wake: Arc<Notify>,
    /// When the first one is due.
    pub(super) first: Instant,
    /// Between two of them.
    pub(super) every: Duration,
}

/// Deals schedule to connections, one after the other, at a rate.
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

/// Rings the bells until the end. Runs on a thread of its own.
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
