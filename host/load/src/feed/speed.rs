//! Speed of a feed.

/// Parses a speed: a number from 0, or `max`, which is 0.
///
/// ```
/// use herd_load::feed::parse_speed;
///
/// assert_eq!(parse_speed("2.5"), Ok(2.5));
/// assert_eq!(parse_speed("max"), Ok(0.0));
/// assert!(parse_speed("-1").is_err());
/// ```
///
/// # Errors
///
/// The text is neither. The message names what is accepted.
pub fn parse_speed(text: &str) -> Result<f64, String> {
    if text == "max" {
        return Ok(0.0);
    }
    let speed = text.parse::<f64>().ok().filter(|speed| is_speed(*speed));
    speed.ok_or_else(|| "must be 0 or more (1: as recorded, 60: a minute a second), or max".to_owned())
}

/// Returns true for a finite number from 0.
pub(super) fn is_speed(speed: f64) -> bool {
    speed.is_finite() && speed >= 0.0
}
