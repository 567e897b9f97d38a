//! Times at which points are due, from the recorded times and the speed.

use std::time::Duration;

use crate::track::TrackPoint;

/// Computes when each point is due, counted from the first. A point without a recorded time, or with one before its
/// predecessor's, is due with its predecessor.
pub(super) fn due_after(points: &[TrackPoint], speed: f64) -> Vec<Duration> {
    let mut due = Duration::ZERO;
    let mut last_ns = None;
    points
        .iter()
        .map(|point| {
            if let Some(time_ns) = point.time_ns {
                let recorded_ns = last_ns.map_or(0, |last_ns| time_ns - last_ns).max(0);
                last_ns = Some(last_ns.map_or(time_ns, |last_ns: i128| last_ns.max(time_ns)));
                if speed > 0.0 {
                    let seconds = recorded_ns as f64 / NANOS_PER_SECOND as f64 / speed;
                    due = due.saturating_add(Duration::try_from_secs_f64(seconds).unwrap_or(DUE_MAX)).min(DUE_MAX);
                }
            }
            due
        })
        .collect()
}

const NANOS_PER_SECOND: u128 = 1_000_000_000;

/// A year: longer than anybody waits, and far from overflowing a clock.
pub(super) const DUE_MAX: Duration = Duration::from_secs(365 * 24 * 60 * 60);
