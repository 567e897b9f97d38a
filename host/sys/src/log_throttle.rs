//! Rate limit for log lines that others cause: guests, clients, peers.
//!
//! Owns the counts, and neither a clock nor the lines: the time is an argument and the caller logs. Bounds: the number of lines
//! per second that the throttle was created with.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// A limit on the lines that one place logs per second. Counts the lines beyond it.
///
/// Shared by all workers without a lock: [`admit`](Self::admit) updates one atomic in the usual case.
///
/// # Examples
///
/// ```
/// use herd_sys::LogThrottle;
/// use herd_sys::clock;
///
/// static FAULTS: LogThrottle = LogThrottle::new(1);
///
/// if let Some(suppressed) = FAULTS.admit(clock::unix_now()) {
///     println!("a guest faulted ({suppressed} more were not logged)");
/// }
/// ```
#[derive(Debug)]
pub struct LogThrottle {
    lines_per_second_max: u32,
    /// The second in the upper half and the lines admitted in it in the lower half, so that one operation changes both.
    window: AtomicU64,
    suppressed: AtomicU64,
}

impl LogThrottle {
    /// Creates a throttle that admits this many lines per second of the clock.
    #[must_use]
    pub const fn new(lines_per_second_max: u32) -> Self {
        Self { lines_per_second_max, window: AtomicU64::new(0), suppressed: AtomicU64::new(0) }
    }

    /// Admits a line, or counts it as suppressed and returns `None`.
    ///
    /// The first line of a second returns the number of lines that were suppressed since the last such report; every other
    /// line returns 0, so the counts can be summed. `now` is the time since the Unix epoch.
    pub fn admit(&self, now: Duration) -> Option<u64> {
        // The second is cut to 32 bits, which only has to tell it from its neighbours.
        let second = now.as_secs() << LINES_BITS;
        let begins = |window: u64| window & !LINES_MASK != second;
        // Relaxed is enough: nothing but these counts depends on the order.
        let admitted = self.window.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |window| {
            // Unequal and not later: after the system clock was set back, lines must not stay suppressed until it catches up.
            let lines = if begins(window) { 0 } else { window & LINES_MASK };
            (lines < u64::from(self.lines_per_second_max)).then_some(second | (lines + 1))
        });
        match admitted {
            Ok(window) if begins(window) => Some(self.suppressed.swap(0, Ordering::Relaxed)),
            Ok(_) => Some(0),
            Err(_) => {
                self.suppressed.fetch_add(1, Ordering::Relaxed);
                None
            }
        }
    }
}

const LINES_BITS: u32 = 32;
const LINES_MASK: u64 = (1 << LINES_BITS) - 1;

#[cfg(test)]
mod tests {
    use super::*;

    fn second(second: u64) -> Duration {
        Duration::from_millis(second * 1000 + 500)
    }

    #[test]
    fn log_throttle_admits_its_lines_each_second_and_reports_the_suppressed_ones() {
        let throttle = LogThrottle::new(2);
        let admitted: Vec<_> = [7, 7, 7, 7, 8, 8, 8, 10].map(|now| throttle.admit(second(now))).into();
        assert_eq!(admitted, [Some(0), Some(0), None, None, Some(2), Some(0), None, Some(1)]);
    }

    #[test]
    fn log_throttle_admits_lines_after_the_clock_was_set_back() {
        let throttle = LogThrottle::new(1);
        assert_eq!(throttle.admit(second(1000)), Some(0));
        assert_eq!((throttle.admit(second(5)), throttle.admit(second(5))), (Some(0), None));
    }

    #[test]
    fn log_throttle_counts_every_line_of_several_threads() {
        let throttle = LogThrottle::new(3);
        let count = || (0..1000).filter_map(|_| throttle.admit(second(1))).count();
        let admitted: usize = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(count)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).sum()
        });
        assert_eq!((admitted, throttle.admit(second(2))), (3, Some(3997)));
    }
}
