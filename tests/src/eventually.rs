//! Polling for a condition in another process.

use std::time::{Duration, Instant};

/// Longest time that a test waits for anything before it fails. Far beyond what a busy machine needs; a passing test never waits
/// that long.
pub const WAIT_MAX: Duration = Duration::from_secs(30);

/// Polls until the probe returns a value, in intervals that grow from 2 to 50 ms.
///
/// # Panics
///
/// If the probe fails for longer than [`WAIT_MAX`]; the message has `what` and the last reason.
#[track_caller]
pub fn eventually<T>(what: &str, mut probe: impl FnMut() -> Result<T, String>) -> T {
    let began = Instant::now();
    let mut pause = Duration::from_millis(2);
    loop {
        match probe() {
            Ok(value) => return value,
            Err(why) if began.elapsed() > WAIT_MAX => panic!("{what}: not within {WAIT_MAX:?}; {why}"),
            Err(_) => {}
        }
        std::thread::sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(50));
    }
}
