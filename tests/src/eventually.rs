//! Waiting for what happens in another process.

use std::time::{Duration, Instant};

/// How long a test waits for anything before it fails. Far beyond what a busy machine needs, and never waited out by a
/// test that passes.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// Asks again and again until there is a value.
///
/// # Panics
///
/// When there is none within [`PATIENCE`]; the message has `what` and the last reason.
#[track_caller]
pub fn eventually<T>(what: &str, mut probe: impl FnMut() -> Result<T, String>) -> T {
    let began = Instant::now();
    let mut pause = Duration::from_millis(2);
    loop {
        match probe() {
            Ok(value) => return value,
            Err(why) if began.elapsed() > PATIENCE => panic!("{what}: not within {PATIENCE:?}; {why}"),
            Err(_) => {}
        }
        std::thread::sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(50));
    }
}
