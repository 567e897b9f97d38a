//! Speed of a feed.

/// Reads a speed as the command line takes it: a number from 0, or `max`, which is 0.
///
/// # Errors
///
/// A message that says what would do.
pub fn parse_speed(text: &str) -> Result<f64, String> {
    if text == "max" {
        return Ok(0.0);
    }
    let speed = text.parse::<f64>().ok().filter(|speed| is_speed(*speed));
    speed.ok_or_else(|| "must be 0 or more (1: as recorded, 60: a minute a second), or max".to_owned())
}

/// Whether this is a speed.
pub(super) fn is_speed(speed: f64) -> bool {
    speed.is_finite() && speed >= 0.0
}
